#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/dependencies.md names, with a reason, exactly the packages that script/bootstrap installs."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def in_script(text):
    return {word for group in re.findall(r"^\w+_packages=\(([^)]*)\)", text, re.MULTILINE) for word in group.split()}


def in_page(text):
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| **", "| package"))]
    return {package.strip(): cells[2].strip() for cells in rows for package in cells[1].split(",")}


class Dependencies(unittest.TestCase):
    def test_the_page_lists_what_the_script_installs(self):
        script = in_script((ROOT / "script/bootstrap").read_text())
        page = in_page((ROOT / "docs/dependencies.md").read_text())
        self.assertGreater(len(script), 20)
        self.assertEqual(script, set(page))
        self.assertEqual([], [package for package, reason in page.items() if not reason])

    def test_the_readers_see_groups_and_shared_rows(self):
        self.assertEqual({"a", "b", "c"}, in_script("x_packages=(a\n  b)\ny_packages=(c)\n"))
        self.assertEqual({"a": "why", "b": "why"}, in_page("| package | what for |\n|---|---|\n| **g** | |\n| a, b | why | x |\n"))


if __name__ == "__main__":
    unittest.main()
