#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a production build does, and what it refuses: tests/production_check.py PRODUCTION_BUILD DEVELOPMENT_BUILD, both
folders. Run by script/test's job `production`; modules that production must refuse are made by the development build."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

root = pathlib.Path(__file__).resolve().parent.parent
production, development = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
capture = root / "examples" / "traffic" / "office.pcap"
example = production / "examples" / "firewall.bpf.o"


def skep(*words, build=production):
    done = subprocess.run([str(build / "skep"), *map(str, words)], capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


class Production(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="skep-production-")
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.keys, cls.plain, cls.signed = cls.folder / "keys", cls.folder / "plain.so", cls.folder / "signed.so"
        for words in (["keygen", "--test-root", cls.keys], ["compile", example, "-o", cls.plain],
                      ["sign", cls.plain, "--key", cls.keys / "signer.key", "--cert", cls.keys / "signer.pem", "-o", cls.signed]):
            code, out, err = skep(*words)
            assert code == 0, out + err

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def refused(self, because, *words, hint=""):
        code, out, err = skep(*words)
        self.assertIn(code, (1, 2, 4), out + err)
        self.assertIn(because, err)
        self.assertIn(hint, err)
        self.assertNotIn("packets", out)

    def run_of(self, what, *more, build=production):
        verdicts = self.folder / "verdicts"
        code, out, err = skep("run", what, "--pcap", capture, "--deterministic", 3, "--json", "--verdicts", verdicts, *more,
                              build=build)
        self.assertEqual(code, 0, err)
        report = json.loads(out)
        return report["engine"], verdicts.read_bytes(), report["maps"]

    def test_a_signed_module_runs_and_says_what_development_says(self):
        got = self.run_of(self.signed, "--root", self.keys / "root.pem")
        want = self.run_of(example, "--engine", "interp", build=development)
        self.assertEqual(got[0], "native")
        self.assertEqual(got[1:], want[1:])

    def test_an_object_is_refused_and_what_to_do_is_said(self):
        self.refused("the policy does not allow the engine jit", "run", example, "--pcap", capture, hint="skep compile")

    def test_a_policy_may_allow_the_jit(self):
        policy = self.folder / "jit.policy"
        policy.write_text("skep-policy 1\nengine native jit\n")
        self.assertEqual(self.run_of(example, "--policy", policy)[0], "jit")

    def test_unsigned_modules_are_refused(self):
        self.refused("the module is not signed", "run", self.plain, "--pcap", capture, "--root", self.keys / "root.pem")

    def test_no_root_is_believed_that_nobody_chose(self):
        self.refused("no root is trusted", "run", self.signed, "--pcap", capture)

    def test_a_policy_cannot_take_the_certificate_away(self):
        """A module of unverified programs, which only a development build makes, with a good signature and a policy that
        asks for no certificate."""
        module, policy = self.folder / "unverified.so", self.folder / "lax.policy"
        code, out, err = skep("compile", "--unverified", example, "-o", module, build=development)
        self.assertEqual(code, 0, out + err)
        code, out, err = skep("sign", module, "--key", self.keys / "signer.key", "--cert", self.keys / "signer.pem")
        self.assertEqual(code, 0, out + err)
        policy.write_text(f"skep-policy 1\nroot {self.keys / 'root.pem'}\nrequire-certificate no\n")
        self.refused("a production build runs verified programs only", "run", module, "--pcap", capture, "--policy", policy)

    def test_there_is_no_way_around(self):
        for words, because in ((["run", example, "--pcap", capture, "--unverified"], "this build knows no --unverified"),
                               (["run", self.plain, "--pcap", capture, "--allow-unsigned"], "this build knows no --allow-unsigned"),
                               (["audit", self.plain, "--allow-unsigned"], "this build knows no --allow-unsigned"),
                               (["compile", "--unverified", example, "-o", self.folder / "x.so"], "verified programs only"),
                               (["run", example, "--pcap", capture, "--engine", "interp"], "the policy does not allow the engine interp"),
                               (["conformance", "--engine", "native"], "there is no command")):
            with self.subTest(words=words):
                self.refused(because, *words)

    def test_no_policy_brings_the_interpreter(self):
        policy = self.folder / "interp.policy"
        policy.write_text("skep-policy 1\nengine interp native\n")
        self.refused("interp", "run", example, "--pcap", capture, "--engine", "interp", "--policy", policy)
        code, out, _ = skep("doctor", "--json")
        self.assertFalse(json.loads(out)["interpreter"]["present"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
