// SPDX-License-Identifier: Apache-2.0
// A child process with bounds: how the C compiler is run. One body per host (posix.cpp, win32.cpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace skep::module {

struct ProcessLimits {
    uint32_t cpu_seconds = 120;          ///< of processor time, each process
    uint32_t seconds = 900;              ///< of the wall clock, however busy the machine is
    uint64_t memory_bytes = 4ull << 30;  ///< address space of each process
    uint64_t file_bytes = 256ull << 20;  ///< each file it writes
    size_t text_bytes = 64 << 10;        ///< of its output that is kept
};

struct ProcessRequest {
    std::vector<std::string> words;        ///< program and arguments; the program is searched for in PATH
    std::string folder;                    ///< where it runs
    std::vector<std::string> environment;  ///< NAME=VALUE, besides PATH; nothing else is handed on
    ProcessLimits limits;
};

struct ProcessResult {
    int exit_code = 0;  ///< 128 + signal where it was killed by one
    bool timed_out = false;
    std::string text;  ///< standard output and error, the first limits.text_bytes of them
};

/// Runs it to its end, or to its limit: then it is killed, with what it started. Errors: Unavailable (no such program),
/// NoMemory.
Result<ProcessResult> run_process(const ProcessRequest& request);

/// A fresh folder that only this user can enter, under the host's folder for temporary files. Errors: CannotRead.
Result<std::string> make_private_folder();
/// Removes a folder that make_private_folder() made, with the files in it.
void remove_folder(const std::string& path);

}  // namespace skep::module
