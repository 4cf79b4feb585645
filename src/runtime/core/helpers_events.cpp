// SPDX-License-Identifier: Apache-2.0
// Ring buffers and perf events: what programs send to whoever listens.
#include "maps/perf_event_array.hpp"
#include "maps/ringbuf.hpp"
#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {
/// Whether the context begins with a HostPacket.
bool has_packet(platform::ProgramType type) {
    using platform::ProgramType;
    return type == ProgramType::Xdp || type == ProgramType::SchedCls || type == ProgramType::SchedAct ||
           type == ProgramType::SocketFilter || type == ProgramType::Bind || type == ProgramType::Process;
}
}  // namespace

/// bpf_skb_event_output, bpf_xdp_event_output: the flags' upper half asks for so many bytes of the packet.
SKEP_HELPER(perf_event_output) {
    maps::PerfEventArray* array = maps::PerfEventArray::of(pointer<maps::Map>(r2));
    if (array == nullptr) return result(Errc::InvalidArgument);
    if (!has_packet(run_of(context).type)) {  // bpf_event_output_data: no bytes of a packet
        if ((r3 >> 32) != 0) return result(Errc::InvalidArgument);
        return result(array->output(r3, pointer<const void>(r4), r5, nullptr, 0, context->lane));
    }
    const auto& packet = *pointer<const platform::HostPacket>(r1);
    return result(array->output(r3, pointer<const void>(r4), r5, packet.data,
                                static_cast<uint64_t>(packet.data_end - packet.data), context->lane));
}

SKEP_HELPER(ringbuf_output) {
    maps::Ringbuf* ring = maps::Ringbuf::of(pointer<maps::Map>(r1));
    return ring == nullptr ? result(Errc::InvalidArgument) : result(ring->output(pointer<const void>(r2), r3, r4));
}

SKEP_HELPER(ringbuf_reserve) {
    void* sample = run_of(context).reservations.reserve(*pointer<maps::Map>(r1), r2, r3);
    return reinterpret_cast<uintptr_t>(sample);
}

SKEP_HELPER(ringbuf_submit) {
    run_of(context).reservations.submit(pointer<void>(r1), r2);
    return 0;
}

SKEP_HELPER(ringbuf_discard) {
    run_of(context).reservations.discard(pointer<void>(r1), r2);
    return 0;
}

SKEP_HELPER(ringbuf_query) {
    const maps::Ringbuf* ring = maps::Ringbuf::of(pointer<maps::Map>(r1));
    return ring == nullptr ? 0 : ring->query(r2);
}

}  // namespace skep::runtime::helpers
