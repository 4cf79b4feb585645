#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`skep check` and `skep platform` from outside: what they say of objects of both systems, and how they say no."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
OBJECTS = pathlib.Path(os.environ["SKEP_BINARY_DIR"]) / "tests/objects"


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def check(name, *words):
    out = skep("check", OBJECTS / name, "--json", *words)
    return out.returncode, json.loads(out.stdout)


def fits(report, program):
    found = next(p for p in report["programs"] if p["name"] == program)
    return {p["name"]: p["fit"] for p in found["platforms"]}


def missing(report, program, platform):
    found = next(p for p in report["programs"] if p["name"] == program)
    return {m["what"]: m for m in next(p for p in found["platforms"] if p["name"] == platform)["missing"]}


class Check(unittest.TestCase):
    def test_a_newer_helper_is_missing_before_its_release_with_line_and_reason(self):
        code, report = check("helpers.o", "--program", "moves", "--platform", "linux-5.15,linux-6.1,skep")
        self.assertEqual(code, 1)
        self.assertEqual(fits(report, "moves"), {"linux-5.15": "cannot", "linux-6.1": "runs", "skep": "runs"})
        load = missing(report, "moves", "linux-5.15")["helper xdp_load_bytes"]
        self.assertEqual(load["since"], "Linux 5.18")
        self.assertIn("direct packet access", load["nearest"])
        self.assertEqual(load["at"][0]["file"], "tests/objects/helpers.bpf.c")
        source = (pathlib.Path(__file__).resolve().parents[1] / "objects/helpers.bpf.c").read_text().splitlines()
        for site in load["at"]:
            self.assertIn("load_bytes", source[site["line"] - 1])

    def test_exit_is_0_where_all_that_was_asked_can(self):
        code, report = check("helpers.o", "--program", "moves", "--platform", "linux-6.1")
        self.assertEqual(code, 0)
        self.assertEqual(missing(report, "moves", "linux-6.1"), {})

    def test_what_windows_lacks_is_named_with_what_is_near(self):
        code, report = check("check.o", "--program", "task", "--platform", "windows-ebpf-1.6")
        self.assertEqual(code, 1)
        lacks = missing(report, "task", "windows-ebpf-1.6")
        self.assertIn("get_current_process_start_key", lacks["helper get_current_task"]["nearest"])
        self.assertIn("field rx_queue_index of struct xdp_md", lacks)
        self.assertIn("CO-RE relocations", lacks)
        self.assertNotIn("helper map_lookup_elem", lacks)

    def test_numbers_of_the_other_system_need_binding_only(self):
        code, report = check("check.o", "--program", "plain", "--platform", "linux-5.4,windows-ebpf-1.6,skep")
        self.assertEqual(code, 0)
        self.assertEqual(fits(report, "plain"),
                         {"linux-5.4": "runs", "windows-ebpf-1.6": "runs_after_binding", "skep": "runs"})
        code, report = check("windows.o", "--program", "verdicts", "--platform", "linux-5.4,windows-ebpf-1.6,skep")
        self.assertEqual(code, 0)
        self.assertEqual(report["personality"], "windows")
        self.assertEqual(fits(report, "verdicts"),
                         {"linux-5.4": "runs_after_binding", "windows-ebpf-1.6": "runs", "skep": "runs_after_binding"})

    def test_helpers_that_only_windows_has_are_missing_on_linux(self):
        _, report = check("windows.o", "--program", "strings", "--platform", "linux-6.12,skep")
        lacks = missing(report, "strings", "linux-6.12")
        self.assertEqual(lacks["helper strncat_s"]["since"], "eBPF for Windows")
        self.assertIn("get_current_uid_gid", lacks["helper is_current_admin"]["nearest"])
        self.assertEqual(missing(report, "strings", "skep"), {})

    def test_kernel_functions_and_programs_without_a_hook_are_told(self):
        _, report = check("externs.o", "--platform", "linux-6.12,skep")
        kinds = {m for p in report["programs"] for q in p["platforms"] if q["name"] == "skep" for m in
                 [x["what"] for x in q["missing"]]}
        self.assertTrue(any("kernel" in kind for kind in kinds) or any("program type" in kind for kind in kinds), kinds)

    def test_text_and_markdown_say_the_same(self):
        words = ("--program", "moves", "--platform", "linux-5.15,linux-6.1")
        text = skep("check", OBJECTS / "helpers.o", *words).stdout
        self.assertIn("moves cannot run on linux-5.15", text)
        self.assertIn("helper xdp_load_bytes: since Linux 5.18", text)
        self.assertIn("helpers.bpf.c:", text)
        page = skep("check", OBJECTS / "helpers.o", "--markdown", *words).stdout
        self.assertIn("| moves | xdp | cannot | runs |", page)
        self.assertIn("helper xdp_load_bytes: since Linux 5.18", page)

    def test_a_platform_of_ones_own(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "vendor.json")

            def write(value):
                with open(path, "w") as file:
                    file.write(value if isinstance(value, str) else json.dumps(value))

            write({"name": "vendor-1", "extends": "windows-ebpf-1.6", "maps": ["devmap"],
                   "helpers": [{"name": "get_current_task", "number": 131072, "types": ["xdp"]}],
                   "without": {"helpers": ["map_lookup_elem"]}})
            code, report = check("check.o", "--program", "task", "--platform", "vendor-1", "--platform-file", path)
            self.assertEqual(code, 1)
            lacks = missing(report, "task", "vendor-1")
            self.assertNotIn("helper get_current_task", lacks)
            self.assertIn("helper map_lookup_elem", lacks)
            rows = [
                ("{", "not JSON"),
                ({"name": "x"}, "extends"),
                ({"name": "x", "extends": "nothing"}, 'no platform \\"nothing\\"'),
                ({"name": "skep", "extends": "skep"}, "is a platform already"),
                ({"name": "x", "extends": "skep", "helper": []}, "no such key"),
                ({"name": "x", "extends": "skep", "maps": ["hsah"]}, "maps[0]"),
                ({"name": "x", "extends": "skep", "helpers": [{"name": "y", "number": 0}]}, "helpers[0].number"),
                ({"name": "x", "extends": "skep", "helpers": [{"name": "y", "number": 1}]}, "map_lookup_elem has it"),
                ({"name": "x", "extends": "skep", "helpers": [{"name": "y", "number": 900, "types": ["qdp"]}]}, "qdp"),
                ({"name": "x", "extends": "skep", "without": {"maps": ["arena"]}}, "arena"),
            ]
            for value, message in rows:
                write(value)
                out = skep("platform", "show", "skep", "--platform-file", path, "--json")
                self.assertNotEqual(out.returncode, 0, value)
                self.assertIn(message, out.stdout, value)

    def test_what_is_asked_wrongly_is_said(self):
        rows = [
            (("check", OBJECTS / "check.o", "--platform", "linux-7.0"), 2, 'no platform "linux-7.0"'),
            (("check", OBJECTS / "check.o", "--program", "none"), 4, 'no program "none"'),
            (("check", OBJECTS / "check.o", "--type", "qdp"), 2, "qdp"),
            (("platform", "show"), 2, "takes one name"),
            (("platform", "diff", "skep"), 2, "takes two names"),
            (("platform", "paint"), 2, "list, show and diff"),
        ]
        for words, code, message in rows:
            out = skep(*words)
            self.assertEqual(out.returncode, code, (words, out.stderr))
            self.assertIn(message, out.stderr)


class Platform(unittest.TestCase):
    def test_every_platform_can_be_shown(self):
        names = [p["name"] for p in json.loads(skep("platform", "list", "--json").stdout)]
        self.assertEqual(names, ["linux-5.4", "linux-5.10", "linux-5.15", "linux-6.1", "linux-6.6", "linux-6.12",
                                 "windows-ebpf-1.6", "skep"])
        for name in names:
            shown = json.loads(skep("platform", "show", name, "--json").stdout)
            self.assertEqual(shown["name"], name)
            for part in ("program_types", "helpers", "map_types", "fields", "sections", "features"):
                self.assertTrue(shown[part], (name, part))

    def test_releases_only_grow(self):
        names = ["linux-5.4", "linux-5.10", "linux-5.15", "linux-6.1", "linux-6.6", "linux-6.12"]
        for older, newer in zip(names, names[1:]):
            out = skep("platform", "diff", older, newer, "--json")
            self.assertEqual(out.returncode, 1)
            diff = json.loads(out.stdout)
            self.assertEqual(diff["only_" + older], [], (older, newer))
            self.assertEqual(diff["different"], [])
            self.assertTrue(diff["only_" + newer])
        self.assertEqual(skep("platform", "diff", "skep", "skep").returncode, 0)

    def test_inspect_prints_the_evidence(self):
        report = json.loads(skep("inspect", OBJECTS / "windows.o", "--json").stdout)
        self.assertEqual(report["personality"], "windows")
        self.assertTrue(report["evidence"][0]["mark"])
        self.assertIn(".note.skep", report["evidence"][0]["what"])
        self.assertEqual(json.loads(skep("inspect", OBJECTS / "check.o", "--json").stdout)["personality"], "linux")


if __name__ == "__main__":
    unittest.main()
