// SPDX-License-Identifier: Apache-2.0
// A writer who races with loading: whatever is mapped is what was checked. The module's file changes all the time
// between the good one and one whose code differs in a bit; on Windows the loader's own file is attacked as well.
//   SKEP_RACE_TRIES  how many loads (default 2000; 10000 is the full form)
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "module/load.hpp"
#include "module/os/process.hpp"

namespace skep::module {
namespace {

Buffer contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const Bytes bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}
bool write(const std::filesystem::path& path, Bytes bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return file.good();
}

/// The first bytes of the program's code in the mapped image.
constexpr size_t compared = 32;

TEST(ModuleRace, WhatIsMappedIsWhatWasChecked) {
    const auto host = host_target();
    if (!host) GTEST_SKIP() << "no modules for this host";
    const std::filesystem::path folder = std::filesystem::path(SKEP_SOURCE_DIR) / "tests/modules";
    const Buffer good = contents(folder / (std::string("format-1-") + target_name(*host) + "." + target_ending(*host)));
    ASSERT_FALSE(good.empty());
    CheckOptions options;
    options.roots = {contents(folder / "root.pem")};
    options.policy.require_certificate = false;
    auto first = check_module(good, options);
    if (!first.ok() && first.error().code() == Errc::Unavailable) GTEST_SKIP() << first.error().to_string();
    ASSERT_TRUE(first.ok()) << first.error().to_string();
    const std::string symbol = first->descriptor().programs.front().symbol;

    // The code as it is mapped, and a file in which one bit of it differs.
    std::byte code[compared];
    {
        const auto mapped = MappedImage::map(first->image());
        ASSERT_TRUE(mapped.ok()) << mapped.error().to_string();
        std::memcpy(code, (*mapped)->symbol(symbol.c_str()), compared);
    }
    Buffer bad = good;
    const auto at = std::search(bad.begin(), bad.end(), std::begin(code), std::end(code));
    ASSERT_NE(at, bad.end());
    const auto place = static_cast<size_t>(at - bad.begin()) + compared / 2;
    bad[place] ^= std::byte{1};
    ASSERT_FALSE(check_module(bad, options).ok());

    const auto own = make_private_folder();
    ASSERT_TRUE(own.ok());
    const std::filesystem::path path = std::filesystem::path(*own) / "module", beside = path.string() + ".new";
    ASSERT_TRUE(write(path, good));
    std::atomic<bool> stop = false;
    std::atomic<uint64_t> swaps = 0, attacks = 0;
    std::thread writer([&] {
        for (uint64_t i = 0; !stop; ++i) {
            const Buffer& what = i % 2 == 0 ? bad : good;
            std::error_code ignored;
            if (i % 8 == 0) {  // in place, so that a reader may see parts
                (void)write(path, what);
            } else if (write(beside, what)) {
                std::filesystem::rename(beside, path, ignored);
            }
            ++swaps;
            if (i % 2 != 0) std::this_thread::sleep_for(std::chrono::microseconds(300));  // the good one stands a while
#if defined(_WIN32)
            // Whatever the loader itself has put on disk.
            for (const auto& entry :
                 std::filesystem::directory_iterator(std::filesystem::temp_directory_path(), ignored)) {
                const std::string name = entry.path().filename().string();
                if (!name.starts_with("skep-") || !name.ends_with(".dll")) continue;
                std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
                if (!file) continue;
                file.seekp(static_cast<std::streamoff>(place));
                file.put(static_cast<char>(bad[place]));
                ++attacks;
            }
#endif
        }
    });
    const char* text = std::getenv("SKEP_RACE_TRIES");
    const int tries = text != nullptr ? std::atoi(text) : 2000;
    int taken = 0, refused = 0, wrong = 0;
    for (int i = 0; i < tries; ++i) {
        auto checked = check_module(contents(path), options);
        if (!checked.ok()) {
            ++refused;
            continue;
        }
        const auto mapped = MappedImage::map(checked->image());
        if (!mapped.ok()) {
            ++refused;  // the loader's file was being attacked
            continue;
        }
        ++taken;
        wrong += std::memcmp((*mapped)->symbol(symbol.c_str()), code, compared) != 0;
    }
    stop = true;
    writer.join();
    remove_folder(*own);
    EXPECT_EQ(wrong, 0);
    // Both happened, or nothing was raced.
    EXPECT_GT(taken, 0);
    EXPECT_GT(refused, 0);
    RecordProperty("taken", taken);
    RecordProperty("refused", refused);
    RecordProperty("swaps", static_cast<int>(swaps.load()));
    std::printf("%d taken, %d refused, %llu files swapped, %llu attacks on the loader's file\n", taken, refused,
                static_cast<unsigned long long>(swaps.load()), static_cast<unsigned long long>(attacks.load()));
}

}  // namespace
}  // namespace skep::module
