// SPDX-License-Identifier: Apache-2.0
#include "module/voucher.hpp"

#include "runtime/load/unverified.hpp"
#include "runtime/load/verify_program.hpp"
#include "verifier/verify.hpp"

namespace skep::module {

namespace {

class NoVerifier final : public Voucher {
  public:
    std::string identity() const override { return "none"; }
    std::string options() const override { return ""; }
    Result<Vouched> vouch(const object::ObjectSpec&, const BoundProgram& program) const override {
        SKEP_ASSIGN(ExecutableProgram made, runtime::make_unverified(program));
        return Vouched{std::move(made), {}};
    }
    Result<CostBound> recheck(const object::ObjectSpec&, const BoundProgram& program, const std::string& identity,
                              const std::string&, Bytes certificate) const override {
        if (identity != "none" || !certificate.empty())
            return Error(Errc::Unavailable, "the certificate cannot be checked: this build has no verifier",
                         "the module says that it was verified by " + identity)
                .in_function(program.linked.name);
        SKEP_ASSIGN(const ExecutableProgram made, runtime::make_unverified(program));
        return made.cost();
    }
};

class OwnVerifier final : public Voucher {
  public:
    std::string identity() const override { return "skep"; }
    /// What decides about acceptance; budgets do not.
    std::string options() const override {
        const verifier::Options options;
        std::string out = options.allow_pointer_leaks ? "pointer-leaks" : "no-pointer-leaks";
        out += options.allow_unset_stack ? " unset-stack" : " no-unset-stack";
        if (options.cost_limit != UINT64_MAX) out += " cost-limit " + std::to_string(options.cost_limit);
        return out;
    }
    Result<Vouched> vouch(const object::ObjectSpec& spec, const BoundProgram& program) const override {
        Buffer certificate;
        SKEP_ASSIGN(ExecutableProgram made, runtime::verify_program(spec, program, &certificate));
        return Vouched{std::move(made), std::move(certificate)};
    }
    Result<CostBound> recheck(const object::ObjectSpec& spec, const BoundProgram& program, const std::string& who,
                              const std::string& how, Bytes certificate) const override {
        if (who != identity() || how != options())
            return Error(Errc::Rejected,
                         "the module was verified by others or under other options than this host accepts",
                         "by " + who + " (" + how + "); here: " + identity() + " (" + options() + ")")
                .in_function(program.linked.name);
        SKEP_ASSIGN(const verifier::Subject subject,
                    verifier::make_subject(spec, std::make_shared<const BoundProgram>(program)));
        auto checked = verifier::check_certificate(subject, certificate);
        if (!checked) {
            return Error(checked.error().code(), "the certificate does not prove the module's program",
                         checked.error().what() + (checked.error().why().empty() ? "" : ": " + checked.error().why()))
                .in_function(program.linked.name);
        }
        return checked->cost();
    }
};

}  // namespace

const Voucher& verifier_voucher() {
    static const OwnVerifier voucher;
    return voucher;
}

const Voucher& voucher_of(const std::string& identity) {
    return identity == no_verifier().identity() ? no_verifier() : verifier_voucher();
}

const Voucher& no_verifier() {
    static const NoVerifier voucher;
    return voucher;
}

}  // namespace skep::module
