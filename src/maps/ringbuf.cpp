// SPDX-License-Identifier: Apache-2.0
#include "maps/ringbuf.hpp"

#include "maps/kernel_limits.hpp"

namespace skep::maps {

// Creation.

Status Ringbuf::make(const MapDef& def, const MapEnv& env, Map** out) {
    // ringbuf_map_alloc()
    if ((def.flags & ~uint32_t{flag_numa_node}) != 0 || def.key_size != 0 || def.value_size != 0 ||
        def.max_entries == 0 || (def.max_entries & (def.max_entries - 1)) != 0 ||
        def.max_entries % kernel_page_bytes != 0)
        return Errc::InvalidArgument;
    auto* map = new_map<Ringbuf>(def, env);
    if (map == nullptr) return Errc::NoMemory;
    if (Status status = map->allocate(); !status.ok()) {
        map->destroy();
        return status;
    }
    *out = map;
    return {};
}

Status Ringbuf::allocate() {
    // Where memory is mapped in larger steps than the ring's size, the data area is larger than the ring: positions
    // then wrap later, but never more than max_entries bytes are in use, so programs see no difference.
    const size_t step = skep_os_shm_granularity();
    const size_t ring = def_.max_entries < step ? step : def_.max_entries;
    page_ = skep_os_page_size();
    head_bytes_ = (2 * page_ + step - 1) / step * step;
    mask_ = ring - 1;
    fenced_ = skep_os_heavy_barrier() == 0;
    ready_ = static_cast<uint8_t*>(skep_os_alloc(ring / 8, 64));
    if (ready_ == nullptr) return Errc::NoMemory;
    handle_ = skep_os_shm_create("skep-ringbuf", head_bytes_ + ring);
    if (handle_ < 0) return Errc::NoMemory;
    base_ = static_cast<uint8_t*>(skep_os_shm_map_ring(handle_, head_bytes_, ring));
    if (base_ == nullptr) return Errc::NoMemory;
    data_ = base_ + head_bytes_;
    consumer_pos_ = reinterpret_cast<uint64_t*>(base_);
    producer_pos_ = reinterpret_cast<uint64_t*>(base_ + page_);
    return {};
}

void Ringbuf::destroy() {
    skep_os_shm_unmap_ring(base_, head_bytes_, ring_bytes());
    skep_os_shm_close(handle_);
    skep_os_free(ready_, ring_bytes() / 8);
    free_map(this);
}

int64_t Ringbuf::shared_memory(uint64_t* bytes) const {
    *bytes = head_bytes_ + ring_bytes();
    return handle_;
}

// Producers.

namespace {

/// Most records are some words: a call of memcpy would cost as much as all the rest.
inline void copy_record(void* to, const void* from, size_t bytes) {
    if (bytes % 8 != 0 || bytes > 64) {
        memcpy(to, from, bytes);
        return;
    }
    for (size_t at = 0; at < bytes; at += 8)
        memcpy(static_cast<uint8_t*>(to) + at, static_cast<const uint8_t*>(from) + at, 8);
}

}  // namespace

// The reader may look at a header only after it was marked busy, so producer_pos must move in the order of the
// reservations, each time by somebody who knows that the headers before it stand. The kernel has a spinlock around
// both steps. Here the one whose record begins at published_ publishes it, without any atomic read-modify-write, and
// then whatever became ready behind it.
//
// A producer that was preempted between its two steps must not stop the others: one that has waited a moment for its
// turn leaves a mark in ready_ and goes on with its record, which the late one then publishes. For that the late one
// (stores published_, then looks for a mark) and the waiting one (stores the mark, then looks at published_) must not
// miss each other; the waiting one pays by skep_os_heavy_barrier(). The mark is taken back by an exchange, so exactly
// one of the two publishes.
inline void Ringbuf::publish(uint64_t start, uint64_t end) {
    if (atomic::load_acquire(&published_) != start && !take_turn(start)) return;
    for (;;) {
        atomic::store_release(producer_pos_, end);
        atomic::store_release(&published_, end);
        if (fenced_)
            atomic::full_fence();
        else
            atomic::compiler_fence();
        if (atomic::load(&reserved_) == end) [[likely]]
            return;
        if (atomic::load(ready_at(end)) == 0 || atomic::exchange(ready_at(end), uint8_t{0}) == 0) return;
        // The length lies in shared memory: if the client changed it, only its own ring stands still.
        const uint64_t size = atomic::load(length_at(end)) & ~(busy_bit | discard_bit);
        end += round_up_8(size + header_bytes);
    }
}

/// Whether it is for the caller to publish the record at `start`; if not, somebody else will.
bool Ringbuf::take_turn(uint64_t start) {
    for (int spin = 0; spin < 64; ++spin) {
        atomic::relax();
        if (atomic::load_acquire(&published_) == start) return true;
    }
    atomic::exchange(ready_at(start), uint8_t{1});
    if (skep_os_heavy_barrier() == 0) atomic::full_fence();
    return atomic::load_acquire(&published_) == start && atomic::exchange(ready_at(start), uint8_t{0}) == 1;
}

inline void* Ringbuf::take_room(uint64_t size) {
    if (size > largest_record) return nullptr;
    const uint64_t bytes = round_up_8(size + header_bytes);
    if (bytes > def_.max_entries) return nullptr;

    uint64_t start = atomic::load(&reserved_);
    do {
        // As in the kernel, a full ring keeps at least one byte (hence 8) free. A reader that lies about its position
        // makes the difference huge or its own records overwritten, and nothing else.
        const uint64_t used = start + bytes - atomic::load_acquire(consumer_pos_);
        if (used > uint64_t{def_.max_entries} - 1) return nullptr;
    } while (!atomic::compare_exchange(&reserved_, &start, start + bytes));

    uint32_t* header = length_at(start);
    atomic::store(header + 1, static_cast<uint32_t>((reinterpret_cast<uint8_t*>(header) - base_) / kernel_page_bytes));
    atomic::store(header, static_cast<uint32_t>(size) | busy_bit);
    publish(start, start + bytes);
    return reinterpret_cast<uint8_t*>(header) + header_bytes;
}

inline void Ringbuf::commit(void* sample, uint32_t discard, uint64_t flags) {
    auto* header = reinterpret_cast<uint32_t*>(static_cast<uint8_t*>(sample) - header_bytes);
    const uint32_t length = (atomic::load(header) & ~busy_bit) | discard;
    atomic::store_release(header, length);
    if (doorbell_.strict())
        atomic::full_fence();
    else
        atomic::compiler_fence();

    // A reader that is behind this record comes to it without being woken (ringbuf.c, bpf_ringbuf_commit).
    const uint64_t at = static_cast<uint64_t>(reinterpret_cast<uint8_t*>(header) - data_);
    const bool waited_for = (atomic::load(consumer_pos_) & mask_) == at;
    if ((flags & rb_force_wakeup) != 0 || (waited_for && (flags & rb_no_wakeup) == 0)) doorbell_.ring();
}

void* Ringbuf::reserve(uint64_t size, uint64_t flags) { return flags == 0 ? take_room(size) : nullptr; }
void Ringbuf::submit(void* sample, uint64_t flags) { commit(sample, 0, flags); }
void Ringbuf::discard(void* sample, uint64_t flags) { commit(sample, discard_bit, flags); }

Status Ringbuf::output(const void* data, uint64_t size, uint64_t flags) {
    if ((flags & ~uint64_t{rb_no_wakeup | rb_force_wakeup}) != 0) return Status(Errc::InvalidArgument, flags);
    void* sample = take_room(size);
    if (sample == nullptr) return Status(Errc::TryAgain, size);
    copy_record(sample, data, static_cast<size_t>(size));
    commit(sample, 0, flags);
    return {};
}

uint64_t Ringbuf::query(uint64_t what) const {
    switch (what) {
        case rb_avail_data: return atomic::load(&published_) - atomic::load(consumer_pos_);
        case rb_ring_size: return def_.max_entries;
        case rb_cons_pos: return atomic::load(consumer_pos_);
        case rb_prod_pos: return atomic::load(&published_);
        default: return 0;  // any number may come from a program
    }
}

// The reader.

Status Ringbuf::consume(RecordFn each, void* context, uint64_t most, uint64_t* records) {
    uint64_t handed_out = 0;
    Status status;
    uint64_t position = atomic::load(consumer_pos_);
    while (handed_out < most) {
        const uint64_t end = atomic::load_acquire(producer_pos_);
        if (position >= end) break;
        uint32_t* header = length_at(position);
        const uint32_t length = atomic::load_acquire(header);
        if ((length & busy_bit) != 0) break;
        const uint64_t bytes = round_up_8((length & ~discard_bit) + header_bytes);
        if (bytes > end - position || bytes > ring_bytes()) {
            status = Status(Errc::BadMessage, position, length);
            break;
        }
        int stop = 0;
        if ((length & discard_bit) == 0) {
            stop = each(context, reinterpret_cast<uint8_t*>(header) + header_bytes, length);
            ++handed_out;
        }
        position += bytes;
        atomic::store_release(consumer_pos_, position);
        if (stop != 0) break;
    }
    if (records != nullptr) *records = handed_out;
    return status;
}

bool Ringbuf::record_waits(uint64_t position) const {
    return position < atomic::load_acquire(producer_pos_) &&
           (atomic::load_acquire(length_at(position)) & busy_bit) == 0;
}

bool Ringbuf::wait(uint64_t timeout_ns) {
    return doorbell_.wait(timeout_ns, [this] { return record_waits(atomic::load(consumer_pos_)); });
}

// bpf(2) on elements: -ENOTSUPP, all of it.
Status Ringbuf::update(const void*, const void*, uint64_t, uint32_t) { return Errc::InternalNotSupported; }
Status Ringbuf::remove(const void*, uint32_t) { return Errc::InternalNotSupported; }
Status Ringbuf::next_key(const void*, void*, uint32_t) { return Errc::InternalNotSupported; }
Status Ringbuf::read(const void*, void*, uint32_t) { return Errc::InternalNotSupported; }

// One run's reservations.

void* RingReservations::reserve(Map& map, uint64_t size, uint64_t flags) {
    Ringbuf* ring = Ringbuf::of(&map);
    if (ring == nullptr || count_ == most) return nullptr;
    void* sample = flags == 0 ? ring->take_room(size) : nullptr;
    if (sample == nullptr) return nullptr;
    held_[count_].ring = ring;
    held_[count_].sample = sample;
    ++count_;
    return sample;
}

inline Ringbuf* RingReservations::take(void* sample) {
    for (uint32_t i = count_; i-- > 0;) {
        if (held_[i].sample != sample) continue;
        Ringbuf* ring = held_[i].ring;
        // Mostly it is the last. Copied onto itself, what was stored in two halves would be read as a whole: slow.
        if (i != --count_) held_[i] = held_[count_];
        return ring;
    }
    return nullptr;
}

bool RingReservations::submit(void* sample, uint64_t flags) {
    Ringbuf* ring = take(sample);
    if (ring == nullptr) return false;
    ring->commit(sample, 0, flags);
    return true;
}

bool RingReservations::discard(void* sample, uint64_t flags) {
    Ringbuf* ring = take(sample);
    if (ring == nullptr) return false;
    ring->commit(sample, Ringbuf::discard_bit, flags);
    return true;
}

void RingReservations::discard_all() {
    while (count_ > 0) {
        const Held& last = held_[--count_];
        last.ring->discard(last.sample, 0);
    }
}

Status make_ringbuf(const MapDef& def, const MapEnv& env, const Map*, Map** out) {
    return Ringbuf::make(def, env, out);
}

}  // namespace skep::maps
