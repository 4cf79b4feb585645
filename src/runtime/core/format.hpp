// SPDX-License-Identifier: Apache-2.0
// The format strings of bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf (kernel: bpf_bprintf_prepare and
// bstr_printf): what they accept, and what they print.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/status.hpp"

namespace skep::runtime {

/// Checks the format and prepares the arguments: strings and addresses are read now, into `scratch`. `format_bytes`
/// bounds the search for the format's NUL.
/// Errors: InvalidArgument (no NUL, a character or conversion that is not allowed, more conversions than arguments),
/// NoSpace (the arguments do not fit the scratch memory).
Status format_prepare(const char* format, size_t format_bytes, const uint64_t* arguments, unsigned count,
                      uint8_t* scratch, size_t scratch_bytes);

/// Writes the text and, if out_bytes > 0, a NUL; cuts what does not fit. Returns the length of the whole text.
/// Requires: format_prepare succeeded with the same format and filled `scratch`.
size_t format_print(char* out, size_t out_bytes, const char* format, const uint8_t* scratch);

}  // namespace skep::runtime
