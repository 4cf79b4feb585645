/* SPDX-License-Identifier: Apache-2.0 */
/* The ABI of eBPF for Windows for programs in C (clang -target bpf), under the names that libbpf's programs use: helper
 * numbers, map types, contexts and verdicts are that system's. Instead of <linux/bpf.h> and <bpf/bpf_helpers.h>.
 * Written from the facts of its public headers; not a copy of them. Objects carry that system's mark and skep's note.
 */
#ifndef SKEP_BPF_WINDOWS_H
#define SKEP_BPF_WINDOWS_H

#include "skep/bpf/note.h"

/* <stdint.h> of a C library does not compile for this target everywhere. */
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __INT64_TYPE__ int64_t;

#define SEC(name) __attribute__((section(name), used))
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value)* name
#define __array(name, value) typeof(value)* name[]

SKEP_BPF_PERSONALITY(SKEP_BPF_WINDOWS);
static const unsigned char skep_ebpf_for_windows_mark SEC(".ebpf_for_windows") = 1;

enum bpf_map_type {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PROG_ARRAY = 3,
    BPF_MAP_TYPE_PERCPU_HASH = 4,
    BPF_MAP_TYPE_PERCPU_ARRAY = 5,
    BPF_MAP_TYPE_HASH_OF_MAPS = 6,
    BPF_MAP_TYPE_ARRAY_OF_MAPS = 7,
    BPF_MAP_TYPE_LRU_HASH = 8,
    BPF_MAP_TYPE_LPM_TRIE = 9,
    BPF_MAP_TYPE_QUEUE = 10,
    BPF_MAP_TYPE_LRU_PERCPU_HASH = 11,
    BPF_MAP_TYPE_STACK = 12,
    BPF_MAP_TYPE_RINGBUF = 13,
    BPF_MAP_TYPE_PERF_EVENT_ARRAY = 14,
    BPF_MAP_TYPE_XSKMAP = 16,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
#define BPF_F_CURRENT_CPU 0xffffffffULL

/* xdp */
typedef struct xdp_md {
    void* data;
    void* data_end;
    uint64_t data_meta;
    uint32_t ingress_ifindex;
} xdp_md_t;
enum xdp_action { XDP_PASS = 1, XDP_DROP = 2, XDP_TX = 3 };

/* bind */
typedef struct _bind_md {
    uint8_t* app_id_start;
    uint8_t* app_id_end;
    uint64_t process_id;
    uint8_t socket_address[16];
    uint8_t socket_address_length;
    uint32_t operation;
    uint8_t protocol;
} bind_md_t;
enum bind_operation { BIND_OPERATION_BIND, BIND_OPERATION_POST_BIND, BIND_OPERATION_UNBIND };
enum bind_action { BIND_PERMIT_SOFT, BIND_DENY, BIND_REDIRECT, BIND_PERMIT_HARD };

/* cgroup/connect4 and its kin */
typedef struct bpf_sock_addr {
    uint32_t family;
    union {
        uint32_t msg_src_ip4;
        uint32_t msg_src_ip6[4];
    };
    uint16_t msg_src_port; /* network byte order */
    union {
        uint32_t user_ip4;
        uint32_t user_ip6[4];
    };
    uint16_t user_port; /* network byte order */
    uint32_t protocol;
    uint32_t compartment_id;
    uint64_t interface_luid;
} bpf_sock_addr_t;
enum { BPF_SOCK_ADDR_VERDICT_REJECT, BPF_SOCK_ADDR_VERDICT_PROCEED_SOFT, BPF_SOCK_ADDR_VERDICT_PROCEED_HARD };

/* sockops */
typedef struct bpf_sock_ops {
    uint32_t op; /* 0 active, 1 passive connection established, 2 deleted */
    uint32_t family;
    union {
        uint32_t local_ip4;
        uint32_t local_ip6[4];
    };
    uint32_t local_port;
    union {
        uint32_t remote_ip4;
        uint32_t remote_ip6[4];
    };
    uint32_t remote_port;
    uint8_t protocol;
    uint32_t compartment_id;
    uint64_t interface_luid;
} bpf_sock_ops_t;

/* process */
typedef struct process_md {
    uint8_t* command_start; /* UTF-16 */
    uint8_t* command_end;
    uint64_t process_id;
    uint64_t parent_process_id;
    uint64_t creating_process_id;
    uint64_t creating_thread_id;
    uint64_t creation_time;
    uint64_t exit_time;
    uint32_t exit_code;
    uint8_t operation; /* 0 create, 1 delete */
    uint32_t token_sid_size;
    uint8_t token_sid[68];
} process_md_t;

/* Helpers of every program type. */
static void* (*const bpf_map_lookup_elem)(void* map, const void* key) = (void*)1;
static long (*const bpf_map_update_elem)(void* map, const void* key, const void* value, uint64_t flags) = (void*)2;
static long (*const bpf_map_delete_elem)(void* map, const void* key) = (void*)3;
static void* (*const bpf_map_lookup_and_delete_elem)(void* map, const void* key) = (void*)4;
static long (*const bpf_tail_call)(void* ctx, void* map, uint32_t index) = (void*)5;
static uint32_t (*const bpf_get_prandom_u32)(void) = (void*)6;
static uint64_t (*const bpf_ktime_get_boot_ns)(void) = (void*)7;
static uint64_t (*const bpf_get_smp_processor_id)(void) = (void*)8;
static uint64_t (*const bpf_ktime_get_ns)(void) = (void*)9;
static int (*const bpf_csum_diff)(const void* from, int from_size, const void* to, int to_size, int seed) = (void*)10;
static long (*const bpf_ringbuf_output)(void* map, void* data, uint64_t size, uint64_t flags) = (void*)11;
static long (*const bpf_trace_printk2)(const char* format, uint32_t size) = (void*)12;
static long (*const bpf_trace_printk3)(const char* format, uint32_t size, uint64_t a) = (void*)13;
static long (*const bpf_trace_printk4)(const char* format, uint32_t size, uint64_t a, uint64_t b) = (void*)14;
static long (*const bpf_trace_printk5)(const char* format, uint32_t size, uint64_t a, uint64_t b,
                                       uint64_t c) = (void*)15;
static long (*const bpf_map_push_elem)(void* map, const void* value, uint64_t flags) = (void*)16;
static long (*const bpf_map_pop_elem)(void* map, void* value) = (void*)17;
static long (*const bpf_map_peek_elem)(void* map, void* value) = (void*)18;
static uint64_t (*const bpf_get_current_pid_tgid)(void) = (void*)19;
static uint64_t (*const bpf_get_current_logon_id)(const void* ctx) = (void*)20;
static int (*const bpf_is_current_admin)(const void* ctx) = (void*)21;
static int (*const bpf_memcpy_s)(void* to, uint64_t to_size, const void* from, uint64_t size) = (void*)22;
static int (*const bpf_memcmp_s)(const void* a, uint64_t a_size, const void* b, uint64_t b_size) = (void*)23;
static uint64_t (*const bpf_memset)(void* buffer, uint64_t size, int value) = (void*)24;
static int (*const bpf_memmove_s)(void* to, uint64_t to_size, const void* from, uint64_t size) = (void*)25;
static uint64_t (*const bpf_get_socket_cookie)(const void* ctx) = (void*)26;
static int (*const bpf_strncpy_s)(char* to, uint64_t to_size, const char* from, uint64_t count) = (void*)27;
static int (*const bpf_strncat_s)(char* to, uint64_t to_size, const char* from, uint64_t count) = (void*)28;
static uint64_t (*const bpf_strnlen_s)(const char* text, uint64_t size) = (void*)29;
static uint64_t (*const bpf_ktime_get_boot_ms)(void) = (void*)30;
static uint64_t (*const bpf_ktime_get_ms)(void) = (void*)31;
static long (*const bpf_perf_event_output)(void* ctx, void* map, uint64_t flags, void* data, uint64_t size) = (void*)32;
static uint64_t (*const bpf_get_current_process_start_key)(void) = (void*)33;
static int64_t (*const bpf_get_current_thread_create_time)(void) = (void*)34;
static long (*const bpf_redirect_map)(void* map, uint32_t key, uint64_t flags) = (void*)35;

/* bpf_printk("text %d", value): up to three values. */
#define skep_bpf_printk_of(format, a, b, c, which, ...) which
#define bpf_printk(...)                                                                                     \
    skep_bpf_printk_of(__VA_ARGS__, skep_bpf_printk3, skep_bpf_printk2, skep_bpf_printk1, skep_bpf_printk0, \
                       0)(__VA_ARGS__)
#define skep_bpf_printk0(text)                               \
    ({                                                       \
        static const char skep_format[] = text;              \
        bpf_trace_printk2(skep_format, sizeof(skep_format)); \
    })
#define skep_bpf_printk1(text, a)                               \
    ({                                                          \
        static const char skep_format[] = text;                 \
        bpf_trace_printk3(skep_format, sizeof(skep_format), a); \
    })
#define skep_bpf_printk2(text, a, b)                               \
    ({                                                             \
        static const char skep_format[] = text;                    \
        bpf_trace_printk4(skep_format, sizeof(skep_format), a, b); \
    })
#define skep_bpf_printk3(text, a, b, c)                               \
    ({                                                                \
        static const char skep_format[] = text;                       \
        bpf_trace_printk5(skep_format, sizeof(skep_format), a, b, c); \
    })

/* Numbers as packets and addresses have them, as libbpf's bpf_endian.h calls it. */
#define bpf_htons(x) __builtin_bswap16(x)
#define bpf_ntohs(x) __builtin_bswap16(x)
#define bpf_htonl(x) __builtin_bswap32(x)
#define bpf_ntohl(x) __builtin_bswap32(x)
#define bpf_cpu_to_be64(x) __builtin_bswap64(x)
#define bpf_be64_to_cpu(x) __builtin_bswap64(x)

/* Helpers of one program type. */
static long (*const bpf_xdp_adjust_head)(xdp_md_t* ctx, int delta) = (void*)0x10000;
static uint64_t (*const bpf_sock_addr_get_current_pid_tgid)(bpf_sock_addr_t* ctx) = (void*)0x10000;
static int (*const bpf_sock_addr_set_redirect_context)(bpf_sock_addr_t* ctx, void* data,
                                                       uint32_t size) = (void*)0x10001;
static uint64_t (*const bpf_sock_ops_get_flow_id)(bpf_sock_ops_t* ctx) = (void*)0x10000;
static int (*const bpf_process_get_image_path)(process_md_t* ctx, uint8_t* path, uint32_t size) = (void*)0x10000;
static int (*const bpf_process_get_account_name)(process_md_t* ctx, uint8_t* name, uint32_t size) = (void*)0x10001;
static int (*const bpf_process_get_account_domain)(process_md_t* ctx, uint8_t* domain, uint32_t size) = (void*)0x10002;

#endif
