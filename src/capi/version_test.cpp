// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <cstdio>
#include <skep/skep.hpp>

namespace {

TEST(Version, IsThreeNumbersWithDotsBetween) {
    unsigned major = 0;
    unsigned minor = 0;
    unsigned patch = 0;
    char rest = 0;
    EXPECT_EQ(3, std::sscanf(skep_version(), "%u.%u.%u%c", &major, &minor, &patch, &rest)) << skep_version();
}

TEST(Version, IsOneStaticString) { EXPECT_EQ(skep_version(), skep_version()); }

}  // namespace
