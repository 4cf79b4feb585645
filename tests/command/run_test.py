# SPDX-License-Identifier: Apache-2.0
"""`skep run` from outside: what it counts, shows and writes, on every engine; and what it refuses."""
import json
import os
import struct
import subprocess
import tempfile
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = os.environ["SKEP_BINARY_DIR"]
OBJECT = BINARY_DIR + "/tests/objects/run.o"
GIVEN = BINARY_DIR + "/tests/objects/given.o"
ETHERNET, RAW = 1, 101
ENTRY = ["run", OBJECT, "--program", "entry", "--unverified"]


def skep(*words):
    return subprocess.run(COMMAND + list(words), capture_output=True, text=True)


def present(engine):
    """Whether this build and host can run programs on the engine; the doctor's word."""
    facts = json.loads(skep("doctor", "--json").stdout)
    return facts[{"interp": "interpreter", "jit": "jit", "kernel": "bpf(2)"}[engine]]["present"]


def frame(size, choice):
    return (bytes(range(12)) + b"\x08\x00" + bytes([choice]) + bytes(size))[:size]


def write_pcap(path, packets, link_type=ETHERNET):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link_type))
        for i, packet in enumerate(packets):
            file.write(struct.pack("<IIII", i, 0, len(packet), len(packet)) + packet)


def read_pcap(path):
    with open(path, "rb") as file:
        data, at, packets = file.read(), 24, []
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        packets.append(data[at + 16:at + 16 + size])
        at += 16 + size
    return packets


PACKETS = [frame(60, 0), frame(60, 1), frame(200, 2), frame(64, 3), frame(10, 0), frame(200, 0)]


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-run-", dir=BINARY_DIR)
        self.pcap = os.path.join(self.folder.name, "in.pcap")
        write_pcap(self.pcap, PACKETS)

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def result(self, *words, **more):
        out = skep(*ENTRY, "--pcap", self.pcap, "--json", "--deterministic", "1", *words, **more)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return json.loads(out.stdout)

    def check(self, engine):
        if not present(engine):
            self.skipTest(f"engine {engine} is not to be had here")
        got = self.result("--engine", engine)
        self.assertEqual(got["packets"], 5)
        self.assertEqual(got["left_out"], 1)
        self.assertEqual(got["verdicts"], {"drop": 1, "pass": 2, "tx": 1, "redirect": 1})
        maps = {m["name"]: m for m in got["maps"]}
        self.assertEqual(maps["totals"]["entries"],
                         [{"key": 0, "value": {"packets": 3, "bytes": 184}}, {"key": 1, "value": {"packets": 2, "bytes": 400}}])
        self.assertEqual([(e["key"], e["value"]["packets"], e["value"]["bytes"]) for e in maps["by_size"]["entries"]],
                         [(60, 2, 120), (64, 1, 64), (200, 2, 400)])
        self.assertEqual(got["globals"]["seen"], 5)
        self.assertEqual(got["globals"]["looped"], 15)
        events = {e["map"]: e for e in got["events"]}
        self.assertEqual(events["events"]["count"], 5)
        self.assertEqual(events["events"]["lost"], 0)
        self.assertEqual(events["events"]["first"][2], {"number": 3, "size": 200, "name": "event"})
        self.assertEqual(events["samples"]["count"], 5)
        return got

    def test_the_interpreter_shows_everything(self):
        got = self.check("interp")
        self.assertEqual(got["redirects"], [{"target": "interface 7", "packets": 1}])
        self.assertEqual(got["printed"][0], "packet 1 has 60 bytes")
        self.assertEqual(len(got["printed"]), 5)

    def test_the_jit_shows_the_same_as_the_interpreter(self):
        jit = self.check("jit")
        if not present("interp"):
            self.skipTest("this build has no interpreter")
        interp = self.result("--engine", "interp")
        for got in (jit, interp):
            del got["engine"], got["timing"]
        self.assertEqual(jit, interp)

    def test_the_kernel_shows_the_same(self):
        self.check("kernel")

    def test_time_and_chance_follow_from_the_seed(self):
        one, again = self.result(), self.result()
        other = self.result("--deterministic", "2")
        self.assertEqual(one["globals"], again["globals"])
        self.assertEqual(one["globals"]["steps"], 5000)
        self.assertNotEqual(one["globals"]["last_number"], other["globals"]["last_number"])

    def test_packets_that_pass_are_written(self):
        self.result("--pass-to", self.path("out.pcap"))
        self.assertEqual(read_pcap(self.path("out.pcap")), [PACKETS[0], PACKETS[5]])

    def test_verdicts_are_written_per_packet_with_the_bytes_afterwards(self):
        self.result("--verdicts", self.path("v"))
        with open(self.path("v")) as file:
            lines = [line.split() for line in file]
        self.assertEqual([line[:3] for line in lines], [["1", "pass", "60"], ["2", "drop", "60"], ["3", "redirect", "200"],
                                                        ["4", "tx", "60"], ["6", "pass", "200"]])
        self.assertEqual(bytes.fromhex(lines[3][3]), PACKETS[3][4:])

    def test_repeating_counts_every_round(self):
        got = self.result("--repeat", "3")
        self.assertEqual(got["packets"], 15)
        self.assertEqual(got["globals"]["seen"], 15)

    def init(self, value):
        with open(self.path("init.json"), "w") as file:
            file.write(value if isinstance(value, str) else json.dumps(value))
        return self.path("init.json")

    def test_maps_and_variables_start_as_told(self):
        got = self.result("--map-init", self.init({
            "globals": {"redirect_to": 9, "seen": "64 00 00 00 00 00 00 00"},
            "by_size": [{"key": 60, "value": {"packets": 40}}, {"key": "07 00 00 00", "value": {"bytes": 7}}],
            "totals": [{"key": 0, "value": {"packets": 100, "bytes": 1}}]}))
        self.assertEqual(got["redirects"], [{"target": "interface 9", "packets": 1}])
        self.assertEqual(got["globals"]["seen"], 105)
        maps = {m["name"]: {e["key"]: e["value"] for e in m["entries"]} for m in got["maps"]}
        self.assertEqual(maps["by_size"][60], {"packets": 42, "bytes": 120})
        self.assertEqual(maps["by_size"][7], {"packets": 0, "bytes": 7})
        self.assertEqual(maps["totals"][0], {"packets": 103, "bytes": 185})

    def test_tail_calls_go_where_the_program_array_says(self):
        # Slot 1 becomes the entry itself: it calls itself until the limit of 33 tail calls.
        got = self.result("--map-init", self.init({"stages": [{"key": 1, "value": "entry"}]}))
        self.assertEqual(got["verdicts"], {"aborted": 5})
        self.assertEqual(got["globals"]["seen"], 5 * 34)

    def test_maps_and_programs_are_given_to_maps_on_every_engine(self):
        given = {"globals": {"place": 3, "name": 77, "started": 1000},
                 "by_index": [{"key": 3, "value": "counters_a"}, {"key": 0, "value": "counters_b"}],
                 "by_name": [{"key": 77, "value": "counters_b"}],
                 "counters_b": [{"key": 1, "value": 500}],
                 "next": [{"key": 1, "value": "second"}]}
        path = self.init(given)
        for engine in filter(present, ("interp", "jit", "kernel")):
            words = ["run", GIVEN, "--program", "first", "--pcap", self.pcap, "--json", "--unverified", "--engine", engine]
            out = skep(*words, "--map-init", path)
            self.assertEqual(out.returncode, 0, engine + out.stdout + out.stderr)
            got = json.loads(out.stdout)
            self.assertEqual(got["verdicts"], {"drop": 5}, engine)
            self.assertEqual(got["globals"]["started"], 1005, engine)
            maps = {m["name"]: m["entries"] for m in got["maps"]}
            self.assertEqual([(e["key"], e["value"]) for e in maps["counters_a"]], [(0, 5)], engine)
            self.assertEqual([(e["key"], e["value"]) for e in maps["counters_b"]], [(1, 505)], engine)
            self.assertEqual([(e["key"], e["value"]) for e in maps["by_index"]],
                             [(0, "map counters_b"), (3, "map counters_a")], engine)
            self.assertEqual([(e["key"], e["value"]) for e in maps["by_name"]], [(77, "map counters_b")], engine)
            self.assertEqual([(e["key"], e["value"]) for e in maps["next"]], [(1, "program second")], engine)
            bare = json.loads(skep(*words).stdout)
            self.assertEqual(bare["verdicts"], {"pass": 5}, engine)
            self.assertEqual(bare["globals"]["started"], 5, engine)

    def test_a_map_of_maps_takes_names_of_like_maps_only(self):
        for value, message in [("nobody", "by_index[0].value is no map"), (5, "by_index[0].value is no map"),
                               ("by_name", 'map "by_index" does not take')]:
            out = skep("run", GIVEN, "--program", "first", "--pcap", self.pcap, "--unverified", "--map-init",
                       self.init({"by_index": [{"key": 0, "value": value}]}))
            self.assertNotEqual(out.returncode, 0, value)
            self.assertIn(message, out.stderr, value)

    def test_what_does_not_fit_is_refused_by_name(self):
        rows = [
            ({"nowhere": []}, 'there is no map "nowhere"'),
            ({"globals": {"nothing": 1}}, 'there is no global variable "nothing"'),
            ({"by_size": [{"key": 1}]}, "by_size[0] needs a key and a value"),
            ({"by_size": [{"key": "01 02", "value": {}}]}, "by_size[0].key"),
            ({"by_size": [{"key": 1, "value": {"nonsense": 1}}]}, "by_size[0].value"),
            ({"by_size": [{"key": 4294967296, "value": {}}]}, "by_size[0].key"),
            ({"totals": [{"key": 4, "value": {}}]}, 'map "totals" does not take the entry'),
            ("{", "not JSON"),
        ]
        for value, message in rows:
            out = skep(*ENTRY, "--pcap", self.pcap, "--map-init", self.init(value))
            self.assertNotEqual(out.returncode, 0, value)
            self.assertIn(message, out.stderr, value)
            self.assertEqual(out.stdout, "")

    def test_text_is_calm(self):
        out = skep(*ENTRY, "--pcap", self.pcap, "--deterministic", "1", "--events", "1")
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(out.stderr, "")
        text = out.stdout
        self.assertIn("  verdict   packets   share\n", text)
        self.assertIn("  pass            2  40.0 %\n", text)
        self.assertIn("  redirected to interface 7: 1\n", text)
        self.assertIn("  1    {packets: 2, bytes: 400}\n", text)
        self.assertIn('events from events: 5\n  {number: 1, size: 60, name: "event"}\n  (4 more', text)
        self.assertIn("printed lines: 5\n  packet 1 has 60 bytes\n", text)
        self.assertNotIn("\x1b", text)

    def test_only_what_the_verifier_accepts_runs_unless_asked(self):
        out = skep("run", GIVEN, "--program", "first", "--pcap", self.pcap, "--json")
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(out.stderr, "")
        self.assertIs(json.loads(out.stdout)["verified"], True)
        words = ["run", BINARY_DIR + "/tests/objects/guards.o", "--program", "bare_field", "--pcap", self.pcap,
                 "--btf", BINARY_DIR + "/tests/objects/core_target.o"]
        out = skep(*words)
        self.assertEqual(out.returncode, 1)
        self.assertIn('program "bare_field" is not accepted', out.stderr)
        self.assertIn("skep verify", out.stderr)

    def test_what_cannot_be_run_is_said(self):
        write_pcap(self.path("raw.pcap"), [b"E" * 40], RAW)
        rows = [
            (["run", OBJECT], 2, "no packets were given"),
            (["run", OBJECT, "--pcap", self.path("none"), "--unverified"], 4, "none"),
            (["run", OBJECT, "--pcap", self.path("raw.pcap"), "--program", "entry", "--unverified"], 3, "not of an Ethernet link"),
            (["run", OBJECT, "--pcap", self.pcap, "--program", "third"], 4, 'there is no program "third"'),
            (["run", OBJECT, "--pcap", self.pcap, "--repeat", "x"], 2, "x"),
            (["run", OBJECT, "--pcap", self.pcap, "--engine", "magic"], 2, "jit|interp|native|kernel"),
        ]
        for words, code, message in rows:
            out = skep(*words)
            self.assertEqual(out.returncode, code, (words, out.stderr))
            self.assertIn(message, out.stderr, words)

    def test_the_only_entry_is_found_without_a_name(self):
        # second_stage stands in a program array: entry is the only program that is not only tail-called.
        out = skep("run", OBJECT, "--pcap", self.pcap, "--unverified", "--json")
        self.assertEqual(json.loads(out.stdout)["program"], "entry")


if __name__ == "__main__":
    unittest.main()
