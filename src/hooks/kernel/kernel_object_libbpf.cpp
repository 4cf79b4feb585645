// SPDX-License-Identifier: Apache-2.0
// The engine `kernel` through libbpf 1.1 or later.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

#include "hooks/kernel/kernel_object.hpp"
#include "object/link.hpp"
#include "platform/program_type.hpp"

namespace skep::hooks {
namespace {

constexpr size_t log_bytes = 1 << 20;
constexpr size_t ethernet_header = 14;

/// Whether a program array holds the program from the start: then libbpf must load it too.
bool stands_in_map(const object::ObjectSpec& spec, std::string_view program) {
    for (const object::MapSpec& map : spec.maps)
        for (const object::MapSlot& slot : map.slots)
            if (slot.is_program && spec.programs[slot.target].name == program) return true;
    return false;
}

/// libbpf's warnings, for the error's `why`. libbpf hands its printing function no context, hence the one global of
/// this room; loads happen one at a time per thread.
thread_local std::string* warnings = nullptr;

int remember(libbpf_print_level level, const char* format, va_list arguments) {
    if (warnings == nullptr || level == LIBBPF_DEBUG) return 0;
    std::array<char, 1024> line{};
    std::vsnprintf(line.data(), line.size(), format, arguments);
    if (warnings->size() < 4096) *warnings += line.data();
    return 0;
}

class Warnings {
  public:
    Warnings() {
        libbpf_set_print(remember);
        warnings = &text_;
    }
    ~Warnings() { warnings = nullptr; }
    Warnings(const Warnings&) = delete;
    Warnings& operator=(const Warnings&) = delete;
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

Errc code_of(int error) {
    switch (error) {
        case EPERM: return Errc::NotPermitted;
        case EACCES: return Errc::AccessDenied;
        case ENOENT: return Errc::NotFound;
        case EEXIST: return Errc::Exists;
        case E2BIG: return Errc::TooBig;
        case ENOMEM: return Errc::NoMemory;
        case ENOSPC: return Errc::NoSpace;
        case EBUSY: return Errc::Busy;
        case EAGAIN: return Errc::TryAgain;
        case EOPNOTSUPP: return Errc::NotSupported;
        default: return Errc::InvalidArgument;
    }
}

Status status_of(int result) { return result == 0 ? Status{} : Status{code_of(result < 0 ? -result : errno)}; }

/// The last lines of a log, without the statistics that follow a refusal.
std::string tail_of(std::string_view log, size_t lines) {
    while (!log.empty() && log.back() == '\n') log.remove_suffix(1);
    size_t at = log.size();
    for (size_t n = 0; n < lines && at > 0; ++n) {
        const size_t newline = log.rfind('\n', at - 1);
        if (newline == std::string_view::npos) return std::string(log);
        at = newline;
    }
    return std::string(log.substr(at == 0 ? 0 : at + 1));
}

/// A kernel map's user side. The program's side stays in the kernel.
class KernelMap final : public maps::Map {
  public:
    KernelMap(const maps::MapDef& def, const maps::MapEnv& env, int fd) : Map(def, env), fd_(fd) {}
    ~KernelMap() = default;

    Status update(const void* key, const void* value, uint64_t flags, uint32_t) override {
        return status_of(bpf_map_update_elem(fd_, key, value, flags));
    }
    Status remove(const void* key, uint32_t) override { return status_of(bpf_map_delete_elem(fd_, key)); }
    Status next_key(const void* key, void* next, uint32_t) override {
        return status_of(bpf_map_get_next_key(fd_, key, next));
    }
    Status read(const void* key, void* user_value, uint32_t) override {
        return status_of(bpf_map_lookup_elem(fd_, key, user_value));
    }
    Status write(const void* key, const void* user_value, uint64_t flags, uint32_t) override {
        return status_of(bpf_map_update_elem(fd_, key, user_value, flags));
    }
    Status lookup_and_delete(const void* key, void* user_value, uint32_t) override {
        return status_of(bpf_map_lookup_and_delete_elem(fd_, key, user_value));
    }
    Status push(const void* value, uint64_t flags, uint32_t) override {
        return status_of(bpf_map_update_elem(fd_, nullptr, value, flags));
    }
    Status pop(void* value, uint32_t) override {
        return status_of(bpf_map_lookup_and_delete_elem(fd_, nullptr, value));
    }
    Status peek(void* value, uint32_t) override { return status_of(bpf_map_lookup_elem(fd_, nullptr, value)); }
    uint64_t size() const override {
        std::vector<std::byte> key(def().key_size), next(def().key_size);
        uint64_t count = 0;
        for (const void* at = nullptr; bpf_map_get_next_key(fd_, at, next.data()) == 0; at = key.data()) {
            key.swap(next);
            ++count;
        }
        return count;
    }

  private:
    int fd_;  // libbpf's
};

struct LanesDestroyer {
    void operator()(Lanes* lanes) const { lanes->destroy(); }
};
struct ObjectCloser {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
};
struct RingFreer {
    void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};
struct PerfFreer {
    void operator()(perf_buffer* perf) const { perf_buffer__free(perf); }
};

class LibbpfObject final : public KernelObject {
  public:
    Result<void> open(const object::ObjectSpec& spec, Bytes file, uint32_t program_index, platform::ProgramType type,
                      const KernelWants& also);

    maps::Map* map(size_t index) const override { return maps_[index].get(); }
    Result<void> put_program(size_t map, Bytes key, const std::string& program) override;
    Result<void> put_map(size_t map, Bytes key, size_t inner) override;
    std::string name_of(size_t map, uint32_t id) const override;
    Lanes& lanes() override { return *lanes_; }
    Result<KernelAnswer> run(Bytes packet, MutableBytes out, uint32_t repeat) override;
    Result<void> drain_events(const EventFn& each) override;

  private:
    struct EventSource {
        uint32_t map = 0;
        std::unique_ptr<ring_buffer, RingFreer> ring;
        std::unique_ptr<perf_buffer, PerfFreer> perf;
        const EventFn* each = nullptr;
    };
    Result<void> adopt_map(const object::ObjectSpec& spec, uint32_t index);
    Result<void> set_initial_values(const object::ObjectSpec& spec);
    Result<void> put(size_t map, Bytes key, int fd, const char* what) const;
    bpf_map* find_map(size_t index) const {
        return bpf_object__find_map_by_name(object_.get(), map_names_[index].c_str());
    }

    std::unique_ptr<Lanes, LanesDestroyer> lanes_;
    std::unique_ptr<bpf_object, ObjectCloser> object_;
    std::vector<std::unique_ptr<KernelMap>> maps_;
    std::vector<std::string> map_names_;  ///< of ObjectSpec::maps
    std::vector<std::unique_ptr<EventSource>> events_;
    int program_fd_ = -1;
    bool loses_header_ = false;  ///< test runs of this type give the Ethernet header back as zeros
};

Result<void> LibbpfObject::open(const object::ObjectSpec& spec, Bytes file, uint32_t program_index,
                                platform::ProgramType type, const KernelWants& also) {
    const object::ProgramSpec& wanted = spec.programs[program_index];
    const auto fail = [&](Errc code, std::string what, std::string why, std::string hint = {}) {
        return Error{code, std::move(what), std::move(why), std::move(hint)}.in_file(spec.file).in_function(
            wanted.name);
    };
    Warnings said;
    // The kernel copies one value per possible processor in and out: a guess would be too little room.
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0)
        return fail(Errc::Unavailable, "the number of processors that the kernel may have is not known",
                    fmt::format("/sys/devices/system/cpu/possible: {}", std::strerror(-cpus)), "mount /sys");
    lanes_.reset(Lanes::create(static_cast<uint32_t>(cpus)));
    if (!lanes_) return fail(Errc::NoMemory, "out of memory", {});

    object_.reset(bpf_object__open_mem(file.data(), file.size(), nullptr));
    if (!object_) return fail(Errc::Unsupported, "libbpf cannot read the object", tail_of(said.text(), 3));
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object_.get()) {
        const bool chosen = wanted.name == bpf_program__name(program);
        const std::string_view name = bpf_program__name(program);
        bpf_program__set_autoload(program, chosen || stands_in_map(spec, name) ||
                                               std::ranges::find(also.programs, name) != also.programs.end());
        if (chosen) bpf_program__set_type(program, static_cast<bpf_prog_type>(platform::program_type_linux_id(type)));
    }
    program = bpf_object__find_program_by_name(object_.get(), wanted.name.c_str());
    if (program == nullptr) return fail(Errc::Unsupported, "libbpf does not find the program", tail_of(said.text(), 3));

    for (const object::MapSpec& map : spec.maps) map_names_.push_back(map.name);
    SKEP_TRY(set_initial_values(spec));
    std::string log(log_bytes, '\0');
    bpf_program__set_log_buf(program, log.data(), log.size());
    if (const int result = bpf_object__load(object_.get()); result != 0) {
        const std::string verdict = tail_of(std::string_view(log.c_str()), 6);
        if (result == -EPERM && verdict.empty())
            return fail(Errc::Unavailable, "this process may not load programs into the kernel",
                        tail_of(said.text(), 2), "run as root, or give it CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN");
        return fail(verdict.empty() ? code_of(-result) : Errc::Rejected, "the kernel refuses the program",
                    verdict.empty() ? tail_of(said.text(), 3) : verdict);
    }
    program_fd_ = bpf_program__fd(program);
    loses_header_ = type == platform::ProgramType::SocketFilter;

    // libbpf makes every map of the object; only the program's own are of interest, as with our own runtime.
    SKEP_ASSIGN(const object::LinkedProgram linked, object::link(spec, program_index));
    maps_.resize(spec.maps.size());
    for (uint32_t index : linked.maps) SKEP_TRY(adopt_map(spec, index));
    for (const std::string& name : also.maps)
        if (const uint32_t index = spec.find_map(name); index != object::no_index) SKEP_TRY(adopt_map(spec, index));
    return {};
}

Result<void> LibbpfObject::set_initial_values(const object::ObjectSpec& spec) {
    for (const object::MapSpec& data : spec.maps) {
        if (data.origin != object::MapOrigin::Data) continue;
        bpf_map* map = bpf_object__find_map_by_name(object_.get(), data.name.c_str());
        if (map == nullptr) continue;
        size_t bytes = 0;
        const void* now = bpf_map__initial_value(map, &bytes);
        std::vector<std::byte> value = data.initial;
        value.resize(bytes);
        if (now == nullptr || bytes == 0 || std::memcmp(now, value.data(), bytes) == 0) continue;
        if (const int result = bpf_map__set_initial_value(map, value.data(), bytes); result != 0)
            return Error{code_of(-result), fmt::format("the variables in {} cannot be set", data.name),
                         std::strerror(-result)}
                .in_file(spec.file);
    }
    return {};
}

Result<void> LibbpfObject::put(size_t map, Bytes key, int fd, const char* what) const {
    const bpf_map* into = find_map(map);
    if (into == nullptr || fd < 0)
        return Error{Errc::Unresolved, fmt::format("the {} for map \"{}\" is not loaded", what, map_names_[map])};
    if (bpf_map_update_elem(bpf_map__fd(into), key.data(), &fd, BPF_ANY) == 0) return {};
    const int error = errno;
    return Error{code_of(error), fmt::format("map \"{}\" does not take the {}", map_names_[map], what),
                 std::strerror(error)};
}

Result<void> LibbpfObject::put_program(size_t map, Bytes key, const std::string& program) {
    const bpf_program* found = bpf_object__find_program_by_name(object_.get(), program.c_str());
    return put(map, key, found == nullptr ? -1 : bpf_program__fd(found), "program");
}

Result<void> LibbpfObject::put_map(size_t map, Bytes key, size_t inner) {
    const bpf_map* found = find_map(inner);
    return put(map, key, found == nullptr ? -1 : bpf_map__fd(found), "map");
}

std::string LibbpfObject::name_of(size_t map, uint32_t id) const {
    if (maps_[map] == nullptr) return {};
    if (maps_[map]->def().type == platform::MapType::ProgArray) {
        bpf_program* program = nullptr;
        bpf_object__for_each_program(program, object_.get()) {
            bpf_prog_info info{};
            uint32_t bytes = sizeof info;
            const int fd = bpf_program__fd(program);
            if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 && info.id == id)
                return bpf_program__name(program);
        }
        return {};
    }
    for (size_t i = 0; i < map_names_.size(); ++i) {
        const bpf_map* found = find_map(i);
        bpf_map_info info{};
        uint32_t bytes = sizeof info;
        if (found != nullptr && bpf_map__fd(found) >= 0 &&
            bpf_obj_get_info_by_fd(bpf_map__fd(found), &info, &bytes) == 0 && info.id == id)
            return map_names_[i];
    }
    return {};
}

Result<void> LibbpfObject::adopt_map(const object::ObjectSpec& spec, uint32_t index) {
    const object::MapSpec& map_spec = spec.maps[index];
    bpf_map* map = bpf_object__find_map_by_name(object_.get(), map_spec.name.c_str());
    if (map == nullptr || bpf_map__fd(map) < 0) return {};
    maps::MapDef def;
    if (!platform::map_type_from_linux(bpf_map__type(map), &def.type)) return {};
    def.key_size = bpf_map__key_size(map);
    def.value_size = bpf_map__value_size(map);
    def.max_entries = bpf_map__max_entries(map);
    def.map_extra = bpf_map__map_extra(map);
    const auto fail = [&](const char* what) {
        return Error{code_of(errno), fmt::format("{} of map \"{}\" cannot be read", what, map_spec.name),
                     std::strerror(errno)}
            .in_file(spec.file);
    };
    auto source = std::make_unique<EventSource>();
    source->map = index;
    if (def.type == platform::MapType::Ringbuf) {
        const auto sample = [](void* self, void* data, size_t bytes) {
            const auto* from = static_cast<EventSource*>(self);
            (*from->each)(from->map, Bytes(static_cast<const std::byte*>(data), bytes));
            return 0;
        };
        source->ring.reset(ring_buffer__new(bpf_map__fd(map), sample, source.get(), nullptr));
        if (!source->ring) return fail("ring buffer");
        events_.push_back(std::move(source));
        return {};
    }
    if (def.type == platform::MapType::PerfEventArray) {
        const auto sample = [](void* self, int, void* data, uint32_t bytes) {
            const auto* from = static_cast<EventSource*>(self);
            (*from->each)(from->map, Bytes(static_cast<const std::byte*>(data), bytes));
        };
        source->perf.reset(perf_buffer__new(bpf_map__fd(map), 64, sample, nullptr, source.get(), nullptr));
        if (!source->perf) return fail("perf buffers");
        events_.push_back(std::move(source));
        return {};
    }
    // The kernel has checked the flags already; here they would only forbid what the caller may well do through it.
    maps::MapEnv env;
    env.lanes = lanes_.get();
    maps_[index] = std::make_unique<KernelMap>(def, env, bpf_map__fd(map));
    return {};
}

Result<KernelAnswer> LibbpfObject::run(Bytes packet, MutableBytes out, uint32_t repeat) {
    bpf_test_run_opts options;
    std::memset(&options, 0, sizeof options);
    options.sz = sizeof options;
    options.data_in = packet.data();
    options.data_size_in = static_cast<uint32_t>(packet.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<uint32_t>(out.size());
    options.repeat = static_cast<int>(repeat);
    if (bpf_prog_test_run_opts(program_fd_, &options) != 0) {
        const int error = errno;
        if (error == ENOSPC) return Error{Errc::TooBig, "the packet grew over the room for it"};
        return Error{code_of(error), "the kernel does not run the packet",
                     fmt::format("BPF_PROG_TEST_RUN: {} ({} bytes)", std::strerror(error), packet.size())};
    }
    if (loses_header_) std::copy_n(packet.begin(), std::min(packet.size(), ethernet_header), out.begin());
    return KernelAnswer{options.retval, options.data_size_out, options.duration};
}

Result<void> LibbpfObject::drain_events(const EventFn& each) {
    for (const auto& source : events_) {
        source->each = &each;
        const int result =
            source->ring ? ring_buffer__consume(source->ring.get()) : perf_buffer__consume(source->perf.get());
        source->each = nullptr;
        if (result < 0) return Error{code_of(-result), "events cannot be read from the kernel", std::strerror(-result)};
    }
    return {};
}

}  // namespace

bool kernel_engine_built() { return true; }

Result<std::unique_ptr<KernelObject>> KernelObject::load(const object::ObjectSpec& spec, Bytes file,
                                                         uint32_t program_index, platform::ProgramType type,
                                                         const KernelWants& also) {
    auto object = std::make_unique<LibbpfObject>();
    SKEP_TRY(object->open(spec, file, program_index, type, also));
    return std::unique_ptr<KernelObject>(std::move(object));
}

}  // namespace skep::hooks
