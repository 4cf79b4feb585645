// SPDX-License-Identifier: Apache-2.0
#include "module/native_code.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/os.hpp"
#include "base/sha256.hpp"

namespace skep::module {

Result<std::unique_ptr<engine::CompiledCode>> NativeCode::make(std::shared_ptr<const MappedImage> image,
                                                               const std::string& symbol,
                                                               std::span<const platform::HelperId> helpers,
                                                               std::span<const uint32_t> maps,
                                                               const engine::LinkTable& table, size_t code_bytes) {
    std::unique_ptr<NativeCode> code(new NativeCode());
    code->function_ = reinterpret_cast<skep_entry_fn>(image->symbol(symbol.c_str()));
    if (code->function_ == nullptr) return Error(Errc::Unresolved, fmt::format("the module exports no \"{}\"", symbol));
    for (const platform::HelperId id : helpers) {
        const auto index = static_cast<size_t>(id);
        const skep_helper_fn function = index < table.helpers.size() ? table.helpers[index] : nullptr;
        if (function == nullptr)
            return Error(Errc::Unavailable,
                         fmt::format("this host does not offer the helper {}", platform::helper_name(id)));
        code->helpers_.push_back(function);
    }
    for (const uint32_t index : maps) {
        skep_module_map map{};
        if (index < table.maps.size()) map.map = table.maps[index];
        if (index < table.map_values.size()) map.values = table.map_values[index];
        if (index < table.layouts.size() && table.layouts[index].kind != MapLayoutKind::Opaque) {
            map.values = table.layouts[index].base;
            map.lane_stride = table.layouts[index].lane_stride;
        }
        code->maps_.push_back(map);
    }
    code->image_ = std::move(image);
    code->code_bytes_ = code_bytes;
    code->instance_.size = sizeof code->instance_;
    code->instance_.abi = SKEP_NATIVE_MODULE_ABI;
    code->instance_.helpers = code->helpers_.data();
    code->instance_.maps = code->maps_.data();
    return std::unique_ptr<engine::CompiledCode>(std::move(code));
}

namespace {

/// What programs become: one source, and per program the module's maps it reaches.
struct DirectSource {
    engine::native::ModuleSource source;
    std::vector<std::vector<uint32_t>> map_indices;
};

DirectSource direct_source(std::span<const DirectProgram> programs, const DirectOptions& options) {
    DirectSource out;
    out.source.title = "programs of a test";
    out.map_indices.resize(programs.size());
    std::vector<const ExecutableProgram*> list;
    for (size_t i = 0; i < programs.size(); ++i) {
        list.push_back(programs[i].program);
        engine::native::ProgramSource one;
        one.symbol = fmt::format("skep_entry_{}", i);
        one.program = programs[i].program;
        const engine::LinkTable& table = *programs[i].table;
        for (size_t m = 0; m < std::max(table.maps.size(), table.map_values.size()); ++m) {
            one.maps.push_back(static_cast<uint32_t>(out.source.maps.size()));
            engine::native::MapShape shape;
            shape.name = fmt::format("map {} of program {}", m, i);
            if (m < table.layouts.size()) shape.layout = table.layouts[m];
            out.source.maps.push_back(shape);
        }
        out.source.programs.push_back(std::move(one));
    }
    for (size_t i = 0; i < programs.size(); ++i) {
        out.map_indices[i].assign(out.source.maps.size(), UINT32_MAX);
        for (size_t m = 0; m < out.source.programs[i].maps.size(); ++m)
            out.map_indices[i][out.source.programs[i].maps[m]] = static_cast<uint32_t>(m);
    }
    out.source.helpers = engine::native::used_helpers(list);
    for (const platform::HelperId id : options.more_helpers)
        if (std::find(out.source.helpers.begin(), out.source.helpers.end(), id) == out.source.helpers.end())
            out.source.helpers.push_back(id);
    return out;
}

/// Where the image of this text by this compiler is kept: what it gives follows from them alone (compile_c).
std::string kept_path(const std::string& folder, const std::string& text, const Compiler& compiler) {
    Sha256 hash;
    const auto add = [&](const std::string& part) { hash.update(part.c_str(), part.size() + 1); };
    add(text);
    add(compiler.program);
    add(compiler.identity);
    for (const std::string& flag : compiler.flags) add(flag);
    uint8_t digest[Sha256::digest_bytes];
    hash.finish(digest);
    std::string path = folder + "/";
    for (const uint8_t byte : digest) path += fmt::format("{:02x}", byte);
    return path;
}

std::optional<Buffer> read_kept(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const auto* const data = reinterpret_cast<const std::byte*>(bytes.data());
    return Buffer(data, data + bytes.size());
}

/// Whole or not at all: others may keep the same image at this moment. A folder that takes no file keeps nothing.
void keep(const std::string& path, const Buffer& image) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    uint64_t number = 0;
    skep_os_random(&number, sizeof number);
    const std::string beside = fmt::format("{}.{:x}", path, number);
    std::ofstream file(beside, std::ios::binary);
    file.write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
    file.close();
    if (file.good()) std::filesystem::rename(beside, path, error);
    if (!file.good() || error) std::filesystem::remove(beside, error);
}

}  // namespace

Result<Buffer> build_direct(std::span<const DirectProgram> programs, const DirectOptions& options) {
    const auto target = options.target ? options.target : host_target();
    if (!target) return Error(Errc::Unavailable, "no native modules can be built for this host");
    SKEP_ASSIGN(const std::string text, engine::native::emit_c(direct_source(programs, options).source));
    SKEP_ASSIGN(const Compiler compiler,
                find_compiler({.target = *target, .cpu = options.cpu, .compiler = options.compiler}));
    if (options.kept_images.empty()) return compile_c(text, compiler);
    const std::string path = kept_path(options.kept_images, text, compiler);
    if (std::optional<Buffer> kept = read_kept(path)) return *std::move(kept);
    SKEP_ASSIGN(Buffer image, compile_c(text, compiler));
    keep(path, image);
    return image;
}

Result<std::vector<std::unique_ptr<engine::CompiledCode>>> load_direct(Bytes image,
                                                                       std::span<const DirectProgram> programs,
                                                                       const DirectOptions& options) {
    const DirectSource made = direct_source(programs, options);
    SKEP_ASSIGN(std::shared_ptr<const MappedImage> mapped, MappedImage::map(image));
    std::vector<std::unique_ptr<engine::CompiledCode>> out;
    for (size_t i = 0; i < programs.size(); ++i) {
        SKEP_ASSIGN(auto code, NativeCode::make(mapped, made.source.programs[i].symbol, made.source.helpers,
                                                made.map_indices[i], *programs[i].table, image.size()));
        out.push_back(std::move(code));
    }
    return out;
}

Result<std::vector<std::unique_ptr<engine::CompiledCode>>> compile_direct(std::span<const DirectProgram> programs,
                                                                          const DirectOptions& options) {
    SKEP_ASSIGN(const Buffer image, build_direct(programs, options));
    return load_direct(image, programs, options);
}

}  // namespace skep::module
