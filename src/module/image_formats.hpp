// SPDX-License-Identifier: Apache-2.0
// The readers behind inspect_image, one per format.
#pragma once

#include "module/image.hpp"

namespace skep::module {

inline constexpr uint16_t elf_machine_x86_64 = 62, elf_machine_arm64 = 183;

Result<ImageFacts> inspect_elf(Bytes image);
Result<ImageFacts> inspect_pe(Bytes image);

}  // namespace skep::module
