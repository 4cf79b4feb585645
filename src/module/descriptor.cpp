// SPDX-License-Identifier: Apache-2.0
#include "module/descriptor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/sha256.hpp"
#include "module/tlv.hpp"

namespace skep::module {

namespace {

/// Parts of a descriptor, sorted by number.
enum Part : uint16_t {
    part_target = 1,
    part_cpu = 2,
    part_generator = 3,
    part_compiler = 4,
    part_flags = 5,
    part_verifier = 6,
    part_verifier_options = 7,
    part_contract = 8,
    part_program = 9,
    part_object_name = 10,
    part_object = 11,
    part_wanted = 12,
    part_core_answers = 13,
    part_core_types = 14,
    part_kernel_values = 15,
    part_personality = 16,
};

constexpr const char* what = "the module's descriptor";

/// Header: magic, format, header size, total size, SHA-256 of what follows the header, 8 bytes of zero.
constexpr size_t digest_at = 24;

/// Bits of an answer's first byte, and its bytes.
enum : uint8_t { answer_absent = 1, answer_check_before = 2, answer_resizable = 4 };
constexpr size_t answer_bytes = 1 + 8 + 8 + 4 + 4;

Result<void> read_answers(const Tlv& part, runtime::CoreAnswers& to) {
    Reader in(part.value);
    const std::string name = in.text();
    const uint32_t count = in.number<uint32_t>();
    if (in.failed() || count > part.value.size() / answer_bytes)
        return Error(Errc::Truncated, fmt::format("{} ends inside answers to relocations", what));
    std::vector<btf::CoreAnswer> answers(count);
    for (btf::CoreAnswer& a : answers) {
        const auto bits = in.number<uint8_t>();
        if ((bits & ~(answer_absent | answer_check_before | answer_resizable)) != 0)
            return Error(Errc::Unsupported, fmt::format("{} answers a relocation in an unknown way", what),
                         fmt::format("bits {:#x} of program {}", bits, name));
        a.absent = (bits & answer_absent) != 0;
        a.check_before = (bits & answer_check_before) != 0;
        a.resizable = (bits & answer_resizable) != 0;
        a.before = in.number<uint64_t>();
        a.after = in.number<uint64_t>();
        a.before_bytes = in.number<uint32_t>();
        a.after_bytes = in.number<uint32_t>();
    }
    if (in.failed()) return Error(Errc::Truncated, fmt::format("{} ends inside answers to relocations", what));
    if (!to.empty() && name <= to.rbegin()->first)
        return Error(Errc::Malformed, fmt::format("{} has answers to relocations that are not in order", what), name);
    to[name] = std::move(answers);
    return {};
}

Result<void> read_kernel_values(const Tlv& part, runtime::KernelValues& to) {
    Reader in(part.value);
    const uint32_t count = in.number<uint32_t>();
    constexpr size_t least_bytes = 8;  // of two texts
    if (in.failed() || count > part.value.size() / least_bytes)
        return Error(Errc::Truncated, fmt::format("{} ends inside values of the kernel configuration", what));
    for (uint32_t i = 0; i < count; ++i) {
        std::string name = in.text(), value = in.text();
        if (in.failed())
            return Error(Errc::Truncated, fmt::format("{} ends inside values of the kernel configuration", what));
        const auto control = [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; };
        if (name.empty() || std::ranges::any_of(name, control) || std::ranges::any_of(value, control) ||
            (!to.empty() && name <= to.rbegin()->first))
            return Error(
                Errc::Malformed,
                fmt::format("{} has values of the kernel configuration that are no text or not in order", what),
                fmt::format("value {}", i));
        to.emplace(std::move(name), std::move(value));
    }
    return {};
}

}  // namespace

Buffer encode(const Descriptor& d) {
    Writer out;
    out.bytes.resize(descriptor_header_bytes);
    out.part(part_target, tlv_critical, d.target);
    out.part(part_cpu, tlv_critical, d.cpu);
    out.part(part_generator, 0, d.generator);
    out.part(part_compiler, 0, d.compiler);
    out.part(part_flags, 0, d.flags);
    out.part(part_verifier, tlv_critical, d.verifier);
    out.part(part_verifier_options, tlv_critical, d.verifier_options);
    out.part(part_contract, tlv_critical, encode(d.contract));
    for (const ModuleProgram& program : d.programs) {
        Writer w;
        w.text(program.name);
        w.text(program.section);
        w.text(program.type);
        w.text(program.symbol);
        w.number(program.instructions);
        w.number(program.cost.stack_bytes);
        w.number(program.cost.instructions);
        w.number(program.cost.helper_calls);
        w.number(static_cast<uint32_t>(program.certificate.size()));
        w.raw(program.certificate);
        out.part(part_program, tlv_critical, w.bytes);
    }
    out.part(part_object_name, 0, d.object_name);
    out.part(part_object, tlv_critical, d.object);
    for (const std::string& name : d.wanted) out.part(part_wanted, tlv_critical, name);
    for (const auto& [name, answers] : d.core_answers) {
        Writer w;
        w.text(name);
        w.number(static_cast<uint32_t>(answers.size()));
        for (const btf::CoreAnswer& a : answers) {
            w.number(static_cast<uint8_t>((a.absent ? answer_absent : 0) | (a.check_before ? answer_check_before : 0) |
                                          (a.resizable ? answer_resizable : 0)));
            w.number(a.before);
            w.number(a.after);
            w.number(a.before_bytes);
            w.number(a.after_bytes);
        }
        out.part(part_core_answers, tlv_critical, w.bytes);
    }
    if (!d.core_types.empty()) out.part(part_core_types, 0, d.core_types);
    if (!d.kernel_values.empty()) {
        Writer w;
        w.number(static_cast<uint32_t>(d.kernel_values.size()));
        for (const auto& [name, value] : d.kernel_values) {
            w.text(name);
            w.text(value);
        }
        out.part(part_kernel_values, tlv_critical, w.bytes);
    }
    if (!d.personality.empty()) out.part(part_personality, tlv_critical, d.personality);

    std::byte* header = out.bytes.data();
    std::memcpy(header, descriptor_magic, sizeof descriptor_magic);
    store_le(header + 8, descriptor_format);
    store_le(header + 12, static_cast<uint32_t>(descriptor_header_bytes));
    store_le(header + 16, static_cast<uint64_t>(out.bytes.size()));
    Sha256 hash;
    hash.update(out.bytes.data() + descriptor_header_bytes, out.bytes.size() - descriptor_header_bytes);
    hash.finish(reinterpret_cast<uint8_t*>(header + digest_at));
    return std::move(out.bytes);
}

std::optional<uint64_t> descriptor_size(Bytes bytes) {
    if (bytes.size() < descriptor_header_bytes ||
        std::memcmp(bytes.data(), descriptor_magic, sizeof descriptor_magic) != 0)
        return std::nullopt;
    return load_le<uint64_t>(bytes.data() + 16);
}

Result<Descriptor> decode_descriptor(Bytes bytes) {
    const auto size = descriptor_size(bytes);
    if (!size) return Error(Errc::Malformed, "this is no descriptor of a native module", "its first bytes say so");
    const auto format = load_le<uint32_t>(bytes.data() + 8);
    const auto header = load_le<uint32_t>(bytes.data() + 12);
    if (format != descriptor_format)
        return Error(Errc::Unsupported, fmt::format("{} has format {}", what, format),
                     fmt::format("this skep knows format {}", descriptor_format));
    // A longer header is a newer one: what it appends may be ignored.
    if (header < descriptor_header_bytes || header % 8 != 0 || header > *size)
        return Error(Errc::Malformed, fmt::format("{} has a header of {} bytes", what, header));
    if (*size != bytes.size())
        return Error(Errc::Truncated, fmt::format("{} has {} bytes and says {}", what, bytes.size(), *size));
    Sha256 hash;
    uint8_t digest[Sha256::digest_bytes];
    hash.update(bytes.data() + header, bytes.size() - header);
    hash.finish(digest);
    if (std::memcmp(digest, bytes.data() + digest_at, sizeof digest) != 0)
        return Error(Errc::BadMessage, fmt::format("{} is damaged", what), "its checksum is wrong");

    SKEP_ASSIGN(const std::vector<Tlv> parts, split_parts(bytes.subspan(header), what));
    Descriptor d;
    uint32_t seen = 0;
    for (const Tlv& part : parts) {
        if (part.type < 32) {
            const bool repeats =
                part.type == part_program || part.type == part_wanted || part.type == part_core_answers;
            if (!repeats && (seen >> part.type & 1) != 0)
                return Error(Errc::Malformed, fmt::format("{} has part {} twice", what, part.type));
            seen |= 1u << part.type;
        }
        std::string* text = nullptr;
        switch (part.type) {
            case part_target: text = &d.target; break;
            case part_cpu: text = &d.cpu; break;
            case part_generator: text = &d.generator; break;
            case part_compiler: text = &d.compiler; break;
            case part_flags: text = &d.flags; break;
            case part_verifier: text = &d.verifier; break;
            case part_verifier_options: text = &d.verifier_options; break;
            case part_object_name: text = &d.object_name; break;
            case part_core_types: text = &d.core_types; break;
            case part_personality: text = &d.personality; break;
            case part_kernel_values: SKEP_TRY(read_kernel_values(part, d.kernel_values)); continue;
            case part_core_answers: SKEP_TRY(read_answers(part, d.core_answers)); continue;
            case part_contract: {
                SKEP_ASSIGN(d.contract, decode_contract(part.value));
                continue;
            }
            case part_object: d.object.assign(part.value.begin(), part.value.end()); continue;
            case part_wanted: {
                SKEP_ASSIGN(std::string name, text_of(part, what));
                d.wanted.push_back(std::move(name));
                continue;
            }
            case part_program: {
                Reader in(part.value);
                ModuleProgram program;
                program.name = in.text();
                program.section = in.text();
                program.type = in.text();
                program.symbol = in.text();
                program.instructions = in.number<uint32_t>();
                program.cost.stack_bytes = in.number<uint32_t>();
                program.cost.instructions = in.number<uint64_t>();
                program.cost.helper_calls = in.number<uint64_t>();
                const Bytes certificate = in.blob();
                program.certificate.assign(certificate.begin(), certificate.end());
                if (in.failed()) return Error(Errc::Truncated, fmt::format("{} ends inside a program", what));
                d.programs.push_back(std::move(program));
                continue;
            }
            default: SKEP_TRY(unknown_part(part, what)); continue;
        }
        SKEP_ASSIGN(*text, text_of(part, what));
    }
    for (const uint16_t needed : {part_target, part_cpu, part_verifier, part_contract, part_object})
        if ((seen >> needed & 1) == 0) return Error(Errc::Malformed, fmt::format("{} lacks part {}", what, needed));
    if (d.programs.empty()) return Error(Errc::Malformed, fmt::format("{} names no program", what));
    return d;
}

}  // namespace skep::module
