// SPDX-License-Identifier: Apache-2.0
// BPF_MAP_TYPE_RINGBUF (kernel/bpf/ringbuf.c) in the kernel's memory layout, so that libbpf's reader can map it:
//
//     offset 0            consumer page: u64 consumer_pos     written by the reader
//     offset page         producer page: u64 producer_pos     written by us
//     offset data_offset  data, mapped twice in a row, so that a record never wraps
//
//     record: u32 length | busy (bit 31) | discard (bit 30); u32 page offset; bytes; padding to 8
//
// Shared memory belongs to the client as well, so nothing read from it is trusted: positions are masked, our own
// producer position and the pointers of running programs live in private memory.
#pragma once

#include "maps/doorbell.hpp"
#include "maps/makers.hpp"

namespace skep::maps {

enum RingbufFlags : uint64_t { rb_no_wakeup = 1, rb_force_wakeup = 2 };
enum RingbufQuery : uint64_t { rb_avail_data = 0, rb_ring_size = 1, rb_cons_pos = 2, rb_prod_pos = 3 };

class Ringbuf final : public Map {
  public:
    Ringbuf(const MapDef& def, const MapEnv& env) : Map(def, env) {}

    /// `map` as what it is, or null if it is of another type.
    static Ringbuf* of(Map* map) {
        return map != nullptr && map->def().type == platform::MapType::Ringbuf ? static_cast<Ringbuf*>(map) : nullptr;
    }

    // The program's side. Any number of producers; none waits for another one for long (see publish()). Programs
    // reserve through RingReservations below.

    /// bpf_ringbuf_reserve(): `size` bytes, aligned to 8; null when there is no room, or flags are not 0. The reader
    /// stops before the record until it is submitted or discarded.
    void* reserve(uint64_t size, uint64_t flags);
    /// bpf_ringbuf_submit(), bpf_ringbuf_discard(). Requires: `sample` is from reserve() of this map, once.
    void submit(void* sample, uint64_t flags);
    void discard(void* sample, uint64_t flags);
    /// bpf_ringbuf_output(): InvalidArgument (unknown flags), TryAgain (no room).
    Status output(const void* data, uint64_t size, uint64_t flags);
    /// bpf_ringbuf_query(): RingbufQuery; 0 for anything else.
    uint64_t query(uint64_t what) const;

    // The reader's side. One reader at a time.

    /// Called with each record; a value other than 0 ends the reading after this record.
    using RecordFn = int (*)(void* context, const void* data, uint32_t size);
    /// Hands out finished records in order, at most `most`, and frees their room. `*records` (may be null) gets how
    /// many there were, discarded ones not counted. BadMessage if somebody damaged a header in shared memory.
    Status consume(RecordFn each, void* context, uint64_t most, uint64_t* records);
    /// Waits until consume() has something (a finished record; a discarded one too). False when the time was over.
    bool wait(uint64_t timeout_ns);
    /// Who is told of new records beside threads in wait(); see Listener.
    void listen(Listener* listener) { doorbell_.listen(listener); }

    /// Of the memory behind shared_memory().
    uint64_t consumer_offset() const { return 0; }
    uint64_t producer_offset() const { return page_; }
    uint64_t data_offset() const { return head_bytes_; }

    Status update(const void* key, const void* value, uint64_t flags, uint32_t lane) override;
    Status remove(const void* key, uint32_t lane) override;
    Status next_key(const void* key, void* next, uint32_t lane) override;
    Status read(const void* key, void* user_value, uint32_t lane) override;
    int64_t shared_memory(uint64_t* bytes) const override;
    void destroy() override;

    static Status make(const MapDef& def, const MapEnv& env, Map** out);

  private:
    friend class RingReservations;  // whose steps are one call each

    static constexpr uint32_t busy_bit = 1u << 31, discard_bit = 1u << 30;
    static constexpr uint64_t header_bytes = 8;
    static constexpr uint64_t largest_record = UINT32_MAX / 4;  // RINGBUF_MAX_RECORD_SZ

    Status allocate();
    void* take_room(uint64_t size);
    void commit(void* sample, uint32_t discard, uint64_t flags);
    void publish(uint64_t start, uint64_t end);
    bool take_turn(uint64_t start);
    bool record_waits(uint64_t position) const;

    uint32_t* length_at(uint64_t position) const {
        return reinterpret_cast<uint32_t*>(data_ + (position & mask_ & ~uint64_t{7}));
    }
    uint8_t* ready_at(uint64_t position) const { return ready_ + (position & mask_) / 8; }
    size_t ring_bytes() const { return static_cast<size_t>(mask_ + 1); }

    // Set by allocate().
    uint8_t* base_ = nullptr;  ///< of the mapping
    uint8_t* data_ = nullptr;
    uint64_t* consumer_pos_ = nullptr;
    uint64_t* producer_pos_ = nullptr;  ///< what the reader sees: a copy of published_
    uint64_t mask_ = 0;                 ///< bytes of the data area - 1
    size_t page_ = 0;
    size_t head_bytes_ = 0;
    int64_t handle_ = -1;
    bool fenced_ = false;       ///< no heavy barrier here: publish() fences
    uint8_t* ready_ = nullptr;  ///< one byte per 8 bytes of data; see take_turn()
    Doorbell doorbell_;

    alignas(64) uint64_t reserved_ = 0;  ///< end of the youngest reservation
    uint64_t published_ = 0;             ///< end of what the reader may look at; <= reserved_
};

/// The reservations that one run holds: sample addresses come back from the program as bare numbers, and the record
/// header that could name the ring lies in shared memory. Also what a run that ends by a fault leaves behind is given
/// back from here. One per run; one thread at a time.
class RingReservations {
  public:
    /// bpf_ringbuf_reserve(); null also when the run holds `most` reservations already.
    void* reserve(Map& map, uint64_t size, uint64_t flags);
    /// bpf_ringbuf_submit(), bpf_ringbuf_discard(). False if the run holds no such sample (only an unverified program
    /// can cause that); nothing happens then.
    bool submit(void* sample, uint64_t flags);
    bool discard(void* sample, uint64_t flags);
    /// Discards what is left.
    void discard_all();
    uint32_t count() const { return count_; }

    static constexpr uint32_t most = 64;

  private:
    Ringbuf* take(void* sample);

    struct Held {
        Ringbuf* ring;
        void* sample;
    };
    uint32_t count_ = 0;
    Held held_[most];
};

}  // namespace skep::maps
