// SPDX-License-Identifier: Apache-2.0
#include "object/link.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "btf/test_types.hpp"
#include "elf/test_image.hpp"
#include "object/relocate.hpp"

namespace skep::object {
namespace {

using btf::CoreKind;
using btf::Kind;
using btf::TypeId;
using btf::Types;
using elf::Image;
using elf::ImageSymbol;

constexpr uint64_t exit_insn = 0x95;
constexpr uint64_t wide = 0x18;
constexpr uint32_t wide64 = 1, abs64 = 2, call32 = 10;

constexpr uint64_t call(uint8_t src, int32_t imm) {
    return 0x85u | uint64_t{src} << 12 | uint64_t{static_cast<uint32_t>(imm)} << 32;
}
constexpr uint64_t load(int32_t imm) { return wide | uint64_t{static_cast<uint32_t>(imm)} << 32; }

ImageSymbol function(std::string name, uint16_t section, uint64_t slot, uint64_t slots,
                     uint8_t binding = elf::binding_global) {
    return {std::move(name), elf::type_function, binding, section, slot * 8, slots * 8};
}

Result<LinkedProgram> link_first(const Image& image) {
    const auto spec = read_object(image.build(), "test.o");
    if (!spec) return spec.error();
    return link(*spec, 0);
}

std::vector<std::string> names(const LinkedProgram& p) {
    std::vector<std::string> out;
    for (const Subprogram& s : p.subprograms) out.push_back(s.name);
    return out;
}

TEST(Link, AppendsWhatIsReachedInOrderOfMention) {
    Image image;
    const uint16_t xdp = image.add_code("xdp", {call(1, -1), call(1, 2), exit_insn, exit_insn});
    const uint16_t text = image.add_code(".text", {exit_insn, call(1, -2), exit_insn, call(1, -1), exit_insn});
    image.symbol(function("entry", xdp, 0, 3));
    image.symbol(function("unused", xdp, 3, 1, elf::binding_local));
    const uint32_t section = image.symbol({"", elf::type_section, elf::binding_local, text});
    image.symbol(function("leaf", text, 0, 1));
    const uint32_t middle = image.symbol(function("middle", text, 1, 2));
    image.symbol(function("second", text, 3, 2, elf::binding_local));
    image.relocation(xdp, 0, call32, middle);
    image.relocation(xdp, 8, call32, section);  // imm 2: slot 3 of .text
    const auto p = link_first(image);
    ASSERT_TRUE(p) << p.error().to_string();
    EXPECT_EQ(names(*p), (std::vector<std::string>{"entry", "middle", "second", "leaf"}));
    ASSERT_EQ(p->code.size(), 8u);
    const auto target = [&](size_t at) { return static_cast<int64_t>(at) + 1 + p->code[at].imm; };
    EXPECT_EQ(target(0), p->subprograms[1].start);
    EXPECT_EQ(target(1), p->subprograms[2].start);
    EXPECT_EQ(target(3), p->subprograms[3].start) << "by distance: middle calls leaf";
    EXPECT_EQ(target(5), p->subprograms[2].start) << "second calls itself";
    for (size_t i = 1; i < p->subprograms.size(); ++i) {
        EXPECT_EQ(p->subprograms[i].start, p->subprograms[i - 1].end);
    }
}

TEST(Link, FunctionsMayCallInCircles) {
    Image image;
    const uint16_t xdp = image.add_code("xdp", {call(1, 1), exit_insn, call(1, -3), exit_insn});
    image.symbol(function("a", xdp, 0, 2));
    image.symbol(function("b", xdp, 2, 2));
    const auto p = link_first(image);
    ASSERT_TRUE(p) << p.error().to_string();
    EXPECT_EQ(p->code.size(), 4u);
    EXPECT_EQ(p->code[2].imm, -3);
}

TEST(Link, ReferencesSayWhatTheyAre) {
    Image image;
    const uint16_t xdp = image.add_code("xdp", {load(0), 0, load(0), 0, load(8), 0, exit_insn, exit_insn});
    const uint16_t maps = image.add("maps", std::vector<std::byte>(20));
    const uint16_t data = image.add(".data", std::vector<std::byte>(16), elf::flag_alloc | elf::flag_write);
    image.symbol(function("entry", xdp, 0, 7));
    const uint32_t back = image.symbol(function("callback", xdp, 7, 1, elf::binding_local));
    const uint32_t map = image.symbol({"m", elf::type_object, elf::binding_global, maps, 0, 20});
    const uint32_t section = image.symbol({"", elf::type_section, elf::binding_local, data});
    image.relocation(xdp, 0, wide64, map);
    image.relocation(xdp, 16, wide64, back);
    image.relocation(xdp, 32, wide64, section);
    const auto p = link_first(image);
    ASSERT_TRUE(p) << p.error().to_string();
    EXPECT_EQ(p->code[0].src_reg(), 1);
    EXPECT_EQ(p->code[0].imm, 0);
    EXPECT_EQ(p->code[2].src_reg(), 4);
    EXPECT_EQ(2 + 1 + p->code[2].imm, 7);
    EXPECT_EQ(p->code[4].src_reg(), 2);
    EXPECT_EQ(p->code[4].imm, 1);
    EXPECT_EQ(p->code[5].imm, 8);
    EXPECT_EQ(p->maps, (std::vector<uint32_t>{0, 1}));
    EXPECT_TRUE(p->externs.empty());
}

TEST(Link, RefusesWhatCannotBeLinked) {
    // One program `entry`; sections 1 xdp, 2 maps, 3 .data (8 bytes), 4 odd. Symbols: 1 entry, 2 map, 3 .data,
    // 4 absent, 5 odd, 6 common.
    const struct {
        const char* name;
        std::vector<uint64_t> code;
        std::vector<std::array<uint64_t, 3>> relocations;  // offset, type, symbol
        Errc code_of_error;
        const char* what;  // null: is linked
    } rows[] = {
        {"a map", {load(0), 0, exit_insn}, {{0, wide64, 2}}, {}, nullptr},
        {"a map, two slots, then nothing", {load(0), 0}, {{0, wide64, 2}}, {}, nullptr},
        {"half a wide load", {exit_insn, load(0)}, {}, Errc::Truncated, "ends inside a wide"},
        {"inside a map", {load(4), 0, exit_insn}, {{0, wide64, 2}}, Errc::Malformed, "no map and no variable"},
        {"the end of .data", {load(8), 0, exit_insn}, {{0, wide64, 3}}, {}, nullptr},
        {"behind .data", {load(9), 0, exit_insn}, {{0, wide64, 3}}, Errc::Malformed, "behind the end"},
        {"a section that is no data", {load(0), 0, exit_insn}, {{0, wide64, 5}}, Errc::Unsupported, "not supported"},
        {"a common symbol", {load(0), 0, exit_insn}, {{0, wide64, 6}}, Errc::Unsupported, "no section"},
        {"nothing", {load(0), 0, exit_insn}, {{0, wide64, 4}}, Errc::Unresolved, "nothing defines"},
        {"second slot", {load(0), 0, exit_insn}, {{8, wide64, 2}}, Errc::Malformed, "inside an instruction"},
        {"between slots", {load(0), 0, exit_insn}, {{4, wide64, 2}}, Errc::Malformed, "inside an instruction"},
        {"a wide load of another kind",
         {load(0), 0, exit_insn},
         {{0, call32, 2}},
         Errc::Unsupported,
         "unknown relocation"},
        {"no relocation", {load(0) | 1u << 12, 0, exit_insn}, {}, Errc::Malformed, "has no relocation"},
        {"a plain number", {load(7), 0, exit_insn}, {}, {}, nullptr},
        {"a call of nothing", {call(1, -1), exit_insn}, {{0, call32, 4}}, Errc::Unresolved, "nothing defines"},
        {"a call of data", {call(1, -1), exit_insn}, {{0, call32, 3}}, Errc::Malformed, "does not exist"},
        {"a call of itself", {call(1, -1), exit_insn}, {}, {}, nullptr},
        {"a call into a function", {call(1, 0), exit_insn}, {}, Errc::Malformed, "does not exist"},
        {"a call before the section", {call(1, -2), exit_insn}, {}, Errc::Malformed, "before the start"},
        {"a call behind the section", {call(1, 1 << 30), exit_insn}, {}, Errc::Malformed, "does not exist"},
        {"a helper", {call(0, 6), exit_insn}, {}, {}, nullptr},
        {"a kernel function by number", {call(2, 6), exit_insn}, {}, Errc::Malformed, "no relocation"},
        {"a call of another kind", {call(1, -1), exit_insn}, {{0, wide64, 1}}, Errc::Unsupported, "unknown relocation"},
        {"an exit", {exit_insn}, {{0, call32, 1}}, Errc::Unsupported, "no call and no wide load"},
    };
    for (const auto& row : rows) {
        Image image;
        const uint16_t xdp = image.add_code("xdp", row.code);
        const uint16_t maps = image.add("maps", std::vector<std::byte>(20));
        const uint16_t data = image.add(".data", std::vector<std::byte>(8), elf::flag_alloc | elf::flag_write);
        const uint16_t odd = image.add("odd", std::vector<std::byte>(8), elf::flag_alloc);
        image.symbol(function("entry", xdp, 0, row.code.size()));
        image.symbol({"m", elf::type_object, elf::binding_global, maps, 0, 20});
        image.symbol({"", elf::type_section, elf::binding_local, data});
        image.symbol({"absent", elf::type_none, elf::binding_global, 0});
        image.symbol({"odd_one", elf::type_object, elf::binding_global, odd, 0, 8});
        image.symbol({"common", elf::type_object, elf::binding_global, elf::index_common, 0, 8});
        for (const auto& r : row.relocations) {
            image.relocation(xdp, r[0], static_cast<uint32_t>(r[1]), static_cast<uint32_t>(r[2]));
        }
        const auto p = link_first(image);
        if (row.what == nullptr) {
            EXPECT_TRUE(p) << row.name << ": " << (p ? "" : p.error().to_string());
            continue;
        }
        ASSERT_FALSE(p) << row.name;
        EXPECT_EQ(p.error().code(), row.code_of_error) << row.name << ": " << p.error().to_string();
        EXPECT_NE(p.error().what().find(row.what), std::string::npos) << row.name << ": " << p.error().what();
        EXPECT_EQ(p.error().where().function, "entry") << row.name;
        EXPECT_TRUE(p.error().where().insn) << row.name;
    }
}

TEST(Link, VariablesThatHoldAddressesAreRefusedAndTheirNeighboursNot) {
    const auto with = [](int32_t offset) {
        Image image;
        const uint16_t xdp = image.add_code("xdp", {load(offset), 0, exit_insn});
        const uint16_t data = image.add(".data", std::vector<std::byte>(24), elf::flag_alloc | elf::flag_write);
        image.symbol(function("entry", xdp, 0, 3));
        const uint32_t section = image.symbol({"", elf::type_section, elf::binding_local, data});
        image.symbol({"plain", elf::type_object, elf::binding_global, data, 0, 8});
        image.symbol({"table", elf::type_object, elf::binding_global, data, 8, 16});
        image.relocation(xdp, 0, wide64, section);
        image.relocation(data, 16, abs64, section);
        return link_first(image);
    };
    EXPECT_TRUE(with(0));
    EXPECT_TRUE(with(7));
    EXPECT_EQ(with(8).error().code(), Errc::Unsupported);
    EXPECT_NE(with(16).error().what().find("table"), std::string::npos);
}

/// A program of one instruction, its relocation, and what becomes of it on a target where the field lies elsewhere.
struct Core {
    Types local, target;
    CoreKind kind = CoreKind::FieldByteOffset;
    uint32_t access = 0;
    TypeId type = 0;

    Result<isa::Code> run(std::vector<uint64_t> slots) {
        access = local.text(steps);
        SKEP_ASSIGN(const btf::Btf from, local.parse());
        SKEP_ASSIGN(const btf::Btf to, target.parse());
        LinkedProgram p;
        for (const uint64_t word : slots) {
            p.code.push_back({static_cast<uint8_t>(word), static_cast<uint8_t>(word >> 8),
                              static_cast<int16_t>(static_cast<uint16_t>(word >> 16)),
                              static_cast<int32_t>(static_cast<uint32_t>(word >> 32))});
        }
        p.core_relocations.push_back({0, type, access, kind});
        LinkedProgram again = p, other = p;
        std::vector<btf::CoreAnswer> answers;
        SKEP_TRY(relocate(p, from, to, &answers));
        // Answers that were kept do what the types did.
        EXPECT_EQ(answers.size(), 1u);
        EXPECT_TRUE(relocate(again, answers));
        EXPECT_EQ(again.code, p.code);
        answers.push_back(answers[0]);
        EXPECT_FALSE(relocate(other, answers));
        return p.code;
    }
    std::string steps = "0:1";
};

constexpr uint64_t load_word(uint16_t offset) { return 0x61u | 0x10u << 8 | uint64_t{offset} << 16; }
constexpr uint64_t add_imm(uint32_t imm) { return 0x07u | uint64_t{imm} << 32; }

/// struct s { unsigned a; unsigned b; } against one with `fields`.
Core field(uint32_t bytes, const std::function<std::vector<Types::Part>(Types&)>& fields) {
    Core core;
    const TypeId u32 = core.local.integer("unsigned int", 4);
    core.type = core.local.record("s", 8, {{"a", u32, 0}, {"b", u32, 32}});
    const auto parts = fields(core.target);
    core.target.record("s", bytes, parts);
    return core;
}

TEST(Relocate, MovesAndWidensLoads) {
    const struct {
        const char* name;
        uint32_t bytes;
        std::function<std::vector<Types::Part>(Types&)> fields;
        int16_t offset;
        uint8_t opcode;
    } rows[] = {
        {"further", 80, [](Types& t) { return std::vector<Types::Part>{{"b", t.integer("u", 4), 512}}; }, 64, 0x61},
        {"as 8 bytes", 16, [](Types& t) { return std::vector<Types::Part>{{"b", t.integer("u", 8), 64}}; }, 8, 0x79},
        {"as 2 bytes", 16, [](Types& t) { return std::vector<Types::Part>{{"b", t.integer("u", 2), 16}}; }, 2, 0x69},
        {"in an anonymous struct", 16,
         [](Types& t) {
             const TypeId inner = t.record("", 8, {{"b", t.integer("u", 4), 32}});
             return std::vector<Types::Part>{{"", inner, 64}};
         },
         12, 0x61},
        {"gone", 8, [](Types& t) { return std::vector<Types::Part>{{"c", t.integer("u", 4), 0}}; }, 0, 0x85},
        {"a pointer now", 8, [](Types& t) { return std::vector<Types::Part>{{"b", t.pointer(0), 0}}; }, 0, 0x85},
        {"signed and wider", 8, [](Types& t) { return std::vector<Types::Part>{{"b", t.integer("i", 8, true), 0}}; }, 0,
         0x85},
        {"signed of one width", 8, [](Types& t) { return std::vector<Types::Part>{{"b", t.integer("i", 4, true), 0}}; },
         0, 0x61},
    };
    for (const auto& row : rows) {
        const auto code = field(row.bytes, row.fields).run({load_word(4)});
        ASSERT_TRUE(code) << row.name << ": " << code.error().to_string();
        EXPECT_EQ((*code)[0].opcode, row.opcode) << row.name;
        EXPECT_EQ((*code)[0].offset, row.offset) << row.name;
    }
}

TEST(Relocate, RefusesInstructionsThatDoNotFit) {
    const auto same = [](Types& t) { return std::vector<Types::Part>{{"b", t.integer("u", 4), 64}}; };
    EXPECT_TRUE(field(16, same).run({load_word(4)}));
    EXPECT_FALSE(field(16, same).run({load_word(5)})) << "holds another offset";
    EXPECT_TRUE(field(16, same).run({add_imm(4)}));
    EXPECT_FALSE(field(16, same).run({add_imm(5)}));
    EXPECT_TRUE(field(16, same).run({load(4), 0}));
    EXPECT_FALSE(field(16, same).run({load(4)})) << "half an instruction";
    EXPECT_FALSE(field(16, same).run({exit_insn})) << "holds no number";
    EXPECT_FALSE(field(16, same).run({0xff})) << "no instruction";
    EXPECT_FALSE(field(16, same).run({})) << "outside the program";
    const auto far = [](uint32_t bit) {
        return [bit](Types& t) { return std::vector<Types::Part>{{"b", t.integer("u", 4), bit}}; };
    };
    EXPECT_TRUE(field(1u << 20, far(32767 * 8)).run({load_word(4)}));
    EXPECT_FALSE(field(1u << 20, far(32768 * 8)).run({load_word(4)})) << "16 bits of offset";
    EXPECT_TRUE(field(1u << 20, far(32768 * 8)).run({add_imm(4)}));
}

TEST(Relocate, SeveralMatchesMustAgree) {
    const auto run = [](uint32_t second_offset) {
        Core core = field(16, [](Types& t) { return std::vector<Types::Part>{{"b", t.integer("u", 4), 64}}; });
        core.target.record("s___other", 16, {{"b", 1, second_offset}});
        return core.run({load_word(4)});
    };
    EXPECT_TRUE(run(64));
    const auto two = run(32);
    ASSERT_FALSE(two);
    EXPECT_EQ(two.error().code(), Errc::Unresolved);
}

TEST(Relocate, ReadsTheAccessStringStrictly) {
    const auto run = [](std::string steps) {
        Core core = field(16, [](Types& t) { return std::vector<Types::Part>{{"b", t.integer("u", 4), 64}}; });
        core.steps = std::move(steps);
        return core.run({add_imm(4)}).ok();
    };
    EXPECT_TRUE(run("0:1"));
    for (const char* steps : {"", ":", "0:", "0:2", "0:1:0", "1x", "-1", "0:99999999999", "0: 1"})
        EXPECT_FALSE(run(steps)) << steps;
    std::string many = "0";
    for (int i = 0; i < 64; ++i) many += ":0";
    EXPECT_FALSE(run(many));
}

}  // namespace
}  // namespace skep::object
