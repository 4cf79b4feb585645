#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program is told of the kernel (`extern ... __kconfig`) is the chosen platform's: by its release, by a configuration file, by a platform file; what nobody knows is refused by name, or zero where it is weak."""
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
OBJECT = BINARY_DIR / "tests/objects/kconfig.o"


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def has(engine):
    return json.loads(skep("doctor", "--json").stdout)[{"interp": "interpreter"}.get(engine, engine)]["present"]


ENGINES = [engine for engine in ("interp", "jit") if has(engine)]


class Kconfig(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-kconfig-", dir=BINARY_DIR)
        self.pcap = self.path("in.pcap")
        with open(self.pcap, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 0, 0, 60, 60) + bytes(60))

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name, text=None):
        path = os.path.join(self.folder.name, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def seen(self, program, *words):
        out = skep("run", OBJECT, "--program", program, "--pcap", self.pcap, "--json", *words)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return json.loads(out.stdout)["globals"]

    def test_every_release_says_its_own_version(self):
        for name, version, cookie in (("linux-5.4", 0x050400, False), ("linux-5.10", 0x050a00, False), ("linux-5.15", 0x050f00, True),
                                      ("linux-6.1", 0x060100, True), ("linux-6.6", 0x060600, True), ("linux-6.12", 0x060c00, True),
                                      ("skep", 0x060c00, True)):
            seen = self.seen("always", "--platform", name)
            self.assertEqual((seen["version"], bool(seen["cookie"]), bool(seen["wrapper"]), bool(seen["bpf"]), bool(seen["nowhere"])),
                             (version, cookie, True, True, False), name)
            shown = json.loads(skep("platform", "show", name, "--json").stdout)["kernel_configuration"]
            self.assertEqual(shown["LINUX_KERNEL_VERSION"], str(version))
        self.assertEqual(self.seen("always")["version"], 0x060c00)

    def test_what_no_release_decides_comes_from_a_configuration_file(self):
        out = skep("run", OBJECT, "--program", "ticks", "--pcap", self.pcap, "--platform", "linux-6.1")
        self.assertEqual(out.returncode, 4, out.stderr)
        for part in ("CONFIG_HZ is not known", "linux-6.1 does not say it", "--kconfig FILE", "__weak"):
            self.assertIn(part, out.stderr)
        config = self.path("config", "# CONFIG_X is not set\nCONFIG_HZ=1000\nCONFIG_OF_THREE=m\nCONFIG_TEXT=\"bee\"\nCONFIG_NEGATIVE=-7\n")
        for command in (("run", OBJECT, "--pcap", self.pcap), ("verify", OBJECT)):
            out = skep(*command, "--program", "ticks", "--platform", "linux-6.1", "--kconfig", config)
            self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(self.seen("ticks", "--platform", "linux-6.1", "--kconfig", config)["hz"], 1000)
        self.assertEqual(self.seen("ticks")["hz"], 250, "what the helper jiffies64 counts by")
        given = self.seen("given", "--kconfig", config)
        self.assertEqual((given["three"], given["negative"], given["module"]), (2, -7, 0))
        self.assertIn("bee", json.dumps(given["text"]))

    def test_a_platform_file_may_say_it(self):
        vendor = self.path("vendor.json", json.dumps({"name": "vendor", "extends": "linux-5.15",
                                                      "kconfig": {"CONFIG_HZ": 300, "CONFIG_OF_THREE": "m", "CONFIG_TEXT": "wax"}}))
        words = ("--platform-file", vendor, "--platform", "vendor")
        self.assertEqual(self.seen("ticks", *words)["hz"], 300)
        self.assertEqual(self.seen("always", *words)["version"], 0x050f00)
        self.assertEqual(self.seen("given", *words)["three"], 2)

    def test_what_does_not_fit_or_does_not_exist_is_refused(self):
        rows = [
            (("--kconfig", self.path("a", "CONFIG_NEGATIVE=40000\n")), "given", "has another type"),
            (("--kconfig", self.path("b", "CONFIG_HZ\n")), "ticks", "has no value"),
            (("--platform", "windows-ebpf-1.6"), "always", "windows-ebpf-1.6 has no kernel configuration"),
            (("--platform", "linux-9.9"), "always", 'no platform "linux-9.9"'),
        ]
        for words, program, message in rows:
            out = skep("run", OBJECT, "--program", program, "--pcap", self.pcap, *words)
            self.assertNotEqual(out.returncode, 0, words)
            self.assertIn(message, out.stderr)

    def test_a_record_says_what_the_program_was_told(self):
        config = self.path("config", 'CONFIG_HZ=1000\nCONFIG_OF_THREE=m\nCONFIG_TEXT="bee wax"\n')
        for program, words, line in (("always", ("--platform", "linux-5.4"), "kconfig LINUX_KERNEL_VERSION 328704"),
                                     ("always", ("--platform", "linux-5.4"), "kconfig CONFIG_NOT_ANYWHERE "),
                                     ("given", ("--kconfig", config), 'kconfig CONFIG_TEXT "bee wax"'),
                                     ("ticks", ("--platform", "linux-6.1", "--kconfig", config), "kconfig CONFIG_HZ 1000")):
            record = self.path("record")
            out = skep("run", OBJECT, "--program", program, "--pcap", self.pcap, "--record", record, *words)
            self.assertEqual(out.returncode, 0, out.stderr)
            with open(record, encoding="ascii") as file:
                text = file.read()
            self.assertIn(f"\n{line}\n", text)
            for engine in ENGINES:
                out = skep("replay", record, "--engine", engine)
                self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        # It is what the replay's program is told: another number gives another run, none skep's own.
        changed = self.path("changed", text.replace(line, "kconfig CONFIG_HZ 999"))
        out = skep("replay", changed)
        self.assertEqual(out.returncode, 1, out.stderr)
        self.assertIn("map .bss", out.stdout)
        older = self.path("older", text.replace(line + "\n", "").replace("skep-record 2", "skep-record 1"))
        self.assertEqual(skep("replay", older).returncode, 1, "250, as skep says itself")
        twice = self.path("twice", text.replace(line, line + "\n" + line))
        out = skep("replay", twice)
        self.assertNotEqual(out.returncode, 0)
        self.assertIn("line 11 of the record is not understood", out.stderr)


if __name__ == "__main__":
    unittest.main()
