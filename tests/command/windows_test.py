#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objects compiled for eBPF for Windows on our hooks: results, strings, contexts and verdicts are that system's; and the example tools compiled for both systems say, write and store the same."""
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
OBJECT = str(BINARY_DIR / "tests/objects/windows.o")
EXAMPLES = BINARY_DIR / "examples"


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def engines():
    facts = json.loads(skep("doctor", "--json").stdout)
    return [name for name, key in (("interp", "interpreter"), ("jit", "jit")) if facts[key]["present"]]


def write_pcap(path, packets):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i, packet in enumerate(packets):
            file.write(struct.pack("<IIII", i, 0, len(packet), len(packet)) + packet)


class Windows(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-windows-", dir=BINARY_DIR)
        self.pcap = os.path.join(self.folder.name, "in.pcap")
        write_pcap(self.pcap, [bytes([n]) + bytes(59) for n in (0, 1, 2, 3, 4, 5)])
        self.one = os.path.join(self.folder.name, "one.pcap")
        write_pcap(self.one, [bytes(60)])

    def tearDown(self):
        self.folder.cleanup()

    def answers(self, program, engine, *more):
        out = skep("run", OBJECT, "--program", program, "--pcap", self.one, "--engine", engine, "--deterministic", "1",
                   "--unverified", "--json", *more)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        report = json.loads(out.stdout)
        table = next(m for m in report["maps"] if m["name"] == "answers")
        return {e["key"]: e["value"] for e in table["entries"]}, report["verdicts"]

    def test_results_of_helpers_are_minus_an_ebpf_result(self):
        # Answers that are 0 are not listed: 2 (new element), 7 (gone), 9 (pushed).
        expected = {0: -19, 1: -19, 3: -26, 4: -29, 5: -6, 6: 7, 8: -19, 10: -29, 11: -6, 13: -6}
        for engine in engines():
            self.assertEqual(self.answers("results", engine), (expected, {"pass": 1}), engine)

    def test_bpf_printk_of_the_header_takes_up_to_three_values(self):
        for engine in engines():
            out = skep("run", OBJECT, "--program", "prints", "--pcap", self.one, "--engine", engine, "--json")
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
            said = json.loads(out.stdout)["printed"]
            self.assertEqual(said, ["no value", "1 value", "2 3 values", "1 78563412 60 values"], engine)

    def test_its_string_and_memory_helpers_work_here(self):
        expected = {1: 5, 2: 34, 4: 34, 7: 1, 8: 65, 9: 1, 10: (1 << 32) + 1}
        for engine in engines():
            self.assertEqual(self.answers("strings", engine), (expected, {"pass": 1}), engine)

    def test_native_modules_map_results_by_themselves(self):
        module = os.path.join(self.folder.name, "windows.so")
        made = skep("compile", OBJECT, "--unverified", "-o", module)
        if made.returncode != 0:
            self.skipTest("no module can be made here: " + made.stderr.splitlines()[0])
        for program in ("results", "strings"):
            answers = []
            for path, more in ((OBJECT, ("--engine", engines()[0])), (module, ("--allow-unsigned",))):
                out = skep("run", path, "--program", program, "--pcap", self.one, "--deterministic", "1", "--unverified", "--json",
                           *more)
                self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
                answers.append(next(m for m in json.loads(out.stdout)["maps"] if m["name"] == "answers"))
            self.assertEqual(answers[0], answers[1], program)

    def test_contexts_have_its_layout(self):
        for engine in engines():
            got, verdicts = self.answers("view", engine, "--ifindex", "7")
            self.assertEqual(got, {0: 60, 1: 7, 3: 46}, engine)
            self.assertEqual(verdicts, {"tx": 1})

    def test_verdicts_are_its_numbers(self):
        # 1 passes and 2 drops, as nowhere on Linux; what means nothing drops.
        for engine in engines():
            path = os.path.join(self.folder.name, "v")
            out = skep("run", OBJECT, "--program", "verdicts", "--pcap", self.pcap, "--engine", engine, "--unverified",
                       "--verdicts", path)
            self.assertEqual(out.returncode, 0, out.stderr)
            with open(path) as file:
                said = [line.split()[1] for line in file]
            self.assertEqual(said, ["drop", "pass", "drop", "tx", "redirect", "drop"], engine)

    def test_the_other_personality_is_refused_where_it_cannot_be(self):
        out = skep("run", OBJECT, "--program", "view", "--pcap", self.one, "--unverified", "--personality", "linux")
        self.assertNotEqual(out.returncode, 0)
        self.assertIn("struct xdp_md", out.stderr)
        out = skep("run", OBJECT, "--program", "view", "--pcap", self.one, "--engine", "kernel")
        self.assertEqual(out.returncode, 3)
        self.assertIn("skep translate", out.stderr)

    def test_the_examples_compiled_for_both_systems_agree(self):
        if not (EXAMPLES / "windows/balancer.bpf.o").exists():
            self.skipTest("the examples are not built here")
        for example, verdicts in (("firewall", {"drop": 79, "pass": 513}), ("balancer", {"pass": 488, "tx": 104})):
            for engine in engines():
                reports = []
                for variant in (f"{example}.bpf.o", f"windows/{example}.bpf.o"):
                    packets = os.path.join(self.folder.name, "packets")
                    out = skep("run", EXAMPLES / variant, "--pcap", ROOT / "examples/traffic/office.pcap", "--map-init",
                               ROOT / f"examples/{example}/maps.json", "--engine", engine, "--deterministic", "1",
                               "--unverified", "--json", "--verdicts", packets)
                    self.assertEqual(out.returncode, 0, out.stderr)
                    report = json.loads(out.stdout)
                    with open(packets) as file:
                        reports.append((report["verdicts"], report["maps"], report["events"], report["globals"], file.read()))
                self.assertEqual(reports[0][0], verdicts)
                for part in range(5):
                    self.assertEqual(reports[0][part], reports[1][part], (example, engine, part))


if __name__ == "__main__":
    unittest.main()
