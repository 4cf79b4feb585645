// SPDX-License-Identifier: Apache-2.0
// For tests: builds .BTF sections type by type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "btf/btf.hpp"

namespace skep::btf {

class Types {
  public:
    uint32_t text(std::string_view string) {
        if (string.empty()) return 0;
        const auto at = static_cast<uint32_t>(strings_.size());
        strings_.append(string).push_back('\0');
        return at;
    }
    /// A record with its parts as they stand in the file; returns its id.
    TypeId add(Kind kind, std::string_view name, uint32_t count, uint32_t last, std::vector<uint32_t> parts = {},
               bool flag = false) {
        words_.push_back(text(name));
        words_.push_back(static_cast<uint32_t>(kind) << 24 | (flag ? 1u << 31 : 0) | count);
        words_.push_back(last);
        words_.insert(words_.end(), parts.begin(), parts.end());
        return ++last_;
    }
    TypeId integer(std::string_view name, uint32_t bytes, bool is_signed = false) {
        return add(Kind::Int, name, 0, bytes, {(is_signed ? 1u << 24 : 0) | bytes * 8});
    }
    TypeId pointer(TypeId to) { return add(Kind::Ptr, "", 0, to); }
    TypeId array(TypeId of, uint32_t count) { return add(Kind::Array, "", 0, 0, {of, 1, count}); }
    TypeId name(std::string_view alias, TypeId of) { return add(Kind::Typedef, alias, 0, of); }
    struct Part {
        std::string_view name;
        TypeId type;
        uint32_t bit_offset;
        uint32_t bits = 0;
    };
    TypeId composite(Kind kind, std::string_view name, uint32_t bytes, const std::vector<Part>& parts) {
        bool flag = false;
        for (const Part& p : parts) flag |= p.bits != 0;
        std::vector<uint32_t> words;
        for (const Part& p : parts) {
            words.push_back(text(p.name));
            words.push_back(p.type);
            words.push_back(p.bit_offset | p.bits << 24);
        }
        return add(kind, name, static_cast<uint32_t>(parts.size()), bytes, std::move(words), flag);
    }
    TypeId record(std::string_view name, uint32_t bytes, const std::vector<Part>& parts) {
        return composite(Kind::Struct, name, bytes, parts);
    }
    TypeId choice(std::string_view name, const std::vector<std::pair<std::string_view, uint32_t>>& values) {
        std::vector<uint32_t> words;
        for (const auto& [n, v] : values) {
            words.push_back(text(n));
            words.push_back(v);
        }
        return add(Kind::Enum, name, static_cast<uint32_t>(values.size()), 4, std::move(words));
    }

    std::vector<std::byte> build() const {
        std::vector<std::byte> out(24 + words_.size() * 4 + strings_.size());
        store_le<uint16_t>(out.data(), 0xeb9f);
        out[2] = std::byte{1};
        store_le<uint32_t>(out.data() + 4, 24);
        store_le<uint32_t>(out.data() + 12, static_cast<uint32_t>(words_.size() * 4));
        store_le<uint32_t>(out.data() + 16, static_cast<uint32_t>(words_.size() * 4));
        store_le<uint32_t>(out.data() + 20, static_cast<uint32_t>(strings_.size()));
        for (size_t i = 0; i < words_.size(); ++i) store_le<uint32_t>(out.data() + 24 + 4 * i, words_[i]);
        for (size_t i = 0; i < strings_.size(); ++i) {
            out[24 + words_.size() * 4 + i] = static_cast<std::byte>(strings_[i]);
        }
        return out;
    }
    Result<Btf> parse() const { return Btf::parse(build()); }

  private:
    std::vector<uint32_t> words_;
    std::string strings_ = std::string(1, '\0');
    TypeId last_ = 0;
};

}  // namespace skep::btf
