#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What bash offers at a word of `skep`, by the script that the command generates for it."""
import os
import shutil
import subprocess
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()


@unittest.skipUnless(shutil.which("bash") and len(COMMAND) == 1 and not COMMAND[0].endswith(".exe"), "needs bash beside the command")
class Completion(unittest.TestCase):
    def test_bash_offers_commands_options_values_and_actions(self):
        script = subprocess.run([*COMMAND, "--generate-completion", "bash"], capture_output=True, text=True, check=True).stdout
        rows = [(("ru",), "run"), (("run", "--eng"), "--engine"), (("run", "--engine", "na"), "native"),
                (("keygen", "--flaw", "e"), "expired early"), (("help", "tr"), "translate"), (("--js",), "--json"),
                (("platform", "sh"), "show"), (("policy", "ch"), "check"), (("platform", "show", "no-such-file"), "")]
        for words, expected in rows:
            asked = f"{script}\nCOMP_WORDS=(skep {' '.join(words)})\nCOMP_CWORD={len(words)}\n_skep\necho ${{COMPREPLY[@]}}\n"
            got = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
            self.assertEqual((got.stdout.strip(), got.stderr), (expected, ""), words)


if __name__ == "__main__":
    unittest.main()
