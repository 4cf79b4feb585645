// SPDX-License-Identifier: Apache-2.0
#include "runtime/load/unverified.hpp"

namespace skep::runtime {

bool unverified_programs_possible() { return false; }

Result<ExecutableProgram> make_unverified(BoundProgram bound) {
    return Error(Errc::Unavailable, "a production build runs verified programs only",
                 "program " + bound.linked.name + " has no certificate",
                 "use a development build to run programs that are not verified")
        .in_function(bound.linked.name);
}

}  // namespace skep::runtime
