// SPDX-License-Identifier: Apache-2.0
// Somebody else's program: knows nothing of this tree but what is installed.
#include <cstdio>
#include <skep/skep.hpp>

int main() {
    std::printf("skep %s\n", skep_version());
    return skep_version()[0] != '\0' ? 0 : 1;
}
