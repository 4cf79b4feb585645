#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/standard/verifier-expectations.md: numbered sentences of what must or should hold, each with tests that exist."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/standard/verifier-expectations.md"


def sentences(text):
    return [(match[1], match[2], match[3]) for match in re.finditer(r"^(\d+\.\d+)\. (.*?) Tests: (.*)$", text, re.MULTILINE)]


def missing(tests, folder):
    """What the links of one sentence name and is not there."""
    out = []
    links = re.findall(r"\[([^\]]+)\]\(([^)]+)\)", tests)
    if not links:
        out.append("no test")
    for name, target in links:
        path = (folder / target).resolve()
        if not path.is_file():
            out.append(target)
            continue
        text = path.read_text()
        if re.fullmatch(r"V\d{4}", name):  # a page whose programs are run
            if path.name != name + ".md" or "## Refused" not in text:
                out.append(name)
        elif path.suffix == ".cases":
            if name != path.name or "case:" not in text:
                out.append(name)
        elif re.fullmatch(r"\w+\.\w+", name) and name != path.name:
            suite, test = name.split(".")
            if not re.search(rf"TEST(_F|_P)?\({suite}, {test}\)", text):
                out.append(name)
        elif name != path.name:
            out.append(name)
    return out


class Expectations(unittest.TestCase):
    def test_every_sentence_has_a_number_a_word_of_rfc_2119_and_tests_that_exist(self):
        text = PAGE.read_text()
        found = sentences(text)
        self.assertGreater(len(found), 50)
        self.assertEqual(len(re.findall(r"^\d+\.\d+\.", text, re.MULTILINE)), len(found))
        for number, sentence, tests in found:
            with self.subTest(number):
                self.assertRegex(sentence, r"\b(MUST|SHOULD)\b")
                self.assertEqual([], missing(tests, PAGE.parent))

    def test_numbers_count_without_gap(self):
        section, last = 0, 0
        for number, _, _ in sentences(PAGE.read_text()):
            chapter, place = map(int, number.split("."))
            self.assertIn((chapter, place), [(section, last + 1), (section + 1, 1)])
            section, last = chapter, place

    def test_a_link_to_nothing_is_noticed(self):
        folder = PAGE.parent
        self.assertEqual(["no test"], missing("", folder))
        self.assertEqual(["../verifier/V9999.md"], missing("[V9999](../verifier/V9999.md)", folder))
        self.assertEqual(["Alu.Nothing"], missing("[Alu.Nothing](../../src/verifier/num/alu_test.cpp)", folder))
        self.assertEqual(["V0001"], missing("[V0001](../verifier/V0002.md)", folder))


if __name__ == "__main__":
    unittest.main()
