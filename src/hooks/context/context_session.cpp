// SPDX-License-Identifier: Apache-2.0
#include "hooks/context/context_session.hpp"

namespace skep::hooks {

const char* address_verdict_name(AddressVerdict verdict) {
    switch (verdict) {
        case AddressVerdict::Reject: return "reject";
        case AddressVerdict::Proceed: return "proceed";
        case AddressVerdict::ProceedHard: return "proceed_hard";
    }
    return "?";
}

AddressVerdict address_verdict(platform::Personality personality, uint64_t r0) {
    const auto number = static_cast<uint32_t>(r0);
    if (personality == platform::Personality::Linux)
        return (number & 1) != 0 ? AddressVerdict::Proceed : AddressVerdict::Reject;
    if (number == 1) return AddressVerdict::Proceed;
    return number == 2 ? AddressVerdict::ProceedHard : AddressVerdict::Reject;
}

Result<std::unique_ptr<ContextSession>> ContextSession::open(Lanes& lanes, platform::ProgramType type,
                                                             platform::Personality personality,
                                                             const runtime::Chance& chance,
                                                             const runtime::LogSink& log) {
    if (type != platform::ProgramType::CgroupSockAddr)
        return Error(Errc::InvalidArgument, "programs of this type do not run on contexts that a file describes");
    std::unique_ptr<ContextSession> session(new ContextSession(lanes, personality));
    session->run_.init(type, lanes.acquire());
    session->run_.chance = chance;
    session->run_.log = log;
    return session;
}

ContextResult ContextSession::run(const skep_entry& entry, std::span<std::byte> context) {
    run_.start();
    ContextResult result;
    result.r0 = entry.function(context.data(), &run_.context, entry.self);
    run_.finish();
    result.fault = run_.context.fault;
    result.verdict = address_verdict(personality_, result.r0);
    lanes_->quiesce(lane());
    return result;
}

}  // namespace skep::hooks
