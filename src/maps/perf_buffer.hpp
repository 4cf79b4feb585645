// SPDX-License-Identifier: Apache-2.0
// One ring of a perf_event_array, in the memory layout of perf_event_open(2)'s mmap (kernel/events/ring_buffer.c), so
// that libbpf's perf_buffer can map it:
//
//     offset 0            struct perf_event_mmap_page: data_head at 1024 (ours), data_tail at 1032 (the reader's),
//                         data_offset at 1040, data_size at 1048
//     offset data_offset  data_size bytes of records; a record may wrap (our own mapping shows them twice in a row)
//
//     record: u32 type, u16 misc, u16 size (all of it), then
//       sample (9): [u64 time] u32 raw size, bytes, padding to 8 (counted in the raw size, as the kernel does)
//       lost   (2): u64 id, u64 number of samples lost before the next one
//
// Only the lane that the buffer was opened for writes, so there is one producer and no lock. Nothing that the reader
// writes is trusted.
#pragma once

#include "base/lane.hpp"
#include "base/status.hpp"
#include "maps/doorbell.hpp"

namespace skep::maps {

struct PerfOptions {
    uint32_t lane = 0;             ///< who may write: the lane that stands for the CPU of perf_event_open
    uint32_t pages = 8;            ///< data area in 4 KiB pages, a power of two
    uint32_t wakeup_events = 1;    ///< wake the reader after so many samples; 0: by watermark_bytes
    uint32_t watermark_bytes = 0;  ///< 0: half the data area
    bool sample_time = false;      ///< PERF_SAMPLE_TIME before the raw bytes
    uint64_t id = 0;               ///< what lost records carry
};

/// What a reader does with records; `context` is its own.
struct PerfSink {
    void* context = nullptr;
    /// `data` holds the raw bytes, padding included (as the kernel gives them); valid during the call. A value other
    /// than 0 ends the reading after this record.
    int (*sample)(void* context, const void* data, uint32_t size) = nullptr;
    void (*lost)(void* context, uint64_t samples) = nullptr;  ///< may be null
};

/// Reference-counted; freed after the epoch.
class PerfBuffer {
  public:
    /// InvalidArgument (pages no power of two, or more than 2^19), NoMemory. One reference.
    static Status create(Lanes* lanes, const PerfOptions& options, PerfBuffer** out);
    PerfBuffer(const PerfBuffer&) = delete;
    PerfBuffer& operator=(const PerfBuffer&) = delete;

    void retain();
    void release();

    const PerfOptions& options() const { return options_; }

    /// Writes one sample: `data`, then `extra`. Requires: the caller holds lane options().lane. NoSpace (counted, told
    /// to the reader by a lost record), TooBig (a record's size has 16 bits).
    Status output(const void* data, uint64_t size, const void* extra, uint64_t extra_size);

    /// Hands out what is there, at most `most` samples, and frees its room. One reader at a time. BadMessage if
    /// somebody damaged a header in shared memory.
    Status consume(const PerfSink& sink, uint64_t most, uint64_t* samples);
    /// Waits until the producer wakes the reader (as the options say) or there is something already.
    bool wait(uint64_t timeout_ns);
    void listen(Listener* listener) { doorbell_.listen(listener); }

    /// Samples lost so far that no lost record has told of yet.
    uint64_t lost() const { return atomic::load(&lost_); }
    /// The os.hpp handle of the shared memory, which the buffer owns, and its size.
    int64_t shared_memory(uint64_t* bytes) const;

  private:
    explicit PerfBuffer(Lanes* lanes, const PerfOptions& options) : lanes_(lanes), options_(options) {}
    Status allocate();
    void destroy();
    static void free_retired(Retired* retired);
    uint64_t* meta(size_t offset) const { return reinterpret_cast<uint64_t*>(base_ + offset); }

    struct RetiredBuffer : Retired {
        PerfBuffer* buffer = nullptr;
    };

    Lanes* const lanes_;
    const PerfOptions options_;
    RetiredBuffer retired_;
    uint64_t references_ = 1;
    uint8_t* base_ = nullptr;
    uint8_t* data_ = nullptr;
    size_t head_bytes_ = 0;
    uint64_t data_bytes_ = 0;
    uint64_t watermark_ = 0;
    int64_t handle_ = -1;
    Doorbell doorbell_;

    // The producer's own; shared memory gets copies.
    alignas(64) uint64_t head_ = 0;
    uint64_t lost_ = 0;
    uint64_t samples_since_wake_ = 0;
    uint64_t head_at_wake_ = 0;
};

}  // namespace skep::maps
