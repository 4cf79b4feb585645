// SPDX-License-Identifier: Apache-2.0
// clang-format off
#include <windows.h>
// clang-format on
#include <fmt/format.h>

#include <filesystem>

#include "base/os.hpp"
#include "module/os/process.hpp"

namespace skep::module {

namespace {

struct Handle {
    HANDLE value = nullptr;
    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { close(); }
    void close() {
        if (value != nullptr && value != INVALID_HANDLE_VALUE) ::CloseHandle(value);
        value = nullptr;
    }
};

/// One word as CommandLineToArgvW takes it apart again.
std::string quoted(const std::string& word) {
    std::string out = "\"";
    size_t slashes = 0;
    for (const char c : word) {
        if (c == '\\') {
            ++slashes;
            continue;
        }
        out.append(c == '"' ? 2 * slashes + 1 : slashes, '\\');
        slashes = 0;
        out += c;
    }
    out.append(2 * slashes, '\\');
    return out + '"';
}

}  // namespace

Result<ProcessResult> run_process(const ProcessRequest& request) {
    char found[MAX_PATH];
    if (::SearchPathA(nullptr, request.words[0].c_str(), ".exe", sizeof found, found, nullptr) == 0)
        return Error(Errc::Unavailable, fmt::format("there is no program \"{}\"", request.words[0]), {},
                     "install it, or name another one");
    std::string line;
    for (const std::string& word : request.words) line += (line.empty() ? "" : " ") + quoted(word);
    std::string environment;
    for (const std::string& setting : request.environment) environment += setting + '\0';
    for (const char* name : {"PATH", "SystemRoot", "TEMP", "TMP"}) {
        char value[32767];
        const DWORD size = ::GetEnvironmentVariableA(name, value, sizeof value);
        if (size > 0 && size < sizeof value) environment += fmt::format("{}={}", name, value) + '\0';
    }
    environment += '\0';

    SECURITY_ATTRIBUTES inherit{sizeof inherit, nullptr, TRUE};
    Handle read, write, job;
    if (!::CreatePipe(&read.value, &write.value, &inherit, 0))
        return Error(Errc::NoMemory, "no pipe for a child process");
    ::SetHandleInformation(read.value, HANDLE_FLAG_INHERIT, 0);
    job.value = ::CreateJobObjectA(nullptr, nullptr);
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
    limits.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_PROCESS_MEMORY | JOB_OBJECT_LIMIT_PROCESS_TIME;
    limits.BasicLimitInformation.PerProcessUserTimeLimit.QuadPart = int64_t{request.limits.cpu_seconds} * 10'000'000;
    limits.ProcessMemoryLimit = static_cast<SIZE_T>(request.limits.memory_bytes);
    if (job.value != nullptr)
        ::SetInformationJobObject(job.value, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    STARTUPINFOA start{};
    start.cb = sizeof start;
    start.dwFlags = STARTF_USESTDHANDLES;
    start.hStdOutput = start.hStdError = write.value;
    PROCESS_INFORMATION made{};
    if (!::CreateProcessA(found, line.data(), nullptr, nullptr, TRUE, CREATE_SUSPENDED, environment.data(),
                          request.folder.c_str(), &start, &made))
        return Error(Errc::Unavailable, fmt::format("{} could not be started", found));
    Handle process, thread;
    process.value = made.hProcess;
    thread.value = made.hThread;
    if (job.value != nullptr) ::AssignProcessToJobObject(job.value, process.value);
    ::ResumeThread(thread.value);
    write.close();

    ProcessResult result;
    const uint64_t deadline = skep_os_monotonic_ns() + uint64_t{request.limits.seconds} * 1'000'000'000;
    for (;;) {
        DWORD waiting = 0;
        const bool open = ::PeekNamedPipe(read.value, nullptr, 0, nullptr, &waiting, nullptr);
        if (open && waiting > 0) {
            char buffer[4096];
            DWORD got = 0;
            if (!::ReadFile(read.value, buffer, sizeof buffer, &got, nullptr) || got == 0) break;
            result.text.append(buffer, std::min<size_t>(got, request.limits.text_bytes - result.text.size()));
            continue;
        }
        if (!open) break;
        if (skep_os_monotonic_ns() > deadline) {
            result.timed_out = true;
            break;
        }
        ::Sleep(1);
    }
    if (result.timed_out) ::TerminateProcess(process.value, 1);
    ::WaitForSingleObject(process.value, INFINITE);
    DWORD code = 0;
    ::GetExitCodeProcess(process.value, &code);
    result.exit_code = static_cast<int>(code);
    return result;
}

Result<std::string> make_private_folder() {
    char base[MAX_PATH + 1];
    if (::GetTempPathA(sizeof base, base) == 0)
        return Error(Errc::CannotRead, "no folder for temporary files could be made");
    for (int attempt = 0; attempt < 16; ++attempt) {
        uint64_t number = 0;
        skep_os_random(&number, sizeof number);
        const std::string path = fmt::format("{}skep-{:016x}", base, number);
        if (::CreateDirectoryA(path.c_str(), nullptr)) return path;
    }
    return Error(Errc::CannotRead, "no folder for temporary files could be made").in_file(base);
}

void remove_folder(const std::string& path) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
}

}  // namespace skep::module
