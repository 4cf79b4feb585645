// SPDX-License-Identifier: Apache-2.0
#include "verifier/check/checker.hpp"

#include <fmt/format.h>

#include "verifier/check/walks.hpp"

namespace skep::verifier {

struct Checker::Proof {
    Facts facts;
    CostBound cost;
};

Result<Checker::Proof> Checker::prove(const Certificate& certificate) {
    steps_ = 0;
    rule_ = Rule::Internal;
    const std::string& name = subject_.linked().name;
    SKEP_ASSIGN(const check::Structure structure, check::Structure::make(subject_.linked()));
    check::Walks walks(subject_, structure, certificate);
    const Result<void> walked = walks.run();
    steps_ = walks.steps();
    if (!walked) {
        if (walked.error().code() == Errc::LimitExceeded) rule_ = Rule::StepLimit;
        return walked.error();
    }

    check::Bounds bounds = check::bound_runs(certificate, walks.roots(), walks.edges());
    const auto bad = [&](isa::InsnIndex at, std::string what, std::string why) {
        return Error(Errc::Rejected, Where{.function = name, .insn = at}, std::move(what), std::move(why));
    };
    if (!bounds.ends) {
        rule_ = Rule::UnboundedLoop;
        return bad(certificate.disjuncts[bounds.stuck].state.at.insn, "nothing proves that this loop ends",
                   fmt::format("disjunct {} is on a circle on which no measure falls", bounds.stuck));
    }
    if (bounds.instructions == UINT64_MAX) {
        rule_ = Rule::UnboundedLoop;
        return bad(0, "no useful bound on the instructions of a run", {});
    }
    if (bounds.instructions > subject_.options.cost_limit) {
        rule_ = Rule::CostLimit;
        return bad(0, "a run may take too many instructions",
                   fmt::format("{}, the limit is {}", bounds.instructions, subject_.options.cost_limit));
    }
    Proof proof;
    proof.facts = walks.facts();
    for (const auto& [at, trips] : bounds.trips) {
        proof.facts[at].trip_count = walks.is_cut({at, Phase::Normal}) && trips != UINT64_MAX ? trips : 0;
    }
    proof.cost = {std::max<uint64_t>(bounds.instructions, 1), bounds.helper_calls, walks.stack_bytes()};
    return proof;
}

ExecutableProgram Checker::accept(Proof proof) const {
    return ExecutableProgram(subject_.program, std::make_shared<const Facts>(std::move(proof.facts)), proof.cost, true);
}

Result<ExecutableProgram> Checker::check(const Certificate& certificate) {
    SKEP_ASSIGN(Proof proof, prove(certificate));
    const CostBound &claimed = certificate.cost, &proved = proof.cost;
    if (claimed.instructions != proved.instructions || claimed.helper_calls != proved.helper_calls ||
        claimed.stack_bytes != proved.stack_bytes) {
        return Error(Errc::Rejected, Where{.function = subject_.linked().name}, "the cost is another one",
                     fmt::format("claimed: {} instructions, {} helper calls, {} bytes of stack; proved: {}, {}, {}",
                                 claimed.instructions, claimed.helper_calls, claimed.stack_bytes, proved.instructions,
                                 proved.helper_calls, proved.stack_bytes));
    }
    return accept(std::move(proof));
}

Result<ExecutableProgram> Checker::complete(Certificate& certificate) {
    SKEP_ASSIGN(Proof proof, prove(certificate));
    certificate.cost = proof.cost;
    return accept(std::move(proof));
}

Result<ExecutableProgram> check_certificate(const Subject& subject, std::span<const std::byte> bytes) {
    SKEP_ASSIGN(const Certificate certificate, decode_certificate(subject, bytes));
    return Checker(subject).check(certificate);
}

}  // namespace skep::verifier
