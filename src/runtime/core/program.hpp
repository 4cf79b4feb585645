// SPDX-License-Identifier: Apache-2.0
// A loaded program: what can be entered, tail-called and referred to. Part of the kernel-capable core.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/lane.hpp"
#include "maps/map.hpp"
#include "maps/prog_array.hpp"
#include "platform/names.hpp"

namespace skep::runtime {

/// What a program is made from. Everything pointed to is copied or retained, save `code`, which is taken over.
struct ProgramDef {
    uint32_t id = 0;
    const char* name = "";
    platform::ProgramType type = platform::ProgramType::SocketFilter;
    platform::Personality personality = platform::Personality::Linux;
    uint8_t engine = 0;  ///< programs of different engines do not tail-call each other
    skep_entry entry = {};
    void* code = nullptr;                     ///< whoever made `entry`
    void (*free_code)(void* code) = nullptr;  ///< called once, when no run can be inside any more
    maps::Map* const* maps = nullptr;         ///< each is retained for the program's life
    uint32_t map_count = 0;
};

/// Reference-counted; freed after the epoch, because a tail call holds no reference.
class Program {
  public:
    /// One reference. NoMemory: `code` stays the caller's.
    static Status create(Lanes& lanes, const ProgramDef& def, Program** out);
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    uint32_t id() const { return object_.id; }
    const char* name() const { return name_; }
    platform::ProgramType type() const { return type_; }
    platform::Personality personality() const { return personality_; }
    skep_entry entry() const { return object_.entry; }
    /// What program arrays hold. The reference count is the program's own.
    maps::ProgramObject* object() { return &object_; }

    void retain();
    void release();

  private:
    static constexpr size_t name_bytes = 64;
    struct Object : maps::ProgramObject {
        Program* program = nullptr;
    };
    struct RetiredProgram : Retired {
        Program* program = nullptr;
    };

    explicit Program(Lanes& lanes) : lanes_(&lanes) {}
    static void free_retired(Retired* retired);

    Lanes* lanes_;
    Object object_;
    RetiredProgram retired_;
    uint64_t references_ = 1;
    char name_[name_bytes] = {};
    platform::ProgramType type_ = platform::ProgramType::SocketFilter;
    platform::Personality personality_ = platform::Personality::Linux;
    void* code_ = nullptr;
    void (*free_code_)(void* code) = nullptr;
    maps::Map** maps_ = nullptr;
    uint32_t map_count_ = 0;
};

}  // namespace skep::runtime
