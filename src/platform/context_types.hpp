// SPDX-License-Identifier: Apache-2.0
// The contexts of the tables as BTF: what CO-RE resolves a program's context accesses against where no kernel is asked,
// so that one object fits the structures of either system.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "platform/context.hpp"
#include "platform/names.hpp"
#include "platform/platforms/platform.hpp"

namespace skep::platform {

/// A BTF section with one struct per context of the personality: its name, members, offsets and widths are those that
/// programs of that personality see. Members that share their place stand side by side, as in a union.
std::vector<std::byte> context_types(Personality personality);

/// The same with the fields that `platform` has, as programs of `personality` see them there; for Linux' programs also
/// the numbers by which they ask what there is (enum bpf_func_id, bpf_map_type, bpf_prog_type).
std::vector<std::byte> context_types(const Platform& platform, Personality personality);

/// The struct's name in C ("xdp_md"); empty for what is no struct there.
std::string_view context_struct_name(ContextKind context, Personality personality);

/// The field that a struct's member of this name is, for programs of `personality`; also where only the other system
/// has such a member.
std::optional<FieldId> field_named(ContextKind context, std::string_view member, Personality personality);

}  // namespace skep::platform
