// SPDX-License-Identifier: Apache-2.0
// Where the eleven registers of a program live on x86-64, per calling convention. The argument registers of a helper
// call are r1 to r5's homes, so that a call moves nothing.
#pragma once

#include <array>
#include <cstdint>

#include "engine/jit/emitter_x64.hpp"
#include "engine/jit/jit.hpp"

namespace skep::engine::jit {

struct Abi {
    std::array<Gp, 11> reg;      ///< r0 to r10
    Gp run;                      ///< struct skep_runtime_context*, callee-saved
    std::array<Gp, 3> scratch;   ///< [0] is free at any time; [1] and [2] may have to be saved
    std::array<Gp, 4> argument;  ///< of the convention, in order
    uint16_t callee_saved;       ///< bit per Gp
    uint8_t outgoing;            ///< bytes that a call needs above the stack pointer
    bool windows;

    bool is_callee_saved(Gp gp) const { return (callee_saved >> static_cast<unsigned>(gp)) & 1; }
};

constexpr uint16_t gp_bits(std::initializer_list<Gp> list) {
    unsigned bits = 0;
    for (const Gp gp : list) bits |= 1u << static_cast<unsigned>(gp);
    return static_cast<uint16_t>(bits);
}

inline constexpr Abi sysv_abi{
    .reg = {Gp::Rax, Gp::Rdi, Gp::Rsi, Gp::Rdx, Gp::Rcx, Gp::R8, Gp::Rbx, Gp::R13, Gp::R14, Gp::R15, Gp::Rbp},
    .run = Gp::R12,
    .scratch = {Gp::R11, Gp::R10, Gp::R9},
    .argument = {Gp::Rdi, Gp::Rsi, Gp::Rdx, Gp::Rcx},
    .callee_saved = gp_bits({Gp::Rbx, Gp::Rbp, Gp::R12, Gp::R13, Gp::R14, Gp::R15}),
    .outgoing = 0,
    .windows = false,
};

/// Four argument registers, then the stack above 32 bytes of shadow space: r5 and the run go to [rsp+32] and [rsp+40].
inline constexpr Abi windows_abi{
    .reg = {Gp::Rax, Gp::Rcx, Gp::Rdx, Gp::R8, Gp::R9, Gp::R10, Gp::Rbx, Gp::Rsi, Gp::Rdi, Gp::R13, Gp::Rbp},
    .run = Gp::R12,
    .scratch = {Gp::R11, Gp::R14, Gp::R15},
    .argument = {Gp::Rcx, Gp::Rdx, Gp::R8, Gp::R9},
    .callee_saved = gp_bits({Gp::Rbx, Gp::Rbp, Gp::Rsi, Gp::Rdi, Gp::R12, Gp::R13, Gp::R14, Gp::R15}),
    .outgoing = 48,
    .windows = true,
};

constexpr const Abi& abi_of(CallingConvention convention) {
    return convention == CallingConvention::Windows ? windows_abi : sysv_abi;
}

}  // namespace skep::engine::jit
