// SPDX-License-Identifier: Apache-2.0
// The arrays whose slots hold references to other objects (the kernel's "fd arrays", kernel/bpf/arraymap.c):
// prog_array, array_of_maps, perf_event_array. Slots are read without a lock; whoever takes an object out of a slot
// drops the slot's reference, and an object's own release waits for the epoch.
#pragma once

#include "base/atomic.hpp"
#include "maps/array_rules.hpp"

namespace skep::maps {

/// fd_array_map_alloc_check(), array_map_alloc_check().
inline Status check_object_array_def(const MapDef& def) {
    if (def.value_size != 4 || (def.flags & (flag_rdonly_prog | flag_wronly_prog)) != 0) return Errc::InvalidArgument;
    return check_array_def(def);
}

/// The slots of one array. `Object` has retain() and release(); release() must not free before the epoch.
template <typename Object>
class ObjectSlots {
  public:
    /// Requires: check_object_array_def(def) passed.
    Status allocate(const MapDef& def) {
        ArrayShape shape;
        if (Status status = shape_array(def, &shape); !status.ok()) return status;
        slots_ = static_cast<Object**>(skep_os_alloc(bytes(shape.mask), 64));
        if (slots_ == nullptr) return Status(Errc::NoMemory, bytes(shape.mask));
        count_ = def.max_entries;
        mask_ = shape.mask;
        return {};
    }
    /// Drops every reference and the memory.
    void free() {
        if (slots_ == nullptr) return;
        clear();
        skep_os_free(slots_, bytes(mask_));
    }

    /// Null for an empty slot and for an index outside.
    Object* at(uint32_t index) const { return index < count_ ? atomic::load_acquire(&slots_[index & mask_]) : nullptr; }

    /// bpf_fd_array_map_update_elem() up to where the object is looked at.
    Status check_set(const void* key, uint64_t flags) const {
        if (flags != update_any) return Status(Errc::InvalidArgument, flags);
        if (array_index(key) >= count_) return Status(Errc::TooBig, array_index(key), count_);
        return {};
    }
    /// Requires: check_set() passed. Takes a reference of its own.
    void set(const void* key, Object* object) {
        object->retain();
        Object* old = atomic::exchange(&slots_[array_index(key) & mask_], object);
        if (old != nullptr) old->release();
    }
    /// fd_array_map_delete_elem()
    Status remove(const void* key) {
        const uint32_t index = array_index(key);
        if (index >= count_) return Status(Errc::TooBig, index, count_);
        Object* old = atomic::exchange(&slots_[index & mask_], static_cast<Object*>(nullptr));
        if (old == nullptr) return Errc::NotFound;
        old->release();
        return {};
    }
    /// bpf_fd_array_map_clear()
    void clear() {
        for (uint32_t i = 0; i < count_; ++i) {
            Object* old = atomic::exchange(&slots_[i], static_cast<Object*>(nullptr));
            if (old != nullptr) old->release();
        }
    }
    uint64_t size() const {
        uint64_t used = 0;
        for (uint32_t i = 0; i < count_; ++i) used += atomic::load(&slots_[i]) != nullptr;
        return used;
    }

  private:
    static size_t bytes(uint32_t mask) { return (size_t{mask} + 1) * sizeof(Object*); }

    Object** slots_ = nullptr;
    uint32_t count_ = 0;
    uint32_t mask_ = 0;
};

}  // namespace skep::maps
