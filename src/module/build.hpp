// SPDX-License-Identifier: Apache-2.0
// From an object file to a native module: link, bind, verify, emit, compile.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/native/emit.hpp"
#include "module/compiler.hpp"
#include "module/descriptor.hpp"
#include "module/voucher.hpp"
#include "program/bind.hpp"
#include "runtime/load/link_program.hpp"

namespace skep::module {

/// The programs of an object that a module is about, bound; what building and loading both start from.
struct Prepared {
    std::shared_ptr<const object::ObjectSpec> spec;
    std::vector<uint32_t> programs;                  ///< indices into ObjectSpec::programs
    std::vector<BoundProgram> bound;                 ///< one per program
    std::vector<uint32_t> maps;                      ///< the module's maps: ascending indices into ObjectSpec::maps
    std::vector<std::vector<uint32_t>> map_indices;  ///< per program and BoundProgram::maps: index into `maps`
    runtime::CoreAnswers core_answers;               ///< what CO-RE relocations were answered with
    runtime::KernelValues kernel_values;             ///< what the programs are told of the kernel
};

/// What a module's programs are adapted to. CO-RE relocations: answers that a descriptor holds, or types.
struct CoreSource {
    std::function<Result<std::shared_ptr<const btf::Btf>>()> types = {};  ///< empty: there are none
    const runtime::CoreAnswers* recorded = nullptr;                       ///< not null: these, whatever `types` says
    runtime::KernelConfig config = {};                                    ///< nothing: skep's own
};

/// `wanted`: names; empty: what the object loads by default. Programs in program arrays come along.
/// Errors: those of read_object, link, relocate and bind; Unresolved (no such program).
Result<Prepared> prepare(Bytes object, const std::string& name, const std::vector<std::string>& wanted,
                         const CoreSource& core, const BindOptions& bind);
/// What a module's programs are told of the kernel; nothing (skep's own) where it does not say.
runtime::KernelConfig kernel_config_of(const Descriptor& descriptor);
/// Binding as a module's verifier has it: who proves what is reached may meet what has no meaning behind it.
/// `personality`: as Descriptor::personality, a name of personality.hpp or empty.
BindOptions bind_options_for(const std::string& verifier, const std::string& personality);

/// A map of a contract as generated code reaches it.
engine::native::MapShape map_shape(const MapNeed& need);

struct BuildOptions {
    CompilerOptions compiler;
    std::vector<std::string> programs;
    std::string personality;   ///< "linux", "windows"; empty: by the object's evidence
    std::string generator;     ///< "skep 0.1.0"
    bool source_only = false;  ///< the C text, no image
    CoreSource core = {};
    std::string core_types;  ///< name of what core.types gives; goes into the descriptor of a module that asked
};

struct Built {
    std::string source;  ///< C
    Buffer image;        ///< empty if source_only
    Descriptor descriptor;
    size_t code_bytes = 0;
};

/// The same bytes for the same object, options and compiler. `name`: the object's file; only its last part is kept.
Result<Built> build_module(Bytes object, const std::string& name, const BuildOptions& options, const Voucher& voucher);

/// Builds a module again from what it carries, with the compiler it names. Errors: as build_module; Unavailable when
/// there is no compiler of that identity here (why: which there is).
Result<Buffer> rebuild(const Descriptor& descriptor, const std::string& compiler, const Voucher& voucher);

}  // namespace skep::module
