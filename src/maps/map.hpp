// SPDX-License-Identifier: Apache-2.0
// The one interface of all map types. Part of the kernel-capable core: no exceptions, no RTTI, no allocation that
// cannot fail (DESIGN.md section 5). Semantics and errors are Linux' (kernel/bpf/*.c, include/uapi/linux/bpf.h).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/lane.hpp"
#include "base/status.hpp"
#include "platform/map_type.hpp"
#include "program/map_layout.hpp"

namespace skep::maps {

// Update flags (BPF_ANY, BPF_NOEXIST, BPF_EXIST).
enum UpdateFlags : uint64_t { update_any = 0, update_noexist = 1, update_exist = 2, update_lock = 4 };

// Creation flags that are honoured by at least one type; each type refuses the rest with InvalidArgument (linux/bpf.h).
enum MapFlags : uint32_t {
    flag_no_prealloc = 1u << 0,
    flag_no_common_lru = 1u << 1,
    flag_numa_node = 1u << 2,
    flag_rdonly = 1u << 3,
    flag_wronly = 1u << 4,
    flag_zero_seed = 1u << 6,
    flag_rdonly_prog = 1u << 7,
    flag_wronly_prog = 1u << 8,
    flag_mmapable = 1u << 10,
    flag_preserve_elems = 1u << 11,
    flag_inner_map = 1u << 12,
};

/// What a map is created from; as union bpf_attr's BPF_MAP_CREATE.
struct MapDef {
    platform::MapType type = platform::MapType::Array;
    uint32_t key_size = 0;
    uint32_t value_size = 0;
    uint32_t max_entries = 0;
    uint32_t flags = 0;
    uint32_t numa_node = 0;
    uint64_t map_extra = 0;
};

class Map;

/// What maps are made in. Outlives every map.
struct MapEnv {
    Lanes* lanes = nullptr;
    uint64_t hash_seed = 0;  ///< 0: drawn by skep_os_random per map; else fixed (--deterministic)
};

/// A created map. Freed by release() of the last reference, after the epoch. Any member may be called from any thread
/// that holds `lane`; keys and values are exactly key_size and value_size bytes and need no alignment.
class Map {
  public:
    Map(const Map&) = delete;
    Map& operator=(const Map&) = delete;

    const MapDef& def() const { return def_; }

    /// The number that users know the map by; 0 until the runtime gives it one, once, before anybody else sees the map.
    uint32_t id() const { return id_; }
    void set_id(uint32_t id) { id_ = id; }

    /// The program's side (bpf_map_lookup_elem): the value in place, null if there is none. It stays readable while the
    /// caller holds its lane. For per-CPU types: the caller's lane's own copy. For maps of maps: the inner Map*.
    /// (None of these is pure: the freestanding core has no __cxa_pure_virtual. A type without keys inherits the
    /// refusing defaults.)
    virtual void* lookup(const void* key, uint32_t lane);
    /// BPF_MAP_TYPE_PERCPU_*: the copy of `cpu`; null for other types or out of range (bpf_map_lookup_percpu_elem).
    virtual void* lookup_percpu(const void* key, uint32_t cpu, uint32_t lane);
    virtual Status update(const void* key, const void* value, uint64_t flags, uint32_t lane);
    virtual Status remove(const void* key, uint32_t lane);
    /// The key after `key` in an unspecified but complete order; the first if `key` is null or not present. NotFound at
    /// the end.
    virtual Status next_key(const void* key, void* next, uint32_t lane);

    // The user's side (bpf(2)). Values are user_value_size() bytes: one value, or for per-CPU types one per lane, each
    // rounded up to 8 bytes. For maps of maps and program arrays it is the inner object's id (u32).
    uint32_t user_value_size() const;
    // read, write, lookup_and_delete, user_remove and user_next_key honour BPF_F_RDONLY, BPF_F_WRONLY and freeze()
    // (NotPermitted).
    virtual Status read(const void* key, void* user_value, uint32_t lane);
    virtual Status write(const void* key, const void* user_value, uint64_t flags, uint32_t lane);
    virtual Status lookup_and_delete(const void* key, void* user_value, uint32_t lane);
    Status user_remove(const void* key, uint32_t lane);
    Status user_next_key(const void* key, void* next, uint32_t lane);

    // What the creation flags allow. The verifier asks for the program's side, as Linux' does: programs are not checked
    // at run time.
    bool user_may_read() const { return (def_.flags & flag_wronly) == 0; }
    bool user_may_write() const { return (def_.flags & flag_rdonly) == 0 && !frozen_; }
    bool program_may_read() const { return (def_.flags & flag_wronly_prog) == 0; }
    bool program_may_write() const { return (def_.flags & flag_rdonly_prog) == 0; }

    /// From here on no user writes (BPF_MAP_FREEZE): a verifier may take what programs cannot write either for
    /// constants. Once, before anybody else sees the map.
    void freeze() { frozen_ = true; }

    // Queue and stack; every other type answers NotSupported. (bpf_map_push_elem, pop, peek)
    virtual Status push(const void* value, uint64_t flags, uint32_t lane);
    virtual Status pop(void* value, uint32_t lane);
    virtual Status peek(void* value, uint32_t lane);

    /// What engines may inline; Opaque unless the type says so.
    virtual MapLayout layout() const { return {}; }
    /// Base of value 0 for direct access by wide loads of src_reg 2; null if the type has none.
    virtual uint8_t* direct_value() { return nullptr; }
    /// The os.hpp handle of the memory that clients may map, and its size; -1 if the type (or its flags) shares none.
    /// The map owns the handle.
    virtual int64_t shared_memory(uint64_t* bytes) const;
    /// Elements now, as exact as the type knows without stopping writers.
    virtual uint64_t size() const { return 0; }

    void retain();
    /// Drops a reference; the last one retires the map to the epoch.
    void release();

  protected:
    Map(const MapDef& def, const MapEnv& env) : def_(def), env_(env) {}
    ~Map() = default;
    /// Frees the object itself and all it owns; called once, when nobody can reach it any more.
    virtual void destroy();

    const MapDef def_;
    const MapEnv env_;

  private:
    struct RetiredMap : Retired {
        Map* map = nullptr;
    };
    static void free_retired(Retired* retired);
    RetiredMap retired_;
    uint64_t references_ = 1;
    uint32_t id_ = 0;
    bool frozen_ = false;
};

constexpr uint32_t access_flags = flag_rdonly | flag_wronly | flag_rdonly_prog | flag_wronly_prog;

/// Whether the type's values are one copy per lane.
bool is_percpu(platform::MapType type);
/// `bytes` rounded up to a multiple of 8.
constexpr uint64_t round_up_8(uint64_t bytes) { return (bytes + 7) & ~uint64_t{7}; }

/// Makes a map with one reference, or tells why not: InvalidArgument, TooBig (sizes), NoMemory, NotSupported (a type
/// that is not implemented). `inner` is the template of a map of maps and null for every other type.
Status create(const MapDef& def, const MapEnv& env, const Map* inner, Map** out);

}  // namespace skep::maps
