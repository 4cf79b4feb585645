// SPDX-License-Identifier: Apache-2.0
// clang-format off
#include <windows.h>
// clang-format on
#include <fmt/format.h>

#include <atomic>
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

/// The program's path: as given where it names a folder, else its first match in PATH, and nowhere else: a program of
/// that name in the current folder is not meant.
std::string find_program(const std::string& name) {
    char found[MAX_PATH];
    if (name.find_first_of("/\\:") != std::string::npos) {
        const DWORD size = ::GetFullPathNameA(name.c_str(), sizeof found, found, nullptr);
        if (size == 0 || size >= sizeof found) return {};
        const DWORD kind = ::GetFileAttributesA(found);
        return kind == INVALID_FILE_ATTRIBUTES || (kind & FILE_ATTRIBUTE_DIRECTORY) != 0 ? std::string() : found;
    }
    std::string path(32767, '\0');
    const DWORD length = ::GetEnvironmentVariableA("PATH", path.data(), static_cast<DWORD>(path.size()));
    if (length == 0 || length >= path.size()) return {};
    const DWORD size = ::SearchPathA(path.c_str(), name.c_str(), ".exe", sizeof found, found, nullptr);
    return size == 0 || size >= sizeof found ? std::string() : found;
}

// The system calls a handler with nothing but the kind of event, on a thread of its own: hence variables of the
// process.
std::atomic<int> holders = 0;
constexpr DWORD no_event = ~DWORD{0};
std::atomic<DWORD> event = no_event;

BOOL WINAPI hold_event(DWORD kind) {
    if (kind != CTRL_C_EVENT && kind != CTRL_BREAK_EVENT) return FALSE;
    event = kind;
    return TRUE;
}

}  // namespace

struct HeldInterrupts::State {};

HeldInterrupts::HeldInterrupts() {
    if (holders.fetch_add(1) == 0) ::SetConsoleCtrlHandler(hold_event, TRUE);
}

HeldInterrupts::~HeldInterrupts() {
    if (holders.fetch_sub(1) != 1) return;
    ::SetConsoleCtrlHandler(hold_event, FALSE);
    // What was held comes again, to whoever handles it now; where nobody does, the process ends.
    if (const DWORD kind = event.exchange(no_event); kind != no_event) ::GenerateConsoleCtrlEvent(kind, 0);
}

Result<ProcessResult> run_process(const ProcessRequest& request) {
    const std::string found = find_program(request.words[0]);
    if (found.empty())
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
    const HeldInterrupts held;
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
    if (!::CreateProcessA(found.c_str(), line.data(), nullptr, nullptr, TRUE, CREATE_SUSPENDED, environment.data(),
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
    // It ends when the child has ended, whoever still holds its output; and a child that closed its output is waited
    // for no longer than another.
    for (bool open = true, ended = false;;) {
        DWORD waiting = 0;
        open = open && ::PeekNamedPipe(read.value, nullptr, 0, nullptr, &waiting, nullptr);
        if (open && waiting > 0) {
            char buffer[4096];
            DWORD got = 0;
            open = ::ReadFile(read.value, buffer, sizeof buffer, &got, nullptr) && got != 0;
            result.text.append(buffer, std::min<size_t>(got, request.limits.text_bytes - result.text.size()));
            continue;
        }
        if (ended) break;
        if (event != no_event) {
            result.interrupted = true;
            break;
        }
        if (skep_os_monotonic_ns() > deadline) {
            result.timed_out = true;
            break;
        }
        ended = ::WaitForSingleObject(process.value, 1) == WAIT_OBJECT_0;  // then once more what it had said
    }
    // With the job goes what the child started; without one the child alone is ended.
    if (result.timed_out || result.interrupted)
        job.value == nullptr ? ::TerminateProcess(process.value, 1) : ::TerminateJobObject(job.value, 1);
    ::WaitForSingleObject(process.value, INFINITE);
    DWORD code = 0;
    ::GetExitCodeProcess(process.value, &code);
    if (code == ERROR_NOT_ENOUGH_QUOTA && !result.interrupted)
        result.timed_out = true;  // the job's bound of processor time
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
