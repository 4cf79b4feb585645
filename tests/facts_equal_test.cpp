// SPDX-License-Identifier: Apache-2.0
// Programs of chance that the verifier accepts: the JIT and native modules, with all that the certificate's checker
// proved of them, give what the interpreter gives, which believes nothing. Modules are built in batches by the host's C
// compiler, where there is one.
//   SKEP_FACTS_SEED      another start
//   SKEP_FACTS_PROGRAMS  how many (default 1500; native modules too of the first 400, or of all if it is set)
//   SKEP_NATIVE_CC       the C compiler
//   SKEP_KEPT_IMAGES     a folder of images built before
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/interp/interp.hpp"
#include "engine/jit/jit.hpp"
#include "isa/assemble.hpp"
#include "module/native_code.hpp"
#include "platform/helper.hpp"
#include "verifier/verify.hpp"

namespace skep {
namespace {

using platform::HelperId;

constexpr unsigned most_programs = 1500, most_native = 400, batch_size = 200, runs = 4;

struct Chance {
    uint64_t state;
    uint64_t next() {
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    }
    unsigned below(unsigned n) { return static_cast<unsigned>(next() % n); }
    template <size_t N>
    const char* pick(const std::array<const char*, N>& words) {
        return words[below(N)];
    }
};

Chance inputs{1};
uint64_t give_number(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, skep_runtime_context*) {
    const uint64_t word = inputs.next();
    return word % 4 == 0 ? word >> 8 & 7 : word % 4 == 1 ? word : word & 0xffffffff;
}

unsigned word(Chance& chance) { return chance.below(8) == 0 ? 16 : 8; }

/// r6 to r9 hold numbers of which something is known; sums, masks, divisions, moves of both widths, jumps forward, a
/// loop around them that counts in r4, a spilled word.
std::string program_of(Chance& chance) {
    std::string text;
    for (const char* reg : {"6", "7", "8", "9"}) {
        text += fmt::format("call 7\nr{} = r0\n", reg);
        if (chance.below(3) != 0) text += fmt::format("r{} &= {}\n", reg, (1u << chance.below(31)) - 1);
    }
    text += "*(u64 *)(r10 - 8) = r6\n";
    const bool loops = chance.below(2) == 0;
    text += fmt::format("r4 = {}\nr5 = 1\nr0 = 0\nr1 = 3\n", 1 + chance.below(5));
    if (loops) text += "head:\n";
    const auto reg = [&] { return chance.pick(std::array{"0", "1", "5", "6", "7", "8", "9"}); };
    const unsigned length = 6 + chance.below(20);
    unsigned open = 0, until = 0;
    for (unsigned i = 0; i < length; ++i) {
        if (open != 0 && i == until) text += fmt::format("out{}:\n", open), open = 0;
        const char* const width = chance.below(2) == 0 ? "r" : "w";
        switch (chance.below(9)) {
            case 0: text += fmt::format("{0}{1} = {0}{2}\n", width, reg(), reg()); break;
            case 1: text += fmt::format("{0}{1} &= {2}\n", width, reg(), (1u << chance.below(31)) - 1); break;
            case 2:
                text += fmt::format("{0}{1} {3} {0}{2}\n", width, reg(), reg(),
                                    chance.pick(std::array{"+=", "-=", "*=", "|=", "&=", "^=", "/=", "%="}));
                break;
            case 3:
                text += fmt::format(
                    "{0}{1} {3} {2}\n", width, reg(), 1 + chance.below(9),
                    chance.pick(std::array{"+=", "-=", "*=", "|=", "/=", "%=", "s/=", ">>=", "<<=", "s>>="}));
                break;
            case 4: text += fmt::format("{0}{1} = {2}\n", width, reg(), int(chance.below(300)) - 40); break;
            case 5:
                if (open != 0) break;
                open = i + 1, until = i + 1 + chance.below(5);
                text += fmt::format("if {0}{1} {2} {3} goto out{4}\n", width, reg(),
                                    chance.pick(std::array{"==", "!=", "<", ">=", "s<", "s>", "&"}), chance.below(64),
                                    open);
                break;
            // The second word may not have been written.
            case 6: text += fmt::format("r{} = *(u64 *)(r10 - {})\n", reg(), word(chance)); break;
            case 7: text += fmt::format("*(u64 *)(r10 - {}) = r{}\n", word(chance), reg()); break;
            case 8:
                text += fmt::format("r{} |= 1\n{}{} {} r{}\n", 8, "r", reg(), chance.pick(std::array{"/=", "%="}), 8);
                break;
        }
    }
    if (open != 0) text += fmt::format("out{}:\n", open);
    if (loops) text += "r4 -= 1\nif r4 != 0 goto head\n";
    return text + "r0 += r1\nr0 ^= r5\nr0 += r6\nr0 ^= r7\nr0 += r8\nr0 ^= r9\nexit\n";
}

std::shared_ptr<const BoundProgram> bound(isa::Code code) {
    auto program = std::make_shared<BoundProgram>();
    const auto size = static_cast<isa::InsnIndex>(code.size());
    program->linked.name = "test";
    program->linked.subprograms.push_back({"test", 0, size});
    program->bindings.resize(size);
    for (isa::InsnIndex i = 0; i < size; ++i) {
        const isa::Row* row = isa::match(code[i]);
        if (row == nullptr || row->op != isa::Op::Call) continue;
        program->bindings[i].kind = BindingKind::Helper;
        program->bindings[i].helper = static_cast<uint16_t>(HelperId::GetPrandomU32);
    }
    program->linked.code = std::move(code);
    return program;
}

std::string from_environment(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? std::string() : text;
}

/// An accepted program, and the number that its inputs follow from.
struct Accepted {
    unsigned number = 0;
    std::string source;
    verifier::Report report;
};

class FactsEqual : public ::testing::Test {
  protected:
    FactsEqual() {
        helpers_[static_cast<size_t>(HelperId::GetPrandomU32)] = give_number;
        link_.helpers = helpers_;
    }

    uint64_t result_of(const engine::CompiledCode& code, unsigned number, unsigned run) const {
        inputs.state = 0x9e3779b97f4a7c15 * (number * runs + run + 1);
        skep_runtime_context context{};
        context.size = sizeof context;
        context.abi = SKEP_RUNTIME_CONTEXT_ABI;
        context.helpers = helpers_.data();
        uint64_t nothing[16]{};
        return code.entry().function(nothing, &context, code.entry().self);
    }

    void expect_equal(const Accepted& program, const engine::CompiledCode& code, const engine::CompiledCode& interp,
                      const char* engine) const {
        for (unsigned run = 0; run < runs; ++run)
            ASSERT_EQ(result_of(code, program.number, run), result_of(interp, program.number, run))
                << engine << ", run " << run << "\n"
                << program.source;
    }

    void run_jit(const Accepted& program, const engine::CompiledCode& interp) {
        if (no_jit_) return;
        auto jit = engine::jit::compile(*program.report.executable, link_, {});
        if (!jit && jit.error().code() == Errc::Unavailable) {
            no_jit_ = jit.error().to_string();
            return;
        }
        ASSERT_TRUE(jit) << jit.error().to_string() << program.source;
        expect_equal(program, **jit, interp, "jit");
    }

    void run_native(const std::vector<Accepted>& batch) {
        if (no_native_ || batch.empty()) return;
        std::vector<module::DirectProgram> programs;
        for (const Accepted& program : batch) programs.push_back({&*program.report.executable, &link_});
        module::DirectOptions options;
        options.compiler = from_environment("SKEP_NATIVE_CC");
        options.kept_images = from_environment("SKEP_KEPT_IMAGES");
        auto codes = module::compile_direct(programs, options);
        if (!codes && codes.error().code() == Errc::Unavailable) {
            no_native_ = codes.error().to_string();
            return;
        }
        ASSERT_TRUE(codes) << codes.error().to_string();
        for (size_t i = 0; i < batch.size(); ++i) {
            auto interp = engine::interp::compile(*batch[i].report.executable, link_);
            ASSERT_TRUE(interp) << batch[i].source;
            expect_equal(batch[i], *(*codes)[i], **interp, "native");
            if (HasFatalFailure()) return;
        }
        native_ += static_cast<unsigned>(batch.size());
    }

    std::array<skep_helper_fn, platform::helper_count> helpers_{};
    engine::LinkTable link_;
    unsigned native_ = 0;
    std::optional<std::string> no_jit_, no_native_;
};

TEST_F(FactsEqual, TheJitAndNativeModulesWithFactsGiveWhatTheInterpreterGives) {
    const std::string seed = from_environment("SKEP_FACTS_SEED"), count = from_environment("SKEP_FACTS_PROGRAMS");
    Chance chance{seed.empty() ? 0x5eed : std::strtoull(seed.c_str(), nullptr, 0) | 1};
    const auto programs =
        count.empty() ? most_programs : static_cast<unsigned>(std::strtoull(count.c_str(), nullptr, 10));
    unsigned accepted = 0, divisors = 0, widths = 0, narrow = 0, constants = 0, branches = 0, dead = 0, unset = 0;
    std::vector<Accepted> batch;
    for (unsigned n = 0; n < programs; ++n) {
        Accepted program;
        program.number = n;
        program.source = program_of(chance);
        auto code = isa::assemble(program.source);
        ASSERT_TRUE(code) << program.source << code.error().to_string();
        verifier::Subject subject;
        subject.program = bound(*std::move(code));
        program.report = verifier::verify(subject);
        if (program.report.verdict != verifier::Verdict::Accepted) continue;
        ++accepted;
        for (const Fact& fact : program.report.executable->facts()) {
            divisors += fact.divisor_non_zero;
            widths += fact.upper_half_zero;
            narrow += fact.narrow != 0;
            constants += fact.result_constant;
            branches += fact.branch_always || fact.branch_never;
            dead += !fact.reachable;
        }
        unset += !program.report.executable->facts().front().stack_written;
        auto interp = engine::interp::compile(*program.report.executable, link_);
        ASSERT_TRUE(interp) << program.source;
        run_jit(program, **interp);
        if (HasFatalFailure()) return;
        if (!count.empty() || n < most_native) batch.push_back(std::move(program));
        if (batch.size() == batch_size) {
            run_native(batch);
            batch.clear();
        }
        if (HasFatalFailure()) return;
    }
    run_native(batch);
    if (HasFatalFailure()) return;
    fmt::print(
        "{} of {} accepted, {} as native modules; facts: divisor {}, width {}, narrow {}, constant {}, branch {}, dead "
        "{}; {} read a stack that they did not write\n",
        accepted, programs, native_, divisors, widths, narrow, constants, branches, dead, unset);
    // Each kind of facts was there to be believed.
    EXPECT_GT(accepted, programs / 2);
    for (const unsigned facts : {divisors, widths, narrow, constants, branches, dead}) EXPECT_GT(facts, 100u);
    EXPECT_GT(unset, 0u);
    EXPECT_LT(unset, accepted);
    if (no_native_) fmt::print("no native modules: {}\n", *no_native_);
    if (no_jit_ && no_native_) GTEST_SKIP() << *no_jit_ << "\n" << *no_native_;
    if (no_jit_) fmt::print("no JIT: {}\n", *no_jit_);
}

}  // namespace
}  // namespace skep
