// SPDX-License-Identifier: Apache-2.0
// The plain loop, for compilers without labels as values, and the witness for the threaded one.
#include "engine/interp/code.hpp"
#include "engine/interp/steps.hpp"

namespace skep::engine::interp {
namespace {

#define CHECKED Checked
#define OP(name) case Handler::name:
#define RESUME goto resume
#define NEXT \
    ++pc;    \
    RESUME
#define START_HANDLERS                          \
    resume:                                     \
    if constexpr (Checked) {                    \
        if (execution.steps_left == 0) {        \
            fault_code = SKEP_FAULT_STEP_LIMIT; \
            goto fault_now;                     \
        }                                       \
        --execution.steps_left;                 \
    }                                           \
    switch (pc->handler) {
#define END_HANDLERS \
    }                \
    __builtin_unreachable();

template <bool Checked>
uint64_t loop(Execution& execution, uint32_t start, const Arguments& arguments) {
#include "engine/interp/loop.inc"
}

}  // namespace

uint64_t loop_switch(Execution& execution, uint32_t start, const Arguments& arguments) {
    return loop<false>(execution, start, arguments);
}
uint64_t loop_switch_checked(Execution& execution, uint32_t start, const Arguments& arguments) {
    return loop<true>(execution, start, arguments);
}

}  // namespace skep::engine::interp
