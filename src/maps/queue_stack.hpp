// SPDX-License-Identifier: Apache-2.0
// What queue and stack have in common (kernel/bpf/queue_stack_maps.c): a bounded ring of values without keys, each
// operation under one short lock, as in the kernel. The two differ in which end pop and peek look at.
#pragma once

#include <string.h>

#include "base/lock.hpp"
#include "maps/kernel_limits.hpp"
#include "maps/makers.hpp"

namespace skep::maps {

/// `Lifo`: pop and peek take the youngest (stack); else the oldest (queue).
template <bool Lifo>
class QueueStack final : public Map {
  public:
    QueueStack(const MapDef& def, const MapEnv& env) : Map(def, env) {}

    static Status make(const MapDef& def, const MapEnv& env, Map** out) {
        constexpr uint32_t allowed = flag_numa_node | access_flags;
        // queue_stack_map_alloc_check()
        if (def.max_entries == 0 || def.key_size != 0 || def.value_size == 0 || (def.flags & ~allowed) != 0 ||
            !access_flags_ok(def.flags))
            return Errc::InvalidArgument;
        if (def.value_size > kmalloc_max_bytes) return Status(Errc::TooBig, def.value_size, kmalloc_max_bytes);

        const uint64_t bytes = uint64_t{def.max_entries} * def.value_size;  // below 2^32 * 2^22
        if (bytes > largest_map_bytes || bytes > SIZE_MAX / 4) return Status(Errc::NoMemory, bytes);
        auto* map = new_map<QueueStack>(def, env);
        if (map == nullptr) return Errc::NoMemory;
        map->values_ = static_cast<uint8_t*>(skep_os_alloc(static_cast<size_t>(bytes), 16));
        if (map->values_ == nullptr) {
            map->destroy();
            return Status(Errc::NoMemory, bytes);
        }
        *out = map;
        return {};
    }

    /// BPF_EXIST on a full map drops the oldest value to make place; BPF_NOEXIST means nothing here.
    Status push(const void* value, uint64_t flags, uint32_t) override {
        if ((flags & update_noexist) != 0 || flags > update_exist) return Status(Errc::InvalidArgument, flags);
        LockGuard guard(lock_);
        if (count_ == def_.max_entries) {
            if ((flags & update_exist) == 0) return Status(Errc::TooBig, count_ + uint64_t{1}, def_.max_entries);
            --count_;  // the oldest is the one `count_` steps before `head_`
        }
        memcpy(slot(head_), value, def_.value_size);
        head_ = head_ + 1 == def_.max_entries ? 0 : head_ + 1;
        atomic::store(&count_, count_ + 1);
        return {};
    }

    Status pop(void* value, uint32_t) override { return take(value, true); }
    Status peek(void* value, uint32_t) override { return take(value, false); }

    // bpf_map_copy_value() peeks, bpf_map_update_value() pushes, map_lookup_and_delete_elem() pops.
    Status read(const void*, void* user_value, uint32_t lane) override {
        return user_may_read() ? peek(user_value, lane) : Status(Errc::NotPermitted);
    }
    Status write(const void*, const void* user_value, uint64_t flags, uint32_t lane) override {
        return user_may_write() ? push(user_value, flags, lane) : Status(Errc::NotPermitted);
    }
    Status lookup_and_delete(const void*, void* user_value, uint32_t lane) override {
        return user_may_read() && user_may_write() ? pop(user_value, lane) : Status(Errc::NotPermitted);
    }

    uint64_t size() const override { return atomic::load(&count_); }

    void destroy() override {
        skep_os_free(values_, static_cast<size_t>(uint64_t{def_.max_entries} * def_.value_size));
        free_map(this);
    }

  private:
    uint8_t* slot(uint32_t index) const { return values_ + size_t{index} * def_.value_size; }

    /// An empty map zeroes the caller's value: a program may read it without having looked at the result.
    Status take(void* value, bool remove) {
        LockGuard guard(lock_);
        if (count_ == 0) {
            memset(value, 0, def_.value_size);
            return Errc::NotFound;
        }
        const uint32_t back = Lifo ? 1 : count_;  // steps before head_
        const uint32_t index = head_ >= back ? head_ - back : head_ + (def_.max_entries - back);
        memcpy(value, slot(index), def_.value_size);
        if (remove) {
            if (Lifo) head_ = index;
            atomic::store(&count_, count_ - 1);
        }
        return {};
    }

    Lock lock_;
    uint32_t head_ = 0;   ///< slot of the next push
    uint32_t count_ = 0;  ///< values now: the slots just before head_, wrapping
    uint8_t* values_ = nullptr;
};

}  // namespace skep::maps
