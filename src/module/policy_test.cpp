// SPDX-License-Identifier: Apache-2.0
#include "module/policy.hpp"

#include <gtest/gtest.h>

namespace skep::module {
namespace {

const std::string digest(64, 'a');

TEST(Policy, ItsTextGivesItAgain) {
    const std::string text =
        "skep-policy 1\nengine native jit\nrequire-signature no\nrequire-certificate yes\nroot /a b.pem\nsigner " +
        digest + "\ndeny image " + digest + "\ndeny serial 01ff\ndeny certificate " + digest +
        "\nhook xdp\nlimit xdp instructions 1000\nlimit xdp helper-calls 10\n";
    const auto policy = parse_policy(text);
    ASSERT_TRUE(policy) << policy.error().to_string();
    EXPECT_EQ(policy_text(*policy), text);
    const auto defaults = parse_policy("skep-policy 1 # nothing else\n\n");
    ASSERT_TRUE(defaults);
    EXPECT_EQ(policy_text(*defaults), policy_text(Policy{}));
    EXPECT_TRUE(defaults->require_signature);
    EXPECT_TRUE(defaults->require_certificate);
}

TEST(Policy, WhatItDoesNotKnowIsRefusedWithTheLine) {
    for (const std::string line : {"engine", "engine steam", "require-signature maybe", "require-certificate", "root",
                                   "signer abc", "deny image", "deny serial XY", "deny planet 12", "hook", "hook fly",
                                   "limit xdp instructions", "limit xdp instructions 0", "limit xdp instructions 12x",
                                   "limit fly instructions 12", "limit xdp colours 12", "colour blue"}) {
        const auto policy = parse_policy("skep-policy 1\n" + line + "\n");
        ASSERT_FALSE(policy) << line;
        EXPECT_NE(policy.error().what().find("line 2"), std::string::npos) << policy.error().what();
    }
    EXPECT_FALSE(parse_policy(""));
    EXPECT_FALSE(parse_policy("skep-policy 2\n"));
    EXPECT_FALSE(parse_policy("engine native\n"));
}

TEST(Policy, DecidesAboutModules) {
    Descriptor d;
    d.verifier = "skep";
    ModuleProgram program;
    program.name = "p";
    program.type = "xdp";
    program.cost = {1000, 10, 64};
    d.programs = {program};
    struct Case {
        const char* line;
        bool allowed;
    };
    for (const Case& one :
         {Case{"", true}, Case{"engine jit", false}, Case{"engine jit native", true}, Case{"hook tc", false},
          Case{"hook tc xdp", true}, Case{"limit xdp instructions 999", false},
          Case{"limit xdp instructions 1000", true}, Case{"limit xdp helper-calls 9", false},
          Case{"limit xdp helper-calls 10", true}, Case{"limit sched_cls instructions 1", true}}) {
        const auto policy = parse_policy(std::string("skep-policy 1\n") + one.line + "\n");
        ASSERT_TRUE(policy) << policy.error().to_string();
        EXPECT_EQ(allows(*policy, d).ok(), one.allowed) << one.line;
    }
    d.verifier = "none";
    d.programs[0].cost = {};
    EXPECT_FALSE(allows(Policy{}, d));
    EXPECT_TRUE(allows(*parse_policy("skep-policy 1\nrequire-certificate no\n"), d));
    EXPECT_FALSE(allows(*parse_policy("skep-policy 1\nrequire-certificate no\nlimit xdp instructions 9\n"), d));
    EXPECT_FALSE(allows(*parse_policy("skep-policy 1\nrequire-certificate no\nlimit xdp helper-calls 9\n"), d));
}

}  // namespace
}  // namespace skep::module
