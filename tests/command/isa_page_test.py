#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/standard/isa.md says what a run of the conformance vectors says now."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = os.environ["SKEP_COMMAND"].split()


class IsaPage(unittest.TestCase):
    maxDiff = 4000

    def test_the_page_is_what_the_run_gives(self):
        facts = json.loads(subprocess.run([*COMMAND, "doctor", "--json"], capture_output=True, text=True, check=False).stdout)
        if len(COMMAND) > 1 or not (facts["interpreter"]["present"] and facts["jit"]["present"]):
            self.skipTest("the page is made by a native development build with both engines")
        out = subprocess.run([sys.executable, str(ROOT / "script/lib/isa_page.py"), *COMMAND], capture_output=True, text=True, check=False)
        if out.returncode == 77:
            self.skipTest(out.stderr.strip())
        self.assertEqual(out.stdout, (ROOT / "docs/standard/isa.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
