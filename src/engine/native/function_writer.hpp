// SPDX-License-Identifier: Apache-2.0
// The writer of one function's text. Internal to engine/native; its parts are function_text.cpp (blocks, jumps),
// function_alu.cpp, function_memory.cpp and function_calls.cpp.
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "engine/native/text.hpp"
#include "skep/runtime_context.h"

namespace skep::engine::native {

using isa::Form;
using isa::Op;
using isa::Operation;
using platform::HelperId;

/// Linux' BPF_MAX_LOOPS: how often the may_gotos of one frame fall through.
constexpr uint32_t may_goto_budget = 0x800000;

/// A C expression and the type it has.
struct Expression {
    std::string text;
    CType type = CType::U64;
    bool is_word = true;  ///< needs no parentheses
};

inline std::string wrapped(const Expression& e) { return e.is_word ? e.text : "(" + e.text + ")"; }

inline std::string as64(const Expression& e) {
    switch (e.type) {
        case CType::U64: return wrapped(e);
        case CType::U32: return "(uint64_t)" + wrapped(e);
        case CType::Pointer: return "(uint64_t)(uintptr_t)" + wrapped(e);
    }
    return e.text;
}
inline std::string as32(const Expression& e) {
    switch (e.type) {
        case CType::U64: return "(uint32_t)" + wrapped(e);
        case CType::U32: return wrapped(e);
        case CType::Pointer: return "(uint32_t)(uintptr_t)" + wrapped(e);
    }
    return e.text;
}

inline std::string number64(int64_t value) {
    if (value == INT64_MIN) return "0x8000000000000000u";
    if (value < 0) return fmt::format("(uint64_t){}", value);
    return value > 0xffff ? fmt::format("{:#x}u", value) : fmt::format("{}u", value);
}
inline std::string number32(uint32_t value) {
    const auto as_signed = static_cast<int32_t>(value);
    if (as_signed < 0 && as_signed > -0x10000) return fmt::format("(uint32_t){}", as_signed);
    return value > 0xffff ? fmt::format("{:#x}u", value) : fmt::format("{}u", value);
}

/// `base + offset`, without "+ 0".
inline std::string plus(const std::string& base, int64_t offset) {
    if (offset == 0) return base;
    return offset < 0 ? fmt::format("{} - {}", base, -offset) : fmt::format("{} + {}", base, offset);
}

inline const char* operator_of(Operation operation) {
    using enum Operation;
    if (operation == Add) return "+";
    if (operation == Sub) return "-";
    if (operation == Mul) return "*";
    if (operation == Or) return "|";
    if (operation == And) return "&";
    return "^";
}

/// Comments hold no end of a comment, no line break and nothing a compiler warns of.
inline std::string comment(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool joins = !out.empty() && ((out.back() == '*' && c == '/') || (out.back() == '/' && c == '*') ||
                                            (out.back() == '?' && c == '?'));
        if (joins) out += ' ';
        out += c >= ' ' && c < 127 && c != '\\' ? c : ' ';
    }
    const size_t end = out.find_last_not_of(' ');
    out.resize(end == std::string::npos ? 0 : end + 1);
    const size_t start = out.find_first_not_of(' ');
    return start == std::string::npos ? out : out.substr(start);
}

inline const char* c_name(CType type) {
    switch (type) {
        case CType::U32: return "uint32_t ";
        case CType::U64: return "uint64_t ";
        case CType::Pointer: return "uint8_t *";
    }
    return "";
}

inline CType argument_type(const Function& function, unsigned reg) { return c_type(function.argument_types[reg]); }

class FunctionWriter {
  public:
    FunctionWriter(const ProgramText& program, const Function& function)
        : program_(program), f_(function), bound_(program.source.program->bound()) {}

    Result<std::string> run();

  private:
    using Walk = Function::Walk;

    // ---- before writing

    void count_entries();

    void find_trees();

    /// The block written after `block`.
    uint32_t following(uint32_t block) const;

    void name_webs();

    std::string head() const;

    uint32_t frame_bytes() const { return f_.frame_bytes != 0 ? f_.frame_bytes : 8; }

    // ---- expressions

    std::string frame_at(int64_t offset) {
        uses_frame_ = true;
        return plus("frame", offset + frame_bytes());
    }

    Expression map_handle(int64_t map) const {
        return {fmt::format("(uint64_t)(uintptr_t)self->maps[{}].map", map), CType::U64, false};
    }

    Expression reg(const Walk& walk, unsigned r) {
        const Known& known = walk.known[r];
        if (known.kind == Known::Kind::Stack) return {frame_at(known.value), CType::Pointer, false};
        if (known.kind == Known::Kind::Map) return map_handle(known.value);
        return variable(walk.web[r]);
    }
    Expression variable(uint32_t web) const {
        if (web == UINT32_MAX) return {"0u", CType::U32};
        return {names_[web], c_type(f_.types(web))};
    }

    static std::string converted(const Expression& value, CType to) {
        switch (to) {
            case CType::U32: return value.type == CType::U32 ? value.text : as32(value);
            case CType::U64: return value.type == CType::Pointer ? as64(value) : value.text;
            case CType::Pointer:
                if (value.type == CType::Pointer) return value.text;
                if (value.text == "0" || value.text == "0u") return "0";
                return "ADDRESS(" + value.text + ")";
        }
        return value.text;
    }

    /// The address an access goes to, and whether nobody else writes there.
    struct Place {
        std::string text;
        bool is_private = false;
    };
    Place place(const Walk& walk, unsigned base, int64_t offset) {
        if (walk.known[base].kind == Known::Kind::Stack) return {frame_at(walk.known[base].value + offset), true};
        const Expression e = reg(walk, base);
        const uint32_t web = walk.web[base];
        const bool own = web != UINT32_MAX && is_private(f_.types(web));
        if (e.type == CType::Pointer) return {plus(wrapped(e), offset), own};
        return {"ADDRESS(" + plus(as64(e), offset) + ")", false};
    }

    // ---- statements

    void line(const std::string& text) { chunks_.back().second += "    " + text + "\n"; }

    /// `location = value`, unless nobody reads it.
    void assign(const Node& node, unsigned location, const Expression& value) {
        if (!(node.live_after & location_bit(location))) return;
        const uint32_t web = f_.defined_web(node, location);
        const std::string text = converted(value, c_type(f_.types(web)));
        if (text != names_[web]) line(names_[web] + " = " + text + ";");
    }

    Error fail(const Node& node, Errc code, std::string what, std::string why = {}) const {
        return Error{code, Where{.insn = node.at}, std::move(what), std::move(why)};
    }

    void go(uint32_t block) { line("goto " + jump_label(block) + ";"); }
    std::string label(uint32_t block) const { return fmt::format("L{}", program_.nodes[f_.blocks[block].start].at); }

    Result<void> write_block(uint32_t b);

    void write_source(const object::SourceLine& source);

    void write_tree(const Walk& walk, const CompareTree& tree);

    Result<void> write(const Walk& walk, const Node& node, uint32_t b);

    // ---- arithmetic

    Result<void> write_alu(const Walk& walk, const Node& node);

    /// The second operand, 64 or 32 bits wide.
    std::string operand(const Walk& walk, const Node& node, bool is32);

    void binary(const Walk& walk, const Node& node, const char* op);

    /// 64-bit sums: address plus number stays an address.
    void write_sum(const Walk& walk, const Node& node);

    void divide(const Walk& walk, const Node& node, const char* function, const char* op);

    void shift(const Walk& walk, const Node& node);

    void extend(const Walk& walk, const Node& node, unsigned bits);

    // ---- wide loads

    Result<void> write_wide(const Node& node);

    // ---- memory

    Result<void> write_memory(const Walk& walk, const Node& node);

    Result<void> write_slot(const Walk& walk, const Node& node);

    Result<void> write_atomic(const Walk& walk, const Node& node);

    void assign_or_do(const Node& node, unsigned location, const Expression& value);

    // ---- the context: private to the run, in the host's layout

    Result<void> write_context(const Walk& walk, const Node& node, const ContextAccess& access);

    // ---- calls

    Result<std::string> helper_name(const Node& node) const;

    /// r1 to r5 are gone; what unverified code reads of them is 0.
    void destroy_arguments(const Node& node);

    void leave_on_fault();

    Result<void> write_call(const Walk& walk, const Node& node);

    void enter_frame(const Node& node);
    void leave_frame();

    /// The number is a function's first slot, or, in a program that nobody verified, a helper's.
    Result<void> write_callx(const Walk& walk, const Node& node);

    Result<void> write_packet_load(const Walk& walk, const Node& node);

    /// map_lookup_elem of a known array: the element's address, in place. Mispredicted, the check lets any index
    /// through; the mask keeps even that inside (the kernel's index_mask).
    bool inline_lookup(const Walk& walk, const Node& node);

    // ---- jumps

    void write_jump(const Walk& walk, const Node& node, uint32_t b);

    /// The label of a block that is jumped to.
    std::string jump_label(uint32_t block) {
        used_labels_.insert(block);
        return label(block);
    }

    void fall(uint32_t b, uint32_t after) {
        if (b + 1 != after) go(b + 1);
    }

    std::string compare(const Walk& walk, const Node& node);

    const ProgramText& program_;
    const Function& f_;
    const BoundProgram& bound_;
    std::vector<uint32_t> entries_;
    std::vector<bool> swallowed_;  ///< blocks that are part of a tree
    std::map<uint32_t, CompareTree> trees_;
    std::set<uint32_t> used_labels_;
    std::vector<std::string> names_;
    std::array<std::vector<uint32_t>, 3> variables_;
    std::map<uint32_t, bool> maps_used_;
    bool uses_frame_ = false;
    std::vector<std::pair<uint32_t, std::string>> chunks_;  ///< blocks and their statements
    uint32_t last_line_ = 0;
    std::string last_file_;
};

}  // namespace skep::engine::native
