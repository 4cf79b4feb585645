// SPDX-License-Identifier: Apache-2.0
// From an ObjectSpec to programs that can be entered: maps made, programs linked, bound, (verified,) compiled.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/lane.hpp"
#include "base/result.hpp"
#include "object/object_spec.hpp"
#include "platform/program_type.hpp"
#include "program/bind.hpp"
#include "runtime/core/program.hpp"
#include "runtime/load/engines.hpp"
#include "runtime/load/kernel_config.hpp"
#include "runtime/load/link_program.hpp"
#include "runtime/load/object_maps.hpp"

namespace skep::runtime {

struct LoadOptions {
    EngineKind engine = EngineKind::Jit;
    bool allow_unverified = false;      ///< do not verify, run all the same; a production build refuses
    std::vector<std::string> programs;  ///< names; empty: every program that the object loads by default
    std::vector<std::string> maps;      ///< names of maps to make although no program names them (inner maps)
    std::optional<uint64_t> seed;       ///< everything that chance decides follows from it (--deterministic)
    uint32_t lanes = 0;                 ///< 0: one per possible CPU
    /// Gives the BTF that CO-RE records are resolved against; asked only if a program has such records. Empty: such
    /// programs are refused.
    std::function<Result<std::shared_ptr<const btf::Btf>>()> target_btf;
    /// What a target's types answered before: they are not asked again. Not null only as long as load() runs.
    const CoreAnswers* core_answers = nullptr;
    KernelConfig kernel_config = {};  ///< what programs are told of the kernel; nothing: skep's own
    BindOptions bind;
    /// Asked of every program that an engine is about to compile, verified or not; its error ends the loading. Empty:
    /// all are welcome.
    std::function<Result<void>(const ExecutableProgram& program)> admit = {};
    /// Code that was made before (native modules), instead of an engine's: asked once per program, whoever it comes
    /// from vouches for it. Empty: `engine` compiles.
    struct Ready {
        std::unique_ptr<engine::CompiledCode> code;
        bool verified = false;
        uint64_t verify_ns = 0;  ///< of the time that was spent on it
    };
    std::function<Result<Ready>(const BoundProgram& program, const engine::LinkTable& link)> ready_code = {};
    /// Other helpers than the runtime's own, in the same order (helper_functions()); empty: its own.
    std::span<const skep_helper_fn> helpers = {};
    bool contexts_from_outside = false;  ///< also programs of types that no hook here runs: the caller brings contexts
};

struct ProgramReleaser {
    void operator()(Program* program) const { program->release(); }
};
using ProgramRef = std::unique_ptr<Program, ProgramReleaser>;

struct LanesDestroyer {
    void operator()(Lanes* lanes) const { lanes->destroy(); }
};

struct LoadedProgram {
    uint32_t index = 0;  ///< into ObjectSpec::programs
    ProgramRef program;
    platform::AttachType attach = platform::AttachType::None;
    size_t instructions = 0;  ///< slots
    size_t code_bytes = 0;
    uint64_t compile_ns = 0;
    bool verified = false;
};

/// A runtime that holds one object. Requires: nobody runs its programs when it goes.
class LoadedObject {
  public:
    /// Errors: those of link, relocate, bind, the verifier or UnverifiedProgram, make_maps and the engine; Unavailable
    /// when memory is out or the build has no such engine; Unresolved for a program that the object has not.
    static Result<std::unique_ptr<LoadedObject>> load(std::shared_ptr<const object::ObjectSpec> spec,
                                                      const LoadOptions& options);
    ~LoadedObject();
    LoadedObject(const LoadedObject&) = delete;
    LoadedObject& operator=(const LoadedObject&) = delete;

    const object::ObjectSpec& spec() const { return *spec_; }
    Lanes& lanes() { return *lanes_; }
    std::span<const LoadedProgram> programs() const { return programs_; }
    const LoadedProgram* find(std::string_view name) const;
    /// The map of ObjectSpec::maps[index]; null if no loaded program needs it.
    maps::Map* map(size_t index) const { return maps_[index].get(); }
    /// What the programs were adapted to: whoever loads the object with these gets the same programs anywhere.
    const CoreAnswers& core_answers() const { return core_answers_; }
    const KernelValues& kernel_values() const { return kernel_values_; }

  private:
    LoadedObject() = default;

    std::shared_ptr<const object::ObjectSpec> spec_;
    std::unique_ptr<Lanes, LanesDestroyer> lanes_;  // outlives maps and programs
    std::vector<MapRef> maps_;
    std::vector<LoadedProgram> programs_;
    CoreAnswers core_answers_;
    KernelValues kernel_values_;
};

/// The one program of `spec` that runs here in the asked way (over packets, or over contexts that a file describes),
/// when none was named: the only one whose section stands for such a type and which is loaded by default.
/// Errors: InvalidArgument that lists the candidates, Unresolved when there is none.
Result<uint32_t> choose_program(const object::ObjectSpec& spec, std::optional<std::string_view> name,
                                platform::HostedBy way = platform::HostedBy::Packets);

}  // namespace skep::runtime
