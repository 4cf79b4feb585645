// SPDX-License-Identifier: Apache-2.0
// Maps as records in "maps", in every known shape; RECORD chooses the size in bytes.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if RECORD == 20
struct record {
    __u32 type, key_size, value_size, max_entries, flags;
};
#define REST .flags = 1
#elif RECORD == 28
struct record {
    __u32 type, key_size, value_size, max_entries, flags, inner_index, numa_node;
};
#define REST .flags = 4, .inner_index = 0, .numa_node = 3
#elif RECORD == 32
struct record {
    __u32 type, key_size, value_size, max_entries, inner_index, pinning, id, inner_id;
};
#define REST .pinning = 1, .id = 9
#elif RECORD == 36
struct record {
    __u32 type, key_size, value_size, max_entries, flags, id, pinning, inner_id, inner_index;
};
#define REST .id = 2, .pinning = 2
#endif

struct record SEC("maps") counts = {.type = BPF_MAP_TYPE_PROG_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 9, REST};
#if RECORD == 28
struct record SEC("maps") outer = {.type = BPF_MAP_TYPE_ARRAY_OF_MAPS, .key_size = 4, .value_size = 4, .max_entries = 2};
#elif RECORD == 36
struct record SEC("maps") inner = {.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1, .id = 5, .inner_index = 1};
struct record SEC("maps") outer = {.type = BPF_MAP_TYPE_ARRAY_OF_MAPS, .key_size = 4, .value_size = 4, .max_entries = 2, .inner_id = 5};

SEC("2/7")
int seventh(struct __sk_buff *skb) { return 7; }
#endif

SEC("classifier")
int entry(struct __sk_buff *skb) {
    bpf_tail_call(skb, &counts, 7);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
__u32 VERSION SEC("version") = 0x050f00;
