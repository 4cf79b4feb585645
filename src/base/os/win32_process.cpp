// SPDX-License-Identifier: Apache-2.0
// skep_os_current_process on Windows.
#include <windows.h>

#include "base/os_process.hpp"

namespace {

uint64_t number(FILETIME time) { return uint64_t{time.dwHighDateTime} << 32 | time.dwLowDateTime; }

bool is_administrator() {
    SID_IDENTIFIER_AUTHORITY authority = {SECURITY_NT_AUTHORITY};
    PSID group = nullptr;
    if (!AllocateAndInitializeSid(&authority, 2, SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS, 0, 0, 0, 0, 0, 0,
                                  &group))
        return false;
    BOOL member = FALSE;
    const bool known = CheckTokenMembership(nullptr, group, &member) != 0;
    FreeSid(group);
    return known && member != FALSE;
}

uint64_t logon_session() {
    HANDLE token = nullptr;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) return 0;
    TOKEN_STATISTICS statistics = {};
    DWORD size = 0;
    const bool known = GetTokenInformation(token, TokenStatistics, &statistics, sizeof(statistics), &size) != 0;
    CloseHandle(token);
    if (!known) return 0;
    return uint64_t{static_cast<uint32_t>(statistics.AuthenticationId.HighPart)} << 32 |
           statistics.AuthenticationId.LowPart;
}

}  // namespace

extern "C" void skep_os_current_process(struct skep_os_process* out) {
    *out = {};
    out->process_id = GetCurrentProcessId();
    out->thread_id = GetCurrentThreadId();
    out->admin = is_administrator();
    out->logon_id = logon_session();
    FILETIME created = {}, exited = {}, in_kernel = {}, in_user = {};
    if (GetProcessTimes(GetCurrentProcess(), &created, &exited, &in_kernel, &in_user))
        out->start_key = number(created) ^ uint64_t { out->process_id } << 40;
    if (GetThreadTimes(GetCurrentThread(), &created, &exited, &in_kernel, &in_user))
        out->thread_created = number(created);
}
