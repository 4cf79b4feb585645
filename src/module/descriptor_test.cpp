// SPDX-License-Identifier: Apache-2.0
#include "module/descriptor.hpp"

#include <gtest/gtest.h>

#include "base/sha256.hpp"
#include "module/tlv.hpp"
#include "skep/native_module.h"

namespace skep::module {
namespace {

Contract sample_contract() {
    Contract c;
    c.runtime_abi = SKEP_RUNTIME_CONTEXT_ABI;
    c.module_abi = SKEP_NATIVE_MODULE_ABI;
    const auto lookup = platform::HelperId::MapLookupElem;
    c.helpers = {{platform::helper_name(lookup), prototype_of(lookup)}};
    c.fields = {{"Xdp.data", 0, 8, true, false}};
    MapNeed map;
    map.name = "counters";
    map.type = "array";
    map.key_bytes = 4;
    map.value_bytes = 16;
    map.max_entries = 7;
    map.layout = MapLayoutKind::Array;
    map.mask = 7;
    map.stride = 16;
    c.maps = {map};
    c.program_types = {"xdp"};
    return c;
}

Descriptor sample() {
    Descriptor d;
    d.target = "linux-x86_64";
    d.cpu = "baseline";
    d.generator = "skep 0";
    d.compiler = "a compiler";
    d.flags = "-O2";
    d.verifier = "none";
    d.object_name = "prog.o";
    d.object = {std::byte{1}, std::byte{2}, std::byte{3}};
    ModuleProgram program;
    program.name = "firewall";
    program.section = "xdp";
    program.type = "xdp";
    program.symbol = "skep_entry_0";
    program.instructions = 12;
    program.cost = {100, 2, 64};
    program.certificate = {std::byte{9}};
    d.programs = {program, program};
    d.wanted = {"firewall"};
    d.personality = "windows";
    btf::CoreAnswer moved, missing;
    moved.before = 8;
    moved.after = 16;
    moved.before_bytes = moved.after_bytes = 4;
    missing.absent = true;
    missing.check_before = missing.resizable = false;
    d.core_answers = {{"firewall", {moved, missing}}, {"other", {moved}}};
    d.core_types = "BTF 00";
    d.kernel_values = {{"CONFIG_HZ", "250"}, {"CONFIG_NOBODY", ""}};
    d.contract = sample_contract();
    return d;
}

Descriptor without_adaptation() {
    Descriptor d = sample();
    d.core_answers.clear();
    d.core_types.clear();
    d.kernel_values.clear();
    d.personality.clear();
    return d;
}

/// Sets size and checksum of the header anew.
Buffer sealed(Buffer bytes) {
    store_le(bytes.data() + 16, static_cast<uint64_t>(bytes.size()));
    Sha256 hash;
    const auto header = load_le<uint32_t>(bytes.data() + 12);
    hash.update(bytes.data() + header, bytes.size() - header);
    hash.finish(reinterpret_cast<uint8_t*>(bytes.data() + 24));
    return bytes;
}

Buffer with_part(uint16_t type, uint16_t flags) {
    Writer writer;
    writer.bytes = encode(sample());
    writer.part(type, flags, "new");
    return sealed(std::move(writer.bytes));
}

TEST(Descriptor, IsReadAsItWasWritten) {
    const auto read = decode_descriptor(encode(sample()));
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(*read, sample());
}

TEST(Descriptor, NoByteCanChangeAndNoneBeMissing) {
    const Buffer good = encode(sample());
    for (size_t i = 0; i < good.size(); ++i) {
        Buffer bad = good;
        bad[i] ^= std::byte{1};
        // The last 8 bytes of the header are for newer makers.
        if (i >= 56 && i < 64) continue;
        EXPECT_FALSE(decode_descriptor(bad)) << "byte " << i;
    }
    for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(decode_descriptor(Bytes(good).first(size))) << size;
}

/// A reader that takes damaged bytes understood them: what it says of them can be written and read again.
void expect_understood(const Buffer& bytes, const std::string& what) {
    const auto read = decode_descriptor(sealed(bytes));
    if (!read) return;
    const auto again = decode_descriptor(encode(*read));
    ASSERT_TRUE(again) << what << ": " << again.error().to_string();
    EXPECT_EQ(*again, *read) << what;
}

TEST(Descriptor, DamageBehindARightChecksumIsRefusedOrUnderstood) {
    const Buffer good = encode(sample());
    for (size_t i = descriptor_header_bytes; i < good.size(); ++i) {
        for (const unsigned flip : {1u, 2u, 0x80u, 0xffu}) {
            Buffer bad = good;
            bad[i] ^= static_cast<std::byte>(flip);
            expect_understood(bad, "byte " + std::to_string(i));
        }
    }
    for (size_t size = descriptor_header_bytes; size < good.size(); ++size)
        expect_understood(Buffer(good.begin(), good.begin() + static_cast<ptrdiff_t>(size)), std::to_string(size));
}

TEST(Descriptor, AnUnknownPartIsIgnoredUnlessItIsCritical) {
    const auto optional = decode_descriptor(with_part(100, 0));
    ASSERT_TRUE(optional) << optional.error().to_string();
    EXPECT_EQ(*optional, sample());
    const auto critical = decode_descriptor(with_part(100, tlv_critical));
    ASSERT_FALSE(critical);
    EXPECT_EQ(critical.error().code(), Errc::Unsupported);
    EXPECT_NE(critical.error().what().find("needs part 100"), std::string::npos) << critical.error().what();
}

TEST(Descriptor, PartsAreSortedAndDoNotRepeat) {
    EXPECT_FALSE(decode_descriptor(with_part(1, 0)));
    EXPECT_FALSE(decode_descriptor(with_part(11, 0)));  // after 15
    const Descriptor plain = without_adaptation();
    Writer writer;
    writer.bytes = encode(plain);
    writer.part(12, tlv_critical, "another");
    EXPECT_TRUE(decode_descriptor(sealed(std::move(writer.bytes))));
}

TEST(Descriptor, AnswersToRelocationsAreWholeInOrderAndKnown) {
    Descriptor plain = without_adaptation();
    const auto with_answers = [&](const char* name, uint32_t count, uint8_t bits, size_t bytes) {
        Writer value, out;
        value.text(name);
        value.number(count);
        value.number(bits);
        value.bytes.resize(value.bytes.size() + bytes);
        out.bytes = encode(plain);
        out.part(13, tlv_critical, value.bytes);
        return decode_descriptor(sealed(std::move(out.bytes)));
    };
    EXPECT_TRUE(with_answers("p", 1, 7, 24));
    EXPECT_FALSE(with_answers("p", 1, 8, 24));  // a bit that means nothing yet
    EXPECT_FALSE(with_answers("p", 1, 7, 23));
    EXPECT_FALSE(with_answers("p", 2, 7, 24));
    EXPECT_FALSE(with_answers("p", UINT32_MAX, 7, 24));
    plain.core_answers = {{"q", {}}};
    EXPECT_FALSE(with_answers("p", 1, 7, 24));  // after q
    EXPECT_FALSE(with_answers("q", 1, 7, 24));  // q again
    EXPECT_TRUE(with_answers("r", 1, 7, 24));
}

TEST(Descriptor, KernelConfigurationIsWholeInOrderAndText) {
    const auto with_values = [](std::vector<std::pair<const char*, const char*>> values, uint32_t count) {
        Writer value, out;
        value.number(count);
        for (const auto& [name, text] : values) {
            value.text(name);
            value.text(text);
        }
        out.bytes = encode(without_adaptation());
        out.part(15, tlv_critical, value.bytes);
        return decode_descriptor(sealed(std::move(out.bytes)));
    };
    const auto read = with_values({{"A", "y"}, {"B", ""}}, 2);
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(read->kernel_values, (runtime::KernelValues{{"A", "y"}, {"B", ""}}));
    EXPECT_TRUE(with_values({}, 0));
    EXPECT_FALSE(with_values({{"A", "y"}}, 2));
    EXPECT_FALSE(with_values({{"A", "y"}}, UINT32_MAX));
    EXPECT_FALSE(with_values({{"B", "y"}, {"A", "y"}}, 2));
    EXPECT_FALSE(with_values({{"A", "y"}, {"A", "n"}}, 2));
    EXPECT_FALSE(with_values({{"", "y"}}, 1));
    EXPECT_FALSE(with_values({{"A", "\x1b[2J"}}, 1));
    EXPECT_FALSE(with_values({{"A\n", "y"}}, 1));
}

TEST(Descriptor, ALongerHeaderAndALongerPartOfANewerMakerAreRead) {
    Buffer bytes = encode(sample());
    bytes.insert(bytes.begin() + descriptor_header_bytes, 8, std::byte{7});
    store_le(bytes.data() + 12, uint32_t{descriptor_header_bytes + 8});
    const auto read = decode_descriptor(sealed(bytes));
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(*read, sample());
    store_le(bytes.data() + 8, uint32_t{2});
    EXPECT_FALSE(decode_descriptor(sealed(bytes)));  // another format
}

TEST(Contract, IsReadAsItWasWritten) {
    const auto read = decode_contract(encode(sample_contract()));
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(*read, sample_contract());
    Writer writer;
    writer.bytes = encode(sample_contract());
    const size_t known = writer.bytes.size();
    writer.part(100, 0, "");
    EXPECT_TRUE(decode_contract(writer.bytes));
    writer.bytes.resize(known);
    writer.part(100, tlv_critical, "");
    EXPECT_FALSE(decode_contract(writer.bytes));
}

TEST(Contract, EveryDifferenceIsNamed) {
    const Contract good = sample_contract();
    EXPECT_TRUE(differences(good, &good).empty());
    struct Case {
        const char* words;
        void (*change)(Contract&);
    };
    const Case cases[] = {
        {"run-time context abi", [](Contract& c) { ++c.runtime_abi; }},
        {"native module abi", [](Contract& c) { ++c.module_abi; }},
        {"version of the layout of arrays", [](Contract& c) { ++c.layout_version; }},
        {"program type flying: nothing here runs such programs", [](Contract& c) { c.program_types[0] = "flying"; }},
        {"helper map_lookup_elem: the module takes it for", [](Contract& c) { c.helpers[0].prototype = "x"; }},
        {"helper fly: this host does not know it", [](Contract& c) { c.helpers[0].name = "fly"; }},
        {"context field Xdp.data: the module has 4 bytes at 0", [](Contract& c) { c.fields[0].bytes = 4; }},
        {"context field Xdp.data: the module has 8 bytes at 8", [](Contract& c) { c.fields[0].offset = 8; }},
        {"context field Xdp.wings: this host does not know it", [](Contract& c) { c.fields[0].name = "Xdp.wings"; }},
        {"map counters", [](Contract& c) { c.maps[0].stride = 24; }},
        {"map counters", [](Contract& c) { c.maps[0].max_entries = 8; }},
        {"map counters", [](Contract& c) { c.maps.clear(); }},
    };
    for (const Case& one : cases) {
        Contract other = good;
        one.change(other);
        const auto lines = differences(other, &good);
        ASSERT_FALSE(lines.empty()) << one.words;
        bool found = false;
        for (const std::string& line : lines) found |= line.find(one.words) != std::string::npos;
        EXPECT_TRUE(found) << one.words << "; said: " << lines[0];
    }
}

}  // namespace
}  // namespace skep::module
