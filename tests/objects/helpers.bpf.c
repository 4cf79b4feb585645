// SPDX-License-Identifier: Apache-2.0
// Calls of helpers at and around their limits. Each program writes what it got into `results` and `texts`;
// tests/helpers_equal_test.cpp compares that between the engines and the running kernel.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

__s64 results[256];
char texts[64][32];
__s64 offset;         // set by the test: where packet_byte, packet_half and packet_word look
__u8 scratch[128];

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, __u64);
} array SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} hash SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, 2);
    __type(value, __u32);
} queue SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

#define GOT(index, call) results[index] = (call)

SEC("tc")
int sums(struct __sk_buff *skb) {
    for (int i = 0; i < 64; i++) scratch[i] = i * 37 + 11;
    GOT(0, bpf_csum_diff(0, 0, (void *)scratch, 4, 0));
    GOT(1, bpf_csum_diff(0, 0, (void *)scratch, 20, 0x1234));
    GOT(2, bpf_csum_diff((void *)scratch, 20, 0, 0, 0x1234));
    GOT(3, bpf_csum_diff((void *)scratch, 20, (void *)(scratch + 20), 20, 0));
    GOT(4, bpf_csum_diff((void *)scratch, 4, (void *)(scratch + 20), 16, 0xffff));
    GOT(5, bpf_csum_diff((void *)scratch, 64, (void *)scratch, 64, 0));
    GOT(6, bpf_csum_diff(0, 0, 0, 0, 0x12345678));
    GOT(7, bpf_csum_diff((void *)scratch, 6, 0, 0, 0));
    GOT(8, bpf_csum_diff(0, 0, (void *)scratch, 64, -1));
    GOT(9, bpf_csum_diff((void *)scratch, 8, 0, 0, -1));
    GOT(10, bpf_l3_csum_replace(skb, 24, 0x1122, 0x3344, 2));
    GOT(11, bpf_l3_csum_replace(skb, 24, 0x11223344, 0x55667788, 4));
    GOT(12, bpf_l3_csum_replace(skb, 24, 0, 0x1234, 0));
    GOT(13, bpf_l3_csum_replace(skb, 24, 1, 0x1234, 0));
    GOT(14, bpf_l3_csum_replace(skb, 25, 1, 2, 2));
    GOT(15, bpf_l3_csum_replace(skb, 58, 1, 2, 2));
    GOT(16, bpf_l3_csum_replace(skb, 60, 1, 2, 2));
    GOT(17, bpf_l3_csum_replace(skb, 0x10000, 1, 2, 2));
    GOT(18, bpf_l3_csum_replace(skb, 24, 1, 2, 3));
    GOT(19, bpf_l3_csum_replace(skb, 24, 1, 2, 0x12));
    GOT(20, bpf_l4_csum_replace(skb, 36, 0x1122, 0x3344, 2));
    GOT(21, bpf_l4_csum_replace(skb, 36, 0x11223344, 0x55667788, 4 | BPF_F_PSEUDO_HDR));
    GOT(22, bpf_l4_csum_replace(skb, 36, 0, 0xffff1234, BPF_F_PSEUDO_HDR));
    GOT(23, bpf_l4_csum_replace(skb, 36, 7, 0, 0));
    GOT(24, bpf_l4_csum_replace(skb, 37, 1, 2, 2));
    GOT(25, bpf_l4_csum_replace(skb, 60, 1, 2, 2));
    GOT(26, bpf_l4_csum_replace(skb, 36, 1, 2, 0x102));
    __u16 zero = 0, one = 1;
    GOT(27, bpf_skb_store_bytes(skb, 40, &zero, 2, 0));
    GOT(28, bpf_l4_csum_replace(skb, 40, 1, 2, 2 | BPF_F_MARK_MANGLED_0));
    GOT(29, bpf_l4_csum_replace(skb, 40, 1, 2, 2 | BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE));
    GOT(30, bpf_skb_store_bytes(skb, 42, &one, 2, 0));
    GOT(31, bpf_l4_csum_replace(skb, 42, 0, 1, 2 | BPF_F_MARK_MANGLED_0));
    GOT(32, bpf_skb_store_bytes(skb, 44, &one, 2, 0));
    GOT(33, bpf_l4_csum_replace(skb, 44, 0, 1, 2));
    return 0;
}

SEC("tc")
int bytes(struct __sk_buff *skb) {
    char data[8] = "12345678";
    GOT(0, bpf_skb_load_bytes(skb, 0, texts[0], 8));
    GOT(1, bpf_skb_load_bytes(skb, 52, texts[1], 8));
    GOT(2, bpf_skb_load_bytes(skb, 53, texts[2], 8));
    GOT(3, bpf_skb_load_bytes(skb, 0x7fffffff, texts[3], 8));
    GOT(4, bpf_skb_load_bytes(skb, -1, texts[4], 8));
    GOT(5, bpf_skb_load_bytes_relative(skb, 0, texts[5], 8, BPF_HDR_START_MAC));
    GOT(6, bpf_skb_load_bytes_relative(skb, 0, texts[6], 8, BPF_HDR_START_NET));
    GOT(7, bpf_skb_load_bytes_relative(skb, 38, texts[7], 8, BPF_HDR_START_NET));
    GOT(8, bpf_skb_load_bytes_relative(skb, 39, texts[8], 8, BPF_HDR_START_NET));
    GOT(9, bpf_skb_load_bytes_relative(skb, 0x10000, texts[9], 8, BPF_HDR_START_MAC));
    GOT(10, bpf_skb_load_bytes_relative(skb, 0, texts[10], 8, 2));
    GOT(11, bpf_skb_store_bytes(skb, 20, data, 8, 0));
    GOT(12, bpf_skb_store_bytes(skb, 52, data, 8, BPF_F_RECOMPUTE_CSUM));
    GOT(13, bpf_skb_store_bytes(skb, 53, data, 8, 0));
    GOT(14, bpf_skb_store_bytes(skb, 20, data, 8, BPF_F_INVALIDATE_HASH));
    GOT(15, bpf_skb_store_bytes(skb, 20, data, 8, 4));
    GOT(16, bpf_skb_store_bytes(skb, -1, data, 8, 0));
    GOT(17, bpf_skb_pull_data(skb, 0));
    GOT(18, bpf_skb_pull_data(skb, 60));
    GOT(19, bpf_skb_pull_data(skb, 61));
    GOT(20, skb->len);
    GOT(21, skb->protocol);
    GOT(22, skb->pkt_type);
    GOT(23, skb->ifindex);
    GOT(24, skb->ingress_ifindex);
    GOT(25, skb->mark);
    GOT(26, skb->vlan_present);
    GOT(27, skb->data_end - skb->data);
    return bpf_redirect(3, BPF_F_INGRESS);
}

SEC("tc")
int refused_redirect(struct __sk_buff *skb) { return bpf_redirect(3, 2); }

#define NUMBER(index, text, flags)                                              \
    do {                                                                        \
        static const char number[] = text;                                      \
        long value = 77;                                                        \
        unsigned long unsigned_value = 77;                                      \
        GOT(4 * (index), bpf_strtol(number, sizeof(number) - 1, flags, &value)); \
        GOT(4 * (index) + 1, value);                                            \
        GOT(4 * (index) + 2, bpf_strtoul(number, sizeof(number) - 1, flags, &unsigned_value)); \
        GOT(4 * (index) + 3, unsigned_value);                                   \
    } while (0)

SEC("tc")
int numbers(struct __sk_buff *skb) {
    NUMBER(0, "42", 0);
    NUMBER(1, " \t-42 ", 0);
    NUMBER(2, "+42", 0);
    NUMBER(3, "0x1f", 0);
    NUMBER(4, "0X1Fg", 16);
    NUMBER(5, "0x", 0);
    NUMBER(6, "0xg", 0);
    NUMBER(7, "0x", 16);
    NUMBER(8, "0777", 0);
    NUMBER(9, "089", 0);
    NUMBER(10, "12", 8);
    NUMBER(11, "19", 8);
    NUMBER(12, "9223372036854775807", 0);
    NUMBER(13, "9223372036854775808", 0);
    NUMBER(14, "-9223372036854775808", 0);
    NUMBER(15, "-9223372036854775809", 0);
    NUMBER(16, "18446744073709551615", 10);
    NUMBER(17, "18446744073709551616", 10);
    NUMBER(18, "ffffffffffffffff", 16);
    NUMBER(19, "1ffffffffffffffff", 16);
    NUMBER(20, "-", 0);
    NUMBER(21, "   ", 0);
    NUMBER(22, "x", 0);
    NUMBER(23, "1", 2);
    NUMBER(24, "1", 32);
    NUMBER(25, "000000000000000000000000000000000000000000000000000000000000000000012", 10);
    NUMBER(26, "\xa0" "7", 0);
    NUMBER(27, "- 7", 0);
    static const char word[] = "needle";
    GOT(200, bpf_strncmp("needle", 7, word));
    GOT(201, bpf_strncmp("needlf", 7, word));
    GOT(202, bpf_strncmp("needla", 7, word));
    GOT(203, bpf_strncmp("need\0x", 7, word));
    GOT(204, bpf_strncmp("needXX", 4, word));
    return 0;
}

#define TEXT(index, format, ...)                                                                     \
    do {                                                                                             \
        static const char text[] = format;                                                           \
        __u64 words[] = {__VA_ARGS__};                                                               \
        GOT(index, bpf_snprintf(texts[index], sizeof(texts[index]), text, words, sizeof(words)));    \
    } while (0)

SEC("tc")
int formats(struct __sk_buff *skb) {
    static const char word[] = "word";
    static const __u8 ip4[] = {192, 0, 2, 7};
    static const __u8 ip6[] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1f};
    // Not constants to the compiler: it would lay out arrays of addresses, which no loader can fill in.
    __u64 w = (__u64)word, a4 = (__u64)ip4, a6 = (__u64)ip6;
    asm volatile("" : "+r"(w), "+r"(a4), "+r"(a6));
    TEXT(0, "%d %i %u", -5, -6, -1);
    TEXT(1, "%ld %lu", -5, -1);
    TEXT(2, "%lld", 1ULL << 63);
    TEXT(3, "%x %X %lx", 0xdeadbeef, 0xdeadbeef, 0x123456789abcdef0);
    TEXT(4, "[%5d][%-5d]", 42, 42);
    TEXT(5, "[%05d][%-05d]", -42, 42);
    TEXT(6, "[%+d][% d][%+5d]", 42, 42, -42);
    TEXT(7, "[%3c][%-3c]%c", 'x', 'y', 'z');
    TEXT(8, "[%6s][%-6s][%2s]", w, w, w);
    TEXT(9, "%s|%s", 0, 8);
    TEXT(10, "%pks|", w);
    TEXT(11, "%pI4 %pi4", a4, a4);
    TEXT(12, "%pI6", a6);
    TEXT(13, "%pi6", a6);
    TEXT(14, "%pI4abc %d", a4, 1);
    TEXT(15, "%px|%p", 0xabc, 0);
    TEXT(16, "%d%%", 100);
    TEXT(17, "a longer text than the buffer: %d", 7);
    TEXT(18, "%x%08lx", 0, 0xabc);
    TEXT(19, "%pI4 %pI4", 0, 8);
    static const char plain[] = "none";
    GOT(20, bpf_snprintf(texts[20], 3, plain, 0, 0));
    return 0;
}

static long stop_at(__u32 index, void *context) { return index == *(__u32 *)context; }
static long add_up(void *map, __u32 *key, __u64 *value, void *context) {
    *(__u64 *)context += *value + *key;
    return *value == 1000;
}

SEC("tc")
int loops(struct __sk_buff *skb) {
    __u32 stop = 3;
    __u64 sum = 0;
    GOT(0, bpf_loop(10, stop_at, &stop, 0));
    GOT(1, bpf_loop(2, stop_at, &stop, 0));
    GOT(2, bpf_loop(0, stop_at, &stop, 0));
    GOT(3, bpf_loop(10, stop_at, &stop, 1));
    GOT(4, bpf_loop((1 << 23) + 1, stop_at, &stop, 0));
    __u32 at = 2;
    __u64 number = 1000;
    GOT(5, bpf_map_update_elem(&array, &at, &number, 0));
    at = 1;
    number = 1;
    GOT(6, bpf_map_update_elem(&array, &at, &number, 0));
    GOT(10, bpf_for_each_map_elem(&array, add_up, &sum, 0));
    GOT(11, sum);
    GOT(12, bpf_for_each_map_elem(&array, add_up, &sum, 1));
    sum = 0;
    GOT(13, bpf_for_each_map_elem(&hash, add_up, &sum, 0));
    __u32 key = 5;
    __u64 value = 7;
    GOT(14, bpf_map_update_elem(&hash, &key, &value, BPF_ANY));
    GOT(15, bpf_for_each_map_elem(&hash, add_up, &sum, 0));
    GOT(16, sum);
    return 0;
}

SEC("tc")
int maps(struct __sk_buff *skb) {
    __u32 key = 1, outside = 4, other = 2, third = 3;
    __u64 value = 9;
    GOT(0, bpf_map_update_elem(&array, &key, &value, BPF_NOEXIST));
    GOT(1, bpf_map_update_elem(&array, &key, &value, BPF_EXIST));
    GOT(2, bpf_map_update_elem(&array, &outside, &value, BPF_ANY));
    GOT(3, bpf_map_update_elem(&array, &key, &value, 3));
    GOT(4, bpf_map_delete_elem(&array, &key));
    GOT(5, bpf_map_lookup_elem(&array, &outside) == 0);
    GOT(6, bpf_map_update_elem(&hash, &key, &value, BPF_EXIST));
    GOT(7, bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST));
    GOT(8, bpf_map_update_elem(&hash, &key, &value, BPF_NOEXIST));
    GOT(9, bpf_map_update_elem(&hash, &other, &value, BPF_ANY));
    GOT(10, bpf_map_update_elem(&hash, &third, &value, BPF_ANY));
    GOT(11, bpf_map_delete_elem(&hash, &third));
    GOT(12, bpf_map_delete_elem(&hash, &key));
    GOT(13, bpf_map_update_elem(&hash, &third, &value, 4));
    GOT(14, bpf_map_push_elem(&queue, &key, 0));
    GOT(15, bpf_map_push_elem(&queue, &other, 0));
    GOT(16, bpf_map_push_elem(&queue, &third, 0));
    GOT(17, bpf_map_push_elem(&queue, &third, BPF_EXIST));
    GOT(18, bpf_map_push_elem(&queue, &third, 1));
    __u32 out = 0;
    GOT(19, bpf_map_peek_elem(&queue, &out));
    GOT(20, out);
    GOT(21, bpf_map_pop_elem(&queue, &out));
    GOT(22, out);
    GOT(23, bpf_map_pop_elem(&queue, &out));
    GOT(24, bpf_map_pop_elem(&queue, &out));
    GOT(30, bpf_ringbuf_output(&ring, &value, 8, 0));
    GOT(31, bpf_ringbuf_output(&ring, &value, 8, 4));
    GOT(32, bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA));
    GOT(33, bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE));
    GOT(34, bpf_ringbuf_query(&ring, BPF_RB_PROD_POS));
    GOT(35, bpf_ringbuf_query(&ring, 9));
    void *record = bpf_ringbuf_reserve(&ring, 4096, 0);
    GOT(36, record == 0);
    if (record) bpf_ringbuf_discard(record, 0);
    record = bpf_ringbuf_reserve(&ring, 4000, 0);
    GOT(37, record == 0);
    if (record) bpf_ringbuf_discard(record, 0);
    record = bpf_ringbuf_reserve(&ring, 64, 0);
    GOT(38, record == 0);
    if (record) bpf_ringbuf_submit(record, 0);
    record = bpf_ringbuf_reserve(&ring, 64, 1);
    GOT(39, record == 0);
    if (record) bpf_ringbuf_submit(record, 0);
    return 0;
}

SEC("xdp")
int moves(struct xdp_md *ctx) {
    GOT(0, bpf_xdp_get_buff_len(ctx));
    GOT(1, bpf_xdp_adjust_head(ctx, 47));
    GOT(2, bpf_xdp_adjust_head(ctx, 46));
    GOT(3, bpf_xdp_adjust_head(ctx, -46));
    GOT(4, bpf_xdp_adjust_meta(ctx, -3));
    GOT(5, bpf_xdp_adjust_meta(ctx, -8));
    GOT(6, bpf_xdp_adjust_meta(ctx, 9));
    GOT(7, bpf_xdp_adjust_head(ctx, -300));
    GOT(8, bpf_xdp_adjust_head(ctx, -210));
    GOT(9, bpf_xdp_adjust_head(ctx, -208));
    GOT(10, bpf_xdp_adjust_head(ctx, 208));
    GOT(11, bpf_xdp_adjust_meta(ctx, 8));
    GOT(12, bpf_xdp_adjust_head(ctx, -217));
    GOT(13, bpf_xdp_adjust_head(ctx, -216));
    GOT(14, bpf_xdp_adjust_head(ctx, 216));
    GOT(15, bpf_xdp_adjust_tail(ctx, -47));
    GOT(16, bpf_xdp_adjust_tail(ctx, -46));
    GOT(17, bpf_xdp_get_buff_len(ctx));
    GOT(18, bpf_xdp_adjust_tail(ctx, 46));
    GOT(19, bpf_xdp_adjust_tail(ctx, 3461));
    GOT(20, bpf_xdp_adjust_tail(ctx, 3460));
    GOT(21, bpf_xdp_get_buff_len(ctx));
    GOT(22, bpf_xdp_adjust_tail(ctx, -3440));
    GOT(23, bpf_xdp_load_bytes(ctx, 0, texts[0], 8));
    GOT(24, bpf_xdp_load_bytes(ctx, 72, texts[1], 8));
    GOT(25, bpf_xdp_load_bytes(ctx, 73, texts[2], 8));
    GOT(26, bpf_xdp_load_bytes(ctx, 0x10000, texts[3], 8));
    GOT(27, bpf_xdp_store_bytes(ctx, 20, texts[0], 8));
    GOT(28, bpf_xdp_store_bytes(ctx, 73, texts[0], 8));
    GOT(29, ctx->ingress_ifindex);
    GOT(30, ctx->rx_queue_index);
    GOT(31, bpf_csum_diff(0, 0, (void *)texts[0], 8, 0));
    return XDP_TX;
}

SEC("xdp")
int xdp_refused_redirect(struct xdp_md *ctx) { return bpf_redirect(3, 1); }

unsigned long long load_byte(void *skb, unsigned long long off) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long off) asm("llvm.bpf.load.half");
unsigned long long load_word(void *skb, unsigned long long off) asm("llvm.bpf.load.word");

SEC("socket")
int packet_byte(struct __sk_buff *skb) { return load_byte(skb, offset) + 1; }

SEC("socket")
int packet_half(struct __sk_buff *skb) { return load_half(skb, offset) + 1; }

SEC("socket")
int packet_word(struct __sk_buff *skb) { return load_word(skb, offset) + 1; }

SEC("socket")
int socket_view(struct __sk_buff *skb) {
    GOT(0, skb->len);
    GOT(1, skb->protocol);
    GOT(2, skb->pkt_type);
    GOT(3, bpf_skb_load_bytes(skb, 0, texts[0], 8));
    GOT(4, bpf_skb_load_bytes(skb, 39, texts[1], 8));
    GOT(5, bpf_skb_load_bytes_relative(skb, 0, texts[2], 8, BPF_HDR_START_MAC));
    GOT(6, bpf_skb_load_bytes_relative(skb, 0, texts[3], 8, BPF_HDR_START_NET));
    return skb->len;
}
