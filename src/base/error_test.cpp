// SPDX-License-Identifier: Apache-2.0
#include "base/error.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep {
namespace {

TEST(Error, SaysWhereWhyAndHint) {
    Where where;
    where.file = "prog.o";
    where.section = "xdp";
    where.insn = 17;
    where.insn_text = "*(u64 *)(r10 - 520) = r1";
    where.source_file = "prog.c";
    where.source_line = 42;
    const Error error(Errc::Rejected, where, "store may write outside the stack",
                      "bytes [-520, -513] lie below the frame", "keep stack offsets in [-512, -1]");
    EXPECT_EQ(error.to_string(),
              "error: store may write outside the stack\n"
              "  at prog.o: section \"xdp\", instruction 17 (prog.c:42)\n"
              "        17: *(u64 *)(r10 - 520) = r1\n"
              "  why:  bytes [-520, -513] lie below the frame\n"
              "  hint: keep stack offsets in [-512, -1]");
}

TEST(Error, LeavesOutWhatIsUnknown) {
    EXPECT_EQ(Error(Errc::Malformed, "not an ELF file").to_string(), "error: not an ELF file");
}

TEST(Error, ThePlaceFirstGivenIsKept) {
    const Error error = Error(Errc::Malformed, "x").in_section("maps").in_section("xdp").in_file("a.o");
    EXPECT_EQ(error.where().section, "maps");
    EXPECT_EQ(error.where().file, "a.o");
}

TEST(Error, IsOnePointerWide) { static_assert(sizeof(Error) == sizeof(void*)); }

Result<int> half(int n) {
    if (n % 2 != 0) return Error(Errc::InvalidArgument, "odd");
    return n / 2;
}

Result<int> quarter(int n) {
    SKEP_ASSIGN(const int h, half(n));
    SKEP_TRY(half(h));
    return h / 2;
}

TEST(Result, CarriesAValueOrAnError) {
    EXPECT_EQ(*quarter(8), 2);
    EXPECT_EQ(quarter(7).error().code(), Errc::InvalidArgument);
    EXPECT_EQ(quarter(6).error().code(), Errc::InvalidArgument);
}

TEST(Status, SpeaksLinuxErrno) {
    EXPECT_EQ(Status(Errc::NotFound).to_errno(), -2);
    EXPECT_EQ(Status().to_errno(), 0);
    EXPECT_STREQ(errno_name(Errc::TooBig), "E2BIG");
}

TEST(Bytes, RangesNeverOverflow) {
    const std::array<std::byte, 4> raw{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    const Bytes bytes(raw);
    EXPECT_EQ(read_le<uint32_t>(bytes, 0), 0x04030201u);
    EXPECT_EQ(read_le<uint16_t>(bytes, 2), 0x0403u);
    EXPECT_FALSE(read_le<uint16_t>(bytes, 3));
    EXPECT_FALSE(read_le<uint32_t>(bytes, UINT64_MAX - 1));
    EXPECT_FALSE(slice(bytes, 2, UINT64_MAX));
    EXPECT_TRUE(slice(bytes, 4, 0));
}

}  // namespace
}  // namespace skep
