# SPDX-License-Identifier: Apache-2.0
"""`skep inspect --json` against llvm-readelf and libbpf (by bpftool), on the test objects and on what Debian installs."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = os.environ["SKEP_BINARY_DIR"]
OBJECTS = sorted(glob.glob(BINARY_DIR + "/tests/objects/*.o"))
INSTALLED = sorted(glob.glob("/usr/lib/x86_64-linux-gnu/bpf/*.o"))
READELF = shutil.which("llvm-readelf-19") or shutil.which("llvm-readelf")
BPFTOOL = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin")


def inspect(path):
    out = subprocess.run(COMMAND + ["inspect", path, "--json"], capture_output=True)
    assert out.returncode == 0, (path, out.stderr)
    return json.loads(out.stdout)


class Inspect(unittest.TestCase):
    def test_there_is_something_to_read(self):
        self.assertGreater(len(OBJECTS), 10)

    @unittest.skipUnless(READELF, "no llvm-readelf to compare with")
    def test_sections_symbols_and_relocations_are_those_of_readelf(self):
        for path in OBJECTS + INSTALLED:
            ours = inspect(path)
            text = subprocess.run([READELF, "--elf-output-style=JSON", "-S", "-s", "-r", path],
                                  capture_output=True, check=True).stdout
            theirs = json.loads(text)[0]
            sections = [s["Section"] for s in theirs["Sections"]][1:]
            self.assertEqual([(s["name"], s["offset"], s["size"], s["type"], s["flags"]) for s in ours["sections"]],
                             [(s["Name"]["Name"], s["Offset"], s["Size"], s["Type"]["Value"], s["Flags"]["Value"])
                              for s in sections], path)
            symbols = [s["Symbol"] for s in theirs["Symbols"]]
            for section in ours["sections"]:
                named = [s for s in symbols
                         if s["Section"]["Value"] == section["index"] and s["Type"]["Name"] != "Section"]
                self.assertEqual(section["symbols"], len(named), (path, section["name"]))
            functions = {(s["Name"]["Name"], s["Value"] // 8, (s["Value"] + s["Size"]) // 8) for s in symbols
                         if s["Type"]["Name"] == "Function"}
            self.assertEqual({(f["name"], f["start"], f["end"]) for f in ours["functions"]}, functions, path)
            relocations = []
            for table in theirs["Relocations"]:
                target = next(s["Info"] for s in sections if s["Index"] == table["SectionIndex"])
                for r in (r["Relocation"] for r in table["Relocs"]):
                    relocations.append((sections[target - 1]["Name"]["Name"], r["Offset"], r["Type"]["Value"]))
            self.assertEqual(sorted((r["section"], r["offset"], r["type"]) for r in ours["relocations"]),
                             sorted(relocations), path)

    @unittest.skipUnless(BPFTOOL, "no bpftool to compare with")
    def test_maps_and_programs_are_those_of_libbpf(self):
        compared = 0
        for path in OBJECTS + INSTALLED:
            skeleton = subprocess.run([BPFTOOL, "gen", "skeleton", path, "name", "x"], capture_output=True, text=True)
            if skeleton.returncode != 0:
                continue  # libbpf 1.1 refuses the object: legacy maps, `features`, GCC's BTF
            compared += 1
            ours = inspect(path)
            maps = re.findall(r's->maps\[\d+\]\.name = "(.*)"', skeleton.stdout)
            programs = re.findall(r's->progs\[\d+\]\.name = "(.*)"', skeleton.stdout)
            mine = [m["name"] for m in ours["maps"]]
            # libbpf puts the object's name in front of data maps (".rodata" is "x.rodata") and .kconfig's.
            theirs = [re.sub(r"^[^.]*\.(rodata|data|bss|kconfig)$", r".\1", m) for m in maps]
            self.assertEqual(sorted(mine), sorted(theirs), path)
            self.assertEqual(sorted(p["name"] for p in ours["programs"]), sorted(programs), path)
        self.assertGreater(compared, 3)
        print(f"compared with libbpf: {compared} of {len(OBJECTS + INSTALLED)} objects", file=sys.stderr)

    def test_what_is_no_object_is_an_error_with_a_reason(self):
        out = subprocess.run(COMMAND + ["inspect", __file__], capture_output=True, text=True)
        self.assertEqual(out.returncode, 4, out.stderr)
        self.assertIn("not an ELF file", out.stderr)


if __name__ == "__main__":
    unittest.main()
