// SPDX-License-Identifier: Apache-2.0
// A program of an object in the running kernel, timed by the kernel itself (BPF_PROG_TEST_RUN with repeat). Two bodies:
// through libbpf, and one for builds without it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace skep::bench {

class KernelRunner {
  public:
    struct Answer {
        uint32_t r0 = 0;
        double ns = 0;  ///< of one run
    };

    /// Loads the first program of the object; ready() tells whether that went well.
    explicit KernelRunner(const std::string& path);
    ~KernelRunner();
    KernelRunner(const KernelRunner&) = delete;
    KernelRunner& operator=(const KernelRunner&) = delete;

    bool ready() const { return fd_ >= 0; }
    const std::string& reason() const { return reason_; }
    /// Requires: ready().
    Answer run(std::span<const uint8_t> packet, uint64_t times);

  private:
    void* object_ = nullptr;
    int fd_ = -1;
    std::string reason_;
};

}  // namespace skep::bench
