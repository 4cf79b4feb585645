// SPDX-License-Identifier: Apache-2.0
// A program of a mapped module with the tables of one instance: what the runtime enters.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "engine/native/emit.hpp"
#include "module/compiler.hpp"
#include "module/os/mapped_image.hpp"
#include "skep/native_module.h"

namespace skep::module {

class NativeCode final : public engine::CompiledCode {
  public:
    /// `symbol` in `image`, for maps and helpers that `table` has. `helpers`: the order of the image's table; `maps`:
    /// per map of the module, its index in `table`, or UINT32_MAX for one that this program does not reach. The image
    /// stays mapped as long as any of its code. Errors: Unresolved (no such symbol), Unavailable (a helper that `table`
    /// lacks).
    static Result<std::unique_ptr<engine::CompiledCode>> make(std::shared_ptr<const MappedImage> image,
                                                              const std::string& symbol,
                                                              std::span<const platform::HelperId> helpers,
                                                              std::span<const uint32_t> maps,
                                                              const engine::LinkTable& table, size_t code_bytes = 0);

    skep_entry entry() const override { return {function_, &instance_}; }
    size_t code_bytes() const override { return code_bytes_; }

  private:
    NativeCode() = default;

    std::shared_ptr<const MappedImage> image_;
    skep_entry_fn function_ = nullptr;
    skep_module_instance instance_{};
    std::vector<skep_helper_fn> helpers_;
    std::vector<skep_module_map> maps_;
    size_t code_bytes_ = 0;
};

/// One program, emitted, built by the host's C compiler and mapped, without contract or signature: the engine `native`
/// of tests and benchmarks. The layouts of `table` are inlined. Errors: as emit_c, find_compiler, compile_c, map.
struct DirectOptions {
    std::optional<Target> target;  ///< nothing: this host
    CpuLevel cpu = CpuLevel::Baseline;
    std::string compiler;
    /// Helpers that callx may reach by number, besides those that are called.
    std::vector<platform::HelperId> more_helpers;
    /// A folder of images built before, by the digest of text, compiler and flags: what tests build every time they
    /// run. Empty: none.
    std::string kept_images;
};
struct DirectProgram {
    const ExecutableProgram* program = nullptr;
    const engine::LinkTable* table = nullptr;
};
/// All programs in one image, for `options.target`: what load_direct() takes on that machine.
Result<Buffer> build_direct(std::span<const DirectProgram> programs, const DirectOptions& options = {});
/// The code of an image that build_direct() made of the same programs under the same options, in order.
Result<std::vector<std::unique_ptr<engine::CompiledCode>>> load_direct(Bytes image,
                                                                       std::span<const DirectProgram> programs,
                                                                       const DirectOptions& options = {});
/// Both at once, for this host.
Result<std::vector<std::unique_ptr<engine::CompiledCode>>> compile_direct(std::span<const DirectProgram> programs,
                                                                          const DirectOptions& options = {});

}  // namespace skep::module
