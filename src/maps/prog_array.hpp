// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_PROG_ARRAY: the programs that tail calls jump to. Maps know nothing of programs but what stands here.
#pragma once

#include "maps/object_array.hpp"
#include "skep/runtime_context.h"

namespace skep::maps {

/// A program as maps see it; embedded in the runtime's own object. Constant once the program is in a map.
struct ProgramObject {
    skep_entry entry{};       ///< what a tail call jumps to
    uint32_t id = 0;          ///< what users read from the slot
    uint64_t compatible = 0;  ///< programs with equal words may call each other (type, personality, engine)
    void (*on_retain)(ProgramObject* self) = nullptr;
    /// Drops a reference. The object must stay until the epoch after its last one: a tail call holds none.
    void (*on_release)(ProgramObject* self) = nullptr;

    void retain() { on_retain(this); }
    void release() { on_release(this); }
};

class ProgArray final : public Map {
  public:
    ProgArray(const MapDef& def, const MapEnv& env) : Map(def, env) {}

    /// `map` as what it is, or null if it is of another type.
    static ProgArray* of(Map* map) {
        return map != nullptr && map->def().type == platform::MapType::ProgArray ? static_cast<ProgArray*>(map)
                                                                                 : nullptr;
    }

    /// The tail call's side: the program at `index`, null if there is none. It stays while the caller holds its lane.
    const ProgramObject* at(uint32_t index) const { return slots_.at(index); }

    /// bpf_prog_map_compatible(): the first program that uses the map or is put into it decides which ones may; false
    /// for a program of another kind. Every program that names the map claims it when it is loaded.
    bool claim(uint64_t compatible);

    /// The user's update: takes a reference of its own. InvalidArgument (flags other than 0; a program of another
    /// kind), TooBig (index), NotPermitted (BPF_F_RDONLY).
    Status set(const void* key, ProgramObject* program, uint64_t flags);
    /// Empties every slot: when the last user's reference goes, or programs and array would hold each other for ever
    /// (the kernel's map_release_uref).
    void clear() { slots_.clear(); }

    Status remove(const void* key, uint32_t lane) override;
    Status next_key(const void* key, void* next, uint32_t lane) override;
    /// The program's id.
    Status read(const void* key, void* user_value, uint32_t lane) override;
    /// Always InvalidArgument: a program is set by set(), not by its number.
    Status write(const void* key, const void* user_value, uint64_t flags, uint32_t lane) override;
    uint64_t size() const override { return slots_.size(); }
    void destroy() override;

    static Status make(const MapDef& def, const MapEnv& env, Map** out);

  private:
    ObjectSlots<ProgramObject> slots_;
    uint64_t claimed_ = 0;  ///< 1 once compatible_ is set, 2 while it is being set
    uint64_t compatible_ = 0;
};

}  // namespace skep::maps
