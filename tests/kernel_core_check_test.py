#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gate of the kernel core refuses every planted object for its own reason. (The gate itself runs in the preset
kernel-core: cmake/KernelCore.cmake.)"""
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class KernelCoreCheck(unittest.TestCase):
    def test_each_planted_object_is_refused_and_the_clean_one_is_not(self):
        done = subprocess.run([sys.executable, os.path.join(ROOT, "script", "check-kernel-core"), "--self-test", "c++"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
