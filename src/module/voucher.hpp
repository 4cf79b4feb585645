// SPDX-License-Identifier: Apache-2.0
// Who vouches for a module's programs: the one place where certificates enter modules and are checked again. Their
// bytes are the verifier's; nobody here looks inside.
#pragma once

#include <string>

#include "base/result.hpp"
#include "module/descriptor.hpp"
#include "object/object_spec.hpp"
#include "program/executable_program.hpp"

namespace skep::module {

class Voucher {
  public:
    virtual ~Voucher() = default;

    /// Goes into the descriptor: which verifier, in which version; "none" for programs that nobody verified.
    virtual std::string identity() const = 0;
    /// The options that its certificates are for, in words.
    virtual std::string options() const = 0;

    struct Vouched {
        ExecutableProgram program;
        Buffer certificate;
    };
    /// Building: proves `program`. Errors: the verifier's.
    virtual Result<Vouched> vouch(const object::ObjectSpec& spec, const BoundProgram& program) const = 0;

    /// Loading: whether `certificate` is one for exactly this program, made under options that this host accepts;
    /// the cost bound it proves. `identity` and `options` are the descriptor's. Errors: Rejected and the reason.
    virtual Result<CostBound> recheck(const object::ObjectSpec& spec, const BoundProgram& program,
                                      const std::string& identity, const std::string& options,
                                      Bytes certificate) const = 0;
};

/// The verifier of this skep, with its default options: what it accepts comes with a certificate, and its checker,
/// which is not its search, checks certificates again.
const Voucher& verifier_voucher();

/// Whoever can check what `identity` of a descriptor says: no_verifier() for "none", else verifier_voucher().
const Voucher& voucher_of(const std::string& identity);

/// Vouches for nothing: programs that nobody verified, in builds that have them (runtime::make_unverified). A module
/// that carries a certificate is refused: this cannot check it.
const Voucher& no_verifier();

}  // namespace skep::module
