// SPDX-License-Identifier: Apache-2.0
#include "module/image.hpp"

#include "module/image_formats.hpp"

namespace skep::module {

bool is_native_image(Bytes bytes) {
    if (read_le<uint32_t>(bytes, 0) == 0x464c457fu) {
        const auto machine = read_le<uint16_t>(bytes, 18);
        return machine == elf_machine_x86_64 || machine == elf_machine_arm64;
    }
    return read_le<uint16_t>(bytes, 0) == 0x5a4du;
}

Result<ImageFacts> inspect_image(Bytes image) {
    if (read_le<uint32_t>(image, 0) == 0x464c457fu) return inspect_elf(image);
    if (read_le<uint16_t>(image, 0) == 0x5a4du) return inspect_pe(image);
    return Error(Errc::Unsupported, "this is no native module", "it begins neither as ELF nor as PE");
}

}  // namespace skep::module
