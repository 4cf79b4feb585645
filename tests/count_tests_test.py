#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""script/lib/count_tests.py reads the ends of GoogleTest's and unittest's output, and never loses a failure."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "script/lib"))
import count_tests  # noqa: E402

GTEST = "[==========] 12 tests from 3 test suites ran. (5 ms total)\n"


class CountTests(unittest.TestCase):
    def test_rows(self):
        rows = [
            # status   end of output                                                                passed failed skipped
            ("run",    GTEST + "[  PASSED  ] 12 tests.\n",                                            (12, 0, 0)),
            ("run",    GTEST + "[  PASSED  ] 11 tests.\n[  SKIPPED ] 1 test, listed below:\n",        (11, 0, 1)),
            ("fail",   GTEST + "[  PASSED  ] 10 tests.\n[  FAILED  ] 2 tests, listed below:\n",       (10, 2, 0)),
            ("fail",   GTEST + "[  PASSED  ] 12 tests.\nleak found\n",                                (12, 1, 0)),
            ("run",    "Ran 7 tests in 0.1s\n\nOK (skipped=2)\n",                                     (5, 0, 2)),
            ("fail",   "Ran 7 tests in 0.1s\n\nFAILED (failures=1, errors=2)\n",                      (4, 3, 0)),
            ("run",    "anything\n",                                                                  (1, 0, 0)),
            ("fail",   "killed before it could say a word",                                           (0, 1, 0)),
            ("notrun", "",                                                                            (0, 0, 1)),
        ]
        for status, output, expected in rows:
            with self.subTest(status=status, output=output):
                self.assertEqual(expected, count_tests.count(status, output))


if __name__ == "__main__":
    unittest.main()
