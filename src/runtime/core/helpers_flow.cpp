// SPDX-License-Identifier: Apache-2.0
// Helpers that run program code: bpf_tail_call (interpreter's JMP_TAIL_CALL), bpf_loop, bpf_for_each_map_elem
// (kernel/bpf/bpf_iter.c, arraymap.c, hashtab.c). Each callback runs on a fresh frame through the engine's call_back; a
// fault inside it ends the loop.
#include <string.h>

#include "maps/prog_array.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

constexpr uint32_t most_loops = 1u << 23;    // BPF_MAX_LOOPS
constexpr uint32_t largest_key_bytes = 512;  // MAX_BPF_STACK

using platform::MapType;

uint64_t call_element(skep_runtime_context* context, uint64_t callee, maps::Map& map, const void* key, void* value,
                      uint64_t argument) {
    return context->call_back(context, callee, reinterpret_cast<uintptr_t>(&map), reinterpret_cast<uintptr_t>(key),
                              reinterpret_cast<uintptr_t>(value), argument, 0);
}

/// bpf_for_each_array_elem: every index, whether it was ever set or not.
uint64_t for_each_index(skep_runtime_context* context, maps::Map& map, uint64_t callee, uint64_t argument) {
    uint64_t visited = 0;
    for (uint32_t i = 0; i < map.def().max_entries; ++i) {
        uint32_t key = i;  // the callback may not write it, but an unverified one could
        void* value = map.lookup(&key, context->lane);
        ++visited;
        if (call_element(context, callee, map, &key, value, argument) != 0 || context->fault != 0) break;
    }
    return visited;
}

/// bpf_for_each_hash_elem. The callback may delete the element it is at, so the next key is taken before it runs; it is
/// called at most once per element that stays, and never more often than the map has room.
uint64_t for_each_key(skep_runtime_context* context, maps::Map& map, uint64_t callee, uint64_t argument) {
    const uint32_t bytes = map.def().key_size;
    if (bytes > largest_key_bytes) return result(Errc::InvalidArgument);
    alignas(8) uint8_t keys[2][largest_key_bytes];
    uint8_t* key = keys[0];
    uint8_t* next = keys[1];
    uint64_t visited = 0;
    bool more = map.next_key(nullptr, key, context->lane).ok();
    while (more && visited < map.def().max_entries) {
        more = map.next_key(key, next, context->lane).ok();
        if (void* value = map.lookup(key, context->lane); value != nullptr) {
            ++visited;
            if (call_element(context, callee, map, key, value, argument) != 0 || context->fault != 0) break;
        }
        uint8_t* const was = key;
        key = next;
        next = was;
    }
    return visited;
}

}  // namespace

/// Contract with the engines: 0 when the call fails (the program goes on), else the address of the skep_entry to enter
/// after leaving the running frame. Only calls that succeed count, as in the kernel's JIT.
SKEP_HELPER(tail_call) {
    const maps::ProgArray* array = maps::ProgArray::of(pointer<maps::Map>(r2));
    if (array == nullptr || context->tail_calls >= SKEP_TAIL_CALL_LIMIT) return 0;
    const maps::ProgramObject* program = array->at(static_cast<uint32_t>(r3));
    if (program == nullptr) return 0;
    ++context->tail_calls;
    return reinterpret_cast<uintptr_t>(&program->entry);
}

SKEP_HELPER(loop) {
    const uint32_t count = static_cast<uint32_t>(r1);
    if (r4 != 0) return result(Errc::InvalidArgument);
    if (count > most_loops) return result(Errc::TooBig);
    for (uint32_t i = 0; i < count; ++i) {
        if (context->call_back(context, r2, i, r3, 0, 0, 0) != 0) return i + 1;
        if (context->fault != 0) return i + 1;
    }
    return count;
}

SKEP_HELPER(for_each_map_elem) {
    if (r4 != 0) return result(Errc::InvalidArgument);
    maps::Map& map = *pointer<maps::Map>(r1);
    const MapType type = map.def().type;
    if (type == MapType::Array || type == MapType::PercpuArray) return for_each_index(context, map, r2, r3);
    if (type == MapType::Hash || type == MapType::PercpuHash || type == MapType::LruHash ||
        type == MapType::LruPercpuHash)
        return for_each_key(context, map, r2, r3);
    return result(Errc::InternalNotSupported);
}

}  // namespace skep::runtime::helpers
