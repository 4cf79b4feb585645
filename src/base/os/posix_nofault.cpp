// SPDX-License-Identifier: Apache-2.0
// skep_os_copy_nofault on Linux: the kernel copies, and stops where nothing is mapped.
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/os.hpp"

namespace {

/// Bytes up to the end of the page that holds `address`, at most `bytes`.
size_t in_page(uintptr_t address, size_t bytes) {
    const size_t page = skep_os_page_size();
    const size_t left = page - address % page;
    return bytes < left ? bytes : left;
}

/// For hosts without process_vm_readv (user-mode emulators): a pipe takes the bytes and gives them back.
size_t copy_through_pipe(uint8_t* out, uintptr_t from, size_t bytes) {
    int ends[2];
    if (pipe(ends) != 0) return 0;
    size_t done = 0;
    while (done < bytes) {
        size_t part = in_page(from + done, bytes - done);
        if (part > 4096) part = 4096;  // PIPE_BUF: taken whole or not at all
        if (write(ends[1], reinterpret_cast<const void*>(from + done), part) != static_cast<ssize_t>(part)) break;
        if (read(ends[0], out + done, part) != static_cast<ssize_t>(part)) break;
        done += part;
    }
    close(ends[0]);
    close(ends[1]);
    return done;
}

}  // namespace

extern "C" size_t skep_os_copy_nofault(void* out, const void* source, size_t bytes) {
    const uintptr_t from = reinterpret_cast<uintptr_t>(source);
    if (bytes > UINTPTR_MAX - from) bytes = UINTPTR_MAX - from;
    uint8_t* const to = static_cast<uint8_t*>(out);
    size_t done = 0;
    while (done < bytes) {
        // A copy that meets a hole stops at the end of an element: one element per page.
        constexpr int elements = 8;
        iovec remote[elements];
        size_t planned = 0;
        int count = 0;
        for (; count < elements && done + planned < bytes; ++count) {
            const size_t part = in_page(from + done + planned, bytes - done - planned);
            remote[count] = {reinterpret_cast<void*>(from + done + planned), part};
            planned += part;
        }
        const iovec local = {to + done, planned};
        const ssize_t copied = process_vm_readv(getpid(), &local, 1, remote, static_cast<unsigned long>(count), 0);
        if (copied < 0 && done == 0) return copy_through_pipe(to, from, bytes);
        if (copied <= 0) break;
        done += static_cast<size_t>(copied);
        if (static_cast<size_t>(copied) < planned) break;
    }
    return done;
}
