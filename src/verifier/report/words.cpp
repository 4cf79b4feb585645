// SPDX-License-Identifier: Apache-2.0
#include "verifier/report/words.hpp"

#include <bit>

#include <fmt/format.h>

#include "isa/disasm.hpp"
#include "platform/helper.hpp"

namespace skep::verifier {

namespace {

/// Numbers that people write in decimal; masks and addresses stay hexadecimal.
std::string constant_words(uint64_t value) {
    const auto is_signed = static_cast<int64_t>(value);
    constexpr int64_t readable = 1 << 24;
    if (is_signed > -readable && is_signed < readable) return fmt::to_string(is_signed);
    return fmt::format("{:#x}", value);
}

std::string range_words(uint64_t low, uint64_t high) {
    return fmt::format("{}..{}", constant_words(low), constant_words(high));
}

std::string offset_words(const State& s, const Val& offset) {
    if (offset.is_constant()) {
        const auto k = static_cast<int64_t>(offset.k);
        if (k == 0) return {};
        return k > 0 ? fmt::format(" + {}", constant_words(offset.k)) : fmt::format(" - {}", constant_words(-offset.k));
    }
    return fmt::format(" + ({})", number_words(number_of(s, offset)));
}

}  // namespace

std::string number_words(const Num& num) {
    if (num.is_constant()) return constant_words(num.umin());
    std::string text;
    const uint64_t umin = num.umin(), umax = num.umax(), smin = num.smin(), smax = num.smax();
    const bool is_unsigned = umin != 0 || umax != UINT64_MAX;
    const bool is_signed = smin != uint64_t{1} << 63 || smax != (uint64_t{1} << 63) - 1;
    if (is_unsigned && (!is_signed || umax - umin <= smax - smin)) {
        text = range_words(umin, umax);
    } else if (is_signed) {
        text = range_words(smin, smax);
    } else if (!num.narrow.is_full()) {
        text =
            fmt::format("a number whose low 32 bits are {}", range_words(num::umin(num.narrow), num::umax(num.narrow)));
    } else {
        text = "any number";
    }
    // Low bits that are known to be zero say that it is a multiple.
    const unsigned zeros = static_cast<unsigned>(std::countr_zero(num.bits.value | num.bits.mask));
    if (zeros > 0 && zeros < 32) text += fmt::format(", a multiple of {}", uint64_t{1} << zeros);
    return text;
}

std::string region_words(const Subject& subject, const Region& region) {
    const auto map = [&]() -> std::string {
        return region.map < subject.maps.size() ? subject.maps[region.map].name : "?";
    };
    std::string text;
    switch (region.kind) {
        case RegionKind::None: return "a number";
        case RegionKind::Context: text = "the context"; break;
        case RegionKind::Stack:
            text = region.frame == 0 ? "the stack" : fmt::format("the stack of frame {}", region.frame);
            break;
        case RegionKind::Packet: text = "packet data"; break;
        case RegionKind::MapValue: text = fmt::format("a value of map {}", map()); break;
        case RegionKind::MapKey: text = fmt::format("a key of map {}", map()); break;
        case RegionKind::Memory: text = fmt::format("{} bytes of memory", region.size); break;
        case RegionKind::Map: text = fmt::format("map {}", map()); break;
        case RegionKind::Function: {
            const auto& functions = subject.linked().subprograms;
            text = fmt::format("function {}", region.map < functions.size() ? functions[region.map].name : "?");
            break;
        }
        case RegionKind::Object: text = "a kernel object"; break;
    }
    if (!region.alive) text += " (no longer valid)";
    return text;
}

std::string value_words(const Subject& subject, const State& s, const Val& v) {
    if (const auto pointer = pointer_of(s, v)) {
        const Region& region = s[pointer->base].region;
        return region_words(subject, region) + offset_words(s, pointer->offset) + (region.nullable ? ", or null" : "");
    }
    if (is_tainted(s, v)) {
        // The commonest form: a length, made of two addresses of one region, is no address any more.
        return "a number made of addresses";
    }
    return number_words(number_of(s, v));
}

std::string state_words(const Subject& subject, const State& s) {
    std::string text;
    for (unsigned r = 0; r <= isa::frame_register; ++r) {
        if (!s.is_set(r) || s.frames.empty()) continue;
        text += fmt::format("r{} = {}\n", r, value_words(subject, s, s.reg(r)));
    }
    if (s.frames.empty() || s.frames.back().stack == nullptr) return text;
    const Stack& stack = *s.frames.back().stack;
    for (size_t i = 0; i < stack.size(); ++i) {
        const Cell& cell = stack[i];
        if (cell.is_unset()) continue;
        const int64_t offset = -8 * static_cast<int64_t>(i + 1);
        if (cell.is_whole()) {
            text += fmt::format("r10{} = {}\n", offset, value_words(subject, s, cell.val));
            continue;
        }
        std::string bytes;
        for (unsigned b = 0; b < 8; ++b) {
            switch (cell.kind[b]) {
                case Byte::Unset: bytes += "??"; break;
                case Byte::Misc: bytes += "xx"; break;
                case Byte::Const: bytes += fmt::format("{:02x}", cell.detail[b]); break;
                case Byte::Part: bytes += "vv"; break;
            }
            if (b != 7) bytes += ' ';
        }
        text += fmt::format("r10{} = bytes {}\n", offset, bytes);
    }
    return text;
}

std::string insn_words(const Subject& subject, isa::InsnIndex at) {
    const object::LinkedProgram& program = subject.linked();
    if (at >= program.code.size()) return {};
    const Result<isa::Insn> decoded = isa::decode(program.code, at);
    if (!decoded) return {};
    isa::Labels labels;
    for (const object::Subprogram& function : program.subprograms) labels.emplace(function.start, function.name);
    std::string text = isa::disassemble(*decoded, at, labels);
    const isa::Operation operation = decoded->row().operation;
    const auto number = static_cast<uint32_t>(decoded->imm);
    std::string note;
    if ((operation == isa::Operation::LdMapFd || operation == isa::Operation::LdMapValue) &&
        number < subject.maps.size()) {
        note = fmt::format("map {}", subject.maps[number].name);
        if (operation == isa::Operation::LdMapValue) note += fmt::format(" + {}", decoded->next_imm);
    }
    if (operation == isa::Operation::Call && at < subject.program->bindings.size() &&
        subject.program->bindings[at].kind == BindingKind::Helper) {
        note = platform::helper_name(static_cast<platform::HelperId>(subject.program->bindings[at].helper));
    }
    return note.empty() ? text : fmt::format("{}  ; {}", text, note);
}

}  // namespace skep::verifier
