// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "module/os/process.hpp"

namespace skep::module {

namespace {

/// The program's path: as given where it has a slash, else its first match in PATH. Found before the fork, so that the
/// child needs no allocation.
std::string find_program(const std::string& name, const std::string& path) {
    if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
    for (size_t at = 0; at <= path.size();) {
        size_t end = path.find(':', at);
        if (end == std::string::npos) end = path.size();
        const std::string candidate = path.substr(at, end - at) + "/" + name;
        if (end > at && ::access(candidate.c_str(), X_OK) == 0) return candidate;
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

}  // namespace

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

    Pipe output;
    if (::pipe2(output.ends, O_CLOEXEC) != 0) return Error(Errc::NoMemory, "no pipe for a child process");
    const pid_t child = ::fork();
    if (child < 0) return Error(Errc::NoMemory, "no child process could be made");
    if (child == 0) {
        ::setpgid(0, 0);  // what it starts dies with it
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
    ProcessResult result;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(request.limits.seconds);
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd waiting{output.ends[0], POLLIN, 0};
        const int ready = left.count() > 0 ? ::poll(&waiting, 1, static_cast<int>(left.count())) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            result.timed_out = true;
            break;
        }
        char buffer[4096];
        const ssize_t got = ::read(output.ends[0], buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        const size_t room = request.limits.text_bytes - result.text.size();
        result.text.append(buffer, std::min(static_cast<size_t>(got), room));
    }
    if (result.timed_out) ::kill(-child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    ::kill(-child, SIGKILL);  // whatever it left behind in its group
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)) result.timed_out = true;
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
