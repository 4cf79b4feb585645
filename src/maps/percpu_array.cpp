// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_PERCPU_ARRAY (kernel/bpf/arraymap.c): an array per lane. A lane's copy is one stretch of memory on cache
// lines of its own, so that lanes never share one.
#include "base/atomic.hpp"
#include "maps/array_rules.hpp"
#include "maps/makers.hpp"

namespace skep::maps {
namespace {

class PercpuArray final : public Map {
  public:
    PercpuArray(const MapDef& def, const MapEnv& env, const ArrayShape& shape)
        : Map(def, env), shape_(shape), lane_stride_((shape.bytes + 63) & ~uint64_t{63}) {}

    Status allocate() {
        if (lane_stride_ > SIZE_MAX / 4 / lanes()) return Status(Errc::NoMemory, lane_stride_, lanes());
        base_ = static_cast<uint8_t*>(skep_os_alloc(bytes(), 64));
        return base_ != nullptr ? Status() : Status(Errc::NoMemory, bytes());
    }

    void* lookup(const void* key, uint32_t lane) override {
        const uint32_t index = array_index(key);
        return index < def_.max_entries ? element(index, lane) : nullptr;
    }

    void* lookup_percpu(const void* key, uint32_t cpu, uint32_t) override {
        const uint32_t index = array_index(key);
        return index < def_.max_entries && cpu < lanes() ? element(index, cpu) : nullptr;
    }

    Status update(const void* key, const void* value, uint64_t flags, uint32_t lane) override {
        if (Status status = check_array_update(def_, key, flags); !status.ok()) return status;
        atomic::copy_to_shared(element(array_index(key), lane), value, def_.value_size);
        return {};
    }

    Status remove(const void*, uint32_t) override { return Errc::InvalidArgument; }
    Status next_key(const void* key, void* next, uint32_t) override { return next_array_key(def_, key, next); }

    Status read(const void* key, void* user_value, uint32_t) override {
        if (!user_may_read()) return Errc::NotPermitted;
        const uint32_t index = array_index(key);
        if (index >= def_.max_entries) return Errc::NotFound;
        auto* to = static_cast<uint8_t*>(user_value);
        for (uint32_t lane = 0; lane < lanes(); ++lane, to += stride())
            atomic::copy_from_shared(to, element(index, lane), stride());
        return {};
    }

    Status write(const void* key, const void* user_value, uint64_t flags, uint32_t) override {
        if (!user_may_write()) return Errc::NotPermitted;
        if (Status status = check_array_update(def_, key, flags); !status.ok()) return status;
        auto* from = static_cast<const uint8_t*>(user_value);
        for (uint32_t lane = 0; lane < lanes(); ++lane, from += stride())
            atomic::copy_to_shared(element(array_index(key), lane), from, stride());
        return {};
    }

    MapLayout layout() const override {
        return {.kind = MapLayoutKind::PercpuArray,
                .flags = def_.flags,
                .max_entries = def_.max_entries,
                .mask = shape_.mask,
                .stride = shape_.stride,
                .lane_stride = lane_stride_,
                .base = base_};
    }
    uint64_t size() const override { return def_.max_entries; }

    void destroy() override {
        skep_os_free(base_, bytes());
        free_map(this);
    }

  private:
    uint32_t lanes() const { return env_.lanes->count(); }
    size_t stride() const { return static_cast<size_t>(shape_.stride); }
    size_t bytes() const { return static_cast<size_t>(lane_stride_ * lanes()); }
    uint8_t* element(uint32_t index, uint32_t lane) const {
        return base_ + lane_stride_ * lane + shape_.stride * (index & shape_.mask);
    }

    const ArrayShape shape_;
    const uint64_t lane_stride_;
    uint8_t* base_ = nullptr;
};

}  // namespace

Status make_percpu_array(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    if (Status status = check_array_def(def); !status.ok()) return status;
    ArrayShape shape;
    if (Status status = shape_array(def, &shape); !status.ok()) return status;
    auto* map = new_map<PercpuArray>(def, env, shape);
    if (map == nullptr) return Errc::NoMemory;
    if (Status status = map->allocate(); !status.ok()) {
        map->destroy();
        return status;
    }
    *out = map;
    return {};
}

}  // namespace skep::maps
