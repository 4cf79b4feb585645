// SPDX-License-Identifier: Apache-2.0
// Arbitrary certificates: read and checked for one of a few programs, they are refused cleanly, or they are canonical
// and claim what the program's good certificate proves too.
// The first byte picks the program and what the rest is: a certificate's bytes after its digest, or a script of changes
// to the good one.
#include <cstdint>
#include <memory>
#include <vector>

#include "isa/assemble.hpp"
#include "require.hpp"
#include "verifier/certificate/certificate.hpp"
#include "verifier/check/checker.hpp"
#include "verifier/verify.hpp"

namespace {

using namespace skep;

struct Case {
    verifier::Subject subject;
    std::vector<std::byte> good;
    uint64_t least_instructions = 0;  ///< that some run really takes
};

constexpr size_t header_bytes = 4 + 1 + 32;

Case make_case(const char* assembly, uint64_t least, std::vector<isa::InsnIndex> starts = {0}) {
    Case made;
    auto program = std::make_shared<BoundProgram>();
    program->linked.name = "fuzzed";
    program->linked.code = *isa::assemble(assembly);
    const auto size = static_cast<isa::InsnIndex>(program->linked.code.size());
    for (size_t i = 0; i < starts.size(); ++i) {
        program->linked.subprograms.push_back({"f", starts[i], i + 1 < starts.size() ? starts[i + 1] : size});
    }
    program->bindings.resize(size);
    made.subject.program = std::move(program);
    made.subject.options.memory_budget = uint64_t{64} << 20;
    made.subject.options.step_budget = 20'000;
    const verifier::Report report = verifier::verify(made.subject);
    require(report.verdict == verifier::Verdict::Accepted);
    require(verifier::check_certificate(made.subject, report.certificate).ok());
    made.good = report.certificate;
    made.least_instructions = least;
    return made;
}

const std::vector<Case>& cases() {
    static const std::vector<Case> all = [] {
        std::vector<Case> out;
        out.push_back(make_case("r0 = 0\nexit\n", 2));
        out.push_back(
            make_case("r6 = r1\nr2 = *(u32 *)(r10 - 8)\nr0 = 1\nif r2 > 7 goto +2\nr0 += r2\n"
                      "*(u64 *)(r10 - 16) = r6\nr3 = *(u64 *)(r10 - 16)\nexit\n",
                      8));
        out.push_back(make_case("r6 = 0\nr6 += 1\nif r6 < 10 goto -2\nr0 = 0\nexit\n", 23));
        out.push_back(
            make_case("r6 = 0\nr7 = 0\nr7 += 1\nif r7 < 7 goto -2\nr6 += 1\nif r6 < 5 goto -5\nr0 = 0\nexit\n", 88));
        out.push_back(
            make_case("r6 = 3\nr1 = r6\ncall f\nr6 += r0\nr1 = 5\ncall f\nr0 = 0\nexit\n"
                      "f:\nr0 = r1\nif r0 > 4 goto +1\nr0 += 1\nexit\n",
                      15, {0, 8}));
        return out;
    }();
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const Case& subject = cases()[(data[0] >> 1) % cases().size()];
    std::vector<std::byte> bytes(subject.good.begin(), subject.good.begin() + header_bytes);
    if ((data[0] & 1) != 0) {
        for (size_t i = 1; i < size; ++i) bytes.push_back(static_cast<std::byte>(data[i]));
    } else {
        bytes = subject.good;
        for (size_t i = 1; i + 2 < size; i += 3) {
            const size_t room = bytes.size() - header_bytes;
            if (room == 0) break;
            const auto at = static_cast<std::ptrdiff_t>(header_bytes + (data[i] >> 2 | (i % 4) << 6) % room);
            const auto value = static_cast<std::byte>(data[i + 1]);
            switch (data[i] & 3) {
                case 0: bytes[static_cast<size_t>(at)] = value; break;
                case 1: bytes[static_cast<size_t>(at)] ^= value; break;
                case 2: bytes.insert(bytes.begin() + at, value); break;
                default: bytes.erase(bytes.begin() + at); break;
            }
        }
    }
    const auto decoded = verifier::decode_certificate(subject.subject, bytes);
    const auto checked = verifier::check_certificate(subject.subject, bytes);
    if (!decoded) {
        require(!checked.ok());
        return 0;
    }
    require(verifier::encode_certificate(subject.subject, *decoded) == bytes);
    if (checked) {
        require(checked->verified() && checked->cost().instructions >= subject.least_instructions);
        for (const Fact& fact : checked->facts()) require(!(fact.branch_always && fact.branch_never));
    }
    return 0;
}
