// SPDX-License-Identifier: Apache-2.0
// What a certificate is about, as canonical bytes: the author's instructions, and what binding says they mean, in
// names. No host enumerator, layout or address goes in, so a certificate made on one host is about the same subject on
// another.
#include <string_view>

#include "base/sha256.hpp"
#include "platform/context.hpp"
#include "platform/helper.hpp"
#include "platform/program_type.hpp"
#include "verifier/certificate/certificate.hpp"

namespace skep::verifier {

namespace {

class Writer {
  public:
    void number(uint64_t value) {
        uint8_t bytes[8];
        for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
        hash_.update(bytes, sizeof bytes);
    }
    void text(std::string_view value) {
        number(value.size());
        hash_.update(value.data(), value.size());
    }
    void bytes(std::span<const std::byte> value) {
        number(value.size());
        hash_.update(value.data(), value.size());
    }
    void code(const isa::Code& code) {
        number(code.size());
        for (const isa::Slot& slot : code) {
            const auto offset = static_cast<uint16_t>(slot.offset);
            const auto imm = static_cast<uint32_t>(slot.imm);
            number(slot.opcode | uint64_t{slot.regs} << 8 | uint64_t{offset} << 16 | uint64_t{imm} << 32);
        }
    }
    SubjectDigest finish() {
        SubjectDigest out;
        hash_.finish(reinterpret_cast<uint8_t*>(out.bytes.data()));
        return out;
    }

  private:
    Sha256 hash_;
};

std::string_view word(platform::Personality personality) {
    switch (personality) {
        case platform::Personality::Linux: return "linux";
        case platform::Personality::Windows: return "windows";
    }
    return "?";
}

std::string_view word(platform::ResultMap map) {
    switch (map) {
        case platform::ResultMap::Same: return "same";
        case platform::ResultMap::EbpfResult: return "ebpf_result";
    }
    return "?";
}

std::string_view word(SpecialKind kind) {
    switch (kind) {
        case SpecialKind::SpinLock: return "spin_lock";
        case SpecialKind::Timer: return "timer";
        case SpecialKind::NotModelled: return "not modelled";
    }
    return "?";
}

void write(Writer& out, const BoundProgram& program, size_t at) {
    const Binding& binding = program.bindings[at];
    switch (binding.kind) {
        case BindingKind::None: return;
        case BindingKind::Context: {
            const platform::FieldRow& field =
                platform::context_field(static_cast<platform::FieldId>(binding.context.field));
            out.text("context");
            out.number(at);
            out.text(platform::context_type_name(field.context, program.personality));
            out.text(field.name);
            out.number(binding.context.part_offset);
            out.number(binding.context.access_bytes);
            return;
        }
        case BindingKind::Helper:
            out.text("helper");
            out.number(at);
            out.text(platform::helper_name(static_cast<platform::HelperId>(binding.helper)));
            out.text(word(binding.result));
            return;
        case BindingKind::Problem:
            out.text("problem");
            out.number(at);
            return;
    }
}

void write(Writer& out, const MapInfo& map) {
    out.text("map");
    out.text(platform::map_type_name(map.type));
    for (const uint64_t value :
         {uint64_t{map.key_size}, uint64_t{map.value_size}, uint64_t{map.max_entries}, uint64_t{map.flags},
          uint64_t{map.read_only}, uint64_t{map.inner}, uint64_t{map.has_btf}, uint64_t{map.special.size()}}) {
        out.number(value);
    }
    for (const SpecialField& field : map.special) {
        out.text(word(field.kind));
        out.number(field.offset);
        out.number(field.size);
    }
    out.bytes(map.constant);
}

}  // namespace

SubjectDigest digest_of(const Subject& subject) {
    const BoundProgram& program = *subject.program;
    Writer out;
    out.text("skep verification subject, version 1");
    out.text(word(program.personality));
    out.text(platform::program_type_name(program.type));
    out.text(platform::attach_type_name(program.attach));
    out.number(program.sleepable);
    out.number(program.gpl_compatible);
    out.number(subject.options.allow_pointer_leaks);
    out.number(subject.options.allow_unset_stack);
    out.number(subject.options.cost_limit);
    out.code(program.linked.code);
    out.number(program.linked.subprograms.size());
    for (const object::Subprogram& function : program.linked.subprograms) {
        out.number(function.start);
        out.number(function.end);
        out.number(function.global);
    }
    for (size_t at = 0; at < program.bindings.size(); ++at) write(out, program, at);
    out.text("maps");
    for (const MapInfo& map : subject.maps) write(out, map);
    return out.finish();
}

}  // namespace skep::verifier
