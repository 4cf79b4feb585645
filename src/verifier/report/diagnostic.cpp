// SPDX-License-Identifier: Apache-2.0
#include "verifier/report/diagnostic.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "isa/insn.hpp"
#include "verifier/report/fix.hpp"
#include "verifier/report/trail.hpp"
#include "verifier/report/words.hpp"

namespace skep::verifier {

namespace {

/// The last record at or before `at` inside its function.
const object::SourceLine* line_at(const object::LinkedProgram& program, isa::InsnIndex at) {
    const auto after = std::ranges::upper_bound(program.lines, at, {}, &object::SourceLine::insn);
    if (after == program.lines.begin()) return nullptr;
    const object::SourceLine& line = *std::prev(after);
    for (const object::Subprogram& f : program.subprograms) {
        if (at >= f.start && at < f.end) return line.insn >= f.start ? &line : nullptr;
    }
    return nullptr;
}

std::optional<SourceText> source_at(const object::LinkedProgram& program, isa::InsnIndex at) {
    const object::SourceLine* line = line_at(program, at);
    if (line == nullptr || line->line == 0) return std::nullopt;
    return SourceText{line->file, line->line, line->column, line->text};
}

const char* step_words(Step::Kind kind) {
    switch (kind) {
        case Step::Kind::Taken: return "taken";
        case Step::Kind::NotTaken: return "not taken";
        case Step::Kind::Call: return "call";
        case Step::Kind::Return: return "return";
        case Step::Kind::Made: return "";
        case Step::Kind::Lost: return "";
    }
    return "";
}

/// The pointer at fault, before the instruction.
std::optional<Pointer> pointer_at_fault(const Subject& subject, const Failure& failure, const State& s) {
    if (failure.reg < 0 || failure.reg > 10 || s.frames.empty() || !s.is_set(static_cast<unsigned>(failure.reg)))
        return {};
    const Result<isa::Insn> insn = isa::decode(subject.linked().code, failure.insn);
    const uint64_t moved = insn && insn->row().is_memory() ? static_cast<uint64_t>(int64_t{insn->offset}) : 0;
    return pointer_of(s, plus(s.reg(static_cast<unsigned>(failure.reg)), moved));
}

/// What came from the place that the failure names as its origin.
std::string origin_words(const Subject& subject, const Failure& failure) {
    const std::string none = failure.reg >= 0 ? fmt::format("r{} comes from here", failure.reg) : "it comes from here";
    if (failure.state == nullptr) return none;
    const State& s = *failure.state;
    const auto p = pointer_at_fault(subject, failure, s);
    if (!p) return none;
    for (const Term& term : {p->offset.a, p->offset.b}) {
        if (term.factor == 0 || s[term.sym].origin != failure.origin || s[term.sym].is_base()) continue;
        return fmt::format("the offset comes from here: {}", number_words(number_of(s, p->offset)));
    }
    if (s[p->base].origin == failure.origin) {
        const std::string region = region_words(subject, s[p->base].region);
        return fmt::format("r{} comes from here: {}{}", failure.reg, region,
                           s[p->base].region.nullable ? ", or null" : "");
    }
    return none;
}

/// Where the bound that is known, and not enough, was learned.
std::optional<Remark> bound_remark(const Subject& subject, const Failure& failure) {
    const bool bounds = failure.region == RegionKind::Packet || failure.region == RegionKind::MapValue ||
                        failure.region == RegionKind::Memory || failure.region == RegionKind::Stack;
    if (!failure.certain || !bounds || failure.rule == Rule::DeadPointer || failure.rule == Rule::NullDereference)
        return {};
    const auto trail = follow(subject, failure.path, failure.insn);
    if (!trail || !trail->failure) return {};
    const State& end = trail->end();
    const auto p = pointer_at_fault(subject, failure, end);
    if (!p) return {};
    const auto told = [&](size_t step, std::string text) {
        return Remark{place_of(subject, trail->insns[step]), std::move(text)};
    };
    const Region& region = end[p->base].region;
    if (region.kind == RegionKind::Packet && region.length != no_sym) {
        const uint64_t least = end[region.length].num.umin();
        const auto step = learned(*trail, [&](const State& s) {
            return region.length < s.symbols.size() && s[region.length].num.umin() >= least;
        });
        if (least != 0 && step)
            return told(*step, fmt::format("here the packet is known to have {} byte{}", least, least == 1 ? "" : "s"));
        return {};
    }
    if (p->offset.is_constant()) return {};
    const uint64_t most = number_of(end, p->offset).umax();
    const auto step = learned(*trail, [&](const State& s) {
        const auto there = [&](const Term& t) { return t.factor == 0 || t.sym < s.symbols.size(); };
        return there(p->offset.a) && there(p->offset.b) && number_of(s, p->offset).umax() <= most;
    });
    if (!step || trail->insns[*step] == failure.origin) return {};
    const Result<isa::Insn> insn = isa::decode(subject.linked().code, trail->insns[*step]);
    if (!insn || !insn->row().is_conditional_compare()) return {};
    return told(*step, fmt::format("here the offset is bounded: {}", number_words(number_of(end, p->offset))));
}

std::string page_of(Rule rule) { return fmt::format("docs/verifier/{}.md", rule_code(rule)); }

}  // namespace

std::vector<SourceText> lines_around(const object::LinkedProgram& program, const SourceText& here) {
    std::map<uint32_t, const object::SourceLine*> near;
    for (const object::SourceLine& line : program.lines) {
        const uint32_t distance = line.line > here.line ? line.line - here.line : here.line - line.line;
        if (distance <= 2 && line.file == here.file && !line.text.empty()) near.emplace(line.line, &line);
    }
    std::vector<SourceText> lines;
    for (const auto& [number, line] : near) {
        if (number == here.line) {
            lines.push_back(here);
        } else {
            lines.push_back({line->file, line->line, 0, line->text});
        }
    }
    if (lines.empty()) lines.push_back(here);
    return lines;
}

isa::InsnIndex reported_insn(const object::LinkedProgram& program, isa::InsnIndex at) {
    const object::SourceLine* here = line_at(program, at);
    const auto starts_with = [](const object::SourceLine& line, std::string_view word) {
        const size_t first = line.text.find_first_not_of(" \t");
        return first != std::string::npos && std::string_view(line.text).substr(first).starts_with(word);
    };
    if (here == nullptr || !starts_with(*here, "}") || here == program.lines.data()) return at;
    const object::SourceLine& before = *(here - 1);
    const bool same_function = line_at(program, before.insn) == &before && before.file == here->file;
    return same_function && starts_with(before, "return") ? before.insn : at;
}

isa::InsnIndex reported_place(const object::LinkedProgram& program, const Failure& failure) {
    const auto insn_at = [&](isa::InsnIndex at) {
        return at < program.code.size() ? isa::decode(program.code, at)
                                        : Result<isa::Insn>(Error(Errc::InvalidArgument, ""));
    };
    const auto target_of = [&](isa::InsnIndex at) -> int64_t {
        const auto insn = insn_at(at);
        return insn && insn->row().is_jump() ? isa::target_of(*insn, at) : -1;
    };
    if (failure.rule == Rule::ReferenceLeak || failure.rule == Rule::LockLeak) {
        // The last branch taken, if it jumps straight to the end: `if (...) return ...;`.
        const Step* last = nullptr;
        for (const Step& step : failure.path) {
            if (step.kind == Step::Kind::Taken || step.kind == Step::Kind::NotTaken) last = &step;
        }
        const int64_t target = last != nullptr && last->kind == Step::Kind::Taken ? target_of(last->insn) : -1;
        const object::SourceLine* line = target >= 0 ? line_at(program, last->insn) : nullptr;
        const bool leaves = line != nullptr && line->text.find("return") != std::string::npos;
        if (leaves && target <= int64_t{failure.insn} && failure.insn - target <= 3) return last->insn;
    }
    if (failure.rule == Rule::UnboundedLoop || failure.rule == Rule::EndlessLoop) {
        // The branch that goes back to the loop's head, if it is one that may also leave.
        for (isa::InsnIndex at = failure.insn; at < program.code.size();) {
            const auto insn = insn_at(at);
            if (!insn) break;
            if (insn->row().is_conditional_compare() && target_of(at) == int64_t{failure.insn}) {
                const object::SourceLine* line = line_at(program, at);
                return line != nullptr && line->line != 0 ? at : failure.insn;
            }
            if (insn->row().is_exit()) break;
            at += insn->slots();
        }
    }
    return failure.insn;
}

CodePlace place_of(const Subject& subject, isa::InsnIndex at) {
    CodePlace place;
    if (at >= subject.linked().code.size()) return place;
    place.insn = at;
    place.insn_text = insn_words(subject, at);
    const uint16_t function = subject.function_at(at);
    if (function < subject.linked().subprograms.size()) place.function = subject.linked().subprograms[function].name;
    place.source = source_at(subject.linked(), reported_insn(subject.linked(), at));
    return place;
}

Diagnostic explain(const object::ObjectSpec& spec, const Subject& subject, const Failure& failure) {
    Diagnostic d;
    d.code = rule_code(failure.rule);
    d.title = rule_title(failure.rule);
    d.page = page_of(failure.rule);
    d.verdict = failure.verdict();
    d.place = place_of(subject, failure.insn);
    if (const isa::InsnIndex told = reported_place(subject.linked(), failure); told != failure.insn)
        d.place.source = place_of(subject, told).source;
    if (d.place.source) d.around = lines_around(subject.linked(), *d.place.source);
    d.what = failure.what;
    d.needs = failure.needs;
    d.known = failure.known;
    const State* state = failure.state.get();
    const bool has_reg = state != nullptr && failure.reg >= 0 && failure.reg <= 10 && !state->frames.empty() &&
                         state->is_set(static_cast<unsigned>(failure.reg));
    if (d.known.empty() && has_reg) {
        d.known = fmt::format("r{} = {}", failure.reg,
                              value_words(subject, *state, state->reg(static_cast<unsigned>(failure.reg))));
    }
    if (failure.origin != no_insn && failure.origin != failure.insn)
        d.why.push_back({place_of(subject, failure.origin), origin_words(subject, failure)});
    if (const auto bound = bound_remark(subject, failure)) d.why.push_back(*bound);
    for (const Step& step : failure.path) {
        Remark remark{place_of(subject, step.insn), step.text};
        if (step.kind == Step::Kind::Made || step.kind == Step::Kind::Lost) {
            d.why.push_back(std::move(remark));
        } else {
            if (remark.text.empty()) remark.text = step_words(step.kind);
            d.path.push_back(std::move(remark));
        }
    }
    if (state != nullptr) d.state = state_words(subject, *state);
    const Fix fix = suggest(spec, subject, failure);
    d.help = !failure.hint.empty() && fix.line.empty() ? failure.hint : fix.help;
    if (d.help.empty()) d.help = failure.hint;
    d.fix = fix.line;
    d.fix_line = fix.before_line;
    return d;
}

std::optional<Rule> rule_of(const Error& error) {
    // The floors below know no rules; what they refuse is told by its code and the sentence's fixed part.
    struct Row {
        Errc code;
        std::string_view words;
        Rule rule;
    };
    static constexpr Row rows[] = {
        {Errc::UnknownOpcode, "", Rule::BadEncoding},
        {Errc::BadInstruction, "leaves its function", Rule::JumpOutside},
        {Errc::BadInstruction, "leaves the program", Rule::JumpOutside},
        {Errc::BadInstruction, "target", Rule::JumpOutside},
        {Errc::BadInstruction, "runs off", Rule::FallsOff},
        {Errc::BadInstruction, "", Rule::BadEncoding},
        {Errc::NotPermitted, "GPL", Rule::Licence},
        {Errc::Rejected, "may not call helper", Rule::UnknownHelper},
        {Errc::Rejected, "packet load", Rule::WrongProgramType},
        {Errc::Rejected, "cannot use maps with", Rule::WrongProgramType},
        {Errc::Rejected, "context pointer was moved", Rule::ContextModified},
        {Errc::Rejected, "helper", Rule::ArgumentType},
        {Errc::Rejected, "of struct", Rule::ContextAccess},
        {Errc::Unresolved, "unknown helper", Rule::UnknownHelper},
        {Errc::Rejected, "", Rule::ContextAccess},
    };
    for (const Row& row : rows) {
        if (row.code == error.code() && error.what().find(row.words) != std::string::npos) return row.rule;
    }
    switch (error.code()) {
        case Errc::Unsupported:
        case Errc::NotSupported:
        case Errc::Undecided:
        case Errc::Unresolved:
        case Errc::LimitExceeded: return Rule::NotModelled;
        default: return std::nullopt;
    }
}

std::optional<Verdict> verdict_of(const Error& error) {
    const auto rule = rule_of(error);
    if (!rule) return std::nullopt;
    Failure failure;
    failure.rule = *rule;
    failure.certain = true;
    return failure.verdict();
}

Diagnostic explain(const Error& error, const object::LinkedProgram* program) {
    Diagnostic d;
    const Rule rule = rule_of(error).value_or(Rule::NotModelled);
    d.code = rule_code(rule);
    d.title = rule_title(rule);
    d.page = page_of(rule);
    d.verdict = verdict_of(error).value_or(Verdict::NotModelled);
    const Where& where = error.where();
    if (where.insn) {
        d.place.insn = *where.insn;
        d.place.insn_text = where.insn_text;
    }
    d.place.function = where.function;
    if (where.source_line != 0) {
        d.place.source = SourceText{where.source_file, where.source_line, where.source_column, {}};
        if (program != nullptr) {
            if (where.insn) {
                if (const auto source = source_at(*program, *where.insn)) d.place.source = source;
            }
            d.around = lines_around(*program, *d.place.source);
        }
    }
    if (program != nullptr && where.insn && d.place.insn_text.empty()) {
        Subject bare;
        auto bound = std::make_shared<BoundProgram>();
        bound->linked.code = program->code;
        bound->linked.subprograms = program->subprograms;
        bare.program = std::move(bound);
        d.place.insn_text = insn_words(bare, *where.insn);
    }
    d.what = error.what();
    d.known = error.why();
    d.help = error.hint();
    return d;
}

std::string path_words(const std::vector<Remark>& path, size_t most) {
    std::vector<std::string> steps;
    std::string file;
    for (const Remark& remark : path) {
        std::string place;
        if (remark.place.source) {
            const SourceText& source = *remark.place.source;
            const size_t slash = source.file.find_last_of('/');
            const std::string name = slash == std::string::npos ? source.file : source.file.substr(slash + 1);
            place = name == file ? fmt::to_string(source.line) : fmt::format("{}:{}", name, source.line);
            file = name;
        } else {
            place = fmt::format("instruction {}", remark.place.insn);
        }
        if (!remark.text.empty()) place += " " + remark.text;
        if (steps.empty() || steps.back() != place) steps.push_back(std::move(place));
    }
    std::string text;
    const size_t first = steps.size() > most ? steps.size() - most : 0;
    if (first != 0) text = fmt::format("({} earlier) -> ", first);
    for (size_t i = first; i < steps.size(); ++i) text += (i == first ? "" : " -> ") + steps[i];
    return text;
}

}  // namespace skep::verifier
