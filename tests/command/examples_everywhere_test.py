#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples give the same verdicts, packet bytes, map contents and events on every host: digests that stand here, so that the Linux build and the Windows build (under Wine) are held to the same numbers. The same programs compiled with eBPF for Windows'
ABI, and either one translated to the other system and back, are held to them, too."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import module_test  # noqa: E402  (who builds modules for this host)

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
EXAMPLES = BINARY_DIR / "examples"
# Verdict counts; and SHA-256, shortened, of every packet's verdict and bytes, of all maps, and of all events.
EXPECTED = {
    "firewall": ({"drop": 79, "pass": 513}, "66a26853e2a6885c", "f2deb47161e68c35", "b6b340d8edc9c30f"),
    "flowmon": ({"pass": 592}, "d1f365e27ec123cf", "8e4527dad96cdf23", "c1cd6b8231ffef2a"),
    "flowmon_tc": ({"ok": 592}, "d251923db3e66e4e", "8e4527dad96cdf23", "c1cd6b8231ffef2a"),
    "balancer": ({"pass": 488, "tx": 104}, "e07a1d3b0ee6141c", "cd014735b8444594", "4f53cda18c2baa0c"),
}
ON_BOTH = ("firewall", "flowmon", "balancer")


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=300)


def engines():
    facts = json.loads(skep("doctor", "--json").stdout)
    return [name for name, key in (("interp", "interpreter"), ("jit", "jit")) if facts[key]["present"]]


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def total(values):
    """Per-CPU values as one: numbers are added, wherever they stand."""
    if all(isinstance(v, int) for v in values):
        return sum(values)
    if all(isinstance(v, dict) for v in values):
        return {key: total([v[key] for v in values]) for key in values[0]}
    if all(isinstance(v, list) for v in values):
        return [total(list(parts)) for parts in zip(*values, strict=True)]
    return next((v for v in values if v), values[0])


def plain(entry):
    values = entry.get("values")
    if values is None:
        return [entry.get("key"), entry.get("value")]
    return [entry.get("key"), total([v["value"] if isinstance(v, dict) and "cpu" in v else v for v in values])]


@unittest.skipUnless((EXAMPLES / "firewall.bpf.o").is_file(), "the examples were not built")
class Everywhere(unittest.TestCase):
    maxDiff = 2000

    def seen(self, path, example, engine, folder, *more):
        packets = pathlib.Path(folder) / "packets"
        out = skep("run", path, "--pcap", ROOT / "examples/traffic/office.pcap", "--map-init", ROOT / f"examples/{example.removesuffix('_tc')}/maps.json",
                   "--engine", engine, "--deterministic", "1", "--json", "--verdicts", packets, *more)
        self.assertEqual(out.returncode, 0, (path, engine, out.stdout + out.stderr))
        report = json.loads(out.stdout)
        maps = {m["name"]: sorted((plain(e) for e in m["entries"]), key=json.dumps) for m in report["maps"]}
        return report["verdicts"], digest(packets.read_text(encoding="utf-8").splitlines()), digest(maps), digest(report["events"])

    def test_the_same_everywhere(self):
        for example, expected in EXPECTED.items():
            for engine in engines():
                with tempfile.TemporaryDirectory(dir=BINARY_DIR) as folder:
                    self.assertEqual(self.seen(EXAMPLES / f"{example}.bpf.o", example, engine, folder), expected, (example, engine))

    def test_compiled_for_windows_they_say_the_same(self):
        for example in ON_BOTH:
            for engine in engines():
                with tempfile.TemporaryDirectory(dir=BINARY_DIR) as folder:
                    self.assertEqual(self.seen(EXAMPLES / f"windows/{example}.bpf.o", example, engine, folder), EXPECTED[example],
                                     (example, engine))

    def test_as_native_modules_they_say_the_same(self):
        """One object becomes a module for each machine; this is the machine's own. Verdicts, packets and maps are those above."""
        builder = module_test.builder()
        if builder is None:
            self.skipTest("modules are built by a native skep, and SKEP_BUILD_COMMAND names none")
        for example, expected in EXPECTED.items():
            with tempfile.TemporaryDirectory(dir=BINARY_DIR) as folder:
                to = pathlib.Path(folder) / f"{example}{module_test.ending}"
                made = subprocess.run([*builder, "compile", str(EXAMPLES / f"{example}.bpf.o"), "-o", str(to), "--target", module_test.host],
                                      capture_output=True, text=True, check=False, timeout=600)
                if made.returncode == 4:
                    self.skipTest(made.stderr)
                self.assertEqual(made.returncode, 0, made.stderr)
                self.assertEqual(self.seen(to, example, "native", folder, "--allow-unsigned"), expected, example)

    def test_translated_there_and_back_they_say_the_same(self):
        for example in ON_BOTH:
            for path, first, second in ((f"{example}.bpf.o", "windows", "linux"), (f"windows/{example}.bpf.o", "linux", "windows")):
                with tempfile.TemporaryDirectory(dir=BINARY_DIR) as folder:
                    there, back = (os.path.join(folder, name) for name in ("there.o", "back.o"))
                    for source, system, target in ((EXAMPLES / path, first, there), (there, second, back)):
                        out = skep("translate", source, "--to", system, "-o", target)
                        self.assertEqual(out.returncode, 0, (path, system, out.stderr))
                    for engine in engines():
                        for made in (there, back):
                            self.assertEqual(self.seen(made, example, engine, folder), EXPECTED[example], (path, made, engine))

    def test_what_only_linux_has_is_not_translated(self):
        with tempfile.TemporaryDirectory(dir=BINARY_DIR) as folder:
            made = os.path.join(folder, "made.o")
            out = skep("translate", EXAMPLES / "flowmon_tc.bpf.o", "--to", "windows", "-o", made)
            self.assertEqual(out.returncode, 1)
            self.assertIn("has no program type sched_cls", out.stderr)
            self.assertFalse(os.path.exists(made))


if __name__ == "__main__":
    unittest.main()
