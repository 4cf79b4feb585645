// SPDX-License-Identifier: Apache-2.0
#include "support/safe_generator.hpp"

#include <algorithm>

#include "isa/insn.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/map_type.hpp"
#include "platform/program_type.hpp"
#include "support/safe_parts.hpp"

namespace skep::testing {

namespace {

class Generator : SafeParts {
  public:
    explicit Generator(Choices& c) : SafeParts(c) {}

    SafeProgram make() {
        static constexpr platform::ProgramType types[] = {platform::ProgramType::SchedCls,
                                                          platform::ProgramType::SchedCls, platform::ProgramType::Xdp,
                                                          platform::ProgramType::SocketFilter};
        if (c_.chance(3)) {
            const Setting& setting = settings()[c_.below(static_cast<uint32_t>(settings().size()))];
            out_.type = setting.type, out_.attach = setting.attach;
            out_.sleepable = setting.type == platform::ProgramType::Syscall ||
                             (setting.type == platform::ProgramType::Kprobe && c_.chance(2));
            any_type_ = true;
        } else {
            out_.type = types[c_.below(4)];
            out_.attach = platform::default_attach(out_.type);
        }
        const auto kind = platform::context_of(out_.type);
        fields_ = kind ? platform::fields_of(*kind) : fields_;
        const unsigned functions = 1 + c_.below(3);
        std::vector<isa::InsnIndex> starts;
        for (current_ = 0; current_ < functions; ++current_) {
            functions_ = functions;
            starts.push_back(here());
            function();
        }
        if (!callbacks_.empty()) {  // one function of its own: it may only return 0 or 1
            starts.push_back(here());
            current_ = functions;
            callback_function();
        }
        if (!timers_.empty()) {
            starts.push_back(here());
            current_ = functions;
            timer_function();
            for (const isa::InsnIndex at : timers_)
                code_[at].imm = static_cast<int32_t>(starts.back()) - static_cast<int32_t>(at) - 1;
        }
        for (const auto& [at, callee] : calls_)
            code_[at].imm = static_cast<int32_t>(starts[callee]) - static_cast<int32_t>(at) - 1;
        for (const isa::InsnIndex at : callbacks_)
            code_[at].imm = static_cast<int32_t>(starts[functions]) - static_cast<int32_t>(at) - 1;
        out_.linked.name = "safe";
        for (size_t i = 0; i < starts.size(); ++i) {
            const isa::InsnIndex end = i + 1 < starts.size() ? starts[i + 1] : here();
            out_.linked.subprograms.push_back({.name = "f" + std::to_string(i), .start = starts[i], .end = end});
        }
        out_.linked.code = std::move(code_);
        for (uint32_t i = 0; i < safe_spec().maps.size(); ++i) out_.linked.maps.push_back(i);
        return std::move(out_);
    }

  private:
    /// What a program can be loaded as.
    struct Setting {
        platform::ProgramType type;
        platform::AttachType attach;
    };
    static const std::vector<Setting>& settings() {
        static const std::vector<Setting> all = [] {
            std::vector<Setting> out;
            for (unsigned t = 0; t < 64; ++t) {
                const auto type = static_cast<platform::ProgramType>(t);
                if (!platform::program_type_from_linux(platform::program_type_linux_id(type)).has_value()) continue;
                if (!platform::context_of(type)) continue;
                // Types without attach types of their own would be drowned by cgroup_sock_addr's.
                const platform::AttachSet attaches = platform::attach_types_of(type);
                unsigned count = 0;
                for (unsigned a = 0; a < 64; ++a) count += attaches >> a & 1;
                for (unsigned a = 0; a < 64; ++a) {
                    if ((attaches >> a & 1) == 0) continue;
                    for (unsigned n = 0; n < 24 / count + 1; ++n)
                        out.push_back({type, static_cast<platform::AttachType>(a)});
                }
            }
            return out;
        }();
        return all;
    }

    void condition(unsigned depth) {
        Label otherwise, end;
        branch(otherwise, comparison());
        block(depth + 1, 4);
        if (c_.chance(2)) {
            place(otherwise);
            return;
        }
        go(end);
        place(otherwise);  // go() left the code before without a way on
        block(depth + 1, 3);
        place(end);
    }
    void lookup() {
        if (!calls_possible()) return;
        static constexpr uint32_t maps[] = {ArrayMap, HashMap, WideMap};
        const uint32_t map = maps[c_.below(3)];
        const int bytes = map == ArrayMap ? array_value : map == HashMap ? hash_value : wide_value;
        key(map);
        call(HelperId::MapLookupElem);
        const uint8_t kept = target(true);
        if (kept < 7) return;
        Label out;
        if (c_.chance(2)) {
            branch(out, {.op = Op::Jeq64K, .dst = 0});
            emit({.op = Op::Mov64X, .dst = kept, .src = 0});
        } else {
            emit({.op = Op::Mov64X, .dst = kept, .src = 0});
            junk(kept);
            if (c_.chance(2)) emit({.op = Op::StxDw, .dst = 10, .src = kept, .offset = pointer_slot});
            const bool later = c_.chance(3);  // the comparison with null
            if (later) pinned(kept, [&] { diamond(); });
            if (c_.chance(2)) {
                branch(out, {.op = Op::Jeq64K, .dst = later || c_.chance(2) ? kept : uint8_t{0}});
            } else {
                emit({.op = Op::Jne64K, .dst = kept, .offset = 1});
                branch(out, {.op = Op::Ja});
            }
        }
        pinned(kept, [&] { accesses(kept, 0, bytes, true, true); });
        place(out);
        junk(kept), junk(0);
    }
    void update() {
        if (!calls_possible()) return;
        const uint32_t map = c_.chance(2) ? ArrayMap : HashMap;
        key(map);
        if (c_.chance(3) && map == HashMap) {
            call(HelperId::MapDeleteElem);
        } else {
            emit({.op = Op::Mov64X, .dst = 3, .src = 10});
            emit({.op = Op::Add64K, .dst = 3, .imm = numbers_low});
            emit({.op = Op::Mov64K, .dst = 4, .imm = 0});
            call(HelperId::MapUpdateElem);
        }
        number(0);
    }
    void ringbuf() {
        if (!calls_possible()) return;
        const int size = 8 * static_cast<int>(1 + c_.below(6));
        emit({.op = Op::LdMapFd, .dst = 1, .imm = RingbufMap});
        emit({.op = Op::Mov64K, .dst = 2, .imm = size});
        emit({.op = Op::Mov64K, .dst = 3, .imm = 0});
        call(HelperId::RingbufReserve);
        const uint8_t kept = target(true);
        if (kept < 7) return;
        Label out;
        if (c_.chance(4)) {  // held on one of two ways that meet; r0 tells which
            emit({.op = Op::Mov64X, .dst = kept, .src = 0});
            pinned(kept, [&] {
                Label none;
                branch(none, {.op = Op::Jeq64K, .dst = kept});
                accesses(kept, 0, size, true, true);
                place(none);
                diamond();
                branch(out, {.op = Op::Jeq64K, .dst = kept});
                emit({.op = Op::Mov64X, .dst = 1, .src = kept});
                emit({.op = Op::Mov64K, .dst = 2, .imm = 0});
                call(HelperId::RingbufSubmit);
            });
            place(out);
            junk(kept);
            return after_call();
        }
        branch(out, {.op = Op::Jeq64K, .dst = 0});
        emit({.op = Op::Mov64X, .dst = kept, .src = 0});
        pinned(kept, [&] {
            accesses(kept, 0, size, true, true);
            emit({.op = Op::Mov64X, .dst = 1, .src = kept});
            emit({.op = Op::Mov64K, .dst = 2, .imm = 0});
            call(c_.chance(2) ? HelperId::RingbufSubmit : HelperId::RingbufDiscard);
        });
        place(out);
        junk(kept);
        after_call();
    }
    void packet() {
        if (current_ != 0) return;
        const bool meta = c_.chance(8) && field_of(platform::FieldKind::PacketMeta) != nullptr;
        const auto* first = field_of(meta ? platform::FieldKind::PacketMeta : platform::FieldKind::Packet);
        const auto* last = field_of(meta ? platform::FieldKind::Packet : platform::FieldKind::PacketEnd);
        if (first == nullptr || last == nullptr) return;
        const bool writable = platform::packet_access(out_.type) == platform::PacketAccess::ReadWrite;
        const uint8_t data = target(true), end = target(true);
        if (data < 7 || end < 7 || data == end) return;
        load_field(data, *first), load_field(end, *last);
        const bool written = writable && c_.chance(2);
        const uint8_t probe = target();
        if (probe == data || probe == end) return;
        Label out;
        pinned(data, [&] {
            pinned(end, [&] {
                junk(probe);
                if (c_.chance(2)) {  // a fixed header
                    const int bytes = static_cast<int>(1 + c_.below(64));
                    emit({.op = Op::Mov64X, .dst = probe, .src = data});
                    emit({.op = Op::Add64K, .dst = probe, .imm = bytes - (c_.chance(40) ? 1 : 0)});
                    end_check(probe, end, out);
                    if (c_.chance(3)) diamond();
                    accesses(data, 0, bytes, written, false);
                } else {  // behind one of variable length
                    const uint8_t index = target();
                    if (index == probe) return;
                    const uint8_t from = any_number();
                    if (from != index) emit({.op = Op::Mov64X, .dst = index, .src = from});
                    number(index);
                    pinned_ |= 1u << index | 1u << probe;
                    bound(index, 1 + static_cast<int>(c_.below(200)), out);
                    if (c_.chance(2)) emit({.op = Op::Lsh64K, .dst = index, .imm = 2});
                    const int bytes = static_cast<int>(1 + c_.below(16));
                    emit({.op = Op::Add64X, .dst = data, .src = index});
                    emit({.op = Op::Mov64X, .dst = probe, .src = data});
                    emit({.op = Op::Add64K, .dst = probe, .imm = bytes});
                    pinned_ = saved_pins_;
                    end_check(probe, end, out);
                    if (c_.chance(3)) diamond();
                    out_.variable.push_back(here());
                    fixed_access(data, 0, bytes, written, false);
                    if (c_.chance(2)) fixed_access(data, 0, bytes, written, false);
                }
            });
        });
        place(out);
        junk(data), junk(end), junk(probe);
    }
    void end_check(uint8_t probe, uint8_t end, Label& out) {
        const bool mirrored = c_.chance(2);
        const uint8_t left = mirrored ? end : probe, right = mirrored ? probe : end;
        if (c_.chance(2)) return branch(out, {.op = mirrored ? Op::Jlt64X : Op::Jgt64X, .dst = left, .src = right});
        emit({.op = mirrored ? Op::Jge64X : Op::Jle64X, .dst = left, .src = right, .offset = 1});
        branch(out, {.op = Op::Ja});
    }
    void stack_access() { variable_access(10, numbers_low, numbers_high - numbers_low, true, c_.chance(3) ? 8 : 1); }

    void loop(unsigned depth) {
        if (loops_ == 3) return;
        const bool in_register = c_.chance(2);
        const uint8_t counter = in_register ? target(true) : uint8_t{0};
        if (in_register && counter < 7) return;
        const auto slot = static_cast<int16_t>(counter_slots - 8 * static_cast<int>(loops_));
        ++loops_;
        const int32_t step = c_.chance(3) ? static_cast<int32_t>(1 + c_.below(4)) : 1;
        const int32_t rounds = static_cast<int32_t>(1 + c_.below(c_.chance(6) ? 300 : 12));
        const bool down = c_.chance(4);
        const int32_t first = down ? rounds * step : 0, last = down ? 0 : rounds * step;
        for (unsigned reg = 0; reg <= 5; ++reg) junk(reg);
        const unsigned before = saved_pins_;
        if (in_register) {
            saved_pins_ |= 1u << counter, pinned_ |= 1u << counter;
            emit({.op = Op::Mov64K, .dst = counter, .imm = first});
            number(counter);
        } else {
            emit({.op = Op::StDw, .dst = 10, .offset = slot, .imm = first});
        }
        const isa::InsnIndex head = here();
        const uint16_t at_head = numbers_;
        block(depth + 1, 3);
        for (unsigned reg = 0; reg < 10; ++reg) {
            if ((at_head >> reg & 1) != 0 && !is_number(reg)) {
                emit({.op = Op::Mov64K, .dst = r(reg), .imm = constant()});
                number(reg);
            }
        }
        uint8_t held = counter;
        if (!in_register) {
            held = r(c_.below(6));
            if ((at_head >> held & 1) != 0) held = 1;
            emit({.op = Op::LdxDw, .dst = held, .src = 10, .offset = slot});
        }
        emit({.op = Op::Add64K, .dst = held, .imm = down ? -step : step});
        if (!in_register) emit({.op = Op::StxDw, .dst = 10, .src = held, .offset = slot});
        const Op again = c_.chance(3)   ? Op::Jne64K
                         : down         ? (c_.chance(2) ? Op::Jsgt64K : Op::Jgt64K)
                         : c_.chance(3) ? Op::Jslt64K
                         : c_.chance(3) ? Op::Jlt32K
                                        : Op::Jlt64K;
        emit({.op = again,
              .dst = held,
              .offset = static_cast<int16_t>(static_cast<int32_t>(head) - static_cast<int32_t>(here()) - 1),
              .imm = last});
        if (!in_register) number(held);
        saved_pins_ = before, pinned_ = before;
        --loops_;
    }

    void local_call() {
        if (!calls_possible() || current_ + 1 >= functions_) return;
        for (uint8_t reg = 1; reg <= 5; ++reg) {
            if (!is_number(reg)) emit({.op = Op::Mov64K, .dst = reg, .imm = constant()});
        }
        calls_.push_back({here(), current_ + 1 + c_.below(functions_ - current_ - 1)});
        emit({.op = Op::CallLocal});
        after_call();
        number(0);
    }
    void callback_loop() {
        if (!calls_possible()) return;
        const bool each = c_.chance(3);
        if (each) {
            emit({.op = Op::LdMapFd, .dst = 1, .imm = ArrayMap});
        } else if (c_.chance(2)) {
            emit({.op = Op::Mov64K, .dst = 1, .imm = static_cast<int32_t>(c_.below(12))});
        } else {
            const uint8_t from = any_number();
            if (from != 1) emit({.op = Op::Mov64X, .dst = 1, .src = from});
            emit({.op = Op::And64K, .dst = 1, .imm = 7});
        }
        callbacks_.push_back(here());
        emit({.op = Op::LdFunc, .dst = 2});
        emit({.op = Op::Mov64X, .dst = 3, .src = 10});
        emit({.op = Op::Add64K, .dst = 3, .imm = numbers_low});
        emit({.op = Op::Mov64K, .dst = 4, .imm = 0});
        call(each ? HelperId::ForEachMapElem : HelperId::Loop);
        number(0);
    }
    /// A number of an object that `reg` points to.
    void object_load(uint8_t reg, platform::ContextKind kind) {
        const auto fields = platform::fields_of(kind);
        for (int tries = 0; tries < 8 && !fields.empty(); ++tries) {
            const platform::FieldRow& field = fields[c_.below(static_cast<uint32_t>(fields.size()))];
            if (field.kind != platform::FieldKind::Scalar) continue;
            const auto insn = field_access(field, Form::LoadMem);
            const isa::Row* row = insn ? &isa::row_of(insn->op) : nullptr;
            if (row == nullptr || row->operation == Operation::LoadSigned) continue;
            const uint8_t into = target();
            emit({.op = insn->op, .dst = into, .src = reg, .offset = insn->offset});
            number(into);
            return;
        }
    }
    std::optional<uint32_t> any_map(HelperId id) {
        std::vector<uint32_t> fit;
        const auto& maps = safe_spec().maps;
        for (uint32_t i = 0; i < maps.size(); ++i) {
            platform::MapType type{};
            if (i != LockMap && i != TimerMap && platform::map_type_from_linux(maps[i].type, &type) &&
                platform::helper_takes_map(id, type, out_.type))
                fit.push_back(i);
        }
        if (fit.empty()) return {};
        return fit[c_.below(static_cast<uint32_t>(fit.size()))];
    }
    /// Any helper whose arguments can be made out of nothing, or out of the socket that is held.
    void any_helper() {
        if (!calls_possible() || current_ != 0) return;
        HelperId id{};
        for (int tries = 0; tries < 6; ++tries) {
            id = static_cast<HelperId>(c_.below(platform::helper_count));
            if (allowed(id)) break;
        }
        if (allowed(id)) helper(id);
    }
    void helper(HelperId id) {
        const platform::HelperRow& row = platform::helper_for(id, out_.type);
        namespace effect = platform::helper_effect;
        if ((row.effects & (effect::Callback | effect::Later | effect::Release | effect::Acquire)) != 0) return;
        std::optional<uint32_t> map;
        // clang-format off
        for (const ArgKind kind : row.args) {
            if (kind == ArgKind::SpinLock || kind == ArgKind::Timer || kind == ArgKind::Record || kind == ArgKind::Func) return;
            if ((kind == ArgKind::SockCommon && socket_ == 0) || (kind == ArgKind::Socket && !(socket_ != 0 && full_socket_))) return;
            if (kind != ArgKind::ConstMapPtr) continue;
            map = any_map(id);
            if (!map) return;
        }
        const uint8_t size_from = any_number();
        for (uint8_t i = 0; i < 5 && row.args[i] != ArgKind::None; ++i) {
            const uint8_t reg = r(i + 1u);
            const ArgKind kind = row.args[i];
            junk(reg);
            if (kind == ArgKind::ConstMapPtr) {
                emit({.op = Op::LdMapFd, .dst = reg, .imm = static_cast<int32_t>(*map)});
            } else if (kind == ArgKind::Ctx || (kind == ArgKind::CtxOrNull && c_.chance(2))) {
                emit({.op = Op::Mov64X, .dst = reg, .src = 6});
            } else if (kind == ArgKind::SockCommon || kind == ArgKind::Socket || (kind == ArgKind::SocketOrNull && full_socket_ && c_.chance(2))) {
                emit({.op = Op::Mov64X, .dst = reg, .src = socket_});
            } else if (kind == ArgKind::Scalar || kind == ArgKind::CtxOrNull || kind == ArgKind::SocketOrNull) {
                emit({.op = Op::Mov64K, .dst = reg, .imm = kind != ArgKind::Scalar || c_.chance(2) ? 0 : constant()});
            } else if (kind == ArgKind::RecordSize) {
                emit({.op = Op::Mov64K, .dst = reg, .imm = 16});
            } else if (kind == ArgKind::ConstString) {
                emit({.op = Op::LdMapValue, .dst = reg, .imm = DataMap, .next_imm = static_cast<int32_t>(c_.below(data_bytes))});
            } else if (kind != ArgKind::Size && kind != ArgKind::SizeOrZero) {  // memory
                emit({.op = Op::Mov64X, .dst = reg, .src = 10});
                emit({.op = Op::Add64K, .dst = reg, .imm = buffer_low});
            } else if (c_.chance(2) || size_from <= 5) {
                emit({.op = Op::Mov64K, .dst = reg, .imm = static_cast<int32_t>(4 * (1 + c_.below(32)))});
            } else {
                emit({.op = Op::Mov64X, .dst = reg, .src = size_from});
                emit({.op = Op::And64K, .dst = reg, .imm = 63});
                if (kind == ArgKind::Size) emit({.op = Op::Add64K, .dst = reg, .imm = 1});
            }
        }
        // clang-format on
        call(id);
        if (row.result == platform::ResultKind::Scalar || row.result == platform::ResultKind::Status) number(0);
        if (map && c_.chance(2)) use_value(id, row.result, *map);
        std::optional<platform::ContextKind> object;
        if (row.result == platform::ResultKind::SocketOrNull) object = platform::ContextKind::Socket;
        if (row.result == platform::ResultKind::SockCommonOrNull) object = platform::ContextKind::SockCommon;
        if (row.result == platform::ResultKind::TcpSockOrNull) object = platform::ContextKind::TcpSock;
        if (object && c_.chance(2)) {
            Label out;
            if (!c_.chance(30)) branch(out, {.op = Op::Jeq64K, .dst = 0});
            pinned_ |= 1;
            object_load(0, *object);
            pinned_ = saved_pins_;
            place(out);
            junk(0);
        }
    }
    /// The element that r0 points to, or not.
    void use_value(HelperId id, platform::ResultKind result, uint32_t map) {
        platform::MapType type{};
        if (!platform::map_type_from_linux(safe_spec().maps[map].type, &type)) return;
        const bool lookup = id == HelperId::MapLookupElem;
        if (lookup && platform::lookup_result(type) == platform::LookupResult::Socket) {
            Label out;
            branch(out, {.op = Op::Jeq64K, .dst = 0});
            emit({.op = Op::Mov64X, .dst = 1, .src = 0});
            call(HelperId::SkRelease);
            return place(out);
        }
        const bool or_null = result == platform::ResultKind::MapValueOrNull;
        if (!or_null && result != platform::ResultKind::MapValue) return;
        const uint8_t kept = target(true);
        if (kept < 7) return;
        Label out;
        if (or_null && !c_.chance(30)) branch(out, {.op = Op::Jeq64K, .dst = 0});
        emit({.op = Op::Mov64X, .dst = kept, .src = 0});
        if (lookup && platform::lookup_result(type) == platform::LookupResult::XdpSock) {
            pinned(kept, [&] { object_load(kept, platform::ContextKind::XdpSock); });
        } else if (lookup && platform::lookup_result(type) == platform::LookupResult::InnerMap) {
            pinned(kept, [&] {
                emit({.op = Op::Mov64X, .dst = 1, .src = kept});
                emit({.op = Op::Mov64X, .dst = 2, .src = 10});
                emit({.op = Op::Add64K, .dst = 2, .imm = buffer_low});
                call(HelperId::MapLookupElem);
                use_value(HelperId::ForEachMapElem, result, HashMap);
            });
        } else {
            const bool writes = platform::lookup_result(type) == platform::LookupResult::Value || !lookup;
            const auto bytes = static_cast<int>(safe_spec().maps[map].value_size);
            pinned(kept, [&] { accesses(kept, 0, bytes, writes && map != DataMap, true); });
        }
        place(out);
        junk(kept), junk(0);
    }
    /// A socket, looked up or the context's: passed to helpers, read, and released if it must be.
    void socket(unsigned depth) {
        if (!calls_possible() || current_ != 0 || socket_ != 0) return;
        static constexpr HelperId lookups[] = {HelperId::SkLookupTcp, HelperId::SkLookupUdp, HelperId::SkcLookupTcp};
        static constexpr platform::FieldKind held[] = {platform::FieldKind::Socket, platform::FieldKind::SocketOrNull,
                                                       platform::FieldKind::SockCommonOrNull};
        const HelperId id = lookups[c_.below(3)];
        const bool acquired = allowed(id) && c_.chance(2);
        const platform::FieldRow* field = field_of(held[c_.below(3)]);
        if (!acquired && field == nullptr) return;
        const uint8_t kept = target(true);
        if (kept < 7) return;
        if (acquired) {
            emit({.op = Op::Mov64X, .dst = 1, .src = 6});
            emit({.op = Op::Mov64X, .dst = 2, .src = 10});
            emit({.op = Op::Add64K, .dst = 2, .imm = buffer_low});
            emit({.op = Op::Mov64K, .dst = 3, .imm = c_.chance(2) ? 12 : 36});
            emit({.op = Op::Mov64K, .dst = 4, .imm = static_cast<int32_t>(c_.below(3)) - 1});
            emit({.op = Op::Mov64K, .dst = 5});
            call(id);
        } else {
            load_field(0, *field);
        }
        const bool nullable = acquired || field->kind != platform::FieldKind::Socket;
        Label out;
        if (nullable) branch(out, {.op = Op::Jeq64K, .dst = 0});
        emit({.op = Op::Mov64X, .dst = kept, .src = 0});
        full_socket_ = acquired ? id != HelperId::SkcLookupTcp : field->kind != platform::FieldKind::SockCommonOrNull;
        const platform::ContextKind kind =
            full_socket_ ? platform::ContextKind::Socket : platform::ContextKind::SockCommon;
        pinned(kept, [&] {
            socket_ = kept;
            for (uint32_t n = 1 + c_.below(3); n > 0; --n) {
                if (c_.chance(3))
                    object_load(kept, kind);
                else if (c_.chance(4))
                    block(depth + 1, 2);
                else
                    socket_helper();
            }
            if (acquired && !c_.chance(40)) {
                emit({.op = Op::Mov64X, .dst = 1, .src = kept});
                call(HelperId::SkRelease);
                if (c_.chance(40)) object_load(kept, kind);
            }
            socket_ = 0;
        });
        place(out);
        junk(kept);
        after_call();
    }
    void socket_helper() {
        for (int tries = 0; tries < 200; ++tries) {
            const auto id = static_cast<HelperId>(c_.below(platform::helper_count));
            if (!allowed(id)) continue;
            for (const ArgKind kind : platform::helper_for(id, out_.type).args) {
                if (kind == ArgKind::SockCommon || kind == ArgKind::Socket || kind == ArgKind::SocketOrNull)
                    return helper(id);
            }
        }
    }
    bool special_fields_allowed() const {
        using platform::ProgramType;
        return out_.type != ProgramType::SocketFilter && out_.type != ProgramType::Kprobe &&
               out_.type != ProgramType::Tracepoint && out_.type != ProgramType::PerfEvent &&
               out_.type != ProgramType::RawTracepoint && out_.type != ProgramType::RawTracepointWritable;
    }
    /// A map's element in a register of its own, while `body` runs.
    template <typename Body>
    void element(uint32_t map, Body body) {
        const uint8_t kept = target(true);
        if (kept < 7) return;
        key(map);
        call(HelperId::MapLookupElem);
        Label out;
        branch(out, {.op = Op::Jeq64K, .dst = 0});
        emit({.op = Op::Mov64X, .dst = kept, .src = 0});
        pinned(kept, [&] { body(kept); });
        place(out);
        junk(kept);
        after_call();
    }
    void field_argument(uint8_t kept, int at) {
        emit({.op = Op::Mov64X, .dst = 1, .src = kept});
        emit({.op = Op::Add64K, .dst = 1, .imm = at + (c_.chance(60) ? 4 : 0)});
    }
    void lock() {
        if (!calls_possible() || !special_fields_allowed() || !allowed(HelperId::SpinLock)) return;
        element(LockMap, [&](uint8_t kept) {
            field_argument(kept, lock_at);
            call(HelperId::SpinLock);
            locked_ = true;
            const bool overlapping = c_.chance(40);
            accesses(kept, overlapping ? lock_at - 4 : lock_at + 8, 32, true, true);
            locked_ = false;
            if (c_.chance(40)) return;  // still held at the end
            field_argument(kept, lock_at);
            call(HelperId::SpinUnlock);
            if (c_.chance(3)) accesses(kept, 0, lock_at, true, true);
        });
    }
    void timer() {
        if (!calls_possible() || !special_fields_allowed() || !allowed(HelperId::TimerInit)) return;
        element(TimerMap, [&](uint8_t kept) {
            field_argument(kept, timer_at);
            emit({.op = Op::LdMapFd, .dst = 2, .imm = TimerMap});
            emit({.op = Op::Mov64K, .dst = 3, .imm = 1});
            call(HelperId::TimerInit);
            field_argument(kept, timer_at);
            timers_.push_back(here());
            emit({.op = Op::LdFunc, .dst = 2});
            call(HelperId::TimerSetCallback);
            field_argument(kept, timer_at);
            emit({.op = Op::Mov64K, .dst = 2, .imm = constant()});
            emit({.op = Op::Mov64K, .dst = 3});
            call(HelperId::TimerStart);
            if (c_.chance(2)) {
                field_argument(kept, timer_at);
                call(HelperId::TimerCancel);
            }
            const bool overlapping = c_.chance(40);
            accesses(kept, 0, overlapping ? timer_at + 8 : timer_at, true, true);
        });
    }
    void packet_load() {
        using platform::ProgramType;
        const bool has = out_.type == ProgramType::SocketFilter || out_.type == ProgramType::SchedCls ||
                         out_.type == ProgramType::SchedAct || out_.type == ProgramType::CgroupSkb;
        if (current_ != 0 || !calls_possible() || !has) return;
        const isa::Row& row = any_row(c_.chance(2) ? Form::PacketAbs : Form::PacketInd);
        Insn insn{.op = row.op, .imm = static_cast<int32_t>(c_.below(64))};
        if (row.has_src()) insn.src = any_number();
        emit(insn);
        after_call();
        number(0);
    }

    void block(unsigned depth, uint32_t most) {
        for (uint32_t i = 1 + c_.below(most); i > 0 && here() < 220; --i) {
            // clang-format off
            if (any_type_ && c_.chance(3)) {
                switch (c_.below(8)) {
                    case 0: context_store(); break;
                    case 1: case 2: if (depth < 3) socket(depth); break;
                    default: any_helper(); break;
                }
                continue;
            }
            switch (c_.below(29)) {
                case 0: case 1: case 2: case 3: arithmetic(); break;
                case 4: idiom(); break;
                case 5: case 6: spill(); break;
                case 7: case 8: case 9: if (depth < 4) condition(depth); break;
                case 10: case 11: if (depth < 3) loop(depth); break;
                case 12: case 13: case 27: lookup(); break;
                case 14: update(); break;
                case 15: ringbuf(); break;
                case 16: case 17: packet(); break;
                case 18: case 26: stack_access(); break;
                case 19: local_call(); break;
                case 20: callback_loop(); break;
                case 21: case 22: any_helper(); break;
                case 23: lock(); break;
                case 24: timer(); break;
                case 25: if (depth < 3) socket(depth); break;
                default: packet_load(); break;
            }
            // clang-format on
        }
    }

    void begin(bool context) {
        numbers_ = 0, pinned_ = 0, saved_pins_ = 0, loops_ = 0, dead_ = false;
        if (context) emit({.op = Op::Mov64X, .dst = 6, .src = 1});
        for (int at = numbers_low; at < numbers_high; at += 8)
            emit({.op = Op::StDw, .dst = 10, .offset = static_cast<int16_t>(at), .imm = constant()});
    }
    void function() {
        begin(current_ == 0);
        if (current_ != 0) {
            for (unsigned reg = 1; reg <= 5; ++reg) number(reg);
        }
        for (const uint8_t reg : {7, 8, 9}) load_number(reg);
        block(0, current_ == 0 ? 7 : 3);
        const auto range = platform::result_range(out_.type, out_.attach, platform::Personality::Linux);
        const auto result = static_cast<int32_t>(range.any ? 0 : range.min);
        if (current_ == 0 || !is_number(0)) emit({.op = Op::Mov64K, .dst = 0, .imm = result});
        emit({.op = Op::Exit});
    }
    void callback_function() {
        begin(false);
        // r2 is the context (a pointer into the caller's stack) or a key; r1 the round or a map.
        for (const uint8_t reg : {7, 8, 9}) load_number(reg);
        for (uint32_t i = c_.below(4); i > 0; --i) c_.chance(2) ? arithmetic() : spill();
        const uint8_t reg = number_target();
        emit({.op = Op::Mov64X, .dst = 0, .src = reg});
        emit({.op = Op::And64K, .dst = 0, .imm = 1});
        emit({.op = Op::Exit});
    }
    void timer_function() {
        begin(false);  // r1 the map, r2 the key, r3 the value
        for (const uint8_t reg : {8, 9}) load_number(reg);
        emit({.op = Op::Mov64X, .dst = 7, .src = 3});
        pinned(7, [&] {
            accesses(7, 0, c_.chance(40) ? timer_at + 8 : timer_at, true, true);
            for (uint32_t i = c_.below(4); i > 0; --i) c_.chance(2) ? arithmetic() : spill();
        });
        emit({.op = Op::Mov64K, .dst = 0});
        emit({.op = Op::Exit});
    }
};

}  // namespace

SafeProgram make_safe_program(Choices& choices) { return Generator(choices).make(); }

}  // namespace skep::testing
