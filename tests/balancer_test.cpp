// SPDX-License-Identifier: Apache-2.0
// The example load balancer as a user sees it: where packets go, that answers come back under the virtual address, that
// every checksum it mended is right, and that a backend which leaves moves nobody else's clients.
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "hooks/packet/packet_session.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep {
namespace {

using Frame = std::string;

uint8_t byte_at(const Frame& f, size_t i) { return static_cast<uint8_t>(f[i]); }
uint16_t be16(const Frame& f, size_t i) { return static_cast<uint16_t>(byte_at(f, i) << 8 | byte_at(f, i + 1)); }
uint32_t be32(const Frame& f, size_t i) { return uint32_t{be16(f, i)} << 16 | be16(f, i + 2); }
void put16(Frame& f, size_t i, uint16_t v) { f[i] = static_cast<char>(v >> 8), f[i + 1] = static_cast<char>(v); }
void put32(Frame& f, size_t i, uint32_t v) {
    put16(f, i, static_cast<uint16_t>(v >> 16)), put16(f, i + 2, static_cast<uint16_t>(v));
}

/// RFC 1071 over [from, to), added to `sum`, not complemented.
uint32_t add_words(const Frame& f, size_t from, size_t to, uint32_t sum) {
    for (size_t i = from; i < to; i += 2) sum += i + 1 < to ? be16(f, i) : static_cast<uint32_t>(byte_at(f, i) << 8);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}
constexpr size_t ip = 14, l4 = 34;
uint32_t l4_sum(const Frame& f) {
    const auto protocol = byte_at(f, ip + 9);
    return add_words(f, l4, f.size(), add_words(f, ip + 12, ip + 20, protocol + static_cast<uint32_t>(f.size() - l4)));
}
size_t check_at(const Frame& f) { return l4 + (byte_at(f, ip + 9) == 6 ? 16 : 6); }

/// A frame with right checksums (UDP: none if `summed` is false).
Frame frame(uint8_t protocol, uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port, bool summed = true) {
    const size_t header = protocol == 6 ? 20 : 8;
    Frame f(l4 + header + 5, '\0');
    f.replace(0, 14, std::string("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00", 14));
    f[ip] = 0x45, f[ip + 8] = 64, f[ip + 9] = static_cast<char>(protocol);
    put16(f, ip + 2, static_cast<uint16_t>(f.size() - ip));
    put32(f, ip + 12, from), put32(f, ip + 16, to);
    put16(f, ip + 10, static_cast<uint16_t>(~add_words(f, ip, l4, 0)));
    put16(f, l4, from_port), put16(f, l4 + 2, to_port);
    if (protocol == 6) f[l4 + 12] = 0x50;
    if (protocol == 17) put16(f, l4 + 4, static_cast<uint16_t>(header + 5));
    f.replace(l4 + header, 5, "honey");
    if (summed) put16(f, check_at(f), static_cast<uint16_t>(~l4_sum(f)));
    return f;
}

constexpr uint32_t vip = 0x0a4d0002, client = 0x0a4d000a, other_net = 0x0a4d0015;

class Balancer : public testing::Test {
  protected:
    void SetUp() override {
        std::ifstream in(SKEP_BINARY_DIR "/examples/balancer.bpf.o", std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        if (bytes.empty()) GTEST_SKIP() << "the examples were not built";
        if (runtime::available_engines().empty()) GTEST_SKIP() << "no engine in this build";
        auto spec = object::read_object(as_bytes(bytes), "balancer");
        ASSERT_TRUE(spec.ok());
        runtime::LoadOptions options;
        options.engine = runtime::available_engines().front();
        options.allow_unverified = true;
        auto object =
            runtime::LoadedObject::load(std::make_shared<const object::ObjectSpec>(*std::move(spec)), options);
        ASSERT_TRUE(object.ok()) << object.error().to_string();
        object_ = *std::move(object);
        auto session =
            hooks::PacketSession::open(object_->lanes(), platform::ProgramType::Xdp, platform::Personality::Linux, {});
        ASSERT_TRUE(session.ok());
        session_ = *std::move(session);
        add_service(80, 6), add_service(53, 17);
        for (uint32_t n = 0; n < 4; ++n) set_backend(n, 0);
    }

    void write(const char* map, const std::string& key, const std::string& value) {
        maps::Map* m = object_->map(object_->spec().find_map(map));
        ASSERT_NE(m, nullptr);
        ASSERT_EQ(key.size(), m->def().key_size);
        ASSERT_EQ(value.size(), m->def().value_size);
        ASSERT_TRUE(m->write(key.data(), value.data(), 0, session_->lane()).ok());
    }
    static std::string le(uint64_t value, size_t bytes) {
        std::string out;
        for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
        return out;
    }
    static std::string address(uint32_t value) {
        std::string out(4, '\0');
        put32(out, 0, value);
        return out;
    }
    void add_service(uint16_t port, uint8_t protocol) {
        write("services", address(vip) + le(port, 2) + le(protocol, 1) + le(0, 1), le(1, 4) + le(0, 4) + le(4, 4));
    }
    /// Backend n: 10.77.0.(21 + n), port 8080 + n, MAC 02:00:00:00:01:n.
    void set_backend(uint32_t n, uint32_t drained) {
        write("backends", le(n, 4),
              address(other_net + n) + le(8080 + n, 2) + std::string("\x02\0\0\0\x01", 5) + le(n, 1) + le(drained, 4));
    }
    /// The verdict, and the frame as it left.
    platform::Verdict run(const Frame& in, Frame* out) {
        const skep_entry entry = object_->find("balancer")->program->entry();
        const hooks::PacketResult result = session_->run(entry, as_bytes(in));
        EXPECT_EQ(result.fault, 0u);
        out->assign(reinterpret_cast<const char*>(result.packet.data()), result.packet.size());
        return result.outcome.verdict;
    }

    std::unique_ptr<runtime::LoadedObject> object_;
    std::unique_ptr<hooks::PacketSession> session_;
};

TEST_F(Balancer, AClientReachesABackendAndItsAnswerComesBackUnderTheVirtualAddress) {
    for (uint8_t protocol : {uint8_t{6}, uint8_t{17}}) {
        const uint16_t port = protocol == 6 ? 80 : 53;
        for (uint16_t client_port = 40000; client_port < 40200; ++client_port) {
            Frame there, back;
            ASSERT_EQ(run(frame(protocol, client, client_port, vip, port), &there), platform::Verdict::XdpTx);
            const uint32_t n = be32(there, ip + 16) - other_net;
            ASSERT_LT(n, 4u);
            EXPECT_EQ(be16(there, l4 + 2), 8080 + n);
            EXPECT_EQ(there.substr(0, 6), std::string("\x02\0\0\0\x01", 5) + static_cast<char>(n));
            EXPECT_EQ(be32(there, ip + 12), client);
            EXPECT_EQ(add_words(there, ip, l4, 0), 0xffffu) << "IPv4 checksum";
            EXPECT_EQ(l4_sum(there), 0xffffu) << "transport checksum";
            EXPECT_EQ(there.substr(there.size() - 5), "honey");

            Frame answer = frame(protocol, be32(there, ip + 16), be16(there, l4 + 2), client, client_port);
            ASSERT_EQ(run(answer, &back), platform::Verdict::XdpTx);
            EXPECT_EQ(be32(back, ip + 12), vip);
            EXPECT_EQ(be16(back, l4), port);
            EXPECT_EQ(be32(back, ip + 16), client);
            EXPECT_EQ(back.substr(0, 6), std::string("\x02\0\0\0\0\x01", 6)) << "to the client's MAC";
            EXPECT_EQ(add_words(back, ip, l4, 0), 0xffffu);
            EXPECT_EQ(l4_sum(back), 0xffffu);
        }
    }
}

TEST_F(Balancer, WhatIsNoServiceAndNoAnswerPassesUntouched) {
    Frame out;
    for (const Frame& in : {frame(6, client, 40000, vip, 81), frame(17, client, 40000, vip, 80),
                            frame(6, client, 40000, vip + 1, 80), frame(6, other_net, 8080, client, 40000)}) {
        EXPECT_EQ(run(in, &out), platform::Verdict::XdpPass);
        EXPECT_EQ(out, in);
    }
    Frame fragment = frame(6, client, 40000, vip, 80);
    fragment[ip + 6] = 0x20;  // more fragments
    EXPECT_EQ(run(fragment, &out), platform::Verdict::XdpPass);
    EXPECT_EQ(run(frame(6, client, 40000, vip, 80).substr(0, l4 + 19), &out), platform::Verdict::XdpPass);
}

TEST_F(Balancer, AnUnsummedDatagramStaysUnsummed) {
    Frame out;
    ASSERT_EQ(run(frame(17, client, 40000, vip, 53, false), &out), platform::Verdict::XdpTx);
    EXPECT_EQ(be16(out, l4 + 6), 0);
}

TEST_F(Balancer, ABackendThatLeavesMovesItsOwnClientsOnly) {
    std::map<uint16_t, uint32_t> before;
    std::map<uint32_t, int> load;
    Frame out;
    for (uint16_t port = 1024; port < 3024; ++port) {
        ASSERT_EQ(run(frame(6, client, port, vip, 80), &out), platform::Verdict::XdpTx);
        before[port] = be32(out, ip + 16) - other_net;
        ++load[before[port]];
    }
    for (const auto& [n, clients] : load) EXPECT_GT(clients, 300) << "backend " << n << " of four, 2000 clients";
    set_backend(2, 1);
    for (const auto& [port, n] : before) {
        ASSERT_EQ(run(frame(6, client, port, vip, 80), &out), platform::Verdict::XdpTx);
        const uint32_t now = be32(out, ip + 16) - other_net;
        if (n == 2) {
            EXPECT_NE(now, 2u);
        } else {
            EXPECT_EQ(now, n) << "port " << port;
        }
    }
    for (uint32_t n : {0u, 1u, 3u}) set_backend(n, 1);
    EXPECT_EQ(run(frame(6, client, 5000, vip, 80), &out), platform::Verdict::XdpDrop);
}

}  // namespace
}  // namespace skep
