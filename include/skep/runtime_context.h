/* SPDX-License-Identifier: Apache-2.0 */
/* The table through which running code reaches everything outside itself (DESIGN.md 7b.7): the hidden second argument
 * of every program in every engine. Append-only: a reader checks `abi` and `size`. */
#ifndef SKEP_RUNTIME_CONTEXT_H
#define SKEP_RUNTIME_CONTEXT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SKEP_RUNTIME_CONTEXT_ABI 1u

/* Tail calls in one run (Linux: MAX_TAIL_CALL_CNT), stack bytes of a frame, frames of a program. */
#define SKEP_TAIL_CALL_LIMIT 33u
#define SKEP_FRAME_BYTES 512u
#define SKEP_FRAME_DEPTH 8u

struct skep_runtime_context;

/* A helper: the five argument registers and the run it is called in; the result is r0. */
typedef uint64_t (*skep_helper_fn)(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5,
                                   struct skep_runtime_context* run);

/* Code of a program. `self` is its own object (an interpreter's program, null for native code). Returns r0 of exit. */
typedef uint64_t (*skep_entry_fn)(void* context, struct skep_runtime_context* run, const void* self);

/* What a tail call or a callback jumps to. */
struct skep_entry {
    skep_entry_fn function;
    const void* self;
};

/* Why a run was ended from inside. Verified programs never cause one; unverified ones (development builds) can. */
enum skep_fault {
    SKEP_FAULT_NONE = 0,
    SKEP_FAULT_CALL_DEPTH = 1, /* more than SKEP_FRAME_DEPTH frames */
    SKEP_FAULT_BAD_CALL = 2,   /* callx or helper call to nothing callable */
    SKEP_FAULT_STEP_LIMIT = 3, /* the interpreter's step limit */
    SKEP_FAULT_BAD_ACCESS = 4  /* an access the interpreter was told to check lies outside every known region */
};

struct skep_runtime_context {
    uint32_t size; /* sizeof(struct skep_runtime_context) of the maker */
    uint32_t abi;  /* SKEP_RUNTIME_CONTEXT_ABI */

    uint32_t lane;       /* the lane this run owns */
    uint32_t tail_calls; /* tail calls done so far in this run */

    const skep_helper_fn* helpers; /* index = order in the contract; JIT and interpreter use canonical helper ids */
    void* const* maps;             /* index = order in the contract */
    uint8_t* const* map_values;    /* per map: base of its first value for direct access (globals), or null */

    /* Calls the program-local function at the callee's InsnIndex `insn` of the running program with r1..r5, on a fresh
     * frame, and returns its r0: how bpf_loop and for_each_map_elem run their callbacks. Set by the engine on entry. */
    uint64_t (*call_back)(struct skep_runtime_context* run, uint64_t callee, uint64_t r1, uint64_t r2, uint64_t r3,
                          uint64_t r4, uint64_t r5);
    const void* call_back_self; /* the engine's own word for call_back */

    uint32_t fault;      /* enum skep_fault */
    uint32_t fault_insn; /* InsnIndex of the faulting instruction where known */

    uint32_t frames;   /* frames in use; the outermost program is 1 */
    uint32_t reserved; /* zero */

    void* host; /* the run's host side (runtime::Run): packet, clock, log; engines never look inside */
};

#ifdef __cplusplus
}
#endif

#endif
