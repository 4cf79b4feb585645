// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_ARRAY (kernel/bpf/arraymap.c): all elements exist from the start and are zero.
//
// Elements stand `stride` bytes apart (the value size rounded up to 8), and their number is rounded up to a power of
// two so that `index & mask` always lies inside the memory: an engine that inlines the lookup masks after the bounds
// check, and a mispredicted check reads no foreign memory.
#include "base/atomic.hpp"
#include "maps/array_rules.hpp"
#include "maps/makers.hpp"

namespace skep::maps {
namespace {

class Array final : public Map {
  public:
    Array(const MapDef& def, const MapEnv& env, const ArrayShape& shape) : Map(def, env), shape_(shape) {}

    bool allocate() {
        if ((def_.flags & flag_mmapable) == 0) {
            base_ = static_cast<uint8_t*>(skep_os_alloc(bytes(), 64));
            return base_ != nullptr;
        }
        handle_ = skep_os_shm_create("skep-array", shared_bytes());
        if (handle_ < 0) return false;
        base_ = static_cast<uint8_t*>(skep_os_shm_map(handle_, shared_bytes()));
        return base_ != nullptr;
    }

    void* lookup(const void* key, uint32_t) override {
        const uint32_t index = array_index(key);
        return index < def_.max_entries ? element(index) : nullptr;
    }

    Status update(const void* key, const void* value, uint64_t flags, uint32_t) override {
        if (Status status = check_array_update(def_, key, flags); !status.ok()) return status;
        atomic::copy_to_shared(element(array_index(key)), value, def_.value_size);
        return {};
    }

    Status remove(const void*, uint32_t) override { return Errc::InvalidArgument; }
    Status next_key(const void* key, void* next, uint32_t) override { return next_array_key(def_, key, next); }

    MapLayout layout() const override {
        return {.kind = MapLayoutKind::Array,
                .flags = def_.flags,
                .max_entries = def_.max_entries,
                .mask = shape_.mask,
                .stride = shape_.stride,
                .lane_stride = 0,
                .base = base_};
    }
    // array_map_direct_value_addr(): only a map of one element, which is what globals are.
    uint8_t* direct_value() override { return def_.max_entries == 1 ? base_ : nullptr; }
    int64_t shared_memory(uint64_t* bytes) const override {
        *bytes = handle_ >= 0 ? shared_bytes() : 0;
        return handle_;
    }
    uint64_t size() const override { return def_.max_entries; }

    void destroy() override {
        if (handle_ >= 0) {
            skep_os_shm_unmap(base_, shared_bytes());
            skep_os_shm_close(handle_);
        } else {
            skep_os_free(base_, bytes());
        }
        free_map(this);
    }

  private:
    uint8_t* element(uint32_t index) const { return base_ + shape_.stride * (index & shape_.mask); }
    size_t bytes() const { return static_cast<size_t>(shape_.bytes); }
    size_t shared_bytes() const {
        const size_t page = skep_os_shm_granularity();
        return (bytes() + page - 1) & ~(page - 1);
    }

    const ArrayShape shape_;
    uint8_t* base_ = nullptr;
    int64_t handle_ = -1;
};

}  // namespace

Status make_array(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    if (Status status = check_array_def(def); !status.ok()) return status;
    ArrayShape shape;
    if (Status status = shape_array(def, &shape); !status.ok()) return status;
    auto* map = new_map<Array>(def, env, shape);
    if (map == nullptr) return Errc::NoMemory;
    if (!map->allocate()) {
        map->destroy();
        return Errc::NoMemory;
    }
    *out = map;
    return {};
}

}  // namespace skep::maps
