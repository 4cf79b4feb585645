// SPDX-License-Identifier: Apache-2.0
// The executable `skep`.
#include <cstdio>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "cli/os/host.hpp"

int main(int argc, char** argv) {
    skep::cli::host::prepare_streams();
    const std::vector<std::string> words(argv + 1, argv + argc);
    skep::cli::Output output = skep::cli::Output::standard();
    const int code = skep::cli::main_with(words, output);
    return std::fflush(stdout) == 0 ? code : skep::cli::exit_unavailable;
}
