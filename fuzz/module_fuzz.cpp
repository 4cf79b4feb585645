// SPDX-License-Identifier: Apache-2.0
// Arbitrary bytes as a native module, in one of three ways that the first byte chooses: a file with its image, whose
// descriptor is read once as it is and once behind a header that fits it; a descriptor behind such a header; a
// contract. What is read lies inside the input, and can be written and read again. signature_fuzz has the signatures.
//
// seeds: tests/modules/format-* build/*/examples/*.so build/*/examples/*.dll
#include <cstdint>
#include <cstring>

#include "base/sha256.hpp"
#include "module/descriptor.hpp"
#include "module/image.hpp"
#include "module/signature.hpp"
#include "require.hpp"

namespace {

using namespace skep;
using namespace skep::module;

bool inside(Bytes part, Bytes whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check(const Error& error) { require(!error.what().empty() && !error.to_string().empty()); }

void try_descriptor(Bytes body) {
    Buffer bytes(descriptor_header_bytes);
    bytes.insert(bytes.end(), body.begin(), body.end());
    std::memcpy(bytes.data(), descriptor_magic, sizeof descriptor_magic);
    store_le(bytes.data() + 8, descriptor_format);
    store_le(bytes.data() + 12, static_cast<uint32_t>(descriptor_header_bytes));
    store_le(bytes.data() + 16, static_cast<uint64_t>(bytes.size()));
    Sha256 hash;
    hash.update(body.data(), body.size());
    hash.finish(reinterpret_cast<uint8_t*>(bytes.data() + 24));
    const auto read = decode_descriptor(bytes);
    if (!read) return check(read.error());
    const auto again = decode_descriptor(encode(*read));
    require(again.ok() && *again == *read);
}

void try_contract(Bytes body) {
    const auto read = decode_contract(body);
    if (!read) return check(read.error());
    const auto again = decode_contract(encode(*read));
    require(again.ok() && *again == *read);
    (void)differences(*read, nullptr);
}

void try_file(Bytes input) {
    const auto split = split_signature(input);
    if (!split) return check(split.error());
    require(inside(split->signature, input));
    require(split->own.empty() ? inside(split->content, input) : split->content.size() == split->own.size());
    require(split->content.size() + split->signature.size() <= input.size());
    const auto facts = inspect_image(split->content);
    if (!facts) return check(facts.error());
    require(inside(facts->descriptor, split->content) && !facts->descriptor.empty());
    const auto descriptor = decode_descriptor(facts->descriptor);
    if (!descriptor) check(descriptor.error());
    // Changes to it would end at its checksum.
    if (facts->descriptor.size() > descriptor_header_bytes)
        try_descriptor(facts->descriptor.subspan(descriptor_header_bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const Bytes input(reinterpret_cast<const std::byte*>(data), size);
    const Bytes rest = input.subspan(1);
    switch (data[0] & 3) {
        case 0: try_descriptor(rest); break;
        case 1: try_contract(rest); break;
        default: try_file(input); break;  // 0x7f of ELF is one
    }
    if (data[0] == 'M') try_file(input);
    return 0;
}
