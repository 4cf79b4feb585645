// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/host_offer.hpp"

#include "platform/program_type.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime {

namespace {

bool makes_map(platform::MapType type) {
    using platform::MapType;
    switch (type) {
        case MapType::Array:
        case MapType::PercpuArray:
        case MapType::Hash:
        case MapType::PercpuHash:
        case MapType::LruHash:
        case MapType::LruPercpuHash:
        case MapType::LpmTrie:
        case MapType::ProgArray:
        case MapType::ArrayOfMaps:
        case MapType::HashOfMaps:
        case MapType::Ringbuf:
        case MapType::PerfEventArray:
        case MapType::Queue:
        case MapType::Stack:
        // Targets of redirections: an array or a hash table holds their numbers (object_maps.cpp).
        case MapType::Devmap:
        case MapType::DevmapHash:
        case MapType::Cpumap:
        case MapType::Xskmap: return true;
        case MapType::StackTrace:
        case MapType::CgroupArray:
        case MapType::Sockmap:
        case MapType::Sockhash:
        case MapType::CgroupStorage:
        case MapType::ReuseportSockarray:
        case MapType::PercpuCgroupStorage:
        case MapType::SkStorage:
        case MapType::StructOps:
        case MapType::InodeStorage:
        case MapType::TaskStorage:
        case MapType::BloomFilter:
        case MapType::UserRingbuf:
        case MapType::CgrpStorage:
        case MapType::Arena: return false;
    }
    return false;
}

}  // namespace

platform::HostOffer host_offer() {
    platform::HostOffer offer;
    offer.helper = [](platform::HelperId id) { return helper_functions()[static_cast<size_t>(id)] != nullptr; };
    offer.map = makes_map;
    offer.type = [](platform::ProgramType type) {
        return platform::program_type_host(type) != platform::HostedBy::Nobody;
    };
    return offer;
}

}  // namespace skep::runtime
