// SPDX-License-Identifier: Apache-2.0
// The engine `kernel` where there is none: other systems, and builds without libbpf.
#include "hooks/kernel/kernel_object.hpp"

namespace skep::hooks {

bool kernel_engine_built() { return false; }

Result<std::unique_ptr<KernelObject>> KernelObject::load(const object::ObjectSpec&, Bytes, uint32_t,
                                                         platform::ProgramType, const KernelWants&) {
    return Error{Errc::Unavailable, "this build cannot run programs in a kernel",
                 "it was made for another system than Linux, or without libbpf",
                 "on Debian: apt-get install libbpf-dev, then configure again"};
}

}  // namespace skep::hooks
