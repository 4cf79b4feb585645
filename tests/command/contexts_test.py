#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs about addresses (cgroup/connect4, connect6) over contexts from a file: the same source compiled for both systems, and each object translated to the other one, say and write the same."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
OBJECTS = BINARY_DIR / "tests/objects"
CAPTURE = pathlib.Path(__file__).resolve().parent.parent.parent / "examples/traffic/office.pcap"
INET, INET6 = 2, 10
# Port numbers as in the packet: big-endian, in the lower half of the 32-bit field.
CONNECT4 = [
    ({"user_family": INET, "user_ip4": "0a 00 00 01", "user_port": "00 19 00 00"}, "proceed", {}),
    ({"user_family": INET, "user_ip4": "0a 00 00 02", "user_port": "00 19 00 00"}, "reject", {}),
    ({"user_family": INET, "user_ip4": "0a 00 00 02", "user_port": "1f 90 00 00"}, "proceed", {"user_port": "00 50 00 00"}),
    ({"user_family": INET6, "user_ip4": "0a 00 00 02", "user_port": "00 50 00 00"}, "reject", {}),
    ({}, "reject", {}),
]
ONE = "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01"
CONNECT6 = [
    ({"user_family": 10, "user_ip6": ONE, "protocol": 6}, "proceed", {}),
    ({"user_family": 2, "user_ip6": ONE, "protocol": 6}, "reject", {}),
    ({"user_family": 10, "user_ip6": ONE, "protocol": 17}, "reject", {}),
    ({"user_family": 10, "user_ip6": ONE.replace("01", "02"), "protocol": 6}, "reject", {}),
    ({"user_family": 10, "user_ip6": "ff" + ONE[2:], "protocol": 6}, "reject", {}),
]


# Linux' numbers: the local port in host byte order, the remote one in the upper half.
PORTS = [
    ({"family": 10, "local_port": 80, "remote_port": 0xbb010000}, 1),
    ({"family": 2, "local_port": 80, "remote_port": 0xbb010000}, 0),
    ({"family": 10, "local_port": 0x5000, "remote_port": 0xbb010000}, 0),
    ({"family": 10, "local_port": 80, "remote_port": 0x01bb}, 0),
]
# A socket's name, and one that a context without it gets: 1, 2, ..., but none that is taken.
SOCKETS = [
    ({"socket_cookie": 0x500000007}, "proceed"),
    ({"socket_cookie": 7}, "reject"),
    ({"socket_cookie": 0xffffffff00000007}, "reject"),
    ({"socket_cookie": 0x500000007}, "proceed"),
    ({}, "reject"),
]
NAMES = [({}, 2), ({"socket_cookie": 1}, 1), ({}, 4), ({"socket_cookie": 3}, 3), ({"socket_cookie": 0x123456789abcdef0}, 0x9abcdef0), ({}, 5)]
ME = "00 00 00 00 00 00 00 00 00 00 ff ff 7f 00 00 01"
AWAY = "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02"
# Programs of windows_hooks.o: context in canonical fields, verdict, what changed, what the program saw (0 is not listed).
HOOKS = [
    ("binds", {"app_id": "svc", "socket_address": "02 00 00 50" + 12 * " 00", "socket_address_length": 16, "process_id": 4, "protocol": 6},
     "permit_hard", {}, {0: ord("s"), 1: 16, 3: 6}),
    ("binds", {"socket_address": "02 00 00 50" + 12 * " 00", "process_id": 5}, "deny", {}, {}),
    ("binds", {"socket_address": "02 00 1f 90" + 12 * " 00", "process_id": 5}, "redirect",
     {"socket_address": "02 00 00 50" + 12 * " 00"}, {}),
    ("binds", {"socket_address": "02 00 1f 91" + 12 * " 00", "process_id": 5}, "permit", {}, {}),
    ("binds", {"socket_address": "02 00 00 50" + 12 * " 00", "process_id": 5, "operation": 2}, "permit", {}, {2: 2}),
    ("processes", {"command": "xyz", "process_id": 7, "parent_process_id": 8, "creating_process_id": 9, "creating_thread_id": 10,
                   "creation_time": 11, "token_sid_size": 68, "token_sid": 67 * "00 " + "44", "image_path": "C:/x",
                   "account_name": "root"},
     "allow", {}, {0: 7, 1: 8, 2: 9, 3: 10, 4: 11, 7: 68, 8: 0x44, 9: 8, 10: ord("C")}),
    ("processes", {"command": "xyz", "account_name": "mary"}, "refuse", {}, {9: -7}),
    ("processes", {"command": "y", "image_path": "a path of more than 16 characters"}, "allow", {}, {9: -24}),
    ("processes", {"command": "xyz", "operation": 1, "exit_time": 5, "exit_code": 6}, "allow", {}, {5: 5, 6: 6, 9: -7}),
    ("connections", {"op": 4, "family": 2, "local_ip4": "7f 00 00 01", "local_port": 80, "remote_ip4": "0a 00 00 02",
                     "remote_port": 0x1f900000, "protocol": 6, "compartment_id": 3, "interface_luid": 4, "flow_id": 5,
                     "socket_cookie": 1 << 63},
     "reply", {}, {1: 2, 2: 0x0100007f, 4: 0x5000, 5: 0x0200000a, 7: 0x1f90, 8: 6, 9: 3, 10: 4, 11: 5, 12: -(1 << 63)}),
    ("connections", {"op": 5, "family": 10, "local_ip4": "01 01 01 01", "local_ip6": ME, "remote_ip6": AWAY}, "reply", {},
     {0: 1, 1: 23, 3: 0x0100007f, 5: 0xb80d0120, 6: 0x02000000, 12: 1}),
    ("connections", {"op": 10, "family": 2}, "reply", {}, {0: 2, 1: 2, 12: 1}),
    ("connects6", {"user_family": 10, "user_ip6": ME, "msg_src_ip6": AWAY, "msg_src_port": 0x3930, "user_port": 0x5000, "protocol": 6,
                   "compartment_id": 1, "interface_luid": 1 << 40},
     "proceed_hard", {}, {0: 23, 1: 0x02000000, 2: 0x3930, 4: 0x0100007f, 5: 0x5000, 6: 6, 7: 1, 8: 1 << 40}),
    ("connects6", {"user_family": 10, "user_ip6": AWAY}, "reject", {}, {0: 23, 3: 0xb80d0120, 4: 0x02000000}),
    ("connects6", {"user_ip6": AWAY, "user_port": 0x901f}, "proceed",
     {"user_ip6": AWAY[:-11] + "00 00 00 01", "user_port": "00 50 00 00", "redirect_context": "1f 90"},
     {3: 0xb80d0120, 4: 0x02000000, 5: 0x901f}),
    ("accepts4", {"user_family": 2, "msg_src_ip4": 9, "user_ip4": "7f 00 00 01"}, "proceed", {}, {0: 2, 1: 9, 2: 0x0100007f, 3: 1}),
    ("accepts4", {"user_family": 2, "user_ip4": "7f 00 00 02"}, "reject", {}, {0: 2, 2: 0x0200007f, 3: 1}),
]


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


class Contexts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-contexts-", dir=BINARY_DIR)

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_over(self, path, program, contexts, *more, verified=False):
        with open(self.path("contexts.json"), "w") as file:
            json.dump(contexts, file)
        return skep("run", path, "--program", program, "--contexts", self.path("contexts.json"), "--deterministic", "1", "--json",
                    *([] if verified else ["--unverified"]), *more)

    def test_both_systems_and_both_translations_agree(self):
        facts = json.loads(skep("doctor", "--json").stdout)
        engines = [name for name, key in (("interp", "interpreter"), ("jit", "jit")) if facts[key]["present"]]
        objects = [OBJECTS / "connect.o", OBJECTS / "windows_connect.o"]
        for source, system in ((objects[0], "windows"), (objects[1], "linux")):
            out = skep("translate", source, "--to", system, "-o", self.path(system + ".o"))
            self.assertEqual(out.returncode, 0, out.stderr)
            objects.append(self.path(system + ".o"))
        for path in objects:
            for engine in engines:
                for program, rows in (("connect4", CONNECT4), ("connect6", CONNECT6)):
                    out = self.run_over(path, program, [row[0] for row in rows], "--engine", engine)
                    self.assertEqual(out.returncode, 0, (path, out.stdout + out.stderr))
                    got = [(c["verdict"], c["changed"]) for c in json.loads(out.stdout)["contexts"]]
                    self.assertEqual(got, [(row[1], row[2]) for row in rows], (path, program, engine))
                out = self.run_over(path, "ports", [row[0] for row in PORTS], "--engine", engine)
                self.assertEqual(out.returncode, 0, (path, out.stdout + out.stderr))
                self.assertEqual([c["r0"] for c in json.loads(out.stdout)["contexts"]], [row[1] for row in PORTS], (path, engine))
                out = self.run_over(path, "one_socket", [row[0] for row in SOCKETS], "--engine", engine)
                self.assertEqual([c["verdict"] for c in json.loads(out.stdout)["contexts"]], [row[1] for row in SOCKETS], (path, engine))
                out = self.run_over(path, "socket_name", [row[0] for row in NAMES], "--engine", engine)
                # Linux' loader takes no other answers of sockops than 0 and 1: what is translated for it gives no other.
                told = [min(row[1], 1) if path == self.path("linux.o") else row[1] for row in NAMES]
                self.assertEqual([c["r0"] & 0xffffffff for c in json.loads(out.stdout)["contexts"]], told, (path, engine))

    def test_a_program_as_the_guide_has_it_compiled_with_either_header(self):
        udp = {"protocol": 17, "user_ip4": "0a 00 00 02", "user_port": "00 35 00 00"}
        rows = [udp, {**udp, "user_ip4": "0a 00 00 01"}, udp, {**udp, "user_port": "00 36 00 00"}, {**udp, "protocol": 6}]
        with open(self.path("contexts.json"), "w") as file:
            json.dump(rows, file)
        for name, system in (("noted.o", "linux"), ("windows_noted.o", "windows")):
            self.assertEqual(json.loads(skep("inspect", OBJECTS / name, "--json").stdout)["personality"], system)
            words = ("run", OBJECTS / name, "--contexts", self.path("contexts.json"), "--deterministic", "1")  # its only program
            report = json.loads(skep(*words, "--json").stdout)
            self.assertEqual([c["verdict"] for c in report["contexts"]], ["reject", "proceed", "reject", "proceed", "proceed"], name)
            self.assertEqual(report["maps"][0]["entries"], [{"key": 0x0200000a, "value": 2}], name)
            fits = {p["name"]: p["fit"] for p in json.loads(skep("check", OBJECTS / name, "--json").stdout)["programs"][0]["platforms"]}
            self.assertEqual([fits["linux-6.12"], fits["windows-ebpf-1.6"], fits["skep"]],
                             ["runs", "runs_after_binding", "runs"] if system == "linux" else ["runs_after_binding", "runs", "runs_after_binding"])

    @unittest.skipUnless(len(COMMAND) == 1 and BINARY_DIR.name != "windows", "modules are built where a C compiler is")
    def test_native_modules_run_over_contexts_too(self):
        for name, program, rows in (("noted.o", "names", [{"protocol": 17, "user_port": "00 35 00 00"}, {"protocol": 6}]),
                                    ("connect.o", "connect4", [row[0] for row in CONNECT4]),
                                    ("windows_connect.o", "connect6", [row[0] for row in CONNECT6]),
                                    ("windows_connect.o", "ports", [row[0] for row in PORTS]),
                                    ("windows_hooks.o", "processes", [row[1] for row in HOOKS if row[0] == "processes"])):
            module = self.path(name + ".so")
            made = skep("compile", OBJECTS / name, "--program", program, "-o", module)
            if made.returncode == 4 and "no C compiler" in made.stderr:
                self.skipTest(made.stderr)
            self.assertEqual(made.returncode, 0, made.stderr)
            with open(self.path("contexts.json"), "w") as file:
                json.dump(rows, file)
            words = ("--program", program, "--contexts", self.path("contexts.json"), "--deterministic", "1", "--json")
            native, plain = skep("run", module, "--allow-unsigned", *words), skep("run", OBJECTS / name, *words)
            self.assertEqual(native.returncode, 0, (name, native.stdout))
            native, plain = json.loads(native.stdout), json.loads(plain.stdout)
            self.assertEqual(native.pop("engine"), "native")
            plain.pop("engine")
            self.assertEqual(native, plain, name)

    def test_what_a_run_prints_stands_by_its_context(self):
        asked = {"protocol": 17, "user_ip4": "0a 00 00 02", "user_port": "00 35 00 00"}
        with open(self.path("contexts.json"), "w") as file:
            json.dump([{}, asked], file)
        for name in ("noted_print.o", "windows_noted_print.o"):
            words = ("run", OBJECTS / name, "--contexts", self.path("contexts.json"))
            self.assertEqual(skep(*words).stdout, "0 proceed\n1 reject\n    asked a000002\n", name)
            report = json.loads(skep(*words, "--json").stdout)
            self.assertEqual([c["printed"] for c in report["contexts"]], [[], ["asked a000002"]], name)

    def test_which_program_runs_over_contexts(self):
        with open(self.path("contexts.json"), "w") as file:
            json.dump([{}], file)
        contexts = ("--contexts", self.path("contexts.json"))
        rows = [((OBJECTS / "connect.o", *contexts), 2, "several programs that can be run", "connect6 (cgroup/connect6)"),
                ((OBJECTS / "noted.o", "--pcap", CAPTURE), 4, "no program that a packet hook can run", "--contexts FILE"),
                ((OBJECTS / "noted.o", "--program", "names", "--pcap", CAPTURE), 4, "nothing here runs cgroup_sock_addr", "--contexts FILE"),
                ((BINARY_DIR / "examples/balancer.bpf.o", *contexts), 4, "no program that runs over contexts", "sock_addr")]
        for words, code, *parts in rows:
            out = skep("run", *words)
            self.assertEqual(out.returncode, code, out.stdout + out.stderr)
            for part in parts:
                self.assertIn(part, out.stderr)

    def test_programs_of_windows_own_types(self):
        facts = json.loads(skep("doctor", "--json").stdout)
        engines = [name for name, key in (("interp", "interpreter"), ("jit", "jit")) if facts[key]["present"]]
        for engine in engines:
            for program, context, verdict, changed, seen in HOOKS:
                out = self.run_over(OBJECTS / "windows_hooks.o", program, [context], "--engine", engine, verified=True)
                self.assertEqual(out.returncode, 0, (program, context, out.stdout + out.stderr))
                report = json.loads(out.stdout)
                said = report["contexts"][0]
                self.assertEqual((said["verdict"], said["changed"]), (verdict, changed), (program, context, engine))
                entries = next(m for m in report["maps"] if m["name"] == "seen")["entries"]
                got = {e["key"]: e["value"] - (1 << 64 if e["value"] >> 63 else 0) for e in entries}
                self.assertEqual(got, seen, (program, context, engine))

    def test_what_a_context_cannot_hold_is_said(self):
        rows = [
            ([{"user_ip5": 1}], 'no field'),
            ([{"user_ip4": "0a"}], "user_ip4"),
            ([{"socket_cookie": "0a"}], "socket_cookie"),
            ([7], "no object"),
            ({}, "list of contexts"),
        ]
        for contexts, message in rows:
            out = self.run_over(OBJECTS / "connect.o", "connect4", contexts)
            self.assertEqual(out.returncode, 2, contexts)
            self.assertIn(message, out.stdout, contexts)


if __name__ == "__main__":
    unittest.main()
