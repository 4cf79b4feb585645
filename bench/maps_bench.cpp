// SPDX-License-Identifier: Apache-2.0
// What the map operations of a program cost, beside a plain C probe over the same keys: ratios within one run are the
// figure (design: hash hit 1 k <= 2 ns, 64 k <= 8 ns, LRU hit <= 2 ns, or 1.5 x the probe; reads flat at two threads).
//     build/release/maps_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "base/lane.hpp"
#include "maps/map.hpp"

namespace {

using namespace skep;
using platform::MapType;

/// Key number i: spread out, never 0.
uint64_t key_of(uint64_t i) { return (i + 1) * 0x9e3779b97f4a7c15u; }

/// The next of a full-period sequence below a power of two; independent of what was looked up, so lookups may overlap
/// as they do in a program.
uint64_t next_index(uint64_t& state, uint64_t mask) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) & mask;
}

/// The plain probe: linear probing over {key, value} in one array, half full, no tags, no lock, never changed. Same
/// keys in the same order, same sizes, no prefetch. It touches one line where a map touches two; but a quarter of its
/// searches end elsewhere than in the first entry, each a mispredicted branch, of a map's 4 in 100. At 64 k keys it
/// spans 2 MiB and a map 2.5.
struct Probe {
    struct Entry {
        uint64_t key, value;
    };
    explicit Probe(uint64_t count) : mask(2 * count - 1), entries(2 * count) {
        for (uint64_t i = 0; i < count; ++i) {
            uint64_t at = hash(key_of(i));
            while (entries[at & mask].key != 0) ++at;
            entries[at & mask] = {key_of(i), i};
        }
    }
    static uint64_t hash(uint64_t key) {
        __extension__ using Wide = unsigned __int128;
        const Wide product = static_cast<Wide>(key) * 0xd6e8feb86659fd93u;
        return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    }
    __attribute__((noinline)) const uint64_t* find(const uint64_t* key) const {
        for (uint64_t at = hash(*key);; ++at) {
            const Entry& entry = entries[at & mask];
            if (entry.key == *key) return &entry.value;
            if (entry.key == 0) return nullptr;
        }
    }
    uint64_t mask;
    std::vector<Entry> entries;
};

/// A map shared by the threads of one benchmark.
struct Shared {
    Lanes* lanes = Lanes::create(8);
    maps::Map* map = nullptr;
    Shared(MapType type, uint64_t count, uint32_t value_size, uint64_t filled) {
        const maps::MapDef def{.type = type,
                               .key_size = type == MapType::Array ? 4u : 8u,
                               .value_size = value_size,
                               .max_entries = static_cast<uint32_t>(count),
                               .flags = 0,
                               .numa_node = 0,
                               .map_extra = 0};
        if (!maps::create(def, {lanes, 1}, nullptr, &map).ok()) std::abort();
        LaneGuard guard(*lanes);
        for (uint64_t i = 0; i < filled; ++i) {
            const uint64_t key = type == MapType::Array ? i : key_of(i), value[8] = {i};
            if (!map->update(&key, value, 0, guard.lane()).ok()) std::abort();
        }
    }
    ~Shared() {
        map->release();
        lanes->destroy();
    }
};

std::unique_ptr<Shared> shared;
std::unique_ptr<Probe> probe;

void probe_hit(benchmark::State& state) {
    const uint64_t count = static_cast<uint64_t>(state.range(0));
    if (state.thread_index() == 0) probe = std::make_unique<Probe>(count);
    uint64_t random = static_cast<uint64_t>(state.thread_index()), sum = 0;
    for (auto _ : state) {
        const uint64_t key = key_of(next_index(random, count - 1));
        sum += *probe->find(&key);
    }
    benchmark::DoNotOptimize(sum);
}
BENCHMARK(probe_hit)->Arg(1 << 10)->Arg(1 << 16)->ThreadRange(1, 2);

template <MapType Type>
void lookup_hit(benchmark::State& state) {
    const uint64_t count = static_cast<uint64_t>(state.range(0));
    if (state.thread_index() == 0) shared = std::make_unique<Shared>(Type, count, 8, count);
    uint64_t random = static_cast<uint64_t>(state.thread_index()), sum = 0;
    uint32_t lane = UINT32_MAX;
    for (auto _ : state) {
        if (lane == UINT32_MAX) lane = shared->lanes->acquire();  // after the threads' common start
        const uint64_t index = next_index(random, count - 1);
        const uint64_t key = Type == MapType::Array ? index : key_of(index);
        sum += *static_cast<const uint64_t*>(shared->map->lookup(&key, lane));
    }
    benchmark::DoNotOptimize(sum);
    shared->lanes->release(lane);
}
BENCHMARK_TEMPLATE(lookup_hit, MapType::Array)->Arg(1 << 10)->ThreadRange(1, 2);
BENCHMARK_TEMPLATE(lookup_hit, MapType::Hash)->Arg(1 << 10)->Arg(1 << 16)->ThreadRange(1, 2);
BENCHMARK_TEMPLATE(lookup_hit, MapType::PercpuHash)->Arg(1 << 10)->Arg(1 << 16)->ThreadRange(1, 2);
BENCHMARK_TEMPLATE(lookup_hit, MapType::LruHash)->Arg(1 << 10)->Arg(1 << 16)->ThreadRange(1, 2);

void hash_miss(benchmark::State& state) {
    const uint64_t count = static_cast<uint64_t>(state.range(0));
    shared = std::make_unique<Shared>(MapType::Hash, count, 8, count);
    LaneGuard guard(*shared->lanes);
    uint64_t random = 0, sum = 0;
    for (auto _ : state) {
        const uint64_t key = key_of(next_index(random, count - 1) + count);
        sum += shared->map->lookup(&key, guard.lane()) == nullptr;
    }
    benchmark::DoNotOptimize(sum);
}
BENCHMARK(hash_miss)->Arg(1 << 10)->Arg(1 << 16);

/// Updates of present keys: 8 bytes in place, 32 by a new element.
template <MapType Type, uint32_t ValueSize>
void update_existing(benchmark::State& state) {
    const uint64_t count = static_cast<uint64_t>(state.range(0));
    if (state.thread_index() == 0) shared = std::make_unique<Shared>(Type, count, ValueSize, count);
    uint64_t random = static_cast<uint64_t>(state.thread_index());
    uint32_t lane = UINT32_MAX;
    const uint64_t value[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (auto _ : state) {
        if (lane == UINT32_MAX) lane = shared->lanes->acquire();
        const uint64_t key = key_of(next_index(random, count - 1));
        benchmark::DoNotOptimize(shared->map->update(&key, value, 0, lane));
    }
    shared->lanes->release(lane);
}
BENCHMARK_TEMPLATE(update_existing, MapType::Hash, 8)->Arg(1 << 10)->Arg(1 << 16)->ThreadRange(1, 2);
BENCHMARK_TEMPLATE(update_existing, MapType::Hash, 32)->Arg(1 << 10)->ThreadRange(1, 2);
BENCHMARK_TEMPLATE(update_existing, MapType::LruHash, 8)->Arg(1 << 10)->ThreadRange(1, 2);

void insert_and_delete(benchmark::State& state) {
    shared = std::make_unique<Shared>(MapType::Hash, 1 << 16, 8, 1 << 15);
    LaneGuard guard(*shared->lanes);
    uint64_t index = 1 << 15;
    const uint64_t value = 1;
    for (auto _ : state) {
        const uint64_t key = key_of(index++);
        benchmark::DoNotOptimize(shared->map->update(&key, &value, 0, guard.lane()));
        benchmark::DoNotOptimize(shared->map->remove(&key, guard.lane()));
    }
}
BENCHMARK(insert_and_delete);

void lru_insert_with_eviction(benchmark::State& state) {
    const uint64_t count = 1 << 14;
    if (state.thread_index() == 0) shared = std::make_unique<Shared>(MapType::LruHash, count, 8, count);
    uint64_t index = count + (static_cast<uint64_t>(state.thread_index()) << 40);
    uint32_t lane = UINT32_MAX;
    for (auto _ : state) {
        if (lane == UINT32_MAX) lane = shared->lanes->acquire();
        const uint64_t key = key_of(index++);
        benchmark::DoNotOptimize(shared->map->update(&key, &index, 0, lane));
    }
    shared->lanes->release(lane);
}
BENCHMARK(lru_insert_with_eviction)->ThreadRange(1, 2);

void lane_acquire_and_release(benchmark::State& state) {
    if (state.thread_index() == 0) shared = std::make_unique<Shared>(MapType::Array, 1, 8, 1);
    for (auto _ : state) shared->lanes->release(shared->lanes->acquire());
}
BENCHMARK(lane_acquire_and_release)->ThreadRange(1, 2);

void lane_quiesce(benchmark::State& state) {
    shared = std::make_unique<Shared>(MapType::Array, 1, 8, 1);
    LaneGuard guard(*shared->lanes);
    for (auto _ : state) {
        shared->lanes->quiesce(guard.lane());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(lane_quiesce);

}  // namespace
