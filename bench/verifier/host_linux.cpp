// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <malloc.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "host.hpp"

namespace skep::growth {

namespace {

constexpr unsigned statistics_only = 4;  // BPF_LOG_STATS

std::optional<KernelAnswer> ask_once(const std::string& path, const std::string& name) {
    bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
    if (object == nullptr) return {};
    std::vector<char> log(1 << 16, '\0');
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
        const bool chosen = name == bpf_program__name(program);
        bpf_program__set_autoload(program, chosen);
        if (!chosen) continue;
        bpf_program__set_log_buf(program, log.data(), log.size());
        bpf_program__set_log_level(program, statistics_only);
    }
    const bool accepted = bpf_object__load(object) == 0;
    bpf_object__close(object);
    log.back() = '\0';
    const char* said = std::strstr(log.data(), "verification time ");
    if (said == nullptr) return {};
    return KernelAnswer{accepted, std::strtod(said + std::strlen("verification time "), nullptr)};
}

}  // namespace

std::optional<KernelAnswer> ask_kernel(const std::string& path, const std::string& program, unsigned rounds) {
    if (geteuid() != 0) return {};
    libbpf_set_print(nullptr);
    std::optional<KernelAnswer> best;
    for (unsigned i = 0; i < rounds; ++i) {
        const auto answer = ask_once(path, program);
        if (!answer) return best;
        if (!best || answer->us < best->us) best = answer;
    }
    return best;
}

std::string kernel_release() {
    utsname name{};
    return geteuid() == 0 && uname(&name) == 0 ? std::string("Linux ") + name.release : "not asked: only root may";
}

void reset_peak_memory() {
    malloc_trim(0);
    if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
        std::fputs("5", file);  // proc(5): the peak becomes what is taken now
        std::fclose(file);
    }
}

double peak_memory() {
    double kib = 0;
    if (std::FILE* file = std::fopen("/proc/self/status", "r")) {
        for (char line[256]; std::fgets(line, sizeof line, file) != nullptr;) {
            if (std::strncmp(line, "VmHWM:", 6) == 0) kib = std::strtod(line + 6, nullptr);
        }
        std::fclose(file);
    }
    return kib / 1024;
}

}  // namespace skep::growth
