#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files and streams as users break them: what cannot be read or written is said with its place and exit status 4, what was there before stays, and nothing half-written is left."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
BINARY_DIR = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OBJECT = BINARY_DIR / "examples/firewall.bpf.o"
CAPTURE = ROOT / "examples/traffic/office.pcap"
WINDOWS = any("wine" in word for word in COMMAND) or COMMAND[-1].endswith(".exe")
NATIVE = len(COMMAND) == 1 and not WINDOWS
RUN = ("run", OBJECT, "--pcap", CAPTURE, "--engine", "interp")


def skep(*words, **more):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, **more)


class Files(unittest.TestCase):
    def setUp(self):
        if not OBJECT.exists():
            self.skipTest(f"{OBJECT} is not built")
        folder = tempfile.TemporaryDirectory(prefix="skep-files-", dir=BINARY_DIR)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, contents=b""):
        path = self.folder / name
        path.write_bytes(contents)
        return path

    def refused(self, words, *parts, code=4):
        done = skep(*words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertTrue(done.stderr.startswith("error: "), done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        as_json = skep(*words, "--json")
        self.assertEqual((as_json.returncode, as_json.stderr), (code, ""))
        self.assertIn("what", json.loads(as_json.stdout)["error"])

    def test_every_reader_of_objects_names_what_is_wrong_with_a_file(self):
        whole = OBJECT.read_bytes()
        rows = [(self.folder / "absent", "could not be opened"), (self.file("empty"), "too short to be an ELF object"),
                (self.file("noise", b"\x00\xff" * 2000), "not an ELF file"),
                (self.file("cut", whole[:900]), "section table lies outside the file")]
        commands = [("inspect", ()), ("disasm", ()), ("verify", ()), ("check", ()), ("run", ("--pcap", CAPTURE)),
                    ("compile", ("-o", self.folder / "x.so", "--target", "linux-x86_64")),
                    ("translate", ("--to", "windows", "-o", self.folder / "x.o"))]
        for command, more in commands:
            for path, says in rows:
                with self.subTest(command=command, path=path.name):
                    self.refused((command, path, *more), says, path.name)
        self.assertEqual([], [path.name for path in self.folder.iterdir() if path.name.startswith("x.")])

    def test_what_is_no_module_record_or_certificate_is_called_so(self):
        noise = self.file("noise", b"\x00\xff" * 2000)
        self.refused(("audit", noise), "this is no native module", "noise")
        self.refused(("audit", OBJECT), "this is no native module")
        self.refused(("sign", noise, "--key", noise, "--cert", noise), "only native modules are signed")
        self.refused(("replay", noise), "this is no record", "noise")
        self.refused(("replay", self.file("newer", b"skep-record 9\n")), "another version", code=3)
        self.refused(("check-certificate", OBJECT, noise), "not a certificate", "noise", code=1)

    def test_files_that_an_option_names_are_read_even_where_nothing_needs_them(self):
        noise, empty = self.file("noise", b"\x00\xff" * 2000), self.file("empty")
        for words in (("verify", OBJECT), RUN):
            self.refused((*words, "--btf", noise))
            self.refused((*words, "--btf", self.folder / "absent"), "could not be opened")
        self.refused((*RUN, "--map-init", empty), "the text is not JSON", "it is empty")
        self.refused((*RUN, "--map-init", noise), "the text is not JSON", "parse error at line 1", "noise")
        self.refused(("run", BINARY_DIR / "tests/objects/noted.o", "--contexts", noise), "the text is not JSON", "noise")

    def test_certificates_and_keys_that_hold_none_are_said_with_their_file(self):
        module, noise, empty = self.folder / "m.so", self.file("noise", b"\x00\xff" * 2000), self.folder / "no-roots"
        empty.mkdir()
        if skep("keygen", "--test-root", self.folder / "keys").returncode != 0 or \
                skep("compile", OBJECT, "-o", module, "--target", "linux-x86_64").returncode != 0:
            self.skipTest("no keys or no module can be made here")
        before, key, cert = module.read_bytes(), self.folder / "keys/signer.key", self.folder / "keys/signer.pem"
        rows = [((noise, cert), (), "noise", "no PEM private key"), ((cert, cert), (), "signer.pem", "no PEM private key"),
                ((key, noise), (), "noise", "no PEM certificate"), ((key, key), (), "signer.key", "no PEM certificate"),
                ((key, cert), ("--chain", noise), "noise", "no PEM certificate"),
                ((key, self.folder / "absent"), (), "absent", "could not be opened")]
        for (one, other), more, *parts in rows:
            with self.subTest(key=one.name, cert=other.name, more=more):
                self.refused(("sign", module, "--key", one, "--cert", other, *more), *parts)
        self.assertEqual(before, module.read_bytes())
        self.assertEqual(skep("sign", module, "--key", key, "--cert", cert).returncode, 0)
        self.refused(("audit", module, "--root", noise), "noise", "no PEM certificate")
        self.refused(("audit", module, "--root", empty), "no-roots", "no file of this folder holds a PEM certificate")
        self.assertEqual(skep("audit", module, "--root", self.folder / "keys").returncode, 0, "a folder with other files, too")

    def test_what_a_call_writes_is_nothing_that_it_reads_and_written_once(self):
        source, verdicts = self.file("one.s", b"r0 = 1\nexit\n"), self.folder / "verdicts"
        object_file, capture = self.file("prog.o", OBJECT.read_bytes()), self.file("in.pcap", CAPTURE.read_bytes())
        (self.folder / "sub").mkdir()
        same_object = self.folder / "sub/../prog.o"
        run = ("run", object_file, "--pcap", capture, "--engine", "interp")
        rows = [(("asm", source, "-o", source), "--output is the same file as SOURCE"),
                (("translate", object_file, "--to", "windows", "-o", same_object), "--output is the same file as OBJECT"),
                (("verify", object_file, "--certificate", same_object), "--certificate is the same file as OBJECT"),
                ((*run, "--pass-to", capture), "--pass-to is the same file as --pcap"),
                ((*run, "--record", same_object), "--record is the same file as OBJECT"),
                ((*run, "--pass-to", verdicts, "--verdicts", verdicts), "--verdicts is the same file as --pass-to")]
        for words, says in rows:
            with self.subTest(says):
                self.refused(words, says, "one would take the place of the other", code=2)
        self.assertEqual((object_file.read_bytes(), capture.read_bytes()), (OBJECT.read_bytes(), CAPTURE.read_bytes()))
        self.assertFalse(verdicts.exists())
        if os.path.exists("/dev/null") and NATIVE:
            done = skep(*run, "--pass-to", "/dev/null", "--verdicts", "/dev/null")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_empty_word_is_no_value(self):
        self.refused(("check", OBJECT, "--platform", ""), "--platform is empty", code=2)
        self.refused(("inspect", ""), "OBJECT is empty", code=2)

    def test_numbers_out_of_range_and_options_that_exclude_each_other_are_wrong_usage(self):
        contexts = self.file("contexts", b"[]")
        self.refused((*RUN, "--repeat", 0), "--repeat: 0 is out of range", code=2)
        self.refused((*RUN, "--ifindex", 1 << 32), "is out of range", "to 4294967295", code=2)
        self.refused(("verify", OBJECT, "--timeout", 0), "--timeout: 0 is out of range", code=2)
        self.refused((*RUN, "--ifindex", "-1"), "--ifindex: -1 is not a number from 0 up", code=2)
        self.refused((*RUN, "--contexts", contexts), "--pcap is about packets", code=2)
        self.refused(("run", OBJECT, "--contexts", contexts, "--verdicts", self.folder / "v"), "--verdicts is about", code=2)
        self.refused((*RUN, "--event-type", "nobody"), 'no type "nobody"')

    def outputs(self, path):
        yield ("asm", self.file("one.s", b"r0 = 1\nexit\n"), "-o", path)
        yield ("translate", OBJECT.with_name("balancer.bpf.o"), "--to", "windows", "-o", path)
        yield ("verify", OBJECT, "--certificate", path)
        for option in ("--verdicts", "--pass-to", "--record"):
            yield (*RUN, option, path)

    def test_outputs_take_the_place_of_what_was_there_when_they_are_whole(self):
        for words in self.outputs(self.folder / "to"):
            with self.subTest(words[0] + words[-2]):
                old = self.file("to", b"x" * 5)
                done = skep(*words)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertNotEqual(old.read_bytes()[:5], b"x" * 5)
                self.assertEqual([], [path.name for path in self.folder.iterdir() if "part" in path.name])

    @unittest.skipIf(WINDOWS, "POSIX devices and links")
    def test_outputs_that_cannot_be_written_are_said_with_file_and_reason(self):
        for words in self.outputs("/dev/full"):
            self.refused(words, "/dev/full", "No space left on device" if words[-2] != "--pass-to" else "disk may be full")
        for words in self.outputs(self.folder / "absent/to"):
            self.refused(words, "absent/to", "No such file or directory")

    @unittest.skipIf(WINDOWS, "POSIX permissions and links")
    def test_links_stay_links_and_permissions_stay(self):
        source = self.file("one.s", b"r0 = 1\nexit\n")
        target = self.file("target", b"old")
        target.chmod(0o750)
        (self.folder / "link").symlink_to("target")
        self.assertEqual(skep("asm", source, "-o", self.folder / "link").returncode, 0)
        self.assertTrue((self.folder / "link").is_symlink())
        self.assertEqual((len(target.read_bytes()), target.stat().st_mode & 0o777), (16, 0o750))

    @unittest.skipUnless(NATIVE, "signals reach the emulator, not the command")
    def test_an_interrupted_run_leaves_nothing_behind(self):
        old = self.file("verdicts", b"old")
        run = subprocess.Popen([*COMMAND, *map(str, RUN), "--repeat", "100000000", "--verdicts", str(old)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while run.poll() is None and not list(self.folder.glob("verdicts.part*")):
                time.sleep(0.01)
            run.send_signal(signal.SIGINT)
            self.assertEqual(run.wait(60), -signal.SIGINT)
        finally:
            run.kill()
        self.assertEqual([path.name for path in self.folder.iterdir()], ["verdicts"])
        self.assertEqual(old.read_bytes(), b"old")

    @unittest.skipUnless(NATIVE and os.path.exists("/dev/full"), "needs /dev/full")
    def test_results_that_do_not_arrive_are_no_success(self):
        for words in (("version",), ("disasm", OBJECT), ("inspect", OBJECT, "--json"), ("platform", "show", "linux-6.12"), RUN):
            with self.subTest(words[0]), open("/dev/full", "w") as full:
                done = subprocess.run([*COMMAND, *map(str, words)], stdout=full, stderr=subprocess.PIPE, text=True)
                self.assertEqual(done.returncode, 4)
                self.assertIn("error: standard output could not be written\n  why:  No space left on device", done.stderr)

    @unittest.skipUnless(NATIVE, "an emulator has pipes of its own")
    def test_a_reader_that_has_enough_ends_the_command_without_a_word(self):
        run = subprocess.Popen([*COMMAND, "platform", "show", "linux-6.12"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        run.stdout.read(1)
        run.stdout.close()
        self.assertEqual(run.stderr.read(), b"")
        run.stderr.close()
        self.assertIn(run.wait(60), (0, -signal.SIGPIPE))

    @unittest.skipIf(BINARY_DIR.name in ("asan", "tsan"), "a gigabyte is several of them under a sanitizer")
    @unittest.skipUnless(os.path.exists("/dev/zero") and NATIVE, "needs /dev/zero")
    def test_a_file_without_an_end_is_refused(self):
        self.refused(("inspect", "/dev/zero"), "/dev/zero is too large", "256 MiB")


if __name__ == "__main__":
    unittest.main()
