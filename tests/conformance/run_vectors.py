#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the public conformance vectors, which lie outside this tree: run_vectors.py COMMAND... (see tests/CMakeLists.txt).

The vectors are found in $SKEP_SHARED, else in ../shared beside this tree. Exit status 77 (skipped) where they are not."""
import os
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent.parent
shared = pathlib.Path(os.environ.get("SKEP_SHARED", root.parent / "shared"))
runner = shared / "conformance" / "run.py"
if not runner.exists():
    print(f"skipped: the conformance vectors are not there ({runner})")
    sys.exit(77)
sys.exit(subprocess.run([sys.executable, str(runner), "--", *sys.argv[1:]]).returncode)
