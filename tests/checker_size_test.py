#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checker stays small enough to be read: code lines (without blank and comment lines) of what acceptance rests on.
And it stands alone: nothing that the library skep_check is made of includes the search."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent / "src/verifier"
CHECKER = ("check", "certificate")
TRUSTED = CHECKER + ("num", "state", "rules")


def sources(room):
    return [f for f in sorted((ROOT / room).iterdir())
            if f.suffix in (".cpp", ".hpp") and not f.stem.endswith("_test") and f.name != "testing.hpp"]


def code_lines(room):
    lines = [line.strip() for f in sources(room) for line in f.read_text().splitlines()]
    return sum(1 for line in lines if line and not line.startswith("//"))


class CheckerSize(unittest.TestCase):
    def test_checker_is_at_most_4000_lines(self):
        self.assertLessEqual(sum(code_lines(room) for room in CHECKER), 4000)

    def test_all_that_it_links_is_at_most_8000_lines(self):
        self.assertLessEqual(sum(code_lines(room) for room in TRUSTED), 8000)

    def test_it_uses_nothing_of_the_search(self):
        for room in TRUSTED:
            for f in sources(room):
                for target in re.findall(r'#include "verifier/([^"]+)"', f.read_text()):
                    self.assertIn(target.split("/")[0], TRUSTED, f"{f.name} includes verifier/{target}")

    def test_the_rooms_are_those_of_its_library(self):
        words = re.search(r"set\(trusted ([^)]*)\)", (ROOT / "CMakeLists.txt").read_text()).group(1).split()
        self.assertEqual(sorted(words), sorted(TRUSTED))


if __name__ == "__main__":
    unittest.main()
