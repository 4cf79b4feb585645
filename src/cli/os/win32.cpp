// SPDX-License-Identifier: Apache-2.0
#include <windows.h>
// (windows.h first: the others rely on its types)
#include <fcntl.h>
#include <io.h>

#include <cerrno>
#include <cstdio>

#include "cli/os/host.hpp"

namespace skep::cli::host {

namespace {

HANDLE stream(int fd) { return GetStdHandle(fd == 1 ? STD_OUTPUT_HANDLE : STD_ERROR_HANDLE); }

}  // namespace

bool is_terminal(int fd) {
    DWORD mode = 0;
    if (GetConsoleMode(stream(fd), &mode) == 0) return false;
    constexpr DWORD escapes = 0x0004;  // ENABLE_VIRTUAL_TERMINAL_PROCESSING
    return SetConsoleMode(stream(fd), mode | escapes) != 0;
}

unsigned columns() {
    CONSOLE_SCREEN_BUFFER_INFO info{};
    if (GetConsoleScreenBufferInfo(stream(2), &info) == 0) return 80;
    return static_cast<unsigned>(info.srWindow.Right - info.srWindow.Left + 1);
}

void prepare_streams() {
    // Line ends and hex dumps must be the same bytes as on every other host.
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    _setmode(2, _O_BINARY);
}

std::optional<Beside> beside(const std::string& path) {
    constexpr DWORD all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    const HANDLE file = CreateFileA(path.c_str(), 0, all, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
    if (file != INVALID_HANDLE_VALUE) {
        const bool plain = GetFileType(file) == FILE_TYPE_DISK;
        CloseHandle(file);
        if (!plain) return std::nullopt;
    }
    return Beside{path + ".part-" + std::to_string(GetCurrentProcessId()), path};
}

std::FILE* create(const std::string& path, bool) {
    // Who may read a new file is inherited from its folder here.
    return std::fopen(path.c_str(), "wb");
}

bool take_place(const Beside& files) {
    if (MoveFileExA(files.made.c_str(), files.place.c_str(), MOVEFILE_REPLACE_EXISTING) != 0) return true;
    errno = EACCES;
    return false;
}

void set_unfinished(const std::string&, bool) {}  // a file that is open cannot be removed here

namespace {

const char* crash_message = "";

LONG WINAPI explain(EXCEPTION_POINTERS* what) {
    if (what->ExceptionRecord->ExceptionCode != EXCEPTION_ACCESS_VIOLATION) return EXCEPTION_CONTINUE_SEARCH;
    DWORD written = 0;
    WriteFile(stream(2), crash_message, static_cast<DWORD>(lstrlenA(crash_message)), &written, nullptr);
    TerminateProcess(GetCurrentProcess(), 1);
    return EXCEPTION_EXECUTE_HANDLER;
}

}  // namespace

void explain_crashes(const char* message) {
    crash_message = message;
    SetUnhandledExceptionFilter(explain);
}

std::vector<Feature> features() {
    std::vector<Feature> list;
    list.push_back({"kernel", true, "Windows"});
    list.push_back({"bpf(2)", false, "Linux only"});
    list.push_back({"kernel BTF", false, "Linux only"});
    list.push_back({"FlushProcessWriteBuffers", true, "entering a program costs no fence"});
    return list;
}

}  // namespace skep::cli::host
