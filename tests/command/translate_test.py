#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`skep translate`: an object translated, and translated back, says, writes and stores what the original does, on every engine and in the running kernel; its file is in order for other tools; what has no equivalent is refused at its source line."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/elf"))
from objects import Elf  # noqa: E402

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
OBJECTS = BINARY_DIR / "tests/objects"
EXAMPLES = BINARY_DIR / "examples"
READELF = shutil.which("llvm-readelf-19") or shutil.which("llvm-readelf")
BPFTOOL = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin")


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def facts():
    return json.loads(skep("doctor", "--json").stdout)


def engines():
    return [name for name, key in (("interp", "interpreter"), ("jit", "jit")) if facts()[key]["present"]]


def write_pcap(path, packets):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i, packet in enumerate(packets):
            file.write(struct.pack("<IIII", i, 0, len(packet), len(packet)) + packet)


class Translate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-translate-", dir=BINARY_DIR)
        self.pcap = self.path("in.pcap")
        write_pcap(self.pcap, [bytes([n]) + bytes(59) for n in (0, 1, 2, 3, 4, 5, 255)])

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def translated(self, source, system, name):
        out = skep("translate", source, "--to", system, "-o", self.path(name), "--json")
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return self.path(name), json.loads(out.stdout)

    def run_of(self, path, program, engine, *more):
        packets = self.path("packets")
        out = skep("run", path, "--program", program, "--engine", engine, "--deterministic", "1", "--unverified", "--json",
                   "--verdicts", packets, *more)
        self.assertEqual(out.returncode, 0, (path, engine, out.stdout + out.stderr))
        report = json.loads(out.stdout)
        with open(packets) as file:
            # A definition that grew stands at its section's end: the order of maps is not kept.
            return {"verdicts": report["verdicts"], "maps": sorted(report["maps"], key=lambda m: m["name"]),
                    "events": report["events"], "globals": report["globals"], "packets": file.read()}

    def assert_same(self, one, other, program, *more):
        for engine in engines():
            a, b = (self.run_of(path, program, engine, *more) for path in (one, other))
            for part in a:
                self.assertEqual(a[part], b[part], (program, engine, part))

    def keeps(self, source, path):
        """Symbols, maps, variables, functions and types are those of the original; readelf and bpftool see them, too."""
        before, after = (json.loads(skep("inspect", file, "--json").stdout) for file in (source, path))
        self.assertEqual(before["btf_ext"], after["btf_ext"])
        self.assertGreaterEqual(after["btf_types"], before["btf_types"])
        self.assertEqual(before["license"], after["license"])
        for part, words in (("maps", ("name", "key_size", "value_size", "max_entries", "key_type", "value_type", "pinning", "read_only", "slots")),
                            ("globals", ("name", "map", "offset", "size", "type", "value")), ("functions", ("name", "section")),
                            ("programs", ("name", "section", "autoload", "functions", "externs"))):
            # A definition that grew stands at its section's end: the order of maps is not kept.
            one, other = (sorted(([row.get(word) for word in words] for row in report[part]), key=str) for report in (before, after))
            self.assertEqual(one, other, (path, part))
        if READELF:
            def symbols(file):
                lines = subprocess.run([READELF, "-sW", file], capture_output=True, text=True, check=True).stdout.splitlines()
                rows = [line.split() for line in lines if " FUNC " in line or " OBJECT " in line]
                return sorted((row[3], row[4], row[7]) for row in rows if "ebpf_for_windows" not in row[7])
            self.assertEqual(symbols(source), symbols(path))
        if BPFTOOL:
            def named(file):
                lines = subprocess.run([BPFTOOL, "btf", "dump", "file", file], capture_output=True, text=True, check=True).stdout.splitlines()
                return {line.split("'")[1] for line in lines if "] FUNC '" in line or "] DATASEC '" in line or "] VAR '" in line}
            self.assertEqual({n for n in named(source) if "ebpf_for_windows" not in n}, {n for n in named(path) if "ebpf_for_windows" not in n})

    def in_order(self, path):
        """Other tools read the file without a word of complaint."""
        if READELF:
            out = subprocess.run([READELF, "-a", path], capture_output=True, text=True, check=False)
            self.assertEqual((out.returncode, out.stderr), (0, ""), path)
        if BPFTOOL:
            out = subprocess.run([BPFTOOL, "btf", "dump", "file", path], capture_output=True, text=True, check=False)
            self.assertEqual(out.returncode, 0, out.stderr)
            report = json.loads(skep("inspect", path, "--json").stdout)
            if report["personality"] == "linux":  # libbpf opens it, and names each program and map
                out = subprocess.run([BPFTOOL, "gen", "skeleton", path, "name", "translated"], capture_output=True, text=True, check=False)
                self.assertEqual(out.returncode, 0, out.stderr)
                names = [("bpf_program", row["name"]) for row in report["programs"]]
                names += [("bpf_map", row["name"]) for row in report["maps"] if row["origin"] == "btf"]
                for kind, name in names:
                    self.assertRegex(out.stdout, rf"struct {kind} \*{name};", path)

    def test_an_example_there_and_back(self):
        source = EXAMPLES / "balancer.bpf.o"
        if not source.exists():
            self.skipTest("the examples are not built here")
        options = ("--pcap", ROOT / "examples/traffic/office.pcap", "--map-init", ROOT / "examples/balancer/maps.json")
        there, report = self.translated(source, "windows", "windows.o")
        self.assertEqual(report["programs"], 1)
        self.assertGreater(report["context_accesses"], 1)
        back, _ = self.translated(there, "linux", "linux.o")
        for path in (there, back):
            self.in_order(path)
            self.assert_same(source, path, "balancer", *options)
        self.assertEqual(json.loads(skep("inspect", there, "--json").stdout)["personality"], "windows")
        self.assertEqual(json.loads(skep("inspect", back, "--json").stdout)["personality"], "linux")
        again, _ = self.translated(back, "windows", "again.o")
        self.assert_same(source, again, "balancer", *options)

    def test_examples_of_either_system_there_and_back_also_in_the_kernel(self):
        if not (EXAMPLES / "firewall.bpf.o").exists():
            self.skipTest("the examples are not built here")
        kernel = facts()["bpf(2)"]["present"]
        for name in ("firewall", "flowmon", "balancer"):
            options = ("--pcap", ROOT / "examples/traffic/office.pcap", "--map-init", ROOT / f"examples/{name}/maps.json")
            for path, first, second in ((f"{name}.bpf.o", "windows", "linux"), (f"windows/{name}.bpf.o", "linux", "windows")):
                there, _ = self.translated(EXAMPLES / path, first, "there.o")
                back, _ = self.translated(there, second, "back.o")
                for made in (there, back):
                    self.in_order(made)
                    self.keeps(EXAMPLES / path, made)
                    self.assert_same(EXAMPLES / path, made, name, *options)
                if kernel:
                    made = back if second == "linux" else there
                    ours, theirs = (self.run_of(p, name, e, *options) for p, e in ((EXAMPLES / path, "jit"), (made, "kernel")))
                    for part in ("verdicts", "packets"):
                        self.assertEqual(ours[part], theirs[part], (path, part))
                    for a, b in zip(ours["maps"], theirs["maps"], strict=True):
                        self.assertEqual(a["name"], b["name"])
                        if a["name"] != "events":
                            self.assertEqual(sorted(a["entries"], key=str), sorted(b["entries"], key=str), (path, a["name"]))

    def test_what_the_verifier_accepts_it_accepts_translated(self):
        def accepted(path):
            out = skep("verify", path, "--json")
            return {p["program"]: p["verdict"] for p in json.loads(out.stdout)["programs"]} if out.stdout else {}

        translated, refused = 0, 0
        for source in sorted([*OBJECTS.glob("*.o"), *EXAMPLES.glob("*.o"), *EXAMPLES.glob("windows/*.o")]):
            report = json.loads(skep("inspect", source, "--json").stdout)
            system = {"linux": "windows", "windows": "linux"}.get(report.get("personality"))
            if system is None:
                continue
            out = skep("translate", source, "--to", system, "-o", self.path("other.o"), "--json")
            if out.returncode != 0:
                self.assertFalse(os.path.exists(self.path("other.o")), source)
                self.assertTrue(json.loads(out.stdout)["error"]["what"], source)
                refused += 1
                continue
            translated += 1
            self.in_order(self.path("other.o"))
            self.keeps(source, self.path("other.o"))
            before, after = accepted(source), accepted(self.path("other.o"))
            self.assertEqual(before.keys(), after.keys(), source)
            for program, verdict in before.items():
                if verdict == "accepted":
                    self.assertEqual(after[program], "accepted", (source, program))
            os.remove(self.path("other.o"))
        self.assertGreater(translated, 5)
        self.assertGreater(refused, 5)

    def test_results_verdicts_maps_and_globals_keep_their_meaning(self):
        source = OBJECTS / "windows_portable.o"
        there, report = self.translated(source, "linux", "linux.o")
        self.assertGreater(report["results"], 5)
        self.in_order(there)
        for program in ("results", "verdicts", "constant"):
            self.assert_same(source, there, program, "--pcap", self.pcap)
            self.assert_same(source, there, program, "--pcap", self.pcap, "--ifindex", "7")
        answers = next(m for m in self.run_of(there, "results", engines()[0], "--pcap", self.pcap)["maps"]
                       if m["name"] == "answers")
        got = {e["key"]: e["value"] for e in answers["entries"]}
        self.assertEqual({n: got.get(n, 0) for n in range(10) if n != 8},
                         {0: -19, 1: 0, 2: -26, 3: -29, 4: 0, 5: 7, 6: -6, 7: 0, 9: 1})
        back, _ = self.translated(there, "windows", "windows.o")
        self.in_order(back)
        for program in ("results", "verdicts", "constant"):
            self.assert_same(source, back, program, "--pcap", self.pcap)

    def test_a_helper_with_more_arguments_gets_nothing_for_those_that_were_not_given(self):
        there, _ = self.translated(OBJECTS / "windows_print.o", "linux", "linux.o")
        for engine in engines():
            out = skep("run", there, "--program", "results", "--engine", engine, "--unverified", "--json", "--pcap", self.pcap)
            self.assertEqual(json.loads(out.stdout)["printed"][0], "seen 3")
        out = skep("translate", there, "--to", "windows", "-o", self.path("back.o"))
        self.assertEqual(out.returncode, 1)
        self.assertIn("trace_printk2 to trace_printk5", out.stderr)

    def test_the_kernel_takes_what_was_made_for_it(self):
        if not facts()["bpf(2)"]["present"]:
            self.skipTest("no bpf(2) here")
        there, _ = self.translated(OBJECTS / "windows_portable.o", "linux", "linux.o")
        for program in ("results", "verdicts", "constant"):
            kernel = self.run_of(there, program, "kernel", "--pcap", self.pcap)
            ours = self.run_of(OBJECTS / "windows_portable.o", program, engines()[0], "--pcap", self.pcap)
            self.assertEqual(kernel["packets"], ours["packets"], program)
            self.assertEqual(kernel["verdicts"], ours["verdicts"], program)
            for name in ("answers", "small", "networks"):
                a, b = (next((m["entries"] for m in r["maps"] if m["name"] == name), None) for r in (kernel, ours))
                self.assertEqual(a, b, (program, name))

    def test_numbers_that_only_one_system_returns_become_what_they_say(self):
        """Linux' bind hooks keep a flag beside the verdict, where Windows has another verdict; Windows reads half of a result that Linux' verifier reads whole."""
        contexts = self.path("contexts.json")
        with open(contexts, "w") as file:
            json.dump([{"user_family": 2, "user_ip4": f"0a 00 00 {n:02x}"} for n in range(6)], file)

        def verdicts(path, program, engine):
            out = skep("run", path, "--program", program, "--contexts", contexts, "--deterministic", "1", "--json", "--engine", engine)
            self.assertEqual(out.returncode, 0, (path, program, out.stdout + out.stderr))
            return [c["verdict"].removesuffix("_hard") for c in json.loads(out.stdout)["contexts"]]

        no, yes = "reject", "proceed"
        for name, other, programs in (("verdicts.o", "windows", {"binds": [no, yes, no, yes, no, yes]}),
                                      ("windows_verdicts.o", "linux", {"binds": [no, yes, yes, no, no, no], "connects": [no, yes, yes, no, no, no]})):
            there, _ = self.translated(OBJECTS / name, other, "there.o")
            out = skep("verify", there)
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
            for program, expected in programs.items():
                for engine in engines():
                    for path in (OBJECTS / name, there):
                        self.assertEqual(verdicts(path, program, engine), expected, (path, program, engine))

    def test_a_name_alone_makes_no_debug_section(self):
        """Relocations in a table that is named like one, say, are needed all the same (found by the fuzzer)."""
        for old, new in ((".relxdp", ".debug_rel"), (".symtab", ".debug_symbols"), ("xdp", ".debug_xdp")):
            path = self.path("named.o")
            pathlib.Path(path).write_bytes(bytes(Elf(OBJECTS / "profile.o").rename(old, new).bytes))
            out = skep("translate", path, "--to", "windows", "-o", self.path("there.o"))
            if new == ".debug_xdp":  # stands for no program type
                self.assertNotEqual(out.returncode, 0)
                continue
            self.assertEqual(out.returncode, 0, out.stderr)
            out = skep("verify", self.path("there.o"), "--program", "entry")
            self.assertEqual(out.returncode, 0, (new, out.stdout + out.stderr))

    def test_a_platform_of_ones_own_may_be_the_target(self):
        source, out = BINARY_DIR / "examples/balancer.bpf.o", self.path("x.o")
        rows = [({}, 0, ""), ({"without": {"maps": ["lru_hash", "hash", "array", "percpu_array"]}}, 1, "vendor-1 has no map type"),
                ({"without": {"helpers": ["map_lookup_elem"]}}, 1, "vendor-1 has no helper map_lookup_elem")]
        for more, code, says in rows:
            with open(self.path("vendor.json"), "w") as file:
                json.dump({"name": "vendor-1", "extends": "windows-ebpf-1.6", **more}, file)
            done = skep("translate", source, "--to", "windows", "--platform", "vendor-1", "--platform-file", self.path("vendor.json"),
                        "-o", out)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            self.assertIn(says, done.stderr)
            self.assertEqual(os.path.exists(out), code == 0)
            if code == 0:
                os.remove(out)

    def test_what_has_no_equivalent_is_refused_at_its_line(self):
        rows = [
            (OBJECTS / "helpers.o", "windows", "has no program type"),
            (OBJECTS / "check.o", "windows", "get_current_task"),
            (OBJECTS / "windows.o", "linux", "has no helper"),
            (OBJECTS / "legacy_28.o", "windows", ""),
            (OBJECTS / "basics_gcc.o", "windows", ""),
            (OBJECTS / "core_context.o", "windows", "has no CO-RE relocations"),
            # Its type is written anew there, and the record names members by their place in it.
            (OBJECTS / "core_context.o", "linux", "what struct xdp_md looks like is asked for by name"),
        ]
        for path, system, message in rows:
            if path.name == "basics_gcc.o" and not path.exists():
                continue  # bpf-gcc is not everywhere
            told = ("--personality", {"linux": "windows", "windows": "linux"}[system]) if "core" in path.name else ()
            out = skep("translate", path, "--to", system, "-o", self.path("x.o"), *told)
            self.assertIn(out.returncode, (1, 3), (path, out.stderr))
            self.assertIn(message, out.stderr, path)
            self.assertFalse(os.path.exists(self.path("x.o")), "nothing is written")
        out = skep("translate", OBJECTS / "check.o", "--to", "windows", "-o", self.path("x.o"))
        self.assertIn("check.bpf.c:", out.stderr)
        out = skep("translate", OBJECTS / "windows.o", "--to", "windows", "-o", self.path("x.o"))
        self.assertEqual(out.returncode, 2)
        self.assertIn("already", out.stderr)


if __name__ == "__main__":
    unittest.main()
