// SPDX-License-Identifier: Apache-2.0
// The helpers' implementations, by theme; one table gives them to engines. Semantics are Linux' to the errno; each
// function names the kernel function it follows where that is not its own name. Requires, for all: the arguments are
// what the verifier checked them for (helper.def), the run holds its lane.
#pragma once

#include <stdint.h>

#include "base/status.hpp"
#include "platform/helper.hpp"
#include "runtime/core/run.hpp"
#include "skep/runtime_context.h"

namespace skep::runtime {

/// Indexed by platform::HelperId; null: this runtime does not offer it. Behind the helpers, at helper_functions_count +
/// id, the same with results in eBPF for Windows' numbers (platform::helper_index).
const skep_helper_fn* helper_functions();
inline constexpr size_t helper_functions_count = platform::helper_count;

/// The head of a helper's definition or declaration.
#define SKEP_HELPER(name)                                                                                   \
    uint64_t name([[maybe_unused]] uint64_t r1, [[maybe_unused]] uint64_t r2, [[maybe_unused]] uint64_t r3, \
                  [[maybe_unused]] uint64_t r4, [[maybe_unused]] uint64_t r5,                               \
                  [[maybe_unused]] skep_runtime_context* context)

/// 0 or a negative errno as r0.
inline uint64_t result(Errc code) { return static_cast<uint64_t>(-static_cast<int64_t>(errno_of(code))); }
inline uint64_t result(Status status) { return result(status.code); }

template <typename T>
T* pointer(uint64_t reg) {
    return reinterpret_cast<T*>(static_cast<uintptr_t>(reg));
}

/// Every implemented helper. The name is HelperId's in snake_case; helper_table.cpp pairs them.
// clang-format off
#define SKEP_HELPERS(X)                                              \
    /* helpers_map.cpp */                                            \
    X(MapLookupElem, map_lookup_elem)                                \
    X(MapUpdateElem, map_update_elem)                                \
    X(MapDeleteElem, map_delete_elem)                                \
    X(MapPushElem, map_push_elem)                                    \
    X(MapPopElem, map_pop_elem)                                      \
    X(MapPeekElem, map_peek_elem)                                    \
    X(MapLookupPercpuElem, map_lookup_percpu_elem)                   \
    /* helpers_time.cpp */                                           \
    X(KtimeGetNs, ktime_get_ns)                                      \
    X(KtimeGetBootNs, ktime_get_boot_ns)                             \
    X(KtimeGetCoarseNs, ktime_get_coarse_ns)                         \
    X(KtimeGetTaiNs, ktime_get_tai_ns)                               \
    X(Jiffies64, jiffies64)                                          \
    X(GetPrandomU32, get_prandom_u32)                                \
    X(GetSmpProcessorId, get_smp_processor_id)                       \
    X(GetNumaNodeId, get_numa_node_id)                               \
    /* helpers_string.cpp */                                         \
    X(Strtol, strtol_)                                               \
    X(Strtoul, strtoul_)                                             \
    X(Strncmp, strncmp_)                                             \
    /* helpers_print.cpp */                                          \
    X(TracePrintk, trace_printk)                                     \
    X(TraceVprintk, trace_vprintk)                                   \
    X(Snprintf, snprintf_)                                           \
    /* helpers_csum.cpp */                                           \
    X(CsumDiff, csum_diff)                                           \
    X(L3CsumReplace, l3_csum_replace)                                \
    X(L4CsumReplace, l4_csum_replace)                                \
    /* helpers_xdp.cpp */                                            \
    X(XdpAdjustHead, xdp_adjust_head)                                \
    X(XdpAdjustTail, xdp_adjust_tail)                                \
    X(XdpAdjustMeta, xdp_adjust_meta)                                \
    X(XdpLoadBytes, xdp_load_bytes)                                  \
    X(XdpStoreBytes, xdp_store_bytes)                                \
    X(XdpGetBuffLen, xdp_get_buff_len)                               \
    X(Redirect, redirect)                                            \
    X(RedirectMap, redirect_map)                                     \
    /* helpers_skb.cpp */                                            \
    X(SkbLoadBytes, skb_load_bytes)                                  \
    X(SkbLoadBytesRelative, skb_load_bytes_relative)                 \
    X(SkbStoreBytes, skb_store_bytes)                                \
    X(SkbPullData, skb_pull_data)                                    \
    X(PacketLoad1, packet_load1)                                     \
    X(PacketLoad2, packet_load2)                                     \
    X(PacketLoad4, packet_load4)                                     \
    /* helpers_socket.cpp */                                         \
    X(GetSocketCookie, get_socket_cookie)                            \
    /* helpers_events.cpp */                                         \
    X(PerfEventOutput, perf_event_output)                            \
    X(RingbufOutput, ringbuf_output)                                 \
    X(RingbufReserve, ringbuf_reserve)                               \
    X(RingbufSubmit, ringbuf_submit)                                 \
    X(RingbufDiscard, ringbuf_discard)                               \
    X(RingbufQuery, ringbuf_query)                                   \
    /* helpers_flow.cpp */                                           \
    X(TailCall, tail_call)                                           \
    X(Loop, loop)                                                    \
    X(ForEachMapElem, for_each_map_elem)                             \
    /* helpers_windows.cpp */                                        \
    X(MapLookupAndDeleteElem, map_lookup_and_delete_elem)            \
    X(TracePrintk2, trace_printk2)                                   \
    X(TracePrintk3, trace_printk3)                                   \
    X(TracePrintk4, trace_printk4)                                   \
    X(TracePrintk5, trace_printk)                                    \
    X(GetCurrentPidTgid, get_current_pid_tgid)                       \
    X(GetCurrentLogonId, get_current_logon_id)                       \
    X(IsCurrentAdmin, is_current_admin)                              \
    X(GetCurrentProcessStartKey, get_current_process_start_key)      \
    X(GetCurrentThreadCreateTime, get_current_thread_create_time)    \
    X(MemcpyS, memcpy_s_)                                            \
    X(MemcmpS, memcmp_s_)                                            \
    X(Memset, memset_)                                               \
    X(MemmoveS, memmove_s_)                                          \
    X(StrncpyS, strncpy_s_)                                          \
    X(StrncatS, strncat_s_)                                          \
    X(StrnlenS, strnlen_s_)                                          \
    X(KtimeGetBootMs, ktime_get_boot_ms)                             \
    X(KtimeGetMs, ktime_get_ms)                                      \
    X(SockAddrSetRedirectContext, sock_addr_set_redirect_context)    \
    X(SockOpsGetFlowId, sock_ops_get_flow_id)                        \
    X(ProcessGetImagePath, process_get_image_path)                   \
    X(ProcessGetAccountName, process_get_account_name)               \
    X(ProcessGetAccountDomain, process_get_account_domain)
// clang-format on

namespace helpers {
#define SKEP_DECLARE_HELPER(id, name) SKEP_HELPER(name);
SKEP_HELPERS(SKEP_DECLARE_HELPER)
#undef SKEP_DECLARE_HELPER
}  // namespace helpers

}  // namespace skep::runtime
