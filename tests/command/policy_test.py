#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A policy says which engines run programs, of which types and of which cost: shown, checked, and asked for objects as for
modules (those are module_test's).

Needs SKEP_COMMAND and SKEP_BINARY_DIR."""
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import module_test as common  # noqa: E402

skep, capture = common.skep, common.capture


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="skep-policy-"))
        cls.object = common.binary / "examples" / "firewall.bpf.o"
        if not cls.object.exists():
            raise unittest.SkipTest(f"{cls.object} is not built")
        code, out, err = skep("run", cls.object, "--pcap", capture, "--json")
        assert code == 0, err
        cls.first = json.loads(out)["engine"]  # of this build: jit, or interp where there is none

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def policy(self, *lines):
        path = self.folder / "site.policy"
        path.write_text("\n".join(["skep-policy 1", *lines]) + "\n")
        return path

    def run_under(self, *lines, more=()):
        """Status, report and error; with --json errors too are on standard output."""
        code, out, err = skep("run", self.object, "--pcap", capture, "--json", "--policy", self.policy(*lines), *more)
        return (code, out, err) if code == 0 else (code, "", out + err)

    def test_show_is_a_policy_that_says_the_same(self):
        code, text, err = skep("policy", "show")
        self.assertEqual(code, 0, err)
        for line in ("engine native", "require-signature yes", "require-certificate yes", "# no root", "# no signer", "# no hook", "# no limit"):
            self.assertIn(line, text)
        lines = ("engine jit native", "hook xdp tc", "limit xdp instructions 500", "limit tc helper-calls 7", "signer " + "0" * 64)
        _, first, _ = skep("policy", "show", self.policy(*lines))
        again = self.folder / "again.policy"
        again.write_text(first)
        self.assertEqual(skep("policy", "show", again), (0, first, ""))
        code, out, err = skep("policy", "show", self.policy(*lines), "--json")
        self.assertEqual(code, 0, err)
        shown = json.loads(out)
        self.assertEqual(shown["engines"], ["jit", "native"])
        self.assertEqual(shown["hooks"], ["xdp", "sched_cls"])
        self.assertEqual(shown["limits"], {"xdp": {"instructions": 500}, "sched_cls": {"helper_calls": 7}})
        self.assertTrue(shown["require_signature"])

    def test_check_looks_at_the_roots_too(self):
        code, out, err = skep("policy", "check", self.policy("hook xdp"))
        self.assertEqual((code, out), (0, "the policy is well-formed\n"), err)
        missing = self.folder / "missing.pem"
        code, _, err = skep("policy", "check", self.policy(f"root {missing}"))
        self.assertEqual(code, 4, err)
        self.assertIn("missing.pem", err)
        empty = self.folder / "empty.pem"
        empty.write_text("nothing\n")
        code, _, err = skep("policy", "check", self.policy(f"root {empty}"))
        self.assertEqual(code, 4, err)
        self.assertIn("there is no PEM certificate in it", err)
        code, _, err = skep("policy", "check", self.policy("hook fly"))
        self.assertEqual(code, 4, err)
        self.assertIn("line 2 of the policy", err)

    def test_auto_is_the_first_engine_that_the_policy_names(self):
        for line, engine in (("engine interp native jit", self.first), ("engine interp", "interp")):
            with self.subTest(policy=line):
                code, out, err = self.run_under(line)
                self.assertEqual(code, 0, err)
                self.assertEqual(json.loads(out)["engine"], engine)
        code, _, err = self.run_under("engine native")
        self.assertEqual(code, 4, err)
        self.assertIn("the policy does not allow the engine", err)

    def test_objects_are_held_to_hooks_and_limits(self):
        engines = "engine jit interp"
        for engine in {self.first, "interp"}:
            more = ("--engine", engine)
            for line, because in (("hook tc", "the policy does not allow programs of type xdp"),
                                  ("limit xdp instructions 10", "program firewall may cost more than the policy allows"),
                                  ("limit xdp helper-calls 1", "program firewall may cost more than the policy allows")):
                with self.subTest(policy=line, engine=engine):
                    code, _, err = self.run_under(engines, line, more=more)
                    self.assertEqual(code, 4, err)
                    self.assertIn(because, err)
            for line in ("hook tc xdp", "limit xdp instructions 100000", "limit xdp helper-calls 100", "limit tc instructions 1"):
                with self.subTest(policy=line, engine=engine):
                    code, _, err = self.run_under(engines, line, more=more)
                    self.assertEqual(code, 0, err)

    def test_what_is_not_verified_has_no_proved_cost(self):
        more = ("--unverified",)
        code, _, err = self.run_under("engine jit interp", "limit xdp instructions 100000", more=more)
        self.assertEqual(code, 4, err)
        self.assertIn("no bound of its instructions is proved", err)
        code, _, err = self.run_under("engine jit interp", "hook xdp", more=more)
        self.assertEqual(code, 0, err)


if __name__ == "__main__":
    unittest.main()
