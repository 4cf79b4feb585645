// SPDX-License-Identifier: Apache-2.0
// Arbitrary bytes as a capture: packets that lie inside the input, then the end or an error with an offset in it, after
// which every call says the same.
//
// seeds: examples/traffic/*.pcap
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "hooks/pcap/capture.hpp"
#include "require.hpp"

namespace {

void check_error(const skep::Error& error, size_t size) {
    require(!error.what().empty() && !error.to_string().empty());
    require(error.where().file == "fuzz");
    require(error.where().byte_offset.has_value() && *error.where().byte_offset <= size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace skep;
    using namespace skep::hooks;
    const Bytes input(reinterpret_cast<const std::byte*>(data), size);
    auto reader = CaptureReader::over(input, "fuzz");
    if (!reader.ok()) {
        check_error(reader.error(), size);
        return 0;
    }
    require(reader->size() == size);
    uint64_t packets = 0, position = reader->position();
    for (;;) {
        auto packet = reader->next();
        require(reader->position() >= position && reader->position() <= size);
        position = reader->position();
        if (!packet.ok()) {
            check_error(packet.error(), size);
            auto again = reader->next();
            require(!again.ok() && again.error().to_string() == packet.error().to_string());
            break;
        }
        if (!*packet) {
            require(position == size);
            break;
        }
        const Packet& p = **packet;
        require(p.bytes.size() <= largest_captured_bytes && p.original_length >= p.bytes.size());
        require(p.bytes.empty() ||
                (p.bytes.data() >= input.data() && p.bytes.data() + p.bytes.size() <= input.data() + size));
        require(reader->packets() == ++packets);
        require(packets <= size / 16);  // every packet costs a header: the reader makes progress
    }
    return 0;
}
