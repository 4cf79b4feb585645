// SPDX-License-Identifier: Apache-2.0
// A failure as a reader wants it: the rule, the place in the source, what is needed and known, where it comes from, the
// way there, and what to do. Plain data; who prints it (text, JSON, SARIF) is above.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "verifier/rules/failure.hpp"
#include "verifier/rules/subject.hpp"

namespace skep::verifier {

/// One line of the author's source, as BTF holds it.
struct SourceText {
    std::string file;
    uint32_t line = 0;
    uint32_t column = 0;  ///< from 1; 0 unknown
    std::string text;     ///< with its indentation; may be empty

    bool operator==(const SourceText&) const = default;
};

/// A place in the program. `insn` is no_insn where a failure has none.
struct CodePlace {
    isa::InsnIndex insn = no_insn;
    std::string insn_text;
    std::string function;
    std::optional<SourceText> source;
};

struct Remark {
    CodePlace place;
    std::string text;
};

struct Diagnostic {
    std::string code;   ///< "V0207"
    std::string title;  ///< of the rule
    std::string page;   ///< "docs/verifier/V0207.md"
    Verdict verdict = Verdict::NotModelled;
    CodePlace place;
    std::vector<SourceText> around;  ///< lines next to the place's, ascending, the place's own among them
    std::string what;                ///< one sentence with the values
    std::string needs, known;        ///< "" if `what` says all
    std::vector<Remark> why;         ///< where the value at fault comes from
    std::vector<Remark> path;        ///< the way there, first step first
    std::vector<std::string>
        example;            ///< an input that shows it, and last what the run on it did; empty: none looked for
    bool replayed = false;  ///< the interpreter confirmed the example
    std::string help;       ///< what to do, in words
    std::string fix;        ///< a line to paste, "" if there is none
    uint32_t fix_line = 0;  ///< the source line that it goes before
    std::string state;      ///< what is known before the instruction, a line each; for --trace
};

/// Requires: `failure` is one of verify(subject).
Diagnostic explain(const object::ObjectSpec& spec, const Subject& subject, const Failure& failure);

/// The same for what linking and binding say. `program` may be null, if there is none yet.
Diagnostic explain(const Error& error, const object::LinkedProgram* program);

/// The rule that an error of link() or bind() is about; nothing if it is about the input or the host.
std::optional<Rule> rule_of(const Error& error);
/// What an error means for the program: nothing if the input cannot be read.
std::optional<Verdict> verdict_of(const Error& error);

/// The place of an instruction.
CodePlace place_of(const Subject& subject, isa::InsnIndex at);

/// The place's line and the nearest ones before and after that the object knows, at most two lines away.
std::vector<SourceText> lines_around(const object::LinkedProgram& program, const SourceText& here);

/// The instruction whose source line is shown for `at`: compilers give an exit the line of the closing brace, and what
/// the reader wants is the `return` before it.
isa::InsnIndex reported_insn(const object::LinkedProgram& program, isa::InsnIndex at);

/// The same for a failure: a leak is where the way leaves, a loop without a bound where it goes round.
isa::InsnIndex reported_place(const object::LinkedProgram& program, const Failure& failure);

/// The way in one line: "61 not taken, 70 taken, 79, 88" by source lines, at most `most` of the last ones.
std::string path_words(const std::vector<Remark>& path, size_t most = 8);

}  // namespace skep::verifier
