// SPDX-License-Identifier: Apache-2.0
// skep_os_copy_nofault on Windows: ReadProcessMemory of the own process, page by page.
#include <windows.h>

#include "base/os.hpp"

extern "C" size_t skep_os_copy_nofault(void* out, const void* source, size_t bytes) {
    const uintptr_t from = reinterpret_cast<uintptr_t>(source);
    if (bytes > UINTPTR_MAX - from) bytes = UINTPTR_MAX - from;
    constexpr size_t page = 4096;
    size_t done = 0;
    while (done < bytes) {
        const uintptr_t at = from + done;
        const size_t left = page - at % page;
        const size_t part = bytes - done < left ? bytes - done : left;
        SIZE_T copied = 0;
        if (ReadProcessMemory(GetCurrentProcess(), reinterpret_cast<const void*>(at), static_cast<uint8_t*>(out) + done,
                              part, &copied) == 0 ||
            copied != part)
            break;
        done += part;
    }
    return done;
}
