// SPDX-License-Identifier: Apache-2.0
// Calls of helpers and functions, tail calls, lookups without a call (RFC 9669 section 4.3.2).
#include <set>

#include "engine/native/function_writer.hpp"
#include "platform/ebpf_result.hpp"

namespace skep::engine::native {

Result<std::string> FunctionWriter::helper_name(const Node& node) const {
    if (node.helper < 0)
        return fail(node, Errc::Unresolved, "the helper call has no meaning",
                    fmt::format("binding gave number {} no canonical helper", node.insn.imm));
    const auto id = static_cast<HelperId>(node.helper);
    const auto& helpers = program_.module.helpers;
    if (std::find(helpers.begin(), helpers.end(), id) == helpers.end())
        return fail(node, Errc::Unavailable,
                    fmt::format("helper {} is not in the module's table", platform::helper_name(id)));
    return fmt::format("HELPER_{}", platform::helper_name(id));
}

void FunctionWriter::destroy_arguments(const Node& node) {
    for (unsigned r = 1; r <= 5; ++r) assign(node, r, {"0", CType::U32});
}

void FunctionWriter::leave_on_fault() {
    if (program_.counts_frames) line("if (SKEP_UNLIKELY(run->fault != 0)) return 0;");
}

Result<void> FunctionWriter::write_call(const Walk& walk, const Node& node) {
    const Form form = node.row().form;
    if (node.row().operation == Operation::CallKfunc)
        return fail(node, Errc::Unsupported, "kernel functions are not available", "they exist in a kernel only");
    if (form == Form::CallTarget) {
        const Function& callee = program_.functions[node.target];
        std::vector<std::string> arguments(5, "0");
        for (unsigned r = 1; r <= 5; ++r)
            if (callee.entry_live >> r & 1) {
                const CType type = callee.is_main && !callee.referred ? CType::U64 : argument_type(callee, r);
                arguments[r - 1] = converted(reg(walk, r), type);
            }
        enter_frame(node);
        assign_or_do(node, 0, {call_of(program_, callee, arguments), CType::U64});
        leave_frame();
        destroy_arguments(node);
        return {};
    }
    if (form == Form::CallDst) return write_callx(walk, node);
    const Binding& binding = bound_.bindings[node.at];
    const bool windows = binding.result == platform::ResultMap::EbpfResult;
    SKEP_ASSIGN(const std::string name, helper_name(node));
    const auto id = static_cast<HelperId>(node.helper);
    if (id == HelperId::MapLookupElem && inline_lookup(walk, node)) {
        destroy_arguments(node);
        return {};
    }
    std::string call = name + "(";
    for (unsigned r = 1; r <= 5; ++r) call += (r <= node.arguments ? as64(reg(walk, r)) : "0") + ", ";
    call += "run)";
    if (id == HelperId::TailCall) {
        // The limit of tail calls bounds how deep these nest where the compiler makes no jump of the call.
        line("{");
        line("    const struct skep_entry *const entry = (const struct skep_entry *)ADDRESS(" + call + ");");
        if (program_.counts_frames) {
            line("    if (entry != 0) {");
            line("        uint64_t result;");
            line("        --run->frames;");
            line("        result = entry->function(" + converted(reg(walk, 1), CType::Pointer) +
                 ", run, entry->self);");
            line("        ++run->frames;");
            line("        return result;");
            line("    }");
        } else {
            line("    if (entry != 0) return entry->function(" + converted(reg(walk, 1), CType::Pointer) +
                 ", run, entry->self);");
        }
        line("}");
        if (windows)  // what the helper's other table says of a tail call that failed
            assign(node, 0,
                   {fmt::format("(uint64_t)(run->tail_calls >= {}u ? -{}ll : -{}ll)", SKEP_TAIL_CALL_LIMIT,
                                platform::ebpf_result_no_more_tail_calls, platform::ebpf_result_invalid_argument),
                    CType::U64});
        else
            assign(node, 0, {"0", CType::U32});
    } else if (windows) {
        // Errors in eBPF for Windows' numbers: the module calls the host's one table and maps by itself.
        line("{");
        line("    uint64_t status = " + call + ";");
        line(fmt::format("    if (status > UINT64_MAX - {}u)", platform::largest_error));
        line("        switch ((int)(0 - status)) {");
        std::set<int> known;
        for (const platform::EbpfResultRow& row : platform::ebpf_result_rows)
            if (known.insert(row.errno_number).second)
                line(fmt::format("        case {}: status = (uint64_t)-{}ll; break;", row.errno_number, row.number));
        line(fmt::format("        default: status = (uint64_t)-{}ll; break;", platform::ebpf_result_failed));
        line("        }");
        assign_or_do(node, 0, {"status", CType::U64});
        line("}");
    } else {
        assign_or_do(node, 0, {call, CType::U64});
    }
    leave_on_fault();
    destroy_arguments(node);
    return {};
}

void FunctionWriter::enter_frame(const Node& node) {
    if (!program_.counts_frames) return;
    line(fmt::format("if (run->frames >= 8u) {{ run->fault = 1u; run->fault_insn = {}u; return 0; }}", node.at));
    line("++run->frames;");
}

void FunctionWriter::leave_frame() {
    if (!program_.counts_frames) return;
    line("--run->frames;");
    leave_on_fault();
}

Result<void> FunctionWriter::write_callx(const Walk& walk, const Node& node) {
    std::vector<std::string> arguments;
    for (unsigned r = 1; r <= 5; ++r) arguments.push_back(as64(reg(walk, r)));
    const bool result = (node.live_after & 1) != 0;
    const std::string to = result ? names_[f_.defined_web(node, 0)] + " = " : std::string();
    line("switch (" + as64(reg(walk, node.insn.dst)) + ") {");
    for (const Function& f : program_.functions) {
        line(fmt::format("case {}u:", program_.nodes[f.first].at));
        enter_frame(node);
        const std::string call = call_of(program_, f, arguments);
        line(
            "    " +
            (result ? to + converted({call, CType::U64}, c_type(f_.types(f_.defined_web(node, 0)))) : "(void)" + call) +
            ";");
        leave_frame();
        line("    break;");
    }
    if (!program_.source.program->verified()) {
        for (const HelperId id : program_.module.helpers) {
            const uint32_t number = platform::helper(id).linux_id;
            bool taken = number == 0;
            for (const Function& f : program_.functions) taken |= program_.nodes[f.first].at == number;
            if (taken) continue;
            std::string call = fmt::format("HELPER_{}(", platform::helper_name(id));
            for (const std::string& argument : arguments) call += argument + ", ";
            line(fmt::format("case {}u: {}{}run); break;", number, result ? to : "(void)", call));
        }
    }
    line(fmt::format("default: run->fault = 2u; run->fault_insn = {}u; return 0;", node.at));
    line("}");
    leave_on_fault();
    destroy_arguments(node);
    return {};
}

Result<void> FunctionWriter::write_packet_load(const Walk& walk, const Node& node) {
    SKEP_ASSIGN(const std::string name, helper_name(node));
    std::string offset = number32(static_cast<uint32_t>(node.insn.imm));
    if (node.row().form == Form::PacketInd) offset = as32(reg(walk, node.insn.src)) + " + " + offset;
    line("{");
    line(fmt::format("    const uint64_t value = {}({}, (uint64_t)(int32_t)({}), 0, 0, 0, run);", name,
                     as64(reg(walk, 6)), offset));
    line("    if (value == UINT64_MAX) return 0;");
    if (node.live_after & 1) assign(node, 0, {"(uint32_t)value", CType::U32, false});
    line("}");
    destroy_arguments(node);
    return {};
}

bool FunctionWriter::inline_lookup(const Walk& walk, const Node& node) {
    const Facts& facts = program_.source.program->facts();
    const Fact* fact = node.at < facts.size() ? &facts[node.at] : nullptr;
    int64_t map = walk.known[1].kind == Known::Kind::Map ? walk.known[1].value : -1;
    if (fact != nullptr && fact->map != no_map && fact->map < program_.source.maps.size())
        map = program_.source.maps[fact->map];
    if (map < 0) return false;
    const MapLayout& layout = program_.module.maps[static_cast<size_t>(map)].layout;
    if (layout.kind == MapLayoutKind::Opaque || layout.max_entries == 0) return false;
    if (!(node.live_after & 1)) return true;
    maps_used_[static_cast<uint32_t>(map)] = layout.kind == MapLayoutKind::PercpuArray;
    const std::string base = fmt::format("map{}", map);
    if (fact != nullptr && fact->key_constant) {
        const bool inside = fact->key < layout.max_entries;
        assign(node, 0,
               inside ? Expression{plus(base, static_cast<int64_t>(layout.stride * fact->key)), CType::Pointer, false}
                      : Expression{"0", CType::U32});
        return true;
    }
    const Place key = place(walk, 2, 0);
    line("{");
    line(fmt::format("    const uint32_t key = {}LOAD32({});", key.is_private ? "" : "SHARED_", key.text));
    const std::string element = fmt::format("{} + (uint64_t)(key & {:#x}u) * {}u", base, layout.mask, layout.stride);
    const bool always = fact != nullptr && fact->result_non_null;
    assign(node, 0,
           {always ? element : fmt::format("key < {}u ? {} : (uint8_t *)0", layout.max_entries, element),
            CType::Pointer, false});
    line("}");
    return true;
}

}  // namespace skep::engine::native
