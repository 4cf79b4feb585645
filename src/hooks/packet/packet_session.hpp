// SPDX-License-Identifier: Apache-2.0
// The packet hooks: xdp, tc and socket_filter programs over packets in memory, with the contexts, rooms and offsets of
// the kernel's BPF_PROG_TEST_RUN (net/bpf/test_run.c), so that results equal the kernel's.
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/lane.hpp"
#include "base/result.hpp"
#include "platform/verdict.hpp"
#include "runtime/core/run.hpp"

namespace skep::hooks {

struct PacketSettings {
    uint32_t ifindex = 1;  ///< where packets come from; 1 is the loopback device, test_run's choice
    uint32_t rx_queue = 0;
    runtime::Chance chance;
    runtime::LogSink log;
    void* observer = nullptr;  ///< runtime::Run::observer, for helpers that are not the runtime's own
};

/// The most bytes a packet may have.
constexpr size_t largest_packet_bytes = 65535;

/// What one run did.
struct PacketResult {
    platform::Outcome outcome = {};
    uint64_t r0 = 0;  ///< as the program returned it
    /// From its link-layer header, as the program left it; valid until the session's next run.
    Bytes packet;
    /// What xdp programs put in front of it.
    Bytes metadata;
    runtime::Redirect redirect;  ///< set where the outcome is a redirection
    uint32_t fault = 0;          ///< enum skep_fault; not 0: the run was ended, and the outcome means nothing
    uint32_t fault_insn = 0;
};

/// A run over packets, one after the other, on one thread. Owns a lane from its making to its end, save between leave()
/// and enter(): hold it for a batch, not for ever.
class PacketSession {
  public:
    /// Requires: `type` is Xdp, SchedCls, SchedAct or SocketFilter; the programs run belong to a runtime with these
    /// `lanes`. InvalidArgument for another type.
    static Result<std::unique_ptr<PacketSession>> open(Lanes& lanes, platform::ProgramType type,
                                                       platform::Personality personality,
                                                       const PacketSettings& settings);
    ~PacketSession();
    PacketSession(const PacketSession&) = delete;
    PacketSession& operator=(const PacketSession&) = delete;

    uint32_t lane() const { return run_.context.lane; }
    /// Gives the lane back between batches, keeping buffers, clock and generator. Requires: entered.
    void leave();
    /// Takes a lane again. Requires: left.
    void enter();

    /// The state of clock and generator now, to go on from in another session.
    const runtime::Chance& chance() const { return run_.chance; }
    /// Fewer bytes than an Ethernet header (socket_filter: not more than one), or more than largest_packet_bytes.
    bool refuses(Bytes packet) const;

    /// Runs `entry` over a copy of `packet`, which begins with its Ethernet header. Requires: !refuses(packet).
    PacketResult run(const skep_entry& entry, Bytes packet);

    /// Runs `entry` over each packet and calls `each(index, result)`; between packets the epoch moves on. Packets that
    /// are refused are passed over.
    template <typename Each>
    void run_batch(const skep_entry& entry, std::span<const Bytes> packets, Each each) {
        for (size_t i = 0; i < packets.size(); ++i) {
            if (refuses(packets[i])) continue;
            each(i, run(entry, packets[i]));
            lanes_->quiesce(lane());
        }
    }

  private:
    explicit PacketSession(Lanes& lanes) : lanes_(&lanes) {}
    uint64_t enter_xdp(const skep_entry& entry, Bytes packet);
    uint64_t enter_skb(const skep_entry& entry, Bytes packet);

    Lanes* lanes_;
    platform::ProgramType type_ = platform::ProgramType::Xdp;
    platform::Personality personality_ = platform::Personality::Linux;
    uint32_t ifindex_ = 1;
    uint32_t rx_queue_ = 0;
    std::vector<uint8_t> room_;
    runtime::Run run_;
    // What the last run left, for the result.
    uint8_t* data_ = nullptr;
    uint8_t* data_end_ = nullptr;
    uint8_t* data_meta_ = nullptr;
    bool entered_ = false;
    size_t dirty_ = 0;  ///< bytes of room before the packet that may not be zero any more
};

}  // namespace skep::hooks
