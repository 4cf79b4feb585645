// SPDX-License-Identifier: Apache-2.0
// The threaded loop: every handler ends in a jump of its own to the next one, which the branch predictor learns per
// handler. Labels as values are an extension of gcc and clang, hence the one pedantic exception.
#include "engine/interp/code.hpp"
#include "engine/interp/steps.hpp"

#ifdef __GNUC__

#pragma GCC diagnostic ignored "-Wpedantic"

namespace skep::engine::interp {

#define OP(name) label_##name:
#define RESUME                                            \
    do {                                                  \
        if constexpr (CHECKED) {                          \
            if (execution.steps_left == 0) {              \
                fault_code = SKEP_FAULT_STEP_LIMIT;       \
                goto fault_now;                           \
            }                                             \
            --execution.steps_left;                       \
        }                                                 \
        goto* labels[static_cast<unsigned>(pc->handler)]; \
    } while (false)
#define NEXT \
    ++pc;    \
    RESUME
#define LABEL(name) &&label_##name
#define START_HANDLERS RESUME;
#define END_HANDLERS

#define CHECKED false
#define FUSED_HANDLERS
uint64_t loop_threaded(Execution& execution, uint32_t start, const Arguments& arguments) {
#include "engine/interp/loop.inc"
}
#undef CHECKED
#undef FUSED_HANDLERS

#define CHECKED true
uint64_t loop_threaded_checked(Execution& execution, uint32_t start, const Arguments& arguments) {
#include "engine/interp/loop.inc"
}

}  // namespace skep::engine::interp

#else

namespace skep::engine::interp {

uint64_t loop_threaded(Execution& execution, uint32_t start, const Arguments& arguments) {
    return loop_switch(execution, start, arguments);
}
uint64_t loop_threaded_checked(Execution& execution, uint32_t start, const Arguments& arguments) {
    return loop_switch_checked(execution, start, arguments);
}

}  // namespace skep::engine::interp

#endif
