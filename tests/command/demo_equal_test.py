#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`skep run` gives the same answer on every engine: each example tool over the captured traffic, packet for packet and byte for byte, final maps and events; the running kernel is asked too, where this host allows it."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "script" / "lib"))
from run_facts import facts  # noqa: E402

COMMAND = os.environ["SKEP_COMMAND"].split()
OBJECTS = pathlib.Path(os.environ["SKEP_BINARY_DIR"]) / "examples"
UNAVAILABLE = 4
# What must come out, whoever runs it: the capture is fixed, so these are numbers of the specification.
EXPECTED = {
    "firewall": {"drop": 79, "pass": 513},
    "flowmon": {"pass": 592},
    "flowmon_tc": {"ok": 592},
    "balancer": {"pass": 488, "tx": 104},
}


class Run:
    """One run of one example: its report, and one line per packet. `report` is None where the engine is not available."""

    def __init__(self, example, engine):
        with tempfile.TemporaryDirectory() as folder:
            packets = pathlib.Path(folder) / "packets"
            done = subprocess.run(
                [*COMMAND, "run", str(OBJECTS / f"{example}.bpf.o"), "--pcap", str(ROOT / "examples/traffic/office.pcap"),
                 "--map-init", str(ROOT / f"examples/{example.removesuffix('_tc')}/maps.json"), "--engine", engine, "--deterministic", "1",
                 "--json", "--verdicts", str(packets)],
                capture_output=True, text=True, check=False, timeout=300)
            self.report = None
            self.why = (done.stderr or done.stdout).strip()
            if done.returncode == UNAVAILABLE:
                return
            if done.returncode != 0:
                raise AssertionError(f"{example} on {engine}: exit code {done.returncode}\n{self.why}")
            self.report = json.loads(done.stdout)
            self.packets = packets.read_text(encoding="utf-8").splitlines()

    def facts(self, times):
        return list(facts(self.report, times))


@unittest.skipUnless((OBJECTS / "firewall.bpf.o").is_file(), "the examples were not built")
class DemoEqual(unittest.TestCase):
    maxDiff = 4000

    def agree(self, example, one, other, times):
        self.assertEqual(len(one.packets), 592)
        for number, (a, b) in enumerate(zip(one.packets, other.packets, strict=True)):
            self.assertEqual(a, b, f"{example}: packet {number}")
        self.assertEqual(one.facts(times), other.facts(times), example)

    def test_interpreter_and_jit(self):
        compared = 0
        for example, verdicts in EXPECTED.items():
            with self.subTest(example=example):
                runs = [run for run in (Run(example, engine) for engine in ("interp", "jit")) if run.report]
                for run in runs:
                    self.assertEqual(run.report["verdicts"], verdicts)
                for run in runs[1:]:
                    self.agree(example, runs[0], run, times=True)
                    compared += 1
        if not compared:
            self.skipTest("this build has fewer than two engines")

    def test_the_running_kernel(self):
        for example in EXPECTED:
            with self.subTest(example=example):
                kernel = Run(example, "kernel")
                if kernel.report is None:
                    self.skipTest(kernel.why.splitlines()[0] if kernel.why else "no kernel engine")
                ours = Run(example, "jit")
                if ours.report is None:
                    ours = Run(example, "interp")
                # The kernel's clock is its own.
                self.agree(example, ours, kernel, times=False)


if __name__ == "__main__":
    unittest.main()
