// SPDX-License-Identifier: Apache-2.0
// skep_os_current_process on Linux: /proc says when something started.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/os_process.hpp"

namespace {

constexpr uint64_t filetime_of_1970 = 116444736000000000ull;

/// The file's first bytes as text; empty if it cannot be read.
void read_text(const char* path, char* out, size_t room) {
    out[0] = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    const ssize_t n = read(fd, out, room - 1);
    close(fd);
    out[n > 0 ? n : 0] = 0;
}

/// Field 22 of a stat file, clock ticks after the boot (proc(5)); the name in field 2 may hold blanks and brackets.
uint64_t start_ticks(const char* path) {
    char text[1024];
    read_text(path, text, sizeof(text));
    const char* at = strrchr(text, ')');
    if (at == nullptr) return 0;
    for (int field = 2; field < 22; ++field) {
        at = strchr(at + 1, ' ');
        if (at == nullptr) return 0;
    }
    return strtoull(at + 1, nullptr, 10);
}

/// Nanoseconds since 1970 at which the clock of boot times showed 0.
int64_t boot_moment_ns() {
    timespec now{}, up{};
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return (now.tv_sec - up.tv_sec) * 1000000000ll + (now.tv_nsec - up.tv_nsec);
}

}  // namespace

extern "C" void skep_os_current_process(struct skep_os_process* out) {
    *out = {};
    out->process_id = static_cast<uint32_t>(getpid());
    out->thread_id = static_cast<uint32_t>(syscall(SYS_gettid));
    out->admin = geteuid() == 0;
    char text[32];
    read_text("/proc/self/sessionid", text, sizeof(text));
    const unsigned long session = strtoul(text, nullptr, 10);
    out->logon_id = session == UINT32_MAX ? 0 : session;  // AUDIT_SID_UNSET
    // 22 bits hold every process number (PID_MAX_LIMIT).
    out->start_key = start_ticks("/proc/self/stat") << 22 | out->process_id;
    const auto ticks_per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
    if (const uint64_t ticks = start_ticks("/proc/thread-self/stat"); ticks != 0 && ticks_per_second != 0) {
        const uint64_t since_boot = ticks * 10000000ull / ticks_per_second;
        out->thread_created = filetime_of_1970 + static_cast<uint64_t>(boot_moment_ns() / 100) + since_boot;
    }
}
