/* SPDX-License-Identifier: Apache-2.0 */
/* A test of the run-time core that needs nothing but the core: it runs in a driver as well as in a process. C-callable,
 * allocates only through os.hpp, and tells what failed by line. */
#ifndef SKEP_CORE_SELFTEST_H
#define SKEP_CORE_SELFTEST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the driver's one IOCTL returns. */
struct skep_selftest_result {
    uint32_t size;              /* sizeof(struct skep_selftest_result) of the maker */
    uint32_t checks;            /* expectations looked at */
    uint32_t failures;          /* expectations that did not hold */
    uint32_t first_failed_line; /* in core_selftest.cpp; 0: none */
    uint32_t map_types;         /* map types that were made and used */
    uint32_t threads;           /* that took part in the shared test */
};

/* Every map type alone, on the calling thread. Adds to *result. */
void skep_selftest_maps(struct skep_selftest_result* result);

/* Maps shared by threads: make, run skep_selftest_shared_run in `threads` threads at once, then finish in one of them
 * or another once all have returned. Null when memory is out. */
void* skep_selftest_shared_make(uint32_t threads);
void skep_selftest_shared_run(void* shared, uint32_t thread);
void skep_selftest_shared_finish(void* shared, struct skep_selftest_result* result);

#ifdef __cplusplus
}
#endif

#endif
