// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_PERF_EVENT_ARRAY: per index a perf buffer that a user opened (perf_buffer.hpp).
#pragma once

#include "maps/object_array.hpp"
#include "maps/perf_buffer.hpp"

namespace skep::maps {

/// bpf_perf_event_output()'s flags: the index (or BPF_F_CURRENT_CPU), and how many bytes of the packet to add.
constexpr uint64_t perf_index_mask = 0xffffffff;
constexpr uint64_t perf_current_cpu = 0xffffffff;
constexpr uint64_t perf_packet_shift = 32;
constexpr uint64_t perf_packet_mask = uint64_t{0xfffff} << perf_packet_shift;

class PerfEventArray final : public Map {
  public:
    PerfEventArray(const MapDef& def, const MapEnv& env) : Map(def, env) {}

    /// `map` as what it is, or null if it is of another type.
    static PerfEventArray* of(Map* map) {
        return map != nullptr && map->def().type == platform::MapType::PerfEventArray
                   ? static_cast<PerfEventArray*>(map)
                   : nullptr;
    }

    /// bpf_perf_event_output(): writes `data`, then as many bytes of `packet` as the flags ask for, into the buffer at
    /// the flags' index. Requires: the caller holds `lane`. InvalidArgument (unknown flags), BadAddress (more of the
    /// packet than there is), TooBig (index outside; sample too large), NotFound (nothing opened there), NotSupported
    /// (opened for another lane), NoSpace (full).
    Status output(uint64_t flags, const void* data, uint64_t size, const void* packet, uint64_t packet_size,
                  uint32_t lane);

    /// The user's update: takes a reference of its own. InvalidArgument (flags other than 0), TooBig (index),
    /// NotPermitted (BPF_F_RDONLY).
    Status set(const void* key, PerfBuffer* buffer, uint64_t flags);
    /// The buffer at `index`, null if there is none. It stays while the caller holds its lane.
    PerfBuffer* at(uint32_t index) const { return slots_.at(index); }
    /// Empties every slot, unless BPF_F_PRESERVE_ELEMS: what closing the map's last descriptor does.
    void close_all() {
        if ((def_.flags & flag_preserve_elems) == 0) slots_.clear();
    }

    Status remove(const void* key, uint32_t lane) override;
    Status next_key(const void* key, void* next, uint32_t lane) override;
    Status read(const void* key, void* user_value, uint32_t lane) override;
    Status write(const void* key, const void* user_value, uint64_t flags, uint32_t lane) override;
    uint64_t size() const override { return slots_.size(); }
    void destroy() override;

    static Status make(const MapDef& def, const MapEnv& env, Map** out);

  private:
    ObjectSlots<PerfBuffer> slots_;
};

}  // namespace skep::maps
