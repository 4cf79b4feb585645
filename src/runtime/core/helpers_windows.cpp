// SPDX-License-Identifier: Apache-2.0
// Helpers that only eBPF for Windows has, on every host. Memory and strings as its C library's bounded functions:
// results are errno-like and positive there (EINVAL 22, ERANGE 34). docs/platforms/windows.md says what each means on
// Linux.
#include <string.h>

#include "base/os_process.hpp"
#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

constexpr uint64_t einval = 22, erange = 34, struncate = 80;
constexpr uint64_t truncate = UINT64_MAX;  // _TRUNCATE
constexpr uint64_t ns_per_ms = 1'000'000;

/// With --deterministic: one process, one thread, its administrator, started at boot.
constexpr skep_os_process fixed_process = {
    .process_id = 1, .thread_id = 1, .admin = 1, .logon_id = 1, .start_key = 1, .thread_created = 0};

skep_os_process process_of(skep_runtime_context* context) {
    if (run_of(context).chance.fixed) return fixed_process;
    skep_os_process process = {};
    skep_os_current_process(&process);
    return process;
}

/// memcpy_s and memmove_s: too little room clears the target.
uint64_t copy(uint64_t to, uint64_t to_size, uint64_t from, uint64_t count) {
    if (count == 0) return 0;
    if (to == 0) return einval;
    if (from == 0 || to_size < count) {
        memset(pointer<void>(to), 0, to_size);
        return from == 0 ? einval : erange;
    }
    memmove(pointer<void>(to), pointer<const void>(from), count);
    return 0;
}

/// Characters before the NUL, at most `size`.
uint64_t length(const char* text, uint64_t size) {
    uint64_t n = 0;
    while (n < size && text[n] != 0) ++n;
    return n;
}

/// Puts up to `count` characters at to[at] and zeros behind them; without room the text becomes empty, or is cut with
/// _TRUNCATE. Every byte of the target from `at` on is written, whatever happens: proofs rest on it (helper.def).
uint64_t append(char* to, uint64_t size, uint64_t at, const char* from, uint64_t count) {
    const uint64_t wanted = count == truncate ? size : count;
    const uint64_t n = length(from, wanted);
    if (n >= size - at && count != truncate) {
        memset(to, 0, size);
        return erange;
    }
    const uint64_t fit = n < size - at ? n : size - at - 1;
    memmove(to + at, from, fit);
    memset(to + at + fit, 0, size - at - fit);
    return fit == n ? 0 : struncate;
}

/// -EBPF_INSUFFICIENT_BUFFER, -EBPF_OBJECT_NOT_FOUND: helpers of Windows' own types speak its numbers already.
constexpr uint64_t insufficient_buffer = uint64_t{0} - 24, not_found = uint64_t{0} - 7;

/// Copies a text out, zeros behind it; the number of its bytes. Every byte of the target is written.
uint64_t give(const platform::HostText& text, void* to, uint64_t size) {
    memset(to, 0, size);
    if (text.data == nullptr) return not_found;
    if (text.bytes > size) return insufficient_buffer;
    memcpy(to, text.data, text.bytes);
    return text.bytes;
}

}  // namespace

SKEP_HELPER(memcpy_s_) { return copy(r1, r2, r3, r4); }
SKEP_HELPER(memmove_s_) { return copy(r1, r2, r3, r4); }

/// Over the bytes both have; -1, 0 or 1 on every host.
SKEP_HELPER(memcmp_s_) {
    const uint64_t size = r2 < r4 ? r2 : r4;
    const int order = memcmp(pointer<const void>(r1), pointer<const void>(r3), size);
    return static_cast<uint64_t>(int64_t{order > 0} - int64_t{order < 0});
}

/// There it returns the buffer's address, which no program here may learn: 0.
SKEP_HELPER(memset_) {
    memset(pointer<void>(r1), static_cast<int>(r3 & 0xff), r2);
    return 0;
}

SKEP_HELPER(strncpy_s_) {
    char* const to = pointer<char>(r1);
    if (to == nullptr || r2 == 0) return einval;
    if (r3 == 0) {
        memset(to, 0, r2);
        return einval;
    }
    return append(to, r2, 0, pointer<const char>(r3), r4);
}

SKEP_HELPER(strncat_s_) {
    char* const to = pointer<char>(r1);
    if (to == nullptr || r2 == 0) return einval;
    const uint64_t at = length(to, r2);
    if (at == r2 || r3 == 0) {
        to[0] = 0;
        return einval;
    }
    return append(to, r2, at, pointer<const char>(r3), r4);
}

SKEP_HELPER(strnlen_s_) { return r1 == 0 ? 0 : length(pointer<const char>(r1), r2); }

SKEP_HELPER(ktime_get_boot_ms) { return ktime_get_boot_ns(r1, r2, r3, r4, r5, context) / ns_per_ms; }
SKEP_HELPER(ktime_get_ms) { return ktime_get_ns(r1, r2, r3, r4, r5, context) / ns_per_ms; }

SKEP_HELPER(get_current_pid_tgid) {
    const skep_os_process process = process_of(context);
    return uint64_t{process.process_id} << 32 | process.thread_id;
}
SKEP_HELPER(get_current_logon_id) { return process_of(context).logon_id; }
SKEP_HELPER(is_current_admin) { return process_of(context).admin; }
SKEP_HELPER(get_current_process_start_key) { return process_of(context).start_key; }
SKEP_HELPER(get_current_thread_create_time) { return process_of(context).thread_created; }

/// The value stays readable until another update takes its place, as Linux' own elements do after a delete.
SKEP_HELPER(map_lookup_and_delete_elem) {
    maps::Map* const map = pointer<maps::Map>(r1);
    void* const value = map->lookup(pointer<const void>(r2), context->lane);
    if (value == nullptr || !map->remove(pointer<const void>(r2), context->lane).ok()) return 0;
    return reinterpret_cast<uintptr_t>(value);
}

/// What a connection that is redirected takes along to the process that it is redirected to.
SKEP_HELPER(sock_addr_set_redirect_context) {
    auto& host = *pointer<platform::HostSockAddr>(r1);
    if (host.redirect_context == nullptr) return not_found;
    if (r3 > host.redirect_room) return insufficient_buffer;
    memcpy(host.redirect_context, pointer<const void>(r2), r3);
    host.redirect_bytes = static_cast<uint32_t>(r3);
    return 0;
}
SKEP_HELPER(sock_ops_get_flow_id) { return pointer<const platform::HostSockOps>(r1)->flow_id; }

SKEP_HELPER(process_get_image_path) {
    return give(pointer<const platform::HostProcess>(r1)->image_path, pointer<void>(r2), r3);
}
SKEP_HELPER(process_get_account_name) {
    return give(pointer<const platform::HostProcess>(r1)->account_name, pointer<void>(r2), r3);
}
SKEP_HELPER(process_get_account_domain) {
    return give(pointer<const platform::HostProcess>(r1)->account_domain, pointer<void>(r2), r3);
}

SKEP_HELPER(trace_printk2) { return trace_printk(r1, r2, 0, 0, 0, context); }
SKEP_HELPER(trace_printk3) { return trace_printk(r1, r2, r3, 0, 0, context); }
SKEP_HELPER(trace_printk4) { return trace_printk(r1, r2, r3, r4, 0, context); }

}  // namespace skep::runtime::helpers
