// SPDX-License-Identifier: Apache-2.0
// Changes to an object file that leave it one: a call gets another number, an access another place, a section another's
// name. Bytes changed at random nearly always break the file, and never get behind its reader. Included by fuzzers
// whose door is an object; libFuzzer finds LLVMFuzzerCustomMutator by its name.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "elf/elf.hpp"
#include "isa/insn.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace skep::fuzz {

class ObjectMutator {
  public:
    ObjectMutator(std::span<uint8_t> file, unsigned seed) : file_(file), random_(seed) {}

    /// Whether something was changed; not in what is no object.
    bool run() {
        const auto read = elf::File::read(std::as_bytes(std::span<const uint8_t>(file_)));
        if (!read) return false;
        table_ = load_le<uint64_t>(at(40));
        sections_ = read->sections();
        for (uint32_t changes = 1 + below(3); changes > 0; --changes) change();
        return true;
    }

  private:
    uint32_t below(size_t n) { return n == 0 ? 0 : static_cast<uint32_t>(random_() % n); }
    std::byte* at(uint64_t offset) { return reinterpret_cast<std::byte*>(file_.data() + offset); }

    void change() {
        std::vector<uint32_t> code, data;
        for (uint32_t i = 1; i < sections_.size(); ++i) {
            const elf::Section& s = sections_[i];
            if (s.bytes.size() < 8) continue;
            if (s.executable())
                code.push_back(i);
            else if (s.type != elf::section_strtab && !s.name.starts_with(".debug"))
                data.push_back(i);
        }
        const uint32_t kind = below(16);
        if (kind == 0 && sections_.size() > 2) return swap_names();
        if (kind <= 2 && !data.empty()) return word_of(sections_[data[below(data.size())]]);
        if (!code.empty()) instruction_of(sections_[code[below(code.size())]]);
    }

    void swap_names() {
        const auto name = [&](uint32_t i) { return at(table_ + 64 * i); };
        const uint32_t one = 1 + below(sections_.size() - 1), other = 1 + below(sections_.size() - 1);
        const auto kept = load_le<uint32_t>(name(one));
        store_le(name(one), load_le<uint32_t>(name(other)));
        store_le(name(other), kept);
    }

    void word_of(const elf::Section& section) {
        std::byte* word = at(section.offset + 4 * below(section.size / 4));
        const uint32_t values[] = {0, 1, 2, 3, 4, 8, 0xffffffff, load_le<uint32_t>(word) + 1};
        store_le(word, values[below(std::size(values))]);
    }

    void instruction_of(const elf::Section& section) {
        using isa::Op;
        const auto slots = static_cast<uint32_t>(section.size / 8);
        std::byte* slot = at(section.offset + 8 * below(slots));
        const auto opcode = std::to_integer<uint8_t>(slot[0]);
        const auto put = [&](const isa::Insn& insn) {
            const isa::Slot made = isa::encode(insn).slots[0];
            store_le(slot, made.opcode);
            store_le(slot + 1, made.regs);
            store_le(slot + 2, made.offset);
            store_le(slot + 4, made.imm);
        };
        switch (below(8)) {
            case 0: {  // a helper of either system, one of a program type of Windows', or nobody's
                const uint32_t number = below(4) == 0 ? 0x10000 + below(8) : below(4) == 0 ? below(220) : below(48);
                return put({.op = Op::Call, .imm = static_cast<int32_t>(number)});
            }
            case 1: {  // a place near by
                const auto offset = static_cast<int16_t>(load_le<int16_t>(slot + 2) + 4 * (int{8} - int(below(17))));
                return store_le(slot + 2, offset);
            }
            case 2: return store_le(slot + 4, static_cast<int32_t>(below(12)) - 2);
            case 3: return std::memcpy(slot, at(section.offset + 8 * below(slots)), 8), void();
            case 4: {  // a load from what most likely is the context
                constexpr Op loads[] = {Op::LdxB, Op::LdxH, Op::LdxW, Op::LdxDw};
                return put({.op = loads[below(4)],
                            .dst = static_cast<uint8_t>(below(6)),
                            .src = static_cast<uint8_t>(below(3) == 0 ? 6 : 1),
                            .offset = static_cast<int16_t>(4 * below(24))});
            }
            case 5: return put({.op = Op::Exit});
            case 6:
                slot[0] = static_cast<std::byte>(opcode ^ (0x08 << below(2)));  // another width, another source
                return;
            default: slot[below(8)] ^= static_cast<std::byte>(1u << below(8)); return;
        }
    }

    std::span<uint8_t> file_;
    std::minstd_rand random_;
    uint64_t table_ = 0;
    std::span<const elf::Section> sections_;
};

}  // namespace skep::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
    if (seed % 8 != 0 && skep::fuzz::ObjectMutator({data, size}, seed).run()) return size;
    return LLVMFuzzerMutate(data, size, max_size);
}
