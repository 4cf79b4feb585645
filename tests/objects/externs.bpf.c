// SPDX-License-Identifier: Apache-2.0
// What an object may want from its host: configuration values, kernel variables, kernel functions, weak and strong.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BPF_JIT __kconfig __weak;
extern const int bpf_prog_active __ksym;
extern const void jiffies_address __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym;
extern int absent_function(int) __ksym __weak;

SEC("xdp")
int kconfig(struct xdp_md *ctx) { return LINUX_KERNEL_VERSION > 0x50000 && CONFIG_BPF_JIT; }

SEC("xdp")
int variables(struct xdp_md *ctx) { return bpf_prog_active + (&jiffies_address != 0); }

SEC("xdp")
int functions(struct xdp_md *ctx) {
    bpf_rcu_read_lock();
    return absent_function ? absent_function(1) : 0;
}

SEC("xdp")
int none(struct xdp_md *ctx) { return 2; }

char LICENSE[] SEC("license") = "GPL";
