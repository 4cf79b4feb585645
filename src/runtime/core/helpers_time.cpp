// SPDX-License-Identifier: Apache-2.0
// Time, chance, and where the run is. With a fixed Chance (--deterministic) all clocks are one clock that every
// question moves by the same step, and the run is on CPU 0 of node 0.
#include "base/os.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::helpers {

namespace {

constexpr uint64_t ns_per_jiffy = 4'000'000;           // CONFIG_HZ=250, Debian's choice
constexpr uint64_t fixed_tai_offset = 37'000'000'000;  // TAI - UTC since 2017

uint64_t ask(skep_runtime_context* context, uint64_t (*clock)()) {
    Chance& chance = run_of(context).chance;
    return chance.fixed ? chance.tick() : clock();
}

}  // namespace

SKEP_HELPER(ktime_get_ns) { return ask(context, skep_os_monotonic_ns); }
SKEP_HELPER(ktime_get_boot_ns) { return ask(context, skep_os_boot_ns); }
SKEP_HELPER(ktime_get_coarse_ns) { return ask(context, skep_os_coarse_ns); }

SKEP_HELPER(ktime_get_tai_ns) {
    Chance& chance = run_of(context).chance;
    return chance.fixed ? chance.tick() + fixed_tai_offset : skep_os_tai_ns();
}

SKEP_HELPER(jiffies64) { return ask(context, skep_os_monotonic_ns) / ns_per_jiffy; }

SKEP_HELPER(get_prandom_u32) { return run_of(context).chance.next_u32(); }

SKEP_HELPER(get_smp_processor_id) { return run_of(context).chance.fixed ? 0 : context->lane; }

SKEP_HELPER(get_numa_node_id) { return run_of(context).chance.fixed ? 0 : skep_os_numa_node(); }

}  // namespace skep::runtime::helpers
