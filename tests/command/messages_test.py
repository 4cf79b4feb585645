# SPDX-License-Identifier: Apache-2.0
"""Fifty source bugs: the first line that `skep verify` reports is the bug's, and the fix that it prints makes the program accepted.

Prints a table of both. What the messages say, with their source lines, is messages/*.txt, as clang 19 compiles them;
messages_test.py --update writes it anew.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
MESSAGES = pathlib.Path(__file__).resolve().parent.parent / "verifier/messages"
CLANG = shutil.which("clang-19") or shutil.which("clang")
UPDATE = "--update" in sys.argv
PROGRAM = re.compile(r'^SEC\("[^"]*"\) int (\w+)\(')


def compile_source(source, target):
    includes = [f"-I/usr/include/{machine}-linux-gnu" for machine in (os.uname().machine,)]
    return subprocess.run([CLANG, "-target", "bpf", "-O2", "-g", "-mcpu=v3", *includes, "-c", source, "-o", target],
                          capture_output=True, text=True)


def verdicts(target):
    """{program: its row of the JSON answer}"""
    done = subprocess.run([*COMMAND, "verify", target, "--json", "--personality", "linux"], capture_output=True, text=True)
    return {row["program"]: row for row in json.loads(done.stdout)["programs"]}


def bug_lines(lines):
    """{program: line of its bug}; a function above a program belongs to the program that follows it."""
    bugs, pending, program = {}, [], None
    for number, line in enumerate(lines, 1):
        if match := PROGRAM.match(line):
            program = match.group(1)
            for bug in pending:
                bugs[program] = bug
            pending = []
        if line.startswith("}"):
            program = None
        if "// BUG" in line:
            if program:
                bugs[program] = number
            else:
                pending.append(number)
    return bugs


@unittest.skipUnless(CLANG and os.name == "posix" and pathlib.Path("/usr/include/bpf/bpf_helpers.h").exists(),
                     "needs clang and libbpf's headers")
class Bugs(unittest.TestCase):
    SOURCE, COUNT, LINES, FIXES = MESSAGES / "bugs.bpf.c", 50, 45, 30

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="skep-messages"))
        cls.lines = cls.SOURCE.read_text(encoding="utf-8").splitlines()
        cls.bugs = bug_lines(cls.lines)
        done = compile_source(cls.SOURCE, cls.folder / "bugs.o")
        assert done.returncode == 0, done.stderr
        cls.rows = verdicts(cls.folder / "bugs.o")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def test_none_is_accepted(self):
        self.assertEqual(len(self.bugs), self.COUNT)
        self.assertEqual(sorted(self.bugs), sorted(self.rows))
        self.assertEqual([], [name for name, row in self.rows.items() if row["verdict"] == "ACCEPTED"])

    def test_the_first_line_reported_is_the_bugs(self):
        wrong = []
        for name, row in self.rows.items():
            source = row["failures"][0]["place"].get("source", {}) if row.get("failures") else {}
            if source.get("line") != self.bugs[name]:
                wrong.append(f"{name}: line {source.get('line')}, the bug is in {self.bugs[name]}")
        print(f"first line right: {self.COUNT - len(wrong)} of {self.COUNT}", file=sys.stderr)
        self.assertGreaterEqual(self.COUNT - len(wrong), self.LINES, "\n".join(wrong))

    def test_the_messages_read_as_reviewed(self):
        golden = self.SOURCE.parent / self.SOURCE.name.replace(".bpf.c", ".txt")
        version = subprocess.run([CLANG, "--version"], capture_output=True, text=True).stdout
        if "version 19." not in version:
            self.skipTest("another clang makes other code")
        done = subprocess.run([*COMMAND, "verify", self.folder / "bugs.o", "--personality", "linux"],
                              capture_output=True, text=True)
        now = done.stdout.replace(str(MESSAGES) + "/", "").replace(str(self.folder) + "/", "")
        now = now[now.index("\n\n") + 2:]  # behind the table, which has times in it
        if "a production build has no interpreter" in now:
            self.skipTest("a production build replays nothing")
        if UPDATE:
            golden.write_text(now, encoding="utf-8")
        self.maxDiff = None
        self.assertEqual(golden.read_text(encoding="utf-8"), now)

    def test_the_fix_makes_the_program_accepted(self):
        fixes = {}
        for name, row in self.rows.items():
            fix = row["failures"][0].get("fix") if row.get("failures") else None
            if fix:
                fixes[name] = (fix["before_line"], fix["text"])
        while True:  # a fix that does not compile is dropped, and counts as none
            lines, placed = list(self.lines), []
            for name, (line, text) in sorted(fixes.items(), key=lambda item: -item[1][0]):
                lines.insert(line - 1, text)
            for index, (name, (line, text)) in enumerate(sorted(fixes.items(), key=lambda item: item[1][0])):
                placed.append((line + index, name))
            fixed = self.folder / "fixed.bpf.c"
            fixed.write_text("\n".join(lines) + "\n", encoding="utf-8")
            done = compile_source(fixed, self.folder / "fixed.o")
            if done.returncode == 0:
                break
            bad = {int(n) for n in re.findall(r"fixed\.bpf\.c:(\d+):\d+: error", done.stderr)}
            dropped = [name for line, name in placed if line in bad]
            self.assertTrue(dropped, done.stderr)
            for name in dropped:
                del fixes[name]
        rows = verdicts(self.folder / "fixed.o")
        good = [name for name in fixes if rows[name]["verdict"] == "ACCEPTED"]
        print(f"fix pasted and accepted: {len(good)} of {self.COUNT}", file=sys.stderr)
        print(f"  {'program':<24}{'code':<7}{'line':<6}fix", file=sys.stderr)
        for name, row in self.rows.items():
            first = row["failures"][0]
            right = first["place"].get("source", {}).get("line") == self.bugs[name]
            fix = "accepted" if name in good else "not accepted" if name in fixes else "none"
            print(f"  {name:<24}{first['code']:<7}{'right' if right else 'wrong':<6}{fix}", file=sys.stderr)
        self.assertGreaterEqual(len(good), self.FIXES, "not accepted with: " + "\n".join(
            f"{name}: {text}" for name, (_, text) in fixes.items() if name not in good))


class MoreBugs(Bugs):
    SOURCE, COUNT, LINES, FIXES = MESSAGES / "more.bpf.c", 24, 22, 16


if __name__ == "__main__":
    unittest.main(argv=[a for a in sys.argv if a != "--update"])
