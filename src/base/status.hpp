// SPDX-License-Identifier: Apache-2.0
// The error of the kernel-capable core: a code and two words, never an allocation (DESIGN.md 7b.5).
#pragma once

#include <stdint.h>

namespace skep {

/// The closed set of error codes; rows in errc.def.
enum class Errc : uint16_t {
#define ERRC(name, number, cname, meaning) name,
#include "base/errc.def"
#undef ERRC
};

/// Linux' errno of a code, as a positive number; 0 for Ok.
constexpr int errno_of(Errc code) {
    switch (code) {
#define ERRC(name, number, cname, meaning) \
    case Errc::name: return number;
#include "base/errc.def"
#undef ERRC
    }
    return 22;
}

/// The errno's C name ("ENOENT"); static storage.
constexpr const char* errno_name(Errc code) {
    switch (code) {
#define ERRC(name, number, cname, meaning) \
    case Errc::name: return cname;
#include "base/errc.def"
#undef ERRC
    }
    return "EINVAL";
}

/// One line of meaning; static storage.
constexpr const char* meaning_of(Errc code) {
    switch (code) {
#define ERRC(name, number, cname, meaning) \
    case Errc::name: return meaning;
#include "base/errc.def"
#undef ERRC
    }
    return "unknown error";
}

/// Result of an operation of the core. `a` and `b` carry the two numbers that broke the rule (say: asked for, allowed);
/// the rich Error (error.hpp) is made from it above the core.
struct [[nodiscard]] Status {
    Errc code = Errc::Ok;
    uint64_t a = 0;
    uint64_t b = 0;

    constexpr Status() = default;
    constexpr Status(Errc c, uint64_t first = 0, uint64_t second = 0) : code(c), a(first), b(second) {}

    constexpr bool ok() const { return code == Errc::Ok; }
    /// 0 or a negative Linux errno: what bpf(2) and the helpers return.
    constexpr int64_t to_errno() const { return -static_cast<int64_t>(errno_of(code)); }
};

}  // namespace skep
