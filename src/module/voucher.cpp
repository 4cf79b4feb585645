// SPDX-License-Identifier: Apache-2.0
#include "module/voucher.hpp"

#include "runtime/load/unverified.hpp"

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

}  // namespace

const Voucher& no_verifier() {
    static const NoVerifier voucher;
    return voucher;
}

}  // namespace skep::module
