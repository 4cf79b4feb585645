// SPDX-License-Identifier: Apache-2.0
// A child process with bounds: how the C compiler is run. One body per host (posix.cpp, win32.cpp).
#pragma once

#include <cstdint>
#include <memory>
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
    bool interrupted = false;  ///< killed because this process is to end: see HeldInterrupts
    std::string text;          ///< standard output and error, the first limits.text_bytes of them
};

/// While it lives, what ends this process from outside waits (Linux: SIGHUP, SIGINT, SIGQUIT, SIGTERM, held back from
/// this thread unless ignored; Windows: Ctrl-C and Ctrl-Break): a run_process() below it kills its child and returns,
/// its caller removes what it made, and the end comes, or the process' own handler is called, when the outermost one
/// goes.
class HeldInterrupts {
  public:
    HeldInterrupts();
    ~HeldInterrupts();
    HeldInterrupts(const HeldInterrupts&) = delete;
    HeldInterrupts& operator=(const HeldInterrupts&) = delete;

  private:
    friend Result<ProcessResult> run_process(const ProcessRequest& request);
    struct State;
    std::unique_ptr<State> state_;
};

/// Runs it to its end, to its limit, or until this process is to end: then it is killed, with what it started. Holds
/// interrupts meanwhile. Errors: Unavailable (no such program), NoMemory.
Result<ProcessResult> run_process(const ProcessRequest& request);

/// A fresh folder that only this user can enter, under the host's folder for temporary files. Errors: CannotRead.
Result<std::string> make_private_folder();
/// Removes a folder that make_private_folder() made, with the files in it.
void remove_folder(const std::string& path);

}  // namespace skep::module
