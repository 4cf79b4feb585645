// SPDX-License-Identifier: Apache-2.0
// BTF sections: what parse() accepts can be walked, written as text, used to read values and to answer CO-RE questions
// without another check.
//
// seeds: build/dev/tests/objects/*.btf
#include <algorithm>

#include "btf/btf_ext.hpp"
#include "btf/core.hpp"
#include "btf/dump.hpp"
#include "require.hpp"

using namespace skep;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes bytes = std::as_bytes(std::span(data, size));
    const auto btf = btf::Btf::parse(bytes);
    if (!btf) {
        require(!btf.error().what().empty() && btf.error().where().byte_offset.has_value(),
                "an error says what and where");
        return 0;
    }
    const uint32_t count = std::min<uint32_t>(btf->type_count(), 256);
    for (btf::TypeId id = 0; id < count; ++id) {
        const btf::TypeId stripped = btf->strip(id);
        require(btf->strip(stripped) == stripped, "stripping is done in one go");
        (void)btf->size_of(id);
        (void)btf->type_text(id);
        const auto value = btf::read_value(*btf, id, bytes.first(std::min<size_t>(size, 64)));
        (void)btf::to_text(value);
        for (const btf::TypeId other : btf->named(btf->name(id))) {
            require(btf->name(other) == btf->name(id), "lookup by name finds that name");
        }
        for (uint8_t kind = 0; kind <= static_cast<uint8_t>(btf::CoreKind::TypeMatches) && id < 32; ++kind) {
            // The access string is any string of the section: mostly nonsense, sometimes not.
            const btf::CoreRecord record{0, id, id * 7, static_cast<btf::CoreKind>(kind)};
            const auto answer = btf::answer(*btf, record, *btf);
            if (!answer) require(!answer.error().what().empty(), "an error says what");
        }
    }
    // The same bytes as what speaks about these types.
    (void)btf::BtfExt::parse(bytes, *btf).ok();
    return 0;
}
