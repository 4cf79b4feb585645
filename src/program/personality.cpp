// SPDX-License-Identifier: Apache-2.0
// Evidence of the personality. Everything here reads the object only.
#include "program/personality.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "isa/insn.hpp"
#include "object/link.hpp"
#include "platform/platforms/platform.hpp"
#include "platform/program_type.hpp"
#include "program/context_flow.hpp"

namespace skep {
namespace {

using platform::Personality;
using platform::ProgramType;

constexpr size_t most_texts = 16;  ///< evidence kept of each side; more says nothing new

class Detective {
  public:
    explicit Detective(const object::ObjectSpec& spec) : spec_(spec) {}

    PersonalityFinding run() {
        marks();
        btf_types();
        legacy_records();
        for (size_t i = 0; i < spec_.programs.size(); ++i) program(i);
        return judge();
    }

  private:
    void add(Personality personality, std::string text, bool mark = false) {
        size_t same = 0;
        for (const PersonalityEvidence& known : finding_.evidence) {
            if (known.text == text) return;
            same += known.personality == personality;
        }
        if (same < most_texts) finding_.evidence.push_back({personality, mark, std::move(text)});
    }

    void marks() {
        for (const object::SectionSpec& section : spec_.sections) {
            if (section.kind == "mark: linux") add(Personality::Linux, "the note .note.skep says linux", true);
            if (section.kind == "mark: windows") add(Personality::Windows, "the note .note.skep says windows", true);
        }
        if (spec_.ebpf_for_windows)
            add(Personality::Windows, "section \".ebpf_for_windows\", the mark of its headers", true);
    }

    void btf_types() {
        if (spec_.btf == nullptr) return;
        const btf::Btf& btf = *spec_.btf;
        for (btf::TypeId id = 1; id < btf.type_count(); ++id) {
            const btf::Type& type = btf.type(id);
            const std::string_view name = btf.name(id);
            if (type.kind == btf::Kind::Typedef) {
                for (const std::string_view known :
                     {"xdp_md_t", "bind_md_t", "bpf_sock_addr_t", "bpf_sock_ops_t", "process_md_t"})
                    if (name == known) add(Personality::Windows, fmt::format("BTF has the type {}", known));
            }
            if (type.kind != btf::Kind::Struct) continue;
            if (name == "__sk_buff") add(Personality::Linux, "BTF has struct __sk_buff");
            // The same names on both systems; their layouts tell.
            if (name != "xdp_md" && name != "bpf_sock_addr") continue;
            const auto members = btf.members(type);
            if (members.empty()) continue;
            const std::string_view first = btf.string(members[0].name_off);
            const uint64_t bytes = btf.size_of(members[0].type).value_or(0);
            if (name == "xdp_md" && first == "data" && bytes != 0)
                add(bytes == 8 ? Personality::Windows : Personality::Linux,
                    fmt::format("BTF's struct xdp_md begins with {} bytes of data", bytes));
            if (name == "bpf_sock_addr" && (first == "user_family" || first == "family"))
                add(first == "family" ? Personality::Windows : Personality::Linux,
                    fmt::format("BTF's struct bpf_sock_addr begins with {}", first));
        }
    }

    /// Records of the section "maps": eBPF for Windows writes eight words, no loader of Linux does.
    void legacy_records() {
        for (const object::SectionSpec& section : spec_.sections) {
            if (section.name != "maps" || section.symbols == 0 || section.size % section.symbols != 0) continue;
            const uint64_t record = section.size / section.symbols;
            if (record == 32) add(Personality::Windows, "map records of 32 bytes");
            if (record == 20 || record == 28 || record == 36)
                add(Personality::Linux, fmt::format("map records of {} bytes", record));
        }
    }

    void program(size_t index) {
        const object::ProgramSpec& program = spec_.programs[index];
        const auto meaning = platform::section_meaning(program.section);
        if (!meaning) return;
        const ProgramType type = meaning->type;
        const bool on_linux = platform::program_type_linux_id(type) != 0;
        const bool on_windows = platform::program_type_windows_id(type) != 0;
        const std::string_view section = program.section;
        const bool windows_name = section.starts_with("cgroup/recv_accept") ||
                                  section.starts_with("cgroup/connect_authorization") ||
                                  section.starts_with("cgroup/listen");
        const bool linux_name =
            type == ProgramType::Xdp ? section.starts_with("xdp.frags") || meaning->attach != platform::AttachType::Xdp
            : type == ProgramType::CgroupSockAddr
                ? !windows_name && !section.starts_with("cgroup/connect4") && !section.starts_with("cgroup/connect6") &&
                      !section.starts_with("cgroup/bind4") && !section.starts_with("cgroup/bind6")
                : false;
        if (!on_linux || windows_name)
            add(Personality::Windows, fmt::format("section \"{}\" exists on Windows only", section));
        else if (!on_windows || linux_name)
            add(Personality::Linux, fmt::format("section \"{}\" exists on Linux only", section));
        if (on_linux && on_windows) shared_types_ = true;

        const auto linked = object::link(spec_, index);
        if (!linked) return;
        helpers(*linked, program, type);
        if (type == ProgramType::Xdp) accesses(*linked, program);
    }

    /// Numbers that only one system has. (A number that both have, and that Linux does not give to this program type,
    /// says nothing: it may as well be a program that Linux refuses.)
    void helpers(const object::LinkedProgram& linked, const object::ProgramSpec& program, ProgramType type) {
        for (isa::InsnIndex at = 0; at < linked.code.size();) {
            const auto insn = isa::decode(linked.code, at);
            if (!insn) return;
            const isa::Operation operation = insn->row().operation;
            if (operation == isa::Operation::CallKfunc)
                add(Personality::Linux, fmt::format("{} calls a kernel function", program.name));
            if (operation == isa::Operation::Call) {
                const auto number = static_cast<uint32_t>(insn->imm);
                platform::HelperId on_linux{}, on_windows{};
                const bool linux = platform::helper_from_linux(number, &on_linux);
                const bool windows = platform::helper_from_windows(number, &on_windows) ||
                                     platform::windows_helper_of_type(type, number).has_value();
                if (linux && !windows)
                    add(Personality::Linux, fmt::format("{} calls helper {} ({}), a number Windows has not",
                                                        program.name, number, platform::helper_name(on_linux)));
                if (windows && !linux)
                    add(Personality::Windows,
                        fmt::format("{} calls helper {:#x}, a number Linux has not", program.name, number));
            }
            at += insn->slots();
        }
    }

    /// The widths of packet pointers: 4 bytes at 0, 4, 8 on Linux, 8 bytes at 0, 8, 16 on Windows.
    void accesses(const object::LinkedProgram& linked, const object::ProgramSpec& program) {
        std::vector<Binding> bindings(linked.code.size());
        for (isa::InsnIndex at = 0; at < linked.code.size();) {
            const auto insn = isa::decode(linked.code, at);
            if (!insn) return;
            if (insn->row().operation == isa::Operation::Call) {
                // Whatever the call is: a helper of which nothing is known.
                bindings[at].kind = BindingKind::Helper;
                bindings[at].helper = static_cast<uint16_t>(platform::HelperId::Setsockopt);
            }
            at += insn->slots();
        }
        const std::vector<MapSizes> maps(linked.maps.size());
        const auto visit = [&](isa::InsnIndex at, const isa::Insn& insn,
                               std::span<const ContextValue> registers) -> Result<void> {
            const isa::Row& row = insn.row();
            if (row.form != isa::Form::LoadMem) return {};
            const ContextValue base = registers[insn.src];
            if (base.kind != ContextValue::Kind::Context) return {};
            // CO-RE finds the field by name: where it stood when the program was compiled says nothing.
            if (std::ranges::find(linked.core_relocations, at, &btf::CoreRecord::insn) != linked.core_relocations.end())
                return {};
            const int64_t offset = int64_t{base.offset} + insn.offset;
            if (row.access_bytes() == 8 && (offset == 0 || offset == 8 || offset == 16))
                add(Personality::Windows,
                    fmt::format("{} loads 8 bytes at offset {} of its context", program.name, offset));
            if (row.access_bytes() == 4 && (offset == 0 || offset == 4))
                add(Personality::Linux,
                    fmt::format("{} loads 4 bytes at offset {} of its context", program.name, offset));
            return {};
        };
        (void)follow_context(linked, bindings, maps, visit);  // what cannot be followed gives no evidence
    }

    std::string list(Personality personality, bool marks_only) const {
        std::string text;
        for (const PersonalityEvidence& e : finding_.evidence) {
            if (e.personality != personality || (marks_only && !e.mark)) continue;
            text += (text.empty() ? "" : "; ") + e.text;
        }
        return text;
    }

    PersonalityFinding judge() {
        bool marked[2] = {}, seen[2] = {};
        for (const PersonalityEvidence& e : finding_.evidence) {
            seen[static_cast<size_t>(e.personality)] = true;
            marked[static_cast<size_t>(e.personality)] |= e.mark;
        }
        std::ranges::stable_sort(finding_.evidence, {}, [](const PersonalityEvidence& e) { return !e.mark; });
        if (seen[0] && seen[1]) {
            finding_.reason = fmt::format("for linux: {}. For windows: {}", list(Personality::Linux, false),
                                          list(Personality::Windows, false));
        } else if (seen[1]) {
            finding_.personality = Personality::Windows;
        } else if (seen[0] || !shared_types_ || spec_.sections.empty()) {
            finding_.personality = Personality::Linux;
        } else {
            finding_.reason =
                "its program types exist on both systems with other numbers, and nothing in it says whose it has: no "
                "mark, "
                "no BTF, no telling section, helper number or context access";
        }
        return std::move(finding_);
    }

    const object::ObjectSpec& spec_;
    PersonalityFinding finding_;
    bool shared_types_ = false;
};

}  // namespace

const char* personality_name(Personality personality) {
    return personality == Personality::Linux ? "linux" : "windows";
}

std::optional<Personality> personality_from_name(std::string_view name) {
    if (name == "linux") return Personality::Linux;
    if (name == "windows") return Personality::Windows;
    return std::nullopt;
}

PersonalityFinding find_personality(const object::ObjectSpec& spec) { return Detective(spec).run(); }

Result<Personality> settle_personality(const object::ObjectSpec& spec, std::optional<Personality> asked) {
    if (asked) return *asked;
    PersonalityFinding finding = find_personality(spec);
    if (finding.personality) return *finding.personality;
    return Error(Errc::Undecided, Where{.file = spec.file},
                 finding.evidence.empty() ? "cannot tell whether the object was compiled for Linux or for Windows"
                                          : "the object looks compiled for Linux and for Windows at once",
                 std::move(finding.reason), "say it with --personality linux or --personality windows");
}

}  // namespace skep
