// SPDX-License-Identifier: Apache-2.0
// What the command line asks of its host; one body per host beside this file.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace skep::cli::host {

/// Whether descriptor `fd` (1 or 2) is a terminal that understands escape sequences.
bool is_terminal(int fd);
/// Columns of the terminal on descriptor 2; 80 where unknown.
unsigned columns();
/// Puts the standard streams into byte mode, where the host has another one.
void prepare_streams();

/// A file in the making, and the one whose place it takes when it is whole.
struct Beside {
    std::string made;   ///< in the same folder
    std::string place;  ///< what was asked for, symbolic links followed
};
/// Where to make what shall stand under `path`; nothing where that is no plain file (a device, a pipe).
std::optional<Beside> beside(const std::string& path);
/// Creates a file that is not there yet; `owner_only`: nobody else may read it. Null: errno says why not.
std::FILE* create(const std::string& path, bool owner_only);
/// Puts the one in the other's place, in one step; permissions of what was there stay. False: errno says why not.
bool take_place(const Beside& files);
/// Whether a file of this name has to go if the user interrupts the process (up to eight at a time).
void set_unfinished(const std::string& path, bool unfinished);

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
