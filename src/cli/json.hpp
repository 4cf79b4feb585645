// SPDX-License-Identifier: Apache-2.0
// A small JSON value with ordered members, so that only json.cpp pays for the JSON library's header.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace skep::cli {

class Json {
  public:
    using Array = std::vector<Json>;
    using Object = std::vector<std::pair<std::string, Json>>;

    Json() : value_(nullptr) {}
    Json(std::nullptr_t) : value_(nullptr) {}
    Json(bool value) : value_(value) {}
    template <std::signed_integral T>
    Json(T value) : value_(static_cast<int64_t>(value)) {}
    template <std::unsigned_integral T>
        requires(!std::same_as<T, bool>)
    Json(T value) : value_(static_cast<uint64_t>(value)) {}
    Json(double value) : value_(value) {}
    Json(std::string value) : value_(std::move(value)) {}
    Json(std::string_view value) : value_(std::string(value)) {}
    Json(const char* value) : value_(std::string(value)) {}
    Json(Array value) : value_(std::move(value)) {}
    Json(Object value) : value_(std::move(value)) {}

    static Json array() { return Json(Array{}); }
    static Json object() { return Json(Object{}); }

    template <typename T>
    const T* as() const {
        return std::get_if<T>(&value_);
    }
    bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
    const std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string, Array, Object>& value() const {
        return value_;
    }

    /// Adds a member; makes an object of a null first. Keys are not checked for being new.
    Json& set(std::string_view key, Json value);
    /// Appends an element; makes an array of a null first.
    Json& push(Json value);
    /// The member, null if there is none or this is no object.
    const Json* find(std::string_view key) const;

    /// One line, or indented by two. Bytes that are no UTF-8 become U+FFFD.
    std::string to_string(bool pretty = false) const;

  private:
    std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string, Array, Object> value_;
};

/// Reads JSON text of at most 256 nested levels. Errors: Syntax, with the library's own words as why.
Result<Json> parse_json(std::string_view text);

}  // namespace skep::cli
