// SPDX-License-Identifier: Apache-2.0
// The table of helpers, twice: as they are, and behind that with results in eBPF for Windows' numbers, which is what
// engines call where binding says ResultMap::EbpfResult. So no engine has code of its own for it.
#include "platform/ebpf_result.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime {

namespace {

template <skep_helper_fn function>
SKEP_HELPER(mapped) {
    return platform::to_ebpf_result(function(r1, r2, r3, r4, r5, context));
}

/// The engines' contract for tail calls: an entry's address, or an error.
template <>
SKEP_HELPER(mapped<helpers::tail_call>) {
    const uint64_t entry = helpers::tail_call(r1, r2, r3, r4, r5, context);
    if (entry != 0) return entry;
    const bool too_many = context->tail_calls >= SKEP_TAIL_CALL_LIMIT;
    const int64_t error = too_many ? platform::ebpf_result_no_more_tail_calls : platform::ebpf_result_invalid_argument;
    return static_cast<uint64_t>(-error);
}

struct Functions {
    skep_helper_fn of[2 * helper_functions_count] = {};
};

constexpr Functions make_functions() {
    Functions functions;
#define SKEP_ENTER_HELPER(id, name)                                                                                   \
    functions.of[static_cast<size_t>(platform::HelperId::id)] = helpers::name;                                        \
    functions                                                                                                         \
        .of[platform::helper_index(static_cast<uint16_t>(platform::HelperId::id), platform::ResultMap::EbpfResult)] = \
        mapped<helpers::name>;
    SKEP_HELPERS(SKEP_ENTER_HELPER)
#undef SKEP_ENTER_HELPER
    return functions;
}

constexpr Functions functions = make_functions();

}  // namespace

const skep_helper_fn* helper_functions() { return functions.of; }

}  // namespace skep::runtime
