// SPDX-License-Identifier: Apache-2.0
// A second copy of RFC 9669's registry (appendix A), written from the RFC and not from insn.def: each line is opcode,
// src_reg, offset, imm ("any" an operand), group, meaning. The table must say the same, row by row, both ways.
#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>
#include <tuple>

#include "isa/insn.hpp"

namespace skep::isa {
namespace {

constexpr const char* registry = R"(
04 0 0 any      base32   dst = (u32)((u32)dst + (u32)imm)
05 0 any 0      base32   goto +offset
06 0 0 any      base32   goto +imm
07 0 0 any      base64   dst += imm
0c any 0 0      base32   dst = (u32)((u32)dst + (u32)src)
0f any 0 0      base64   dst += src
14 0 0 any      base32   dst = (u32)((u32)dst - (u32)imm)
15 0 any any    base64   if dst == imm goto +offset
16 0 any any    base32   if (u32)dst == imm goto +offset
17 0 0 any      base64   dst -= imm
18 0 0 any      base64   dst = imm64
18 1 0 any      base64   dst = map_by_fd(imm)
18 2 0 any      base64   dst = map_val(map_by_fd(imm)) + next_imm
18 3 0 any      base64   dst = var_addr(imm)
18 4 0 any      base64   dst = code_addr(imm)
18 5 0 any      base64   dst = map_by_idx(imm)
18 6 0 any      base64   dst = map_val(map_by_idx(imm)) + next_imm
1c any 0 0      base32   dst = (u32)((u32)dst - (u32)src)
1d any any 0    base64   if dst == src goto +offset
1e any any 0    base32   if (u32)dst == (u32)src goto +offset
1f any 0 0      base64   dst -= src
20 0 0 any      packet   deprecated
24 0 0 any      divmul32 dst = (u32)(dst * imm)
25 0 any any    base64   if dst > imm goto +offset
26 0 any any    base32   if (u32)dst > imm goto +offset
27 0 0 any      divmul64 dst *= imm
28 0 0 any      packet   deprecated
2c any 0 0      divmul32 dst = (u32)(dst * src)
2d any any 0    base64   if dst > src goto +offset
2e any any 0    base32   if (u32)dst > (u32)src goto +offset
2f any 0 0      divmul64 dst *= src
30 0 0 any      packet   deprecated
34 0 0 any      divmul32 dst = (u32)((imm != 0) ? ((u32)dst / (u32)imm) : 0)
34 0 1 any      divmul32 dst = (u32)((imm != 0) ? ((s32)dst s/ imm) : 0)
35 0 any any    base64   if dst >= imm goto +offset
36 0 any any    base32   if (u32)dst >= imm goto +offset
37 0 0 any      divmul64 dst = (imm != 0) ? (dst / (u32)imm) : 0
37 0 1 any      divmul64 dst = (imm != 0) ? (dst s/ imm) : 0
3c any 0 0      divmul32 dst = (u32)((src != 0) ? ((u32)dst / (u32)src) : 0)
3c any 1 0      divmul32 dst = (u32)((src != 0) ? ((s32)dst s/ (s32)src) : 0)
3d any any 0    base64   if dst >= src goto +offset
3e any any 0    base32   if (u32)dst >= (u32)src goto +offset
3f any 0 0      divmul64 dst = (src != 0) ? (dst / src) : 0
3f any 1 0      divmul64 dst = (src != 0) ? (dst s/ src) : 0
40 any 0 any    packet   deprecated
44 0 0 any      base32   dst = (u32)(dst | imm)
45 0 any any    base64   if dst & imm goto +offset
46 0 any any    base32   if (u32)dst & imm goto +offset
47 0 0 any      base64   dst |= imm
48 any 0 any    packet   deprecated
4c any 0 0      base32   dst = (u32)(dst | src)
4d any any 0    base64   if dst & src goto +offset
4e any any 0    base32   if (u32)dst & (u32)src goto +offset
4f any 0 0      base64   dst |= src
50 any 0 any    packet   deprecated
54 0 0 any      base32   dst = (u32)((u32)dst & (u32)imm)
55 0 any any    base64   if dst != imm goto +offset
56 0 any any    base32   if (u32)dst != imm goto +offset
57 0 0 any      base64   dst &= imm
5c any 0 0      base32   dst = (u32)((u32)dst & (u32)src)
5d any any 0    base64   if dst != src goto +offset
5e any any 0    base32   if (u32)dst != (u32)src goto +offset
5f any 0 0      base64   dst &= src
61 any any 0    base32   dst = *(u32 *)(src + offset)
62 0 any any    base32   *(u32 *)(dst + offset) = imm
63 any any 0    base32   *(u32 *)(dst + offset) = src
64 0 0 any      base32   dst = (u32)(dst << imm)
65 0 any any    base64   if dst s> imm goto +offset
66 0 any any    base32   if (s32)dst s> (s32)imm goto +offset
67 0 0 any      base64   dst <<= imm
69 any any 0    base32   dst = *(u16 *)(src + offset)
6a 0 any any    base32   *(u16 *)(dst + offset) = imm
6b any any 0    base32   *(u16 *)(dst + offset) = src
6c any 0 0      base32   dst = (u32)(dst << src)
6d any any 0    base64   if dst s> src goto +offset
6e any any 0    base32   if (s32)dst s> (s32)src goto +offset
6f any 0 0      base64   dst <<= src
71 any any 0    base32   dst = *(u8 *)(src + offset)
72 0 any any    base32   *(u8 *)(dst + offset) = imm
73 any any 0    base32   *(u8 *)(dst + offset) = src
74 0 0 any      base32   dst = (u32)(dst >> imm)
75 0 any any    base64   if dst s>= imm goto +offset
76 0 any any    base32   if (s32)dst s>= (s32)imm goto +offset
77 0 0 any      base64   dst >>= imm
79 any any 0    base64   dst = *(u64 *)(src + offset)
7a 0 any any    base64   *(u64 *)(dst + offset) = imm
7b any any 0    base64   *(u64 *)(dst + offset) = src
7c any 0 0      base32   dst = (u32)(dst >> src)
7d any any 0    base64   if dst s>= src goto +offset
7e any any 0    base32   if (s32)dst s>= (s32)src goto +offset
7f any 0 0      base64   dst >>= src
81 any any 0    base64   dst = *(s32 *)(src + offset)
84 0 0 0        base32   dst = (u32)-dst
85 0 0 any      base32   call helper function by static ID
85 1 0 any      base32   call PC += imm
85 2 0 any      base32   call helper function by BTF ID
87 0 0 0        base64   dst = -dst
89 any any 0    base64   dst = *(s16 *)(src + offset)
91 any any 0    base64   dst = *(s8 *)(src + offset)
94 0 0 any      divmul32 dst = (u32)((imm != 0) ? ((u32)dst % (u32)imm) : dst)
94 0 1 any      divmul32 dst = (u32)((imm != 0) ? ((s32)dst s% imm) : dst)
95 0 0 0        base32   return
97 0 0 any      divmul64 dst = (imm != 0) ? (dst % (u32)imm) : dst
97 0 1 any      divmul64 dst = (imm != 0) ? (dst s% imm) : dst
9c any 0 0      divmul32 dst = (u32)((src != 0) ? ((u32)dst % (u32)src) : dst)
9c any 1 0      divmul32 dst = (u32)((src != 0) ? ((s32)dst s% (s32)src) : dst)
9f any 0 0      divmul64 dst = (src != 0) ? (dst % src) : dst
9f any 1 0      divmul64 dst = (src != 0) ? (dst s% src) : dst
a4 0 0 any      base32   dst = (u32)(dst ^ imm)
a5 0 any any    base64   if dst < imm goto +offset
a6 0 any any    base32   if (u32)dst < imm goto +offset
a7 0 0 any      base64   dst ^= imm
ac any 0 0      base32   dst = (u32)(dst ^ src)
ad any any 0    base64   if dst < src goto +offset
ae any any 0    base32   if (u32)dst < (u32)src goto +offset
af any 0 0      base64   dst ^= src
b4 0 0 any      base32   dst = (u32) imm
b5 0 any any    base64   if dst <= imm goto +offset
b6 0 any any    base32   if (u32)dst <= imm goto +offset
b7 0 0 any      base64   dst = imm
bc any 0 0      base32   dst = (u32) src
bc any 8 0      base32   dst = (u32) (s32) (s8) src
bc any 16 0     base32   dst = (u32) (s32) (s16) src
bd any any 0    base64   if dst <= src goto +offset
be any any 0    base32   if (u32)dst <= (u32)src goto +offset
bf any 0 0      base64   dst = src
bf any 8 0      base64   dst = (s64) (s8) src
bf any 16 0     base64   dst = (s64) (s16) src
bf any 32 0     base64   dst = (s64) (s32) src
c3 any any 0    atomic32 lock *(u32 *)(dst + offset) += src
c3 any any 1    atomic32 src = atomic_fetch_add_32((u32 *)(dst + offset), src)
c3 any any 64   atomic32 lock *(u32 *)(dst + offset) |= src
c3 any any 65   atomic32 src = atomic_fetch_or_32((u32 *)(dst + offset), src)
c3 any any 80   atomic32 lock *(u32 *)(dst + offset) &= src
c3 any any 81   atomic32 src = atomic_fetch_and_32((u32 *)(dst + offset), src)
c3 any any 160  atomic32 lock *(u32 *)(dst + offset) ^= src
c3 any any 161  atomic32 src = atomic_fetch_xor_32((u32 *)(dst + offset), src)
c3 any any 225  atomic32 src = xchg_32((u32 *)(dst + offset), src)
c3 any any 241  atomic32 r0 = cmpxchg_32((u32 *)(dst + offset), r0, src)
c4 0 0 any      base32   dst = (u32)(dst s>> imm)
c5 0 any any    base64   if dst s< imm goto +offset
c6 0 any any    base32   if (s32)dst s< (s32)imm goto +offset
c7 0 0 any      base64   dst s>>= imm
cc any 0 0      base32   dst = (u32)(dst s>> src)
cd any any 0    base64   if dst s< src goto +offset
ce any any 0    base32   if (s32)dst s< (s32)src goto +offset
cf any 0 0      base64   dst s>>= src
d4 0 0 16       base32   dst = le16(dst)
d4 0 0 32       base32   dst = le32(dst)
d4 0 0 64       base64   dst = le64(dst)
d5 0 any any    base64   if dst s<= imm goto +offset
d6 0 any any    base32   if (s32)dst s<= (s32)imm goto +offset
d7 0 0 16       base64   dst = bswap16(dst)
d7 0 0 32       base64   dst = bswap32(dst)
d7 0 0 64       base64   dst = bswap64(dst)
db any any 0    atomic64 lock *(u64 *)(dst + offset) += src
db any any 1    atomic64 src = atomic_fetch_add_64((u64 *)(dst + offset), src)
db any any 64   atomic64 lock *(u64 *)(dst + offset) |= src
db any any 65   atomic64 src = atomic_fetch_or_64((u64 *)(dst + offset), src)
db any any 80   atomic64 lock *(u64 *)(dst + offset) &= src
db any any 81   atomic64 src = atomic_fetch_and_64((u64 *)(dst + offset), src)
db any any 160  atomic64 lock *(u64 *)(dst + offset) ^= src
db any any 161  atomic64 src = atomic_fetch_xor_64((u64 *)(dst + offset), src)
db any any 225  atomic64 src = xchg_64((u64 *)(dst + offset), src)
db any any 241  atomic64 r0 = cmpxchg_64((u64 *)(dst + offset), r0, src)
dc 0 0 16       base32   dst = be16(dst)
dc 0 0 32       base32   dst = be32(dst)
dc 0 0 64       base64   dst = be64(dst)
dd any any 0    base64   if dst s<= src goto +offset
de any any 0    base32   if (s32)dst s<= (s32)src goto +offset
)";

using Key = std::tuple<unsigned, std::string, std::string, std::string, std::string>;

std::string text(Pin pin) { return pin.operand ? "any" : std::to_string(pin.value); }

TEST(Registry, TheTableIsRfc9669sRegistryRowByRow) {
    std::set<Key> expected;
    std::istringstream lines(registry);
    for (std::string line; std::getline(lines, line);) {
        if (line.empty()) continue;
        std::istringstream words(line);
        unsigned opcode = 0;
        std::string src, offset, imm, group;
        ASSERT_TRUE(words >> std::hex >> opcode >> src >> offset >> imm >> group) << line;
        ASSERT_TRUE(expected.insert({opcode, src, offset, imm, group}).second) << "twice: " << line;
    }
    std::set<Key> actual;
    for (const Row& row : rows()) {
        if (row.since != Since::rfc9669) continue;
        const Key key{row.opcode, text(row.src_reg), text(row.offset), text(row.imm),
                      std::string(group_name(row.group))};
        EXPECT_TRUE(actual.insert(key).second) << row.name;
        EXPECT_TRUE(expected.contains(key)) << row.name << " is not in the registry so";
    }
    for (const Key& key : expected) {
        EXPECT_TRUE(actual.contains(key))
            << "missing: opcode " << std::hex << std::get<0>(key) << " src " << std::get<1>(key) << " offset "
            << std::get<2>(key) << " imm " << std::get<3>(key) << " " << std::get<4>(key);
    }
    EXPECT_EQ(expected.size(), 170u);
}

TEST(Registry, WhatIsNotTheRfcsIsNamed) {
    std::set<std::string> additions;
    for (const Row& row : rows()) {
        if (row.since != Since::rfc9669) additions.insert(std::string(row.name));
    }
    EXPECT_EQ(additions, (std::set<std::string>{"AddrSpaceCast", "CallX", "LoadAcquireB", "LoadAcquireDw",
                                                "LoadAcquireH", "LoadAcquireW", "MayGoto", "StoreReleaseB",
                                                "StoreReleaseDw", "StoreReleaseH", "StoreReleaseW"}));
}

TEST(Registry, ASlotIsMatchedByTheRowWhosePinsAcceptEveryField) {
    const int32_t values[] = {0, 1, 2, 4, 8, 16, 32, 0x40, 0x50, 0xa0, 0xf1, 0x100, 0x110, -1, INT32_MAX, INT32_MIN};
    size_t matched = 0;
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        for (uint8_t src = 0; src < 16; ++src) {
            for (const int32_t offset : values) {
                for (const int32_t imm : values) {
                    Slot slot{
                        .opcode = static_cast<uint8_t>(opcode), .offset = static_cast<int16_t>(offset), .imm = imm};
                    slot.set_src_reg(src);
                    slot.set_dst_reg(static_cast<uint8_t>(src ^ 5));  // of no meaning for the choice
                    const Row* want = nullptr;
                    for (const Row& row : rows())
                        if (row.opcode == opcode && row.src_reg.accepts(src) && row.offset.accepts(slot.offset) &&
                            row.imm.accepts(imm))
                            want = &row;
                    ASSERT_EQ(match(slot), want) << opcode << ' ' << int{src} << ' ' << slot.offset << ' ' << imm;
                    const auto op = op_of(slot);
                    ASSERT_EQ(op.has_value(), want != nullptr);
                    if (!op) continue;
                    ASSERT_EQ(*op, want->op);
                    ++matched;
                }
            }
        }
    }
    EXPECT_GT(matched, 20000u);
}

}  // namespace
}  // namespace skep::isa
