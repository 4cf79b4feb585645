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

    def test_a_platform_that_is_asked_for_twice_is_one_column(self):
        _, report = check("helpers.o", "--program", "moves", "--platform", "linux-6.1,skep,linux-6.1")
        self.assertEqual([p["name"] for p in report["programs"][0]["platforms"]], ["linux-6.1", "skep"])
        out = skep("check", OBJECTS / "helpers.o", "--markdown", "--json")
        self.assertEqual((out.returncode, "two ways" in out.stdout), (2, True), out.stdout)

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
        # get_current_uid_gid would be near, but no xdp program of 6.12 may call it.
        self.assertIsNone(lacks["helper is_current_admin"]["nearest"])
        self.assertEqual(missing(report, "strings", "skep"), {})

    def test_kernel_functions_and_programs_without_a_hook_are_told(self):
        _, report = check("externs.o", "--platform", "linux-6.12,skep")
        kinds = {m for p in report["programs"] for q in p["platforms"] if q["name"] == "skep" for m in
                 [x["what"] for x in q["missing"]]}
        self.assertTrue(any("kernel" in kind for kind in kinds) or any("program type" in kind for kind in kinds), kinds)

    def test_a_verdict_that_a_system_has_not_is_told_with_what_it_becomes(self):
        code, report = check("check.o", "--program", "gives_up", "--platform", "linux-5.4,windows-ebpf-1.6,skep")
        self.assertEqual(code, 0)
        platforms = {p["name"]: p["replaced"] for p in report["programs"][0]["platforms"]}
        self.assertEqual((platforms["linux-5.4"], platforms["skep"]), ([], []))
        told, = platforms["windows-ebpf-1.6"]
        self.assertEqual((told["what"], told["becomes"]), ("verdict aborted", "drop"))
        self.assertIn("no exception is reported", told["different"])
        self.assertEqual(told["at"][0]["file"], "tests/objects/check.bpf.c")
        text = skep("check", OBJECTS / "check.o", "--program", "gives_up", "--platform", "windows-ebpf-1.6").stdout
        self.assertIn("gives_up says aborted where windows-ebpf-1.6 has no such verdict: it becomes drop", text)

    def test_a_verdict_whose_effect_no_other_has_is_missing(self):
        code, report = check("windows_hooks.o", "--program", "connects6", "--platform", "linux-6.12,windows-ebpf-1.6,skep")
        self.assertEqual((code, fits(report, "connects6")),
                         (1, {"linux-6.12": "cannot", "windows-ebpf-1.6": "runs", "skep": "runs_after_binding"}))
        hard = missing(report, "connects6", "linux-6.12")["verdict proceed_hard"]
        self.assertTrue(hard["nearest"].startswith("proceed: "), hard)
        self.assertEqual(self.source("windows_hooks.bpf.c", hard["at"][0]["line"]).count("BPF_SOCK_ADDR_VERDICT_PROCEED_HARD"), 1)

        # A number that arithmetic makes is not followed, and that is said.
        _, report = check("windows_verdicts.o", "--platform", "linux-6.12")
        notes = {p["name"]: p["not_looked_at"] for p in report["programs"]}
        for program, count in (("binds", 1), ("connects", 1), ("replies", 0)):
            self.assertEqual(len(notes[program]), count, (program, notes[program]))
            for note in notes[program]:
                self.assertIn("whether it is proceed_hard, which only eBPF for Windows has", note)
        _, report = check("windows_connect.o", "--platform", "linux-6.12")
        self.assertEqual([note for p in report["programs"] for note in p["not_looked_at"]], [], "constants all")
        # Linux has no verdict of its own there, and xdp's aborted has one that does the same.
        _, report = check("connect.o", "--platform", "windows-ebpf-1.6")
        self.assertEqual([note for p in report["programs"] for note in p["not_looked_at"]], [])

    def source(self, name, line):
        return (pathlib.Path(__file__).resolve().parents[1] / "objects" / name).read_text().splitlines()[line - 1]

    def test_a_verdict_is_found_wherever_it_comes_from(self):
        _, report = check("check.o", "--platform", "windows-ebpf-1.6")
        said = {p["name"]: [self.source("check.bpf.c", site["line"]) for told in p["platforms"][0]["replaced"] for site in told["at"]]
                for p in report["programs"]}
        # The compiler puts a constant where it likes: what its line says is told of two only.
        for program, part in (("gives_up", ""), ("keeps", ""), ("asks", "? XDP_ABORTED"),
                              ("misses", "bpf_redirect_map(&sockets, ctx->ingress_ifindex, 0)")):
            self.assertEqual(len(said[program]), 1, (program, said[program]))
            self.assertIn(part, said[program][0], program)
        for program in ("plain", "falls_back", "never", "by_release"):
            self.assertEqual(said[program], [], program)

    def test_code_behind_what_a_platform_lacks_is_not_needed_there(self):
        platforms = "linux-5.4,linux-5.10,linux-5.15,linux-6.1,windows-ebpf-1.6,skep"
        _, report = check("check.o", "--platform", platforms)

        def lacks(program, platform):
            return [m for m in missing(report, program, platform) if "CO-RE" not in m and "configuration" not in m]

        rows = [  # what is missing on linux-5.4, 5.10, 5.15, 6.1, Windows, skep
            ("guarded", [[], [], [], [], [], []]),  # by enum bpf_func_id and by the field
            ("unguarded", [["field egress_ifindex of struct xdp_md"], [], [], [], ["field egress_ifindex of struct xdp_md"], []]),
            ("by_release", [[], [], [], [], ["helper xdp_load_bytes"], []]),  # Windows tells no release
            ("either_way", 3 * [["helper xdp_load_bytes", "helper xdp_get_buff_len"]] + [[], ["helper xdp_get_buff_len"], []]),
        ]
        for program, expected in rows:
            for platform, wanted in zip(platforms.split(","), expected):
                self.assertEqual(lacks(program, platform), wanted, (program, platform))
        found = missing(report, "unguarded", "linux-5.4")["field egress_ifindex of struct xdp_md"]
        self.assertEqual((found["since"], found["places"], found["at"][0]["line"]), ("Linux 5.8", 1, 83))
        notes = {p["name"]: p["not_looked_at"] for p in report["programs"]}
        self.assertIn("struct nowhere___yet", notes["either_way"][0])
        self.assertIn("struct task_struct", notes["task"][0])
        self.assertNotIn("windows", notes["task"][0], "it has no kernel's structures at all")
        self.assertEqual(notes["guarded"] + notes["unguarded"] + notes["by_release"], [])
        self.assertIn("field pid of struct task_struct", missing(report, "task", "windows-ebpf-1.6"))

    def test_who_may_call_a_helper_counts(self):
        platforms = "linux-5.4,linux-5.15,linux-6.12"
        rows = [
            ("knows_result", ["cannot", "cannot", "runs"], None),
            ("learns_no_result", ["cannot", "cannot", "cannot"], "not for programs attached to cgroup_inet4_getpeername"),
            ("names_netns", ["cannot", "cannot", "cannot"], "not for sched_cls programs"),
            ("may_name_netns", ["cannot", "runs", "runs"], None),
        ]
        _, report = check("check.o", "--platform", platforms)
        for program, expected, why in rows:
            self.assertEqual(list(fits(report, program).values()), expected, program)
            if why:
                lacks, = missing(report, program, "linux-6.12").values()
                self.assertIn(why, lacks["nearest"])

    def test_a_kernels_own_types_decide_what_no_table_has(self):
        with tempfile.TemporaryDirectory() as folder:
            # A kernel of which nothing is known but its contexts: no struct of it, and no field that 5.4 had not.
            path = os.path.join(folder, "types.btf")
            self.assertEqual(skep("platform", "types", "linux-5.4", "-o", path).returncode, 0)
            _, report = check("check.o", "--platform", "linux-6.1,windows-ebpf-1.6", "--btf", path)
            self.assertIn("field pid of struct task_struct", missing(report, "task", "linux-6.1"))
            self.assertIn("field egress_ifindex of struct xdp_md", missing(report, "unguarded", "linux-6.1"))
            self.assertEqual(missing(report, "guarded", "linux-6.1"), {})
            self.assertEqual([p["not_looked_at"] for p in report["programs"]], [[]] * len(report["programs"]))
            out = skep("check", OBJECTS / "check.o", "--btf", os.path.join(folder, "none.btf"))
            self.assertEqual(out.returncode, 4)
            self.assertIn("none.btf", out.stderr)

    def test_both_systems_layouts_of_one_context(self):
        for personality, lacks in (("linux", {"windows-ebpf-1.6": True}), ("windows", {"windows-ebpf-1.6": True, "skep": True})):
            _, report = check("core_context.o", "--personality", personality, "--platform", "linux-5.4,windows-ebpf-1.6,skep")
            for platform in ("linux-5.4", "windows-ebpf-1.6", "skep"):
                self.assertNotIn("field rx_queue_index of struct xdp_md", missing(report, "adapts", platform), "it asks first")
                names = [m.split()[1] for m in missing(report, "insists", platform) if m.startswith("field")]
                self.assertEqual(names, ["rx_queue_index"] if platform in lacks else [], (personality, platform))

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

    def test_the_schema_says_what_the_reader_takes(self):
        def valid(value, rule):
            """As much of JSON Schema as the file uses."""
            kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
            names = rule.get("type", [])
            names = [names] if isinstance(names, str) else names
            if names and not any(isinstance(value, kinds[n]) and (n != "integer" or not isinstance(value, bool)) for n in names):
                return False
            if isinstance(value, str) and len(value) < rule.get("minLength", 0):
                return False
            if isinstance(value, int) and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
                return False
            if isinstance(value, list):
                return all(valid(v, rule.get("items", {})) for v in value)
            if isinstance(value, dict):
                known, more = rule.get("properties", {}), rule.get("additionalProperties", True)
                return set(rule.get("required", [])) <= value.keys() and all(
                    valid(v, known[k]) if k in known else bool(more) and (more is True or valid(v, more)) for k, v in value.items())
            return True

        schema = json.loads((pathlib.Path(__file__).resolve().parents[2] / "docs/platforms/platform.schema.json").read_text())
        whole = {"name": "v", "extends": "linux-5.15", "title": "t", "source": "s", "helpers": [{"name": "mine", "number": 900, "types": ["xdp"]}],
                 "maps": ["arena"], "kfuncs": ["bpf_mine"], "kconfig": {"CONFIG_HZ": 100, "CONFIG_A": "m", "CONFIG_B": True},
                 "without": {"helpers": ["map_lookup_elem"], "maps": ["hash"]}}
        self.assertEqual(set(whole), set(schema["properties"]))
        rows = [whole, {"name": "v", "extends": "skep"}, {"extends": "skep"}, {"name": "", "extends": "skep"}, {**whole, "helper": []},
                {**whole, "helpers": [{"name": "x"}]}, {**whole, "helpers": [{"name": "x", "number": 0}]}, {**whole, "helpers": {}},
                {**whole, "helpers": [{"name": "x", "number": 5000000000}]}, {**whole, "helpers": [{"name": "x", "number": 901, "id": 1}]},
                {**whole, "maps": "hash"}, {**whole, "kfuncs": [""]}, {**whole, "kconfig": {"A": [1]}}, {**whole, "kconfig": []},
                {**whole, "without": {"kfuncs": []}}, {**whole, "without": []}, [], "text"]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "platform.json")
            for row in rows:
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(row, file)
                out = skep("platform", "show", row.get("name") or "skep" if isinstance(row, dict) else "skep", "--platform-file", path, "--json")
                self.assertEqual(out.returncode == 0, valid(row, schema), (row, out.stdout))

    def test_what_is_asked_wrongly_is_said(self):
        rows = [
            (("check", OBJECTS / "check.o", "--platform", "linux-7.0"), 2, 'no platform "linux-7.0"'),
            (("check", OBJECTS / "check.o", "--program", "none"), 4, 'no program "none"'),
            (("check", OBJECTS / "check.o", "--type", "qdp"), 2, "qdp"),
            (("platform", "show"), 2, "takes one name"),
            (("platform", "diff", "skep"), 2, "takes two names"),
            (("platform", "paint"), 2, "list, show, diff and types"),
        ]
        for words, code, message in rows:
            out = skep(*words)
            self.assertEqual(out.returncode, code, (words, out.stderr))
            self.assertIn(message, out.stderr)


class Platform(unittest.TestCase):
    def test_skep_lists_every_program_type_that_it_runs_with_both_systems_numbers(self):
        shown = json.loads(skep("platform", "show", "skep", "--json").stdout)
        types = {t["name"]: (t["number"], t["windows_number"]) for t in shown["program_types"]}
        self.assertEqual(types, {"socket_filter": (1, None), "sched_cls": (3, None), "sched_act": (4, None), "xdp": (6, 1),
                                 "sock_ops": (13, 4), "cgroup_sock_addr": (18, 3), "bind": (None, 2), "process": (None, 6)})
        helpers = {h["name"]: h for h in shown["helpers"]}
        rows = [
            ("get_socket_cookie", 46, 26, set(types)),
            ("xdp_adjust_head", 44, 0x10000, {"xdp"}),
            ("sock_ops_get_flow_id", None, 0x10000, {"sock_ops"}),
            ("process_get_account_domain", None, 0x10002, {"process"}),
            ("skb_load_bytes", 26, None, {"socket_filter", "sched_cls", "sched_act"}),
            ("redirect_map", 51, 35, {"xdp", "sock_ops", "cgroup_sock_addr", "bind", "process"}),
        ]
        for name, linux, windows, users in rows:
            helper = helpers[name]
            self.assertEqual((helper["number"], helper["windows_number"], set(helper["types"])), (linux, windows, users), name)
        fields = {(f["struct"], f["name"]) for f in shown["fields"]}
        for structure, name in (("struct bpf_sock_addr", "user_ip4"), ("struct bpf_sock_ops", "remote_port"), ("bind_md_t", "process_id"),
                                ("process_md_t", "token_sid"), ("bpf_sock_ops_t", "interface_luid")):
            self.assertIn((structure, name), fields)
        # Nothing stands behind a socket that is never null, and no program here gets a bpf_sock.
        self.assertNotIn(("struct bpf_sock_addr", "sk"), fields)
        self.assertFalse([f for f in fields if f[0] == "struct bpf_sock"])
        linux = json.loads(skep("platform", "show", "linux-6.12", "--json").stdout)
        self.assertNotIn("windows_number", linux["helpers"][0])

    def test_types_are_those_of_the_release(self):
        with tempfile.TemporaryDirectory() as folder:
            def size_and_text(name):
                path = os.path.join(folder, "types.btf")
                self.assertEqual(skep("platform", "types", name, "-o", path).returncode, 0)
                with open(path, "rb") as file:
                    return file.read()
            older, newer, windows = map(size_and_text, ("linux-5.4", "linux-6.12", "windows-ebpf-1.6"))
            self.assertNotIn(b"egress_ifindex", older)
            self.assertIn(b"egress_ifindex", newer)
            self.assertNotIn(b"BPF_FUNC_xdp_load_bytes", older)
            self.assertIn(b"BPF_FUNC_xdp_load_bytes", newer)
            self.assertIn(b"BPF_MAP_TYPE_LRU_PERCPU_HASH", older)
            self.assertNotIn(b"BPF_FUNC_", windows)

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
            # What a release says of itself is another number in each.
            self.assertTrue(all(row["name"].startswith("kernel configuration ") for row in diff["different"]), diff["different"])
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
