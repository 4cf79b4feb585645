#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs about addresses (cgroup/connect4, connect6) over contexts from a file: the same source compiled for both systems, and each object translated to the other one, say and write the same."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
OBJECTS = BINARY_DIR / "tests/objects"
INET, INET6 = 2, 10
# Port numbers as in the packet: big-endian, in the lower half of the 32-bit field.
CONNECT4 = [
    ({"user_family": INET, "user_ip4": "0a 00 00 01", "user_port": "00 19 00 00"}, "proceed", {}),
    ({"user_family": INET, "user_ip4": "0a 00 00 02", "user_port": "00 19 00 00"}, "reject", {}),
    ({"user_family": INET, "user_ip4": "0a 00 00 02", "user_port": "1f 90 00 00"}, "proceed", {"user_port": "00 50 00 00"}),
    ({"user_family": INET6, "user_ip4": "0a 00 00 02", "user_port": "00 50 00 00"}, "reject", {}),
    ({}, "reject", {}),
]
ONE = "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01"
CONNECT6 = [
    ({"user_ip6": ONE, "protocol": 6}, "proceed", {}),
    ({"user_ip6": ONE, "protocol": 17}, "reject", {}),
    ({"user_ip6": ONE.replace("01", "02"), "protocol": 6}, "reject", {}),
    ({"user_ip6": "ff" + ONE[2:], "protocol": 6}, "reject", {}),
]


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


class Contexts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-contexts-", dir=BINARY_DIR)

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_over(self, path, program, contexts, *more):
        with open(self.path("contexts.json"), "w") as file:
            json.dump(contexts, file)
        return skep("run", path, "--program", program, "--contexts", self.path("contexts.json"), "--deterministic", "1", "--json",
                    "--unverified", *more)

    def test_both_systems_and_both_translations_agree(self):
        facts = json.loads(skep("doctor", "--json").stdout)
        engines = [name for name, key in (("interp", "interpreter"), ("jit", "jit")) if facts[key]["present"]]
        objects = [OBJECTS / "connect.o", OBJECTS / "windows_connect.o"]
        for source, system in ((objects[0], "windows"), (objects[1], "linux")):
            out = skep("translate", source, "--to", system, "-o", self.path(system + ".o"))
            self.assertEqual(out.returncode, 0, out.stderr)
            objects.append(self.path(system + ".o"))
        for path in objects:
            for engine in engines:
                for program, rows in (("connect4", CONNECT4), ("connect6", CONNECT6)):
                    out = self.run_over(path, program, [row[0] for row in rows], "--engine", engine)
                    self.assertEqual(out.returncode, 0, (path, out.stdout + out.stderr))
                    got = [(c["verdict"], c["changed"]) for c in json.loads(out.stdout)["contexts"]]
                    self.assertEqual(got, [(row[1], row[2]) for row in rows], (path, program, engine))

    def test_what_a_context_cannot_hold_is_said(self):
        rows = [
            ([{"user_ip5": 1}], 'no field'),
            ([{"user_ip4": "0a"}], "user_ip4"),
            ([7], "no object"),
            ({}, "list of contexts"),
        ]
        for contexts, message in rows:
            out = self.run_over(OBJECTS / "connect.o", "connect4", contexts)
            self.assertEqual(out.returncode, 2, contexts)
            self.assertIn(message, out.stdout, contexts)


if __name__ == "__main__":
    unittest.main()
