// SPDX-License-Identifier: Apache-2.0
// What programs read of the kernel's configuration, in every type that they may declare it. Each lands in a global.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern unsigned int LINUX_KERNEL_VERSION __kconfig;
extern _Bool LINUX_HAS_BPF_COOKIE __kconfig;
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig __weak;
extern _Bool CONFIG_BPF __kconfig;
extern _Bool CONFIG_NOT_ANYWHERE __kconfig __weak;
extern enum libbpf_tristate CONFIG_OF_THREE __kconfig __weak;
extern enum libbpf_tristate CONFIG_MODULE __kconfig __weak;
extern char CONFIG_LETTER __kconfig __weak;
extern char CONFIG_TEXT[12] __kconfig __weak;
extern char CONFIG_LONG_TEXT[6] __kconfig __weak;
extern short CONFIG_NEGATIVE __kconfig __weak;
extern unsigned long long CONFIG_WIDE __kconfig __weak;
extern unsigned int CONFIG_HZ __kconfig;
extern unsigned char CONFIG_NARROW __kconfig __weak;

unsigned int version, hz, narrow;
unsigned long long wide;
int three, module, letter, negative;
_Bool cookie, wrapper, bpf, nowhere;
char text[12], cut[6];

SEC("xdp")
int always(struct xdp_md *ctx)
{
	version = LINUX_KERNEL_VERSION;
	cookie = LINUX_HAS_BPF_COOKIE;
	wrapper = LINUX_HAS_SYSCALL_WRAPPER;
	bpf = CONFIG_BPF;
	nowhere = CONFIG_NOT_ANYWHERE;
	return XDP_PASS;
}

SEC("xdp")
int given(struct xdp_md *ctx)
{
	three = CONFIG_OF_THREE;
	module = CONFIG_MODULE;
	letter = CONFIG_LETTER;
	negative = CONFIG_NEGATIVE;
	wide = CONFIG_WIDE;
	for (int i = 0; i < sizeof(text); i++)
		text[i] = CONFIG_TEXT[i];
	for (int i = 0; i < sizeof(cut); i++)
		cut[i] = CONFIG_LONG_TEXT[i];
	return XDP_PASS;
}

SEC("xdp")
int ticks(struct xdp_md *ctx)
{
	hz = CONFIG_HZ;
	return XDP_PASS;
}

SEC("xdp")
int small(struct xdp_md *ctx)
{
	narrow = CONFIG_NARROW;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
