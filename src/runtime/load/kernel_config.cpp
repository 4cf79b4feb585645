// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/kernel_config.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include <fmt/format.h>

namespace skep::runtime {

namespace {

/// What an extern can hold (libbpf: find_kcfg_type).
enum class Shape : uint8_t { Unknown, Char, Bool, Int, Tristate, Text };

struct Declared {
    Shape shape = Shape::Unknown;
    bool is_signed = false;
};

Declared declared_as(const btf::Btf& types, btf::TypeId id) {
    const btf::TypeId value = types.strip(id);
    const btf::Type& type = types.type(value);
    if (type.kind == btf::Kind::Int) {
        if (type.int_bool) return {type.size == 1 ? Shape::Bool : Shape::Unknown, false};
        if (type.size == 1) return {Shape::Char, type.int_signed};
        if (type.size == 2 || type.size == 4 || type.size == 8) return {Shape::Int, type.int_signed};
    }
    if (type.kind == btf::Kind::Enum && type.size == 4 && types.name(value) == "libbpf_tristate")
        return {Shape::Tristate, false};
    if (type.kind == btf::Kind::Array) {
        const btf::Type& element = types.type(types.strip(type.type));
        if (element.kind == btf::Kind::Int && element.size == 1 && !element.int_bool) return {Shape::Text, false};
    }
    return {};
}

/// A number as strtoull reads it with base 0.
std::optional<uint64_t> number(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    int base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    } else if (text.size() > 1 && text.starts_with('0')) {
        base = 8;
    }
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return negative ? 0 - value : value;
}

bool fits(uint64_t value, size_t bytes, bool is_signed) {
    if (bytes >= 8) return true;
    const uint64_t bits = 8 * bytes;
    return is_signed ? value + (uint64_t{1} << (bits - 1)) < uint64_t{1} << bits : value >> bits == 0;
}

/// The value's bytes in the declared type; nothing if the type cannot hold it.
std::optional<std::vector<std::byte>> encode(std::string_view text, Declared type, size_t bytes) {
    std::vector<std::byte> out(bytes);
    if (text.starts_with('"')) {
        if (type.shape != Shape::Text || text.size() < 2 || !text.ends_with('"') || bytes == 0) return std::nullopt;
        text = text.substr(1, text.size() - 2);
        // Cut to what there is room for, always terminated.
        for (size_t i = 0; i < std::min(text.size(), bytes - 1); ++i) out[i] = static_cast<std::byte>(text[i]);
        return out;
    }
    uint64_t value = 0;
    if (text == "y" || text == "n" || text == "m") {
        switch (type.shape) {
            case Shape::Bool:
                if (text == "m") return std::nullopt;
                value = text == "y";
                break;
            case Shape::Tristate: value = text == "y" ? 1 : text == "m" ? 2 : 0; break;  // enum libbpf_tristate
            case Shape::Char: value = static_cast<unsigned char>(text.front()); break;
            case Shape::Int:
            case Shape::Text:
            case Shape::Unknown: return std::nullopt;
        }
    } else {
        const auto read = number(text);
        if (!read || (type.shape != Shape::Int && type.shape != Shape::Char && type.shape != Shape::Bool))
            return std::nullopt;
        if (!fits(*read, bytes, type.is_signed)) return std::nullopt;
        value = *read;
    }
    for (size_t i = 0; i < std::min<size_t>(bytes, 8); ++i) out[i] = static_cast<std::byte>(value >> (8 * i));
    return out;
}

}  // namespace

const std::string* KernelConfig::find(std::string_view name) const {
    for (const auto& [known, value] : values)
        if (known == name) return &value;
    return nullptr;
}

Result<void> KernelConfig::add_file(std::string_view text, const std::string& name) {
    std::vector<std::pair<std::string, std::string>> read;
    for (uint32_t line = 1; !text.empty(); ++line) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view row = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (row.ends_with('\r')) row.remove_suffix(1);
        if (!row.starts_with("CONFIG_")) continue;
        const size_t equals = row.find('=');
        if (equals == std::string_view::npos || equals + 1 == row.size()) {
            Where where{.file = name};
            where.source_file = name;
            where.source_line = line;
            return Error(Errc::Syntax, std::move(where), "a line of the kernel configuration has no value",
                         std::string(row.substr(0, 80)), "NAME=y, m, n, a number or \"text\"");
        }
        read.emplace_back(row.substr(0, equals), row.substr(equals + 1));
    }
    // A kernel's file has thousands of lines; a few names are asked for.
    for (auto& entry : read) values.push_back(std::move(entry));
    source = source.empty() ? name : fmt::format("{} with {}", source, name);
    return {};
}

KernelConfig KernelConfig::of(const platform::Platform& platform) {
    KernelConfig out{platform.name, {}};
    for (const platform::PlatformKconfig& row : platform.kconfig) out.values.emplace_back(row.name, row.value);
    return out;
}

KernelConfig KernelConfig::of(std::string source, const KernelValues& values) {
    return {std::move(source), {values.begin(), values.end()}};
}

KernelConfig KernelConfig::own() {
    for (const platform::Platform& platform : platform::builtin_platforms({}))
        if (platform.name == "skep") return of(platform);
    return {};
}

Result<void> fill_kernel_config(object::ObjectSpec& spec, const object::LinkedProgram& program,
                                const KernelConfig& given, KernelValues* read) {
    for (const uint32_t index : program.externs) {
        const object::ExternSpec& wanted = spec.externs[index];
        if (wanted.kind != object::ExternKind::Kconfig) continue;
        static const KernelConfig own = KernelConfig::own();  // made only for programs that ask
        const KernelConfig& config = given.source.empty() ? own : given;
        const std::string* text = config.find(wanted.name);
        if (text != nullptr && text->empty()) text = nullptr;
        if (text == nullptr && !wanted.weak) {
            const bool any = !config.values.empty();
            return Error(Errc::Unresolved, fmt::format("the kernel configuration value {} is not known", wanted.name),
                         any ? fmt::format("{} does not say it: whoever builds a kernel decides it", config.source)
                             : fmt::format("{} has no kernel configuration", config.source),
                         "give the configuration file of the kernel that is meant with --kconfig FILE, or declare it "
                         "__weak to have it read as zero where it is not known")
                .in_file(spec.file)
                .in_function(program.name);
        }
        std::vector<std::byte> value(wanted.size);
        if (text != nullptr) {
            auto encoded = encode(*text, declared_as(*spec.btf, wanted.type), wanted.size);
            if (!encoded)
                return Error(Errc::Rejected,
                             fmt::format("the kernel configuration value {} has another type", wanted.name),
                             fmt::format("{} says {}, the program declares {}", config.source, *text,
                                         spec.btf->type_text(wanted.type)),
                             "bool holds y and n, enum libbpf_tristate also m, a number what fits, an array of char "
                             "text")
                    .in_file(spec.file)
                    .in_function(program.name);
            value = *std::move(encoded);
        }
        if (read != nullptr) (*read)[wanted.name] = text != nullptr ? *text : std::string();
        std::vector<std::byte>& bytes = spec.maps[wanted.map].initial;
        if (bytes.size() < size_t{wanted.offset} + value.size()) bytes.resize(size_t{wanted.offset} + value.size());
        std::ranges::copy(value, bytes.begin() + wanted.offset);
    }
    return {};
}

}  // namespace skep::runtime
