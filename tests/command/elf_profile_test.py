#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/standard/elf-profile.md: for each MUST a good object that is taken and a bad one that is refused for that reason, and no MUST without a pair. tests/elf/objects.py makes them."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/elf"))
from objects import ROWS, Elf, both, note_of  # noqa: E402

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
OBJECTS = BINARY_DIR / "tests/objects"
OK, REFUSED = 0, (1, 2, 3, 4)


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


class ElfProfile(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-elf-", dir=os.environ["SKEP_BINARY_DIR"])

    def tearDown(self):
        self.folder.cleanup()

    def answer(self, contents, words):
        path = os.path.join(self.folder.name, "object.o")
        with open(path, "wb") as file:
            file.write(contents)
        command, *more = words or ("verify",)
        return skep(command, path, *(word.format(objects=OBJECTS, root=ROOT) for word in more))

    def test_each_must_on_both_sides(self):
        for row in ROWS:
            number, name, source, _, _, word, *words = row
            if not (OBJECTS / source).is_file() and not (BINARY_DIR / "examples").is_dir():
                continue  # a build without examples
            if "{objects}/core_target.btf" in words and not (OBJECTS / "core_target.btf").is_file():
                continue  # no llvm-objcopy to make it
            with self.subTest(must=number, pair=name):
                good, bad = both(OBJECTS, row)
                self.assertNotEqual(good, bad)
                taken = self.answer(good, words)
                self.assertEqual(taken.returncode, OK, (name, taken.stdout + taken.stderr))
                refused = self.answer(bad, words)
                self.assertIn(refused.returncode, REFUSED, (name, refused.stdout))
                self.assertIn(word.lower(), (refused.stdout + refused.stderr).lower(), name)

    def test_every_must_of_the_page_has_a_pair_and_every_pair_is_of_one(self):
        page = (ROOT / "docs/standard/elf-profile.md").read_text(encoding="utf-8")
        told = [int(number) for number in re.findall(r"^- \*\*M(\d+)\*\* ", page, re.MULTILINE)]
        self.assertEqual(told, list(range(1, len(told) + 1)), "the MUSTs are numbered in order")
        self.assertEqual(set(told), {row[0] for row in ROWS})
        self.assertEqual([row[0] for row in ROWS], sorted(row[0] for row in ROWS))
        names = [(row[0], row[1]) for row in ROWS]
        self.assertEqual(len(names), len(set(names)))
        # No MUST hides in the prose: what loaders have to do stands in a numbered line.
        for line in page.splitlines():
            if "MUST" in line and not line.startswith("- **M"):
                self.assertIn("RFC 2119", line)
            if re.match(r"- \*\*M\d+\*\* ", line):
                self.assertIn("MUST", line)

    def test_legacy_records_of_each_size(self):
        for record in (20, 28, 32, 36):
            out = skep("inspect", OBJECTS / f"legacy_{record}.o", "--json")
            self.assertEqual(out.returncode, OK, out.stderr)
            self.assertTrue(json.loads(out.stdout)["maps"], record)

    def test_who_asks_for_a_sleeping_program_gets_it(self):
        for words in (("--program", "asleep"), ("--section", "xdp/asleep"), ("--section", "?xdp/asleep")):
            out = skep("verify", OBJECTS / "profile.o", *words)
            self.assertNotEqual(out.returncode, OK, "it is the one that no verifier lets pass")
            self.assertIn("packet", out.stdout)

    def test_rodata_is_frozen_before_the_program_is_loaded(self):
        """Its bytes are constants to the verifier: whoever set them later would run another program than the one that was verified."""
        def run(init, engine):
            path = os.path.join(self.folder.name, "init.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(init, file)
            return skep("run", OBJECTS / "profile.o", "--program", "entry", "--pcap", ROOT / "examples/traffic/office.pcap", "--map-init", path,
                        "--engine", engine, "--json")

        known = json.loads(skep("doctor", "--json").stdout)
        for engine in (name for name, key in (("interp", "interpreter"), ("jit", "jit"), ("kernel", "bpf(2)")) if known[key]["present"]):
            out = run({"globals": {"limit": 9}}, engine)
            self.assertEqual(out.returncode, OK, out.stdout + out.stderr)
            self.assertEqual(json.loads(out.stdout)["globals"]["step"], 9, engine)
            out = run({".rodata": [{"key": 0, "value": 9}]}, engine)
            self.assertIn(out.returncode, REFUSED, engine)
            self.assertIn("frozen", out.stdout + out.stderr, engine)

    def test_the_note_is_what_the_header_writes(self):
        """windows.o is compiled with SKEP_BPF_PERSONALITY(SKEP_BPF_WINDOWS)."""
        self.assertEqual(Elf(OBJECTS / "windows.o").bytes_of(".note.skep"), note_of(2))


if __name__ == "__main__":
    unittest.main()
