// SPDX-License-Identifier: Apache-2.0
// Who runs the calling thread: the part of os.hpp that helpers about processes ask.
#pragma once

#include <stdint.h>

extern "C" {

/// On Linux: logon_id is the audit session (0 where there is none), admin the effective user 0, start_key the process'
/// start time and number, so that no two processes of one boot share it. On Windows: the logon session's LUID,
/// membership in Administrators, and the creation time and number.
struct skep_os_process {
    uint32_t process_id;
    uint32_t thread_id;
    uint32_t admin;  ///< 0 or 1
    uint64_t logon_id;
    uint64_t start_key;
    uint64_t thread_created;  ///< 100 ns since 1601-01-01 (FILETIME); 0 where it cannot be told
};
static_assert(sizeof(struct skep_os_process) == 40);  // as tests/driver/os_driver.c has it
void skep_os_current_process(struct skep_os_process* out);

}  // extern "C"
