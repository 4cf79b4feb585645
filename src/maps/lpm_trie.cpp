// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_LPM_TRIE (kernel/bpf/lpm_trie.c): a key is a u32 number of bits (in the host's byte order) and 1 to 256
// bytes of data, most significant bit first; a lookup finds the longest prefix that contains the key.
//
// A binary trie with a node per prefix and a node per fork, as in the kernel; a node holds the whole prefix up to its
// own end, so no path is longer than the number of prefixes. Readers walk it without a lock. Over whole IPv4 addresses
// an index answers instead (lpm_index4.hpp).
#include "base/lock.hpp"
#include "maps/kernel_limits.hpp"
#include "maps/lpm_index4.hpp"
#include "maps/lpm_node.hpp"
#include "maps/makers.hpp"

namespace skep::maps {
namespace {

constexpr uint32_t smallest_key = 4 + 1, largest_key = 4 + 256;
// LPM_VAL_SIZE_MAX: what is left of a block after the largest key and struct lpm_trie_node.
constexpr uint32_t largest_value = kmalloc_max_bytes - largest_key - 24;

uint32_t key_bits(const void* key) {
    uint32_t bits;
    memcpy(&bits, key, sizeof bits);
    return bits;
}

const uint8_t* key_data(const void* key) { return static_cast<const uint8_t*>(key) + 4; }

uint32_t bit_at(const uint8_t* data, uint32_t index) { return data[index / 8] >> (7 - index % 8) & 1; }

/// How many of the first `limit` bits are equal.
uint32_t common_bits(const uint8_t* a, const uint8_t* b, uint32_t limit) {
    uint32_t done = 0;
    while (done + 64 <= limit) {
        uint64_t x, y;
        memcpy(&x, a + done / 8, 8);
        memcpy(&y, b + done / 8, 8);
        if (x != y) return done + static_cast<uint32_t>(__builtin_clzll(__builtin_bswap64(x ^ y)));
        done += 64;
    }
    while (done < limit) {
        const uint32_t difference = static_cast<uint32_t>(a[done / 8] ^ b[done / 8]);
        if (difference != 0) {
            const uint32_t equal = done + static_cast<uint32_t>(__builtin_clz(difference)) - 24;
            return equal < limit ? equal : limit;
        }
        done += 8;
    }
    return limit;
}
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "common_bits() turns eight bytes into one number");

uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

class LpmTrie final : public Map {
  public:
    LpmTrie(const MapDef& def, const MapEnv& env)
        : Map(def, env), data_bytes_(def.key_size - 4), max_bits_(data_bytes_ * 8) {}

    Status allocate() { return data_bytes_ == 4 ? index_.allocate(env_.lanes, def_.max_entries) : Status(); }

    void* lookup(const void* key, uint32_t) override {
        const uint32_t bits = key_bits(key);
        if (const uint64_t* root = index_.root(); bits == 32 && root != nullptr) [[likely]] {
            uint32_t address;
            memcpy(&address, key_data(key), sizeof address);
            return index_.find(root, __builtin_bswap32(address));
        }
        LpmNode* node = bits <= max_bits_ ? find(key) : nullptr;
        return node != nullptr ? node->value() : nullptr;
    }

    Status update(const void* key, const void* value, uint64_t flags, uint32_t) override {
        if (flags > update_exist) return Status(Errc::InvalidArgument, flags);
        const uint32_t bits = key_bits(key);
        if (bits > max_bits_) return Status(Errc::InvalidArgument, bits, max_bits_);
        LpmNode* node = LpmNode::create(bits, key_data(key), data_bytes_, def_.value_size);
        if (node == nullptr) return Errc::NoMemory;
        memcpy(node->value(), value, def_.value_size);
        LockGuard guard(lock_);
        const Status status = insert(node, flags);
        if (!status.ok()) LpmNode::free_now(node);
        return status;
    }

    Status remove(const void* key, uint32_t) override {
        const uint32_t bits = key_bits(key);
        if (bits > max_bits_) return Status(Errc::InvalidArgument, bits, max_bits_);
        LockGuard guard(lock_);
        return erase(key_data(key), bits);
    }

    Status next_key(const void* key, void* next, uint32_t) override;

    uint64_t size() const override { return atomic::load(&count_); }

    void destroy() override {
        index_.free();
        // Nodes to free are linked through their Retired part.
        Retired* todo = root_;
        while (todo != nullptr) {
            auto* node = static_cast<LpmNode*>(todo);
            todo = todo->next;
            for (LpmNode* child : node->child) {
                if (child == nullptr) continue;
                child->Retired::next = todo;
                todo = child;
            }
            LpmNode::free_now(node);
        }
        free_map(this);
    }

  private:
    LpmNode* find(const void* key) const;
    Status insert(LpmNode* node, uint64_t flags);
    Status erase(const uint8_t* data, uint32_t bits);
    /// The first real node of a subtree in post-order.
    static const LpmNode* first_of(const LpmNode* node);

    const uint32_t data_bytes_;
    const uint32_t max_bits_;
    LpmNode* root_ = nullptr;  ///< read without the lock, as all children are
    LpmIndex4 index_;
    Lock lock_;
    uint64_t count_ = 0;  ///< prefixes of users
};

LpmNode* LpmTrie::find(const void* key) const {
    const uint32_t bits = key_bits(key);
    const uint8_t* data = key_data(key);
    LpmNode* found = nullptr;
    LpmNode* node = atomic::load_acquire(&root_);
    while (node != nullptr) {
        if (node->prefix_bits > bits || common_bits(node->data(), data, node->prefix_bits) < node->prefix_bits) break;
        if (!node->is_intermediate()) found = node;
        if (node->prefix_bits == bits) break;
        node = node->next(bit_at(data, node->prefix_bits));
    }
    return found;
}

/// trie_update_elem(). `node` belongs to the trie on success.
Status LpmTrie::insert(LpmNode* node, uint64_t flags) {
    const uint32_t bits = node->prefix_bits;
    LpmNode** slot = &root_;
    LpmNode* at;
    uint32_t common = 0;
    while ((at = *slot) != nullptr) {
        common = common_bits(at->data(), node->data(), smaller(at->prefix_bits, bits));
        if (common != at->prefix_bits || at->prefix_bits == bits) break;
        slot = &at->child[bit_at(node->data(), at->prefix_bits)];
    }

    const bool same_place = at != nullptr && common == at->prefix_bits;
    const bool replaces = same_place && !at->is_intermediate();
    if (replaces) {
        if (flags == update_noexist) return Errc::Exists;
    } else {
        if (flags == update_exist) return Errc::NotFound;
        if (count_ == def_.max_entries) return Status(Errc::NoSpace, count_, def_.max_entries);
    }
    LpmNode* fork = nullptr;
    if (at != nullptr && !same_place && common != bits) {
        fork = LpmNode::create(common, node->data(), data_bytes_, 0);
        if (fork == nullptr) return Errc::NoMemory;
        fork->intermediate = 1;
    }
    if (!index_.fits(node)) index_.stop();
    if (index_.usable()) {
        if (Status status = index_.insert(node, replaces ? at : nullptr); !status.ok()) {
            if (fork != nullptr) LpmNode::free_now(fork);
            return status;
        }
    }

    // Nothing fails from here on.
    if (same_place) {
        node->child[0] = at->child[0];
        node->child[1] = at->child[1];
        atomic::store_release(slot, node);
        env_.lanes->retire(at, LpmNode::free_now);
    } else if (at == nullptr) {
        atomic::store_release(slot, node);
    } else if (fork == nullptr) {
        node->child[bit_at(at->data(), bits)] = at;
        atomic::store_release(slot, node);
    } else {
        const uint32_t side = bit_at(node->data(), common);
        fork->child[side] = node;
        fork->child[side ^ 1] = at;
        atomic::store_release(slot, fork);
    }
    if (!replaces) atomic::store(&count_, count_ + 1);
    return {};
}

/// trie_delete_elem()
Status LpmTrie::erase(const uint8_t* data, uint32_t bits) {
    LpmNode** slot = &root_;
    LpmNode** parent_slot = nullptr;
    LpmNode* parent = nullptr;
    LpmNode* shorter = nullptr;  // the longest prefix of a user on the way
    LpmNode* at;
    while ((at = *slot) != nullptr) {
        const uint32_t limit = smaller(at->prefix_bits, bits);
        if (common_bits(at->data(), data, limit) != at->prefix_bits || at->prefix_bits == bits) break;
        if (!at->is_intermediate()) shorter = at;
        parent = at;
        parent_slot = slot;
        slot = &at->child[bit_at(data, at->prefix_bits)];
    }
    if (at == nullptr || at->prefix_bits != bits || at->is_intermediate() ||
        common_bits(at->data(), data, bits) != bits)
        return Errc::NotFound;

    if (index_.usable()) index_.erase(at, shorter);
    atomic::store(&count_, count_ - 1);
    if (at->child[0] != nullptr && at->child[1] != nullptr) {
        atomic::store_release(&at->intermediate, 1u);  // still a fork
        return {};
    }
    LpmNode* rest = at->child[0] != nullptr ? at->child[0] : at->child[1];
    if (rest == nullptr && parent != nullptr && parent->is_intermediate()) {
        // A fork with one branch left is none.
        LpmNode* other = parent->child[slot == &parent->child[0] ? 1 : 0];
        atomic::store_release(parent_slot, other);
        env_.lanes->retire(parent, LpmNode::free_now);
    } else {
        atomic::store_release(slot, rest);
    }
    env_.lanes->retire(at, LpmNode::free_now);
    return {};
}

const LpmNode* LpmTrie::first_of(const LpmNode* node) {
    const LpmNode* first = nullptr;
    while (node != nullptr) {
        if (!node->is_intermediate()) first = node;
        const LpmNode* left = node->next(0);
        node = left != nullptr ? left : node->next(1);
    }
    return first;
}

/// trie_get_next_key(): post-order, so that a prefix comes after all longer ones inside it. A key that is not there
/// starts from the first.
Status LpmTrie::next_key(const void* key, void* next, uint32_t) {
    const LpmNode* root = atomic::load_acquire(&root_);
    const LpmNode* found = nullptr;
    if (key != nullptr && key_bits(key) <= max_bits_) {
        const uint32_t bits = key_bits(key);
        const uint8_t* data = key_data(key);
        // What follows in post-order: the nearest ancestor decides. Coming from its left side, the first of its right
        // side; otherwise itself.
        const LpmNode* after = nullptr;
        bool after_is_subtree = false;
        const LpmNode* at = root;
        while (at != nullptr && at->prefix_bits < bits &&
               common_bits(at->data(), data, at->prefix_bits) == at->prefix_bits) {
            const uint32_t side = bit_at(data, at->prefix_bits);
            const LpmNode* right = at->next(1);
            if (side == 0 && right != nullptr) {
                after = right;
                after_is_subtree = true;
            } else if (!at->is_intermediate()) {
                after = at;
                after_is_subtree = false;
            }
            at = at->next(side);
        }
        const bool present = at != nullptr && at->prefix_bits == bits && !at->is_intermediate() &&
                             common_bits(at->data(), data, bits) == bits;
        if (present) {
            if (after == nullptr) return Errc::NotFound;
            found = after_is_subtree ? first_of(after) : after;
        }
    }
    if (found == nullptr) found = first_of(root);
    if (found == nullptr) return Errc::NotFound;
    memcpy(next, &found->prefix_bits, 4);
    memcpy(static_cast<uint8_t*>(next) + 4, found->data(), data_bytes_);
    return {};
}

}  // namespace

Status make_lpm_trie(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    // trie_alloc()
    constexpr uint32_t allowed = flag_no_prealloc | flag_numa_node | access_flags;
    if (def.max_entries == 0 || (def.flags & flag_no_prealloc) == 0 || (def.flags & ~allowed) != 0 ||
        !access_flags_ok(def.flags) || def.key_size < smallest_key || def.key_size > largest_key ||
        def.value_size == 0 || def.value_size > largest_value)
        return Errc::InvalidArgument;
    auto* map = new_map<LpmTrie>(def, env);
    if (map == nullptr) return Errc::NoMemory;
    if (Status status = map->allocate(); !status.ok()) {
        map->destroy();
        return status;
    }
    *out = map;
    return {};
}

}  // namespace skep::maps
