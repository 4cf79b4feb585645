// SPDX-License-Identifier: Apache-2.0
// What read_object takes and refuses, on images built byte by byte. What compilers write is in tests/object_test.cpp.
#include "object/object_spec.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "btf/test_types.hpp"
#include "elf/test_image.hpp"

namespace skep::object {
namespace {

using btf::Kind;
using btf::TypeId;
using btf::Types;
using elf::Image;
using elf::ImageSymbol;

constexpr uint64_t exit_insn = 0x95;

ImageSymbol function(std::string name, uint16_t section, uint64_t value, uint64_t size,
                     uint8_t binding = elf::binding_global) {
    return {std::move(name), elf::type_function, binding, section, value, size};
}

Result<ObjectSpec> read(const Image& image) { return read_object(image.build(), "test.o"); }

std::vector<std::string> program_names(const ObjectSpec& spec) {
    std::vector<std::string> out;
    for (const ProgramSpec& p : spec.programs) out.push_back(p.name);
    return out;
}

TEST(Object, GlobalFunctionsOfNamedSectionsArePrograms) {
    Image image;
    const uint16_t text = image.add_code(".text", {exit_insn});
    const uint16_t xdp = image.add_code("xdp", {exit_insn, exit_insn});
    const uint16_t tc = image.add_code("?tc", {exit_insn});
    image.symbol(function("helper", text, 0, 8));
    image.symbol(function("hidden", xdp, 8, 8, elf::binding_local));
    image.symbol(function("shown", xdp, 0, 8));
    image.symbol(function("optional", tc, 0, 8, elf::binding_weak));
    const auto spec = read(image);
    ASSERT_TRUE(spec) << spec.error().to_string();
    EXPECT_EQ(program_names(*spec), (std::vector<std::string>{"shown", "optional"}));
    EXPECT_EQ(spec->programs[0].section, "xdp");
    EXPECT_TRUE(spec->programs[0].autoload);
    EXPECT_EQ(spec->programs[1].section, "tc");
    EXPECT_FALSE(spec->programs[1].autoload);
    ASSERT_EQ(spec->functions.size(), 4u);
    EXPECT_TRUE(spec->functions[3].weak);
    EXPECT_FALSE(spec->license);
    EXPECT_EQ(spec->find_program("shown"), 0u);
    EXPECT_EQ(spec->find_program("hidden"), no_index);
}

TEST(Object, TheOnlyFunctionOfTextIsAProgram) {
    Image one;
    uint16_t text = one.add_code(".text", {exit_insn, exit_insn});
    one.symbol(function("a", text, 0, 16));
    EXPECT_EQ(program_names(*read(one)), (std::vector<std::string>{"a"}));
    Image two;
    text = two.add_code(".text", {exit_insn, exit_insn});
    two.symbol(function("a", text, 0, 8));
    two.symbol(function("b", text, 8, 8));
    EXPECT_TRUE(read(two)->programs.empty());
}

TEST(Object, CodeWithoutFunctionSymbolsIsStillAProgram) {
    Image bare;
    bare.add_code("xdp", {exit_insn});
    EXPECT_EQ(program_names(*read(bare)), (std::vector<std::string>{"xdp"}));
    Image labelled;
    const uint16_t xdp = labelled.add_code("xdp", {exit_insn, exit_insn});
    labelled.symbol({"first", elf::type_none, elf::binding_global, xdp, 0, 0});
    labelled.symbol({"second", elf::type_none, elf::binding_global, xdp, 8, 0});
    const auto spec = read(labelled);
    EXPECT_EQ(program_names(*spec), (std::vector<std::string>{"first", "second"}));
    EXPECT_EQ(spec->functions[0].end, 1u);
    EXPECT_EQ(spec->functions[1].end, 2u);
}

TEST(Object, FunctionsLieOnInstructionsAndDoNotOverlap) {
    const auto with = [](uint64_t value, uint64_t size) {
        Image image;
        const uint16_t xdp = image.add_code("xdp", {exit_insn, exit_insn, exit_insn});
        image.symbol(function("a", xdp, value, size));
        image.symbol(function("b", xdp, 16, 8));
        return read(image);
    };
    EXPECT_TRUE(with(0, 16));
    EXPECT_EQ(with(0, 24).error().code(), Errc::Malformed) << "overlap";
    EXPECT_EQ(with(4, 8).error().code(), Errc::Malformed) << "between two instructions";
    EXPECT_EQ(with(0, 12).error().code(), Errc::Malformed) << "ends inside an instruction";
    // An alias is no overlap.
    Image image;
    const uint16_t xdp = image.add_code("xdp", {exit_insn});
    image.symbol(function("a", xdp, 0, 8, elf::binding_local));
    image.symbol(function("b", xdp, 0, 8));
    EXPECT_EQ(program_names(*read(image)), (std::vector<std::string>{"b"}));
}

TEST(Object, EveryFunctionHasAName) {
    Image unnamed;
    const uint16_t xdp = unnamed.add_code("xdp", {exit_insn});
    unnamed.symbol(function("", xdp, 0, 8));
    EXPECT_EQ(program_names(*read(unnamed)), (std::vector<std::string>{"xdp"}));
    Image nowhere;
    nowhere.add_code("", {exit_insn});
    EXPECT_FALSE(read(nowhere));
}

TEST(Object, CodeIsWholeInstructions) {
    Image image;
    image.add("xdp", std::vector<std::byte>(12), elf::flag_alloc | elf::flag_exec);
    const auto spec = read(image);
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().where().file, "test.o");
    EXPECT_EQ(spec.error().where().section, "xdp");
    EXPECT_EQ(spec.error().where().byte_offset, 12u);
}

TEST(Object, ReadsLicenceVersionAndMark) {
    Image image;
    image.add("license", Image::to_bytes(std::string_view("GPL\0", 4)));
    image.add("version", Image::to_bytes(std::string_view("\1\2\3\0", 4)));
    image.add(".ebpf_for_windows", Image::to_bytes("\1"));
    const auto spec = read(image);
    ASSERT_TRUE(spec);
    EXPECT_EQ(spec->license, "GPL");
    EXPECT_EQ(spec->kernel_version, 0x030201u);
    EXPECT_TRUE(spec->ebpf_for_windows);
    Image odd;
    odd.add("version", Image::to_bytes("\1\2\3"));
    EXPECT_FALSE(read(odd));
}

TEST(Object, ReadsThePlatformNoteAndRefusesADamagedOne) {
    const auto note = [](std::array<uint32_t, 6> words) {
        std::vector<std::byte> bytes(24);
        for (size_t i = 0; i < 6; ++i) store_le<uint32_t>(bytes.data() + 4 * i, words[i]);
        return bytes;
    };
    constexpr uint32_t skep = 0x70656b73;
    const struct {
        std::array<uint32_t, 6> words;
        const char* kind;  ///< null: refused
    } rows[] = {
        {{5, 4, 1, skep, 0, 1}, "mark: linux"}, {{5, 4, 1, skep, 0, 2}, "mark: windows"},
        {{5, 4, 1, skep, 0, 0}, nullptr},       {{5, 4, 1, skep, 0, 3}, nullptr},
        {{4, 4, 1, skep, 0, 1}, nullptr},       {{5, 8, 1, skep, 0, 1}, nullptr},
        {{5, 4, 2, skep, 0, 1}, nullptr},       {{5, 4, 1, skep + 1, 0, 1}, nullptr},
        {{5, 4, 1, skep, 1, 1}, nullptr},
    };
    for (const auto& row : rows) {
        Image image;
        const uint16_t at = image.add(".note.skep", note(row.words));
        const auto spec = read(image);
        ASSERT_EQ(spec.ok(), row.kind != nullptr);
        if (spec) {
            EXPECT_EQ(spec->sections[at].kind, row.kind);
        }
    }
    Image short_one;
    short_one.add(".note.skep", std::vector<std::byte>(20));
    EXPECT_FALSE(read(short_one));
}

/// A section "maps" of `bytes` bytes with `symbols` names; the words count up from 1.
Result<ObjectSpec> legacy(size_t bytes, size_t symbols, bool typed = false) {
    Image image;
    std::vector<std::byte> data(bytes);
    for (size_t i = 0; i + 4 <= bytes; i += 4) store_le<uint32_t>(data.data() + i, static_cast<uint32_t>(i / 4 + 1));
    const uint16_t maps = image.add("maps", data);
    for (size_t i = 0; i < symbols; ++i) {
        image.symbol({"map" + std::to_string(i), typed ? elf::type_object : elf::type_none, elf::binding_global, maps,
                      i * (bytes / symbols), typed ? bytes / symbols : 0});
    }
    return read(image);
}

TEST(Object, LegacyRecordsAreAsLongAsTheirSectionSays) {
    for (const size_t record : {16, 20, 28, 32, 36}) {
        for (const bool typed : {false, true}) {
            // Ids and indices that exist nowhere are no inner maps here, save where the record demands one.
            const auto spec = legacy(record, 1, typed);
            if (record == 32 || record == 36) {
                EXPECT_FALSE(spec) << record << ": inner id 8 is no map";
                continue;
            }
            ASSERT_TRUE(spec) << record << ": " << spec.error().to_string();
            ASSERT_EQ(spec->maps.size(), 1u);
            EXPECT_EQ(spec->maps[0].name, "map0");
            EXPECT_EQ(spec->maps[0].type, 1u);
            EXPECT_EQ(spec->maps[0].key_size, 2u);
            EXPECT_EQ(spec->maps[0].value_size, 3u);
            EXPECT_EQ(spec->maps[0].max_entries, 4u);
            EXPECT_EQ(spec->maps[0].flags, record == 16 ? 0u : 5u);
        }
    }
    EXPECT_EQ(legacy(40, 2)->maps[1].type, 6u);
    EXPECT_FALSE(legacy(41, 2)) << "no whole records";
    EXPECT_FALSE(legacy(24, 2)) << "records of 12 bytes";
    EXPECT_FALSE(legacy(20, 0)) << "no symbol says how many";
    const auto odd = legacy(24, 1);
    ASSERT_TRUE(odd);
    EXPECT_FALSE(odd->maps[0].unsupported.empty()) << "24 bytes, and the last word is not zero";
}

/// .maps with one variable of 32 bytes whose struct `make` adds; returns what came of it.
Result<ObjectSpec> btf_map(const std::function<TypeId(Types&)>& make) {
    Types types;
    types.integer("int", 4, true);
    const TypeId definition = make(types);
    const TypeId variable = types.add(Kind::Var, "m", 0, definition, {1});
    types.add(Kind::Datasec, ".maps", 1, 0, {variable, 0, 32});
    Image image;
    const uint16_t maps = image.add(".maps", std::vector<std::byte>(32), elf::flag_alloc | elf::flag_write);
    image.symbol({"m", elf::type_object, elf::binding_global, maps, 0, 32});
    image.add(".BTF", types.build());
    return read(image);
}

TypeId number(Types& t, uint32_t value) { return t.pointer(t.array(1, value)); }

TEST(Object, MapDefinitionsAreReadFieldByField) {
    const auto spec = btf_map([](Types& t) {
        const TypeId key = t.integer("key", 8), value = t.record("value", 24, {});
        const TypeId extra = t.add(Kind::Enum64, "", 1, 8, {t.text("__unique"), 0xffffffff, 1});
        return t.record("", 64,
                        {{"type", number(t, 1), 0},
                         {"max_entries", number(t, 7), 64},
                         {"key", t.pointer(key), 128},
                         {"value", t.pointer(value), 192},
                         {"value_size", number(t, 24), 256},
                         {"map_flags", number(t, 3), 320},
                         {"pinning", number(t, 1), 384},
                         {"map_extra", extra, 448}});
    });
    ASSERT_TRUE(spec) << spec.error().to_string();
    const MapSpec& m = spec->maps.at(0);
    EXPECT_EQ(m.name, "m");
    EXPECT_EQ(m.type, 1u);
    EXPECT_EQ(m.key_size, 8u);
    EXPECT_EQ(m.value_size, 24u);
    EXPECT_EQ(m.max_entries, 7u);
    EXPECT_EQ(m.flags, 3u);
    EXPECT_EQ(m.pinning, MapPinning::ByName);
    EXPECT_EQ(m.map_extra, 0x1ffffffffu);
    EXPECT_EQ(spec->btf->name(m.key_type), "key");
    EXPECT_EQ(spec->btf->name(m.value_type), "value");
}

TEST(Object, MapDefinitionsThatCannotBeAreRefused) {
    const struct {
        const char* name;
        std::function<TypeId(Types&)> make;
        const char* what;
    } rows[] = {
        {"no struct", [](Types& t) { return t.integer("x", 4); }, "no struct"},
        {"no type", [](Types& t) { return t.record("", 8, {{"max_entries", number(t, 1), 0}}); }, "no type"},
        {"a plain number", [](Types& t) { return t.record("", 8, {{"type", 1, 0}}); }, "type is no number"},
        {"key of no size",
         [](Types& t) { return t.record("", 16, {{"type", number(t, 1), 0}, {"key", t.pointer(0), 64}}); },
         "has no size"},
        {"two key sizes",
         [](Types& t) {
             return t.record("", 24,
                             {{"type", number(t, 1), 0}, {"key", t.pointer(1), 64}, {"key_size", number(t, 5), 128}});
         },
         "two different sizes"},
        {"pinning 2",
         [](Types& t) { return t.record("", 16, {{"type", number(t, 1), 0}, {"pinning", number(t, 2), 64}}); },
         "unknown way of pinning"},
        {"values of integers",
         [](Types& t) {
             return t.record("", 16, {{"type", number(t, 12), 0}, {"values", t.array(t.pointer(1), 0), 64}});
         },
         "neither maps nor programs"},
        {"values in the middle",
         [](Types& t) {
             return t.record("", 16,
                             {{"values", t.array(t.pointer(t.record("", 0, {})), 0), 0}, {"type", number(t, 12), 64}});
         },
         "not the last member"},
    };
    for (const auto& row : rows) {
        const auto spec = btf_map(row.make);
        ASSERT_FALSE(spec) << row.name;
        EXPECT_NE(spec.error().what().find(row.what), std::string::npos) << row.name << ": " << spec.error().what();
        EXPECT_EQ(spec.error().where().section, ".maps");
    }
    const auto unknown =
        btf_map([](Types& t) { return t.record("", 16, {{"type", number(t, 1), 0}, {"colour", number(t, 2), 64}}); });
    ASSERT_TRUE(unknown) << "the rest of the object is still of use";
    EXPECT_NE(unknown->maps[0].unsupported.find("colour"), std::string::npos);
}

TEST(Object, MapsWithoutBtfAreNamedAsNotSupported) {
    Image image;
    image.add(".maps", std::vector<std::byte>(32), elf::flag_alloc);
    const auto spec = read(image);
    ASSERT_TRUE(spec);
    EXPECT_TRUE(spec->maps.empty());
    ASSERT_EQ(spec->unsupported.size(), 1u);
    EXPECT_EQ(spec->unsupported[0].section, ".maps");
}

TEST(Object, DataSectionsAreMapsOfOneValue) {
    Image image;
    const uint16_t data = image.add(".data.mine", Image::to_bytes("abcdefgh"), elf::flag_alloc | elf::flag_write);
    image.add(".rodata", Image::to_bytes("xy"), elf::flag_alloc);
    image.add({".bss", elf::section_nobits, elf::flag_alloc | elf::flag_write, {}, 1u << 31});
    image.add(".dataset", Image::to_bytes("no"), elf::flag_alloc);
    image.symbol({"second", elf::type_object, elf::binding_local, data, 4, 4});
    image.symbol({"first", elf::type_object, elf::binding_global, data, 0, 4});
    const auto spec = read(image);
    ASSERT_TRUE(spec) << spec.error().to_string();
    ASSERT_EQ(spec->maps.size(), 3u);
    EXPECT_EQ(spec->maps[0].name, ".data.mine");
    EXPECT_EQ(spec->maps[0].initial, Image::to_bytes("abcdefgh"));
    EXPECT_FALSE(spec->maps[0].read_only);
    EXPECT_TRUE(spec->maps[1].read_only);
    EXPECT_EQ(spec->maps[2].value_size, 1u << 31) << "2 GiB of zeros take no room here";
    EXPECT_TRUE(spec->maps[2].initial.empty());
    ASSERT_EQ(spec->globals.size(), 2u);
    EXPECT_EQ(spec->globals[0].name, "first");
    EXPECT_EQ(spec->globals[1].offset, 4u);
    EXPECT_TRUE(spec->globals[1].is_static);
    ASSERT_EQ(spec->unsupported.size(), 1u);
    EXPECT_EQ(spec->unsupported[0].section, ".dataset");
}

TEST(Object, AVariableOutsideItsSectionIsRefused) {
    const auto with = [](uint32_t offset) {
        Types types;
        const TypeId variable = types.add(Kind::Var, "v", 0, types.integer("int", 4), {0});
        types.add(Kind::Datasec, ".data", 1, 8, {variable, offset, 4});
        Image image;
        image.add(".data", std::vector<std::byte>(8), elf::flag_alloc | elf::flag_write);
        image.add(".BTF", types.build());
        return read(image);
    };
    EXPECT_TRUE(with(4));
    EXPECT_FALSE(with(5));
}

TEST(Object, LongNamesAreRefused) {
    const auto with = [](size_t length) {
        Image image;
        const uint16_t xdp = image.add_code("xdp", {exit_insn});
        image.symbol(function(std::string(length, 'n'), xdp, 0, 8));
        return read(image);
    };
    EXPECT_TRUE(with(512));
    EXPECT_EQ(with(513).error().code(), Errc::LimitExceeded);
}

}  // namespace
}  // namespace skep::object
