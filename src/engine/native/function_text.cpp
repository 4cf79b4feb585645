// SPDX-License-Identifier: Apache-2.0
// One function as C: a label per jump target, a statement per instruction.
#include "engine/native/function_writer.hpp"

namespace skep::engine::native {

std::string name_of(const ProgramText& program, const Function& function) {
    const auto& subprograms = program.source.program->bound().linked.subprograms;
    std::string name = fmt::format("{}{}_", program.prefix, function.index);
    for (const char c : subprograms[function.index].name) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        name += letter ? c : '_';
    }
    return name;
}

std::string signature_of(const ProgramText& program, const Function& function) {
    std::string out = fmt::format("static uint64_t {}(", name_of(program, function));
    for (unsigned reg = 1; reg <= 5; ++reg)
        if (function.entry_live >> reg & 1) {
            const CType type = function.is_main && !function.referred ? (reg == 1 ? CType::Pointer : CType::U32)
                                                                      : argument_type(function, reg);
            out += fmt::format("{}a{}, ", c_name(type), reg);
        }
    return out + "struct skep_runtime_context *run, const struct skep_module_instance *self, uint8_t *ctx)";
}

std::string call_of(const ProgramText& program, const Function& function, std::span<const std::string> arguments) {
    std::string out = name_of(program, function) + "(";
    for (unsigned reg = 1; reg <= 5; ++reg)
        if (function.entry_live >> reg & 1) out += arguments[reg - 1] + ", ";
    return out + "run, self, ctx)";
}

Result<std::string> FunctionWriter::run() {
    count_entries();
    find_trees();
    name_webs();
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) {
        if (!f_.blocks[b].reached || swallowed_[b]) continue;
        SKEP_TRY(write_block(b));
    }
    std::string out = head();
    for (const auto& [block, text] : chunks_) {
        if (used_labels_.contains(block)) out += label(block) + ":;\n";
        out += text;
    }
    return out + "}\n";
}

void FunctionWriter::count_entries() {
    entries_.resize(f_.blocks.size());
    swallowed_.resize(f_.blocks.size());
    ++entries_[0];
    for (const Block& block : f_.blocks)
        if (block.reached)
            for (const uint32_t next : block.next) ++entries_[next];
}

void FunctionWriter::find_trees() {
    for (uint32_t b = 0; b < f_.blocks.size(); ++b) {
        if (!f_.blocks[b].reached || swallowed_[b]) continue;
        CompareTree tree;
        if (!find_compare_tree(f_, program_.nodes, b, entries_, &tree)) continue;
        bool free = true;
        for (const uint32_t inside : tree.inside) free &= !swallowed_[inside];
        if (!free) continue;
        for (const uint32_t inside : tree.inside) swallowed_[inside] = true;
        trees_.emplace(b, std::move(tree));
    }
}

uint32_t FunctionWriter::following(uint32_t block) const {
    for (++block; block < f_.blocks.size(); ++block)
        if (f_.blocks[block].reached && !swallowed_[block]) return block;
    return UINT32_MAX;
}

void FunctionWriter::name_webs() {
    names_.resize(f_.web_count());
    std::array<unsigned, most_locations> count{};
    const auto name = [&](uint32_t web, unsigned location) {
        if (!names_[web].empty()) return;
        std::string& text = names_[web];
        if (location < register_locations) {
            text = fmt::format("r{}", location);
        } else {
            const Slot& slot = f_.slots[location - register_locations];
            text = fmt::format("s{}", -slot.offset);
            if (slot.bytes != 8) text += fmt::format("w{}", slot.bytes);
        }
        if (count[location]++ != 0) text += fmt::format("_{}", count[location]);
        variables_[static_cast<size_t>(c_type(f_.types(web)))].push_back(web);
    };
    for (const Block& block : f_.blocks) {
        if (!block.reached) continue;
        for (LocationSet left = block.live_in; left != 0; left &= left - 1) {
            const auto location = static_cast<unsigned>(std::countr_zero(left));
            name(f_.live_in_web(block, location), location);
        }
        for (uint32_t i = block.start; i < block.end; ++i) {
            const Node& node = program_.nodes[i];
            for (LocationSet left = node.defs & node.live_after; left != 0; left &= left - 1) {
                const auto location = static_cast<unsigned>(std::countr_zero(left));
                name(f_.defined_web(node, location), location);
            }
        }
    }
}

std::string FunctionWriter::head() const {
    std::string out = "\n" + signature_of(program_, f_) + " {\n";
    if (f_.frame_bytes != 0 || uses_frame_)
        out += fmt::format("    SKEP_ALIGN8 uint8_t frame[{}]{};\n", frame_bytes(), f_.clears_frame ? " = {0}" : "");
    for (const auto& [map, percpu] : maps_used_) {
        out += percpu ? fmt::format(
                            "    uint8_t *const map{0} = self->maps[{0}].values + (uint64_t)run->lane * "
                            "self->maps[{0}].lane_stride;\n",
                            map)
                      : fmt::format("    uint8_t *const map{0} = self->maps[{0}].values;\n", map);
    }
    // Variables that are read before they are written start as the argument, or as 0.
    std::map<uint32_t, std::string> first;
    const Block& entry = f_.blocks[0];
    for (LocationSet left = entry.live_in; left != 0; left &= left - 1) {
        const auto location = static_cast<unsigned>(std::countr_zero(left));
        const uint32_t web = f_.live_in_web(entry, location);
        const bool argument = location >= 1 && location <= 5 && (f_.entry_live >> location & 1);
        const CType from = f_.is_main && !f_.referred ? (location == 1 ? CType::Pointer : CType::U32)
                           : argument                 ? argument_type(f_, location)
                                                      : CType::U32;
        const Expression value{argument ? fmt::format("a{}", location) : "0", argument ? from : CType::U32};
        first[web] = argument ? converted(value, c_type(f_.types(web))) : "0";
    }
    for (const CType type : {CType::Pointer, CType::U64, CType::U32}) {
        std::string line;
        for (const uint32_t web : variables_[static_cast<size_t>(type)]) {
            const auto start = first.find(web);
            const std::string item = names_[web] + (start != first.end() ? " = " + start->second : std::string());
            if (line.empty()) {
                line = fmt::format("    {}{}", c_name(type), item);
            } else if (line.size() + item.size() > 110) {
                out += line + ";\n";
                line = fmt::format("    {}{}", c_name(type), item);
            } else {
                line += (type == CType::Pointer ? ", *" : ", ") + item;
            }
        }
        if (!line.empty()) out += line + ";\n";
    }
    if (f_.has_may_goto) out += fmt::format("    uint32_t may_goto_left = {:#x}u;\n", may_goto_budget);
    out += "    (void)run, (void)self, (void)ctx;\n";
    for (unsigned reg = 1; reg <= 5; ++reg)
        if ((f_.entry_live >> reg & 1) && !(f_.blocks[0].live_in >> reg & 1))
            out += fmt::format("    (void)a{};\n", reg);
    return out;
}

Result<void> FunctionWriter::write_block(uint32_t b) {
    const Block& block = f_.blocks[b];
    const auto& lines = bound_.linked.lines;
    chunks_.emplace_back(b, std::string());
    Walk walk = f_.enter(block);
    const auto tree = trees_.find(b);
    for (uint32_t i = block.start; i < block.end; ++i) {
        const Node& node = program_.nodes[i];
        const auto source = std::lower_bound(lines.begin(), lines.end(), node.at,
                                             [](const auto& l, isa::InsnIndex at) { return l.insn < at; });
        if (source != lines.end() && source->insn == node.at) write_source(*source);
        if (tree != trees_.end() && i + 1 == block.end) {
            write_tree(walk, tree->second);
        } else if (!node.is_dead()) {
            SKEP_TRY(write(walk, node, b));
        }
        f_.step(walk, node);
    }
    const Node& end = program_.nodes[block.end - 1];
    if (block.next.empty() && !end.row().is_exit()) line("return 0;");  // a fact says that nobody gets here
    if (tree != trees_.end() || end.row().is_jump() || block.next.empty()) return {};
    if (block.next[0] != following(b)) go(block.next[0]);
    return {};
}

void FunctionWriter::write_source(const object::SourceLine& source) {
    if (source.line == last_line_ && source.file == last_file_) return;
    last_line_ = source.line;
    last_file_ = source.file;
    const size_t slash = source.file.find_last_of('/');
    const std::string file = slash == std::string::npos ? source.file : source.file.substr(slash + 1);
    line(fmt::format("/* {}:{}: {} */", comment(file), source.line, comment(source.text)));
}

void FunctionWriter::write_tree(const Walk& walk, const CompareTree& tree) {
    const Expression value = reg(walk, tree.reg);
    line(fmt::format("switch ({}) {{", tree.is32 ? as32(value) : as64(value)));
    for (size_t i = 0; i < tree.cases.size(); ++i) {
        const auto& c = tree.cases[i];
        std::string text = fmt::format("case {}:", fmt::format("{}u", c.value));
        if (i + 1 == tree.cases.size() || tree.cases[i + 1].block != c.block)
            text += fmt::format(" goto {};", jump_label(c.block));
        line(text);
    }
    line(fmt::format("default: goto {};", jump_label(tree.otherwise)));
    line("}");
}

Result<void> FunctionWriter::write(const Walk& walk, const Node& node, uint32_t b) {
    const isa::Row& row = node.row();
    if (row.is_jump()) {
        write_jump(walk, node, b);
        return {};
    }
    if (row.is_exit()) {
        line("return " + as64(reg(walk, 0)) + ";");
        return {};
    }
    // Without a meaning: ends the run, also where it was proved that nobody gets here.
    if (node.at < bound_.bindings.size() && bound_.bindings[node.at].kind == BindingKind::Problem) {
        line(fmt::format("run->fault = 2u; run->fault_insn = {}u; return 0;", node.at));
        return {};
    }
    if (row.is_packet_load()) return write_packet_load(walk, node);
    if (row.is_call()) return write_call(walk, node);
    if (row.is_wide()) return write_wide(node);
    if (row.is_memory()) return write_memory(walk, node);
    return write_alu(walk, node);
}

Result<void> FunctionWriter::write_wide(const Node& node) {
    const isa::Insn& insn = node.insn;
    const auto index = static_cast<uint32_t>(insn.imm);
    const auto& maps = program_.source.maps;
    switch (node.row().operation) {
        case Operation::LdImm64:
            assign(node, insn.dst,
                   {fmt::format("{:#x}u", insn.imm64()), insn.imm64() <= UINT32_MAX ? CType::U32 : CType::U64});
            return {};
        case Operation::LdFunc:
            assign(node, insn.dst,
                   {fmt::format("{}u", program_.nodes[program_.functions[node.target].first].at), CType::U32});
            return {};
        case Operation::LdMapFd:
            if (index >= maps.size()) break;
            assign(node, insn.dst, map_handle(maps[index]));
            return {};
        case Operation::LdMapValue:
            if (index >= maps.size()) break;
            maps_used_.emplace(maps[index], false);
            assign(
                node, insn.dst,
                {plus(fmt::format("map{}", maps[index]), static_cast<uint32_t>(insn.next_imm)), CType::Pointer, false});
            return {};
        case Operation::LdMapIdx:
        case Operation::LdMapIdxValue:
            return fail(node, Errc::Unsupported, "a map reference through a descriptor array is left",
                        "loading replaces them by indices of the program's maps");
        case Operation::LdBtfId:
        default: return fail(node, Errc::Unsupported, "kernel variables are not available");
    }
    return fail(node, Errc::BadInstruction, "the instruction refers to a map that is not there",
                fmt::format("map {} of {}", index, maps.size()));
}

void FunctionWriter::write_jump(const Walk& walk, const Node& node, uint32_t b) {
    const uint32_t target = program_.nodes[node.target].block;
    const uint32_t after = following(b);
    if (node.never) return fall(b, after);
    if (node.row().operation == Operation::Jump || node.always) {
        if (target != after) go(target);
        return;
    }
    if (node.row().operation == Operation::MayGoto) {
        line(fmt::format("if (may_goto_left == 0) goto {};", jump_label(target)));
        line("--may_goto_left;");
        return fall(b, after);
    }
    const std::string condition = compare(walk, node);
    if (condition == "0") return fall(b, after);
    if (condition == "1") {
        if (target != after) go(target);
        return;
    }
    if (target != b + 1) line(fmt::format("if ({}) goto {};", condition, jump_label(target)));
    fall(b, after);
}

std::string FunctionWriter::compare(const Walk& walk, const Node& node) {
    const isa::Insn& insn = node.insn;
    const isa::Row& row = node.row();
    using enum Operation;
    const Operation op = row.operation;
    const bool is32 = row.width_bits() == 32;
    const bool is_signed = row.is_signed();
    if (!row.has_src()) {  // comparisons that compilers call pointless
        const uint64_t k = is32 ? static_cast<uint32_t>(insn.imm) : static_cast<uint64_t>(int64_t{insn.imm});
        const uint64_t most = is32 ? UINT32_MAX : UINT64_MAX;
        if (k == 0 && op == JumpGe) return "1";
        if (k == 0 && (op == JumpLt || op == JumpSet)) return "0";
        if (k == most && op == JumpLe) return "1";
        if (k == most && op == JumpGt) return "0";
    } else if (insn.src == insn.dst && op != JumpSet) {
        const bool holds = op == JumpEq || op == JumpGe || op == JumpLe || op == JumpSge || op == JumpSle;
        return holds ? "1" : "0";
    }
    const Expression dst = reg(walk, insn.dst);
    // A pointer against null stays one.
    if (!row.has_src() && insn.imm == 0 && !is32 && dst.type == CType::Pointer && (op == JumpEq || op == JumpNe))
        return wrapped(dst) + (op == JumpEq ? " == 0" : " != 0");
    std::string left = is32 ? as32(dst) : as64(dst), right = operand(walk, node, is32);
    if (op == JumpSet) return fmt::format("({} & {}) != 0", left, right);
    if (is_signed) {
        const char* cast = is32 ? "(int32_t)" : "(int64_t)";
        left = cast + left;
        if (row.has_src())
            right = cast + right;
        else if (insn.imm == INT32_MIN)
            right = "(-2147483647 - 1)";
        else
            right = fmt::format("{}", insn.imm);
    }
    const char* sign = op == JumpEq                    ? "=="
                       : op == JumpNe                  ? "!="
                       : op == JumpGt || op == JumpSgt ? ">"
                       : op == JumpGe || op == JumpSge ? ">="
                       : op == JumpLt || op == JumpSlt ? "<"
                                                       : "<=";
    return fmt::format("{} {} {}", left, sign, right);
}

Result<std::string> function_text(const ProgramText& program, const Function& function) {
    return FunctionWriter(program, function).run();
}

}  // namespace skep::engine::native
