#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts single test cases in ctest's JUnit files: count_tests.py FILE... prints "PASSED FAILED SKIPPED".

One ctest entry is one program; GoogleTest and unittest programs say at the end of their output how many cases they ran.
Any other program counts as one case. An entry that failed counts at least one failure, however it ended."""
import re
import sys
import xml.etree.ElementTree as ElementTree

NOT_TESTS = {"wine_server"}  # fixtures


def number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def count(status, output):
    """(passed, failed, skipped) of one ctest entry: its status in the JUnit file and the end of its output."""
    if re.search(r"^\[==========\] \d+ tests? from .* ran\.", output, re.MULTILINE):
        passed = number(r"\[  PASSED  \] (\d+) tests?", output)
        failed = number(r"\[  FAILED  \] (\d+) tests?, listed below", output)
        skipped = number(r"\[  SKIPPED \] (\d+) tests?, listed below", output)
    elif re.search(r"^Ran \d+ tests? in ", output, re.MULTILINE):
        failed = number(r"failures=(\d+)", output) + number(r"errors=(\d+)", output)
        skipped = number(r"skipped=(\d+)", output)
        passed = number(r"Ran (\d+) tests? in ", output) - failed - skipped
    elif status == "run":
        passed, failed, skipped = 1, 0, 0
    elif status == "notrun":
        passed, failed, skipped = 0, 0, 1
    else:
        passed, failed, skipped = 0, 1, 0
    if status == "fail" and failed == 0:
        failed = 1
    return passed, failed, skipped


def main(files):
    total = [0, 0, 0]
    for name in files:
        for case in ElementTree.parse(name).getroot().iter("testcase"):
            if case.get("name") in NOT_TESTS and case.get("status") == "run":
                continue
            counts = count(case.get("status"), case.findtext("system-out") or "")
            total = [a + b for a, b in zip(total, counts)]
    print(*total)


if __name__ == "__main__":
    main(sys.argv[1:])
