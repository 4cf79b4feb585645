// SPDX-License-Identifier: Apache-2.0
// The heap side of os.hpp on hosts with a C library, and the counter by which tests make allocations fail.
#pragma once

namespace skep {

/// Counts one allocation of any kind; true if a test asked this one to fail.
bool os_allocation_fails();

}  // namespace skep
