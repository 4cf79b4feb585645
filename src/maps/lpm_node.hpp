// SPDX-License-Identifier: Apache-2.0
// One prefix of an lpm_trie with its value; also the inner nodes of the binary trie. Shared by the trie (lpm_trie.cpp)
// and the index over IPv4 addresses (lpm_index4.cpp).
#pragma once

#include <string.h>

#include <new>

#include "base/atomic.hpp"
#include "base/lane.hpp"
#include "base/os.hpp"
#include "maps/map.hpp"

namespace skep::maps {

/// Prefix and value are constant once the node can be reached; children, `intermediate` and `under` change under the
/// trie's lock and are read without it. Freed through the epoch.
struct LpmNode : Retired {
    uint32_t prefix_bits = 0;
    uint32_t intermediate = 0;  ///< 1: no prefix of a user, only a fork with two children
    LpmNode* child[2] = {nullptr, nullptr};
    uint8_t* under = nullptr;  ///< where the index holds this node alone in a slot: the value if it does not match
    uint64_t home = 0;         ///< the index' level where that was, once it was; the writer's alone
    uint64_t bytes = 0;        ///< of the whole node
    uint64_t data_offset = 0;  ///< of the prefix' bytes, which follow the value

    uint8_t* value() { return reinterpret_cast<uint8_t*>(this) + sizeof(LpmNode); }
    /// The node of a value. Requires: the value of a node.
    static LpmNode* of(uint8_t* value) { return reinterpret_cast<LpmNode*>(value - sizeof(LpmNode)); }
    const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(this) + data_offset; }
    bool is_intermediate() const { return atomic::load(&intermediate) != 0; }
    LpmNode* next(uint32_t bit) const { return atomic::load_acquire(&child[bit]); }

    /// A node with the first `data_size` bytes of `data` and an undefined value of `value_size`; null when memory is
    /// out.
    static LpmNode* create(uint32_t prefix_bits, const void* data, uint32_t data_size, uint32_t value_size) {
        const uint64_t data_offset = sizeof(LpmNode) + round_up_8(value_size);
        const uint64_t bytes = data_offset + round_up_8(data_size);
        void* memory = skep_os_alloc(static_cast<size_t>(bytes), alignof(LpmNode));
        if (memory == nullptr) return nullptr;
        auto* node = new (memory) LpmNode();
        node->prefix_bits = prefix_bits;
        node->bytes = bytes;
        node->data_offset = data_offset;
        memcpy(reinterpret_cast<uint8_t*>(node) + data_offset, data, data_size);
        return node;
    }
    /// Requires: nobody else can reach it.
    static void free_now(Retired* retired) {
        auto* node = static_cast<LpmNode*>(retired);
        skep_os_free(node, static_cast<size_t>(node->bytes));
    }
};
static_assert(sizeof(LpmNode) % 8 == 0, "values are aligned to 8");

}  // namespace skep::maps
