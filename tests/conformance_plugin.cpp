// SPDX-License-Identifier: Apache-2.0
// The plugin that the public bpf_conformance runner starts once per test:
//   conformance-plugin [MEMORY] [--engine interp|jit|native]    code in hexadecimal on standard input, r0 on standard
//   output
// SKEP_KEPT_IMAGES names a folder for what the native engine builds: the same vector is then built once.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cli/conformance.hpp"

namespace {

int fail(const skep::Error& error) {
    std::fprintf(stderr, "%s\n", error.to_string().c_str());
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace skep::cli;
    std::string_view memory_text;
    ConformanceEngine engine = ConformanceEngine::Jit;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        std::string_view name;
        if (word == "--engine" && i + 1 < argc) {
            name = argv[++i];
        } else if (word.starts_with("--engine=")) {
            name = word.substr(9);
        } else if (!word.starts_with("-")) {
            memory_text = word;
            continue;
        }
        if (name != "interp" && name != "jit" && name != "native") {
            std::fprintf(stderr, "usage: conformance-plugin [MEMORY] [--engine interp|jit|native]\n");
            return 2;
        }
        engine = name == "jit"      ? ConformanceEngine::Jit
                 : name == "native" ? ConformanceEngine::Native
                                    : ConformanceEngine::Interp;
    }
    std::string text;
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) text.append(buffer, n);

    auto memory = parse_hex(memory_text);
    if (!memory) return fail(memory.error());
    const auto bytes = parse_hex(text);
    if (!bytes) return fail(bytes.error());
    const auto code = slots_of(*bytes);
    if (!code) return fail(code.error());
    const char* const kept = std::getenv("SKEP_KEPT_IMAGES");
    const auto r0 = run_conformance(*code, *memory, engine, kept != nullptr ? kept : "");
    if (!r0) return fail(r0.error());
    std::printf("%llx\n", static_cast<unsigned long long>(*r0));
    return 0;
}
