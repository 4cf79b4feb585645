// SPDX-License-Identifier: Apache-2.0
// One template per rule. Source names are read off the lines that BTF keeps: BTF has no names of local variables.
#include "verifier/report/fix.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

#include "isa/insn.hpp"
#include "platform/helper.hpp"
#include "verifier/report/diagnostic.hpp"

namespace skep::verifier {

namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
    return text;
}

/// Reads source lines around one failure.
class Source {
  public:
    Source(const Subject& subject, isa::InsnIndex at) : program_(subject.linked()) { line_ = record(at); }

    const object::SourceLine* line() const { return line_; }

    const object::SourceLine* record(isa::InsnIndex at) const {
        const auto after = std::ranges::upper_bound(program_.lines, at, {}, &object::SourceLine::insn);
        return after == program_.lines.begin() ? nullptr : &*std::prev(after);
    }

    /// The pointer that the failing line goes through: `tcp` of `doff = tcp->doff;`, `value` of `*value += 1;`,
    /// `table` of `table[i]`. The column says which, where the compiler gave it.
    std::string base() const {
        if (line_ == nullptr) return {};
        const std::string_view text = line_->text;
        std::string best;
        size_t best_distance = SIZE_MAX;
        const size_t column = line_->column == 0 ? 0 : line_->column - 1;
        const auto offer = [&](size_t end, size_t mark, bool members = false) {
            size_t begin = end;
            while (begin > 0 && is_word(text[begin - 1])) --begin;
            // An array inside a struct: `value->kinds`.
            while (members && begin > 1 && (text[begin - 1] == '.' || text.substr(begin - 2, 2) == "->")) {
                begin -= text[begin - 1] == '.' ? 1 : 2;
                while (begin > 0 && is_word(text[begin - 1])) --begin;
            }
            if (begin == end || std::isdigit(static_cast<unsigned char>(text[begin])) != 0) return;
            const size_t distance = mark > column ? mark - column : column - mark;
            if (distance >= best_distance) return;
            best = text.substr(begin, end - begin);
            best_distance = distance;
        };
        for (size_t i = 0; i + 1 < text.size(); ++i) {
            if (text[i] == '-' && text[i + 1] == '>') offer(i, i + 2);
            if (text[i] == '[') offer(i, i, true);
            if (text[i] == '*' && is_word(text[i + 1]) && (i == 0 || !is_word(text[i - 1])) &&
                (i < 2 || !is_word(text[i - 2]) || text[i - 1] != ' ')) {
                size_t end = i + 1;
                while (end < text.size() && is_word(text[end])) ++end;
                offer(end, i);
            }
        }
        return best;
    }

    /// The line that a fix goes before: the failing one; where that is a closing brace, the one after the last
    /// statement, so that a `return` without an instruction of its own stays behind it.
    uint32_t paste_line() const {
        if (trimmed(line_->text) != "}") {
            // The statement of an `if` without braces: before the `if`.
            uint32_t line = line_->line;
            for (bool moved = true; moved && line > 1;) {
                moved = false;
                for (const object::SourceLine& l : program_.lines) {
                    if (l.file != line_->file || l.line + 1 != line) continue;
                    const std::string_view text = trimmed(l.text);
                    const bool heads = text.starts_with("if (") || text.starts_with("for (") ||
                                       text.starts_with("while (") || text.starts_with("else");
                    if (!heads || text.ends_with('{') || text.find(';') != std::string_view::npos) continue;
                    --line;
                    moved = true;
                    break;
                }
            }
            return line;
        }
        uint32_t last = 0;
        for (const object::SourceLine& l : program_.lines) {
            if (l.file == line_->file && l.line < line_->line) last = std::max(last, l.line);
        }
        return last == 0 ? line_->line : last + 1;
    }

    /// The name of the context: `ctx` of `ctx->data_end`.
    std::string context() const {
        for (const object::SourceLine& l : program_.lines) {
            const size_t at = l.text.find("->data");
            if (at == std::string::npos) continue;
            size_t begin = at;
            while (begin > 0 && is_word(l.text[begin - 1])) --begin;
            return l.text.substr(begin, at - begin);
        }
        return {};
    }

    /// The array of `value->kinds[i]` on the failing line: "value->kinds".
    std::string indexed() const {
        if (line_ == nullptr) return {};
        const std::string_view text = line_->text;
        const size_t end = text.find('[');
        if (end == std::string_view::npos) return {};
        size_t begin = end;
        while (begin > 0 && (is_word(text[begin - 1]) || text[begin - 1] == '.' || text[begin - 1] == '>' ||
                             (text[begin - 1] == '-' && text[begin] == '>')))
            --begin;
        return std::string(text.substr(begin, end - begin));
    }

    /// The index of `table[i & 3]` on the failing line: "i" if it is one name.
    std::string index() const {
        if (line_ == nullptr) return {};
        const std::string_view text = line_->text;
        const size_t open = text.find('['), close = open == std::string_view::npos ? open : text.find(']', open);
        if (close == std::string_view::npos) return {};
        const std::string_view inside = trimmed(text.substr(open + 1, close - open - 1));
        const auto plain = [](char c) {
            return is_word(c) || c == '-' || c == '>' || c == '.' || c == ' ' || c == '+' || c == '&';
        };
        const bool changes = inside.find("++") != std::string_view::npos || inside.find("--") != std::string_view::npos;
        return std::ranges::all_of(inside, plain) && !changes ? std::string(inside) : std::string();
    }

    /// Argument `n` (from 0) of a call of `function` on a line: "size" of `f(ctx, 0, buffer, size)`.
    static std::string argument(std::string_view text, std::string_view function, size_t n) {
        const size_t at = text.find(function);
        if (at == std::string_view::npos) return {};
        size_t begin = text.find('(', at);
        if (begin == std::string_view::npos) return {};
        ++begin;
        int depth = 0;
        for (size_t i = begin; i < text.size(); ++i) {
            const char c = text[i];
            if (depth == 0 && (c == ',' || c == ')')) {
                if (n == 0) return std::string(trimmed(text.substr(begin, i - begin)));
                if (c == ')') return {};
                --n;
                begin = i + 1;
            }
            depth += c == '(' || c == '[' ? 1 : 0;
            depth -= c == ')' || c == ']' ? 1 : 0;
        }
        return {};
    }

    /// The variable that is assigned on a line: `event` of `struct event *event = ...;`.
    static std::string assigned(std::string_view text, size_t equals = std::string_view::npos) {
        size_t end = equals == std::string_view::npos ? text.find('=') : equals;
        if (end == std::string_view::npos) return {};
        while (end > 0 && !is_word(text[end - 1])) --end;
        size_t begin = end;
        while (begin > 0 && is_word(text[begin - 1])) --begin;
        return std::string(text.substr(begin, end - begin));
    }

    /// The variable that holds a context field: `end` of `void *end = (void *)(long)ctx->data_end;`.
    std::string variable_of(std::string_view field) const {
        const std::string needle = fmt::format("->{}", field);
        for (const object::SourceLine& l : program_.lines) {
            const size_t at = l.text.find(needle);
            if (at == std::string::npos) continue;
            const size_t after = at + needle.size();
            if (after < l.text.size() && is_word(l.text[after])) continue;
            const size_t equals = l.text.rfind('=', at);
            if (equals == std::string::npos) continue;
            if (std::string name = assigned(std::string_view(l.text).substr(0, equals + 1), equals); !name.empty())
                return name;
        }
        return {};
    }

    /// Where the packet ends: a variable, or the context's field.
    std::string packet_end() const {
        if (std::string name = variable_of("data_end"); !name.empty()) return name;
        const std::string name = context();
        return name.empty() ? name : fmt::format("(void *)(long){}->data_end", name);
    }

    /// What a variable is set to: `data + 14` of `struct iphdr *ip = data + 14;`. The last such line above the failing
    /// one.
    std::string value_of(std::string_view variable) const {
        std::string value;
        for (const object::SourceLine& l : program_.lines) {
            if (line_ == nullptr || l.file != line_->file || l.line >= line_->line || assigned(l.text) != variable)
                continue;
            const size_t equals = l.text.find('='), end = l.text.find(';');
            int depth = 0;
            bool several = false;  // `*a = x, *b = y`
            for (size_t i = equals; i < l.text.size() && i < end; ++i) {
                depth += l.text[i] == '(' ? 1 : l.text[i] == ')' ? -1 : 0;
                several = several || (depth == 0 && l.text[i] == ',');
            }
            if (end == std::string::npos || several) continue;
            value = trimmed(std::string_view(l.text).substr(equals + 1, end - equals - 1));
        }
        return value;
    }

    /// `__u16` and `data + 12` of `*(__u16 *)(data + 12)`; empty if the line has no such access.
    std::pair<std::string, std::string> cast_access() const {
        if (line_ == nullptr) return {};
        const std::string_view text = line_->text;
        const size_t star = text.find("*(");
        const size_t close = star == std::string_view::npos ? star : text.find("*)", star + 2);
        if (close == std::string_view::npos || close + 2 >= text.size() || text[close + 2] != '(') return {};
        const std::string_view type = trimmed(text.substr(star + 2, close - star - 2));
        int depth = 0;
        for (size_t i = close + 2; i < text.size(); ++i) {
            depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
            if (depth == 0) return {std::string(type), std::string(text.substr(close + 3, i - close - 3))};
        }
        return {};
    }

  private:
    const object::LinkedProgram& program_;
    const object::SourceLine* line_ = nullptr;
};

/// How the function around the failure is left without harm.
std::string leave(const object::ObjectSpec& spec, const Subject& subject, isa::InsnIndex at) {
    const uint16_t f = subject.function_at(at);
    if (f == 0) {
        switch (subject.program->type) {
            case platform::ProgramType::Xdp: return "return XDP_PASS;";
            case platform::ProgramType::SchedCls:
            case platform::ProgramType::SchedAct: return "return TC_ACT_OK;";
            default: return "return 0;";
        }
    }
    const auto& types = subject.linked().func_types;
    if (spec.btf != nullptr && f < types.size() && types[f] != 0) {
        const btf::Type& proto = spec.btf->type(spec.btf->strip(spec.btf->type(types[f]).type));
        if (proto.kind == btf::Kind::FuncProto) {
            const btf::Kind result = spec.btf->type(spec.btf->strip(proto.type)).kind;
            if (result == btf::Kind::Void) return "return;";
            if (result == btf::Kind::Ptr) return "return NULL;";
        }
    }
    return "return 0;";
}

std::string helper_at(const Subject& subject, isa::InsnIndex at) {
    const auto& bindings = subject.program->bindings;
    if (at >= bindings.size() || bindings[at].kind != BindingKind::Helper) return {};
    return platform::helper_name(static_cast<platform::HelperId>(bindings[at].helper));
}

/// How many elements an array has whose index is out of bounds: by the step and the start of its offsets.
std::optional<int64_t> element_count(const Failure& failure) {
    if (failure.state == nullptr || failure.reg < 0 || failure.reg > 9) return {};
    const State& s = *failure.state;
    if (s.frames.empty() || !s.is_set(static_cast<unsigned>(failure.reg))) return {};
    const auto p = pointer_of(s, s.reg(static_cast<unsigned>(failure.reg)));
    if (!p || !p->offset.is_single() || p->offset.a.factor <= 0) return {};
    const auto start = static_cast<int64_t>(p->offset.k);
    const int64_t room = s[p->base].region.size;
    const int64_t count = start >= 0 ? (room - start) / p->offset.a.factor : 0;
    return count > 0 ? std::optional(count) : std::nullopt;
}

}  // namespace

Fix suggest(const object::ObjectSpec& spec, const Subject& subject, const Failure& failure) {
    Fix fix;
    const Source source(subject, reported_place(subject.linked(), failure));
    const std::string out = leave(spec, subject, failure.insn);
    const std::string base = source.base();
    const auto paste = [&](std::string line) {
        if (source.line() == nullptr) return;
        fix.line = std::move(line);
        fix.before_line = source.paste_line();
    };
    switch (failure.rule) {
        case Rule::PacketBounds: {
            fix.help = "compare the end of what is accessed with data_end first, through the same pointer";
            const std::string end = source.packet_end();
            if (const auto [type, address] = source.cast_access(); !type.empty() && !end.empty()) {
                paste(fmt::format("if ((void *)({}) + sizeof({}) > {}) {}", address, type, end, out));
                break;
            }
            if (base.empty() || end.empty()) break;
            const bool indexed = source.line()->text.find(base + "[") != std::string::npos;
            if (indexed) {
                const std::string index = source.index();
                if (index.empty()) break;
                paste(fmt::format("if ((void *)(&{}[{}] + 1) > {}) {}", base, index, end, out));
            } else {
                paste(fmt::format("if ((void *)({} + 1) > {}) {}", base, end, out));
            }
            break;
        }
        case Rule::NullDereference:
            fix.help = "test the pointer before its first use";
            if (!base.empty()) {
                paste(fmt::format("if (!{}) {}", base, out));
            } else if (source.line() != nullptr) {
                std::string pointer = Source::argument(source.line()->text, "__sync_fetch_and_", 0);
                if (pointer.starts_with("&")) pointer.clear();
                if (!pointer.empty() && std::ranges::all_of(pointer, is_word))
                    paste(fmt::format("if (!{}) {}", pointer, out));
            }
            break;
        case Rule::NullableArithmetic:
        case Rule::ArgumentNull:
            fix.help = "test the pointer before it is used";
            if (!base.empty() && failure.rule == Rule::NullableArithmetic) paste(fmt::format("if (!{}) {}", base, out));
            if (failure.rule == Rule::ArgumentNull && failure.reg >= 1 && source.line() != nullptr) {
                std::string pointer = Source::argument(source.line()->text, "bpf_" + helper_at(subject, failure.insn),
                                                       static_cast<size_t>(failure.reg - 1));
                // `&entry->lock`: it is entry that is tested.
                if (pointer.starts_with('&'))
                    pointer = pointer.substr(1, pointer.find("->") == std::string::npos ? 0 : pointer.find("->") - 1);
                if (!pointer.empty() && std::ranges::all_of(pointer, is_word))
                    paste(fmt::format("if (!{}) {}", pointer, out));
            }
            break;
        case Rule::MapValueBounds:
        case Rule::MemoryBounds:
        case Rule::StackBounds: {
            fix.help = "bound the index before it is used, by a comparison or a mask of its unsigned value";
            if (failure.known.find("..") == std::string::npos && failure.known.find("any") == std::string::npos) {
                fix.help = "the place is fixed: access what is inside, or make the memory larger";
                break;
            }
            const std::string index = source.index(), array = source.indexed();
            const bool through_pointer = source.value_of(array).starts_with("bpf_");
            if (const auto elements = element_count(failure); !index.empty() && through_pointer && elements) {
                paste(fmt::format("if ({} >= {}) {}", index, *elements, out));
            } else if (!index.empty() && !array.empty() && !through_pointer) {
                paste(fmt::format("if ({} >= sizeof({}) / sizeof({}[0])) {}", index, array, array, out));
            }
            break;
        }
        case Rule::PointerRange:
            if (const std::string index = source.index();
                failure.region != RegionKind::Packet && !index.empty() && !base.empty()) {
                paste(fmt::format("if ({} >= sizeof({}) / sizeof({}[0])) {}", index, base, base, out));
            }
            fix.help = "compare the number with an upper bound before it is added to the pointer, as an unsigned value";
            break;
        case Rule::UnsetRegister:
            fix.help = failure.reg >= 1 && failure.reg <= 5
                           ? "arguments of a call (r1 to r5) are gone after it: keep them in a variable"
                           : "give the variable a value on every path";
            break;
        case Rule::UnsetStack:
            fix.help = "set all bytes first, padding too: `__builtin_memset(&key, 0, sizeof(key));`";
            break;
        case Rule::FramePointerWritten: fix.help = "r10 is read-only: copy it to another register"; break;
        case Rule::PointerArithmetic:
            fix.help = "only additions and subtractions of numbers, in 64 bits, make sense of an address";
            break;
        case Rule::PointerCompare: fix.help = "compare two pointers of the same object, or a pointer with null"; break;
        case Rule::ZeroDivision: fix.help = "divide by something else"; break;
        case Rule::ShiftTooFar: fix.help = "shift by less than the width"; break;
        case Rule::ReturnRange: fix.help = "return one of the values that the hook knows"; break;
        case Rule::ReturnPointer: fix.help = "return a number"; break;
        case Rule::NotAPointer:
            fix.help =
                "memory is reached through a pointer that is kept as one: not cast to an integer of 32 bits, "
                "not read back from a map";
            break;
        case Rule::ContextAccess: fix.help = "access a field that the program type has, with its own width"; break;
        case Rule::ReadOnly: fix.help = "write elsewhere: this memory is read-only for programs"; break;
        case Rule::DeadPointer:
            if (!base.empty() && failure.region == RegionKind::Packet) {
                const std::string data = source.variable_of("data"), end = source.variable_of("data_end");
                const std::string context = source.context(), value = source.value_of(base);
                const bool told = base == data || !value.empty();
                const std::string again = base == data ? std::string() : fmt::format("{} = {}; ", base, value);
                if (told && !data.empty() && !end.empty() && !context.empty()) {
                    paste(
                        fmt::format("{} = (void *)(long){}->data; {} = (void *)(long){}->data_end; {}"
                                    "if ((void *)({} + 1) > {}) {}",
                                    data, context, end, context, again, base, end, out));
                }
            }
            fix.help = failure.region == RegionKind::Packet
                           ? "the packet was moved: read data and data_end from the context again and repeat the check"
                           : "do not use it after it was given back: do what needs it before";
            break;
        case Rule::SpecialField: fix.help = "use the helpers of the field; copy the fields around it one by one"; break;
        case Rule::PointerLeak: fix.help = "store a number, not an address"; break;
        case Rule::AtomicTarget:
            fix.help = "atomic operations work on map values, the stack and memory of helpers";
            break;
        case Rule::ObjectAccess: fix.help = "read a field that programs may see"; break;
        case Rule::Misaligned: fix.help = "align the access to its width"; break;
        case Rule::ContextModified:
            fix.help = "access the context through the pointer that the program was given, with constant offsets";
            break;
        case Rule::UnknownHelper: fix.help = "use a helper that this program type has"; break;
        case Rule::ArgumentType: fix.help = "pass what the helper's prototype asks for"; break;
        case Rule::ArgumentSize:
            if (failure.reg >= 2 && source.line() != nullptr) {
                const auto n = static_cast<size_t>(failure.reg - 1);
                const std::string function = "bpf_" + helper_at(subject, failure.insn);
                const std::string size = Source::argument(source.line()->text, function, n);
                std::string memory = Source::argument(source.line()->text, function, n - 1);
                if (memory.starts_with('&')) memory.erase(0, 1);
                if (!size.empty() && std::ranges::all_of(size, is_word) && !memory.empty())
                    paste(fmt::format("if ({} < 1 || {} > sizeof({})) {}", size, size, memory, out));
            }
            fix.help =
                "bound the size from both sides before the call, for example `if (size > sizeof(buffer)) ...` on "
                "an unsigned variable";
            break;
        case Rule::ArgumentMemory: fix.help = "pass at most as many bytes as the memory has"; break;
        case Rule::ArgumentConstant: fix.help = "pass a number that is known when the program is compiled"; break;
        case Rule::ArgumentUnset: fix.help = "pass every argument that the helper takes"; break;
        case Rule::MapNotAllowed: fix.help = "use a map of another type, or another helper"; break;
        case Rule::Licence: fix.help = "declare a GPL-compatible licence if it is yours to say, or do without"; break;
        case Rule::ReferenceLeak: {
            fix.help = "release it on every path, also where an error is handled";
            const std::string acquired = failure.origin == no_insn ? std::string() : helper_at(subject, failure.origin);
            const object::SourceLine* made = failure.origin == no_insn ? nullptr : source.record(failure.origin);
            const std::string name = made != nullptr ? Source::assigned(made->text) : std::string();
            std::string call;
            if (acquired == "ringbuf_reserve") call = fmt::format("bpf_ringbuf_discard({}, 0);", name);
            if (acquired.starts_with("sk_lookup") || acquired.starts_with("skc_lookup"))
                call = fmt::format("bpf_sk_release({});", name);
            // On the way out through `if (...) return ...;` it is given back there.
            if (source.line() != nullptr && !call.empty()) {
                const std::string_view text = trimmed(source.line()->text);
                const size_t leaves = text.find(") return"),
                             end = text.find(';', leaves == std::string_view::npos ? 0 : leaves);
                if (text.starts_with("if (") && leaves != std::string_view::npos && end != std::string_view::npos) {
                    call = fmt::format("{} {{ {} {} }}", text.substr(0, leaves + 1), call,
                                       text.substr(leaves + 2, end - leaves - 1));
                }
            }
            if (!name.empty() && !call.empty()) paste(call);
            if (acquired == "ringbuf_reserve") {
                fix.help = "call bpf_ringbuf_submit or bpf_ringbuf_discard on every path";
            } else if (acquired.starts_with("sk_lookup") || acquired.starts_with("skc_lookup")) {
                fix.help = "call bpf_sk_release on every path on which the socket was found";
            }
            break;
        }
        case Rule::NotOwned:
            fix.help = "release only what this program acquired, once, with the pointer unmoved";
            break;
        case Rule::LockHeld: fix.help = "unlock first"; break;
        case Rule::LockNotHeld: fix.help = "unlock the lock that was taken, through the same pointer"; break;
        case Rule::LockTwice: fix.help = "hold one lock at a time"; break;
        case Rule::LockLeak:
            if (failure.origin != no_insn && source.record(failure.origin) != nullptr) {
                const std::string lock = Source::argument(source.record(failure.origin)->text, "bpf_spin_lock", 0);
                if (!lock.empty()) paste(fmt::format("bpf_spin_unlock({});", lock));
            }
            fix.help = "call bpf_spin_unlock on every path";
            break;
        case Rule::Recursion: fix.help = "use a loop"; break;
        case Rule::CallDepth: fix.help = "inline some of the functions (__always_inline)"; break;
        case Rule::StackDepth:
            fix.help = "move large variables into a per-CPU array map, or inline the function (__always_inline)";
            break;
        case Rule::CallbackShape:
        case Rule::CallbackReturn: fix.help = "give the callback the prototype of the helper; return 0 or 1"; break;
        case Rule::StackReturned: fix.help = "let the caller pass the memory"; break;
        case Rule::TailCallInside: fix.help = "make the tail call from the program itself, with nothing held"; break;
        case Rule::EndlessLoop: fix.help = "change the loop's condition in its body"; break;
        case Rule::UnboundedLoop:
            fix.help = "count the rounds: `for (int i = 0; i < N; i++)` with a constant N, or use bpf_loop";
            break;
        case Rule::CostLimit: fix.help = "lower the bounds of the loops"; break;
        case Rule::BadEncoding:
        case Rule::JumpOutside:
        case Rule::FallsOff:
        case Rule::Unreachable:
        case Rule::WrongProgramType:
        case Rule::SleepableOnly:
        case Rule::AbsentOnTarget:
        case Rule::StepLimit:
        case Rule::MemoryLimit:
        case Rule::ContextLimit:
        case Rule::NotModelled:
        case Rule::Internal: break;
    }
    return fix;
}

}  // namespace skep::verifier
