// SPDX-License-Identifier: Apache-2.0
// `skep run --contexts`: a program over contexts that a file describes field by field.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "cli/output.hpp"
#include "cli/run/backend.hpp"

namespace skep::cli {

/// The file is a list of objects: field names as `skep platform show skep` has them, values as numbers or hex bytes;
/// what is not named is zero, but each context's socket another one ("socket_cookie" names it). Prints a verdict and
/// the fields that changed, one line or JSON object per context. Errors: those of loading; InvalidArgument naming the
/// field.
Result<void> run_contexts(std::shared_ptr<const object::ObjectSpec> spec, const RunOptions& options,
                          const std::string& file, Output& output);

}  // namespace skep::cli
