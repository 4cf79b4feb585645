// SPDX-License-Identifier: Apache-2.0
// BTF, the type information of eBPF (Documentation/bpf/btf.rst), as a checked value. After parse() every type id is
// in range, every name offset names a string, and what a type holds by value nests at most max_nesting deep without a
// loop, so that code above may walk it without checking again. Only pointers and functions may refer back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace skep::btf {

/// Number of a type in its BTF; 0 is void.
using TypeId = uint32_t;

enum class Kind : uint8_t {
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    Datasec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
};

/// The kind's word in bpftool's dump ("STRUCT"); static storage.
const char* kind_name(Kind kind);

/// Linkage of a Func or a Var (enum btf_func_linkage and BTF_VAR_*, which agree).
enum class Linkage : uint8_t { Static, Global, Extern };

struct Type {
    Kind kind = Kind::Void;
    bool kind_flag = false;  ///< Struct, Union: members have bit sizes; Enum, Enum64: signed; Fwd: a union
    uint32_t name_off = 0;   ///< offset in the string section; 0 is the empty name
    uint32_t size = 0;       ///< in bytes: Int, Enum, Enum64, Struct, Union, Datasec, Float
    TypeId type = 0;         ///< what is pointed to, modified, named, returned, declared, tagged; array element
    uint32_t first = 0;      ///< index of the first part in the kind's own table; see the accessors
    uint32_t count = 0;      ///< number of parts; Array: number of elements
    TypeId index_type = 0;   ///< Array
    int32_t component = -1;  ///< DeclTag: member or parameter it is about, -1: the whole
    Linkage linkage = Linkage::Static;  ///< Func, Var
    uint8_t int_bits = 0;               ///< Int: bits used
    uint8_t int_offset = 0;             ///< Int: first bit used
    bool int_signed = false;            ///< Int
    bool int_char = false;              ///< Int
    bool int_bool = false;              ///< Int

    bool operator==(const Type&) const = default;
};

struct Member {
    uint32_t name_off = 0;
    TypeId type = 0;
    uint32_t bit_offset = 0;  ///< from the start of the struct
    uint32_t bit_size = 0;    ///< of a bit field; 0: none, the type says

    bool operator==(const Member&) const = default;
};

struct Enumerator {
    uint32_t name_off = 0;
    uint64_t value = 0;  ///< sign-extended if the enum is signed

    bool operator==(const Enumerator&) const = default;
};

struct Param {
    uint32_t name_off = 0;
    TypeId type = 0;  ///< 0 in the last place: variadic

    bool operator==(const Param&) const = default;
};

/// One variable of a Datasec.
struct SectionVariable {
    TypeId type = 0;  ///< a Var (or, for kernel functions in .ksyms, a Func)
    uint32_t offset = 0;
    uint32_t size = 0;

    bool operator==(const SectionVariable&) const = default;
};

/// Levels that types may nest by value: arrays, structs, modifiers (the kernel's MAX_RESOLVE_DEPTH is 32).
constexpr uint32_t max_nesting = 64;

class Btf {
  public:
    Btf() = default;
    /// Checks and takes in the contents of a .BTF section (or of /sys/kernel/btf/vmlinux). The bytes are copied.
    /// Errors: Truncated, Malformed, Unsupported (a version, byte order or kind that is not known), each with the
    /// offset in the section.
    static Result<Btf> parse(Bytes bytes);

    /// Number of types with void: valid ids are 0 to type_count() - 1.
    uint32_t type_count() const { return static_cast<uint32_t>(types_.size()); }
    /// Requires: id < type_count().
    const Type& type(TypeId id) const { return types_[id]; }
    /// The string at `offset`; empty if there is none. Lives as long as this Btf.
    std::string_view string(uint32_t offset) const;
    std::string_view name(TypeId id) const { return string(types_[id].name_off); }

    std::span<const Member> members(const Type& type) const;             ///< Struct, Union; else empty
    std::span<const Enumerator> enumerators(const Type& type) const;     ///< Enum, Enum64; else empty
    std::span<const Param> params(const Type& type) const;               ///< FuncProto; else empty
    std::span<const SectionVariable> variables(const Type& type) const;  ///< Datasec; else empty

    /// `id` without modifiers (const, volatile, restrict, type tags) and typedefs.
    TypeId strip(TypeId id) const;
    /// Bytes an object of the type takes; nothing for void, functions, forward declarations, or on overflow.
    std::optional<uint64_t> size_of(TypeId id) const;
    /// All types of this exact name, ascending; empty if none. O(log n).
    std::span<const TypeId> named(std::string_view name) const;
    /// All types whose name begins with `prefix`, by name.
    std::span<const TypeId> named_from(std::string_view prefix) const;
    /// The first type of this kind and name; 0 if none.
    TypeId find(Kind kind, std::string_view name) const;
    /// The type as C writes it, without a declared name: `struct flow *`, `__u32[4]`, `unsigned long long`.
    std::string type_text(TypeId id) const;

    /// The bytes parse() was given, with later corrections: what BTF_LOAD wants.
    Bytes raw() const { return raw_; }
    /// Corrects what compilers leave to the loader: a Datasec's size and its variables' offsets.
    /// Requires: `id` is a Datasec and `variable` < its count.
    void set_section_size(TypeId id, uint32_t size);
    void set_variable_offset(TypeId id, uint32_t variable, uint32_t offset);

  private:
    struct Parser;
    std::vector<std::byte> raw_;
    uint64_t strings_at_ = 0, strings_size_ = 0;
    std::vector<Type> types_;
    std::vector<uint32_t> raw_offsets_;  ///< of each type's record in raw_
    std::vector<Member> members_;
    std::vector<Enumerator> enumerators_;
    std::vector<Param> params_;
    std::vector<SectionVariable> variables_;
    std::vector<TypeId> by_name_;  ///< named types, sorted by (name, id)
};

}  // namespace skep::btf
