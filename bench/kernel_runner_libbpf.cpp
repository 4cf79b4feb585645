// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "kernel_runner.hpp"

namespace skep::bench {

KernelRunner::KernelRunner(const std::string& path) {
    libbpf_set_print(nullptr);
    bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
    if (object == nullptr) {
        reason_ = std::string("libbpf cannot open the object: ") + std::strerror(errno);
        return;
    }
    object_ = object;
    if (const int error = bpf_object__load(object); error != 0) {
        reason_ = std::string("the kernel does not load it: ") + std::strerror(-error);
        return;
    }
    const bpf_program* program = bpf_object__next_program(object, nullptr);
    if (program != nullptr) fd_ = bpf_program__fd(program);
}

KernelRunner::~KernelRunner() {
    if (object_ != nullptr) bpf_object__close(static_cast<bpf_object*>(object_));
}

KernelRunner::Answer KernelRunner::run(std::span<const uint8_t> packet, uint64_t times) {
    std::vector<uint8_t> out(4096);
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = packet.data();
    options.data_size_in = static_cast<__u32>(packet.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<__u32>(out.size());
    options.repeat = static_cast<int>(times);
    if (bpf_prog_test_run_opts(fd_, &options) != 0) return {};
    return {options.retval, static_cast<double>(options.duration)};
}

}  // namespace skep::bench
