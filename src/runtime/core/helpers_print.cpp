// SPDX-License-Identifier: Apache-2.0
// bpf_trace_printk, bpf_trace_vprintk, bpf_snprintf (kernel/trace/bpf_trace.c, kernel/bpf/helpers.c).
#include "runtime/core/format.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

constexpr unsigned max_printk_arguments = 3;    // MAX_TRACE_PRINTK_VARARGS
constexpr unsigned max_vprintk_arguments = 12;  // MAX_BPRINTF_VARARGS

uint64_t print_line(Run& run, const char* format, size_t format_bytes, const uint64_t* arguments, unsigned count) {
    const Status prepared =
        format_prepare(format, format_bytes, arguments, count, run.arguments, sizeof(run.arguments));
    if (!prepared.ok()) return result(prepared);
    const size_t length = format_print(run.message, sizeof(run.message), format, run.arguments);
    size_t shown = length < sizeof(run.message) ? length : sizeof(run.message) - 1;
    if (shown != 0 && run.message[shown - 1] == '\n') --shown;  // each message is a line of its own
    if (run.log.write != nullptr) run.log.write(run.log.self, run.message, shown);
    return length;
}

/// The data block of the v-functions: whole 8-byte words, at most twelve.
bool data_block_ok(uint64_t data, uint32_t bytes) {
    return bytes % 8 == 0 && bytes <= max_vprintk_arguments * 8 && (bytes == 0 || data != 0);
}

}  // namespace

SKEP_HELPER(trace_printk) {
    const uint64_t arguments[max_printk_arguments] = {r3, r4, r5};
    return print_line(run_of(context), pointer<const char>(r1), static_cast<uint32_t>(r2), arguments,
                      max_printk_arguments);
}

SKEP_HELPER(trace_vprintk) {
    const uint32_t bytes = static_cast<uint32_t>(r4);
    if (!data_block_ok(r3, bytes)) return result(Errc::InvalidArgument);
    return print_line(run_of(context), pointer<const char>(r1), static_cast<uint32_t>(r2), pointer<const uint64_t>(r3),
                      bytes / 8);
}

SKEP_HELPER(snprintf_) {
    const uint32_t bytes = static_cast<uint32_t>(r5);
    if (!data_block_ok(r4, bytes)) return result(Errc::InvalidArgument);
    Run& run = run_of(context);
    const char* format = pointer<const char>(r3);
    // The format is a NUL-terminated constant (ArgKind::ConstString): no bound to look for.
    const Status prepared = format_prepare(format, SIZE_MAX >> 1, pointer<const uint64_t>(r4), bytes / 8, run.arguments,
                                           sizeof(run.arguments));
    if (!prepared.ok()) return result(prepared);
    return format_print(pointer<char>(r1), static_cast<uint32_t>(r2), format, run.arguments) + 1;
}

}  // namespace skep::runtime::helpers
