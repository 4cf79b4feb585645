// SPDX-License-Identifier: Apache-2.0
#include "maps/tag_group.hpp"

#include <gtest/gtest.h>

#include <random>

namespace skep::maps {
namespace {

uint32_t match_plainly(const uint8_t* group, uint8_t tag) {
    uint32_t result = 0;
    for (uint32_t i = 0; i < tags_per_group; ++i) result |= uint32_t{group[i] == tag} << i;
    return result;
}

TEST(TagGroup, EachWayFindsExactlyTheEqualTags) {
    constexpr uint32_t seed = 1;
    std::mt19937 random(seed);
    // Neighbouring values and few distinct ones: what a carry between bytes would confuse.
    const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0xfe, 0xff};
    alignas(16) uint8_t group[16];
    for (int round = 0; round < 20000; ++round) {
        for (uint8_t& byte : group) byte = values[random() % std::size(values)];
        for (const uint8_t tag : values) {
            const uint32_t expected = match_plainly(group, tag);
            ASSERT_EQ(match_tags_portable(group, tag), expected) << "seed " << seed << ", round " << round;
            ASSERT_EQ(match_tags(group, tag), expected) << "seed " << seed << ", round " << round;
            ASSERT_EQ(match_tags_only_portable(group, tag), expected) << "seed " << seed << ", round " << round;
            ASSERT_EQ(match_tags_only(group, tag), expected) << "seed " << seed << ", round " << round;
        }
    }
}

TEST(TagGroup, TheFourBytesBehindTheTagsNeverMatch) {
    alignas(16) uint8_t group[16] = {};
    for (int i = 12; i < 16; ++i) group[i] = 0x85;
    EXPECT_EQ(match_tags_portable(group, 0x85), 0u);
    EXPECT_EQ(match_tags(group, 0x85), 0u);
    EXPECT_EQ(match_tags(group, 0), all_tags);
    for (const uint8_t behind : {uint8_t{0x85}, uint8_t{0}}) {
        for (int i = 12; i < 16; ++i) group[i] = behind;
        EXPECT_EQ(match_tags_only_portable(group, 0x85), 0u);
        EXPECT_EQ(match_tags_only(group, 0x85), 0u);
        EXPECT_EQ(match_tags_only_portable(group, 0), all_tags);
        EXPECT_EQ(match_tags_only(group, 0), all_tags);
    }
}

}  // namespace
}  // namespace skep::maps
