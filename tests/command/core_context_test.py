#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CO-RE against the types that our hooks publish for their contexts: one object finds its fields in either system's structures, on every host."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
OBJECT = BINARY_DIR / "tests/objects/core_context.o"
BPFTOOL = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin")


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


class CoreContext(unittest.TestCase):
    def seen(self, personality, *words):
        out = skep("run", OBJECT, "--program", "adapts", "--pcap", ROOT / "examples/traffic/office.pcap", "--ifindex", "7",
                   "--personality", personality, "--json", *words)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        report = json.loads(out.stdout)
        self.assertEqual(list(report["verdicts"]), ["tx"])
        return {name: report["globals"][name] for name in ("ifindex", "offset", "size", "queue")}

    def test_one_object_adapts_to_both_systems(self):
        linux = {"ifindex": 7, "offset": 12, "size": 24, "queue": 0}
        windows = {"ifindex": 7, "offset": 24, "size": 32, "queue": 77}  # no rx_queue_index there
        for words in ((), ("--btf", "hooks")):
            self.assertEqual(self.seen("linux", *words), linux, words)
            self.assertEqual(self.seen("windows", *words), windows, words)
        with tempfile.TemporaryDirectory(dir=BINARY_DIR) as folder:
            for platform, personality, expected in (("linux-6.12", "linux", linux), ("windows-ebpf-1.6", "windows", windows)):
                path = os.path.join(folder, "contexts.btf")
                self.assertEqual(skep("platform", "types", platform, "-o", path).returncode, 0)
                self.assertEqual(self.seen(personality, "--btf", path), expected)
                if BPFTOOL:
                    out = subprocess.run([BPFTOOL, "btf", "dump", "file", path, "format", "c"], capture_output=True, text=True, check=False)
                    self.assertEqual(out.returncode, 0, out.stderr)
                    self.assertIn("struct bpf_sock_addr {", out.stdout)

    def test_fields_that_are_found_by_name_are_no_evidence(self):
        report = json.loads(skep("inspect", OBJECT, "--json").stdout)
        self.assertEqual(report["evidence"], [])
        out = skep("run", OBJECT, "--program", "adapts", "--pcap", ROOT / "examples/traffic/office.pcap")
        self.assertEqual(out.returncode, 3, out.stderr)
        self.assertIn("--personality", out.stderr)

    def test_what_the_structure_lacks_is_refused_where_it_is_reached(self):
        self.assertEqual(skep("verify", OBJECT, "--program", "insists", "--personality", "linux").returncode, 0)
        out = skep("verify", OBJECT, "--program", "insists", "--personality", "windows")
        self.assertEqual(out.returncode, 1, out.stdout + out.stderr)
        for part in ("V0703", "the target's types have not what this instruction asks for", "core_context.bpf.c:29"):
            self.assertIn(part, out.stdout)


if __name__ == "__main__":
    unittest.main()
