// SPDX-License-Identifier: Apache-2.0
#include "maps/perf_event_array.hpp"

namespace skep::maps {

Status PerfEventArray::output(uint64_t flags, const void* data, uint64_t size, const void* packet, uint64_t packet_size,
                              uint32_t lane) {
    if ((flags & ~(perf_index_mask | perf_packet_mask)) != 0) return Status(Errc::InvalidArgument, flags);
    const uint64_t packet_bytes = (flags & perf_packet_mask) >> perf_packet_shift;
    if (packet_bytes > packet_size) return Status(Errc::BadAddress, packet_bytes, packet_size);
    const uint64_t asked = flags & perf_index_mask;
    const uint64_t index = asked == perf_current_cpu ? lane : asked;
    if (index >= def_.max_entries) return Status(Errc::TooBig, index, def_.max_entries);
    PerfBuffer* buffer = slots_.at(static_cast<uint32_t>(index));
    if (buffer == nullptr) return Status(Errc::NotFound, index);
    if (buffer->options().lane != lane) return Status(Errc::NotSupported, buffer->options().lane, lane);
    return buffer->output(data, size, packet, packet_bytes);
}

Status PerfEventArray::set(const void* key, PerfBuffer* buffer, uint64_t flags) {
    if (!user_may_write()) return Errc::NotPermitted;
    if (Status status = slots_.check_set(key, flags); !status.ok()) return status;
    slots_.set(key, buffer);
    return {};
}

Status PerfEventArray::remove(const void* key, uint32_t) { return slots_.remove(key); }
Status PerfEventArray::next_key(const void* key, void* next, uint32_t) { return next_array_key(def_, key, next); }

// bpf_fd_array_map_lookup_elem(): perf events have no number to show.
Status PerfEventArray::read(const void*, void*, uint32_t) {
    return user_may_read() ? Errc::InternalNotSupported : Errc::NotPermitted;
}
Status PerfEventArray::write(const void*, const void*, uint64_t, uint32_t) {
    return user_may_write() ? Errc::InvalidArgument : Errc::NotPermitted;  // a buffer is set by set(), not by a number
}

void PerfEventArray::destroy() {
    slots_.free();
    free_map(this);
}

Status PerfEventArray::make(const MapDef& def, const MapEnv& env, Map** out) {
    if (Status status = check_object_array_def(def); !status.ok()) return status;
    auto* map = new_map<PerfEventArray>(def, env);
    if (map == nullptr) return Errc::NoMemory;
    if (Status status = map->slots_.allocate(def); !status.ok()) {
        map->destroy();
        return status;
    }
    *out = map;
    return {};
}

Status make_perf_event_array(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    return PerfEventArray::make(def, env, out);
}

}  // namespace skep::maps
