// SPDX-License-Identifier: Apache-2.0
// Entering the loops: from outside, and from helpers that call back.
#include "engine/interp/interp.hpp"

#include "engine/interp/code.hpp"
#include "platform/helper.hpp"

namespace skep::engine::interp {
namespace {

uint64_t run_loop(Execution& execution, uint32_t start, const Arguments& arguments) {
    const bool checked = execution.code->checked;
    switch (execution.code->options.dispatch) {
        case Dispatch::Threaded:
            return checked ? loop_threaded_checked(execution, start, arguments)
                           : loop_threaded(execution, start, arguments);
        case Dispatch::Switch:
            return checked ? loop_switch_checked(execution, start, arguments)
                           : loop_switch(execution, start, arguments);
    }
    return 0;
}

uint64_t fault(skep_runtime_context* run, skep_fault code, uint64_t insn) {
    run->fault = code;
    run->fault_insn = static_cast<uint32_t>(insn);
    return 0;
}

}  // namespace

uint64_t Code::enter(void* context, skep_runtime_context* run, const void* self) {
    const auto* code = static_cast<const Code*>(self);
    if (run->frames >= SKEP_FRAME_DEPTH) return fault(run, SKEP_FAULT_CALL_DEPTH, 0);
    Execution execution;
    execution.run = run;
    execution.code = code;
    execution.context = context;
    execution.steps_left = code->options.step_limit != 0 ? code->options.step_limit : UINT64_MAX;

    const auto outer_call_back = run->call_back;
    const void* const outer_self = run->call_back_self;
    run->call_back = &Code::call_back;
    run->call_back_self = &execution;
    ++run->frames;
    const uint64_t result = run_loop(execution, 0, {reinterpret_cast<uintptr_t>(context), 0, 0, 0, 0});
    --run->frames;
    run->call_back = outer_call_back;
    run->call_back_self = outer_self;
    return result;
}

uint64_t Code::call_back(skep_runtime_context* run, uint64_t callee, uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4,
                         uint64_t r5) {
    // const in the C struct because engines may keep anything there; ours is the Execution on our own stack.
    auto& execution = *static_cast<Execution*>(const_cast<void*>(run->call_back_self));
    if (!execution.code->is_function(callee)) return fault(run, SKEP_FAULT_BAD_CALL, callee);
    if (run->frames >= SKEP_FRAME_DEPTH) return fault(run, SKEP_FAULT_CALL_DEPTH, callee);
    ++run->frames;
    const uint64_t result = run_loop(execution, static_cast<uint32_t>(callee), {r1, r2, r3, r4, r5});
    --run->frames;
    return result;
}

bool may_access(const Execution& execution, uint64_t address, uint64_t bytes) {
    const Options& options = execution.code->options;
    if (!options.check_accesses) return true;
    const auto inside = [&](uint64_t base, uint64_t size) {
        return address >= base && address - base <= size && bytes <= size - (address - base);
    };
    for (const StackRange* stack = execution.stacks; stack != nullptr; stack = stack->outer) {
        if (inside(stack->base, SKEP_FRAME_DEPTH * SKEP_FRAME_BYTES)) return true;
    }
    for (const Region& region : options.regions) {
        if (inside(region.base, region.bytes)) return true;
    }
    return false;
}

skep_helper_fn helper_by_number(const skep_runtime_context* run, uint64_t number) {
    platform::HelperId id{};
    if (run->helpers == nullptr || number > UINT32_MAX ||
        !platform::helper_from_linux(static_cast<uint32_t>(number), &id)) {
        return nullptr;
    }
    return run->helpers[static_cast<size_t>(id)];
}

namespace {

uint64_t load_host(uint64_t address, unsigned bytes) {
    switch (bytes) {
        case 1: return load<uint8_t>(address);
        case 2: return load<uint16_t>(address);
        case 4: return load<uint32_t>(address);
        default: return load<uint64_t>(address);
    }
}

void store_host(uint64_t address, unsigned bytes, uint64_t value) {
    switch (bytes) {
        case 1: return store(address, static_cast<uint8_t>(value));
        case 2: return store(address, static_cast<uint16_t>(value));
        case 4: return store(address, static_cast<uint32_t>(value));
        default: return store(address, value);
    }
}

/// The low `bytes` bytes in the other order; the rest is zero.
uint64_t swap(uint64_t value, unsigned bytes) { return __builtin_bswap64(value) >> (64 - bytes * 8); }

uint64_t low_bytes(unsigned bytes) { return bytes >= 8 ? UINT64_MAX : (uint64_t{1} << (bytes * 8)) - 1; }

}  // namespace

uint64_t load_context(const void* context, ContextField field) {
    uint64_t value = load_host(reinterpret_cast<uintptr_t>(context) + field.host_offset, field.host_bytes);
    if (field.byte_swap) value = swap(value, field.host_bytes);
    value = (value >> (field.part_offset * 8u)) & low_bytes(field.access_bytes);
    if (field.sign_extend) {
        const unsigned unused = 64 - field.access_bytes * 8u;
        value = static_cast<uint64_t>(static_cast<int64_t>(value << unused) >> unused);
    }
    return value;
}

void store_context(void* context, ContextField field, uint64_t value) {
    const uint64_t address = reinterpret_cast<uintptr_t>(context) + field.host_offset;
    const unsigned shift = field.part_offset * 8u;
    const uint64_t mask = low_bytes(field.access_bytes) << shift;
    uint64_t whole = (value << shift) & mask;
    if (field.part_offset != 0 || field.access_bytes < field.host_bytes) {  // keep the rest of the field
        uint64_t old = load_host(address, field.host_bytes);
        if (field.byte_swap) old = swap(old, field.host_bytes);
        whole |= old & ~mask;
    }
    if (field.byte_swap) whole = swap(whole, field.host_bytes);
    store_host(address, field.host_bytes, whole);
}

}  // namespace skep::engine::interp
