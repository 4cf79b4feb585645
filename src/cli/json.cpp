// SPDX-License-Identifier: Apache-2.0
#include "cli/json.hpp"

#include <nlohmann/json.hpp>

namespace skep::cli {

using Library = nlohmann::ordered_json;

Json& Json::set(std::string_view key, Json value) {
    if (is_null()) value_ = Object{};
    std::get<Object>(value_).emplace_back(std::string(key), std::move(value));
    return *this;
}

Json& Json::push(Json value) {
    if (is_null()) value_ = Array{};
    std::get<Array>(value_).push_back(std::move(value));
    return *this;
}

const Json* Json::find(std::string_view key) const {
    const Object* object = as<Object>();
    if (object == nullptr) return nullptr;
    for (const auto& [name, value] : *object)
        if (name == key) return &value;
    return nullptr;
}

namespace {

/// Recursion follows values that we built ourselves, or that the depth check of parse_json let in.
Library to_library(const Json& json) {
    struct Visitor {
        Library operator()(std::nullptr_t) const { return nullptr; }
        Library operator()(bool v) const { return v; }
        Library operator()(int64_t v) const { return v; }
        Library operator()(uint64_t v) const { return v; }
        Library operator()(double v) const { return v; }
        Library operator()(const std::string& v) const { return v; }
        Library operator()(const Json::Array& v) const {
            Library out = Library::array();
            for (const Json& element : v) out.push_back(to_library(element));
            return out;
        }
        Library operator()(const Json::Object& v) const {
            Library out = Library::object();
            for (const auto& [key, value] : v) out[key] = to_library(value);
            return out;
        }
    };
    return std::visit(Visitor{}, json.value());
}

Json from_library(const Library& in) {
    switch (in.type()) {
        case Library::value_t::null:
        case Library::value_t::discarded:
        case Library::value_t::binary: return {};
        case Library::value_t::boolean: return in.get<bool>();
        case Library::value_t::number_integer: return in.get<int64_t>();
        case Library::value_t::number_unsigned: return in.get<uint64_t>();
        case Library::value_t::number_float: return in.get<double>();
        case Library::value_t::string: return in.get<std::string>();
        case Library::value_t::array: {
            Json out = Json::array();
            for (const Library& element : in) out.push(from_library(element));
            return out;
        }
        case Library::value_t::object: {
            Json out = Json::object();
            for (const auto& [key, value] : in.items()) out.set(key, from_library(value));
            return out;
        }
    }
    return {};
}

}  // namespace

std::string Json::to_string(bool pretty) const {
    return to_library(*this).dump(pretty ? 2 : -1, ' ', false, Library::error_handler_t::replace);
}

Result<Json> parse_json(std::string_view text) {
    // The library's parser keeps its own stack, but our conversion recurses: bound the depth before it.
    constexpr int max_depth = 256;
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
            continue;
        }
        if (c == '"') in_string = true;
        if (c == '[' || c == '{') ++depth;
        if (c == ']' || c == '}') --depth;
        if (depth > max_depth) return Error(Errc::LimitExceeded, "the JSON text nests more than 256 levels deep");
    }
    try {
        return from_library(Library::parse(text.begin(), text.end()));
    } catch (const Library::exception& e) {
        // Its messages begin with "[json.exception.parse_error.101] ", which helps nobody.
        const std::string_view said = e.what();
        const size_t bracket = said.starts_with('[') ? said.find("] ") : std::string_view::npos;
        return Error(Errc::Syntax, "the text is not JSON",
                     std::string(bracket == std::string_view::npos ? said : said.substr(bracket + 2)));
    }
}

}  // namespace skep::cli
