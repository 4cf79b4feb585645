// SPDX-License-Identifier: Apache-2.0
// Random programs that a verifier mostly accepts, for holding its claims against runs: indices are checked or masked
// before they move a pointer (by every kind of check, and now and then by one that is just not enough), loops are
// counted, pointers are compared with null and with the packet's end.
#pragma once

#include "object/linked_program.hpp"
#include "object/object_spec.hpp"
#include "platform/names.hpp"
#include "support/diff_generator.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::testing {

/// Places of maps in safe_spec(), and what the program must know of them.
enum SafeMap : uint32_t { ArrayMap, HashMap, RingbufMap, DataMap, WideMap, LockMap, TimerMap, OuterMap, FirstOther };
constexpr int array_value = 32, hash_value = 24, wide_value = 256, data_bytes = 16;
constexpr int lock_at = 8, timer_at = 16, special_value = 48;  // in the values of LockMap and TimerMap
constexpr uint32_t array_entries = 8;

struct SafeProgram {
    object::LinkedProgram linked;
    platform::ProgramType type = platform::ProgramType::SocketFilter;
    platform::AttachType attach = platform::AttachType::None;
    bool sleepable = false;
    std::vector<isa::InsnIndex> variable;  ///< accesses whose offset is computed
};

/// The maps of all such programs; LinkedProgram::maps names them in this order.
const object::ObjectSpec& safe_spec();

SafeProgram make_safe_program(Choices& choices);

/// The program, bound, over its maps.
Result<verifier::Subject> safe_subject(const SafeProgram& program);

}  // namespace skep::testing
