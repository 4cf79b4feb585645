// SPDX-License-Identifier: Apache-2.0
// Changes to a BTF section: types exchanged in place or added at the end, strings added. Ids of types and offsets of
// strings stay what they were, so that BTF.ext and other types need no change.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "btf/btf.hpp"

namespace skep::btf {

struct NewMember {
    std::string_view name;
    TypeId type = 0;
    uint32_t byte_offset = 0;
};

class BtfEditor {
  public:
    /// `bytes` is a section that Btf::parse took. Errors: Malformed where it is not.
    static Result<BtfEditor> open(Bytes bytes);

    /// Offset of `text` in the string section, adding it if it is not there.
    uint32_t string(std::string_view text);
    TypeId add_pointer(TypeId to);
    /// An array of `count` elements; `index` is the id of some integer.
    TypeId add_array(TypeId element, TypeId index, uint32_t count);
    TypeId add_integer(std::string_view name, uint32_t bytes);

    /// An enum of 4-byte numbers.
    TypeId add_enum(std::string_view name, const std::vector<std::pair<std::string, uint32_t>>& enumerators);

    TypeId add_struct(std::string_view name, uint32_t size, const std::vector<NewMember>& members);
    /// Exchanges a struct's members and size; its name stays.
    void set_struct(TypeId id, uint32_t size, const std::vector<NewMember>& members);
    /// Adds a member behind the others; the struct grows by `bytes`.
    void add_member(TypeId id, std::string_view name, TypeId type, uint32_t bytes);
    void set_member_type(TypeId id, uint32_t member, TypeId type);
    void set_name(TypeId id, std::string_view name);
    /// Makes a type that nobody refers to mean nothing (a const void): ids must not move.
    void blank(TypeId id);
    /// Makes one variable of a Datasec.
    void set_variable(TypeId section, uint32_t variable, uint32_t offset, uint32_t size);
    void set_size(TypeId id, uint32_t size);
    /// Size of a struct or Datasec as it stands in the file (compilers leave a Datasec's to the loader: 0).
    uint32_t size(TypeId id) const;

    std::vector<std::byte> finish() const;

  private:
    using Record = std::vector<std::byte>;
    TypeId add(Record record);
    static Record head(uint32_t name, uint32_t info, uint32_t size_or_type);

    std::vector<std::byte> header_;
    std::vector<Record> types_;  ///< by id - 1
    std::vector<std::byte> strings_;
};

}  // namespace skep::btf
