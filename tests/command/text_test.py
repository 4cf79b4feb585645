# SPDX-License-Identifier: Apache-2.0
"""`skep disasm` and `skep asm` from outside: what one prints the other takes, and the loaded code is the same."""
import glob
import json
import os
import subprocess
import tempfile
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split(" ") if " " in os.environ["SKEP_COMMAND"] else os.environ["SKEP_COMMAND"].split(";")
BINARY_DIR = os.environ["SKEP_BINARY_DIR"]
OBJECTS = sorted(glob.glob(BINARY_DIR + "/tests/objects/*.o"))
BASICS = BINARY_DIR + "/tests/objects/basics.o"


def skep(*words, **more):
    return subprocess.run(COMMAND + list(words), capture_output=True, text=True, **more)


class Text(unittest.TestCase):
    def test_what_disasm_prints_asm_takes(self):
        programs = 0
        for path in OBJECTS:
            out = skep("disasm", path, "--json")
            self.assertIn(out.returncode, (0, 3), (path, out.stderr))
            for program in json.loads(out.stdout):
                if "error" in program:
                    continue
                programs += 1
                source = []
                for insn in program["insns"]:
                    if "label" in insn:
                        source.append(insn["label"] + ":")
                    source.append(insn["text"])
                again = skep("asm", "-", "--json", input="\n".join(source) + "\n")
                self.assertEqual(again.returncode, 0, (path, program["program"], again.stdout))
                self.assertEqual(json.loads(again.stdout)["slots"], program["functions"][-1]["end"], path)
        self.assertGreater(programs, 20)

    def test_the_listing_names_sources_maps_helpers_and_functions(self):
        out = skep("disasm", BASICS, "--program", "first")
        self.assertEqual(out.returncode, 0, out.stderr)
        for part in ("first: section \"xdp\"", "; tests/objects/basics.bpf.c:46", "; map flows", "; map_lookup_elem",
                     "; function count_up", "<add_hidden>", "add_hidden:"):
            self.assertIn(part, out.stdout)

    def test_a_program_that_cannot_be_linked_does_not_hide_the_others(self):
        out = skep("disasm", BASICS)
        self.assertEqual(out.returncode, 3)
        self.assertIn("holds addresses", out.stderr)
        self.assertIn("first: section", out.stdout)
        self.assertIn("second: section", out.stdout)

    def test_helpers_have_the_names_of_the_system_that_any_evidence_tells(self):
        with open(BINARY_DIR + "/tests/objects/windows.o", "rb") as file:
            marked = file.read()
        with tempfile.TemporaryDirectory(prefix="skep-disasm-", dir=BINARY_DIR) as folder:
            for name, contents in (("marked.o", marked), ("unmarked.o", marked.replace(b".ebpf_for_windows", b".xbpf_for_windows"))):
                with open(folder + "/" + name, "wb") as file:
                    file.write(contents)
                out = skep("disasm", folder + "/" + name, "--program", "strings")
                self.assertEqual(out.returncode, 0, out.stderr)
                self.assertRegex(out.stdout, r"call 0x1c +; strncat_s\n", name)

    def test_numbers_that_belong_to_a_program_type_have_its_words(self):
        # From ebpf_nethooks.h and ebpf_ntos_hooks.h: 0x10000 is another helper in each of these.
        hooks = BINARY_DIR + "/tests/objects/windows_hooks.o"
        rows = [
            (hooks, "processes", (), {"0x10000": "process_get_image_path", "0x10001": "process_get_account_name"}),
            (hooks, "connections", (), {"0x10000": "sock_ops_get_flow_id", "0x1a": "get_socket_cookie"}),
            (hooks, "connects6", (), {"0x10001": "sock_addr_set_redirect_context"}),
            # A type that is asked for goes before the section's; Linux has no such numbers.
            (hooks, "connections", ("--type", "cgroup_sock_addr"), {"0x10000": "sock_addr_get_current_pid_tgid"}),
            (hooks, "connections", ("--type", "process"), {"0x10000": "process_get_image_path"}),
            (hooks, "connections", ("--type", "xdp"), {"0x10000": "xdp_adjust_head"}),
            (hooks, "connections", ("--type", "bind"), {"0x10000": None, "0x1a": "get_socket_cookie"}),
            (hooks, "connections", ("--personality", "linux"), {"0x10000": None, "0x1a": "skb_load_bytes", "0x1": "map_lookup_elem"}),
        ]
        for path, program, words, expected in rows:
            out = skep("disasm", path, "--program", program, "--json", *words)
            self.assertEqual(out.returncode, 0, out.stderr)
            found = {i["text"].split()[1]: i.get("refers_to") for p in json.loads(out.stdout) for i in p["insns"] if i["text"].startswith("call 0x")}
            for number, name in expected.items():
                self.assertEqual(found[number], name, (program, words, number))
        self.assertEqual(skep("disasm", hooks, "--type", "qdp").returncode, 2)

    def test_an_unknown_program_is_an_error(self):
        out = skep("disasm", BASICS, "--program", "nobody")
        self.assertEqual(out.returncode, 4)
        self.assertIn('there is no program "nobody"', out.stderr)

    def test_asm_writes_eight_bytes_a_slot_in_either_dialect(self):
        with tempfile.TemporaryDirectory(prefix="skep-asm-", dir=BINARY_DIR) as folder:
            target = os.path.join(folder, "out.bin")
            rows = [("canonical", "r0 = 1\nexit\n"), ("conformance", "mov %r0, 1\nexit\n")]
            for dialect, text in rows:
                out = skep("asm", "-", "-o", target, "--dialect", dialect, input=text)
                self.assertEqual((out.returncode, out.stdout), (0, ""), out.stderr)
                with open(target, "rb") as file:
                    self.assertEqual(file.read().hex(), "b700000001000000" "9500000000000000")
        self.assertEqual(skep("asm", "-", input="exit\n").stdout, "95 00 00 00 00 00 00 00\n")

    def test_a_mistake_is_shown_with_its_line_and_place(self):
        out = skep("asm", "-", input="r0 = 1\nr0 = = 2\nexit\n")
        self.assertEqual((out.returncode, out.stdout), (4, ""))
        self.assertIn("line 2, column 6", out.stderr)
        self.assertIn("2 | r0 = = 2", out.stderr)
        self.assertIn("|      ^", out.stderr)


if __name__ == "__main__":
    unittest.main()
