// SPDX-License-Identifier: Apache-2.0
// Code for what may be missing, behind the checks that say so, and the same code without them. Its kernel is
// core_target.o, whose struct thing has a count and no `gone`.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __core __attribute__((preserve_access_index))
#define exists(field) __builtin_preserve_field_info(field, 2)

struct thing {
    int count;
    int gone;
} __core;

extern int absent_function(int) __ksym __weak;
extern const void absent_variable __ksym __weak;

// The address is a number to clang, so that it stays a load and the check a check.
static struct thing *thing_of(struct xdp_md *ctx) { return (void *)(long)ctx->data; }

SEC("xdp")
int field(struct xdp_md *ctx) {
    struct thing *t = thing_of(ctx);
    if (exists(t->gone)) return t->gone;
    return exists(t->count) ? 1 : 9;
}

SEC("xdp")
int bare_field(struct xdp_md *ctx) { return thing_of(ctx)->gone; }

SEC("xdp")
int function(struct xdp_md *ctx) { return absent_function ? absent_function(1) : 2; }

SEC("xdp")
int bare_function(struct xdp_md *ctx) { return absent_function(1); }

SEC("xdp")
int variable(struct xdp_md *ctx) { return &absent_variable != 0 ? 9 : 3; }

char LICENSE[] SEC("license") = "GPL";
