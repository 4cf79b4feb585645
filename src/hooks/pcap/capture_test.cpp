// SPDX-License-Identifier: Apache-2.0
// Captures built byte by byte; every refusal with its offset, and the case just inside it.
#include "hooks/pcap/capture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ranges>
#include <string>

#include "hooks/pcap/formats.hpp"

namespace skep::hooks {
namespace {

/// Bytes in one byte order.
class Builder {
  public:
    explicit Builder(ByteOrder order = ByteOrder::Little) : order_(order) {}
    Builder& u8(uint8_t value) { return add(value); }
    Builder& u16(uint16_t value) { return add(value); }
    Builder& u32(uint32_t value) { return add(value); }
    Builder& u64(uint64_t value) { return add(value); }
    Builder& text(std::string_view value, size_t pad_to = 1) {
        for (const char c : value) bytes_.push_back(static_cast<std::byte>(c));
        while (bytes_.size() % pad_to != 0) bytes_.push_back(std::byte{0});
        return *this;
    }
    Builder& append(const Builder& other) {
        bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
        return *this;
    }
    Builder& cut(size_t bytes) {
        bytes_.resize(bytes_.size() - bytes);
        return *this;
    }
    size_t size() const { return bytes_.size(); }
    Bytes bytes() const { return bytes_; }
    ByteOrder order() const { return order_; }

  private:
    template <typename T>
    Builder& add(T value) {
        std::byte out[sizeof(T)];
        store_le<T>(out, order_ == ByteOrder::Little ? value : std::byteswap(value));
        bytes_.insert(bytes_.end(), out, out + sizeof(T));
        return *this;
    }
    ByteOrder order_;
    std::vector<std::byte> bytes_;
};

Builder pcap(ByteOrder order, uint32_t magic = pcap_magic_us, uint32_t snaplen = 65535, uint32_t link = 1,
             uint16_t major = 2) {
    Builder file(order);
    file.u32(magic).u16(major).u16(4).u32(0).u32(0).u32(snaplen).u32(link);
    return file;
}

void record(Builder& file, uint32_t seconds, uint32_t fraction, std::string_view data, uint32_t original = 0) {
    file.u32(seconds).u32(fraction).u32(static_cast<uint32_t>(data.size()));
    file.u32(original != 0 ? original : static_cast<uint32_t>(data.size())).text(data);
}

/// A pcapng block around a body.
void block(Builder& file, uint32_t type, const Builder& body) {
    const auto length = static_cast<uint32_t>(12 + (body.size() + 3) / 4 * 4);
    file.u32(type).u32(length).append(body).text("", 4).u32(length);
}

Builder section(ByteOrder order, uint16_t major = 1) {
    Builder file(order), body(order);
    body.u32(byte_order_magic).u16(major).u16(0).u64(UINT64_MAX);
    block(file, block_section, body);
    return file;
}

void interface(Builder& file, uint16_t link = 1, uint32_t snaplen = 0, const Builder* options = nullptr) {
    Builder body(file.order());
    body.u16(link).u16(0).u32(snaplen);
    if (options != nullptr) body.append(*options);
    block(file, block_interface, body);
}

void enhanced(Builder& file, uint32_t number, uint64_t units, std::string_view data, uint32_t original = 0) {
    Builder body(file.order());
    body.u32(number).u32(static_cast<uint32_t>(units >> 32)).u32(static_cast<uint32_t>(units));
    body.u32(static_cast<uint32_t>(data.size()));
    body.u32(original != 0 ? original : static_cast<uint32_t>(data.size())).text(data, 4);
    block(file, block_enhanced_packet, body);
}

struct Seen {
    uint64_t time;
    std::string data;
    uint32_t original, link, interface;
    bool operator==(const Seen&) const = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
    *out << "{" << seen.time << ", \"" << seen.data << "\", " << seen.original << ", " << seen.link << ", "
         << seen.interface << "}";
}

struct Answer {
    std::vector<Seen> packets;
    std::string error;  ///< "" or "code-errno-name@offset"
};

Answer read_all(Result<CaptureReader> reader) {
    Answer answer;
    auto note = [&](const Error& error) {
        EXPECT_FALSE(error.what().empty());
        answer.error = std::string(errno_name(error.code())) + "@" +
                       (error.where().byte_offset ? std::to_string(*error.where().byte_offset) : "?");
    };
    if (!reader.ok()) {
        note(reader.error());
        return answer;
    }
    for (;;) {
        auto packet = reader->next();
        if (!packet.ok()) {
            note(packet.error());
            auto again = reader->next();
            EXPECT_FALSE(again.ok()) << "an error ends the capture";
            return answer;
        }
        if (!*packet) break;
        const Packet& p = **packet;
        answer.packets.push_back({p.timestamp_ns,
                                  std::string(reinterpret_cast<const char*>(p.bytes.data()), p.bytes.size()),
                                  p.original_length, p.link_type, p.interface_index});
    }
    EXPECT_EQ(reader->packets(), answer.packets.size());
    EXPECT_EQ(reader->position(), reader->size());
    return answer;
}

Answer read_all(const Builder& file) { return read_all(CaptureReader::over(file.bytes(), "built")); }

class TempFile {
  public:
    explicit TempFile(const std::string& name)
        : path_(std::filesystem::temp_directory_path() /
                ("skep_capture_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) + "_" +
                 std::to_string(reinterpret_cast<uintptr_t>(this)) + name)) {}
    ~TempFile() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }
    void write(Bytes bytes) const {
        std::ofstream file(path_, std::ios::binary);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }

  private:
    std::filesystem::path path_;
};

class BothOrders : public ::testing::TestWithParam<ByteOrder> {};
INSTANTIATE_TEST_SUITE_P(Capture, BothOrders, ::testing::Values(ByteOrder::Little, ByteOrder::Big),
                         [](const auto& info) { return info.param == ByteOrder::Little ? "little" : "big"; });

TEST_P(BothOrders, PcapGivesItsPackets) {
    for (const bool ns : {false, true}) {
        Builder file = pcap(GetParam(), ns ? pcap_magic_ns : pcap_magic_us, 100, 0xf0000000u | 101);
        record(file, 1, 999999, "first");
        record(file, 0xffffffff, 1, "", 60);
        record(file, 7, 0, "cut", 1500);
        const Answer answer = read_all(file);
        EXPECT_EQ(answer.error, "");
        const uint64_t unit = ns ? 1 : 1000;
        EXPECT_EQ(answer.packets, (std::vector<Seen>{{1000000000 + 999999 * unit, "first", 5, 101, 0},
                                                     {0xffffffffull * 1000000000 + unit, "", 60, 101, 0},
                                                     {7000000000, "cut", 1500, 101, 0}}));
    }
}

TEST_P(BothOrders, PcapngGivesItsPackets) {
    const ByteOrder order = GetParam();
    Builder file = section(order);
    interface(file, 1, 3);
    Builder ns(order);
    ns.u16(option_tsresol).u16(1).u8(9).text("", 4).u16(option_end).u16(0);
    interface(file, 101, 0, &ns);
    enhanced(file, 1, 5000000007, "raw");
    Builder other(order);
    block(file, 0x0bad, other.text("nobody knows this block"));
    enhanced(file, 0, 3000001, "micro", 60);
    Builder simple(order);
    block(file, block_simple_packet, simple.u32(5).text("fir", 4));
    Builder obsolete(order);
    obsolete.u16(1).u16(9).u32(0).u32(12).u32(4).u32(4).text("old!");
    block(file, block_packet, obsolete);
    // A second section has its own interfaces, and its own byte order.
    const ByteOrder turned = order == ByteOrder::Little ? ByteOrder::Big : ByteOrder::Little;
    Builder second = section(turned);
    interface(second, 113);
    enhanced(second, 0, 1, "x");
    file.append(second);
    const Answer answer = read_all(file);
    EXPECT_EQ(answer.error, "");
    EXPECT_EQ(answer.packets, (std::vector<Seen>{{5000000007, "raw", 3, 101, 1},
                                                 {3000001000, "micro", 60, 1, 0},
                                                 {0, "fir", 5, 1, 0},
                                                 {12, "old!", 4, 101, 1},
                                                 {1000, "x", 1, 113, 0}}));
}

TEST(Capture, PcapngTimesComeInEveryResolution) {
    struct Row {
        const char* name;
        int resolution;  // -1: no option
        int64_t offset;
        uint64_t units, ns;
        const char* error;
    };
    const Row rows[] = {
        {"microseconds unless said", -1, 0, 1500000, 1500000000, ""},
        {"seconds", 0, 0, 1500, 1500000000000, ""},
        {"milliseconds", 3, 0, 1500, 1500000000, ""},
        {"nanoseconds", 9, 0, UINT64_MAX - 2000000000, UINT64_MAX - 2000000000, ""},
        {"picoseconds", 12, 0, 1999, 1, ""},
        {"the finest decimal", 19, 0, 10000000000ull, 1, ""},
        {"finer than 64 bits", 20, 0, 1, 0, "EINVAL"},
        {"seconds in binary", 0x80, 0, 3, 3000000000, ""},
        {"1/1024 s", 0x8a, 0, 1536, 1500000000, ""},
        {"the finest binary", 0xbf, 0, uint64_t{1} << 62, 500000000, ""},
        {"binary finer than 64 bits", 0xc0, 0, 1, 0, "EINVAL"},
        {"an offset", 6, 100, 1, 100000001000, ""},
        {"back", 6, -1, 1500000, 500000000, ""},
        {"back before 1970", 6, -2, 1500000, 0, "EINVAL"},
        {"as far back as a number goes", 6, INT64_MIN, 1500000, 0, "EINVAL"},
        {"after 2554", 0, 0, 20000000000, 0, "EINVAL"},
        {"an offset after 2554", 6, INT64_MAX, 1, 0, "EINVAL"},
    };
    for (const Row& row : rows) {
        Builder file = section(ByteOrder::Little), options;
        if (row.resolution >= 0)
            options.u16(option_tsresol).u16(1).u8(static_cast<uint8_t>(row.resolution)).text("", 4);
        options.u16(option_tsoffset).u16(8).u64(static_cast<uint64_t>(row.offset));
        interface(file, 1, 0, &options);
        enhanced(file, 0, row.units, "x");
        const Answer answer = read_all(file);
        EXPECT_EQ(answer.error.substr(0, answer.error.find('@')), row.error) << row.name;
        if (*row.error != 0) continue;
        ASSERT_EQ(answer.packets.size(), 1u) << row.name;
        EXPECT_EQ(answer.packets[0].time, row.ns) << row.name;
    }
}

TEST(Capture, PcapIsRefusedWithItsOffset) {
    struct Row {
        const char* name;
        Builder file;
        const char* error;
        size_t packets;
    };
    auto file = [](auto... change) {
        Builder built = pcap(ByteOrder::Little);
        (change(built), ...);
        return built;
    };
    auto packet = [](Builder& b) { record(b, 1, 2, "data"); };
    auto length = [](uint32_t captured, size_t there) {
        return [=](Builder& b) { b.u32(1).u32(2).u32(captured).u32(captured).text(std::string(there, 'x')); };
    };
    const Row rows[] = {
        {"only a header", file(), "", 0},
        {"one packet", file(packet), "", 1},
        {"no bytes", Builder(), "EINVAL@0", 0},
        {"three bytes", Builder().text("\xd4\xc3\xb2"), "EINVAL@0", 0},
        {"text", Builder().text("hello, this is no capture"), "EINVAL@0", 0},
        {"patched libpcap", pcap(ByteOrder::Little, pcap_magic_modified), "EOPNOTSUPP@0", 0},
        {"header cut off", file([](Builder& b) { b.cut(1); }), "EINVAL@23", 0},
        {"version 1", pcap(ByteOrder::Little, pcap_magic_us, 65535, 1, 1), "EOPNOTSUPP@4", 0},
        {"version 3", pcap(ByteOrder::Little, pcap_magic_us, 65535, 1, 3), "EOPNOTSUPP@4", 0},
        {"packet header cut off", file(packet, [](Builder& b) { b.text("123456789012345"); }), "EINVAL@44", 1},
        {"packet cut off", file(packet, packet, [](Builder& b) { b.cut(1); }), "EINVAL@44", 1},
        {"packet cut off after its header", file(length(1, 0)), "EINVAL@24", 0},
        {"the largest packet", file(length(largest_captured_bytes, largest_captured_bytes)), "", 1},
        {"one byte more", file(length(largest_captured_bytes + 1, largest_captured_bytes + 1)), "EINVAL@32", 0},
        {"a length that lies", file(packet, length(UINT32_MAX, 10)), "EINVAL@52", 1},
    };
    for (const Row& row : rows) {
        const Answer answer = read_all(row.file);
        EXPECT_EQ(answer.error, row.error) << row.name;
        EXPECT_EQ(answer.packets.size(), row.packets) << row.name;
    }
}

TEST(Capture, PcapKeepsWithinTheSnaplenItAnnounces) {
    Builder file = pcap(ByteOrder::Little, pcap_magic_us, 4);
    record(file, 1, 0, "four");
    record(file, 1, 0, "fives", 9);
    record(file, 1, 0, "after");
    const Answer answer = read_all(file);
    EXPECT_EQ(answer.error, "");
    ASSERT_EQ(answer.packets.size(), 3u);
    EXPECT_EQ(answer.packets[0].data, "four");
    EXPECT_EQ(answer.packets[1].data, "five");
    EXPECT_EQ(answer.packets[1].original, 9u);
    EXPECT_EQ(answer.packets[2].data, "afte");
    EXPECT_EQ(answer.packets[2].original, 5u);
    Builder none = pcap(ByteOrder::Little, pcap_magic_us, 0);
    record(none, 1, 0, "all of it");
    EXPECT_EQ(read_all(none).packets.at(0).data, "all of it") << "0 says no limit";
}

TEST(Capture, PcapngIsRefusedWithItsOffset) {
    struct Row {
        const char* name;
        Builder file;
        const char* error;
        size_t packets;
    };
    constexpr ByteOrder le = ByteOrder::Little;
    // The section takes bytes 0-27, a plain interface 28-47.
    auto file = [](auto... change) {
        Builder built = section(le);
        interface(built);
        (change(built), ...);
        return built;
    };
    auto packet = [](Builder& b) { enhanced(b, 0, 0, "data"); };  // 36 bytes
    auto raw_block = [](uint32_t type, uint32_t length, uint32_t again, size_t body) {
        return [=](Builder& b) { b.u32(type).u32(length).text(std::string(body, '\0')).u32(again); };
    };
    auto options = [](uint16_t code, uint16_t length, size_t there) {
        return [=](Builder& b) {
            Builder list;
            list.u16(code).u16(length).text(std::string(there, '\1'), 4);
            interface(b, 1, 0, &list);
        };
    };
    auto captured = [](uint32_t type, uint32_t says, size_t there) {
        return [=](Builder& b) {
            Builder body;
            if (type == block_simple_packet)
                body.u32(says);
            else
                body.u32(0).u32(0).u32(0).u32(says).u32(says);
            body.text(std::string(there, 'x'), 4);
            block(b, type, body);
        };
    };
    const Row rows[] = {
        {"a section alone", section(le), "", 0},
        {"one packet", file(packet), "", 1},
        {"section cut off", section(le).cut(5), "EINVAL@23", 0},
        {"no byte order", Builder().u32(block_section).u32(28).u32(7).u32(0).u64(0).u32(28), "EINVAL@8", 0},
        {"version 2", section(le, 2), "EOPNOTSUPP@12", 0},
        {"section shorter than itself",
         Builder().u32(block_section).u32(24).u32(byte_order_magic).u32(1).u64(0).u32(24), "EINVAL@4", 0},
        {"section of odd length", Builder().u32(block_section).u32(30).u32(byte_order_magic).u32(1).u64(0).u32(30),
         "EINVAL@4", 0},
        {"section's lengths differ", Builder().u32(block_section).u32(28).u32(byte_order_magic).u32(1).u64(0).u32(32),
         "EINVAL@24", 0},
        {"section longer than the file",
         Builder().u32(block_section).u32(32).u32(byte_order_magic).u32(1).u64(0).u32(28), "EINVAL@28", 0},
        {"block head cut off", file([](Builder& b) { b.u32(6).u16(1); }), "EINVAL@48", 0},
        {"block shorter than its frame", file(raw_block(77, 8, 8, 0)), "EINVAL@52", 0},
        {"the smallest block", file(raw_block(77, 12, 12, 0), packet), "", 1},
        {"block of odd length", file(raw_block(77, 14, 14, 2)), "EINVAL@52", 0},
        {"block's lengths differ", file(raw_block(77, 12, 16, 0)), "EINVAL@56", 0},
        {"packet's lengths differ", file(packet, [](Builder& b) { b.cut(4).u32(40); }), "EINVAL@80", 0},
        {"unknown block cut off", file(raw_block(77, 1u << 31, 0, 40)), "EINVAL@48", 0},
        {"packet cut off", file(packet, packet, [](Builder& b) { b.cut(4); }), "EINVAL@84", 1},
        {"a block too large to read", file(raw_block(6, 1u << 21, 0, 40)), "E2BIG@52", 0},
        {"packet body too short", file(raw_block(6, 28, 28, 16)), "EINVAL@48", 0},
        {"simple packet body too short", file(raw_block(3, 12, 12, 0)), "EINVAL@48", 0},
        {"interface body too short", file(raw_block(1, 16, 16, 4)), "EINVAL@48", 0},
        {"unknown interface", file([](Builder& b) { enhanced(b, 1, 0, "data"); }), "EINVAL@48", 0},
        {"simple packet without interface", section(le).append([] {
             Builder b;
             block(b, block_simple_packet, Builder().u32(0));
             return b;
         }()),
         "EINVAL@28", 0},
        {"packet beyond its block", file(captured(block_enhanced_packet, 9, 8)), "EINVAL@68", 0},
        {"packet that fills its block", file(captured(block_enhanced_packet, 8, 8)), "", 1},
        {"simple packet beyond its block", file(captured(block_simple_packet, 9, 8)), "EINVAL@56", 0},
        {"the largest packet", file(captured(block_enhanced_packet, largest_captured_bytes, largest_captured_bytes)),
         "", 1},
        {"one byte more", file(captured(block_enhanced_packet, largest_captured_bytes + 1, largest_captured_bytes + 4)),
         "EINVAL@68", 0},
        {"option beyond its block", file(options(2, 9, 8)), "EINVAL@64", 0},
        {"option that fills its block", file(options(2, 8, 8)), "", 0},
        {"time resolution of two bytes", file(options(option_tsresol, 2, 2)), "EINVAL@64", 0},
        {"time offset of four bytes", file(options(option_tsoffset, 4, 4)), "EINVAL@64", 0},
    };
    for (const Row& row : rows) {
        const Answer answer = read_all(row.file);
        EXPECT_EQ(answer.error, row.error) << row.name;
        EXPECT_EQ(answer.packets.size(), row.packets) << row.name;
    }
}

// Wherever a good capture is cut, the reader ends in an error or with fewer packets, and all it gave were right.
TEST(Capture, EveryCutIsNoticedOrClean) {
    Builder classic = pcap(ByteOrder::Big, pcap_magic_ns);
    record(classic, 1, 2, "one");
    record(classic, 3, 4, "two two");
    Builder next = section(ByteOrder::Big);
    interface(next);
    enhanced(next, 0, 1, "one");
    enhanced(next, 0, 2, "two two");
    for (const Builder* file : {&classic, &next}) {
        const Answer whole = read_all(*file);
        ASSERT_EQ(whole.packets.size(), 2u);
        size_t clean = 0;
        for (size_t bytes = 0; bytes < file->size(); ++bytes) {
            const Answer part = read_all(CaptureReader::over(file->bytes().first(bytes), "cut"));
            ASSERT_LT(part.packets.size(), 2u) << bytes;
            ASSERT_TRUE(std::ranges::equal(part.packets, whole.packets | std::views::take(part.packets.size())));
            clean += part.error.empty();
        }
        EXPECT_EQ(clean, file == &classic ? 2u : 3u) << "after each whole record or block only";
    }
}

TEST(Capture, FilesReadAsMemoryDoes) {
    // More than the window holds at once, with records of many sizes.
    Builder file = pcap(ByteOrder::Little, pcap_magic_ns, largest_captured_bytes);
    for (uint32_t i = 0; i < 400; ++i)
        record(file, i, i, std::string(i % 7 == 0 ? 60000 + i : i, static_cast<char>('a' + i % 26)));
    const TempFile temp("read.pcap");
    temp.write(file.bytes());
    const Answer from_memory = read_all(file);
    const Answer from_file = read_all(CaptureReader::open(temp.path()));
    EXPECT_EQ(from_memory.packets.size(), 400u);
    EXPECT_EQ(from_file.error, "");
    EXPECT_TRUE(from_memory.packets == from_file.packets);

    EXPECT_EQ(read_all(CaptureReader::open(temp.path() / "absent")).error, "EIO@?");
    EXPECT_EQ(read_all(CaptureReader::open(std::filesystem::temp_directory_path())).error, "EIO@?");
}

TEST(Capture, WhatIsWrittenReadsBack) {
    for (const bool ns : {false, true}) {
        const TempFile temp("write.pcap");
        auto writer = CaptureWriter::create(temp.path(), {.link_type = 101, .snaplen = 6, .nanoseconds = ns});
        ASSERT_TRUE(writer.ok());
        Packet packet;
        packet.link_type = 101;
        packet.timestamp_ns = 1700000000123456789;
        packet.bytes = as_bytes("sixsix");
        packet.original_length = 3;
        ASSERT_TRUE(writer->write(packet).ok());
        packet.bytes = as_bytes("sevense");
        packet.original_length = 1500;
        packet.timestamp_ns = uint64_t{UINT32_MAX} * 1000000000 + 999999999;
        ASSERT_TRUE(writer->write(packet).ok());
        packet.timestamp_ns += 1;
        EXPECT_EQ(writer->write(packet).error().code(), Errc::Overflow) << "2106";
        packet.timestamp_ns = 0;
        packet.link_type = 1;
        EXPECT_EQ(writer->write(packet).error().code(), Errc::InvalidArgument);
        EXPECT_EQ(writer->packets(), 2u);
        ASSERT_TRUE(writer->close().ok());
        const Answer answer = read_all(CaptureReader::open(temp.path()));
        EXPECT_EQ(answer.error, "");
        const uint64_t lost = ns ? 0 : 789, lost_last = ns ? 0 : 999;
        EXPECT_EQ(
            answer.packets,
            (std::vector<Seen>{{1700000000123456789 - lost, "sixsix", 6, 101, 0},
                               {uint64_t{UINT32_MAX} * 1000000000 + 999999999 - lost_last, "sevens", 1500, 101, 0}}));
    }
    const TempFile temp("options.pcap");
    EXPECT_EQ(CaptureWriter::create(temp.path(), {.snaplen = 0}).error().code(), Errc::InvalidArgument);
    EXPECT_EQ(CaptureWriter::create(temp.path(), {.snaplen = largest_captured_bytes + 1}).error().code(),
              Errc::InvalidArgument);
    EXPECT_EQ(CaptureWriter::create(temp.path() / "no" / "such", {}).error().code(), Errc::CannotRead);
}

TEST(Capture, AFullDiskIsTold) {
    if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this host has no /dev/full";
    auto writer = CaptureWriter::create("/dev/full");
    if (!writer.ok()) return;  // told at once: as good
    const std::string data(100000, 'x');
    Packet packet;
    packet.bytes = as_bytes(data);
    const bool written = writer->write(packet).ok();
    EXPECT_FALSE(written && writer->close().ok());
}

TEST(Capture, TcpdumpReadsTheSame) {
    if (std::system("command -v tcpdump >/dev/null 2>&1") != 0) GTEST_SKIP() << "tcpdump is not installed";
    const TempFile temp("tcpdump.pcap");
    auto writer = CaptureWriter::create(temp.path());
    ASSERT_TRUE(writer.ok());
    constexpr int count = 25;
    std::vector<std::string> frames;
    for (int i = 0; i < count; ++i) {
        // An Ethernet frame of an experimental type.
        std::string frame(12, static_cast<char>(i));
        frame += "\x88\xb5";
        frame += std::string(static_cast<size_t>(46 + i * 53), static_cast<char>('a' + i));
        frames.push_back(frame);
    }
    for (int i = 0; i < count; ++i) {
        Packet packet;
        packet.timestamp_ns = 1000000000ull * static_cast<uint64_t>(i + 1) + 123456789;
        packet.bytes = as_bytes(frames[static_cast<size_t>(i)]);
        ASSERT_TRUE(writer->write(packet).ok());
    }
    ASSERT_TRUE(writer->close().ok());

    // tcpdump writes what it read, in microseconds; reading that gives the same packets.
    const TempFile copy("copy.pcap");
    const std::string command = "tcpdump -r " + temp.path().string() + " -w " + copy.path().string() + " 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    const Answer answer = read_all(CaptureReader::open(copy.path()));
    EXPECT_EQ(answer.error, "");
    ASSERT_EQ(answer.packets.size(), static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
        EXPECT_EQ(answer.packets[static_cast<size_t>(i)].data, frames[static_cast<size_t>(i)]);
        EXPECT_EQ(answer.packets[static_cast<size_t>(i)].time / 1000,
                  1000000ull * static_cast<uint64_t>(i + 1) + 123456);
    }
}

}  // namespace
}  // namespace skep::hooks
