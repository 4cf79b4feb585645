// SPDX-License-Identifier: Apache-2.0
// What `skep run` needs of whoever runs the program: our own runtime (skep_backend.cpp) or the running kernel
// (kernel_backend.cpp). Contents of maps and events come as bytes, so that one report serves both.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "module/load.hpp"
#include "object/object_spec.hpp"
#include "platform/map_type.hpp"
#include "platform/names.hpp"
#include "platform/verdict.hpp"
#include "runtime/load/kernel_config.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep::cli {

using Buffer = std::vector<std::byte>;

class Recording;

struct RunOptions {
    std::string program;                 ///< name; the one to run
    std::string engine;                  ///< "jit", "interp", "kernel"
    std::vector<std::string> also_load;  ///< programs that program arrays get by --map-init
    std::vector<std::string> also_make;  ///< maps that maps of maps get by it
    std::optional<uint64_t> seed;
    uint32_t ifindex = 1;
    std::shared_ptr<const module::LoadedModule> native;  ///< whose code runs; null: an engine compiles
    bool unverified = false;                             ///< do not verify (development builds)
    std::optional<platform::Personality> personality;    ///< nothing: by the object's evidence
    Recording* recording = nullptr;                      ///< watches every run; null: nobody does
    std::string btf;  ///< file with the target's BTF for CO-RE; empty: the running kernel's
    const runtime::CoreAnswers* core_answers = nullptr;                ///< of a module: they take its place
    std::function<Result<void>(const ExecutableProgram&)> admit = {};  ///< what policy says of an object's programs
    runtime::KernelConfig kernel_config = {};  ///< what the program is told of the kernel; nothing: skep's own
};

/// One run over one packet. The spans are valid during the call that hands it over.
struct PacketReport {
    platform::Verdict verdict = {};
    uint32_t kept_bytes = 0;  ///< socket filters
    Bytes packet;             ///< as the program left it, from its Ethernet header
    std::string redirect;     ///< "interface 3", "map tx_ports key 1"; empty: none or unknown
};

struct MapEntry {
    Buffer key;                  ///< empty: queue and stack
    std::vector<Buffer> values;  ///< one, or one per CPU
    std::string note;            ///< what a number stands for: "program parse_ip", "map inner_a"
};

struct MapContents {
    platform::MapType type = platform::MapType::Array;
    uint32_t max_entries = 0;
    std::vector<MapEntry> entries;  ///< sorted by key; arrays: only elements that are not all zero
    uint64_t zero_entries = 0;      ///< arrays: how many are
};

/// What a ring buffer or perf event array brought.
struct EventLog {
    uint32_t map = 0;  ///< index into ObjectSpec::maps
    uint64_t count = 0;
    uint64_t lost = 0;
    std::vector<Buffer> first;  ///< the first ones, at most kept_events
};
constexpr size_t kept_events = 1000;

/// What is known of the program once it is loaded.
struct ProgramFigures {
    std::string type;
    bool verified = false;
    size_t instructions = 0;
    size_t code_bytes = 0;
    uint64_t compile_ns = 0;
};

class Backend {
  public:
    virtual ~Backend() = default;

    virtual ProgramFigures figures() const = 0;

    // --map-init. `map` is an index into ObjectSpec::maps.
    /// Bytes of one key and one value (per-CPU maps: every CPU gets the value). Queue and stack: the key is empty.
    virtual Result<void> put(uint32_t map, Bytes key, Bytes value) = 0;
    virtual Result<void> put_program(uint32_t map, Bytes key, const std::string& program) = 0;
    virtual Result<void> put_map(uint32_t map, Bytes key, uint32_t inner) = 0;

    /// Whether the kernel's test_run would refuse the packet for its length.
    virtual bool refuses(Bytes packet) const = 0;
    /// Runs the program over each packet, in order; packets must not be refused.
    virtual Result<void> run(const std::vector<Bytes>& packets,
                             const std::function<Result<void>(size_t index, const PacketReport&)>& each) = 0;
    /// Time spent inside the program and in making its context, over all packets so far.
    virtual uint64_t elapsed_ns() const = 0;

    /// Nothing for a map that was not made (no loaded program uses it) or that has no contents to show.
    virtual Result<std::optional<MapContents>> contents(uint32_t map) = 0;
    virtual const std::vector<EventLog>& events() = 0;
    /// Lines that the program printed.
    virtual const std::vector<std::string>& lines() const = 0;
    virtual uint64_t lines_dropped() const { return 0; }
};

/// Requires: options.program is one of the object's.
/// How our runtime is to load what `options` name. Errors: InvalidArgument (no engine of ours).
Result<runtime::LoadOptions> load_options(const RunOptions& options, std::shared_ptr<const object::ObjectSpec> spec);
Result<std::unique_ptr<Backend>> open_skep(std::shared_ptr<const object::ObjectSpec> spec, const RunOptions& options);

/// Loads the object, whose file's bytes are `file`, into the running kernel by libbpf. Errors: Unavailable where this
/// build or host cannot, Unsupported for options that a kernel has no say in.
Result<std::unique_ptr<Backend>> open_kernel(std::shared_ptr<const object::ObjectSpec> spec, Bytes file,
                                             const RunOptions& options);

}  // namespace skep::cli
