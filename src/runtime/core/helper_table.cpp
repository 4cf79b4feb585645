// SPDX-License-Identifier: Apache-2.0
#include "runtime/core/helpers.hpp"

namespace skep::runtime {

namespace {

struct Functions {
    skep_helper_fn of[helper_functions_count] = {};
};

constexpr Functions make_functions() {
    Functions functions;
#define SKEP_ENTER_HELPER(id, name) functions.of[static_cast<size_t>(platform::HelperId::id)] = helpers::name;
    SKEP_HELPERS(SKEP_ENTER_HELPER)
#undef SKEP_ENTER_HELPER
    return functions;
}

constexpr Functions functions = make_functions();

}  // namespace

const skep_helper_fn* helper_functions() { return functions.of; }

}  // namespace skep::runtime
