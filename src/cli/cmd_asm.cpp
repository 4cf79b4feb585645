// SPDX-License-Identifier: Apache-2.0
// `skep asm`: text to encoded instructions.
#include <fmt/format.h>

#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"
#include "isa/assemble.hpp"

namespace skep::cli {

namespace {

/// Eight little-endian bytes a slot (RFC 9669 section 3.1).
std::vector<std::byte> encoded(const isa::Code& code) {
    std::vector<std::byte> bytes(code.size() * 8);
    for (size_t i = 0; i < code.size(); ++i) {
        std::byte* at = bytes.data() + i * 8;
        at[0] = std::byte{code[i].opcode};
        at[1] = std::byte{code[i].regs};
        store_le<int16_t>(at + 2, code[i].offset);
        store_le<int32_t>(at + 4, code[i].imm);
    }
    return bytes;
}

Result<int> run_asm(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("SOURCE");
    SKEP_ASSIGN(const std::vector<std::byte> source, read_file(path));
    const std::string_view text(reinterpret_cast<const char*>(source.data()), source.size());
    const isa::Dialect dialect = arguments.text_or("dialect", "canonical") == "conformance" ? isa::Dialect::Conformance
                                                                                            : isa::Dialect::Canonical;
    Result<isa::Code> code = isa::assemble(text, dialect);
    if (!code) return std::move(code).error().in_file(path);
    const std::vector<std::byte> bytes = encoded(*code);
    const auto target = arguments.text("output");
    if (target) SKEP_TRY(write_file(*target, bytes));
    std::string hex;
    for (size_t i = 0; i < bytes.size(); ++i)
        hex += fmt::format("{:02x}{}", std::to_integer<unsigned>(bytes[i]), i % 8 == 7 ? "\n" : " ");
    if (output.json) {
        Json slots = Json::array();
        for (size_t at = 0; at < hex.size();) {
            const size_t end = hex.find('\n', at);
            slots.push(hex.substr(at, end - at));
            at = end + 1;
        }
        output.print(Json::object().set("slots", code->size()).set("code", std::move(slots)));
    } else if (!target) {
        output.out(hex);
    }
    return exit_done;
}

constexpr PositionalSpec positionals[] = {{"SOURCE", "assembler text; - is standard input"}};
constexpr OptionSpec options[] = {
    {"-o,--output", Kind::Output, "FILE",
     "writes the encoded instructions, 8 bytes a slot; without it they are shown in hex"},
    {"--dialect", Kind::Choice, "canonical|conformance",
     "the text's dialect: llvm-objdump's, or the conformance suite's"},
};
constexpr Example examples[] = {{"skep asm prog.s -o prog.bin", "what disasm prints, back to instructions"}};

}  // namespace

extern const Command asm_command;
constinit const Command asm_command = {"asm",
                                       "assembles instructions",
                                       "One instruction or label a line. Errors show the line and the place in it.",
                                       positionals,
                                       options,
                                       examples,
                                       run_asm};

}  // namespace skep::cli
