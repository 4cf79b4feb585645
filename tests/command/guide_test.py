#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/guide.md, and of README.md's console blocks, is run and prints what the page shows; "..." in the page stands for anything.

README shows whole numbers for the reader's sake; of those that change with machine and build only the shape is compared."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = os.environ["SKEP_BINARY_DIR"]
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


# Native modules are made for the host of the build, and loaded by it.
NATIVE = len(COMMAND) == 1 and sys.platform == "linux" and os.uname().machine == "x86_64"


def blocks(text):
    """(where it runs, command words, expected lines) of each command in a console block."""
    for where, block in re.findall(r"^```console *(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for one in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *expected = one.splitlines()
            yield where, shlex.split(first), expected


def pattern(expected):
    """A line `...` is any number of lines, `...` inside one any text."""
    parts = []
    for line in expected:
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(re.escape(piece) for piece in line.split("...")) + r"\n")
    return re.compile("".join(parts))


# Engine, times, sizes of code.
CHANGING = [(r"on jit:", "on ...:"), (r"\d+\.\d ns each", "... ns each"),
            (r"^  \d+ instructions, .*, verified$", "  ... instructions, ..., verified")]


def readme_text():
    text = (ROOT / "README.md").read_text()
    for changing, shape in CHANGING:
        text = re.sub(changing, shape, text, flags=re.MULTILINE)
    return text.replace("$ build/dev/skep ", "$ skep ")


class Guide(unittest.TestCase):
    def test_each_command_prints_what_the_page_shows(self):
        readme = list(blocks(readme_text()))
        self.assertEqual(len(readme), 1)
        page = list(blocks((ROOT / "docs/guide.md").read_text())) + readme
        self.assertGreater(len(page), 15)
        shutil.rmtree(pathlib.Path(BINARY_DIR) / "guide", ignore_errors=True)
        (pathlib.Path(BINARY_DIR) / "guide").mkdir()
        for where, words, expected in page:
            self.assertEqual("skep", words[0])
            self.assertIn(where, ("", "linux"))
            if where and not NATIVE:
                continue
            here = [word.replace("build/dev", BINARY_DIR) for word in words[1:]]
            run = subprocess.run(COMMAND + here, cwd=ROOT, capture_output=True, text=True)
            out = (run.stdout + run.stderr).replace(BINARY_DIR, "build/dev").replace("\r", "")
            self.assertRegex(out, pattern(expected), " ".join(words))
            self.assertTrue(pattern(expected).fullmatch(out), " ".join(words) + "\n" + out)

    def test_the_comparison_can_fail(self):
        self.assertTrue(pattern(["a ... c", "...", "z"]).fullmatch("a b c\nx\ny\nz\n"))
        self.assertFalse(pattern(["a ... c", "z"]).fullmatch("a b d\nz\n"))


if __name__ == "__main__":
    unittest.main()
