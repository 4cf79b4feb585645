// SPDX-License-Identifier: Apache-2.0
#include "platform/context.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#if __has_include(<linux/bpf.h>)
#include <linux/bpf.h>
#define SKEP_TEST_HAS_LINUX_BPF_H 1
#endif

namespace skep::platform {
namespace {

TEST(Context, RowsStandInTheOrderOfTheirIds) {
    uint16_t i = 0;
    for (const FieldRow& row : context_fields()) EXPECT_EQ(static_cast<uint16_t>(row.id), i++) << row.name;
}

TEST(Context, LinuxRowsAreSortedAndDoNotOverlap) {
    const FieldRow* last = nullptr;
    for (const FieldRow& row : context_fields()) {
        if (last != nullptr && last->context == row.context) {
            EXPECT_LE(last->linux_offset + last->linux_bytes, row.linux_offset) << row.name;
        }
        last = &row;
    }
}

TEST(Context, AHoleSaysWhyAndAFieldHasAHost) {
    for (const FieldRow& row : context_fields()) {
        EXPECT_EQ(row.hole != nullptr, row.host_bytes == 0) << row.name;
        EXPECT_EQ(row.hole == nullptr, row.readers != 0) << row.name;
        EXPECT_EQ(row.writers & ~row.readers, 0u) << row.name << ": writable but not readable";
        if (row.kind != FieldKind::Scalar && row.hosted) {
            EXPECT_EQ(row.host_bytes, sizeof(void*)) << row.name;
        }
    }
}

TEST(Context, NoHostFieldReachesIntoAnother) {
    for (const FieldRow& a : context_fields()) {
        for (const FieldRow& b : context_fields()) {
            if (&a == &b || a.context != b.context || a.hole != nullptr || b.hole != nullptr) continue;
            if (a.kind != FieldKind::Scalar || !a.hosted || !b.hosted) continue;
            // What a load of the program's width takes along behind a narrower field is its own zeros.
            const int end = a.host_offset + std::max(a.host_bytes, a.linux_bytes);
            EXPECT_TRUE(end <= b.host_offset || b.host_offset + b.host_bytes <= a.host_offset)
                << a.name << ", " << b.name;
        }
    }
}

TEST(Context, WindowsXdpLayoutIsThatOfXdpMdT) {
    EXPECT_EQ(context_field(FieldId::XdpData).windows_bytes, 8);
    EXPECT_EQ(context_field(FieldId::XdpDataEnd).windows_offset, 8);
    EXPECT_EQ(context_field(FieldId::XdpDataMeta).windows_offset, 16);
    EXPECT_EQ(context_field(FieldId::XdpIngressIfindex).windows_offset, 24);
    EXPECT_EQ(context_field(FieldId::XdpIngressIfindex).windows_bytes, 4);
    EXPECT_EQ(context_field(FieldId::XdpRxQueueIndex).windows_bytes, 0);
    EXPECT_EQ(context_bytes(ContextKind::Xdp, Personality::Windows), 32u);
}

TEST(Context, LinuxOffsetsAreThoseOfLinuxBpfH) {
#ifdef SKEP_TEST_HAS_LINUX_BPF_H
    const auto check = [](FieldId id, size_t offset, size_t bytes) {
        const FieldRow& row = context_field(id);
        EXPECT_EQ(row.linux_offset, offset) << row.name;
        EXPECT_EQ(row.linux_bytes, bytes) << row.name;
    };
#define XDP(id, member) check(FieldId::Xdp##id, offsetof(xdp_md, member), sizeof(xdp_md::member))
#define SKB(id, member) check(FieldId::Skb##id, offsetof(__sk_buff, member), sizeof(__sk_buff::member))
    XDP(Data, data), XDP(DataEnd, data_end), XDP(DataMeta, data_meta), XDP(IngressIfindex, ingress_ifindex);
    XDP(RxQueueIndex, rx_queue_index), XDP(EgressIfindex, egress_ifindex);
    SKB(Len, len), SKB(PktType, pkt_type), SKB(Mark, mark), SKB(QueueMapping, queue_mapping);
    SKB(Protocol, protocol), SKB(VlanPresent, vlan_present), SKB(VlanTci, vlan_tci), SKB(VlanProto, vlan_proto);
    SKB(Priority, priority), SKB(IngressIfindex, ingress_ifindex), SKB(Ifindex, ifindex), SKB(TcIndex, tc_index);
    SKB(Cb, cb), SKB(Hash, hash), SKB(TcClassid, tc_classid), SKB(Data, data), SKB(DataEnd, data_end);
    SKB(NapiId, napi_id), SKB(Family, family), SKB(RemoteIp4, remote_ip4), SKB(LocalIp4, local_ip4);
    SKB(RemoteIp6, remote_ip6), SKB(LocalIp6, local_ip6), SKB(RemotePort, remote_port), SKB(LocalPort, local_port);
    SKB(DataMeta, data_meta), SKB(FlowKeys, flow_keys), SKB(Tstamp, tstamp), SKB(WireLen, wire_len);
    SKB(GsoSegs, gso_segs), SKB(Sk, sk), SKB(GsoSize, gso_size), SKB(TstampType, tstamp_type);
    SKB(Hwtstamp, hwtstamp);
#undef XDP
#undef SKB
    EXPECT_EQ(context_bytes(ContextKind::Xdp, Personality::Linux), sizeof(xdp_md));
    EXPECT_EQ(context_bytes(ContextKind::Skb, Personality::Linux), sizeof(__sk_buff));
#else
    GTEST_SKIP() << "no linux/bpf.h on this system";
#endif
}

}  // namespace
}  // namespace skep::platform
