// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or an Error. A thin [[nodiscard]] type over std::expected, because libstdc++ 12's own does not
// warn when a result is dropped.
#pragma once

#include <expected>
#include <utility>

#include "base/error.hpp"

namespace skep {

template <typename T, typename E = Error>
struct [[nodiscard]] Result : std::expected<T, E> {
    using Base = std::expected<T, E>;
    using Base::Base;
    Result(E error) : Base(std::unexpect, std::move(error)) {}

    bool ok() const { return this->has_value(); }
};

template <typename E>
struct [[nodiscard]] Result<void, E> : std::expected<void, E> {
    using Base = std::expected<void, E>;
    using Base::Base;
    Result(E error) : Base(std::unexpect, std::move(error)) {}

    bool ok() const { return this->has_value(); }
};

}  // namespace skep

/// Leaves the function with the error of `expression`, else goes on: `SKEP_TRY(check(x));`
#define SKEP_TRY(expression)                                         \
    do {                                                             \
        if (auto skep_try_result = (expression); !skep_try_result) { \
            return std::move(skep_try_result).error();               \
        }                                                            \
    } while (false)

#define SKEP_CONCAT_INNER(a, b) a##b
#define SKEP_CONCAT(a, b) SKEP_CONCAT_INNER(a, b)

/// Declares `declaration` with the value of `expression`, or leaves with its error: `SKEP_ASSIGN(auto file,
/// read(path));`
#define SKEP_ASSIGN(declaration, expression)                           \
    auto SKEP_CONCAT(skep_result_, __LINE__) = (expression);           \
    if (!SKEP_CONCAT(skep_result_, __LINE__)) {                        \
        return std::move(SKEP_CONCAT(skep_result_, __LINE__)).error(); \
    }                                                                  \
    declaration = *std::move(SKEP_CONCAT(skep_result_, __LINE__))
