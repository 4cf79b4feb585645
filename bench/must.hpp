// SPDX-License-Identifier: Apache-2.0
// What a bench does where a user would get an error: it says it and ends.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace skep::bench {

[[noreturn]] inline void fail(const std::string& text) {
    std::fputs((text + "\n").c_str(), stderr);
    std::exit(4);
}

template <typename T>
T must(Result<T> result) {
    if (!result) fail(result.error().to_string());
    return *std::move(result);
}
inline void must_do(const Result<void>& result) {
    if (!result) fail(result.error().to_string());
}

inline std::vector<std::byte> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) fail("cannot read " + path);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
}

}  // namespace skep::bench
