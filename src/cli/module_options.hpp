// SPDX-License-Identifier: Apache-2.0
// What commands that take a native module have in common: the policy, the roots, the checks.
#pragma once

#include <functional>

#include "cli/command.hpp"
#include "module/load.hpp"

namespace skep::cli {

/// The policy of --policy FILE (the defaults if there is none), with --root, --allow-unsigned and --unverified applied,
/// and the certificates that its roots name. Errors: those of the files; AccessDenied for --allow-unsigned or
/// --unverified in a production build.
Result<module::CheckOptions> check_options(const Arguments& arguments);

/// A PEM file that holds at least one `label`: "CERTIFICATE" or "PRIVATE KEY". Errors: CannotRead; Malformed if not.
Result<std::vector<std::byte>> read_pem(const std::string& path, std::string_view label);

/// Whether the policy says who may run programs: a production build always asks it, another one where --policy names
/// one.
bool asks_policy(const Arguments& arguments);
/// Errors: AccessDenied if it is asked and does not name `engine`.
Result<void> engine_allowed(const Arguments& arguments, const module::CheckOptions& options, const std::string& engine,
                            bool is_object = false);

/// What a policy that is asked says of an object's program, once it is verified: LoadOptions::admit. Empty: it is not
/// asked.
std::function<Result<void>(const ExecutableProgram&)> admission(const Arguments& arguments,
                                                                const module::CheckOptions& options);
/// The certificates of a policy's roots. Errors: CannotRead, Malformed, with the file.
Result<void> read_roots(const std::string& path, std::vector<module::Buffer>& roots);

/// The options behind it, for tables: insert into a command's list.
#define SKEP_MODULE_OPTIONS                                                                           \
    {"--policy", Kind::File, "FILE", "what is allowed (built-in defaults)"},                          \
        {"--root", Kind::File, "FILE", "trust this root too: PEM certificates, or a folder of them"}, \
        {"--allow-unsigned", Kind::Flag, "", "take modules without a signature (development builds)"}

}  // namespace skep::cli
