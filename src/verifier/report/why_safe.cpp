// SPDX-License-Identifier: Apache-2.0
#include "verifier/report/why_safe.hpp"

#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "isa/insn.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/program_type.hpp"
#include "verifier/certificate/certificate.hpp"
#include "verifier/certificate/cuts.hpp"
#include "verifier/report/trail.hpp"
#include "verifier/report/words.hpp"
#include "verifier/rules/rules.hpp"
#include "verifier/state/numbers.hpp"

namespace skep::verifier {

namespace {

using isa::InsnIndex;
using platform::ArgKind;
constexpr uint64_t most_steps = 4'000'000;
constexpr size_t most_cases = 4;
constexpr size_t no_disjunct = SIZE_MAX;

/// A state of the certificate at the instruction, and the way from the beginning of its walk.
struct Visit {
    uint32_t disjunct = 0;
    State state;
    std::vector<Step> turns;
};

/// Executes the walks of a certificate that was confirmed, and keeps what passes the instruction.
class Visits {
  public:
    Visits(const Subject& subject, const Certificate& certificate, InsnIndex at)
        : subject_(subject), certificate_(certificate), at_(at), rules_(subject) {
        cuts_.assign(subject.linked().code.size(), false);
        for (const InsnIndex cut : certificate.cuts) cuts_[cut] = true;
        from_.assign(certificate.disjuncts.size(), no_disjunct);
        turns_.resize(certificate.disjuncts.size());
    }

    Result<void> run() {
        std::deque<uint32_t> agenda;
        std::vector<bool> seen(certificate_.disjuncts.size(), false);
        for (const Root& root : certificate_.roots) {
            if (!seen[root.disjunct]) agenda.push_back(root.disjunct);
            seen[root.disjunct] = true;
        }
        while (!agenda.empty()) {
            const uint32_t d = agenda.front();
            agenda.pop_front();
            SKEP_TRY(walk(d));
            for (const uint32_t target : certificate_.disjuncts[d].targets) {
                if (!seen[target]) agenda.push_back(target);
                seen[target] = true;
            }
        }
        return {};
    }

    const std::vector<Visit>& all() const { return visits_; }

    /// The branches from the program's entry to a visit.
    std::vector<Step> way_to(const Visit& visit) const {
        std::vector<const std::vector<Step>*> parts{&visit.turns};
        for (size_t d = visit.disjunct; from_[d] != no_disjunct; d = from_[d]) parts.push_back(&turns_[d]);
        std::vector<Step> way;
        for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
            way.insert(way.end(), (*part)->begin(), (*part)->end());
        }
        return way;
    }

  private:
    struct Open {
        State state;
        std::vector<Step> turns;
    };

    Result<void> walk(uint32_t index) {
        const Disjunct& disjunct = certificate_.disjuncts[index];
        std::vector<Open> open(1);
        open[0].state = disjunct.state;
        size_t target = 0;
        for (bool first = true; !open.empty();) {
            Open walk = std::move(open.back());
            open.pop_back();
            for (bool going = true; going;) {
                State& s = walk.state;
                if (!first && (s.at.phase != Phase::Normal || cuts_[s.at.insn])) {
                    if (target < disjunct.targets.size()) arrive(index, disjunct.targets[target++], walk.turns);
                    break;
                }
                first = false;
                if (++steps_ > most_steps) return Error(Errc::LimitExceeded, "the proof is too long to be told");
                const Place at = s.at;
                if (at.insn == at_ && at.phase == Phase::Normal) visits_.push_back({index, s, walk.turns});
                const Result<isa::Insn> insn = isa::decode(subject_.linked().code, at.insn);
                if (!insn) return insn.error();
                Outcome out = rules_.step(s, *insn);
                const bool branches = insn->row().is_conditional() || at.phase == Phase::CallbackHead;
                switch (out.flow) {
                    case Flow::Fork: {
                        Open other{std::move(*out.other), walk.turns};
                        limit_symbols(other.state);
                        other.turns.push_back({at.insn, Step::Kind::Taken, {}});
                        open.push_back(std::move(other));
                        walk.turns.push_back({at.insn, Step::Kind::NotTaken, {}});
                        break;
                    }
                    case Flow::Next:
                        if (branches || out.taken)
                            walk.turns.push_back({at.insn, out.taken ? Step::Kind::Taken : Step::Kind::NotTaken, {}});
                        break;
                    case Flow::Dead:
                    case Flow::Exit:
                    case Flow::Failed: going = false; break;
                }
                limit_symbols(s);
            }
        }
        return {};
    }

    void arrive(uint32_t from, uint32_t to, const std::vector<Step>& turns) {
        const auto is_root = [&](const Root& r) { return r.disjunct == to; };
        if (from_[to] != no_disjunct || from == to || std::ranges::any_of(certificate_.roots, is_root)) return;
        // Disjuncts are walked in the order they are reached, so the chain of firsts leads back to a root.
        from_[to] = from;
        turns_[to] = turns;
    }

    const Subject& subject_;
    const Certificate& certificate_;
    const InsnIndex at_;
    const Rules rules_;
    std::vector<bool> cuts_;
    std::vector<size_t> from_;
    std::vector<std::vector<Step>> turns_;
    std::vector<Visit> visits_;
    uint64_t steps_ = 0;
};

std::string count_words(uint64_t n, const char* one) { return fmt::format("{} {}{}", n, one, n == 1 ? "" : "s"); }

/// Tells one state.
class Teller {
  public:
    Teller(const Subject& subject, const isa::Insn& insn, InsnIndex at, const State& state, InsnIndex cut,
           const Trail* trail)
        : subject_(subject), insn_(insn), row_(insn.row()), at_(at), s_(state), cut_(cut), trail_(trail) {}

    std::vector<Reason> tell() {
        if (row_.is_memory()) {
            memory();
        } else if (row_.operation == isa::Operation::Call) {
            call();
        } else if (row_.operation == isa::Operation::CallLocal) {
            say("depth", fmt::format("it runs in frame {} of at most {}", s_.frames.size() + 1, max_frames));
            for (unsigned r = 1; r <= 5; ++r) {
                if (s_.is_set(r)) say(name(r), words(r));
            }
        } else if (row_.is_exit()) {
            leave();
        } else if (row_.is_conditional_compare()) {
            branch();
        } else if (row_.is_packet_load()) {
            say("context", "r6 is the context");
            say("inside", "where the packet is too short, the program ends with 0: no byte outside it is read");
        } else if (row_.is_alu()) {
            arithmetic();
        } else {
            say("harmless", "it touches no memory");
        }
        return std::move(reasons_);
    }

  private:
    static std::string name(unsigned r) { return fmt::format("r{}", r); }
    std::string words(unsigned r) const { return value_words(subject_, s_, s_.reg(r)); }
    std::string words(const Val& v) const { return value_words(subject_, s_, v); }

    void say(std::string subject, std::string text, std::optional<CodePlace> learned_at = {}) {
        reasons_.push_back({std::move(subject), std::move(text), std::move(learned_at)});
    }

    std::optional<CodePlace> since(const std::function<bool(const State&)>& holds) const {
        if (trail_ == nullptr) return {};
        const auto step = learned(*trail_, holds);
        return step ? std::optional(place_of(subject_, trail_->insns[*step])) : std::nullopt;
    }

    /// The same register in the state that the way leads to: its symbols are other ones.
    std::optional<Pointer> followed(unsigned reg, uint64_t moved) const {
        if (trail_ == nullptr || !trail_->end().is_set(reg)) return {};
        return pointer_of(trail_->end(), plus(trail_->end().reg(reg), moved));
    }

    static bool known(const State& s, const Pointer& p) {
        const auto there = [&](const Term& t) { return t.factor == 0 || t.sym < s.symbols.size(); };
        return p.base < s.symbols.size() && there(p.offset.a) && there(p.offset.b);
    }

    /// Both ends of a region as forms. Requires: it has ends.
    static std::pair<Val, Val> ends(const Region& region) {
        if (region.kind == RegionKind::Stack) return {Val::constant(uint64_t{0} - stack_bytes), Val::constant(0)};
        Val low = Val::constant(0);
        if (region.meta != no_sym) low = *multiply(Val::symbol(region.meta), -1);
        return {low, region.kind == RegionKind::Packet ? Val::symbol(region.length) : Val::constant(region.size)};
    }

    std::string offset_range(const Num& offset, int64_t bytes) const {
        const int64_t low = smin_of(offset), high = smax_of(offset);
        if (offset.is_constant())
            return bytes == 1 ? fmt::format("byte {}", low) : fmt::format("bytes {} to {}", low, low + bytes - 1);
        return fmt::format("{} from offset {}", count_words(static_cast<uint64_t>(bytes), "byte"),
                           number_words(offset)) +
               (low == high ? "" : fmt::format(", so bytes {} to {} at most", low, high + bytes - 1));
    }

    /// Why `bytes` bytes at reg + moved may be touched.
    void access(unsigned reg, uint64_t moved, int64_t bytes, const char* label) {
        const auto p = pointer_of(s_, plus(s_.reg(reg), moved));
        if (!p) return say(label, words(reg));
        const Region& region = s_[p->base].region;
        const auto f = followed(reg, moved);
        const Num offset = number_of(s_, p->offset);
        say(label,
            region_words(subject_, region) +
                (moved == 0 && offset.is_constant() && offset.umin() == 0 ? "" : ", " + offset_range(offset, bytes)),
            f && !f->offset.is_constant() ? since([&](const State& s) { return known(s, *f); }) : std::nullopt);
        switch (region.kind) {
            case RegionKind::Context:
            case RegionKind::Object: field(region, offset, bytes); break;
            case RegionKind::Stack:
            case RegionKind::Packet:
            case RegionKind::MapValue:
            case RegionKind::MapKey:
            case RegionKind::Memory: bounds(region, *p, f, offset, bytes); break;
            case RegionKind::None:
            case RegionKind::Map:
            case RegionKind::Function: break;
        }
        nullness(region, f);
    }

    void bounds(const Region& region, const Pointer& p, const std::optional<Pointer>& f, const Num& offset,
                int64_t bytes) {
        const auto [low, high] = ends(region);
        const auto above = upper_difference(s_, p.offset, high);
        std::string room;
        if (region.kind == RegionKind::Packet) {
            const Num length = number_of(s_, high);
            if (offset.is_constant() || (smax_of(offset) + bytes <= smin_of(length))) {
                room = fmt::format("the packet has at least {}", count_words(length.umin(), "byte"));
            } else {
                room = fmt::format("the packet has at least {} behind this offset",
                                   count_words(above ? static_cast<uint64_t>(-*above) : 0, "byte"));
            }
        } else if (region.kind == RegionKind::Stack) {
            room =
                fmt::format("a frame has {} bytes, r10 - {} to r10 - 1", unsigned{stack_bytes}, unsigned{stack_bytes});
        } else {
            room = fmt::format("it has {}", count_words(region.size, "byte"));
        }
        std::optional<CodePlace> upper, lower;
        if (f && region.kind != RegionKind::Stack) {
            const Region& followed_region = trail_->end()[f->base].region;
            const auto [l, h] = ends(followed_region);
            upper = since([&, h = h](const State& s) {
                if (!known(s, *f)) return false;
                const auto d = upper_difference(s, f->offset, h);
                return d && *d <= -bytes;
            });
            lower = since([&, l = l](const State& s) {
                if (!known(s, *f)) return false;
                const auto d = upper_difference(s, l, f->offset);
                return d && *d <= 0;
            });
        }
        // What holds since the address was made needs no place of its own.
        const InsnIndex made = f ? trail_->end()[f->base].origin : no_insn;
        for (auto* place : {&lower, &upper}) {
            if (*place && (*place)->insn == made) place->reset();
        }
        const bool fixed = offset.is_constant();
        if (f && !fixed && f->offset.is_constant()) {
            say("each round", "all runs that meet at this place are inside what follows: the checker has confirmed it",
                place_of(subject_, cut_));
        }
        if (!fixed) say("from below", fmt::format("the offset is {} or more", smin_of(offset)), lower);
        say(fixed ? "inside" : "from above", room, upper);
        if (region.kind == RegionKind::MapValue && region.map < subject_.maps.size() &&
            !subject_.maps[region.map].special.empty()) {
            say("fields", "it overlaps no lock, timer or kernel pointer of the value");
        }
    }

    void field(const Region& region, const Num& offset, int64_t bytes) {
        const auto kind = region.kind == RegionKind::Context
                              ? platform::context_of(subject_.program->type)
                              : std::optional(static_cast<platform::ContextKind>(region.type));
        const auto personality =
            region.kind == RegionKind::Context ? subject_.program->personality : platform::Personality::Linux;
        const platform::FieldRow* row =
            kind && offset.is_constant()
                ? platform::find_context_field(*kind, personality, static_cast<uint32_t>(offset.umin()))
                : nullptr;
        if (row == nullptr) return say("inside", "the helper takes the whole context");
        say("field",
            fmt::format("`{}` of {}, {}: programs of this type may {} it this way", row->name,
                        platform::context_type_name(*kind, personality),
                        count_words(static_cast<uint64_t>(bytes), "byte"), row_.writes_memory() ? "write" : "read"));
    }

    void nullness(const Region& region, const std::optional<Pointer>& f) {
        std::optional<CodePlace> tested;
        if (f) {
            tested = since([&](const State& s) {
                return f->base < s.symbols.size() && s[f->base].region.kind != RegionKind::None &&
                       !s[f->base].region.nullable;
            });
        }
        const bool by_test = tested && trail_ != nullptr && f && trail_->end()[f->base].origin != tested->insn;
        if (by_test) {
            say("not null", "it was tested", tested);
        } else {
            say("not null", region.kind == RegionKind::MapValue && region.read_only_data
                                ? "the address of data is a constant"
                                : "this address never is");
        }
        if (region.kind == RegionKind::Packet)
            say("valid", "no call since has moved the packet",
                f ? std::optional(place_of(subject_, trail_->end()[f->base].origin)) : std::nullopt);
        else if (region.owned)
            say("valid", "it is held by this program, not given back yet");
    }

    void memory() {
        const unsigned reg = row_.form == isa::Form::LoadMem ? insn_.src : insn_.dst;
        const auto bytes = static_cast<int64_t>(row_.access_bytes());
        const auto moved = static_cast<uint64_t>(int64_t{insn_.offset});
        access(reg, moved, bytes, "memory");
        const auto p = pointer_of(s_, plus(s_.reg(reg), moved));
        if (!p) return;
        const Region& region = s_[p->base].region;
        const Num offset = number_of(s_, p->offset);
        const bool aligned = ((offset.bits.value | offset.bits.mask) & static_cast<uint64_t>(bytes - 1)) == 0;
        if (region.kind == RegionKind::Packet) {
            say("alignment", "packets begin anywhere: the access may be unaligned, which engines allow");
        } else {
            say("alignment", bytes == 1 ? std::string("one byte needs none")
                             : aligned  ? fmt::format("the offset is a multiple of {}", bytes)
                                        : "not known to be aligned, which engines allow here");
        }
        if (row_.writes_memory() && region.kind != RegionKind::Context && region.kind != RegionKind::Stack)
            say("writable", "programs of this type may write here");
        if (row_.writes_memory() && row_.has_src() && s_.is_set(insn_.src))
            say("value", fmt::format("{} = {}", name(insn_.src), words(insn_.src)));
    }

    void call() {
        const Binding& binding = subject_.program->bindings[at_];
        if (binding.kind != BindingKind::Helper) return say("harmless", "no run gets past here");
        const auto id = static_cast<platform::HelperId>(binding.helper);
        const platform::HelperRow& row = platform::helper_for(id, subject_.program->type);
        say("helper", fmt::format("bpf_{} may be called by {} programs", row.name,
                                  platform::program_type_name(subject_.program->type)));
        uint16_t map = no_map;
        for (unsigned i = 0; i < 5 && row.args[i] != ArgKind::None; ++i) {
            const unsigned reg = i + 1;
            if (!s_.is_set(reg)) continue;
            const auto p = pointer_of(s_, s_.reg(reg));
            const std::string label = name(reg);
            const auto size_of_next = [&] { return s_.is_set(reg + 1) ? smax_of(number_of(s_, s_.reg(reg + 1))) : 0; };
            switch (row.args[i]) {
                case ArgKind::ConstMapPtr:
                    if (p) map = s_[p->base].region.map;
                    say(label, map < subject_.maps.size()
                                   ? fmt::format("map {}, of type {}, which the helper takes", subject_.maps[map].name,
                                                 platform::map_type_name(subject_.maps[map].type))
                                   : words(reg));
                    break;
                case ArgKind::MapKey:
                    access(reg, 0, map < subject_.maps.size() ? subject_.maps[map].key_size : 0, label.c_str());
                    break;
                case ArgKind::MapValue:
                case ArgKind::MapValueOrNull:
                case ArgKind::MapValueOut:
                    access(reg, 0, map < subject_.maps.size() ? subject_.maps[map].value_size : 0, label.c_str());
                    break;
                case ArgKind::MemIn:
                case ArgKind::MemInOrNull:
                case ArgKind::MemOut:
                case ArgKind::MemOutOrNull:
                case ArgKind::MemInOut: access(reg, 0, size_of_next(), label.c_str()); break;
                case ArgKind::I64Out:
                case ArgKind::U64Out: access(reg, 0, 8, label.c_str()); break;
                case ArgKind::U32InOut: access(reg, 0, 4, label.c_str()); break;
                case ArgKind::In20: access(reg, 0, 20, label.c_str()); break;
                case ArgKind::In40: access(reg, 0, 40, label.c_str()); break;
                case ArgKind::Size:
                case ArgKind::SizeOrZero: size(reg, row.args[i] == ArgKind::SizeOrZero); break;
                case ArgKind::Record:
                case ArgKind::SpinLock:
                case ArgKind::Timer:
                case ArgKind::SockCommon:
                case ArgKind::Socket:
                case ArgKind::SocketOrNull:
                    say(label, words(reg));
                    if (p) nullness(s_[p->base].region, followed(reg, 0));
                    break;
                case ArgKind::RecordSize: say(label, words(reg) + " bytes, a constant"); break;
                case ArgKind::Ctx:
                case ArgKind::CtxOrNull: say(label, words(reg) + ", as the program got it"); break;
                case ArgKind::None:
                case ArgKind::Scalar:
                case ArgKind::Func:
                case ArgKind::CallbackContext:
                case ArgKind::ConstString:
                case ArgKind::Dynptr:
                case ArgKind::Kptr:
                case ArgKind::BtfObject:
                case ArgKind::Anything:
                case ArgKind::Other: say(label, words(reg)); break;
            }
        }
        if (!s_.lock) say("locks", "none is held");
    }

    void size(unsigned reg, bool zero) {
        const Num n = number_of(s_, s_.reg(reg));
        std::optional<CodePlace> bound;
        if (trail_ != nullptr && trail_->end().is_set(reg) && !n.is_constant()) {
            const Val v = trail_->end().reg(reg);
            const uint64_t most = n.umax();
            bound = since([&](const State& s) {
                const auto there = [&](const Term& t) { return t.factor == 0 || t.sym < s.symbols.size(); };
                return there(v.a) && there(v.b) && number_of(s, v).umax() <= most;
            });
        }
        say(name(reg), fmt::format("a size of {}{}", number_words(n), zero ? "; 0 is allowed" : ""), bound);
    }

    void branch() {
        State copy = s_;
        const Outcome out = Rules(subject_).step(copy, insn_);
        say(name(insn_.dst), words(insn_.dst));
        if (row_.form == isa::Form::JumpSrc) say(name(insn_.src), words(insn_.src));
        say("ways", out.flow == Flow::Fork   ? "both are open, and each is proved"
                    : out.taken              ? "the jump is always taken"
                    : out.flow == Flow::Dead ? "no run gets past here"
                                             : "the jump is never taken");
    }

    void leave() {
        if (s_.frames.size() > 1) {
            say("returns", s_.is_set(0) ? "r0 = " + words(0) : "nothing that the caller reads");
            return;
        }
        const auto range =
            platform::result_range(subject_.program->type, subject_.program->attach, subject_.program->personality);
        if (s_.is_set(0)) {
            std::optional<CodePlace> made;
            if (trail_ != nullptr && trail_->end().is_set(0)) {
                const Val v = trail_->end().reg(0);
                made = since([&](const State& s) { return s.frames.size() == 1 && s.is_set(0) && s.reg(0) == v; });
            }
            say("r0",
                words(0) +
                    (range.any ? "; any number is allowed" : fmt::format("; {}..{} is allowed", range.min, range.max)),
                made);
        }
        say("released", "nothing that was acquired is left");
        say("locks", "none is held");
    }

    void arithmetic() {
        State copy = s_;
        (void)Rules(subject_).step(copy, insn_);
        if (row_.has_src() && s_.is_set(insn_.src)) say(name(insn_.src), words(insn_.src));
        if (copy.is_set(insn_.dst))
            say("result", fmt::format("r{} = {}", insn_.dst, value_words(subject_, copy, copy.reg(insn_.dst))));
        say("harmless", "it touches no memory");
    }

    const Subject& subject_;
    const isa::Insn& insn_;
    const isa::Row& row_;
    const InsnIndex at_;
    const State& s_;
    const InsnIndex cut_;  ///< where the walk of the certificate begins that it is on
    const Trail* trail_;
    std::vector<Reason> reasons_;
};

std::string what_words(const Subject& subject, const isa::Insn& insn, InsnIndex at) {
    const isa::Row& row = insn.row();
    const auto bytes = count_words(row.access_bytes(), "byte");
    if (row.form == isa::Form::LoadMem) return fmt::format("reads {} through r{}", bytes, insn.src);
    if (row.is_atomic()) return fmt::format("changes {} through r{}, atomically", bytes, insn.dst);
    if (row.writes_memory()) return fmt::format("writes {} through r{}", bytes, insn.dst);
    if (row.operation == isa::Operation::Call && subject.program->bindings[at].kind == BindingKind::Helper)
        return fmt::format("calls bpf_{}", platform::helper_name(
                                               static_cast<platform::HelperId>(subject.program->bindings[at].helper)));
    if (row.operation == isa::Operation::CallLocal) return "calls a function of the program";
    if (row.is_exit()) return "ends the function";
    if (row.is_conditional_compare()) return "compares and branches";
    if (row.is_packet_load()) return fmt::format("reads {} of the packet", bytes);
    return "computes with registers";
}

}  // namespace

Result<SafetyProof> why_safe(const Subject& subject, std::span<const std::byte> bytes, InsnIndex at) {
    const auto& code = subject.linked().code;
    const Result<isa::Insn> insn =
        at < code.size() ? isa::decode(code, at) : Result<isa::Insn>(Error(Errc::InvalidArgument, ""));
    const bool second_half = at > 0 && at < code.size() && code[at].opcode == 0;
    if (!insn || second_half) {
        return Error(Errc::InvalidArgument, fmt::format("there is no instruction {}", at),
                     fmt::format("the program has slots 0 to {}", code.size() - 1),
                     "skep disasm lists the instructions");
    }
    SKEP_ASSIGN(const Certificate certificate, decode_certificate(subject, bytes));
    Visits visits(subject, certificate, at);
    SKEP_TRY(visits.run());
    SafetyProof proof;
    proof.place = place_of(subject, at);
    if (proof.place.source) proof.around = lines_around(subject.linked(), *proof.place.source);
    proof.what = what_words(subject, *insn, at);
    std::vector<std::vector<Reason>> plain;  // without places: what makes two states alike
    const auto same = [](const Reason& a, const Reason& b) { return a.subject == b.subject && a.text == b.text; };
    for (const Visit& visit : visits.all()) {
        const InsnIndex cut = certificate.disjuncts[visit.disjunct].state.at.insn;
        std::vector<Reason> reasons = Teller(subject, *insn, at, visit.state, cut, nullptr).tell();
        const auto found =
            std::ranges::find_if(plain, [&](const auto& other) { return std::ranges::equal(other, reasons, same); });
        if (found != plain.end()) {
            ++proof.cases[static_cast<size_t>(found - plain.begin())].states;
            continue;
        }
        ProofCase one;
        one.states = 1;
        if (plain.size() < most_cases) {
            const std::vector<Step> way = visits.way_to(visit);
            const auto trail = follow(subject, way, at, Turns::All);
            one.followed = trail.has_value();
            one.reasons = Teller(subject, *insn, at, visit.state, cut, trail ? &*trail : nullptr).tell();
            if (trail) {
                for (const Step& step : way)
                    one.path.push_back(
                        {place_of(subject, step.insn), step.kind == Step::Kind::Taken ? "taken" : "not taken"});
            }
        } else {
            one.reasons = reasons;
        }
        plain.push_back(std::move(reasons));
        proof.cases.push_back(std::move(one));
    }
    return proof;
}

}  // namespace skep::verifier
