// SPDX-License-Identifier: Apache-2.0
#include "kernel_runner.hpp"

namespace skep::bench {

KernelRunner::KernelRunner(const std::string&) : reason_("this build has no libbpf") {}
KernelRunner::~KernelRunner() = default;
KernelRunner::Answer KernelRunner::run(std::span<const uint8_t>, uint64_t) { return {}; }

}  // namespace skep::bench
