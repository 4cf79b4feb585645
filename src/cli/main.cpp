// SPDX-License-Identifier: Apache-2.0
// The executable `skep`.
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "cli/os/host.hpp"

int main(int argc, char** argv) {
    skep::cli::host::prepare_streams();
    skep::cli::Output output = skep::cli::Output::standard();
    int code = skep::cli::exit_unavailable;
    try {
        code = skep::cli::main_with(std::vector<std::string>(argv + 1, argv + argc), output);
    } catch (const std::bad_alloc&) {  // the only thing that may pass (STYLE.md section 5)
        std::fputs("error: there is not enough memory\n", stderr);
    }
    const int error = output.flush();
    if (error == 0) return code;
    std::fprintf(stderr, "error: standard output could not be written\n  why:  %s\n", std::strerror(error));
    return skep::cli::exit_unavailable;
}
