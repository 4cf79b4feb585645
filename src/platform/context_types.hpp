// SPDX-License-Identifier: Apache-2.0
// The contexts of the tables as BTF: what CO-RE resolves a program's context accesses against where no kernel is asked,
// so that one object fits the structures of either system.
#pragma once

#include <cstddef>
#include <vector>

#include "platform/names.hpp"

namespace skep::platform {

/// A BTF section with one struct per context of the personality: its name, members, offsets and widths are those that
/// programs of that personality see. Members that share their place stand side by side, as in a union.
std::vector<std::byte> context_types(Personality personality);

}  // namespace skep::platform
