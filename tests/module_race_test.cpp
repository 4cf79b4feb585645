// SPDX-License-Identifier: Apache-2.0
// A writer who races with loading: whatever is mapped is what was checked. During each load the module's file changes,
// from the good one to one whose code differs in a bit or back; on Windows, where the system maps only files with
// names, a second writer attacks the loader's own file. That they raced is counted too: files that changed between the
// reading and the mapping, and attempts on the loader's file that its handle turned away.
//   SKEP_RACE_TRIES  how many loads (default 500; 10000 is the full form)
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <thread>

#include "module/load.hpp"
#include "module/os/process.hpp"

#if defined(_WIN32)
#include <windows.h>
#endif

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

uint64_t now_ns() {
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

/// Changes the module's file once during each load, at any time of it: most often by putting another in its place, each
/// eighth time by writing into it, so that a reader may see parts. Good and bad take turns.
class Swapper {
  public:
    Swapper(std::filesystem::path path, const Buffer& good, const Buffer& bad)
        : path_(std::move(path)), good_(good), bad_(bad), thread_([this] { work(); }) {}
    ~Swapper() { end(); }
    void end() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }
    /// A load begins, which takes about as long as the quickest one before.
    void begin(uint64_t load_ns) {
        load_ns_ = load_ns;
        ++asked_;
    }
    /// Until the change asked for was made, or turned away.
    void finish() const {
        while (swaps_ + denied_ != asked_) std::this_thread::yield();
    }
    uint64_t swaps() const { return swaps_; }
    uint64_t denied() const { return denied_; }

  private:
    void work() {
        const std::filesystem::path beside = path_.string() + ".new";
        std::minstd_rand random(1);
        bool good_next = false;
        for (uint64_t i = 0;; ++i) {
            while (asked_ == i && !stop_) std::this_thread::yield();
            if (stop_) break;
            const Buffer& what = good_next ? good_ : bad_;
            const bool in_place = i % 8 == 0, ready = in_place || write(beside, what);
            const uint64_t until = now_ns() + random() % (load_ns_ + load_ns_ / 8 + 1);
            while (now_ns() < until) std::this_thread::yield();
            std::error_code failed;
            if (!in_place) std::filesystem::rename(beside, path_, failed);
            const bool done = in_place ? write(path_, what) : ready && !failed;
            if (done) good_next = !good_next;
            ++(done ? swaps_ : denied_);
        }
    }

    std::filesystem::path path_;
    const Buffer &good_, &bad_;
    std::atomic<bool> stop_ = false;
    std::atomic<uint64_t> asked_ = 0, swaps_ = 0, denied_ = 0, load_ns_ = 0;
    std::thread thread_;
};

#if defined(_WIN32)
/// Attacks what the loader itself puts on disk: writes the bad byte, and renames the file away to put the bad one in
/// its place, in turns.
class Attacker {
  public:
    Attacker(std::filesystem::path folder, size_t place, const Buffer& bad)
        : folder_(std::move(folder)), place_(place), bad_(bad), thread_([this] { work(); }) {}
    ~Attacker() { end(); }
    void end() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }
    uint64_t denied() const { return denied_; }
    uint64_t done() const { return done_; }

  private:
    void work() {
        for (uint64_t turn = 0; !stop_; ++turn) {
            std::error_code ignored;
            for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
                const std::string name = entry.path().filename().string();
                if (!name.starts_with("skep-") || !name.ends_with(".dll") || met_.contains(name)) continue;
                const bool gone = turn % 2 == 0 ? overwrite(entry.path()) : replace(entry.path());
                if (gone) {
                    met_.insert(name);  // it is the attacker's from now on
                    ++done_;
                } else if (::GetLastError() == ERROR_SHARING_VIOLATION || ::GetLastError() == ERROR_ACCESS_DENIED) {
                    ++denied_;
                }
            }
            // The loader meets it in some of its loads, not in all.
            if (turn % 4 != 0) std::this_thread::sleep_for(std::chrono::milliseconds(turn % 3));
        }
    }
    bool overwrite(const std::filesystem::path& path) {
        HANDLE file = ::CreateFileW(path.c_str(), GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                    nullptr, OPEN_EXISTING, 0, nullptr);
        if (file == INVALID_HANDLE_VALUE) return false;
        DWORD written = 0;
        ::SetFilePointer(file, static_cast<LONG>(place_), nullptr, FILE_BEGIN);
        const bool done = ::WriteFile(file, &bad_[place_], 1, &written, nullptr) && written == 1;
        ::CloseHandle(file);
        return done;
    }
    bool replace(const std::filesystem::path& path) {
        const std::filesystem::path away = path.string() + ".away";
        if (!::MoveFileExW(path.c_str(), away.c_str(), MOVEFILE_REPLACE_EXISTING)) return false;
        (void)write(path, bad_);
        ::DeleteFileW(away.c_str());
        return true;
    }

    std::filesystem::path folder_;
    size_t place_;
    const Buffer& bad_;
    std::set<std::string> met_;
    std::atomic<bool> stop_ = false;
    std::atomic<uint64_t> denied_ = 0, done_ = 0;
    std::thread thread_;
};
#endif

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
    const std::filesystem::path path = std::filesystem::path(*own) / "module";
    ASSERT_TRUE(write(path, good));
    Swapper swapper(path, good, bad);
#if defined(_WIN32)
    // The loader's files go to a folder of this test's own.
    const std::string loaders = *own + "/loader";
    std::filesystem::create_directory(loaders);
    ASSERT_TRUE(::SetEnvironmentVariableA("TMP", loaders.c_str()));
    Attacker attacker(loaders, place, bad);
#endif
    const char* text = std::getenv("SKEP_RACE_TRIES");
    const int tries = text != nullptr ? std::atoi(text) : 500;
    int taken = 0, refused = 0, unmapped = 0, wrong = 0, other_file = 0;
    uint64_t load_ns = 0;
    for (int i = 0; i < tries; ++i) {
        if (i != 0) swapper.finish();
        swapper.begin(load_ns);
        const uint64_t begin = now_ns();
        const Buffer read = contents(path);
        if (i % 8 == 4) swapper.finish();  // some loads are as slow as it takes to meet the change
        auto checked = check_module(read, options);
        if (!checked.ok()) {
            ++refused;
            continue;
        }
        if (i % 8 == 2) swapper.finish();
        const bool changed = contents(path) != read;  // one who read again for mapping would get it
        const auto mapped = MappedImage::map(checked->image());
        if (!mapped.ok()) {
            ++unmapped;  // the loader's file was being attacked
            continue;
        }
        if (const uint64_t took = now_ns() - begin; load_ns == 0 || took < load_ns) load_ns = took;
        ++taken;
        wrong += std::memcmp((*mapped)->symbol(symbol.c_str()), code, compared) != 0;
        other_file += changed;
    }
    swapper.finish();
    swapper.end();
    std::printf(
        "%d taken, %d of them from a file that had changed meanwhile, %d wrong; %d refused by their check; %llu "
        "changes of the file, %llu turned away\n",
        taken, other_file, wrong, refused, static_cast<unsigned long long>(swapper.swaps()),
        static_cast<unsigned long long>(swapper.denied()));
    EXPECT_EQ(wrong, 0);
    // Both happened, or nothing was raced.
    EXPECT_GT(taken, 0);
    EXPECT_GT(refused, 0);
    EXPECT_GT(other_file, 0);
#if defined(_WIN32)
    attacker.end();
    std::printf("the loader's own file: %d refused to be mapped; %llu attacks turned away, %llu came through\n",
                unmapped, static_cast<unsigned long long>(attacker.denied()),
                static_cast<unsigned long long>(attacker.done()));
    EXPECT_GT(attacker.denied(), 0u);
#else
    EXPECT_EQ(unmapped, 0);
#endif
    remove_folder(*own);
}

}  // namespace
}  // namespace skep::module
