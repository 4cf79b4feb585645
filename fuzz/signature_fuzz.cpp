// SPDX-License-Identifier: Apache-2.0
// Arbitrary bytes as a signed file, ELF with a trailer or PE with its table, against a root that signed some: no file
// is accepted but those. What is under the signature has the digest of a module that was signed (tests/modules),
// whatever else was changed. A first byte of 0: the rest is a signature alone, over the ELF module of tests/modules.
//
// seeds: tests/modules/format-*
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>

#include "module/signature.hpp"
#include "require.hpp"

namespace {

using namespace skep;
using namespace skep::module;

Buffer contents(const char* name) {
    std::ifstream file(std::string(SKEP_SOURCE_DIR "/tests/modules/") + name, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const Bytes bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

struct Signed {
    Trust trust;
    std::vector<std::string> digests;
    Buffer first;  ///< what is under the first one's signature
};

Signed read_signed() {
    Signed out;
    out.trust.roots = {contents("root.pem")};
    for (const char* name : {"format-1-linux-x86_64.so", "format-1-linux-arm64.so", "format-1-windows-x86_64.dll"}) {
        const Buffer file = contents(name);
        const auto split = split_signature(file);
        require(split.ok() && !split->signature.empty());
        require(verify_signature(split->content, split->signature, out.trust).ok());
        out.digests.push_back(digest_text(split->content));
        if (out.first.empty()) out.first.assign(split->content.begin(), split->content.end());
    }
    return out;
}

bool inside(Bytes part, Bytes whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void try_signature(Bytes content, Bytes signature, const Signed& known) {
    const auto signer = verify_signature(content, signature, known.trust);
    if (signer) {
        require(std::ranges::find(known.digests, digest_text(content)) != known.digests.end());
        require(signer->subject == "CN=skep test signer" && signer->chain.size() == 2);
    } else {
        require(!signer.error().what().empty() && !signer.error().to_string().empty());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const Signed known = read_signed();
    const Bytes input(reinterpret_cast<const std::byte*>(data), size);
    if (size != 0 && data[0] == 0) try_signature(known.first, input.subspan(1), known);
    const auto split = split_signature(input);
    if (!split) {
        require(!split.error().what().empty());
        return 0;
    }
    require(inside(split->signature, input));
    require(split->own.empty() ? inside(split->content, input) : split->content.size() == split->own.size());
    require(split->content.size() + split->signature.size() <= input.size());
    if (!split->signature.empty()) try_signature(split->content, split->signature, known);
    // What has a trailer put at its end is taken apart into the two again; a PE has its table elsewhere.
    if (split->own.empty() && !split->signature.empty()) {
        const Buffer again = append_signature(split->content, split->signature);
        require(again.size() == input.size() && std::memcmp(again.data(), input.data(), input.size()) == 0);
    }
    return 0;
}
