// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/example.hpp"

namespace skep::cli {

std::optional<ReplayedExample> find_example(const verifier::Subject&, const verifier::Failure& failure) {
    if (failure.verdict() != verifier::Verdict::Unsafe || failure.path.empty()) return {};
    ReplayedExample out;
    out.outcome = "not replayed: a production build has no interpreter";
    return out;
}

}  // namespace skep::cli
