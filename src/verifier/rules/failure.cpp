// SPDX-License-Identifier: Apache-2.0
#include "verifier/rules/failure.hpp"

namespace skep::verifier {

namespace {
struct RuleRow {
    const char* code;
    RuleKind kind;
    const char* title;
};
constexpr RuleRow rows[] = {
#define RULE(name, code, kind, title) {code, RuleKind::kind, title},
#include "verifier/rules/rule.def"
#undef RULE
};
const RuleRow& row(Rule rule) { return rows[static_cast<uint16_t>(rule)]; }
}  // namespace

const char* rule_code(Rule rule) { return row(rule).code; }
const char* rule_title(Rule rule) { return row(rule).title; }
RuleKind rule_kind(Rule rule) { return row(rule).kind; }

const char* verdict_word(Verdict verdict) {
    switch (verdict) {
        case Verdict::Accepted: return "ACCEPTED";
        case Verdict::Unsafe: return "UNSAFE";
        case Verdict::Unproven: return "UNPROVEN";
        case Verdict::Policy: return "POLICY";
        case Verdict::Limit: return "LIMIT";
        case Verdict::NotModelled: return "NOT MODELLED";
    }
    return "?";
}

Verdict Failure::verdict() const {
    switch (rule_kind(rule)) {
        case RuleKind::Safety: return certain ? Verdict::Unsafe : Verdict::Unproven;
        case RuleKind::Policy: return Verdict::Policy;
        case RuleKind::Limit: return Verdict::Limit;
        case RuleKind::NotModelled: return Verdict::NotModelled;
    }
    return Verdict::NotModelled;
}

}  // namespace skep::verifier
