#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the #include lines of src/ and include/ and fails on an arrow that points up or sideways (tests/floors.txt).

The tree is read first as it is; then with violations planted in memory, one of each kind, so that the reader itself is tested."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUFFIXES = {".hpp", ".cpp", ".h", ".c", ".def"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


class Plan:
    """What tests/floors.txt says."""

    def __init__(self, text):
        self.level, self.apart, self.under = {}, [], []
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if not words:
                continue
            if words[0] == "apart":
                self.apart.append(words[1:])
            elif words[0] == "under":
                self.under.append(words[1:])
            else:
                level = len(set(self.level.values()))
                self.level.update((floor, level) for floor in words)

    def complaint(self, source, target, quoted):
        """Why `source` (a path like src/elf/reader.cpp) may not include `target` (as written); None if it may."""
        parts = pathlib.PurePosixPath(target).parts
        if "." in parts or ".." in parts:
            return "an include names its target from src/ or include/, not relative to itself"
        top = parts[0]
        if source.startswith("include/"):
            public = top == "skep" or (not quoted and len(parts) >= 1 and top not in self.level)
            return None if public else "a public header includes only public headers"
        if top == "skep" or (not quoted and top not in self.level):
            return None  # the promise to users may be read by all; so may the world outside
        here = source.split("/")[1]
        if here not in self.level:
            return f"src/{here} is on no floor of tests/floors.txt"
        if top not in self.level:
            return f"{top} is on no floor of tests/floors.txt (quoted names start at src/; outside libraries take <>)"
        if top != here and self.level[top] > self.level[here]:
            return f"points up: {top} stands above {here}"
        if top != here and self.level[top] == self.level[here]:
            return f"points sideways: {top} stands beside {here}"
        inside, outside = "/".join(source.split("/")[1:]), target
        room = lambda path, rooms: next((r for r in rooms if path.startswith(r + "/")), None)
        for rooms in self.apart:
            mine, theirs = room(inside, rooms), room(outside, rooms)
            if mine and theirs and mine != theirs:
                return f"points sideways: {theirs} stands beside {mine}"
        for rooms in self.under:
            mine, theirs = room(inside, rooms), room(outside, rooms)
            if mine and theirs and rooms.index(theirs) > rooms.index(mine):
                return f"points up: {theirs} stands above {mine}"
        return None


def complaints(plan, files):
    """One line for each forbidden include in {path: text}."""
    found = []
    for path, text in sorted(files.items()):
        if path.startswith("src/") and path.split("/")[1] not in plan.level:
            found.append(f"{path}: src/{path.split('/')[1]} is on no floor of tests/floors.txt")
            continue
        for match in INCLUDE.finditer(text):
            why = plan.complaint(path, match.group(2), match.group(1) == '"')
            if why:
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{path}:{line}: #include {match.group(2)}: {why}")
    return found


def tree():
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for top in ("src", "include")
        for path in (ROOT / top).rglob("*")
        if path.suffix in SUFFIXES and path.is_file()
    }


class Arrows(unittest.TestCase):
    plan = Plan((ROOT / "tests/floors.txt").read_text())

    def test_the_tree_has_no_arrow_up_or_sideways(self):
        files = tree()
        self.assertGreater(len(files), 10, "read too few files to mean anything")
        self.assertEqual([], complaints(self.plan, files))

    def test_every_floor_the_build_knows_is_in_the_plan_in_the_same_order(self):
        listed = re.search(r"foreach\(floor IN ITEMS ([^)]*)\)", (ROOT / "CMakeLists.txt").read_text()).group(1).split()
        self.assertEqual(sorted(listed), sorted(self.plan.level))
        levels = [self.plan.level[floor] for floor in listed]
        self.assertEqual(levels, sorted(levels))

    def test_planted_violations_are_found(self):
        rows = [
            # file                              line                                     what the complaint says
            ("src/base/a.cpp",                  '#include "isa/insn.hpp"',               "points up"),
            ("src/btf/a.hpp",                   '#include "elf/reader.hpp"',             "points sideways"),
            ("src/elf/a.cpp",                   '  #  include "btf/type.hpp"',           "points sideways"),
            ("src/engine/interp/a.cpp",         '#include "engine/jit/jit.hpp"',         "points sideways"),
            ("src/engine/jit/a.cpp",            '#include "engine/interp/interp.hpp"',   "points sideways"),
            ("src/engine/jit/a_test.cpp",       '#include "engine/interp/interp.hpp"',   "points sideways"),
            ("src/engine/a.cpp",                '#include "maps/map.hpp"',               "points up"),
            ("src/verifier/a.cpp",              '#include <engine/engine.hpp>',          "points up"),
            ("src/runtime/core/a.cpp",          '#include "runtime/load/log.hpp"',       "points up"),
            ("src/cli/a.cpp",                   '#include "capi/door.hpp"',              "points sideways"),
            ("src/maps/a.cpp",                  '#include "surprise/a.hpp"',             "on no floor"),
            ("src/maps/a.cpp",                  '#include "../isa/insn.hpp"',            "not relative"),
            ("src/surprise/a.cpp",              '',                                      "on no floor"),
            ("include/skep/a.h",                '#include "base/bytes.hpp"',             "only public headers"),
            ("include/skep/a.h",                '#include <base/bytes.hpp>',             "only public headers"),
        ]
        for path, line, expected in rows:
            with self.subTest(path=path, line=line):
                found = complaints(self.plan, {path: "// first line\n" + line + "\n"})
                self.assertEqual(1, len(found), found)
                self.assertIn(expected, found[0])

    def test_arrows_down_and_out_are_not_found(self):
        rows = [
            ("src/isa/a.cpp",                   '#include "base/bytes.hpp"'),
            ("src/engine/interp/a.cpp",         '#include "engine/engine.hpp"'),
            ("src/engine/interp/a.cpp",         '#include "engine/interp/step.hpp"'),
            ("src/runtime/load/a.cpp",          '#include "runtime/core/object.hpp"'),
            ("src/runtime/core/a.cpp",          '#include "skep/runtime_context.h"'),
            ("src/cli/a.cpp",                   '#include <CLI/CLI.hpp>'),
            ("src/base/a.cpp",                  '#include <sys/mman.h>'),
            ("src/base/a.cpp",                  '// no #include "isa/insn.hpp"'),
            ("include/skep/a.h",                '#include <stdint.h>'),
            ("include/skep/a.h",                '#include "skep/b.h"'),
        ]
        for path, line in rows:
            with self.subTest(path=path, line=line):
                self.assertEqual([], complaints(self.plan, {path: line + "\n"}))


if __name__ == "__main__":
    unittest.main()
