// SPDX-License-Identifier: Apache-2.0
// A hook for program types whose context no live hook here fills: each run gets one that the caller wrote, in the
// host's layout (host_context.hpp); a program of either personality sees it through its own binding.
#pragma once

#include <memory>
#include <span>

#include "base/lane.hpp"
#include "base/result.hpp"
#include "platform/names.hpp"
#include "platform/verdict.hpp"
#include "runtime/core/run.hpp"

namespace skep::hooks {

/// Fills in what Windows' programs see in other numbers, from Linux' fields (platform/windows_fields.def): families,
/// ports, the operation, addresses of either family. Requires: `context` has the type's whole host context.
void fill_windows_view(platform::ProgramType type, std::span<std::byte> context);

struct ContextResult {
    uint64_t r0 = 0;
    platform::Verdict verdict = {};
    uint32_t fault = 0;  ///< enum skep_fault; not 0: the run was ended, and the verdict means nothing
};

class ContextSession {
  public:
    /// Requires: the programs run belong to a runtime with these `lanes`. InvalidArgument for a type other than
    /// cgroup_sock_addr, sock_ops, bind and process.
    static Result<std::unique_ptr<ContextSession>> open(Lanes& lanes, platform::ProgramType type,
                                                        platform::Personality personality,
                                                        const runtime::Chance& chance, const runtime::LogSink& log,
                                                        void* observer = nullptr);
    ~ContextSession() { lanes_->release(run_.context.lane); }
    ContextSession(const ContextSession&) = delete;
    ContextSession& operator=(const ContextSession&) = delete;

    uint32_t lane() const { return run_.context.lane; }
    /// Runs `entry`; what the program writes stays in `context`. Requires: it has the host context's whole size, is
    /// 8-aligned, and its pointers are null or hold for the run.
    ContextResult run(const skep_entry& entry, std::span<std::byte> context);

  private:
    ContextSession(Lanes& lanes, platform::Personality personality) : lanes_(&lanes), personality_(personality) {}

    Lanes* lanes_;
    platform::Personality personality_;
    runtime::Run run_;
};

}  // namespace skep::hooks
