// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "base/os.hpp"

namespace skep {
namespace {

TEST(CopyNofault, CopiesWhatIsThere) {
    const std::string from = "twelve bytes";
    std::string to(from.size(), 'x');
    EXPECT_EQ(skep_os_copy_nofault(to.data(), from.data(), from.size()), from.size());
    EXPECT_EQ(to, from);
    EXPECT_EQ(skep_os_copy_nofault(to.data(), from.data(), 0), 0u);
}

TEST(CopyNofault, StopsBeforeMemoryThatIsNotMapped) {
    char to[64] = {};
    EXPECT_EQ(skep_os_copy_nofault(to, nullptr, sizeof(to)), 0u);
    EXPECT_EQ(skep_os_copy_nofault(to, reinterpret_cast<const void*>(UINTPTR_MAX - 8), sizeof(to)), 0u);
    EXPECT_EQ(skep_os_copy_nofault(to, reinterpret_cast<const void*>(uintptr_t{0x10}), sizeof(to)), 0u);
}

}  // namespace
}  // namespace skep
