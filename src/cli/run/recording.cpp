// SPDX-License-Identifier: Apache-2.0
#include "cli/run/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "platform/helper.hpp"
#include "platform/verdict.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::cli {

namespace {

using platform::ArgKind;
using platform::ResultKind;

constexpr std::string_view first_line = "skep-record 2";
/// It holds neither CO-RE answers nor kernel configuration.
constexpr std::string_view first_line_of_1 = "skep-record 1";
constexpr size_t shown_before = 6;
/// More memory than this of one argument is told by its size: records stay readable.
constexpr uint64_t shown_bytes = 4096;

std::string hex(Bytes bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::byte b : bytes) {
        out += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
        out += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
    }
    return out;
}
std::optional<Buffer> bytes_of(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    Buffer out(text.size() / 2);
    for (size_t i = 0; i < out.size(); ++i) {
        uint8_t value = 0;
        const auto parsed = std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, value, 16);
        if (parsed.ptr != text.data() + 2 * i + 2 || parsed.ec != std::errc()) return std::nullopt;
        out[i] = std::byte{value};
    }
    return out;
}

std::string memory(uint64_t address, uint64_t size) {
    if (address == 0) return "null";
    if (size > shown_bytes) return fmt::format("{} bytes", size);
    return "[" + hex({reinterpret_cast<const std::byte*>(static_cast<uintptr_t>(address)), static_cast<size_t>(size)}) +
           "]";
}
std::string text_at(uint64_t address) {
    if (address == 0) return "null";
    const char* text = reinterpret_cast<const char*>(static_cast<uintptr_t>(address));
    return memory(address, std::char_traits<char>::length(text));
}

constexpr unsigned answer_absent = 1, answer_check_before = 2, answer_resizable = 4;

std::string answer_text(const btf::CoreAnswer& a) {
    const unsigned bits = (a.absent ? answer_absent : 0) | (a.check_before ? answer_check_before : 0) |
                          (a.resizable ? answer_resizable : 0);
    return fmt::format("{},{},{},{},{}", bits, a.before, a.after, a.before_bytes, a.after_bytes);
}
std::optional<btf::CoreAnswer> answer_of(std::string_view text) {
    uint64_t numbers[5] = {};
    const char *at = text.data(), *const end = text.data() + text.size();
    for (size_t i = 0; i < std::size(numbers); ++i) {
        if (i != 0 && (at == end || *at++ != ',')) return std::nullopt;
        const auto parsed = std::from_chars(at, end, numbers[i]);
        if (parsed.ec != std::errc()) return std::nullopt;
        at = parsed.ptr;
    }
    if (at != end || numbers[0] > 7 || numbers[3] > UINT32_MAX || numbers[4] > UINT32_MAX) return std::nullopt;
    btf::CoreAnswer a;
    a.absent = (numbers[0] & answer_absent) != 0;
    a.check_before = (numbers[0] & answer_check_before) != 0;
    a.resizable = (numbers[0] & answer_resizable) != 0;
    a.before = numbers[1];
    a.after = numbers[2];
    a.before_bytes = static_cast<uint32_t>(numbers[3]);
    a.after_bytes = static_cast<uint32_t>(numbers[4]);
    return a;
}

/// A line of the head's second part: whether it is one; an error if it is one that says nothing.
std::optional<bool> adaptation(std::string_view line, RecordHead& head) {
    const size_t word = line.find(' ');
    if (word == std::string_view::npos) return false;
    const std::string_view kind = line.substr(0, word), rest = line.substr(word + 1);
    const size_t blank = std::min(rest.find(' '), rest.size());
    const std::string name(rest.substr(0, blank));
    std::string_view values = rest.substr(std::min(blank + 1, rest.size()));
    if (kind == "kconfig") {
        if (name.empty() || !head.kernel_values.emplace(name, values).second) return std::nullopt;
        return true;
    }
    if (kind != "core") return false;
    if (name.empty() || head.core_answers.contains(name)) return std::nullopt;
    std::vector<btf::CoreAnswer>& answers = head.core_answers[name];
    while (!values.empty()) {
        const size_t end = std::min(values.find(' '), values.size());
        const auto answer = answer_of(values.substr(0, end));
        if (!answer) return std::nullopt;
        answers.push_back(*answer);
        values.remove_prefix(std::min(end + 1, values.size()));
    }
    return true;
}

const maps::Map* map_of(uint64_t word) { return reinterpret_cast<const maps::Map*>(static_cast<uintptr_t>(word)); }

template <size_t Index>
uint64_t watched(uint64_t r1, uint64_t r2, uint64_t r3, uint64_t r4, uint64_t r5, skep_runtime_context* context) {
    auto* recording = static_cast<Recording*>(runtime::run_of(context).observer);
    return recording->call(Index, {r1, r2, r3, r4, r5}, context);
}

constexpr size_t table_size = 2 * runtime::helper_functions_count;

template <size_t... Index>
std::array<skep_helper_fn, table_size> make_table(std::index_sequence<Index...>) {
    // What the runtime does not offer stays absent.
    return {(runtime::helper_functions()[Index] != nullptr ? watched<Index> : nullptr)...};
}

}  // namespace

std::span<const skep_helper_fn> Recording::helpers() {
    static const std::array<skep_helper_fn, table_size> table = make_table(std::make_index_sequence<table_size>());
    return table;
}

std::string Recording::map_name(const maps::Map* map) const {
    for (uint32_t i = 0; loaded_ != nullptr && i < loaded_->spec().maps.size(); ++i)
        if (loaded_->map(i) == map) return loaded_->spec().maps[i].name;
    return "map?";
}

uint64_t Recording::call(size_t index, const uint64_t (&r)[5], skep_runtime_context* context) {
    const skep_helper_fn real = runtime::helper_functions()[index];
    const auto id = static_cast<platform::HelperId>(index % runtime::helper_functions_count);
    const platform::HelperRow& row = platform::helper(id);
    const maps::Map* map = nullptr;
    for (int i = 0; i < 5 && map == nullptr; ++i)
        if (row.args[i] == ArgKind::ConstMapPtr) map = map_of(r[i]);
    // Engines look elements of arrays up by themselves: no event of any.
    if (id == platform::HelperId::MapLookupElem && map != nullptr && map->layout().kind != MapLayoutKind::Opaque)
        return real(r[0], r[1], r[2], r[3], r[4], context);

    std::string arguments;
    bool numbers_only = true;
    const auto argument = [&](int i) -> std::string {
        const uint64_t value = r[i];
        switch (row.args[i]) {
            case ArgKind::None: return {};
            case ArgKind::Scalar:
            case ArgKind::RecordSize:
            case ArgKind::Size:
            case ArgKind::SizeOrZero: return fmt::format("{:#x}", value);
            case ArgKind::ConstMapPtr: return map_name(map_of(value));
            case ArgKind::MapKey: return memory(value, map != nullptr ? map->def().key_size : 0);
            case ArgKind::MapValue:
            case ArgKind::MapValueOrNull: return memory(value, map != nullptr ? map->def().value_size : 0);
            case ArgKind::MemIn:
            case ArgKind::MemInOrNull:
            case ArgKind::MemInOut: return memory(value, i < 4 ? r[i + 1] : 0);
            case ArgKind::U32InOut: return memory(value, 4);
            case ArgKind::In20: return memory(value, 20);
            case ArgKind::In40: return memory(value, 40);
            case ArgKind::ConstString: return text_at(value);
            case ArgKind::Func: return fmt::format("function {}", value);
            case ArgKind::Ctx: return "context";
            case ArgKind::CtxOrNull: return value == 0 ? "null" : "context";
            case ArgKind::MapValueOut:
            case ArgKind::MemOut:
            case ArgKind::I64Out:
            case ArgKind::U64Out: return "out";
            case ArgKind::MemOutOrNull:
            case ArgKind::CallbackContext: return value == 0 ? "null" : "out";
            case ArgKind::Record: return "record";
            case ArgKind::Anything:  // whatever was in the register: engines need not agree on it
            case ArgKind::SpinLock:
            case ArgKind::Timer:
            case ArgKind::SockCommon:
            case ArgKind::Socket:
            case ArgKind::SocketOrNull:
            case ArgKind::Dynptr:
            case ArgKind::Kptr:
            case ArgKind::BtfObject:
            case ArgKind::Other: return "-";
        }
        return "-";
    };
    for (int i = 0; i < 5 && row.args[i] != ArgKind::None; ++i) {
        arguments += (i == 0 ? "" : ", ") + argument(i);
        numbers_only = numbers_only && row.args[i] == ArgKind::Scalar;
    }
    line(fmt::format("call {}({})", row.name, arguments));
    const bool by_chance = (row.effects & platform::helper_effect::Chance) != 0 && numbers_only;
    const std::optional<uint64_t> given = by_chance ? recorded_result(row.name) : std::nullopt;
    const uint64_t value = real(r[0], r[1], r[2], r[3], r[4], context);
    const uint64_t r0 = given.value_or(value);

    std::string text;
    switch (row.result) {
        case ResultKind::Void: text = "void"; break;
        case ResultKind::Scalar:
        case ResultKind::Status: text = fmt::format("{:#x}", r0); break;
        case ResultKind::MapValueOrNull:
        case ResultKind::MapValue: {
            using platform::MapType;
            const MapType type = map != nullptr ? map->def().type : MapType::Array;
            if (r0 != 0 && (type == MapType::ArrayOfMaps || type == MapType::HashOfMaps))
                text = map_name(map_of(r0));
            else
                text = memory(r0, map != nullptr ? map->def().value_size : 0);
            break;
        }
        case ResultKind::RecordOrNull:
        case ResultKind::SocketOrNull:
        case ResultKind::SockCommonOrNull:
        case ResultKind::TcpSockOrNull:
        case ResultKind::BtfObject:
        case ResultKind::Other: text = r0 == 0 ? "null" : "there"; break;
    }
    const bool failed =
        (row.result == ResultKind::Status || row.result == ResultKind::Scalar) && static_cast<int64_t>(r0) < 0;
    for (int i = 0; i < 5 && !failed; ++i) {
        const ArgKind kind = row.args[i];
        if (kind == ArgKind::MapValueOut) text += " " + memory(r[i], map != nullptr ? map->def().value_size : 0);
        if ((kind == ArgKind::MemOut || kind == ArgKind::MemInOut || kind == ArgKind::MemOutOrNull) && i < 4)
            text += " " + memory(r[i], r[i + 1]);
        if (kind == ArgKind::I64Out || kind == ArgKind::U64Out) text += " " + memory(r[i], 8);
        if (kind == ArgKind::U32InOut) text += " " + memory(r[i], 4);
    }
    line(fmt::format("result {} {}", row.name, text));
    return r0;
}

void Recording::begin_run(Bytes packet) {
    ++runs_;
    line(fmt::format("run {} {}", runs_, hex(packet)));
}

void Recording::end_run(const PacketReport& report) {
    std::string text = fmt::format("end {}", platform::verdict_name(report.verdict));
    if (report.verdict == platform::Verdict::SocketKeep) text += fmt::format(" {}", report.kept_bytes);
    if (!report.redirect.empty()) text += fmt::format(" to {}", report.redirect);
    line(text + " " + hex(report.packet));
}

void Recording::begin_context(std::string_view json) {
    ++runs_;
    line(fmt::format("context {} {}", runs_, hex({reinterpret_cast<const std::byte*>(json.data()), json.size()})));
}

void Recording::end_context(platform::Verdict verdict, std::string_view changed) {
    line(fmt::format("end {}{}", platform::verdict_name(verdict), changed));
}

Result<void> Recording::finish(const object::ObjectSpec& spec, Backend& backend) {
    return finish(spec, [&](uint32_t map) { return backend.contents(map); }, backend.events());
}

Result<void> Recording::finish(const object::ObjectSpec& spec, const ContentsOf& contents_of,
                               const std::vector<EventLog>& events) {
    for (uint32_t i = 0; i < spec.maps.size(); ++i) {
        SKEP_ASSIGN(const std::optional<MapContents> contents, contents_of(i));
        if (!contents) continue;
        line("map " + spec.maps[i].name);
        std::vector<std::string> lines;
        for (const MapEntry& entry : contents->entries) {
            std::string text = "entry " + hex(entry.key);
            for (const Buffer& value : entry.values) text += " " + (entry.note.empty() ? hex(value) : entry.note);
            lines.push_back(std::move(text));
        }
        for (std::string& text : lines) line(std::move(text));
    }
    for (const EventLog& log : events) {
        line(fmt::format("events {} {} {}", spec.maps[log.map].name, log.count, log.lost));
        for (const Buffer& event : log.first) line("event " + hex(event));
    }
    return {};
}

Result<std::unique_ptr<RecordWriter>> RecordWriter::create(const std::string& path, const RecordHead& head) {
    SKEP_ASSIGN(NewFile file, NewFile::open(path));
    std::unique_ptr<RecordWriter> out(new RecordWriter(std::move(file)));
    for (const std::string& text :
         {std::string(first_line), "engine " + head.engine, "program " + head.program,
          fmt::format("seed {}", head.seed), fmt::format("ifindex {}", head.ifindex), "personality " + head.personality,
          "name " + head.name, "object " + hex(head.object), "init " + hex(head.init)})
        out->take(text);
    return out;
}

void RecordWriter::adapted(const runtime::LoadedObject& loaded) {
    for (const auto& [program, answers] : loaded.core_answers()) {
        std::string text = "core " + program;
        for (const btf::CoreAnswer& answer : answers) text += " " + answer_text(answer);
        take(std::move(text));
    }
    for (const auto& [name, value] : loaded.kernel_values()) take(fmt::format("kconfig {} {}", name, value));
}

void RecordWriter::take(std::string text) {
    text += '\n';
    file_.write(text);
}

Result<void> RecordWriter::close() { return file_.finish(); }

Result<Record> Record::parse(Bytes bytes) {
    Record out;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    static constexpr std::string_view words[] = {"",     "engine", "program", "seed", "ifindex", "personality",
                                                 "name", "object", "init"};
    size_t number = 0;
    for (size_t at = 0; at < text.size(); ++number) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        const auto wrong = [&](const char* why) {
            return Error(Errc::Syntax, fmt::format("line {} of the record is not understood", number + 1), why);
        };
        if (number == 0) {
            if (line == first_line || line == first_line_of_1) continue;
            const std::string_view name = first_line.substr(0, first_line.rfind(' ') + 1);
            const bool record = line.starts_with(name);
            return Error(record ? Errc::Unsupported : Errc::Malformed,
                         record ? "a record of another version" : "this is no record",
                         fmt::format("its first line is not \"{}\"", first_line), "skep run --record makes records");
        }
        if (number >= std::size(words)) {
            if (out.lines.empty()) {
                const auto read = adaptation(line, out.head);
                if (!read) return wrong("it says nothing that a program could be adapted to");
                if (*read) continue;
            }
            out.lines.emplace_back(line);
            continue;
        }
        if (!line.starts_with(words[number]) || line.size() <= words[number].size() ||
            line[words[number].size()] != ' ')
            return wrong("the head of a record has its lines in one order");
        const std::string_view value = line.substr(words[number].size() + 1);
        const auto parse_number = [&](auto* to) {
            const auto parsed = std::from_chars(value.data(), value.data() + value.size(), *to);
            return parsed.ec == std::errc() && parsed.ptr == value.data() + value.size();
        };
        switch (number) {
            case 1: out.head.engine = value; break;
            case 2: out.head.program = value; break;
            case 3:
                if (!parse_number(&out.head.seed)) return wrong("it is no number");
                break;
            case 4:
                if (!parse_number(&out.head.ifindex)) return wrong("it is no number");
                break;
            case 5: out.head.personality = value; break;
            case 6: out.head.name = value; break;
            case 7:
            case 8: {
                auto data = bytes_of(value);
                if (!data) return wrong("it is no hexadecimal");
                (number == 7 ? out.head.object : out.head.init) = *std::move(data);
                break;
            }
        }
    }
    if (number < std::size(words)) return Error(Errc::Truncated, "the record ends inside its head");
    return out;
}

bool RecordReader::of_contexts() const {
    return !record_->lines.empty() && record_->lines.front().starts_with("context ");
}

Result<std::optional<Buffer>> RecordReader::next_context() {
    if (difference_ || at_ >= record_->lines.size() || !record_->lines[at_].starts_with("context "))
        return std::optional<Buffer>();
    const std::string& line = record_->lines[at_];
    auto text = bytes_of(std::string_view(line).substr(line.rfind(' ') + 1));
    if (!text) return Error(Errc::Syntax, fmt::format("a context of the record is not understood (event {})", at_ + 1));
    return std::optional<Buffer>(*std::move(text));
}

Result<std::optional<Buffer>> RecordReader::next_packet() {
    if (difference_ || at_ >= record_->lines.size() || !record_->lines[at_].starts_with("run "))
        return std::optional<Buffer>();
    const std::string& line = record_->lines[at_];
    auto packet = bytes_of(std::string_view(line).substr(line.rfind(' ') + 1));
    if (!packet || packet->size() < 14)
        return Error(Errc::Syntax, fmt::format("a packet of the record is not understood (event {})", at_ + 1),
                     "its line was cut or changed");
    return std::optional<Buffer>(*std::move(packet));
}

void RecordReader::take(std::string text) {
    if (difference_) return;
    if (at_ >= record_->lines.size() || record_->lines[at_] != text) return differ(std::move(text));
    ++at_;
}

std::optional<uint64_t> RecordReader::recorded_result(std::string_view helper) {
    if (difference_ || at_ >= record_->lines.size()) return std::nullopt;
    const std::string_view line = record_->lines[at_];
    const std::string start = fmt::format("result {} 0x", helper);
    uint64_t value = 0;
    if (!line.starts_with(start)) return std::nullopt;
    const auto parsed = std::from_chars(line.data() + start.size(), line.data() + line.size(), value, 16);
    return parsed.ec == std::errc() ? std::optional<uint64_t>(value) : std::nullopt;
}

void RecordReader::differ(std::string here) {
    Difference out;
    out.line = at_;
    out.run = runs();
    out.recorded = at_ < record_->lines.size() ? record_->lines[at_] : "";
    out.here = std::move(here);
    size_t from = at_;
    while (from > 0 && at_ - from < shown_before && !record_->lines[from - 1].starts_with("end ")) --from;
    out.before.assign(record_->lines.begin() + static_cast<ptrdiff_t>(from),
                      record_->lines.begin() + static_cast<ptrdiff_t>(at_));
    difference_ = std::move(out);
}

void RecordReader::expect_end() {
    if (!difference_ && at_ < record_->lines.size()) differ("");
}

}  // namespace skep::cli
