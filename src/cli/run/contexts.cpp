// SPDX-License-Identifier: Apache-2.0
#include "cli/run/contexts.hpp"

#include <fmt/format.h>

#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/run/values.hpp"
#include "hooks/context/context_session.hpp"
#include "platform/context.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep::cli {

namespace {

using platform::FieldRow;
using platform::Personality;

const FieldRow* field_named(platform::ContextKind context, std::string_view name) {
    for (const FieldRow& field : platform::fields_of(context))
        if (name == field.name && field.linux_bytes != 0 && field.hole == nullptr &&
            field.kind == platform::FieldKind::Scalar)
            return &field;
    return nullptr;
}

Result<Buffer> context_of(const Json& json, platform::ContextKind context, size_t number) {
    Buffer bytes(platform::context_bytes(context, Personality::Linux));
    const auto* fields = json.as<Json::Object>();
    if (fields == nullptr) return Error(Errc::InvalidArgument, fmt::format("context {} is no object", number));
    for (const auto& [name, value] : *fields) {
        const FieldRow* field = field_named(context, name);
        if (field == nullptr)
            return Error(Errc::InvalidArgument, fmt::format("context {} has no field \"{}\"", number, name), {},
                         "skep platform show linux-6.12 lists the fields");
        SKEP_ASSIGN(const Buffer part, bytes_of(value, {}, field->linux_bytes, fmt::format("[{}].{}", number, name)));
        std::copy(part.begin(), part.end(), bytes.begin() + field->linux_offset);
    }
    return bytes;
}

std::string field_text(const FieldRow& field, Bytes context) {
    const Bytes part = context.subspan(field.linux_offset, field.linux_bytes);
    return btf::hex_text(part);
}

}  // namespace

Result<void> run_contexts(std::shared_ptr<const object::ObjectSpec> spec, const RunOptions& options,
                          const std::string& file, Output& output) {
    SKEP_ASSIGN(const std::vector<std::byte> text, read_file(file));
    SKEP_ASSIGN(const Json json, parse_json({reinterpret_cast<const char*>(text.data()), text.size()}));
    const auto* list = json.as<Json::Array>();
    if (list == nullptr) return Error(Errc::InvalidArgument, "a list of contexts is wanted").in_file(file);

    runtime::LoadOptions load;
    const auto engine = runtime::engine_from_name(options.engine);
    if (!engine) return Error(Errc::InvalidArgument, fmt::format("engine {} runs over packets only", options.engine));
    load.engine = *engine;
    load.allow_unverified = options.unverified;
    load.programs = {options.program};
    load.seed = options.seed;
    load.bind.personality = options.personality;
    load.contexts_from_outside = true;
    SKEP_ASSIGN(const std::unique_ptr<runtime::LoadedObject> loaded, runtime::LoadedObject::load(spec, load));
    const runtime::LoadedProgram& program = *loaded->find(options.program);
    const platform::ProgramType type = program.program->type();
    const auto kind = platform::context_of(type);
    if (!kind) return Error(Errc::Unsupported, "the program's context is in no table");
    SKEP_ASSIGN(const auto session,
                hooks::ContextSession::open(
                    loaded->lanes(), type, program.program->personality(),
                    options.seed ? runtime::Chance::from_seed(*options.seed) : runtime::Chance::from_host(), {}));
    Json all = Json::array();
    std::string out;
    for (size_t i = 0; i < list->size(); ++i) {
        Result<Buffer> made = context_of((*list)[i], *kind, i);
        if (!made) return std::move(made).error().in_file(file);
        Buffer context = *made;
        const hooks::ContextResult result = session->run(program.program->entry(), context);
        if (result.fault != 0)
            return Error(Errc::Rejected, fmt::format("the run over context {} was ended (fault {})", i, result.fault));
        Json changed = Json::object();
        std::string line = fmt::format("{} {}", i, hooks::address_verdict_name(result.verdict));
        for (const FieldRow& field : platform::fields_of(*kind)) {
            if (field.linux_bytes == 0 || field.hole != nullptr) continue;
            const std::string now = field_text(field, context);
            if (now == field_text(field, *made)) continue;
            changed.set(field.name, now);
            line += fmt::format("  {} = {}", field.name, now);
        }
        out += line + "\n";
        all.push(Json::object()
                     .set("verdict", hooks::address_verdict_name(result.verdict))
                     .set("r0", result.r0)
                     .set("changed", std::move(changed)));
    }
    if (output.json)
        output.print(Json::object()
                         .set("program", options.program)
                         .set("engine", options.engine)
                         .set("contexts", std::move(all)));
    else
        output.out(out);
    return {};
}

}  // namespace skep::cli
