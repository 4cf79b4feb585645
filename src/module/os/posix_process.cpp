// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "module/os/process.hpp"

namespace skep::module {

namespace {

/// The program's path: as given where it has a slash, else its first match in PATH; absolute, because the child goes to
/// another folder. Found before the fork, so that the child needs no allocation.
std::string find_program(const std::string& name, const std::string& path) {
    const auto usable = [](const std::string& candidate) -> std::string {
        std::error_code failed;
        if (::access(candidate.c_str(), X_OK) != 0 || std::filesystem::is_directory(candidate, failed)) return {};
        const std::string full = std::filesystem::absolute(candidate, failed).string();
        return failed ? std::string() : full;
    };
    if (name.find('/') != std::string::npos) return usable(name);
    for (size_t at = 0; at <= path.size();) {
        size_t end = path.find(':', at);
        if (end == std::string::npos) end = path.size();
        if (end > at) {
            const std::string found = usable(path.substr(at, end - at) + "/" + name);
            if (!found.empty()) return found;
        }
        at = end + 1;
    }
    return {};
}

void limit(int what, uint64_t value) {
    rlimit bound{};
    bound.rlim_cur = bound.rlim_max = static_cast<rlim_t>(value);
    ::setrlimit(static_cast<__rlimit_resource_t>(what), &bound);
}

struct Pipe {
    int ends[2] = {-1, -1};
    ~Pipe() {
        close(0);
        close(1);
    }
    void close(int end) {
        if (ends[end] >= 0) ::close(ends[end]);
        ends[end] = -1;
    }
};

/// What ends a process from outside, as far as this one does not ignore it.
sigset_t ending_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
        struct sigaction now{};
        const bool ignored =
            ::sigaction(number, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN;
        if (!ignored) ::sigaddset(&set, number);
    }
    return set;
}

/// Everything that waits in the pipe, the first `limit` bytes of all of it kept. False: nobody can write to it any
/// more.
bool take_text(int from, std::string& text, size_t limit) {
    for (;;) {
        char buffer[4096];
        const ssize_t got = ::read(from, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return false;
        text.append(buffer, std::min(static_cast<size_t>(got), limit - text.size()));
    }
}

}  // namespace

struct HeldInterrupts::State {
    sigset_t held, before;
    int readable = -1;  ///< a signalfd: never read from, so that what came stays pending
};

HeldInterrupts::HeldInterrupts() : state_(std::make_unique<State>()) {
    state_->held = ending_signals();
    ::pthread_sigmask(SIG_BLOCK, &state_->held, &state_->before);
    state_->readable = ::signalfd(-1, &state_->held, SFD_CLOEXEC | SFD_NONBLOCK);
}

HeldInterrupts::~HeldInterrupts() {
    if (state_->readable >= 0) ::close(state_->readable);
    ::pthread_sigmask(SIG_SETMASK, &state_->before, nullptr);
}

Result<ProcessResult> run_process(const ProcessRequest& request) {
    const char* host_path = ::getenv("PATH");
    const std::string path = host_path != nullptr && *host_path != 0 ? host_path : "/usr/local/bin:/usr/bin:/bin";
    const std::string program = find_program(request.words[0], path);
    if (program.empty())
        return Error(Errc::Unavailable, fmt::format("there is no program \"{}\"", request.words[0]), {},
                     "install it, or name another one");
    std::vector<std::string> environment = request.environment;
    environment.push_back("PATH=" + path);
    std::vector<char*> words, settings;
    for (const std::string& word : request.words) words.push_back(const_cast<char*>(word.c_str()));
    for (const std::string& setting : environment) settings.push_back(const_cast<char*>(setting.c_str()));
    words.push_back(nullptr);
    settings.push_back(nullptr);

    const HeldInterrupts held;
    Pipe output;
    if (::pipe2(output.ends, O_CLOEXEC) != 0) return Error(Errc::NoMemory, "no pipe for a child process");
    const pid_t child = ::fork();
    if (child < 0) return Error(Errc::NoMemory, "no child process could be made");
    if (child == 0) {
        ::setpgid(0, 0);  // what it starts dies with it
        ::pthread_sigmask(SIG_UNBLOCK, &held.state_->held, nullptr);
        const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::dup2(null, 0);
        ::dup2(output.ends[1], 1);
        ::dup2(output.ends[1], 2);
        if (::chdir(request.folder.c_str()) != 0) ::_exit(126);
        ::umask(022);
        limit(RLIMIT_AS, request.limits.memory_bytes);
        limit(RLIMIT_FSIZE, request.limits.file_bytes);
        limit(RLIMIT_CPU, request.limits.cpu_seconds);
        limit(RLIMIT_CORE, 0);
        ::execve(program.c_str(), words.data(), settings.data());
        ::_exit(127);
    }
    ::setpgid(child, child);
    output.close(1);
    ::fcntl(output.ends[0], F_SETFL, O_NONBLOCK);
    ProcessResult result;
    // It ends when the child has ended, whoever still holds its output; and a child that closed its output is waited
    // for no longer than another.
    bool open = true;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(request.limits.seconds);
    for (;;) {
        pollfd waiting[] = {{held.state_->readable, POLLIN, 0}, {open ? output.ends[0] : -1, POLLIN, 0}};
        if (::poll(waiting, 2, open ? 50 : 1) > 0 && waiting[0].revents != 0) {
            result.interrupted = true;
            break;
        }
        if (open) open = take_text(output.ends[0], result.text, request.limits.text_bytes);
        siginfo_t ended{};
        if (::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0)
            break;
        if (std::chrono::steady_clock::now() >= deadline) {
            result.timed_out = true;
            break;
        }
    }
    ::kill(-child, SIGKILL);  // the child unless it has ended, and whatever it left behind in its group
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (open) (void)take_text(output.ends[0], result.text, request.limits.text_bytes);
    if (!result.interrupted && WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        result.timed_out = true;
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

Result<std::string> make_private_folder() {
    const char* base = ::getenv("TMPDIR");
    std::string path = std::string(base != nullptr && *base != 0 ? base : "/tmp") + "/skep-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
        return Error(Errc::CannotRead, "no folder for temporary files could be made", ::strerror(errno)).in_file(path);
    return path;
}

void remove_folder(const std::string& path) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
}

}  // namespace skep::module
