/* SPDX-License-Identifier: Apache-2.0 */
/* For eBPF programs (clang -target bpf): one line that says which system's numbers the object is compiled with, so that
 * no loader has to guess. Once per object:
 *     SKEP_BPF_PERSONALITY(SKEP_BPF_LINUX);
 * Works beside libbpf's headers and those of eBPF for Windows. docs/standard/elf-profile.md describes the bytes. */
#ifndef SKEP_BPF_NOTE_H
#define SKEP_BPF_NOTE_H

#define SKEP_BPF_LINUX 1
#define SKEP_BPF_WINDOWS 2

/* An ELF note: sizes of name and description, type 1, the name padded to words, and one word. */
#define SKEP_BPF_PERSONALITY(which)                 \
    static const struct {                           \
        unsigned int name_bytes, words_bytes, type; \
        char name[8];                               \
        unsigned int personality;                   \
    } skep_bpf_note __attribute__((section(".note.skep"), used, aligned(4))) = {5, 4, 1, "skep", which}

#endif
