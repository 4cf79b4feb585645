// SPDX-License-Identifier: Apache-2.0
// The translation unit: declarations, one group of functions per program, entries.
#include "engine/native/emit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/native/text.hpp"
#include "skep/native_module.h"

namespace skep::engine::native {

namespace {

using isa::Form;
using isa::Operation;
using platform::HelperId;

/// Everything that depends on the compiler stands here. The structs are those of skep/runtime_context.h and
/// skep/native_module.h. volatile accesses of packed structs are one instruction of their width on x86-64 and arm64, so
/// at natural alignment they are untorn; a compiler may neither split, repeat nor drop them.
constexpr const char* declarations = R"(#include <stdint.h>

#if defined(__GNUC__)
#define SKEP_EXPORT_ATTRIBUTE __attribute__((visibility("default")))
#define SKEP_INLINE static inline __attribute__((always_inline, unused))
#define SKEP_ANY __attribute__((packed, may_alias))
#define SKEP_ALIAS __attribute__((may_alias))
#define SKEP_ALIGN8 __attribute__((aligned(8)))
#define SKEP_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#error "this text needs a compiler that speaks GNU C"
#endif
#if defined(_WIN32)
#define SKEP_EXPORT __declspec(dllexport)
#else
#define SKEP_EXPORT SKEP_EXPORT_ATTRIBUTE
#endif

/* skep/runtime_context.h, abi 1 */
struct skep_runtime_context;
typedef uint64_t (*skep_helper_fn)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, struct skep_runtime_context *);
typedef uint64_t (*skep_entry_fn)(void *, struct skep_runtime_context *, const void *);
struct skep_entry { skep_entry_fn function; const void *self; };
struct skep_runtime_context {
    uint32_t size, abi, lane, tail_calls;
    const skep_helper_fn *helpers;
    void *const *maps;
    uint8_t *const *map_values;
    uint64_t (*call_back)(struct skep_runtime_context *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    const void *call_back_self;
    uint32_t fault, fault_insn, frames, reserved;
    void *host;
};
/* skep/native_module.h, abi 1 */
struct skep_module_map { void *map; uint8_t *values; uint64_t lane_stride; };
struct skep_module_instance {
    uint32_t size, abi;
    const skep_helper_fn *helpers;
    const struct skep_module_map *maps;
};

/* Memory. LOAD and STORE: the packet, the context and the stack, which nobody else touches during a run. SHARED_*: map
 * values, globals and ring records, which others may write at any time: one access each. */
typedef struct { uint16_t v; } SKEP_ANY skep_any16;
typedef struct { uint32_t v; } SKEP_ANY skep_any32;
typedef struct { uint64_t v; } SKEP_ANY skep_any64;
typedef struct { uint8_t *v; } SKEP_ANY skep_anyptr;
typedef uint32_t SKEP_ALIAS skep_word32;
typedef uint64_t SKEP_ALIAS skep_word64;
typedef uint16_t SKEP_ALIAS skep_word16;
#define LOAD8(p) (*(const uint8_t *)(p))
#define LOAD16(p) (((const skep_any16 *)(p))->v)
#define LOAD32(p) (((const skep_any32 *)(p))->v)
#define LOAD64(p) (((const skep_any64 *)(p))->v)
#define LOADP(p) (((const skep_anyptr *)(p))->v)
#define STORE8(p, x) (*(uint8_t *)(p) = (uint8_t)(x))
#define STORE16(p, x) (((skep_any16 *)(p))->v = (uint16_t)(x))
#define STORE32(p, x) (((skep_any32 *)(p))->v = (uint32_t)(x))
#define STORE64(p, x) (((skep_any64 *)(p))->v = (x))
#define SHARED_LOAD8(p) (*(const volatile uint8_t *)(p))
#define SHARED_LOAD16(p) (((const volatile skep_any16 *)(p))->v)
#define SHARED_LOAD32(p) (((const volatile skep_any32 *)(p))->v)
#define SHARED_LOAD64(p) (((const volatile skep_any64 *)(p))->v)
#define SHARED_STORE8(p, x) (*(volatile uint8_t *)(p) = (uint8_t)(x))
#define SHARED_STORE16(p, x) (((volatile skep_any16 *)(p))->v = (uint16_t)(x))
#define SHARED_STORE32(p, x) (((volatile skep_any32 *)(p))->v = (uint32_t)(x))
#define SHARED_STORE64(p, x) (((volatile skep_any64 *)(p))->v = (x))
#define ADDRESS(x) ((uint8_t *)(uintptr_t)(x))

/* Division: by zero gives 0, modulo zero the dividend; the least number over -1 wraps (RFC 9669 section 4.1). */
SKEP_INLINE uint64_t div64(uint64_t a, uint64_t b) { return b == 0 ? 0 : a / b; }
SKEP_INLINE uint64_t mod64(uint64_t a, uint64_t b) { return b == 0 ? a : a % b; }
SKEP_INLINE uint32_t div32(uint32_t a, uint32_t b) { return b == 0 ? 0 : a / b; }
SKEP_INLINE uint32_t mod32(uint32_t a, uint32_t b) { return b == 0 ? a : a % b; }
SKEP_INLINE uint64_t sdiv64(uint64_t a, uint64_t b) {
    if (b + 1 <= 1) return b == 0 ? 0 : 0 - a;
    return (uint64_t)((int64_t)a / (int64_t)b);
}
SKEP_INLINE uint64_t smod64(uint64_t a, uint64_t b) {
    if (b + 1 <= 1) return b == 0 ? a : 0;
    return (uint64_t)((int64_t)a % (int64_t)b);
}
SKEP_INLINE uint32_t sdiv32(uint32_t a, uint32_t b) {
    if (b + 1 <= 1) return b == 0 ? 0 : 0 - a;
    return (uint32_t)((int32_t)a / (int32_t)b);
}
SKEP_INLINE uint32_t smod32(uint32_t a, uint32_t b) {
    if (b + 1 <= 1) return b == 0 ? a : 0;
    return (uint32_t)((int32_t)a % (int32_t)b);
}
SKEP_INLINE uint64_t arsh64(uint64_t a, unsigned n) { return (uint64_t)((int64_t)a >> n); }
SKEP_INLINE uint32_t arsh32(uint32_t a, unsigned n) { return (uint32_t)((int32_t)a >> n); }
SKEP_INLINE uint64_t sext(uint64_t a, unsigned unused) { return (uint64_t)((int64_t)(a << unused) >> unused); }
#if defined(__x86_64__) && !defined(__clang__)
/* gcc 12 makes x ^ x of __atomic_fetch_xor(p, x) where the result goes to x itself: its loop loads the old value into
 * x's register before it takes the operand from there. So does its loop for and and or. Here the loop is ours. */
#define SKEP_FETCH(name, bits, op)                                                                                     \
    SKEP_INLINE uint##bits##_t fetch_##name##bits(skep_word##bits *p, uint##bits##_t value) {                            \
        uint##bits##_t old = __atomic_load_n(p, __ATOMIC_RELAXED);                                                     \
        while (!__atomic_compare_exchange_n(p, &old, old op value, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {           \
        }                                                                                                              \
        return old;                                                                                                    \
    }
#else
#define SKEP_FETCH(name, bits, op)                                                                                     \
    SKEP_INLINE uint##bits##_t fetch_##name##bits(skep_word##bits *p, uint##bits##_t value) {                            \
        return __atomic_fetch_##name(p, value, __ATOMIC_SEQ_CST);                                                      \
    }
#endif
SKEP_FETCH(or, 32, |)
SKEP_FETCH(or, 64, |)
SKEP_FETCH(and, 32, &)
SKEP_FETCH(and, 64, &)
SKEP_FETCH(xor, 32, ^)
SKEP_FETCH(xor, 64, ^)
SKEP_INLINE uint32_t cmpxchg32(skep_word32 *p, uint32_t expected, uint32_t value) {
    __atomic_compare_exchange_n(p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
SKEP_INLINE uint64_t cmpxchg64(skep_word64 *p, uint64_t expected, uint64_t value) {
    __atomic_compare_exchange_n(p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
)";

/// What a compiler may call although nobody wrote the call. The module links with nothing, so it brings its own.
constexpr const char* library_functions = R"(
/* What a compiler may call although nobody wrote the call; the module is linked with no library. */
#if defined(_WIN32)
#define SKEP_LIBRARY
#else
#define SKEP_LIBRARY __attribute__((visibility("hidden")))
#endif
SKEP_LIBRARY void *memset(void *to, int byte, __SIZE_TYPE__ count);
SKEP_LIBRARY void *memcpy(void *to, const void *from, __SIZE_TYPE__ count);
SKEP_LIBRARY void *memmove(void *to, const void *from, __SIZE_TYPE__ count);
SKEP_LIBRARY int memcmp(const void *a, const void *b, __SIZE_TYPE__ count);
SKEP_LIBRARY void *memset(void *to, int byte, __SIZE_TYPE__ count) {
#if defined(__x86_64__)
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(byte) : "memory");
#else
    volatile uint8_t *at = (volatile uint8_t *)to;
    while (count-- != 0) *at++ = (uint8_t)byte;
#endif
    return to;
}
SKEP_LIBRARY void *memmove(void *to, const void *from, __SIZE_TYPE__ count) {
    volatile uint8_t *at = (volatile uint8_t *)to;
    const volatile uint8_t *in = (const volatile uint8_t *)from;
    if ((uintptr_t)to <= (uintptr_t)from) {
        while (count-- != 0) *at++ = *in++;
    } else {
        while (count-- != 0) at[count] = in[count];
    }
    return to;
}
SKEP_LIBRARY void *memcpy(void *to, const void *from, __SIZE_TYPE__ count) { return memmove(to, from, count); }
SKEP_LIBRARY int memcmp(const void *a, const void *b, __SIZE_TYPE__ count) {
    const volatile uint8_t *x = (const volatile uint8_t *)a, *y = (const volatile uint8_t *)b;
    for (; count-- != 0; ++x, ++y) {
        const int left = *x, right = *y;
        if (left != right) return left - right;
    }
    return 0;
}
)";

HelperId packet_helper(const isa::Row& row) {
    if (row.access_bytes() == 1) return HelperId::PacketLoad1;
    if (row.access_bytes() == 2) return HelperId::PacketLoad2;
    return HelperId::PacketLoad4;
}

/// The helper an instruction calls, or -1.
int32_t helper_of(const BoundProgram& bound, const isa::PlacedInsn& placed) {
    if (placed.insn.row().is_packet_load()) return static_cast<int32_t>(packet_helper(placed.insn.row()));
    if (placed.insn.op != isa::Op::Call || placed.index >= bound.bindings.size()) return -1;
    const Binding& binding = bound.bindings[placed.index];
    return binding.kind == BindingKind::Helper && binding.helper < platform::helper_count ? binding.helper : -1;
}

/// Whether calls may nest deeper than SKEP_FRAME_DEPTH, for all that the code shows.
bool nests_deep(std::span<const Function> functions, std::span<const Node> nodes) {
    std::vector<uint32_t> depth(functions.size(), 1);
    for (bool changed = true; changed;) {
        changed = false;
        for (const Function& function : functions) {
            for (uint32_t i = function.first; i < function.last; ++i) {
                const Form form = nodes[i].row().form;
                if (form == Form::WideTarget || form == Form::CallDst) return true;
                if (form != Form::CallTarget) continue;
                const uint32_t reached = depth[function.index] + 1;
                if (reached <= depth[nodes[i].target]) continue;
                if (reached > SKEP_FRAME_DEPTH) return true;
                depth[nodes[i].target] = reached;
                changed = true;
            }
        }
    }
    return false;
}

class ProgramEmitter {
  public:
    ProgramEmitter(const ModuleSource& module, const ProgramSource& source, size_t number)
        : module_(module), source_(source), bound_(source.program->bound()), number_(number) {}

    Result<std::string> run() {
        SKEP_TRY(decode());
        make_functions();
        for (Function& f : functions_) f.analyse_flow();
        for (bool changed = true; changed;) {
            changed = false;
            for (Function& f : functions_) changed |= f.analyse_entry(functions_);
        }
        for (Function& f : functions_) f.analyse_variables(functions_);
        for (Function& f : functions_)
            if (f.referred) f.argument_types.fill(type_int64);
        for (bool changed = true; changed;) {
            changed = false;
            for (Function& f : functions_) changed |= f.infer(functions_);
        }
        return write();
    }

  private:
    Result<void> decode() {
        SKEP_ASSIGN(const std::vector<isa::PlacedInsn> insns, isa::decode_all(bound_.linked.code));
        node_of_slot_.assign(bound_.linked.code.size() + 1, UINT32_MAX);
        nodes_.reserve(insns.size());
        for (const isa::PlacedInsn& placed : insns) {
            node_of_slot_[placed.index] = static_cast<uint32_t>(nodes_.size());
            Node node;
            node.at = placed.index;
            node.insn = placed.insn;
            node.helper = helper_of(bound_, placed);
            if (placed.insn.row().form == Form::CallImm) node.arguments = argument_count(node.helper);
            if (placed.insn.row().form == Form::CallDst) node.arguments = 5;
            nodes_.push_back(node);
        }
        for (const object::Subprogram& s : bound_.linked.subprograms) function_of_slot_[s.start] = function_count_++;
        for (Node& node : nodes_) {
            const isa::Row& row = node.row();
            const bool to_function = row.form == Form::CallTarget || row.form == Form::WideTarget;
            if (!row.is_jump() && !to_function) continue;
            const int64_t target = isa::target_of(node.insn, node.at);
            const Error wrong{Errc::BadInstruction, Where{.insn = node.at},
                              "a jump or call leaves the program or its function"};
            if (target < 0 || target >= static_cast<int64_t>(bound_.linked.code.size())) return wrong;
            if (to_function) {
                const auto found = function_of_slot_.find(static_cast<uint32_t>(target));
                if (found == function_of_slot_.end()) return wrong;
                node.target = found->second;
            } else {
                node.target = node_of_slot_[static_cast<size_t>(target)];
                if (node.target == UINT32_MAX) return wrong;
            }
        }
        return {};
    }

    void make_functions() {
        functions_.reserve(bound_.linked.subprograms.size());
        node_of_slot_.back() = static_cast<uint32_t>(nodes_.size());
        for (const object::Subprogram& s : bound_.linked.subprograms) {
            functions_.emplace_back(*source_.program, module_, source_, nodes_, node_of_slot_[s.start],
                                    node_of_slot_[s.end]);
            functions_.back().index = static_cast<uint32_t>(functions_.size() - 1);
        }
        functions_[0].is_main = true;
        std::vector<uint32_t> work{0};
        functions_[0].used = true;
        while (!work.empty()) {
            const Function& from = functions_[work.back()];
            work.pop_back();
            for (uint32_t i = from.first; i < from.last; ++i) {
                const Form form = nodes_[i].row().form;
                if (form != Form::CallTarget && form != Form::WideTarget) continue;
                Function& to = functions_[nodes_[i].target];
                if (form == Form::WideTarget || to.is_main) to.referred = true;
                if (to.used) continue;
                to.used = true;
                work.push_back(to.index);
            }
        }
        // callx may name any function by its number.
        for (const Node& node : nodes_) {
            if (node.row().form != Form::CallDst) continue;
            for (Function& f : functions_) f.used = f.referred = true;
            break;
        }
    }

    Result<std::string> write() {
        ProgramText text{.module = module_,
                         .source = source_,
                         .nodes = nodes_,
                         .functions = functions_,
                         .prefix = fmt::format("p{}_", number_)};
        text.counts_frames = !source_.program->verified() && nests_deep(functions_, nodes_);
        text.callback_state = text.counts_frames;
        for (const Function& f : functions_) text.callback_state |= f.referred;

        std::string out = fmt::format("\n/* ---- program {} ({}) ---- */\n", comment_text(bound_.linked.name),
                                      comment_text(bound_.linked.section));
        for (const Function& f : functions_)
            if (f.used) out += signature_of(text, f) + ";\n";
        for (const Function& f : functions_) {
            if (!f.used) continue;
            auto body = function_text(text, f);
            if (!body) return std::move(body).error().in_function(bound_.linked.subprograms[f.index].name);
            out += *body;
        }
        if (text.callback_state) out += callback_text(text);
        out += entry_text(text);
        return out;
    }

    static std::string comment_text(std::string_view text) {
        std::string out;
        for (const char c : text) out += c >= ' ' && c < 127 && c != '*' && c != '\\' ? c : '?';
        return out;
    }

    /// skep_runtime_context::call_back: numbers of functions are their first slots.
    static std::string callback_text(const ProgramText& text) {
        std::string out = fmt::format(
            "\nstruct {0}state {{ const struct skep_module_instance *self; uint8_t *ctx; }};\n"
            "static uint64_t {0}call_back(struct skep_runtime_context *run, uint64_t callee, uint64_t a1, uint64_t a2, "
            "uint64_t a3, uint64_t a4, uint64_t a5) {{\n"
            "    const struct {0}state *state = (const struct {0}state *)run->call_back_self;\n"
            "    const struct skep_module_instance *self = state->self;\n"
            "    uint8_t *ctx = state->ctx;\n"
            "    uint64_t r0 = 0;\n"
            "    (void)a1, (void)a2, (void)a3, (void)a4, (void)a5, (void)self, (void)ctx;\n",
            text.prefix);
        if (text.counts_frames)
            out += "    if (run->frames >= 8u) { run->fault = 1u; return 0; }\n    ++run->frames;\n";
        out += "    switch (callee) {\n";
        static const std::string arguments[] = {"a1", "a2", "a3", "a4", "a5"};
        for (const Function& f : text.functions) {
            if (!f.referred || !f.used) continue;
            out += fmt::format("    case {}u: r0 = {}; break;\n", text.nodes[f.first].at,
                               call_of(text, f, std::span(arguments)));
        }
        out += "    default: run->fault = 2u; run->fault_insn = (uint32_t)callee; break;\n    }\n";
        if (text.counts_frames) out += "    --run->frames;\n";
        out += "    return r0;\n}\n";
        return out;
    }

    static std::string entry_text(const ProgramText& text) {
        const Function& main = text.functions[0];
        std::string out = fmt::format(
            "\nSKEP_EXPORT uint64_t {0}(void *context, struct skep_runtime_context *run, const void *instance);\n"
            "SKEP_EXPORT uint64_t {0}(void *context, struct skep_runtime_context *run, const void *instance) {{\n"
            "    const struct skep_module_instance *self = (const struct skep_module_instance *)instance;\n"
            "    uint8_t *ctx = (uint8_t *)context;\n",
            text.source.symbol);
        const std::string zero = "0";
        const std::string first = main.referred ? "(uint64_t)(uintptr_t)ctx" : "ctx";
        const std::string arguments[] = {first, zero, zero, zero, zero};
        const std::string call = call_of(text, main, arguments);
        if (!text.callback_state) return out + fmt::format("    return {};\n}}\n", call);
        if (text.counts_frames) out += "    if (run->frames >= 8u) { run->fault = 1u; return 0; }\n";
        out += fmt::format(
            "    const struct {0}state state = {{self, ctx}};\n"
            "    uint64_t (*const outer)(struct skep_runtime_context *, uint64_t, uint64_t, uint64_t, uint64_t, "
            "uint64_t, uint64_t) = run->call_back;\n"
            "    const void *const outer_self = run->call_back_self;\n"
            "    uint64_t r0;\n"
            "    run->call_back = {0}call_back;\n"
            "    run->call_back_self = &state;\n",
            text.prefix);
        if (text.counts_frames) out += "    ++run->frames;\n";
        out += fmt::format("    r0 = {};\n", call);
        if (text.counts_frames) out += "    --run->frames;\n";
        out += "    run->call_back = outer;\n    run->call_back_self = outer_self;\n    return r0;\n}\n";
        return out;
    }

    const ModuleSource& module_;
    const ProgramSource& source_;
    const BoundProgram& bound_;
    size_t number_;
    std::vector<Node> nodes_;
    std::vector<uint32_t> node_of_slot_;
    std::map<uint32_t, uint32_t> function_of_slot_;
    uint32_t function_count_ = 0;
    std::vector<Function> functions_;
};

}  // namespace

std::vector<HelperId> used_helpers(std::span<const ExecutableProgram* const> programs) {
    std::vector<bool> used(platform::helper_count);
    for (const ExecutableProgram* program : programs) {
        const auto insns = isa::decode_all(program->bound().linked.code);
        if (!insns) continue;  // emit_c says so
        for (const isa::PlacedInsn& placed : *insns)
            if (const int32_t helper = helper_of(program->bound(), placed); helper >= 0)
                used[static_cast<size_t>(helper)] = true;
    }
    std::vector<HelperId> out;
    for (size_t i = 0; i < used.size(); ++i)
        if (used[i]) out.push_back(static_cast<HelperId>(i));
    std::sort(out.begin(), out.end(), [](HelperId a, HelperId b) {
        return std::strcmp(platform::helper_name(a), platform::helper_name(b)) < 0;
    });
    return out;
}

std::span<const char* const> required_flags() {
    static constexpr const char* flags[] = {"-std=c11", "-ffreestanding", "-fno-strict-overflow",
                                            "-fno-strict-aliasing"};
    return flags;
}

Result<std::string> emit_c(const ModuleSource& source) {
    std::string out = fmt::format("/* {} */\n/* Compile with", source.title);
    for (const char* flag : required_flags()) out += fmt::format(" {}", flag);
    out += ". */\n";
    out += declarations;
    if (!source.maps.empty()) out += "\n/* Maps, by their place in the instance. */\n";
    for (size_t i = 0; i < source.maps.size(); ++i) out += fmt::format("/* {:3} {} */\n", i, source.maps[i].name);
    if (!source.helpers.empty()) out += "\n/* Helpers, by their place in the instance. */\n";
    for (size_t i = 0; i < source.helpers.size(); ++i)
        out += fmt::format("#define HELPER_{} self->helpers[{}]\n", platform::helper_name(source.helpers[i]), i);
    for (size_t i = 0; i < source.programs.size(); ++i) {
        SKEP_ASSIGN(const std::string text, ProgramEmitter(source, source.programs[i], i).run());
        out += text;
    }
    out += library_functions;
    return out;
}

}  // namespace skep::engine::native
