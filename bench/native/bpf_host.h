/* SPDX-License-Identifier: Apache-2.0 */
/* What lets the source of an eBPF program be compiled for the host: the same maps through the same helper functions,
 * with the C compiler's code in place of an engine's. Included in front of the program's own text; takes the place of
 * <bpf/bpf_helpers.h>. One thread at a time. */
#ifndef SKEP_BENCH_BPF_HOST_H
#define SKEP_BENCH_BPF_HOST_H

#define xdp_md xdp_md_of_linux
#include <linux/bpf.h>
#undef xdp_md

#include "skep/runtime_context.h"

/* platform::HostXdp as far as the examples look: what a host's program gets has whole pointers. The other
 * side of the bench asserts the offsets. */
struct xdp_md {
    __u64 data, data_end, data_meta, head, end;
};

#define __BPF_HELPERS__ /* the guard of <bpf/bpf_helpers.h> */
#define SEC(name) __attribute__((used))
#define __uint(name, number) int(*name)[number]
#define __type(name, type) typeof(type)* name
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))

/* The runtime's own functions, filled in by the bench. */
struct native_helpers {
    skep_helper_fn map_lookup_elem, map_update_elem, ktime_get_ns, ringbuf_output, perf_event_output, csum_diff;
};
extern const struct native_helpers native_helpers;

static struct skep_runtime_context* native_run;

/* A map variable's first word holds the map once the bench has put it there. */
#define NATIVE_MAP(map) (*(__u64*)(map))
#define NATIVE_WORD(value) ((__u64)(long)(value))
#define NATIVE static inline __attribute__((always_inline, unused))

NATIVE void* bpf_map_lookup_elem(void* map, const void* key) {
    return (void*)native_helpers.map_lookup_elem(NATIVE_MAP(map), NATIVE_WORD(key), 0, 0, 0, native_run);
}
NATIVE long bpf_map_update_elem(void* map, const void* key, const void* value, __u64 flags) {
    return (long)native_helpers.map_update_elem(NATIVE_MAP(map), NATIVE_WORD(key), NATIVE_WORD(value), flags, 0,
                                                native_run);
}
NATIVE __u64 bpf_ktime_get_ns(void) { return native_helpers.ktime_get_ns(0, 0, 0, 0, 0, native_run); }
NATIVE long bpf_ringbuf_output(void* ringbuf, void* data, __u64 size, __u64 flags) {
    return (long)native_helpers.ringbuf_output(NATIVE_MAP(ringbuf), NATIVE_WORD(data), size, flags, 0, native_run);
}
NATIVE long bpf_perf_event_output(void* ctx, void* map, __u64 flags, void* data, __u64 size) {
    return (long)native_helpers.perf_event_output(NATIVE_WORD(ctx), NATIVE_MAP(map), flags, NATIVE_WORD(data), size,
                                                  native_run);
}
NATIVE __s64 bpf_csum_diff(const void* from, __u32 from_size, const void* to, __u32 to_size, __u32 seed) {
    return (__s64)native_helpers.csum_diff(NATIVE_WORD(from), from_size, NATIVE_WORD(to), to_size, seed, native_run);
}

/* What the bench finds: a skep_entry_fn, and where to put the maps. All other names stay in the object file. */
struct native_map {
    const char* name;
    void** place;
};
#define NATIVE_MAP_ROW(map) {#map, (void**)&map},
#define NATIVE_PROGRAM(name, context_type, MAPS)                                                \
    uint64_t native_##name(void* context, struct skep_runtime_context* run, const void* self) { \
        (void)self;                                                                             \
        native_run = run;                                                                       \
        return (uint32_t)name((struct context_type*)context);                                   \
    }                                                                                           \
    const struct native_map native_##name##_maps[] = {MAPS(NATIVE_MAP_ROW){0, 0}};

#endif
