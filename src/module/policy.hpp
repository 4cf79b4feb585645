// SPDX-License-Identifier: Apache-2.0
// What the administrator allows: one file of plain lines (docs/formats/policy.md), with every default explicit.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "module/descriptor.hpp"
#include "module/signature.hpp"
#include "program/facts.hpp"

namespace skep::module {

struct CostLimit {
    uint64_t instructions = 0;  ///< 0: no limit
    uint64_t helper_calls = 0;
};

struct Policy {
    std::vector<std::string> engines = {"native"};  ///< which may run programs
    bool require_signature = true;
    bool require_certificate = true;  ///< programs that a verifier proved
    std::vector<std::string> roots;   ///< files or folders of PEM certificates
    std::vector<std::string> signers;
    std::vector<std::string> denied_images, denied_serials, denied_certificates;
    std::vector<std::string> hooks;           ///< canonical program types; empty: all
    std::map<std::string, CostLimit> limits;  ///< per program type
};

/// Reads the file's text. Errors: Syntax, with the line.
Result<Policy> parse_policy(std::string_view text);
/// The text that gives this policy, complete.
std::string policy_text(const Policy& policy);

/// Whether the policy lets a program of this type and cost run, whoever runs it. Errors: AccessDenied, with the line of
/// the policy that forbids it.
Result<void> allows_program(const Policy& policy, std::string_view name, const std::string& type,
                            const CostBound& cost);
/// Whether the policy lets a module with this descriptor run. Errors: AccessDenied, with the line of the policy that
/// forbids it.
Result<void> allows(const Policy& policy, const Descriptor& descriptor);

}  // namespace skep::module
