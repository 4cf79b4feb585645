// SPDX-License-Identifier: Apache-2.0
// What the tests of the helpers share: a run, a packet in a buffer, and a call by canonical id. Included by tests only.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "platform/host_context.hpp"
#include "runtime/core/helpers.hpp"

namespace skep::runtime::testing {

using platform::HelperId;
using platform::ProgramType;

inline uint64_t address(const void* p) { return reinterpret_cast<uintptr_t>(p); }

class TestRun {
  public:
    explicit TestRun(ProgramType type = ProgramType::Xdp) {
        run.init(type, 0);
        run.chance = Chance::from_seed(1);
        run.log.self = &lines;
        run.log.write = [](void* self, const char* text, size_t bytes) {
            static_cast<std::vector<std::string>*>(self)->emplace_back(text, bytes);
        };
        run.start();
    }

    /// r0 as a signed number.
    int64_t call(HelperId id, uint64_t r1 = 0, uint64_t r2 = 0, uint64_t r3 = 0, uint64_t r4 = 0, uint64_t r5 = 0) {
        const skep_helper_fn function = run.context.helpers[static_cast<size_t>(id)];
        EXPECT_NE(function, nullptr) << platform::helper_name(id);
        return static_cast<int64_t>(function(r1, r2, r3, r4, r5, &run.context));
    }

    Run run;
    std::vector<std::string> lines;
};

/// A packet of `size` bytes 0, 1, 2, ... with `head` bytes of room before and `tail` after it.
template <typename Context>
class TestPacket {
  public:
    TestPacket(size_t head, size_t size, size_t tail) : buffer(head + size + tail, 0xee) {
        auto& p = context.packet;
        p.head = buffer.data();
        p.data = p.data_meta = p.head + head;
        p.data_end = p.data + size;
        p.end = p.data_end + tail;
        for (size_t i = 0; i < size; ++i) p.data[i] = static_cast<uint8_t>(i);
        if constexpr (requires { context.len; }) context.len = static_cast<uint32_t>(size);
    }

    uint64_t ctx() { return address(&context); }
    int64_t length() const { return context.packet.data_end - context.packet.data; }
    int64_t metadata() const { return context.packet.data - context.packet.data_meta; }

    std::vector<uint8_t> buffer;
    Context context = {};
};

}  // namespace skep::runtime::testing
