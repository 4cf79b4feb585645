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
        if (row.linux_bytes == 0) continue;
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
#define REST(context, type, id, member) check(FieldId::context##id, offsetof(type, member), sizeof(type::member))
    REST(Sock, bpf_sock, BoundDevIf, bound_dev_if);
    REST(Sock, bpf_sock, Family, family);
    REST(Sock, bpf_sock, Type, type);
    REST(Sock, bpf_sock, Protocol, protocol);
    REST(Sock, bpf_sock, Mark, mark);
    REST(Sock, bpf_sock, Priority, priority);
    REST(Sock, bpf_sock, SrcIp4, src_ip4);
    REST(Sock, bpf_sock, SrcIp6, src_ip6);
    REST(Sock, bpf_sock, SrcPort, src_port);
    REST(Sock, bpf_sock, DstPort, dst_port);
    REST(Sock, bpf_sock, DstIp4, dst_ip4);
    REST(Sock, bpf_sock, DstIp6, dst_ip6);
    REST(Sock, bpf_sock, State, state);
    REST(Sock, bpf_sock, RxQueueMapping, rx_queue_mapping);
    REST(SockAddr, bpf_sock_addr, UserFamily, user_family);
    REST(SockAddr, bpf_sock_addr, UserIp4, user_ip4);
    REST(SockAddr, bpf_sock_addr, UserIp6, user_ip6);
    REST(SockAddr, bpf_sock_addr, UserPort, user_port);
    REST(SockAddr, bpf_sock_addr, Family, family);
    REST(SockAddr, bpf_sock_addr, Type, type);
    REST(SockAddr, bpf_sock_addr, Protocol, protocol);
    REST(SockAddr, bpf_sock_addr, MsgSrcIp4, msg_src_ip4);
    REST(SockAddr, bpf_sock_addr, MsgSrcIp6, msg_src_ip6);
    REST(SockAddr, bpf_sock_addr, Sk, sk);
    REST(SockOps, bpf_sock_ops, Op, op);
    REST(SockOps, bpf_sock_ops, Reply, reply);
    REST(SockOps, bpf_sock_ops, Family, family);
    REST(SockOps, bpf_sock_ops, RemoteIp4, remote_ip4);
    REST(SockOps, bpf_sock_ops, LocalIp4, local_ip4);
    REST(SockOps, bpf_sock_ops, RemoteIp6, remote_ip6);
    REST(SockOps, bpf_sock_ops, LocalIp6, local_ip6);
    REST(SockOps, bpf_sock_ops, RemotePort, remote_port);
    REST(SockOps, bpf_sock_ops, LocalPort, local_port);
    REST(SockOps, bpf_sock_ops, IsFullsock, is_fullsock);
    REST(SockOps, bpf_sock_ops, SndCwnd, snd_cwnd);
    REST(SockOps, bpf_sock_ops, SrttUs, srtt_us);
    REST(SockOps, bpf_sock_ops, CbFlags, bpf_sock_ops_cb_flags);
    REST(SockOps, bpf_sock_ops, State, state);
    REST(SockOps, bpf_sock_ops, RttMin, rtt_min);
    REST(SockOps, bpf_sock_ops, SndSsthresh, snd_ssthresh);
    REST(SockOps, bpf_sock_ops, RcvNxt, rcv_nxt);
    REST(SockOps, bpf_sock_ops, SndNxt, snd_nxt);
    REST(SockOps, bpf_sock_ops, SndUna, snd_una);
    REST(SockOps, bpf_sock_ops, MssCache, mss_cache);
    REST(SockOps, bpf_sock_ops, EcnFlags, ecn_flags);
    REST(SockOps, bpf_sock_ops, RateDelivered, rate_delivered);
    REST(SockOps, bpf_sock_ops, RateIntervalUs, rate_interval_us);
    REST(SockOps, bpf_sock_ops, PacketsOut, packets_out);
    REST(SockOps, bpf_sock_ops, RetransOut, retrans_out);
    REST(SockOps, bpf_sock_ops, TotalRetrans, total_retrans);
    REST(SockOps, bpf_sock_ops, SegsIn, segs_in);
    REST(SockOps, bpf_sock_ops, DataSegsIn, data_segs_in);
    REST(SockOps, bpf_sock_ops, SegsOut, segs_out);
    REST(SockOps, bpf_sock_ops, DataSegsOut, data_segs_out);
    REST(SockOps, bpf_sock_ops, LostOut, lost_out);
    REST(SockOps, bpf_sock_ops, SackedOut, sacked_out);
    REST(SockOps, bpf_sock_ops, SkTxhash, sk_txhash);
    REST(SockOps, bpf_sock_ops, BytesReceived, bytes_received);
    REST(SockOps, bpf_sock_ops, BytesAcked, bytes_acked);
    REST(SockOps, bpf_sock_ops, Sk, sk);
    REST(SockOps, bpf_sock_ops, SkbData, skb_data);
    REST(SockOps, bpf_sock_ops, SkbDataEnd, skb_data_end);
    REST(SockOps, bpf_sock_ops, SkbLen, skb_len);
    REST(SockOps, bpf_sock_ops, SkbTcpFlags, skb_tcp_flags);
    // The header of 6.1 ends before skb_hwtstamp.
    REST(SkMsg, sk_msg_md, Data, data);
    REST(SkMsg, sk_msg_md, DataEnd, data_end);
    REST(SkMsg, sk_msg_md, Family, family);
    REST(SkMsg, sk_msg_md, RemoteIp4, remote_ip4);
    REST(SkMsg, sk_msg_md, LocalIp4, local_ip4);
    REST(SkMsg, sk_msg_md, RemoteIp6, remote_ip6);
    REST(SkMsg, sk_msg_md, LocalIp6, local_ip6);
    REST(SkMsg, sk_msg_md, RemotePort, remote_port);
    REST(SkMsg, sk_msg_md, LocalPort, local_port);
    REST(SkMsg, sk_msg_md, Size, size);
    REST(SkMsg, sk_msg_md, Sk, sk);
    REST(SkReuseport, sk_reuseport_md, Data, data);
    REST(SkReuseport, sk_reuseport_md, DataEnd, data_end);
    REST(SkReuseport, sk_reuseport_md, Len, len);
    REST(SkReuseport, sk_reuseport_md, EthProtocol, eth_protocol);
    REST(SkReuseport, sk_reuseport_md, IpProtocol, ip_protocol);
    REST(SkReuseport, sk_reuseport_md, BindInany, bind_inany);
    REST(SkReuseport, sk_reuseport_md, Hash, hash);
    REST(SkReuseport, sk_reuseport_md, Sk, sk);
    REST(SkReuseport, sk_reuseport_md, MigratingSk, migrating_sk);
    REST(SkLookup, bpf_sk_lookup, Sk, sk);
    REST(SkLookup, bpf_sk_lookup, Family, family);
    REST(SkLookup, bpf_sk_lookup, Protocol, protocol);
    REST(SkLookup, bpf_sk_lookup, RemoteIp4, remote_ip4);
    REST(SkLookup, bpf_sk_lookup, RemoteIp6, remote_ip6);
    REST(SkLookup, bpf_sk_lookup, RemotePort, remote_port);
    REST(SkLookup, bpf_sk_lookup, LocalIp4, local_ip4);
    REST(SkLookup, bpf_sk_lookup, LocalIp6, local_ip6);
    REST(SkLookup, bpf_sk_lookup, LocalPort, local_port);
    REST(SkLookup, bpf_sk_lookup, IngressIfindex, ingress_ifindex);
    REST(CgroupDevice, bpf_cgroup_dev_ctx, AccessType, access_type);
    REST(CgroupDevice, bpf_cgroup_dev_ctx, Major, major);
    REST(CgroupDevice, bpf_cgroup_dev_ctx, Minor, minor);
    REST(CgroupSysctl, bpf_sysctl, Write, write);
    REST(CgroupSysctl, bpf_sysctl, FilePos, file_pos);
    REST(CgroupSockopt, bpf_sockopt, Sk, sk);
    REST(CgroupSockopt, bpf_sockopt, Optval, optval);
    REST(CgroupSockopt, bpf_sockopt, OptvalEnd, optval_end);
    REST(CgroupSockopt, bpf_sockopt, Level, level);
    REST(CgroupSockopt, bpf_sockopt, Optname, optname);
    REST(CgroupSockopt, bpf_sockopt, Optlen, optlen);
    REST(CgroupSockopt, bpf_sockopt, Retval, retval);
    REST(TcpSock, bpf_tcp_sock, SndCwnd, snd_cwnd);
    REST(TcpSock, bpf_tcp_sock, SrttUs, srtt_us);
    REST(TcpSock, bpf_tcp_sock, RttMin, rtt_min);
    REST(TcpSock, bpf_tcp_sock, SndSsthresh, snd_ssthresh);
    REST(TcpSock, bpf_tcp_sock, RcvNxt, rcv_nxt);
    REST(TcpSock, bpf_tcp_sock, SndNxt, snd_nxt);
    REST(TcpSock, bpf_tcp_sock, SndUna, snd_una);
    REST(TcpSock, bpf_tcp_sock, MssCache, mss_cache);
    REST(TcpSock, bpf_tcp_sock, EcnFlags, ecn_flags);
    REST(TcpSock, bpf_tcp_sock, RateDelivered, rate_delivered);
    REST(TcpSock, bpf_tcp_sock, RateIntervalUs, rate_interval_us);
    REST(TcpSock, bpf_tcp_sock, PacketsOut, packets_out);
    REST(TcpSock, bpf_tcp_sock, RetransOut, retrans_out);
    REST(TcpSock, bpf_tcp_sock, TotalRetrans, total_retrans);
    REST(TcpSock, bpf_tcp_sock, SegsIn, segs_in);
    REST(TcpSock, bpf_tcp_sock, DataSegsIn, data_segs_in);
    REST(TcpSock, bpf_tcp_sock, SegsOut, segs_out);
    REST(TcpSock, bpf_tcp_sock, DataSegsOut, data_segs_out);
    REST(TcpSock, bpf_tcp_sock, LostOut, lost_out);
    REST(TcpSock, bpf_tcp_sock, SackedOut, sacked_out);
    REST(TcpSock, bpf_tcp_sock, BytesReceived, bytes_received);
    REST(TcpSock, bpf_tcp_sock, BytesAcked, bytes_acked);
    REST(TcpSock, bpf_tcp_sock, DsackDups, dsack_dups);
    REST(TcpSock, bpf_tcp_sock, Delivered, delivered);
    REST(TcpSock, bpf_tcp_sock, DeliveredCe, delivered_ce);
    REST(TcpSock, bpf_tcp_sock, IcskRetransmits, icsk_retransmits);
    REST(XdpSock, bpf_xdp_sock, QueueId, queue_id);
    REST(Socket, bpf_sock, BoundDevIf, bound_dev_if);
    REST(Socket, bpf_sock, Family, family);
    REST(Socket, bpf_sock, Type, type);
    REST(Socket, bpf_sock, Protocol, protocol);
    REST(Socket, bpf_sock, Mark, mark);
    REST(Socket, bpf_sock, Priority, priority);
    REST(Socket, bpf_sock, SrcIp4, src_ip4);
    REST(Socket, bpf_sock, SrcIp6, src_ip6);
    REST(Socket, bpf_sock, SrcPort, src_port);
    REST(Socket, bpf_sock, DstPort, dst_port);
    REST(Socket, bpf_sock, DstIp4, dst_ip4);
    REST(Socket, bpf_sock, DstIp6, dst_ip6);
    REST(Socket, bpf_sock, State, state);
    REST(Socket, bpf_sock, RxQueueMapping, rx_queue_mapping);
#undef REST
    EXPECT_EQ(context_bytes(ContextKind::Sock, Personality::Linux), (sizeof(bpf_sock) + 7) / 8 * 8);
    EXPECT_EQ(context_bytes(ContextKind::SockAddr, Personality::Linux), (sizeof(bpf_sock_addr) + 7) / 8 * 8);
    EXPECT_GE(context_bytes(ContextKind::SockOps, Personality::Linux), sizeof(bpf_sock_ops));
    EXPECT_EQ(context_bytes(ContextKind::SkMsg, Personality::Linux), (sizeof(sk_msg_md) + 7) / 8 * 8);
    EXPECT_EQ(context_bytes(ContextKind::SkReuseport, Personality::Linux), (sizeof(sk_reuseport_md) + 7) / 8 * 8);
    EXPECT_EQ(context_bytes(ContextKind::SkLookup, Personality::Linux), (sizeof(bpf_sk_lookup) + 7) / 8 * 8);
    EXPECT_EQ(context_bytes(ContextKind::CgroupSockopt, Personality::Linux), (sizeof(bpf_sockopt) + 7) / 8 * 8);
    EXPECT_EQ(context_bytes(ContextKind::TcpSock, Personality::Linux), (sizeof(bpf_tcp_sock) + 7) / 8 * 8);
    EXPECT_EQ(context_bytes(ContextKind::FlowKeys, Personality::Linux), (sizeof(bpf_flow_keys) + 7) / 8 * 8);
    EXPECT_EQ(context_bytes(ContextKind::Xdp, Personality::Linux), sizeof(xdp_md));
    EXPECT_EQ(context_bytes(ContextKind::Skb, Personality::Linux), sizeof(__sk_buff));
#else
    GTEST_SKIP() << "no linux/bpf.h on this system";
#endif
}

}  // namespace
}  // namespace skep::platform
