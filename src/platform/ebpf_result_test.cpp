// SPDX-License-Identifier: Apache-2.0
#include "platform/ebpf_result.hpp"

#include <gtest/gtest.h>

namespace skep::platform {
namespace {

uint64_t minus(int64_t n) { return static_cast<uint64_t>(-n); }

TEST(EbpfResult, EveryErrnoOfAHelperHasANumberThere) {
    for (const EbpfResultRow& row : ebpf_result_rows)
        EXPECT_EQ(to_ebpf_result(minus(row.errno_number)), minus(row.number)) << row.errno_number;
    EXPECT_EQ(to_ebpf_result(minus(2)), minus(19));  // ENOENT: key not found
    EXPECT_EQ(to_ebpf_result(minus(7)), minus(29));  // E2BIG, a full map: out of space
    EXPECT_EQ(to_ebpf_result(minus(99)), minus(17)) << "what is in no row is failed";
}

TEST(EbpfResult, EveryNumberLeadsBackToAnErrno) {
    for (const EbpfResultRow& row : ebpf_result_rows) {
        const uint64_t back = from_ebpf_result(minus(row.number));
        EXPECT_EQ(to_ebpf_result(back), minus(row.number)) << row.number;
    }
    EXPECT_EQ(from_ebpf_result(minus(29)), minus(7)) << "the first row of a number";
    EXPECT_EQ(from_ebpf_result(minus(17)), minus(22)) << "failed says nothing more";
}

TEST(EbpfResult, WhatIsNoErrorStays) {
    for (const uint64_t r0 : {uint64_t{0}, uint64_t{1}, uint64_t{0xffffffff}, minus(4096), uint64_t{1} << 63}) {
        EXPECT_EQ(to_ebpf_result(r0), r0);
        EXPECT_EQ(from_ebpf_result(r0), r0);
    }
    EXPECT_NE(to_ebpf_result(minus(4095)), minus(4095)) << "the last error";
}

}  // namespace
}  // namespace skep::platform
