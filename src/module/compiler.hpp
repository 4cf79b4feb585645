// SPDX-License-Identifier: Apache-2.0
// From C text to a native image: the C compiler of the build host as a bounded child process. No compiler is needed
// where modules run.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "module/os/process.hpp"

namespace skep::module {

using Buffer = std::vector<std::byte>;

enum class Target : uint8_t {
#define TARGET(name, text, ending, compilers, machine, image) name,
#include "module/target.def"
#undef TARGET
};

/// "linux-x86_64"; static storage.
const char* target_name(Target target);
/// "so" or "dll".
const char* target_ending(Target target);
std::optional<Target> target_from_name(std::string_view name);
std::span<const Target> all_targets();
/// What this process runs on; nothing where no module can be built for it.
std::optional<Target> host_target();

/// Which instructions the code may use: levels of the x86-64 psABI. Other machines have Baseline only.
// NOLINTNEXTLINE(readability-identifier-naming): the field's names
enum class CpuLevel : uint8_t { Baseline, X86_64_V2, X86_64_V3, X86_64_V4 };
/// "baseline", "x86-64-v3"; static storage.
const char* cpu_level_name(CpuLevel level);
/// "host" is the highest level that this processor has.
std::optional<CpuLevel> cpu_level_from_name(std::string_view name);
/// The highest level that this processor has.
CpuLevel host_cpu_level();

struct CompilerOptions {
    Target target = Target::LinuxX86_64;
    CpuLevel cpu = CpuLevel::Baseline;
    std::string compiler;  ///< program; empty: the first one of the target's list that is there
};

/// A compiler that was found, and how it is called.
struct Compiler {
    std::string program;
    std::string identity;            ///< the first line that its --version prints
    std::vector<std::string> flags;  ///< all but the names of files
    ProcessLimits limits;            ///< of each run of it
};

/// Errors: Unavailable when there is none, or it does not say its version.
Result<Compiler> find_compiler(const CompilerOptions& options);

/// The image of `text`: the same bytes for the same text, flags and compiler, whatever folder, user or environment.
/// Leaves no file behind, interrupts included (HeldInterrupts).
/// Errors: Unavailable (the compiler cannot be run, or was interrupted), CannotRead (it wrote no image), LimitExceeded
/// (time or memory), Unsupported (the compiler refuses the text: a mistake of ours; why: its words).
Result<Buffer> compile_c(const std::string& text, const Compiler& compiler);

}  // namespace skep::module
