// SPDX-License-Identifier: Apache-2.0
// From a module's bytes to code that runs, in this order, each step a refusal of its own: signature, image, descriptor,
// target, contract, certificates, policy; then, and only then, the same bytes are mapped. Nothing of the image runs
// before that, and mapping it runs nothing (inspect_image).
#pragma once

#include <memory>
#include <optional>

#include "engine/engine.hpp"
#include "module/build.hpp"
#include "module/image.hpp"
#include "module/os/mapped_image.hpp"
#include "module/policy.hpp"

namespace skep::module {

struct CheckOptions {
    Policy policy;
    std::vector<Buffer> roots;         ///< PEM: those that policy.roots name, read by the caller
    const Voucher* voucher = nullptr;  ///< null: voucher_of() the descriptor's verifier
    std::optional<Target> target;      ///< nothing: this host; what the module must be for
    bool any_target = false;           ///< audit: whatever it is for
    std::optional<int64_t> time;       ///< seconds since 1970; nothing: now
};

/// A module whose bytes passed every check. Holds its own copy of them.
class CheckedModule {
  public:
    const Descriptor& descriptor() const { return descriptor_; }
    /// Nothing: unsigned, and the policy does not mind.
    const std::optional<Signer>& signer() const { return signer_; }
    const Prepared& prepared() const { return prepared_; }
    Bytes image() const { return image_; }
    size_t code_bytes() const { return code_bytes_; }
    /// Whether certificates were checked for its programs.
    bool verified() const { return descriptor_.verifier != "none"; }

  private:
    friend Result<CheckedModule> check_module(Bytes file, const CheckOptions& options);
    CheckedModule() = default;

    Buffer image_;  ///< without signature
    Descriptor descriptor_;
    std::optional<Signer> signer_;
    Prepared prepared_;
    size_t code_bytes_ = 0;
};

/// Checks `file`, which the caller read once and nobody changes meanwhile. Errors: Rejected, AccessDenied, Malformed,
/// Truncated, BadMessage, Unsupported, Unavailable: which check failed and on what.
Result<CheckedModule> check_module(Bytes file, const CheckOptions& options);

/// A module in this process. Any number of instances may be made of it.
class LoadedModule {
  public:
    /// Maps the checked bytes. Errors: those of MappedImage::map; Rejected (what was mapped is not what was checked).
    static Result<std::shared_ptr<LoadedModule>> load(CheckedModule module);

    const CheckedModule& module() const { return module_; }
    /// The code of one program with the maps of one instance. Keeps the module. Errors: Unresolved (no such program),
    /// Rejected (it is not the program that the code was made of; a map that does not lie as the contract says),
    /// Unavailable (a helper).
    Result<std::unique_ptr<engine::CompiledCode>> instance(const BoundProgram& program,
                                                           const engine::LinkTable& link) const;

  private:
    explicit LoadedModule(CheckedModule module) : module_(std::move(module)) {}

    CheckedModule module_;
    std::shared_ptr<const MappedImage> image_;
    std::vector<platform::HelperId> helpers_;
};

}  // namespace skep::module
