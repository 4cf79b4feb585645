// SPDX-License-Identifier: Apache-2.0
// skep_verifier_bench: how the verifier's work grows with programs (families), and what it takes on real objects.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "growth.hpp"
#include "speed.hpp"

namespace {

constexpr const char* usage =
    "usage: skep_verifier_bench [--family NAME] [--most N] [--no-growth] [--no-kernel] [--json] [OBJECT|FOLDER...]\n"
    "  --family, --most  only this family of growing programs, only sizes up to this\n"
    "  --no-growth       only the objects\n"
    "  --no-kernel       without the running kernel's verifier (which only root may ask)\n";

}  // namespace

int main(int argc, char** argv) {
    skep::growth::GrowthOptions growth;
    skep::growth::SpeedOptions speed;
    bool families = true;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--family" && i + 1 < argc) {
            growth.family = argv[++i];
        } else if (word == "--most" && i + 1 < argc) {
            growth.most = static_cast<uint32_t>(std::strtoul(argv[++i], nullptr, 10));
        } else if (word == "--no-growth") {
            families = false;
        } else if (word == "--no-kernel") {
            speed.kernel = false;
        } else if (word == "--json") {
            growth.json = speed.json = true;
        } else if (word.starts_with('-')) {
            std::fputs(usage, stderr);
            return 2;
        } else {
            speed.paths.emplace_back(word);
        }
    }
    bool good = !families || skep::growth::run_growth(growth);
    if (families && growth.family.empty() && growth.most == UINT32_MAX) good = skep::growth::run_limits(growth) && good;
    if (!speed.paths.empty()) good = skep::growth::run_speed(speed) && good;
    return good ? 0 : 1;
}
