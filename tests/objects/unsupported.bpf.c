// SPDX-License-Identifier: Apache-2.0
// Parts that are recorded and refused only where something needs them; and no licence.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct operations {
    void (*start)(void *);
};

SEC("struct_ops/start")
void start(void *ctx) {}

SEC(".struct_ops")
struct operations table = {.start = (void *)start};

int oddly_placed SEC("features") = 4;

SEC("xdp")
int plain(struct xdp_md *ctx) { return 2; }

SEC("xdp")
int wants_features(struct xdp_md *ctx) { return *(volatile int *)&oddly_placed; }

int __attribute__((address_space(1))) in_arena = 1;

SEC("xdp")
int wants_arena(struct xdp_md *ctx) { return *(volatile int __attribute__((address_space(1))) *)&in_arena; }
