// SPDX-License-Identifier: Apache-2.0
// The engine `kernel`: the same object, loaded into the running Linux kernel through libbpf, each packet given to it by
// BPF_PROG_TEST_RUN. For comparison and for hosts that trust their kernel more than us. Nothing is attached or pinned:
// programs and maps go with the KernelObject. A build without libbpf has the same interface, which answers Unavailable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/lane.hpp"
#include "base/result.hpp"
#include "maps/map.hpp"
#include "object/object_spec.hpp"
#include "platform/names.hpp"

namespace skep::hooks {

/// Whether this build can speak to a kernel at all (the process may still lack the right to).
bool kernel_engine_built();

struct KernelAnswer {
    uint32_t r0 = 0;         ///< the program's own verdict number
    uint32_t bytes_out = 0;  ///< of the packet after the run
    uint64_t ns = 0;         ///< the kernel's own measure, per run
};

/// What else of the object is wanted: by name.
struct KernelWants {
    std::vector<std::string> programs = {};  ///< for program arrays
    std::vector<std::string> maps = {};      ///< for maps of maps
};

/// One program and its maps in the kernel. One thread at a time.
class KernelObject {
  public:
    /// Loads programs[program_index] of `spec`, which was read from `file`, with the maps it needs, as `type`. Data
    /// maps begin as in `spec`, which may have changed what the file says. Errors: Unavailable (no libbpf in this
    /// build, no right to load), Rejected (the kernel's verifier says no; `why` is the end of its log), Unsupported
    /// (libbpf cannot read the object).
    static Result<std::unique_ptr<KernelObject>> load(const object::ObjectSpec& spec, Bytes file,
                                                      uint32_t program_index, platform::ProgramType type,
                                                      const KernelWants& also = {});
    virtual ~KernelObject() = default;
    KernelObject(const KernelObject&) = delete;
    KernelObject& operator=(const KernelObject&) = delete;

    /// The kernel's map of ObjectSpec::maps[index], seen through our own interface (its user's side); null if the
    /// program does not use it, and for ring and perf buffers. Lives as long as this object.
    virtual maps::Map* map(size_t index) const = 0;
    /// Element `key` of a program array becomes the program of that name, of a map of maps the map ObjectSpec::maps
    /// [inner]. Errors: Unresolved (not loaded), else what the kernel says.
    virtual Result<void> put_program(size_t map, Bytes key, const std::string& program) = 0;
    virtual Result<void> put_map(size_t map, Bytes key, size_t inner) = 0;
    /// What the kernel's id in an element of such a map stands for, by name; empty if none of the object's.
    virtual std::string name_of(size_t map, uint32_t id) const = 0;
    /// For Map's `lane` argument, which these maps do not look at.
    virtual Lanes& lanes() = 0;

    /// Runs the program on a copy of `packet` (Ethernet; the kernel wants at least 14 bytes); the packet as the program
    /// left it is written to `out`. Socket filters begin behind the Ethernet header, as in every test run. Errors: what
    /// BPF_PROG_TEST_RUN says, e.g. InvalidArgument for a packet it does not take; TooBig when `out` is too small.
    /// Repeated runs get the bytes as the run before left them; the answer is the last one's, the time their mean.
    virtual Result<KernelAnswer> run(Bytes packet, MutableBytes out, uint32_t repeat = 1) = 0;

    /// One record of a ring buffer or perf buffer. `map`: index into ObjectSpec::maps.
    using EventFn = std::function<void(uint32_t map, Bytes record)>;
    /// Hands out what the program has sent since the last call, map by map, in order.
    virtual Result<void> drain_events(const EventFn& each) = 0;

  protected:
    KernelObject() = default;
};

}  // namespace skep::hooks
