/* SPDX-License-Identifier: Apache-2.0 */
/* What the code of a native module is given besides the run: one instance of what its contract names. The third
 * argument of its entry functions (skep_entry::self), so one image serves any number of instances. Append-only; an
 * instance is made for the abi that the module's contract names (docs/formats/native-module.md). Generated C repeats
 * these declarations instead of including them: it compiles with nothing but <stdint.h>. */
#ifndef SKEP_NATIVE_MODULE_H
#define SKEP_NATIVE_MODULE_H

#include "skep/runtime_context.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SKEP_NATIVE_MODULE_ABI 1u

/* One map of the contract. */
struct skep_module_map {
    void* map;       /* what the program sees as the map: r1 of the map helpers */
    uint8_t* values; /* element 0 (of lane 0) where the contract says that elements are reached directly, or null */
    uint64_t lane_stride; /* bytes between the lanes of a per-CPU array */
};

struct skep_module_instance {
    uint32_t size;                      /* sizeof(struct skep_module_instance) of the maker */
    uint32_t abi;                       /* SKEP_NATIVE_MODULE_ABI */
    const skep_helper_fn* helpers;      /* index = order in the contract */
    const struct skep_module_map* maps; /* index = order in the contract */
};

#ifdef __cplusplus
}
#endif

#endif
