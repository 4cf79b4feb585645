// SPDX-License-Identifier: Apache-2.0
// What Linux promises programs, and what it refuses beyond. Usable in the kernel-capable core.
#pragma once

#include <stdint.h>

namespace skep::platform::limits {

inline constexpr uint32_t stack_bytes = 512;            ///< of one frame, and of a whole call chain (MAX_BPF_STACK)
inline constexpr uint32_t call_frames = 8;              ///< the entry function included (MAX_CALL_FRAMES)
inline constexpr uint32_t tail_calls = 33;              ///< in one run (MAX_TAIL_CALL_CNT)
inline constexpr uint32_t packet_offset = 65535;        ///< largest offset into a packet (MAX_PACKET_OFF)
inline constexpr int64_t pointer_offset = 1 << 29;      ///< |offset| of a pointer stays below it (BPF_MAX_VAR_OFF)
inline constexpr int64_t variable_size = 1 << 29;       ///< sizes of helper memory stay below it (BPF_MAX_VAR_SIZ)
inline constexpr uint32_t instructions = 1'000'000;     ///< slots of a privileged program (BPF_COMPLEXITY_LIMIT_INSNS)
inline constexpr uint32_t loop_iterations = 1 << 23;    ///< of the helper loop (BPF_MAX_LOOPS)
inline constexpr uint32_t tail_call_stack_bytes = 256;  ///< of a caller chain that tail calls from a subprogram
inline constexpr uint32_t flow_keys_bytes = 56;         ///< sizeof(struct bpf_flow_keys)
inline constexpr int64_t largest_errno = 4095;          ///< MAX_ERRNO
inline constexpr uint32_t subprograms = 256;            ///< BPF_MAX_SUBPROGS
inline constexpr uint32_t maps = 64;                    ///< MAX_USED_MAPS

}  // namespace skep::platform::limits
