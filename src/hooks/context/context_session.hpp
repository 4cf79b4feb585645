// SPDX-License-Identifier: Apache-2.0
// A hook for program types whose context no live hook here fills: each run gets one that the caller wrote, in Linux'
// layout, which is the canonical one for them; a program of either personality sees it through its own binding.
#pragma once

#include <memory>
#include <span>

#include "base/lane.hpp"
#include "base/result.hpp"
#include "platform/names.hpp"
#include "runtime/core/run.hpp"

namespace skep::hooks {

/// What a program said of an address, whichever numbers it said it in.
enum class AddressVerdict : uint8_t {
    Reject,
    Proceed,
    ProceedHard,  ///< Windows: later filters may not refuse it any more
};
/// "reject", "proceed", "proceed_hard"; static storage.
const char* address_verdict_name(AddressVerdict verdict);
/// The meaning of r0: Linux knows 0 and, at connect and its kin, 1 (at bind also 2 and 3, flags beside it); what means
/// nothing on Windows is a rejection there.
AddressVerdict address_verdict(platform::Personality personality, uint64_t r0);

struct ContextResult {
    uint64_t r0 = 0;
    AddressVerdict verdict = AddressVerdict::Reject;
    uint32_t fault = 0;  ///< enum skep_fault; not 0: the run was ended, and the verdict means nothing
};

class ContextSession {
  public:
    /// Requires: the programs run belong to a runtime with these `lanes`. InvalidArgument for a type other than
    /// cgroup_sock_addr.
    static Result<std::unique_ptr<ContextSession>> open(Lanes& lanes, platform::ProgramType type,
                                                        platform::Personality personality,
                                                        const runtime::Chance& chance, const runtime::LogSink& log);
    ~ContextSession() { lanes_->release(run_.context.lane); }
    ContextSession(const ContextSession&) = delete;
    ContextSession& operator=(const ContextSession&) = delete;

    uint32_t lane() const { return run_.context.lane; }
    /// Runs `entry`; what the program writes stays in `context`. Requires: it has the context's whole size.
    ContextResult run(const skep_entry& entry, std::span<std::byte> context);

  private:
    ContextSession(Lanes& lanes, platform::Personality personality) : lanes_(&lanes), personality_(personality) {}

    Lanes* lanes_;
    platform::Personality personality_;
    runtime::Run run_;
};

}  // namespace skep::hooks
