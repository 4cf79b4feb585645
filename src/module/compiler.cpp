// SPDX-License-Identifier: Apache-2.0
#include "module/compiler.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <memory>

#include "engine/native/emit.hpp"
#include "module/os/process.hpp"

namespace skep::module {

namespace {

struct TargetRow {
    Target target;
    const char *text, *ending, *compilers, *machine, *image;
};
constexpr TargetRow rows[] = {
#define TARGET(name, text, ending, compilers, machine, image) {Target::name, text, ending, compilers, machine, image},
#include "module/target.def"
#undef TARGET
};
const TargetRow& row_of(Target target) { return rows[static_cast<size_t>(target)]; }

struct CpuRow {
    CpuLevel level;
    const char* text;
};
constexpr CpuRow cpu_rows[] = {{CpuLevel::Baseline, "baseline"},
                               {CpuLevel::X86_64_V2, "x86-64-v2"},
                               {CpuLevel::X86_64_V3, "x86-64-v3"},
                               {CpuLevel::X86_64_V4, "x86-64-v4"}};

/// Flags for every target. Nothing that names a folder, a user or a time gets into the image.
constexpr const char* common_flags =
    "-fPIC -shared -nostdlib -fvisibility=hidden -fno-ident -fno-stack-protector -fno-asynchronous-unwind-tables "
    "-fno-unwind-tables -fno-common -w -s";

void add_words(std::vector<std::string>& to, std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(' ', at), text.size());
        if (end > at) to.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
}

/// What compilers may see of the environment: their language and where their temporary files go.
std::vector<std::string> quiet_environment(const std::string& folder) {
    return {"LC_ALL=C", "TZ=UTC", "SOURCE_DATE_EPOCH=0", "TMPDIR=" + folder, "HOME=" + folder};
}

struct Folder {
    std::string path;
    ~Folder() { remove_folder(path); }
};

/// Whoever lives to read this handles interrupts itself.
Error interrupted(const std::string& program) {
    return Error(Errc::Unavailable, fmt::format("{} was interrupted", program));
}

Result<std::string> version_of(const std::string& program) {
    ProcessRequest request;
    request.words = {program, "--version"};
    request.folder = ".";
    request.environment = {"LC_ALL=C"};
    request.limits.seconds = 20;
    SKEP_ASSIGN(const ProcessResult result, run_process(request));
    if (result.interrupted) return interrupted(program);
    if (result.exit_code != 0 || result.timed_out)
        return Error(Errc::Unavailable, fmt::format("{} --version failed", program), result.text);
    std::string line = result.text.substr(0, result.text.find('\n'));
    while (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
}

/// The release of a clang that calls itself so ("Debian clang version 19.1.7"); 0: another compiler.
int clang_release(std::string_view identity) {
    constexpr std::string_view before = "clang version ";
    const size_t at = identity.find(before);
    int release = 0;
    if (at == std::string_view::npos) return 0;
    const std::string_view number = identity.substr(at + before.size());
    std::from_chars(number.data(), number.data() + number.size(), release);
    return release;
}

Result<void> write_file(const std::string& path, const std::string& text) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) return Error(Errc::CannotRead, "a temporary file could not be written").in_file(path);
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !written)
        return Error(Errc::CannotRead, "a temporary file could not be written").in_file(path);
    return {};
}

Result<Buffer> read_whole(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) return Error(Errc::CannotRead, "the compiler wrote no image").in_file(path);
    Buffer bytes;
    std::byte buffer[65536];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) bytes.insert(bytes.end(), buffer, buffer + n);
    std::fclose(file);
    return bytes;
}

}  // namespace

const char* target_name(Target target) { return row_of(target).text; }
const char* target_ending(Target target) { return row_of(target).ending; }

std::optional<Target> target_from_name(std::string_view name) {
    for (const TargetRow& row : rows)
        if (name == row.text) return row.target;
    return std::nullopt;
}

std::span<const Target> all_targets() {
    static constexpr Target all[] = {
#define TARGET(name, text, ending, compilers, machine, image) Target::name,
#include "module/target.def"
#undef TARGET
    };
    return all;
}

std::optional<Target> host_target() {
#if defined(_WIN32) && defined(__x86_64__)
    return Target::WindowsX86_64;
#elif defined(__linux__) && defined(__x86_64__)
    return Target::LinuxX86_64;
#elif defined(__linux__) && defined(__aarch64__)
    return Target::LinuxArm64;
#else
    return std::nullopt;
#endif
}

const char* cpu_level_name(CpuLevel level) { return cpu_rows[static_cast<size_t>(level)].text; }

std::optional<CpuLevel> cpu_level_from_name(std::string_view name) {
    if (name == "host") return host_cpu_level();
    for (const CpuRow& row : cpu_rows)
        if (name == row.text) return row.level;
    return std::nullopt;
}

CpuLevel host_cpu_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool v2 =
        __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("ssse3");
    const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    return v4 ? CpuLevel::X86_64_V4 : v3 ? CpuLevel::X86_64_V3 : v2 ? CpuLevel::X86_64_V2 : CpuLevel::Baseline;
#else
    return CpuLevel::Baseline;
#endif
}

Result<Compiler> find_compiler(const CompilerOptions& options) {
    const TargetRow& row = row_of(options.target);
    if (options.cpu != CpuLevel::Baseline && options.target == Target::LinuxArm64)
        return Error(Errc::InvalidArgument,
                     fmt::format("{} has no processor level {}", row.text, cpu_level_name(options.cpu)), {},
                     "leave out --cpu, or say --cpu baseline");
    std::vector<std::string> candidates;
    if (options.compiler.empty())
        add_words(candidates, row.compilers);
    else
        candidates.push_back(options.compiler);
    Compiler out;
    std::optional<Error> first;
    for (const std::string& candidate : candidates) {
        auto version = version_of(candidate);
        if (version) {
            out.program = candidate;
            out.identity = *std::move(version);
            break;
        }
        if (!first) first = std::move(version).error();
    }
    if (out.program.empty()) {
        return Error(Errc::Unavailable, fmt::format("there is no C compiler for {}", row.text), first->what(),
                     fmt::format("install one of: {}; or name one with --cc", row.compilers));
    }
    for (const char* flag : engine::native::required_flags()) out.flags.emplace_back(flag);
    // Vectors and unrolling pay where the processor's own are used.
    out.flags.emplace_back(options.cpu == CpuLevel::Baseline ? "-O2" : "-O3");
    if (options.cpu != CpuLevel::Baseline) {
        out.flags.push_back(std::string("-march=") + cpu_level_name(options.cpu));
        // Vectors of addresses are slower than the loop on processors of both makers, and clang takes them for cheap: a
        // sort by scattered stores takes twice the time of one without.
        if (clang_release(out.identity) >= 18) add_words(out.flags, "-mno-gather -mno-scatter");
    }
    add_words(out.flags, common_flags);
    add_words(out.flags, row.machine);
    add_words(out.flags, row.image);
    return out;
}

Result<Buffer> compile_c(const std::string& text, const Compiler& compiler) {
    const HeldInterrupts held;  // before the folder: it is gone when an interrupt ends this process
    Folder folder;
    SKEP_ASSIGN(folder.path, make_private_folder());
    SKEP_TRY(write_file(folder.path + "/module.c", text));
    ProcessRequest request;
    request.words.push_back(compiler.program);
    request.words.insert(request.words.end(), compiler.flags.begin(), compiler.flags.end());
    // Names without folders: what a compiler writes of them into the image is the same everywhere.
    for (const char* word : {"module.c", "-o", "module.bin"}) request.words.emplace_back(word);
    request.folder = folder.path;
    request.environment = quiet_environment(folder.path);
    request.limits = compiler.limits;
    SKEP_ASSIGN(const ProcessResult result, run_process(request));
    if (result.interrupted) return interrupted(compiler.program);
    if (result.timed_out)
        return Error(Errc::LimitExceeded, "the C compiler took too long",
                     fmt::format("{} was ended: it may take {} seconds of processor time and {} in all",
                                 compiler.program, request.limits.cpu_seconds, request.limits.seconds));
    if (result.exit_code != 0) {
        return Error(Errc::Unsupported, "the C compiler refuses the generated code",
                     fmt::format("{} ended with {}: {}", compiler.program, result.exit_code, result.text),
                     "this is a mistake of skep: please report it with the object file");
    }
    return read_whole(folder.path + "/module.bin");
}

}  // namespace skep::module
