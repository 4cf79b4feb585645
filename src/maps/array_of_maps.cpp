// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_ARRAY_OF_MAPS: slots that hold maps like the template given at creation.
#include "maps/inner_map.hpp"
#include "maps/map_in_map.hpp"
#include "maps/object_array.hpp"

namespace skep::maps {
namespace {

class ArrayOfMaps final : public Map {
  public:
    ArrayOfMaps(const MapDef& def, const MapEnv& env, const MapDef& model) : Map(def, env), model_(model) {}

    Status allocate() { return slots_.allocate(def_); }

    Status set(const void* key, Map* inner, uint64_t flags) {
        if (!user_may_write()) return Errc::NotPermitted;
        if (Status status = slots_.check_set(key, flags); !status.ok()) return status;
        if (!inner_matches(model_, inner->def())) return Errc::InvalidArgument;
        slots_.set(key, inner);
        return {};
    }

    void* lookup(const void* key, uint32_t) override { return slots_.at(array_index(key)); }
    Status remove(const void* key, uint32_t) override { return slots_.remove(key); }
    Status next_key(const void* key, void* next, uint32_t) override { return next_array_key(def_, key, next); }

    Status read(const void* key, void* user_value, uint32_t) override {
        if (!user_may_read()) return Errc::NotPermitted;
        const Map* inner = slots_.at(array_index(key));
        if (inner == nullptr) return Errc::NotFound;
        const uint32_t id = inner->id();
        memcpy(user_value, &id, sizeof id);
        return {};
    }
    Status write(const void*, const void*, uint64_t, uint32_t) override {
        return user_may_write() ? Errc::InvalidArgument : Errc::NotPermitted;  // by write_inner() only
    }
    uint64_t size() const override { return slots_.size(); }

    void destroy() override {
        slots_.free();
        free_map(this);
    }

  private:
    const MapDef model_;
    ObjectSlots<Map> slots_;
};

}  // namespace

Status write_inner_array(Map& outer, const void* key, Map* inner, uint64_t flags, uint32_t) {
    return static_cast<ArrayOfMaps&>(outer).set(key, inner, flags);
}

Status make_array_of_maps(const MapDef& def, const MapEnv& env, const Map* inner, Map** out) {
    if (Status status = check_object_array_def(def); !status.ok()) return status;
    if (Status status = check_inner_template(inner); !status.ok()) return status;
    auto* map = new_map<ArrayOfMaps>(def, env, inner->def());
    if (map == nullptr) return Errc::NoMemory;
    if (Status status = map->allocate(); !status.ok()) {
        map->destroy();
        return status;
    }
    *out = map;
    return {};
}

}  // namespace skep::maps
