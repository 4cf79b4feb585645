// SPDX-License-Identifier: Apache-2.0
#include "cli/conformance.hpp"

#include <fmt/format.h>

#include "engine/interp/interp.hpp"
#include "engine/jit/jit.hpp"
#include "isa/insn.hpp"
#include "module/native_code.hpp"
#include "platform/helper.hpp"
#include "program/unverified.hpp"

namespace skep::cli {
namespace {

/// So that no loop of a broken program hangs its runner.
constexpr uint64_t step_limit = 1'000'000'000;

uint64_t return_zero(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, skep_runtime_context*) { return 0; }

BoundProgram bind_numbers(isa::Code code) {
    BoundProgram bound;
    bound.linked.name = "conformance";
    bound.bindings.resize(code.size());
    for (size_t i = 0; i < code.size(); ++i) {
        const isa::Row* row = isa::match(code[i]);
        platform::HelperId id{};
        if (row == nullptr || row->op != isa::Op::Call ||
            !platform::helper_from_linux(static_cast<uint32_t>(code[i].imm), &id)) {
            continue;
        }
        bound.bindings[i].kind = BindingKind::Helper;
        bound.bindings[i].helper = static_cast<uint16_t>(id);
    }
    bound.linked.code = std::move(code);
    return bound;
}

/// The native engine builds with the host's C compiler; callx may reach `helper` by number.
Result<std::unique_ptr<engine::CompiledCode>> compile_native(const ExecutableProgram& program,
                                                             const engine::LinkTable& table, platform::HelperId helper,
                                                             const std::string& kept_images) {
    module::DirectOptions options;
    options.kept_images = kept_images;
    options.more_helpers = {helper};
    const module::DirectProgram one{&program, &table};
    // A vector is a handful of instructions: what counts is how soon a compiler has started, and gcc is four times
    // sooner.
    options.compiler = "gcc";
    auto compiled = module::compile_direct(std::span(&one, 1), options);
    if (!compiled && compiled.error().code() == Errc::Unavailable) {
        options.compiler.clear();
        compiled = module::compile_direct(std::span(&one, 1), options);
    }
    if (!compiled) return std::move(compiled).error();
    return std::move(compiled->front());
}

Error fault_error(const skep_runtime_context& run) {
    const Where where{.insn = run.fault_insn};
    const std::string what = fmt::format("the run ended at instruction {}", run.fault_insn);
    switch (static_cast<skep_fault>(run.fault)) {
        case SKEP_FAULT_NONE: break;
        case SKEP_FAULT_CALL_DEPTH:
            return Error{Errc::LimitExceeded, where, what,
                         fmt::format("calls nest deeper than {} frames", SKEP_FRAME_DEPTH)};
        case SKEP_FAULT_BAD_CALL:
            return Error{Errc::BadInstruction, where, what, "it calls something that cannot be called"};
        case SKEP_FAULT_STEP_LIMIT:
            return Error{Errc::LimitExceeded, where, what, fmt::format("it executed {} instructions", step_limit)};
        case SKEP_FAULT_BAD_ACCESS:
            return Error{Errc::BadAddress, where, what,
                         "it touches memory outside its stack and the memory it was given"};
    }
    return Error{Errc::InvalidArgument, where, what, fmt::format("fault {}", run.fault)};
}

}  // namespace

Result<std::vector<std::byte>> parse_hex(std::string_view text) {
    std::vector<std::byte> bytes;
    int high = -1;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        int digit = 0;
        if (c >= '0' && c <= '9') {
            digit = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            digit = c - 'a' + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = c - 'A' + 10;
        } else if ((c == ' ' || c == '\t' || c == '\n' || c == '\r') && high < 0) {
            continue;
        } else {
            return Error{Errc::Syntax, fmt::format("character {} is no hexadecimal digit", i + 1),
                         "bytes are pairs of hexadecimal digits with blanks between the pairs"};
        }
        if (high < 0) {
            high = digit;
        } else {
            bytes.push_back(static_cast<std::byte>(high << 4 | digit));
            high = -1;
        }
    }
    if (high >= 0) return Error{Errc::Syntax, "the last byte has one digit only", "bytes are pairs of digits"};
    return bytes;
}

Result<isa::Code> slots_of(Bytes bytes) {
    if (bytes.size() % sizeof(isa::Slot) != 0) {
        return Error{Errc::Truncated, "the code ends inside an instruction",
                     fmt::format("{} bytes are no multiple of {}", bytes.size(), sizeof(isa::Slot))};
    }
    isa::Code code;
    code.reserve(bytes.size() / sizeof(isa::Slot));
    for (size_t at = 0; at < bytes.size(); at += sizeof(isa::Slot)) {
        code.push_back({*read_le<uint8_t>(bytes, at), *read_le<uint8_t>(bytes, at + 1),
                        *read_le<int16_t>(bytes, at + 2), *read_le<int32_t>(bytes, at + 4)});
    }
    return code;
}

Result<uint64_t> run_conformance(std::span<const isa::Slot> code, MutableBytes memory, ConformanceEngine engine,
                                 const std::string& kept_images) {
    // An entry takes r1 alone, so r2 is loaded by an instruction in front; distances inside the program stay.
    isa::Code whole;
    isa::Insn length{.op = isa::Op::LdImm64, .dst = 2};
    length.set_imm64(memory.size());
    isa::append(whole, length);
    const size_t prologue = whole.size();
    whole.insert(whole.end(), code.begin(), code.end());

    auto program = UnverifiedProgram::make(bind_numbers(std::move(whole)));
    const auto moved = [&](Error error) {  // the reader counts without the instruction in front
        if (error.where().insn && *error.where().insn >= prologue) *error.where().insn -= prologue;
        return error;
    };
    if (!program) return moved(std::move(program).error());

    std::vector<skep_helper_fn> helpers(platform::helper_count);
    platform::HelperId five{};
    if (platform::helper_from_linux(5, &five)) helpers[static_cast<size_t>(five)] = &return_zero;
    engine::LinkTable table;
    table.helpers = helpers;

    Result<std::unique_ptr<engine::CompiledCode>> compiled = [&] {
        if (engine == ConformanceEngine::Jit) return engine::jit::compile(*program, table);
        if (engine == ConformanceEngine::Native) return compile_native(*program, table, five, kept_images);
        engine::interp::Options options;
        options.step_limit = step_limit;
        options.check_accesses = true;
        options.regions = {{reinterpret_cast<uintptr_t>(memory.data()), memory.size()}};
        return engine::interp::compile(*program, table, options);
    }();
    if (!compiled) return moved(std::move(compiled).error());

    skep_runtime_context run{};
    run.size = sizeof run;
    run.abi = SKEP_RUNTIME_CONTEXT_ABI;
    run.helpers = helpers.data();
    const uint64_t r0 = engine::run(**compiled, memory.empty() ? nullptr : memory.data(), run);
    if (run.fault != SKEP_FAULT_NONE) return moved(fault_error(run));
    return r0;
}

}  // namespace skep::cli
