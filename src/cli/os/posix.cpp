// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/os/host.hpp"
#if defined(__linux__)
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#endif

namespace skep::cli::host {

bool is_terminal(int fd) {
    const char* term = std::getenv("TERM");
    return isatty(fd) == 1 && term != nullptr && strcmp(term, "dumb") != 0;
}

unsigned columns() {
    winsize size{};
    return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col : 80;
}

void prepare_streams() {}

std::optional<Beside> beside(const std::string& path) {
    Beside files{{}, path};
    struct stat status = {};
    if (stat(path.c_str(), &status) == 0) {
        if (!S_ISREG(status.st_mode)) return std::nullopt;
        const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr), &std::free);
        if (real == nullptr) return std::nullopt;
        files.place = real.get();
    }
    files.made = files.place + ".part-" + std::to_string(getpid());
    return files;
}

std::FILE* create(const std::string& path, bool owner_only) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, owner_only ? 0600 : 0666);
    if (fd < 0) return nullptr;
    std::FILE* const file = fdopen(fd, "wb");
    if (file == nullptr) close(fd);
    return file;
}

bool take_place(const Beside& files) {
    struct stat status = {};
    if (stat(files.place.c_str(), &status) == 0 && chmod(files.made.c_str(), status.st_mode & 07777) != 0) return false;
    return rename(files.made.c_str(), files.place.c_str()) == 0;
}

namespace {

/// What a signal handler may read: names in place, each valid while its mark is set.
struct Unfinished {
    std::atomic<bool> set = false;
    char path[4096] = {};
};
Unfinished unfinished_files[8];

void clean_up(int number) {
    for (const Unfinished& file : unfinished_files)
        if (file.set.load()) unlink(file.path);
    signal(number, SIG_DFL);
    raise(number);
}

}  // namespace

void set_unfinished(const std::string& path, bool unfinished) {
    for (Unfinished& file : unfinished_files) {
        if (!unfinished) {
            if (file.set.load() && path == file.path) file.set.store(false);
        } else if (!file.set.load() && path.size() < sizeof file.path) {
            memcpy(file.path, path.c_str(), path.size() + 1);
            file.set.store(true);
            break;
        }
    }
    struct sigaction ours = {};
    ours.sa_handler = clean_up;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction now = {};  // who ignores a signal (nohup) goes on doing so
        if (sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) sigaction(number, &ours, nullptr);
    }
}

namespace {

const char* crash_message = "";

void explain(int) {
    // Only what a signal handler may call.
    const ssize_t written = write(2, crash_message, strlen(crash_message));
    _exit(written < 0 ? 2 : 1);
}

}  // namespace

void explain_crashes(const char* message) {
    crash_message = message;
    struct sigaction action = {};
    action.sa_handler = explain;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}

std::vector<Feature> features() {
    std::vector<Feature> list;
    utsname name{};
    uname(&name);
    list.push_back({"kernel", true, std::string(name.sysname) + " " + name.release + " " + name.machine});
#if defined(__linux__)
    // A map of two entries and no more: tells whether this process may use the kernel's own eBPF.
    bpf_attr attr{};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 2;
    const long fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
    const int error = errno;
    if (fd >= 0) close(static_cast<int>(fd));
    const bool counted = access("/sys/devices/system/cpu/possible", R_OK) == 0;
    list.push_back({"bpf(2)", fd >= 0 && counted,
                    fd < 0     ? strerror(error)
                    : !counted ? "/sys is not mounted: how many values a per-CPU map has is not known"
                               : "maps can be created: --engine kernel is possible"});

    const bool btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
    list.push_back({"kernel BTF", btf, btf ? "/sys/kernel/btf/vmlinux" : "no readable /sys/kernel/btf/vmlinux"});

    const long query = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    const bool expedited = query > 0 && (query & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
    list.push_back(
        {"membarrier", expedited,
         expedited ? "private expedited: entering a program costs no fence" : "absent: a full fence per run"});
#endif
    return list;
}

}  // namespace skep::cli::host
