// SPDX-License-Identifier: Apache-2.0
// What to do about a failure: words, and where the source is known, a line to paste.
#pragma once

#include <string>

#include "object/object_spec.hpp"
#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::verifier {

struct Fix {
    std::string help;          ///< in words
    std::string line;          ///< C to paste; "" if none can be told
    uint32_t before_line = 0;  ///< of the source file of the failing instruction
};

Fix suggest(const object::ObjectSpec& spec, const Subject& subject, const Failure& failure);

}  // namespace skep::verifier
