// SPDX-License-Identifier: Apache-2.0
#include "elf/elf.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "elf/test_image.hpp"

namespace skep::elf {
namespace {

constexpr uint64_t exit_insn = 0x95;

/// Sections: 1 xdp, 2 .bss, 3 data, 4 .relxdp, 5 .symtab, 6 .strtab, 7 .shstrtab.
Image small() {
    Image image;
    const uint16_t code = image.add_code("xdp", {0x18, 0, exit_insn});
    image.add({".bss", section_nobits, flag_alloc | flag_write, {}, 64});
    image.add("data", std::vector<std::byte>(8), flag_alloc);
    image.symbol({"prog", type_function, binding_global, code, 0, 24});
    const uint32_t variable = image.symbol({"variable", type_object, binding_global, 2, 0, 64});
    image.relocation(code, 0, 1, variable);
    return image;
}

uint64_t section_table(const std::vector<std::byte>& image) { return load_le<uint64_t>(image.data() + 40); }

TEST(Elf, ReadsSectionsSymbolsAndRelocations) {
    const auto image = small().build();
    const auto file = File::read(image);
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_EQ(file->machine(), machine_bpf);
    ASSERT_EQ(file->sections().size(), 8u);
    EXPECT_EQ(file->sections()[1].name, "xdp");
    EXPECT_TRUE(file->sections()[1].executable());
    EXPECT_EQ(file->sections()[1].bytes.size(), 24u);
    EXPECT_EQ(file->sections()[2].size, 64u);
    EXPECT_TRUE(file->sections()[2].bytes.empty());
    ASSERT_EQ(file->symbols().size(), 3u);
    EXPECT_EQ(file->symbols()[1].name, "prog");
    EXPECT_EQ(file->symbols()[1].type, type_function);
    ASSERT_EQ(file->relocations_of(1).size(), 1u);
    EXPECT_EQ(file->relocations_of(1)[0].symbol, 2u);
    EXPECT_TRUE(file->relocations_of(2).empty());
}

TEST(Elf, AcceptsTheEmptyMachineOfOldCompilers) {
    EXPECT_TRUE(File::read(small().build(machine_none)));
    EXPECT_EQ(File::read(small().build(62)).error().code(), Errc::Malformed);
}

TEST(Elf, EveryTruncationIsAnError) {
    const auto image = small().build();
    for (size_t size = 0; size < image.size(); ++size) {
        const auto file = File::read(Bytes(image).first(size));
        ASSERT_FALSE(file) << size;
        EXPECT_FALSE(file.error().what().empty());
    }
}

struct Damage {
    const char* name;
    std::function<void(std::vector<std::byte>&)> apply;
    Errc code;
    const char* what;  // part of the message
};

template <typename T>
std::function<void(std::vector<std::byte>&)> header(uint64_t at, T value) {
    return [=](std::vector<std::byte>& image) { store_le<T>(image.data() + at, value); };
}

/// A field of the section header `index`.
template <typename T>
std::function<void(std::vector<std::byte>&)> section(uint64_t index, uint64_t field, T value) {
    return [=](std::vector<std::byte>& image) {
        store_le<T>(image.data() + section_table(image) + 64 * index + field, value);
    };
}

/// A field in the contents of the section `index`.
template <typename T>
std::function<void(std::vector<std::byte>&)> contents(uint64_t index, uint64_t offset, T value) {
    return [=](std::vector<std::byte>& image) {
        const auto at = load_le<uint64_t>(image.data() + section_table(image) + 64 * index + 24);
        store_le<T>(image.data() + at + offset, value);
    };
}

TEST(Elf, LyingHeadersAreNamed) {
    const std::vector<Damage> rows = {
        {"no magic", header<uint8_t>(0, 0), Errc::Malformed, "not an ELF file"},
        {"32 bit", header<uint8_t>(4, 1), Errc::Malformed, "64-bit"},
        {"big-endian", header<uint8_t>(5, 2), Errc::Unsupported, "little-endian"},
        {"version 2", header<uint8_t>(6, 2), Errc::Malformed, "version"},
        {"executable", header<uint16_t>(16, 2), Errc::Malformed, "relocatable"},
        {"no section table", header<uint16_t>(60, 0), Errc::Unsupported, "section count"},
        {"odd header size", header<uint16_t>(58, 63), Errc::Malformed, "unknown size"},
        {"table outside", header<uint64_t>(40, UINT64_MAX - 63), Errc::Truncated, "section table"},
        {"65535 sections", header<uint16_t>(60, 0xfffe), Errc::Truncated, "section table"},
        {"no names", header<uint16_t>(62, 8), Errc::Malformed, "section names"},
        {"names in another table", header<uint16_t>(62, 0xffff), Errc::Malformed, "section names"},
        {"names in code", header<uint16_t>(62, 1), Errc::Malformed, "no string table"},
        {"section outside", section<uint64_t>(1, 24, 1u << 30), Errc::Truncated, "section 1 lies outside"},
        {"section too large", section<uint64_t>(1, 32, UINT64_MAX), Errc::Truncated, "section 1 lies outside"},
        {"section over header", section<uint64_t>(1, 24, 8), Errc::Malformed, "overlaps"},
        {"sections overlap", section<uint64_t>(3, 24, 80), Errc::Malformed, "overlaps"},
        {"name outside", section<uint32_t>(1, 0, 1u << 20), Errc::Malformed, "string table"},
        {"symbol size 16", section<uint64_t>(5, 56, 16), Errc::Malformed, "symbols of an unknown size"},
        {"symbols without strings", section<uint32_t>(5, 40, 1), Errc::Malformed, "no string table"},
        {"second symbol table", section<uint32_t>(3, 4, section_symtab), Errc::Malformed, "two symbol tables"},
        {"symbol in no section", contents<uint16_t>(5, 24 + 6, 99), Errc::Malformed, "does not exist"},
        {"symbol in another table", contents<uint16_t>(5, 24 + 6, 0xffff), Errc::Malformed, "another table"},
        {"symbol behind its section", contents<uint64_t>(5, 24 + 8, 25), Errc::Malformed, "lies outside its section"},
        {"symbol too large", contents<uint64_t>(5, 24 + 16, UINT64_MAX), Errc::Malformed, "lies outside its section"},
        {"symbol name outside", contents<uint32_t>(5, 24, 1000), Errc::Malformed, "string table"},
        {"relocation size 24", section<uint64_t>(4, 56, 24), Errc::Malformed, "relocations of an unknown size"},
        {"relocates nothing", section<uint32_t>(4, 44, 0), Errc::Malformed, "section that does not exist"},
        {"relocates itself", section<uint32_t>(4, 44, 4), Errc::Malformed, "no content"},
        {"relocates symbols", section<uint32_t>(4, 44, 5), Errc::Malformed, "no content"},
        {"relocates .bss", section<uint32_t>(4, 44, 2), Errc::Malformed, "outside its section"},
        {"no symbol table", section<uint32_t>(4, 40, 1), Errc::Malformed, "no symbol table"},
        {"relocation outside", contents<uint64_t>(4, 0, 24), Errc::Malformed, "outside its section"},
        {"relocation of no symbol", contents<uint32_t>(4, 12, 3), Errc::Malformed, "symbol that does not exist"},
    };
    for (const Damage& row : rows) {
        auto image = small().build();
        row.apply(image);
        const auto file = File::read(image);
        ASSERT_FALSE(file) << row.name;
        EXPECT_EQ(file.error().code(), row.code) << row.name << ": " << file.error().to_string();
        EXPECT_NE(file.error().what().find(row.what), std::string::npos) << row.name << ": " << file.error().what();
        EXPECT_TRUE(file.error().where().byte_offset) << row.name;
    }
}

TEST(Elf, TheLastByteOfEachRangeIsInside) {
    const std::vector<std::function<void(std::vector<std::byte>&)>> rows = {
        contents<uint64_t>(5, 24 + 8, 0),     // a function that fills its section
        contents<uint64_t>(4, 0, 16),         // a relocation of the last instruction
        contents<uint32_t>(4, 12, 2),         // by the last symbol
        section<uint64_t>(2, 32, 1ull << 40)  // .bss takes no room in the file
    };
    for (size_t i = 0; i < rows.size(); ++i) {
        auto image = small().build();
        rows[i](image);
        const auto file = File::read(image);
        EXPECT_TRUE(file) << i << ": " << file.error().to_string();
    }
}

TEST(Elf, TwoRelocationsOfOneInstructionAreRefused) {
    Image image = small();
    image.relocation(1, 16, 10, 1);
    EXPECT_TRUE(File::read(image.build()));
    image.relocation(1, 16, 10, 2);
    EXPECT_FALSE(File::read(image.build()));
}

TEST(Elf, NamesMayNotOutgrowTheFile) {
    // Many symbols that share one long name.
    const auto with = [](size_t symbols) {
        Image image;
        for (size_t i = 0; i < symbols; ++i) image.symbol({i == 0 ? std::string(4000, 'x') : "y", type_object, 1, 0});
        auto bytes = image.build();
        const auto table = section_table(bytes);
        const auto symtab = load_le<uint64_t>(bytes.data() + table + 64 + 24);
        const auto name = load_le<uint32_t>(bytes.data() + symtab + 24);
        for (size_t i = 1; i < symbols; ++i) store_le<uint32_t>(bytes.data() + symtab + 24 * (i + 1), name);
        return bytes;
    };
    EXPECT_TRUE(File::read(with(4)));
    const auto file = File::read(with(1000));
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code(), Errc::LimitExceeded);
}

}  // namespace
}  // namespace skep::elf
