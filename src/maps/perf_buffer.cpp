// SPDX-License-Identifier: Apache-2.0
#include "maps/perf_buffer.hpp"

#include <string.h>

#include <new>

#include "maps/kernel_limits.hpp"

namespace skep::maps {
namespace {

constexpr size_t data_head_at = 1024, data_tail_at = 1032, data_offset_at = 1040, data_size_at = 1048;
constexpr uint32_t record_lost = 2, record_sample = 9;
constexpr uint32_t most_pages = 1u << 19;
constexpr uint64_t largest_record = UINT16_MAX & ~uint64_t{7};
constexpr uint64_t lost_bytes = 24;

struct RecordHeader {
    uint32_t type;
    uint16_t misc;
    uint16_t size;
};

constexpr uint64_t round_up_8(uint64_t bytes) { return (bytes + 7) & ~uint64_t{7}; }

}  // namespace

Status PerfBuffer::create(Lanes* lanes, const PerfOptions& options, PerfBuffer** out) {
    *out = nullptr;
    if (options.pages == 0 || (options.pages & (options.pages - 1)) != 0 || options.pages > most_pages)
        return Status(Errc::InvalidArgument, options.pages, most_pages);
    void* memory = skep_os_alloc(sizeof(PerfBuffer), alignof(PerfBuffer));
    if (memory == nullptr) return Errc::NoMemory;
    auto* buffer = new (memory) PerfBuffer(lanes, options);
    if (Status status = buffer->allocate(); !status.ok()) {
        buffer->destroy();
        return status;
    }
    *out = buffer;
    return {};
}

Status PerfBuffer::allocate() {
    // Where memory is mapped in steps larger than asked for, the data area is larger: data_size tells the reader.
    const size_t step = skep_os_shm_granularity();
    const uint64_t wanted = uint64_t{options_.pages} * kernel_page_bytes;
    data_bytes_ = wanted < step ? step : wanted;
    watermark_ = options_.watermark_bytes != 0 && options_.watermark_bytes < data_bytes_ ? options_.watermark_bytes
                                                                                         : data_bytes_ / 2;
    const size_t page = skep_os_page_size();
    head_bytes_ = (page + step - 1) / step * step;
    handle_ = skep_os_shm_create("skep-perf", head_bytes_ + static_cast<size_t>(data_bytes_));
    if (handle_ < 0) return Errc::NoMemory;
    base_ = static_cast<uint8_t*>(skep_os_shm_map_ring(handle_, head_bytes_, static_cast<size_t>(data_bytes_)));
    if (base_ == nullptr) return Errc::NoMemory;
    data_ = base_ + head_bytes_;
    atomic::store(meta(data_offset_at), uint64_t{head_bytes_});
    atomic::store(meta(data_size_at), data_bytes_);
    return {};
}

void PerfBuffer::destroy() {
    skep_os_shm_unmap_ring(base_, head_bytes_, static_cast<size_t>(data_bytes_));
    skep_os_shm_close(handle_);
    skep_os_free(this, sizeof(PerfBuffer));
}

void PerfBuffer::retain() { atomic::add_ordered(&references_, uint64_t{1}); }

void PerfBuffer::release() {
    if (atomic::add_ordered(&references_, ~uint64_t{0}) != 1) return;
    retired_.buffer = this;
    lanes_->retire(&retired_, free_retired);
}

void PerfBuffer::free_retired(Retired* retired) { static_cast<RetiredBuffer*>(retired)->buffer->destroy(); }

int64_t PerfBuffer::shared_memory(uint64_t* bytes) const {
    *bytes = head_bytes_ + data_bytes_;
    return handle_;
}

Status PerfBuffer::output(const void* data, uint64_t size, const void* extra, uint64_t extra_size) {
    // perf_sample_save_raw_data(): the size word and the bytes together fill whole words.
    if (size > largest_record || extra_size > largest_record) return Status(Errc::TooBig, size + extra_size);
    const uint64_t raw = round_up_8(sizeof(uint32_t) + size + extra_size);
    const uint64_t record = sizeof(RecordHeader) + (options_.sample_time ? 8 : 0) + raw;
    if (record > largest_record) return Status(Errc::TooBig, record, largest_record);

    // __perf_output_begin(): a full buffer keeps one byte (hence 8) free.
    const uint64_t lost = atomic::load(&lost_);
    const uint64_t needed = record + (lost != 0 ? lost_bytes : 0);
    const uint64_t used = head_ - atomic::load_acquire(meta(data_tail_at));
    if (used >= data_bytes_ || data_bytes_ - used - 1 < needed) {
        atomic::store(&lost_, lost + 1);
        return Status(Errc::NoSpace, needed);
    }

    const uint64_t mask = data_bytes_ - 1;
    if (lost != 0) {
        struct {
            RecordHeader header;
            uint64_t id, lost;
        } notice = {{record_lost, 0, lost_bytes}, options_.id, lost};
        static_assert(sizeof notice == lost_bytes);
        memcpy(data_ + (head_ & mask), &notice, sizeof notice);
        head_ += lost_bytes;
        atomic::store(&lost_, uint64_t{0});
    }
    uint8_t* to = data_ + (head_ & mask);
    const RecordHeader header = {record_sample, 0, static_cast<uint16_t>(record)};
    memcpy(to, &header, sizeof header);
    to += sizeof header;
    if (options_.sample_time) {
        const uint64_t now = skep_os_monotonic_ns();
        memcpy(to, &now, sizeof now);
        to += sizeof now;
    }
    const uint32_t raw_size = static_cast<uint32_t>(raw - sizeof(uint32_t));
    memcpy(to, &raw_size, sizeof raw_size);
    to += sizeof raw_size;
    if (size != 0) memcpy(to, data, static_cast<size_t>(size));
    if (extra_size != 0) memcpy(to + size, extra, static_cast<size_t>(extra_size));
    memset(to + size + extra_size, 0, static_cast<size_t>(raw_size - size - extra_size));
    head_ += record;
    atomic::store_release(meta(data_head_at), head_);

    // perf_output_put_handle()
    bool wake;
    if (options_.wakeup_events != 0) {
        wake = ++samples_since_wake_ >= options_.wakeup_events;
        if (wake) samples_since_wake_ = 0;
    } else {
        wake = head_ - head_at_wake_ > watermark_;
        if (wake) head_at_wake_ = head_;
    }
    if (wake) {
        if (doorbell_.strict()) atomic::full_fence();
        doorbell_.ring();
    }
    return {};
}

Status PerfBuffer::consume(const PerfSink& sink, uint64_t most, uint64_t* samples) {
    uint64_t handed_out = 0;
    Status status;
    const uint64_t head = atomic::load_acquire(meta(data_head_at));
    uint64_t tail = atomic::load(meta(data_tail_at));
    while (tail != head && handed_out < most) {
        const uint8_t* record = data_ + (tail & (data_bytes_ - 1) & ~uint64_t{7});
        RecordHeader header;
        memcpy(&header, record, sizeof header);
        const uint64_t before_raw = sizeof header + (options_.sample_time ? 8 : 0);
        const uint64_t shortest = header.type == record_sample ? before_raw + sizeof(uint32_t) : sizeof header;
        if (header.size < shortest || header.size % 8 != 0 || header.size > head - tail) {
            status = Status(Errc::BadMessage, tail, header.size);
            break;
        }
        int stop = 0;
        if (header.type == record_sample) {
            uint32_t raw_size;
            memcpy(&raw_size, record + before_raw, sizeof raw_size);
            const uint64_t room = header.size - before_raw - sizeof raw_size;
            if (raw_size > room) {
                status = Status(Errc::BadMessage, tail, raw_size);
                break;
            }
            stop = sink.sample(sink.context, record + before_raw + sizeof raw_size, raw_size);
            ++handed_out;
        } else if (header.type == record_lost && header.size >= lost_bytes && sink.lost != nullptr) {
            uint64_t lost;
            memcpy(&lost, record + 16, sizeof lost);
            sink.lost(sink.context, lost);
        }
        tail += header.size;
        atomic::store_release(meta(data_tail_at), tail);
        if (stop != 0) break;
    }
    if (samples != nullptr) *samples = handed_out;
    return status;
}

bool PerfBuffer::wait(uint64_t timeout_ns) {
    return doorbell_.wait(
        timeout_ns, [this] { return atomic::load_acquire(meta(data_head_at)) != atomic::load(meta(data_tail_at)); });
}

}  // namespace skep::maps
