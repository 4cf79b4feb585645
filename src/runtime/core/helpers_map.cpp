// SPDX-License-Identifier: Apache-2.0
// Map helpers: r1 is the maps::Map itself.
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

maps::Map* map_of(uint64_t reg) { return pointer<maps::Map>(reg); }

}  // namespace

SKEP_HELPER(map_lookup_elem) {
    return reinterpret_cast<uintptr_t>(map_of(r1)->lookup(pointer<const void>(r2), context->lane));
}

SKEP_HELPER(map_update_elem) {
    return result(map_of(r1)->update(pointer<const void>(r2), pointer<const void>(r3), r4, context->lane));
}

SKEP_HELPER(map_delete_elem) { return result(map_of(r1)->remove(pointer<const void>(r2), context->lane)); }

SKEP_HELPER(map_push_elem) { return result(map_of(r1)->push(pointer<const void>(r2), r3, context->lane)); }

SKEP_HELPER(map_pop_elem) { return result(map_of(r1)->pop(pointer<void>(r2), context->lane)); }

SKEP_HELPER(map_peek_elem) { return result(map_of(r1)->peek(pointer<void>(r2), context->lane)); }

SKEP_HELPER(map_lookup_percpu_elem) {
    void* value = map_of(r1)->lookup_percpu(pointer<const void>(r2), static_cast<uint32_t>(r3), context->lane);
    return reinterpret_cast<uintptr_t>(value);
}

}  // namespace skep::runtime::helpers
