#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/standard/elf-profile.md: for each MUST a good object that is taken and a bad one that is refused for that reason. tests/elf/objects.py makes them."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/elf"))
from objects import ROWS, both  # noqa: E402

COMMAND = os.environ["SKEP_COMMAND"].split()
OBJECTS = pathlib.Path(os.environ["SKEP_BINARY_DIR"]) / "tests/objects"
OK, REFUSED = 0, (1, 2, 3, 4)


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


class ElfProfile(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-elf-", dir=os.environ["SKEP_BINARY_DIR"])

    def tearDown(self):
        self.folder.cleanup()

    def answer(self, contents):
        path = os.path.join(self.folder.name, "object.o")
        with open(path, "wb") as file:
            file.write(contents)
        return skep("verify", path)

    def test_each_must_on_both_sides(self):
        for row in ROWS:
            name, word = row[0], row[4]
            if not (OBJECTS / row[1]).is_file():
                continue  # a build without examples
            with self.subTest(name):
                good, bad = both(OBJECTS, row)
                taken = self.answer(good)
                self.assertEqual(taken.returncode, OK, (name, taken.stdout + taken.stderr))
                refused = self.answer(bad)
                self.assertIn(refused.returncode, REFUSED, (name, refused.stdout))
                self.assertIn(word.lower(), (refused.stdout + refused.stderr).lower(), name)

    def test_legacy_records_of_each_size_and_none_other(self):
        for record in (20, 28, 32, 36):
            out = skep("inspect", OBJECTS / f"legacy_{record}.o")
            self.assertEqual(out.returncode, OK, out.stderr)


if __name__ == "__main__":
    unittest.main()
