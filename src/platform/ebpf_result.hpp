// SPDX-License-Identifier: Apache-2.0
// Results of helpers in the two systems' numbers: minus an errno, minus an ebpf_result (ebpf_result.def). Usable in the
// kernel-capable core.
#pragma once

#include <stdint.h>

#include "platform/helper.hpp"

namespace skep::platform {

struct EbpfResultRow {
    int16_t errno_number;  ///< positive, Linux'
    int16_t number;        ///< positive, ebpf_result
};
inline constexpr EbpfResultRow ebpf_result_rows[] = {
#define EBPF_RESULT(errno_number, number, name) {errno_number, number},
#include "platform/ebpf_result.def"
#undef EBPF_RESULT
};
inline constexpr int16_t ebpf_result_failed = 17;
inline constexpr int16_t ebpf_result_invalid_argument = 6;
inline constexpr int16_t ebpf_result_no_more_tail_calls = 27;
/// Where engines find the function for a call of `helper` whose result is mapped so: LinkTable::helpers holds
/// helper_count functions as they are and, where programs of Windows run, as many behind them with mapped results.
/// There a tail call that fails gives an error, not 0.
constexpr uint16_t helper_index(uint16_t helper, ResultMap result) {
    return static_cast<uint16_t>(helper + (result == ResultMap::EbpfResult ? helper_count : 0));
}
/// The kernel's MAX_ERRNO: a result from -4095 to -1 is an error.
inline constexpr uint64_t largest_error = 4095;

constexpr bool is_error_result(uint64_t r0) { return r0 >= uint64_t{0} - largest_error; }

/// r0 in Linux' numbers as r0 in eBPF for Windows'. What is no error stays.
constexpr uint64_t to_ebpf_result(uint64_t r0) {
    if (!is_error_result(r0)) return r0;
    for (const EbpfResultRow& row : ebpf_result_rows)
        if (r0 == uint64_t{0} - static_cast<uint64_t>(row.errno_number))
            return uint64_t{0} - static_cast<uint64_t>(row.number);
    return uint64_t{0} - static_cast<uint64_t>(ebpf_result_failed);
}

/// And back: the first row of the number.
constexpr uint64_t from_ebpf_result(uint64_t r0) {
    if (!is_error_result(r0)) return r0;
    for (const EbpfResultRow& row : ebpf_result_rows)
        if (r0 == uint64_t{0} - static_cast<uint64_t>(row.number))
            return uint64_t{0} - static_cast<uint64_t>(row.errno_number);
    return uint64_t{0} - uint64_t{22};
}

}  // namespace skep::platform
