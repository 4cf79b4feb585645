// SPDX-License-Identifier: Apache-2.0
#include "platform/platforms/nearest.hpp"

#include <fmt/format.h>

namespace skep::platform {
namespace {

struct NearRow {
    HelperId missing, present;
    const char* text;  ///< null: the same helper
};
constexpr NearRow near_rows[] = {
#define NEAREST(missing, present, text) {HelperId::missing, HelperId::present, text},
#define EQUAL(missing, present) {HelperId::missing, HelperId::present, nullptr},
#define VERDICT(missing, present, effect, text)
#include "platform/platforms/nearest.def"
#undef VERDICT
#undef NEAREST
#undef EQUAL
};

constexpr bool Same = true, Other = false;
constexpr struct {
    Verdict missing;
    NearVerdict near;
} near_verdicts[] = {
#define NEAREST(missing, present, text)
#define EQUAL(missing, present)
#define VERDICT(missing, present, effect, text) {Verdict::missing, {Verdict::present, effect, text}},
#include "platform/platforms/nearest.def"
#undef VERDICT
#undef NEAREST
#undef EQUAL
};

struct NearMap {
    MapType missing, present;
    const char* text;
};
constexpr NearMap near_maps[] = {
    {MapType::Ringbuf, MapType::PerfEventArray, "a buffer per CPU"},
    {MapType::UserRingbuf, MapType::Queue, "filled by updates"},
    {MapType::DevmapHash, MapType::Devmap, "targets by a small number"},
    {MapType::Devmap, MapType::Hash, "and the helper redirect"},
    {MapType::BloomFilter, MapType::LruHash, "exact, more memory"},
    {MapType::StackTrace, MapType::PerfEventArray, "and a stack that the reader takes"},
    {MapType::TaskStorage, MapType::LruHash, "by process and thread number"},
    {MapType::SkStorage, MapType::LruHash, "by socket cookie"},
    {MapType::CgrpStorage, MapType::Hash, "by control group number"},
    {MapType::InodeStorage, MapType::LruHash, "by inode number"},
    {MapType::CgroupStorage, MapType::Hash, "by control group number"},
    {MapType::PercpuCgroupStorage, MapType::PercpuHash, "by control group number"},
    {MapType::Sockhash, MapType::Sockmap, "by a small number"},
    {MapType::Arena, MapType::Array, "one large value, indexed"},
};

}  // namespace

std::optional<HelperId> equal_helper(const Platform& platform, HelperId id, ProgramType type) {
    for (const NearRow& row : near_rows)
        if (row.text == nullptr && row.missing == id && platform.helper_for(row.present, type) != nullptr)
            return row.present;
    return std::nullopt;
}

std::string nearest_helper(const Platform& platform, HelperId id, ProgramType type) {
    for (const NearRow& row : near_rows) {
        if (row.text == nullptr || row.missing != id || platform.helper_for(row.present, type) == nullptr) continue;
        return fmt::format("{}: {}", helper_name(row.present), row.text);
    }
    if (id == HelperId::XdpLoadBytes || id == HelperId::XdpStoreBytes || id == HelperId::SkbLoadBytes ||
        id == HelperId::SkbStoreBytes)
        return "the context's data and data_end: direct packet access";
    if (id == HelperId::Loop || id == HelperId::ForEachMapElem) return "a loop whose bound the verifier can see";
    if (id == HelperId::XdpGetBuffLen) return "data_end - data";
    return {};
}

std::optional<NearVerdict> nearest_verdict(Verdict verdict) {
    for (const auto& row : near_verdicts)
        if (row.missing == verdict) return row.near;
    return std::nullopt;
}

std::string nearest_map(const Platform& platform, MapType type) {
    for (const NearMap& row : near_maps)
        if (row.missing == type && platform.has(row.present))
            return fmt::format("{}: {}", map_type_name(row.present), row.text);
    return {};
}

std::string nearest_field(const Platform& platform, const FieldRow& row) {
    const FieldRow* best = nullptr;
    for (const PlatformField& field : platform.fields) {
        const FieldRow& other = context_field(field.field);
        if (other.context != row.context || other.id == row.id) continue;
        const std::string_view a = row.name, b = other.name;
        const auto tail = [](std::string_view name) { return name.substr(name.rfind('_') + 1); };
        if (tail(a) == tail(b)) best = &other;
    }
    return best == nullptr ? std::string() : fmt::format("field {}", best->name);
}

std::string nearest_feature(FeatureId id) {
    switch (id) {
        case FeatureId::LocalCalls: return "static __always_inline functions";
        case FeatureId::Jmp32: return "compile with -mcpu=v2";
        case FeatureId::GlobalData: return "an array map of one element";
        case FeatureId::Core: return "structures whose layout the platform promises";
        case FeatureId::Kconfig: return "a variable in .rodata that the loader fills in";
        case FeatureId::CustomData: return ".data, .rodata or .bss";
        case FeatureId::TailAndLocal: return "static __always_inline functions beside tail calls";
        case FeatureId::FetchAtomics: return "atomic addition without its result";
        case FeatureId::FunctionRefs: return "a loop whose bound the verifier can see";
        case FeatureId::Callx: return "direct calls";
        case FeatureId::Isa4: return "compile with -mcpu=v3";
        case FeatureId::MayGoto: return "a loop whose bound the verifier can see";
        case FeatureId::Arena: return "an array map";
        case FeatureId::OrderedAtomics: return "atomics that fetch: they are ordered";
        case FeatureId::PacketLoads: return "skb_load_bytes, or direct packet access";
        case FeatureId::KernelVariables: return "a map or a global variable that the loader fills in";
    }
    return {};
}

}  // namespace skep::platform
