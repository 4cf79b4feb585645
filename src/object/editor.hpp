// SPDX-License-Identifier: Apache-2.0
// Changes to an object file that keep it a whole: instructions are put in or exchanged by where they stand in the
// original, and every jump, call, symbol, relocation, line, function and CO-RE record follows (DESIGN.md 7b.1: the one
// place where instruction indices change).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "isa/insn.hpp"
#include "object/object_spec.hpp"

namespace skep::object {

/// One object being changed. Sections and slots are always those of the original. Requires of all calls: the section is
/// one of ObjectSpec::code, and an instruction starts at the slot.
class Editor {
  public:
    /// `file` is the object that `spec` was read from. Errors: Unsupported for objects made by GCC (their relocations
    /// keep addends where this does not look for them).
    static Result<Editor> open(Bytes file, const ObjectSpec& spec);

    /// Exchanges the instruction. One of the same number of slots; jumps and calls cannot be exchanged.
    void replace(uint32_t section, uint32_t slot, const isa::Insn& with);
    /// Puts instructions in front: jumps to the slot run them too. Jumps inside `code` stay inside it, or lead to its
    /// end.
    void insert_before(uint32_t section, uint32_t slot, const std::vector<isa::Insn>& code);
    /// Puts instructions behind: only who runs the instruction and goes on runs them.
    void insert_after(uint32_t section, uint32_t slot, const std::vector<isa::Insn>& code);

    /// Overwrites bytes of a section that holds no code; may make it longer.
    void patch(uint32_t section, uint64_t offset, Bytes bytes);
    /// The section's bytes as they are now.
    Bytes contents(uint32_t section) const { return sections_[section].bytes; }
    void set_contents(uint32_t section, std::vector<std::byte> bytes) { sections_[section].bytes = std::move(bytes); }
    /// Leaves a section, its relocations and its symbols out.
    void drop(uint32_t section) { sections_[section].dropped = true; }
    void move_symbol(uint32_t symbol, uint64_t value, uint64_t size);
    /// Adds a section (SHT_PROGBITS, or SHT_NOTE for ".note*"), allocated, aligned to 4 bytes.
    void add(std::string name, std::vector<std::byte> bytes);

    /// The changed file. Debug sections are left out: they would speak of the original. Errors: LimitExceeded where a
    /// jump becomes too long, Malformed, Unsupported.
    Result<std::vector<std::byte>> finish();

  private:
    struct Section {
        std::string name;
        uint32_t type = 0, link = 0, info = 0;
        uint64_t flags = 0, align = 1, entry_size = 0, size = 0;
        std::vector<std::byte> bytes;
        bool dropped = false;
    };
    /// One slot of the original and what stands around it now.
    struct Place {
        isa::Code before, body, after;
    };
    /// A code section while it is edited.
    struct CodeEdit {
        std::vector<Place> places;
        std::vector<uint32_t> starts;  ///< where a jump to each slot leads; one more than slots
        std::vector<uint32_t> bodies;  ///< where the slot's own instruction stands
    };

    explicit Editor(const ObjectSpec& spec) : spec_(&spec) {}
    Place& place(uint32_t section, uint32_t slot) { return code_.at(section).places[slot]; }
    void lay_out();
    Result<void> relink(uint32_t section);
    Result<void> relink_symbols();
    Result<void> relink_relocations();
    Result<void> relink_records();
    Result<std::vector<std::byte>> write();
    Error too_long(uint32_t section, uint32_t slot, std::string what) const;

    const ObjectSpec* spec_;
    std::vector<Section> sections_;
    std::map<uint32_t, CodeEdit> code_;
    uint32_t symbol_table_ = 0, names_ = 0;
    std::vector<std::byte> header_;
};

}  // namespace skep::object
