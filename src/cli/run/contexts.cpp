// SPDX-License-Identifier: Apache-2.0
#include "cli/run/contexts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/run/map_access.hpp"
#include "cli/run/recording.hpp"
#include "cli/run/report.hpp"
#include "cli/run/values.hpp"
#include "platform/context.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep::cli {

namespace {

/// Of one context; --unverified programs may print for ever.
constexpr size_t most_printed_lines = 1000;

using platform::FieldRow;
using platform::Personality;

/// A context, and what its pointers lead to.
struct Made {
    std::vector<uint64_t> words;          ///< the host context, aligned
    std::map<std::string, Buffer> texts;  ///< what pointers lead to, by name: app_id, command, image_path ...
    size_t bytes = 0;

    std::span<std::byte> context() { return {reinterpret_cast<std::byte*>(words.data()), bytes}; }
    std::span<const std::byte> context() const { return {reinterpret_cast<const std::byte*>(words.data()), bytes}; }
};

const FieldRow* field_named(platform::ContextKind context, std::string_view name) {
    for (const FieldRow& field : platform::fields_of(context))
        if (name == field.name && field.hole == nullptr && field.kind == platform::FieldKind::Scalar) return &field;
    return nullptr;
}

/// ASCII text as UTF-16, which is what Windows' programs get.
Result<Buffer> text_of(const Json& value, const std::string& what) {
    const auto* text = value.as<std::string>();
    if (text == nullptr) return Error(Errc::InvalidArgument, fmt::format("{} is no text", what));
    Buffer bytes;
    for (const char c : *text) {
        if (static_cast<unsigned char>(c) > 127)
            return Error(Errc::InvalidArgument, fmt::format("{} has other characters than ASCII", what));
        bytes.push_back(static_cast<std::byte>(c));
        bytes.push_back(std::byte{0});
    }
    return bytes;
}

void point(platform::HostPacket& packet, Buffer& bytes) {
    auto* const data = reinterpret_cast<uint8_t*>(bytes.data());
    packet = {data, data + bytes.size(), data, data, data + bytes.size()};
}

/// The names of what a context's pointers lead to.
std::vector<std::string_view> texts_of(platform::ContextKind context) {
    if (context == platform::ContextKind::Bind) return {"app_id"};
    if (context == platform::ContextKind::Process) return {"command", "image_path", "account_name", "account_domain"};
    return {};
}

void point_all(platform::ContextKind context, Made& made) {
    if (context == platform::ContextKind::Bind)
        point(reinterpret_cast<platform::HostBind*>(made.words.data())->packet, made.texts["app_id"]);
    if (context != platform::ContextKind::Process) return;
    auto& host = *reinterpret_cast<platform::HostProcess*>(made.words.data());
    point(host.packet, made.texts["command"]);
    const auto text = [&](const char* name) -> platform::HostText {
        const auto found = made.texts.find(name);
        if (found == made.texts.end()) return {nullptr, 0};
        return {reinterpret_cast<const uint8_t*>(found->second.data()), found->second.size()};
    };
    host.image_path = text("image_path");
    host.account_name = text("account_name");
    host.account_domain = text("account_domain");
}

/// Where a host context keeps its socket's cookie; nothing for contexts without a socket.
std::optional<size_t> cookie_place(platform::ContextKind context) {
    if (context == platform::ContextKind::SockAddr) return offsetof(platform::HostSockAddr, socket_cookie);
    if (context == platform::ContextKind::SockOps) return offsetof(platform::HostSockOps, socket_cookie);
    return std::nullopt;
}

constexpr const char* cookie_name = "socket_cookie";

/// Cookies for contexts whose file names none: each is another socket, and none that the file names.
class Cookies {
  public:
    explicit Cookies(const Json::Array& contexts) {
        for (const Json& context : contexts) {
            const Json* named = context.find(cookie_name);
            if (named == nullptr) continue;
            if (const auto bytes = bytes_of(*named, {}, 8, cookie_name))
                named_.insert(load_le<uint64_t>(bytes->data()));
        }
    }
    uint64_t next() {
        do ++last_;
        while (named_.contains(last_));
        return last_;
    }

  private:
    std::set<uint64_t> named_;
    uint64_t last_ = 0;
};

Result<Made> context_of(const Json& json, platform::ProgramType type, platform::ContextKind context, size_t number) {
    Made made;
    made.bytes = platform::host_context_bytes(context);
    made.words.resize((made.bytes + 7) / 8);
    const auto* fields = json.as<Json::Object>();
    if (fields == nullptr) return Error(Errc::InvalidArgument, fmt::format("context {} is no object", number));
    const auto texts = texts_of(context);
    const auto cookie = cookie_place(context);
    for (const auto& [name, value] : *fields) {
        const std::string what = fmt::format("[{}].{}", number, name);
        if (std::ranges::find(texts, name) != texts.end()) {
            SKEP_ASSIGN(made.texts[name], text_of(value, what));
            continue;
        }
        if (name == "flow_id" && context == platform::ContextKind::SockOps) {
            SKEP_ASSIGN(const Buffer part, bytes_of(value, {}, 8, what));
            std::ranges::copy(part, made.context().begin() + offsetof(platform::HostSockOps, flow_id));
            continue;
        }
        if (name == cookie_name && cookie) {
            SKEP_ASSIGN(const Buffer part, bytes_of(value, {}, 8, what));
            std::ranges::copy(part, made.context().begin() + static_cast<std::ptrdiff_t>(*cookie));
            continue;
        }
        const FieldRow* field = field_named(context, name);
        if (field == nullptr)
            return Error(Errc::InvalidArgument, fmt::format("context {} has no field \"{}\"", number, name), {},
                         "skep platform show linux-6.12 and windows-ebpf-1.6 list the fields");
        SKEP_ASSIGN(const Buffer part, bytes_of(value, {}, field->host_bytes, what));
        std::ranges::copy(part, made.context().begin() + field->host_offset);
    }
    hooks::fill_windows_view(type, made.context());
    point_all(context, made);
    return made;
}

std::string field_text(const FieldRow& field, Bytes context) {
    return btf::hex_text(context.subspan(field.host_offset, field.host_bytes));
}

/// The context with a name for its socket.
Json with_cookie(const Json& context, platform::ContextKind kind, Cookies& cookies) {
    Json out = context;
    if (cookie_place(kind) && context.as<Json::Object>() != nullptr && context.find(cookie_name) == nullptr)
        out.set(cookie_name, cookies.next());
    return out;
}

}  // namespace

Result<std::unique_ptr<ContextRunner>> ContextRunner::open(std::shared_ptr<const object::ObjectSpec> spec,
                                                           const RunOptions& options) {
    if (options.engine == "kernel")
        return Error(Errc::InvalidArgument, fmt::format("engine {} runs over packets only", options.engine));
    std::unique_ptr<ContextRunner> out(new ContextRunner());
    SKEP_ASSIGN(runtime::LoadOptions load, load_options(options, spec));
    if (options.recording == nullptr) load.lanes = 0;
    load.contexts_from_outside = true;
    SKEP_ASSIGN(out->loaded_, runtime::LoadedObject::load(spec, load));
    out->program_ = out->loaded_->find(options.program);
    const platform::ProgramType type = out->program_->program->type();
    const auto kind = platform::context_of(type);
    if (!kind) return Error(Errc::Unsupported, "the program's context is in no table");
    out->kind_ = *kind;
    out->recording_ = options.recording;
    const runtime::LogSink sink = {[](void* self, const char* line, size_t bytes) {
                                       auto& lines = *static_cast<std::vector<std::string>*>(self);
                                       std::string_view one(line, bytes);
                                       if (one.ends_with('\n')) one.remove_suffix(1);
                                       if (lines.size() < most_printed_lines) lines.emplace_back(one);
                                   },
                                   &out->printed_};
    const runtime::Chance chance =
        options.seed ? runtime::Chance::from_seed(*options.seed) : runtime::Chance::from_host();
    SKEP_ASSIGN(out->session_,
                hooks::ContextSession::open(out->loaded_->lanes(), type, out->program_->program->personality(), chance,
                                            sink, out->recording_));
    if (out->recording_ != nullptr) out->recording_->watch(*out->loaded_);
    return out;
}

Result<ContextRunner::Report> ContextRunner::run(const Json& context, size_t number) {
    const platform::ProgramType type = program_->program->type();
    SKEP_ASSIGN(Made made, context_of(context, type, kind_, number));
    const std::vector<uint64_t> before = made.words;
    uint8_t redirect[256] = {};
    if (type == platform::ProgramType::CgroupSockAddr) {
        auto& host = *reinterpret_cast<platform::HostSockAddr*>(made.words.data());
        host.redirect_context = redirect;
        host.redirect_room = sizeof redirect;
    }
    if (recording_ != nullptr) recording_->begin_context(context.to_string());
    const Bytes was{reinterpret_cast<const std::byte*>(before.data()), made.bytes}, now = made.context();
    printed_.clear();
    const hooks::ContextResult result = session_->run(program_->program->entry(), made.context());
    if (result.fault != 0)
        return Error(Errc::Rejected, fmt::format("the run over context {} was ended (fault {})", number, result.fault));
    Report report;
    report.verdict = result.verdict;
    report.r0 = result.r0;
    report.printed = std::move(printed_);
    for (const FieldRow& field : platform::fields_of(kind_)) {
        if (field.hole != nullptr || field.kind != platform::FieldKind::Scalar) continue;
        std::string text = field_text(field, now);
        if (text != field_text(field, was)) report.changed.emplace_back(field.name, std::move(text));
    }
    if (type == platform::ProgramType::CgroupSockAddr) {
        const auto& host = *reinterpret_cast<const platform::HostSockAddr*>(made.words.data());
        if (host.redirect_bytes != 0)
            report.changed.emplace_back(
                "redirect_context", btf::hex_text({reinterpret_cast<const std::byte*>(redirect), host.redirect_bytes}));
    }
    if (recording_ != nullptr) recording_->end_context(report.verdict, report.changed_text());
    return report;
}

std::string ContextRunner::Report::changed_text() const {
    std::string out;
    for (const auto& [field, text] : changed) out += fmt::format("  {} = {}", field, text);
    return out;
}

Result<std::optional<MapContents>> ContextRunner::contents(uint32_t index) {
    session_.reset();  // a recording has one lane: the reader of the maps gets it
    maps::Map* const map = loaded_->map(index);
    if (map == nullptr || map->def().type == platform::MapType::Ringbuf ||
        map->def().type == platform::MapType::PerfEventArray)
        return std::optional<MapContents>();
    return std::optional(read_contents(*map, loaded_->lanes(), {}));
}

Result<void> ContextRunner::finish() {
    return recording_->finish(loaded_->spec(), [this](uint32_t map) { return contents(map); }, {});
}

Result<void> run_contexts(std::shared_ptr<const object::ObjectSpec> spec, const RunOptions& options,
                          const std::string& file, Output& output) {
    SKEP_ASSIGN(const std::vector<std::byte> text, read_file(file));
    const Result<Json> json = parse_json({reinterpret_cast<const char*>(text.data()), text.size()});
    if (!json) return Error(json.error()).in_file(file);
    const auto* list = json->as<Json::Array>();
    if (list == nullptr) return Error(Errc::InvalidArgument, "a list of contexts is wanted").in_file(file);

    SKEP_ASSIGN(const std::unique_ptr<ContextRunner> runner, ContextRunner::open(spec, options));
    Json all = Json::array();
    std::string out;
    Cookies cookies(*list);
    for (size_t i = 0; i < list->size(); ++i) {
        auto report = runner->run(with_cookie((*list)[i], runner->kind(), cookies), i);
        if (!report) return std::move(report).error().in_file(file);
        Json changed = Json::object();
        for (const auto& [field, value] : report->changed) changed.set(field, value);
        const char* const verdict = platform::verdict_name(report->verdict);
        out += fmt::format("{} {}{}\n", i, verdict, report->changed_text());
        Json lines = Json::array();
        for (const std::string& one : report->printed) {
            out += fmt::format("    {}\n", one);
            lines.push(one);
        }
        all.push(Json::object()
                     .set("verdict", verdict)
                     .set("r0", report->r0)
                     .set("changed", std::move(changed))
                     .set("printed", std::move(lines)));
    }
    if (options.recording != nullptr) SKEP_TRY(runner->finish());
    Json maps = Json::array();
    for (uint32_t i = 0; i < spec->maps.size(); ++i) {
        if (spec->maps[i].origin == object::MapOrigin::Data) continue;
        SKEP_ASSIGN(const std::optional<MapContents> contents, runner->contents(i));
        if (contents) maps.push(map_json(*spec, spec->maps[i], *contents));
    }
    if (output.json)
        output.print(Json::object()
                         .set("program", options.program)
                         .set("engine", options.engine)
                         .set("contexts", std::move(all))
                         .set("maps", std::move(maps)));
    else
        output.out(out);
    return {};
}

}  // namespace skep::cli
