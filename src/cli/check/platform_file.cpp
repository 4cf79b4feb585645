// SPDX-License-Identifier: Apache-2.0
#include "cli/check/platform_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/file.hpp"
#include "cli/json.hpp"

namespace skep::cli {

namespace {

using platform::HelperId;
using platform::Platform;

class Reader {
  public:
    Reader(const Json& root, std::span<const Platform> known) : root_(root), known_(known) {}

    Result<Platform> run() {
        SKEP_TRY(only_keys(root_, "",
                           {"name", "title", "extends", "source", "helpers", "maps", "kfuncs", "kconfig", "without"}));
        SKEP_ASSIGN(const std::string name, text(root_, "", "name"));
        SKEP_ASSIGN(const std::string base, text(root_, "", "extends"));
        const auto found = std::ranges::find(known_, base, &Platform::name);
        if (found == known_.end()) return wrong("extends", fmt::format("there is no platform \"{}\"", base));
        if (std::ranges::find(known_, name, &Platform::name) != known_.end())
            return wrong("name", fmt::format("\"{}\" is a platform already", name));
        out_ = *found;
        out_.name = name;
        out_.title = out_.title + ", extended";
        if (root_.find("title") != nullptr) {
            SKEP_ASSIGN(out_.title, text(root_, "", "title"));
        }
        if (root_.find("source") != nullptr) {
            SKEP_ASSIGN(out_.source, text(root_, "", "source"));
        }
        SKEP_TRY(helpers());
        SKEP_TRY(maps());
        SKEP_TRY(kfuncs());
        SKEP_TRY(kconfig());
        SKEP_TRY(without());
        return std::move(out_);
    }

  private:
    static Error wrong(std::string_view path, std::string why) {
        return Error(Errc::InvalidArgument, fmt::format("the platform file's {} is wrong", path), std::move(why));
    }
    static std::string join(std::string_view path, std::string_view key) {
        return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
    }

    static Result<void> only_keys(const Json& json, std::string_view path,
                                  std::initializer_list<std::string_view> keys) {
        const auto* object = json.as<Json::Object>();
        if (object == nullptr) return wrong(path.empty() ? "content" : path, "it is no object");
        for (const auto& [key, value] : *object)
            if (std::ranges::find(keys, key) == keys.end()) return wrong(join(path, key), "there is no such key");
        return {};
    }
    static Result<std::string> text(const Json& json, std::string_view path, std::string_view key) {
        const Json* value = json.find(key);
        const auto* found = value == nullptr ? nullptr : value->as<std::string>();
        if (found == nullptr || found->empty()) return wrong(join(path, key), "a text is wanted");
        return *found;
    }
    Result<const Json::Array*> list(std::string_view key) const {
        static const Json::Array none;
        const Json* value = root_.find(key);
        if (value == nullptr) return &none;
        const auto* array = value->as<Json::Array>();
        if (array == nullptr) return wrong(key, "a list is wanted");
        return array;
    }
    static std::optional<HelperId> helper_named(std::string_view name) {
        for (uint16_t i = 0; i < platform::helper_count; ++i)
            if (name == platform::helper_name(static_cast<HelperId>(i))) return static_cast<HelperId>(i);
        return std::nullopt;
    }
    static std::optional<platform::MapType> map_named(std::string_view name) {
#define MAP_TYPE(id, text, linux_id, windows_id, since) \
    if (name == text) return platform::MapType::id;
#include "platform/map_type.def"
#undef MAP_TYPE
        return std::nullopt;
    }

    Result<void> helpers() {
        SKEP_ASSIGN(const Json::Array* rows, list("helpers"));
        for (size_t i = 0; i < rows->size(); ++i) {
            const std::string path = fmt::format("helpers[{}]", i);
            const Json& row = (*rows)[i];
            SKEP_TRY(only_keys(row, path, {"name", "number", "types"}));
            platform::PlatformHelper helper;
            SKEP_ASSIGN(helper.name, text(row, path, "name"));
            helper.canonical = helper_named(helper.name);
            const Json* number = row.find("number");
            const auto* value = number == nullptr ? nullptr : number->as<uint64_t>();
            const auto* as_signed = number == nullptr ? nullptr : number->as<int64_t>();
            const uint64_t id = value != nullptr                         ? *value
                                : as_signed != nullptr && *as_signed > 0 ? static_cast<uint64_t>(*as_signed)
                                                                         : 0;
            if (id == 0 || id > UINT32_MAX) return wrong(path + ".number", "a number from 1 to 4294967295 is wanted");
            helper.id = static_cast<uint32_t>(id);
            if (const Json* types = row.find("types")) {
                const auto* array = types->as<Json::Array>();
                if (array == nullptr) return wrong(path + ".types", "a list of program types is wanted");
                helper.users = 0;
                for (const Json& type : *array) {
                    const auto* word = type.as<std::string>();
                    const auto known = word == nullptr ? std::nullopt : platform::program_type_from_name(*word);
                    if (!known) return wrong(path + ".types", fmt::format("{} is no program type", type.to_string()));
                    helper.users |= platform::program_type_bit(*known);
                }
            }
            const auto taken = [&](const platform::PlatformHelper& other) {
                return other.id == helper.id && (other.users & helper.users) != 0 && other.name != helper.name;
            };
            if (const auto other = std::ranges::find_if(out_.helpers, taken); other != out_.helpers.end())
                return wrong(path + ".number", fmt::format("{} has it already", other->name));
            out_.helpers.push_back(std::move(helper));
        }
        std::ranges::stable_sort(out_.helpers, {}, &platform::PlatformHelper::id);
        return {};
    }

    Result<void> maps() {
        SKEP_ASSIGN(const Json::Array* rows, list("maps"));
        for (size_t i = 0; i < rows->size(); ++i) {
            const auto* word = (*rows)[i].as<std::string>();
            const auto type = word == nullptr ? std::nullopt : map_named(*word);
            if (!type) return wrong(fmt::format("maps[{}]", i), "the word of a map type is wanted, as in \"lru_hash\"");
            if (!out_.has(*type)) out_.maps.push_back({*type, platform::map_type_linux_id(*type), ""});
        }
        return {};
    }

    Result<void> kfuncs() {
        SKEP_ASSIGN(const Json::Array* rows, list("kfuncs"));
        for (size_t i = 0; i < rows->size(); ++i) {
            const auto* word = (*rows)[i].as<std::string>();
            if (word == nullptr || word->empty()) return wrong(fmt::format("kfuncs[{}]", i), "a name is wanted");
            if (!out_.has_kfunc(*word)) out_.kfuncs.push_back({*word, ""});
        }
        return {};
    }

    Result<void> kconfig() {
        const Json* rows = root_.find("kconfig");
        if (rows == nullptr) return {};
        const auto* object = rows->as<Json::Object>();
        if (object == nullptr) return wrong("kconfig", "an object of names and values is wanted");
        for (const auto& [name, value] : *object) {
            std::string text = value.to_string();
            if (const auto* word = value.as<std::string>(); word != nullptr)
                text = *word == "y" || *word == "m" || *word == "n" ? *word : fmt::format("\"{}\"", *word);
            else if (const auto* flag = value.as<bool>(); flag != nullptr)
                text = *flag ? "y" : "n";
            else if (value.as<uint64_t>() == nullptr && value.as<int64_t>() == nullptr)
                return wrong(join("kconfig", name), "y, m, n, a number or a text is wanted");
            if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; }))
                return wrong(join("kconfig", name), "a text of one line, without control characters, is wanted");
            const auto known = std::ranges::find(out_.kconfig, name, &platform::PlatformKconfig::name);
            if (known != out_.kconfig.end())
                known->value = std::move(text);
            else
                out_.kconfig.push_back({name, std::move(text)});
        }
        return {};
    }

    Result<void> without() {
        const Json* rows = root_.find("without");
        if (rows == nullptr) return {};
        SKEP_TRY(only_keys(*rows, "without", {"helpers", "maps"}));
        for (const std::string_view key : {"helpers", "maps"}) {
            const Json* list = rows->find(key);
            if (list == nullptr) continue;
            const auto* array = list->as<Json::Array>();
            if (array == nullptr) return wrong(join("without", key), "a list is wanted");
            for (const Json& row : *array) {
                const auto* word = row.as<std::string>();
                size_t gone = 0;
                if (word != nullptr && key == "helpers")
                    gone = std::erase_if(out_.helpers, [&](const auto& h) { return h.name == *word; });
                if (word != nullptr && key == "maps")
                    gone = std::erase_if(out_.maps,
                                         [&](const auto& m) { return platform::map_type_name(m.type) == *word; });
                if (gone == 0) return wrong(join("without", key), fmt::format("{} is not there", row.to_string()));
            }
        }
        return {};
    }

    const Json& root_;
    std::span<const Platform> known_;
    Platform out_;
};

}  // namespace

Result<Platform> parse_platform(std::string_view text, const std::string& name, std::span<const Platform> known) {
    Result<Json> json = parse_json(text);
    if (!json) return std::move(json).error().in_file(name);
    Result<Platform> out = Reader(*json, known).run();
    if (!out) return std::move(out).error().in_file(name);
    return out;
}

Result<Platform> read_platform_file(const std::string& path, std::span<const Platform> known) {
    SKEP_ASSIGN(const std::vector<std::byte> bytes, read_file(path));
    return parse_platform({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path, known);
}

}  // namespace skep::cli
