// SPDX-License-Identifier: Apache-2.0
#include "maps/prog_array.hpp"

namespace skep::maps {

bool ProgArray::claim(uint64_t compatible) {
    uint64_t free = 0;
    if (atomic::compare_exchange(&claimed_, &free, uint64_t{2})) {
        atomic::store(&compatible_, compatible);
        atomic::store_release(&claimed_, uint64_t{1});
        return true;
    }
    while (atomic::load_acquire(&claimed_) != 1) skep_os_yield();
    return atomic::load(&compatible_) == compatible;
}

Status ProgArray::set(const void* key, ProgramObject* program, uint64_t flags) {
    if (!user_may_write()) return Errc::NotPermitted;
    if (Status status = slots_.check_set(key, flags); !status.ok()) return status;
    if (!claim(program->compatible)) return Errc::InvalidArgument;
    slots_.set(key, program);
    return {};
}

Status ProgArray::remove(const void* key, uint32_t) { return slots_.remove(key); }
Status ProgArray::next_key(const void* key, void* next, uint32_t) { return next_array_key(def_, key, next); }

Status ProgArray::read(const void* key, void* user_value, uint32_t) {
    if (!user_may_read()) return Errc::NotPermitted;
    const ProgramObject* program = slots_.at(array_index(key));
    if (program == nullptr) return Errc::NotFound;
    memcpy(user_value, &program->id, sizeof program->id);
    return {};
}

Status ProgArray::write(const void*, const void*, uint64_t, uint32_t) {
    return user_may_write() ? Errc::InvalidArgument : Errc::NotPermitted;
}

void ProgArray::destroy() {
    slots_.free();
    free_map(this);
}

Status ProgArray::make(const MapDef& def, const MapEnv& env, Map** out) {
    if (Status status = check_object_array_def(def); !status.ok()) return status;
    auto* map = new_map<ProgArray>(def, env);
    if (map == nullptr) return Errc::NoMemory;
    if (Status status = map->slots_.allocate(def); !status.ok()) {
        map->destroy();
        return status;
    }
    *out = map;
    return {};
}

Status make_prog_array(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    return ProgArray::make(def, env, out);
}

}  // namespace skep::maps
