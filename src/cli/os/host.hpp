// SPDX-License-Identifier: Apache-2.0
// What the command line asks of its host; one body per host beside this file.
#pragma once

#include <string>
#include <vector>

namespace skep::cli::host {

/// Whether descriptor `fd` (1 or 2) is a terminal that understands escape sequences.
bool is_terminal(int fd);
/// Columns of the terminal on descriptor 2; 80 where unknown.
unsigned columns();
/// Puts the standard streams into byte mode, where the host has another one.
void prepare_streams();

/// If this process is about to die of a memory fault, say `message` (static storage) and end with exit code 1.
void explain_crashes(const char* message);

/// One thing that the host offers or lacks; `detail` says which version or why not.
struct Feature {
    std::string name;
    bool present = false;
    std::string detail;
};
/// What `skep doctor` lists of this host.
std::vector<Feature> features();

}  // namespace skep::cli::host
