// SPDX-License-Identifier: Apache-2.0
// A program in canonical words, written in the numbers of either system: what personalities_equal_test runs. The same
// seed makes the same choices for both; only numbers, widths and a few conversions differ.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "isa/insn.hpp"
#include "object/object_spec.hpp"
#include "platform/context.hpp"
#include "platform/ebpf_result.hpp"
#include "platform/map_type.hpp"
#include "platform/platforms/platform.hpp"
#include "platform/verdict.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::canonical {

using isa::Op;
using platform::AttachType;
using platform::FieldId;
using platform::HelperId;
using platform::MapType;
using platform::Personality;
using platform::ProgramType;
using platform::Verdict;

// ---- the rows, numbered one table after the other; a program counts in the map "rows" what it executed

inline constexpr uint32_t field_rows = 400, map_rows = 64, verdict_rows = 40;
inline constexpr uint32_t first_field = platform::helper_count, first_map = first_field + field_rows,
                          first_verdict = first_map + map_rows, first_error = first_verdict + verdict_rows,
                          row_count = first_error + 32;
inline uint32_t row(HelperId id) { return static_cast<uint32_t>(id); }
inline uint32_t row(FieldId id) { return first_field + static_cast<uint32_t>(id); }
inline uint32_t row(MapType type) { return first_map + static_cast<uint32_t>(type); }
inline uint32_t row(Verdict verdict) { return first_verdict + static_cast<uint32_t>(verdict); }

// ---- maps: the same in every program, and kept over a batch

enum Maps : uint32_t {
    Rows,
    Answers,
    Hash,
    Lru,
    Percpu,
    LruPercpu,
    Array,
    PercpuArray,
    Trie,
    Queue,
    Stack,
    Arrays,
    Hashes,
    Ring,
    Events,
    Stages,
    Sockets,
    Inner,
    map_count
};
inline constexpr MapType map_types[map_count] = {
    MapType::Array,         MapType::Array,       MapType::Hash,        MapType::LruHash, MapType::PercpuHash,
    MapType::LruPercpuHash, MapType::Array,       MapType::PercpuArray, MapType::LpmTrie, MapType::Queue,
    MapType::Stack,         MapType::ArrayOfMaps, MapType::HashOfMaps,  MapType::Ringbuf, MapType::PerfEventArray,
    MapType::ProgArray,     MapType::Xskmap,      MapType::Array};

inline uint32_t number_of(MapType type, Personality p) {
    return p == Personality::Linux ? platform::map_type_linux_id(type) : platform::map_type_windows_id(type);
}

inline object::ObjectSpec make_spec(Personality p) {
    object::ObjectSpec spec;
    spec.file = "generated";
    spec.license = "GPL";
    for (uint32_t i = 0; i < map_count; ++i) {
        const MapType type = map_types[i];
        object::MapSpec map;
        map.name = "map" + std::to_string(i);
        map.type = number_of(type, p);
        map.key_size = type == MapType::LpmTrie ? 8 : 4;
        map.value_size = 8;
        map.max_entries = 4;
        if (type == MapType::Queue || type == MapType::Stack) map.key_size = 0;
        if (type == MapType::Ringbuf) map.key_size = map.value_size = 0, map.max_entries = 4096;
        if (type == MapType::PerfEventArray || type == MapType::ProgArray || type == MapType::Xskmap)
            map.value_size = 4;
        if (type == MapType::ArrayOfMaps || type == MapType::HashOfMaps) map.value_size = 4;
        if (type == MapType::LpmTrie && p == Personality::Linux) map.flags = 1;
        if (i == Rows) map.value_size = 8 * row_count, map.origin = object::MapOrigin::Data, map.type = 2;
        if (i == Answers) map.value_size = 8 * 64, map.origin = object::MapOrigin::Data, map.type = 2;
        spec.maps.push_back(map);
    }
    for (const uint32_t outer : {uint32_t{Arrays}, uint32_t{Hashes}}) {
        spec.maps[outer].inner = {spec.maps[Inner]};
        spec.maps[outer].slots = {{1, false, Inner}};
    }
    return spec;
}

// ---- a helper that fails as it is told: the number in the flags of ringbuf_output

inline constexpr uint64_t told = uint64_t{0x7e57} << 32;
inline uint64_t failing_output(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5,
                               skep_runtime_context* run) {
    if ((r4 & ~uint64_t{0xffffffff}) == told) return uint64_t{0} - (r4 & 0xffffffff);
    return runtime::helpers::ringbuf_output(r1, r2, r3, r4, r5, run);
}
inline uint64_t failing_output_windows(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5,
                                       skep_runtime_context* run) {
    return platform::to_ebpf_result(failing_output(r1, r2, r3, r4, r5, run));
}

// ---- the generator: one stream of choices, two streams of instructions

struct Kind {
    ProgramType type;
    AttachType attach;
};

class Writer {
  public:
    Writer(uint64_t seed, Kind kind, Personality p) : random_(seed), kind_(kind), p_(p) {}

    isa::Code write() {
        put(Op::Mov64X, 6, 1);
        put(Op::Mov64K, 7, 0, 0, static_cast<int32_t>(draw(1 << 30)));
        put(Op::Mov64K, 1, 0, 0, 0);
        for (int16_t at = -64; at < 0; at += 8) put(Op::StxDw, 10, 1, at);
        if (kind_.type == ProgramType::Xdp) packet();
        for (int i = 0; i < 4; ++i) read_field();
        hash_like();
        const size_t count = 3 + draw(6);
        for (size_t i = 0; i < count; ++i) operation();
        save();
        verdict();
        return code_;
    }

  private:
    uint32_t draw(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

    void put(Op op, uint8_t dst, uint8_t src = 0, int16_t offset = 0, int32_t imm = 0, int32_t next_imm = 0) {
        isa::Insn insn;
        insn.op = op;
        insn.dst = dst;
        insn.src = src;
        insn.offset = offset;
        insn.imm = imm;
        insn.next_imm = next_imm;
        isa::append(code_, insn);
    }
    size_t jump(Op op, uint8_t dst = 0, int32_t imm = 0, uint8_t src = 0) {
        put(op, dst, src, 0, imm);
        return code_.size() - 1;
    }
    void land(size_t at) { code_[at].offset = static_cast<int16_t>(code_.size() - at - 1); }

    /// rows[n] += 1. Changes r1 and r2.
    void mark(uint32_t n) {
        put(Op::LdMapValue, 1, 0, 0, Rows, static_cast<int32_t>(8 * n));
        put(Op::LdxDw, 2, 1);
        put(Op::Add64K, 2, 0, 0, 1);
        put(Op::StxDw, 1, 2);
    }
    void call(HelperId id, bool own = false) {
        uint32_t number = platform::helper(id).linux_id;
        if (p_ == Personality::Windows) {
            number = platform::helper(id).windows_id;
            if (number == 0 || own) number = platform::windows_helper_number(id, kind_.type);
        }
        put(Op::Call, 0, 0, 0, static_cast<int32_t>(number));
    }
    void map(uint8_t reg, uint32_t which) { put(Op::LdMapFd, reg, 0, 0, static_cast<int32_t>(which)); }
    void stack(uint8_t reg, int32_t offset) {
        put(Op::Mov64X, reg, 10);
        put(Op::Add64K, reg, 0, 0, offset);
    }
    void key(uint32_t value) { put(Op::StW, 10, 0, -8, static_cast<int32_t>(value)); }
    /// r7 = r7 * 31 ^ reg.
    void mix(uint8_t reg) {
        put(Op::Mul64K, 7, 0, 0, 31);
        put(Op::Xor64X, 7, reg);
    }
    void mix_number(int32_t value) {
        put(Op::Mul64K, 7, 0, 0, 31);
        put(Op::Add64K, 7, 0, 0, value);
    }

    /// What a status says: a number, or which kind of failure, as this system has it.
    void status(HelperId id, uint32_t asked) {
        put(Op::Mov64X, 9, 0);
        mark(row(id));
        const size_t failed = jump(Op::Jslt64K, 9, 0);
        mix(9);
        const size_t done = jump(Op::Ja);
        land(failed);
        // Several errnos can be one ebpf_result: ask for all of them.
        const int16_t number = platform::ebpf_result_rows[asked].number;
        std::vector<size_t> hits;
        for (const auto& row : platform::ebpf_result_rows) {
            if (row.number != number) continue;
            const int32_t code = p_ == Personality::Linux ? -row.errno_number : -row.number;
            hits.push_back(jump(Op::Jeq64K, 9, code));
        }
        mix_number(-1);
        const size_t other = jump(Op::Ja);
        for (const size_t hit : hits) land(hit);
        mark(first_error + asked);
        mix_number(static_cast<int32_t>(asked));
        land(other);
        land(done);
    }

    // ---- context

    Op load(unsigned bytes) const {
        return bytes == 1 ? Op::LdxB : bytes == 2 ? Op::LdxH : bytes == 4 ? Op::LdxW : Op::LdxDw;
    }
    void load_field(uint8_t reg, FieldId id, uint32_t part = 0, unsigned bytes = 0) {
        const platform::FieldRow& field = platform::context_field(id);
        put(load(bytes != 0 ? bytes : field.bytes(p_)), reg, 6, static_cast<int16_t>(field.offset(p_) + part));
    }
    void packet() {
        load_field(8, FieldId::XdpData);
        load_field(3, FieldId::XdpDataEnd);
        put(Op::Mov64X, 4, 8);
        put(Op::Add64K, 4, 0, 0, 34);
        const size_t there = jump(Op::Jle64X, 4, 0, 3);
        put(Op::Mov64K, 0, 0, 0, number(Verdict::XdpDrop));
        put(Op::Exit, 0);
        land(there);
        mark(row(FieldId::XdpData));
        mark(row(FieldId::XdpDataEnd));
    }
    void read_field() {
        std::vector<FieldId> ids;
        switch (kind_.type) {
            case ProgramType::Xdp: ids = {FieldId::XdpIngressIfindex, FieldId::XdpDataMeta}; break;
            case ProgramType::SockOps:
                ids = {FieldId::SockOpsOp,        FieldId::SockOpsFamily,    FieldId::SockOpsLocalIp4,
                       FieldId::SockOpsLocalIp6,  FieldId::SockOpsLocalPort, FieldId::SockOpsRemoteIp4,
                       FieldId::SockOpsRemoteIp6, FieldId::SockOpsRemotePort};
                break;
            default: {
                const bool ip6 = kind_.attach == AttachType::Connect6 || kind_.attach == AttachType::Sendmsg6;
                ids = {FieldId::SockAddrUserFamily, FieldId::SockAddrUserPort, FieldId::SockAddrProtocol,
                       ip6 ? FieldId::SockAddrUserIp6 : FieldId::SockAddrUserIp4};
                if (kind_.attach == AttachType::Sendmsg4) ids.push_back(FieldId::SockAddrMsgSrcIp4);
                if (kind_.attach == AttachType::Sendmsg6) ids.push_back(FieldId::SockAddrMsgSrcIp6);
            }
        }
        const FieldId id = ids[draw(static_cast<uint32_t>(ids.size()))];
        const platform::FieldRow& field = platform::context_field(id);
        const uint32_t part = field.linux_bytes == 16 ? 4 * draw(4) : 0;
        const bool narrow = draw(4) == 0;
        const bool store = draw(3) == 0;
        size_t skip = 0;
        if (field.kind != platform::FieldKind::Scalar) {
            load_field(3, id);
            put(Op::Mov64X, 0, 8);
            put(Op::Sub64X, 0, 3);
        } else if (field.values == platform::FieldValues::Address) {  // which of the two it is, the family says
            load_field(3, FieldId::SockOpsFamily);
            const bool ip6 = field.linux_bytes == 16;
            put(Op::Mov64K, 0, 0, 0, 0);
            skip = jump(ip6 ? Op::Jeq64K : Op::Jne64K, 3, 2);
            load_field(0, id, part, 4);
        } else if (narrow && field.access == platform::FieldAccess::Narrow &&
                   field.values == platform::FieldValues::Same) {
            load_field(0, id, 0, 1);
        } else if (field.linux_bytes == 16) {
            load_field(0, id, part, 4);
        } else {
            load_field(0, id);
            normalise(field.values);
        }
        if (skip != 0) land(skip);
        mix(0);
        mark(row(id));
        if (store && field.writable_by(kind_.type, kind_.attach, Personality::Linux) &&
            field.writable_by(kind_.type, kind_.attach, Personality::Windows)) {
            put(Op::Mov64X, 1, 7);
            put(Op::And64K, 1, 0, 0, 0xffff);
            const unsigned bytes = field.linux_bytes == 16 ? 4 : field.bytes(p_);
            put(bytes == 2 ? Op::StxH : Op::StxW, 6, 1, static_cast<int16_t>(field.offset(p_) + part));
        }
    }
    /// r0 from this system's number to a neutral one.
    void normalise(platform::FieldValues values) {
        const bool windows = p_ == Personality::Windows;
        const auto replace = [&](int32_t from, int32_t to) {
            const size_t skip = jump(Op::Jne64K, 0, from);
            put(Op::Mov64K, 0, 0, 0, to);
            land(skip);
        };
        switch (values) {
            case platform::FieldValues::Same:
            case platform::FieldValues::Address: break;
            case platform::FieldValues::Family: replace(windows ? 23 : 10, 1006); break;
            case platform::FieldValues::SockOp:
                replace(windows ? 2 : 10, 1002);
                replace(windows ? 1 : 5, 1001);
                replace(windows ? 0 : 4, 1000);
                break;
            case platform::FieldValues::HostPort:
                if (!windows) put(Op::Be16, 0, 0, 0, 16);
                break;
            case platform::FieldValues::HighPort:
                if (!windows) put(Op::Rsh64K, 0, 0, 0, 16);
                break;
        }
    }

    // ---- operations

    void hash_like() {
        static constexpr uint32_t list[] = {Hash, Lru, Percpu, LruPercpu, Array, PercpuArray, Trie};
        const uint32_t which = list[draw(std::size(list))];
        const bool trie = which == Trie;
        const uint32_t what = draw(4), number = draw(6), asked = draw(std::size(platform::ebpf_result_rows)),
                       flags = draw(4);
        if (trie) put(Op::StW, 10, 0, -16, 32), put(Op::StW, 10, 0, -12, static_cast<int32_t>(number));
        key(number);
        put(Op::StxDw, 10, 7, -24);
        map(1, which);
        stack(2, trie ? -16 : -8);
        if (what == 0) {
            call(HelperId::MapLookupElem);
            const size_t gone = jump(Op::Jeq64K, 0, 0);
            put(Op::LdxDw, 9, 0);
            mix(9);
            put(Op::StxDw, 0, 7);
            land(gone);
            mark(row(HelperId::MapLookupElem));
        } else if (what == 1) {
            call(HelperId::MapDeleteElem);
            status(HelperId::MapDeleteElem, asked);
        } else {
            stack(3, -24);
            put(Op::Mov64K, 4, 0, 0, static_cast<int32_t>(flags));  // 3 is no flag at all
            call(HelperId::MapUpdateElem);
            status(HelperId::MapUpdateElem, asked);
        }
        mark(row(map_types[which]));
    }

    void line(uint32_t which) {
        const uint32_t what = draw(3), asked = draw(std::size(platform::ebpf_result_rows));
        put(Op::StxDw, 10, 7, -24);
        map(1, which);
        stack(2, what == 0 ? -24 : -32);
        if (what == 0) put(Op::Mov64K, 3, 0, 0, 0);
        const HelperId id = what == 0   ? HelperId::MapPushElem
                            : what == 1 ? HelperId::MapPopElem
                                        : HelperId::MapPeekElem;
        call(id);
        status(id, asked);
        put(Op::LdxDw, 9, 10, -32);
        mix(9);
        mark(row(map_types[which]));
    }

    void inside(uint32_t which) {
        const uint32_t number = draw(3);
        key(number);
        map(1, which);
        stack(2, -8);
        call(HelperId::MapLookupElem);
        put(Op::Mov64X, 9, 0);
        const size_t none = jump(Op::Jeq64K, 9, 0);
        put(Op::Mov64X, 1, 9);
        stack(2, -8);
        call(HelperId::MapLookupElem);
        const size_t nothing = jump(Op::Jeq64K, 0, 0);
        put(Op::LdxDw, 9, 0);
        mix(9);
        put(Op::StxDw, 0, 7);
        land(nothing);
        land(none);
        mark(row(map_types[which]));
    }

    void plain(HelperId id, bool own = false) {
        call(id, own);
        mix(0);
        mark(row(id));
    }

    void output() {
        const bool fails = draw(2) == 0;
        const uint32_t asked = draw(std::size(platform::ebpf_result_rows));
        put(Op::StxDw, 10, 7, -24);
        map(1, Ring);
        stack(2, -24);
        put(Op::Mov64K, 3, 0, 0, 8);
        if (fails)
            put(Op::LdImm64, 4, 0, 0, platform::ebpf_result_rows[asked].errno_number, static_cast<int32_t>(told >> 32));
        else
            put(Op::Mov64K, 4, 0, 0, 0);
        call(HelperId::RingbufOutput);
        status(HelperId::RingbufOutput, asked);
        mark(row(MapType::Ringbuf));
    }

    void event() {
        const uint32_t asked = draw(std::size(platform::ebpf_result_rows));
        put(Op::StxDw, 10, 7, -24);
        put(Op::Mov64X, 1, 6);
        map(2, Events);
        put(Op::Mov32K, 3, 0, 0, -1);
        stack(4, -24);
        put(Op::Mov64K, 5, 0, 0, 8);
        call(HelperId::PerfEventOutput);
        status(HelperId::PerfEventOutput, asked);
        mark(row(MapType::PerfEventArray));
    }

    void missed_call() {
        put(Op::Mov64X, 1, 6);
        map(2, Stages);
        put(Op::Mov64K, 3, 0, 0, 1);
        call(HelperId::TailCall);
        mark(row(HelperId::TailCall));
        mark(row(MapType::ProgArray));
        if (kind_.type == ProgramType::Xdp) packet();
    }

    void checksum() {
        put(Op::StxDw, 10, 7, -24);
        stack(1, -24);
        put(Op::Mov64K, 2, 0, 0, 8);
        stack(3, -32);
        put(Op::Mov64K, 4, 0, 0, 8);
        put(Op::Mov64K, 5, 0, 0, static_cast<int32_t>(draw(65536)));
        plain(HelperId::CsumDiff);
    }

    void move_head() {
        const uint32_t asked = draw(std::size(platform::ebpf_result_rows));
        static constexpr int32_t distances[] = {-14, 4, -2000, 4000};
        put(Op::Mov64X, 1, 6);
        put(Op::Mov64K, 2, 0, 0, distances[draw(4)]);
        call(HelperId::XdpAdjustHead);
        status(HelperId::XdpAdjustHead, asked);
        packet();
    }

    void write_packet() {
        const auto at = static_cast<int16_t>(draw(33));
        put(Op::LdxB, 9, 8, at);
        mix(9);
        put(Op::StxB, 8, 7, at);
    }

    void operation() {
        const bool xdp = kind_.type == ProgramType::Xdp,
                   own = draw(2) == 0 && kind_.type == ProgramType::CgroupSockAddr;
        switch (draw(xdp ? 20 : 18)) {
            case 0: return read_field();
            case 1: return plain(HelperId::KtimeGetNs);
            case 2: return plain(HelperId::KtimeGetBootNs);
            case 3: return plain(HelperId::GetPrandomU32);
            case 4: return plain(HelperId::GetSmpProcessorId);
            case 5: put(Op::Mov64X, 1, 6); return plain(HelperId::GetCurrentPidTgid, own);
            case 6: return line(draw(2) == 0 ? Queue : Stack);
            case 7: return inside(draw(2) == 0 ? Arrays : Hashes);
            case 8:
            case 9: return output();
            case 10: return event();
            case 11: return missed_call();
            case 12:
            case 13: return hash_like();
            case 14:
            case 15:
            case 16: return output();
            case 17:
                if (xdp) return checksum();
                put(Op::Mov64X, 1, 6);
                return plain(HelperId::GetSocketCookie);
            case 18: return move_head();
            default: return write_packet();
        }
    }

    // ---- the end

    /// answers[n] = r7, a write that every program makes.
    void save() {
        put(Op::LdMapValue, 1, 0, 0, Answers, static_cast<int32_t>(8 * draw(64)));
        put(Op::StxDw, 1, 7);
    }
    int32_t number(Verdict verdict) const {
        for (int32_t n = 0; n < 8; ++n)
            if (platform::outcome_of(kind_.type, p_, static_cast<uint64_t>(n), 0).verdict == verdict) return n;
        return -1;
    }
    void verdict() {
        std::vector<Verdict> list = {Verdict::SockAddrReject, Verdict::SockAddrProceed};
        const bool xdp = kind_.type == ProgramType::Xdp;
        if (xdp) list = {Verdict::XdpDrop, Verdict::XdpPass, Verdict::XdpTx, Verdict::XdpRedirect};
        if (kind_.type == ProgramType::SockOps) list = {Verdict::SockOpsReply, Verdict::SockOpsReply};
        if (draw(8) == 0) {  // a program that takes over says what this one would have
            put(Op::Mov64X, 1, 6);
            map(2, Stages);
            put(Op::Mov64K, 3, 0, 0, 0);
            call(HelperId::TailCall);
        }
        const Verdict miss = list[draw(3) % list.size()];
        put(Op::Mov64X, 9, 7);
        put(Op::Rsh64K, 9, 0, 0, 7);
        put(Op::And64K, 9, 0, 0, xdp ? 3 : 1);
        for (size_t i = 0; i < list.size(); ++i) {
            const size_t next = jump(Op::Jne64K, 9, static_cast<int32_t>(i));
            mark(row(list[i]));
            if (list[i] == Verdict::XdpRedirect) {  // on a miss the verdict hides in the flags
                mark(row(HelperId::RedirectMap));
                mark(row(MapType::Xskmap));
                map(1, Sockets);
                put(Op::Mov64X, 2, 7);
                put(Op::And64K, 2, 0, 0, 7);
                put(Op::Mov64K, 3, 0, 0, number(miss));
                call(HelperId::RedirectMap);
            } else {
                put(Op::Mov64K, 0, 0, 0, list[i] == Verdict::SockOpsReply ? static_cast<int32_t>(i) : number(list[i]));
            }
            put(Op::Exit, 0);
            land(next);
        }
        put(Op::Mov64K, 0, 0, 0, 0);
        put(Op::Exit, 0);
    }

    std::mt19937_64 random_;
    Kind kind_;
    Personality p_;
    isa::Code code_;
};

}  // namespace skep::canonical
