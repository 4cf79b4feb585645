// SPDX-License-Identifier: Apache-2.0
#include "runtime/core/run.hpp"

#include "base/os.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime {

namespace {

/// splitmix64: spreads a seed over all bits (Steele, Lea, Flood 2014).
uint64_t mix(uint64_t value) {
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

}  // namespace

Chance Chance::from_seed(uint64_t seed) {
    Chance chance;
    chance.fixed = true;
    chance.step_ns = 1000;
    // Somewhere in the first 2^40 ns (18 minutes) after one hour of uptime, a whole number of steps.
    chance.now_ns = 3'600'000'000'000u + (mix(seed) & ((uint64_t{1} << 40) - 1)) / 1000 * 1000;
    chance.random = mix(~seed) | 1;
    return chance;
}

Chance Chance::from_host() {
    Chance chance;
    skep_os_random(&chance.random, sizeof(chance.random));
    chance.random |= 1;
    return chance;
}

uint32_t Chance::next_u32() {
    // xorshift64*: passes what programs use it for (sampling), and is a few instructions.
    random ^= random >> 12;
    random ^= random << 25;
    random ^= random >> 27;
    return static_cast<uint32_t>((random * 0x2545f4914f6cdd1du) >> 32);
}

uint64_t Chance::tick() {
    const uint64_t now = now_ns;
    now_ns += step_ns;
    return now;
}

void Run::init(platform::ProgramType program_type, uint32_t lane) {
    context = {};
    context.size = sizeof(context);
    context.abi = SKEP_RUNTIME_CONTEXT_ABI;
    context.lane = lane;
    context.helpers = helper_functions();
    context.host = this;
    type = program_type;
    redirect = {};
}

void Run::start() {
    context.tail_calls = 0;
    context.fault = SKEP_FAULT_NONE;
    context.fault_insn = 0;
    context.frames = 0;
    redirect = {};
}

}  // namespace skep::runtime
