// SPDX-License-Identifier: Apache-2.0
#include "verifier/verify.hpp"

#include <algorithm>

#include "verifier/certificate/certificate.hpp"
#include "verifier/check/checker.hpp"
#include "verifier/search/search.hpp"

namespace skep::verifier {

namespace {

using Clock = std::chrono::steady_clock;

/// Attempts, each keeping more apart than the one before (design 2.9), but the third, which keeps as much in another
/// way (Strategy::places). The last one joins nothing that the budget lets it keep: what the kernel can enumerate, it
/// can too. The budget is shared out; large programs get more, so that each instruction of a straight line, and a few
/// states at each join, are paid for.
std::vector<Strategy> strategies(const Options& options, uint64_t instructions) {
    constexpr uint64_t per_instruction = 32, most_for_size = 3'500'000;
    const uint64_t base = options.step_budget,
                   size = std::min({per_instruction * instructions, most_for_size, base * 4});
    const uint32_t first = instructions > 100'000 ? 1 : 2;  // states are what takes the memory
    std::vector<Strategy> out{
        {.disjuncts = std::min(options.disjuncts, first), .unroll = 0, .direct = true, .steps = base / 2 + size},
        {.disjuncts = options.disjuncts, .unroll = 0, .steps = base / 4 + size / 2},
        {.disjuncts = options.disjuncts, .unroll = 0, .direct = false, .places = true, .steps = base / 4 + size / 2},
        {.disjuncts = options.disjuncts * 8, .unroll = options.disjuncts * 8, .steps = base / 8 + size / 4},
        {.disjuncts = UINT32_MAX / 16, .unroll = UINT32_MAX / 16, .steps = base / 4 + size / 4}};
    if (options.time_budget_ns != 0) {
        const auto most = static_cast<uint64_t>(std::chrono::nanoseconds::max().count()) / 4;
        const std::chrono::nanoseconds time(static_cast<int64_t>(std::min(options.time_budget_ns, most)));
        for (Strategy& strategy : out) strategy.deadline = Clock::now() + time;
    }
    return out;
}

/// Whether another attempt could end differently.
bool worth_retrying(const Failure& failure, uint64_t instructions) {
    switch (rule_kind(failure.rule)) {
        case RuleKind::Safety:
        case RuleKind::Policy: return !failure.certain;
        case RuleKind::Limit:
            // Later attempts keep more states. What they may gain is unrolling, in programs that are not large.
            return failure.rule == Rule::StepLimit && instructions <= 20'000;
        case RuleKind::NotModelled: return false;
    }
    return false;
}

}  // namespace

Report verify(const Subject& subject) {
    Report report;
    const auto begin = Clock::now();
    const StructureResult structure = read_structure(subject);
    report.statistics.instructions = structure.structure.instructions;
    if (structure.failure) {
        report.failures.push_back(*structure.failure);
        report.verdict = structure.failure->verdict();
        report.statistics.search_time = Clock::now() - begin;
        return report;
    }
    std::optional<Failure> failure;
    std::optional<StructureResult> careful;  // later attempts forget no stack cell that a callee might be given
    for (const Strategy& strategy : strategies(subject.options, structure.structure.instructions)) {
        const bool first = report.statistics.attempts++ == 0;
        const bool shares = structure.structure.shares_frame;
        if (!first && shares && !careful) careful = read_structure(subject, true);
        report.statistics.steps = 0;
        SearchResult found =
            search(subject, careful ? careful->structure : structure.structure, strategy, report.statistics);
        if (found.failure) {
            // The first attempt's word stands, unless a later one is more certain of it.
            const bool better =
                !failure || found.failure->certain ||
                (rule_kind(failure->rule) == RuleKind::Limit && rule_kind(found.failure->rule) != RuleKind::Limit);
            const bool go_on = worth_retrying(*found.failure, structure.structure.instructions) ||
                               (first && shares && rule_kind(found.failure->rule) != RuleKind::NotModelled);
            if (better) failure = std::move(found.failure);
            if (!go_on) break;
            continue;
        }
        report.statistics.search_time = Clock::now() - begin;
        const auto check_begin = Clock::now();
        Checker checker(subject);
        auto checked = checker.complete(*found.certificate);
        report.statistics.check_time = Clock::now() - check_begin;
        report.statistics.checked_steps = checker.steps();
        if (checked) {
            report.certificate = encode_certificate(subject, *found.certificate);
            report.statistics.certificate_bytes = report.certificate.size();
            report.executable = std::move(*checked);
            report.verdict = Verdict::Accepted;
            return report;
        }
        ++report.statistics.refused;
        Failure internal;
        internal.rule = checker.rule();
        internal.insn = checked.error().where().insn.value_or(0);
        internal.what = checked.error().what();
        internal.known = checked.error().why();
        // A bound that is proved, and too high, says more than a budget that ended before.
        const bool said = internal.rule != Rule::Internal && failure && rule_kind(failure->rule) == RuleKind::Limit;
        if (!failure || said) failure = std::move(internal);
    }
    if (report.statistics.search_time.count() == 0) report.statistics.search_time = Clock::now() - begin;
    report.verdict = failure->verdict();
    report.failures.push_back(std::move(*failure));
    return report;
}

}  // namespace skep::verifier
