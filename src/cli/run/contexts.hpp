// SPDX-License-Identifier: Apache-2.0
// `skep run --contexts`: a program over contexts that a file describes field by field.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/run/backend.hpp"
#include "hooks/context/context_session.hpp"
#include "platform/context.hpp"

namespace skep::cli {

/// One loaded object and a program of it over contexts, one after the other, as options.recording watches.
class ContextRunner {
  public:
    struct Report {
        platform::Verdict verdict = {};
        uint64_t r0 = 0;
        std::vector<std::pair<std::string, std::string>> changed;  ///< fields, and their bytes afterwards
        std::vector<std::string> printed;                          ///< lines of the run, the first ones

        /// "  field = bytes" for each.
        std::string changed_text() const;
    };

    /// Errors: those of loading; InvalidArgument for another engine than ours.
    static Result<std::unique_ptr<ContextRunner>> open(std::shared_ptr<const object::ObjectSpec> spec,
                                                       const RunOptions& options);
    platform::ContextKind kind() const { return kind_; }
    /// Errors: InvalidArgument naming the field of context `number`; Rejected for a fault.
    Result<Report> run(const Json& context, size_t number);
    /// Behind the last run. Nothing for a map that was not made or has no contents to show.
    Result<std::optional<MapContents>> contents(uint32_t map);
    /// The recording's last lines. Requires: somebody records.
    Result<void> finish();

  private:
    ContextRunner() = default;

    std::unique_ptr<runtime::LoadedObject> loaded_;
    const runtime::LoadedProgram* program_ = nullptr;
    platform::ContextKind kind_ = {};
    Recording* recording_ = nullptr;
    std::vector<std::string> printed_;  ///< by the run so far
    std::unique_ptr<hooks::ContextSession> session_;
};

/// The file is a list of objects: field names as `skep platform show skep` has them, values as numbers or hex bytes;
/// what is not named is zero, but each context's socket another one ("socket_cookie" names it). Prints a verdict and
/// the fields that changed, one line or JSON object per context. Errors: those of loading; InvalidArgument naming the
/// field.
Result<void> run_contexts(std::shared_ptr<const object::ObjectSpec> spec, const RunOptions& options,
                          const std::string& file, Output& output);

}  // namespace skep::cli
