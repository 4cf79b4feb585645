// SPDX-License-Identifier: Apache-2.0
// What a program needs on each platform: once where it asks nothing of the platform, else as CO-RE and the kernel's
// configuration shape it there.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "btf/btf.hpp"
#include "object/object_spec.hpp"
#include "platform/platforms/platform.hpp"
#include "program/needs.hpp"

namespace skep::cli {

class AdaptedNeeds {
  public:
    /// `kernel`: the types of the kernel that is meant by Linux platforms and skep; null: those of the tables.
    /// Requires: `spec` and the platforms live as long as this.
    AdaptedNeeds(const object::ObjectSpec& spec, platform::Personality personality,
                 std::optional<platform::ProgramType> type, std::shared_ptr<const btf::Btf> kernel)
        : spec_(spec), personality_(personality), type_(type), kernel_(std::move(kernel)) {}

    /// One per platform; the same object where nothing depends on the platform.
    /// Errors: those of needs_of and adapt.
    Result<std::vector<std::shared_ptr<const ProgramNeeds>>> of(const object::LinkedProgram& program,
                                                                std::span<const platform::Platform* const> platforms);

  private:
    struct Types {
        const platform::Platform* platform;
        std::shared_ptr<const btf::Btf> types;
        bool complete;
    };
    Result<const Types*> types_of(const platform::Platform& platform);

    const object::ObjectSpec& spec_;
    platform::Personality personality_;
    std::optional<platform::ProgramType> type_;
    std::shared_ptr<const btf::Btf> kernel_;
    std::shared_ptr<const btf::Btf> own_;
    std::vector<std::unique_ptr<Types>> types_;
};

}  // namespace skep::cli
