// SPDX-License-Identifier: Apache-2.0
// Sizes that Linux' map rules are written in, as they are on x86-64 and arm64 with 4 KiB pages: the same on every host,
// so that the same definition is accepted everywhere.
#pragma once

#include <stdint.h>

namespace skep::maps {

/// KMALLOC_MAX_SIZE: the largest block the kernel's allocator gives.
constexpr uint32_t kmalloc_max_bytes = 1u << 22;
/// PAGE_SIZE, which ring buffers and perf buffers are counted in.
constexpr uint32_t kernel_page_bytes = 4096;
/// No map may need more: a size nobody has, refused before the allocator is asked.
constexpr uint64_t largest_map_bytes = uint64_t{1} << 39;

}  // namespace skep::maps
