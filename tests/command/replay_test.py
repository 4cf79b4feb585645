#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A run that was recorded is the same on every engine, and on the other system; what differs is found where it begins.

Needs SKEP_COMMAND and SKEP_BINARY_DIR."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import contexts_test as contexts  # noqa: E402
import module_test as common  # noqa: E402

skep, capture = common.skep, common.capture


class Replay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="skep-replay-"))
        cls.engines = [engine for engine in ("interp", "jit") if cls.has(engine)]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def has(cls, engine):
        code, _, _ = skep("run", cls.object("flowmon"), "--pcap", capture, "--engine", engine, "--unverified")
        return code == 0

    @staticmethod
    def object(name):
        path = common.binary / "examples" / f"{name}.bpf.o"
        if not path.exists():
            raise unittest.SkipTest(f"{path} is not built")
        return path

    def record(self, name, engine, words=None, *more):
        words = words or command_words
        init = common.examples / name / "maps.json"
        to = self.folder / f"{name}-{engine}.record"
        code, out, err = words("run", self.object(name), "--pcap", capture, "--engine", engine, "--record", to, "--unverified",
                               *(["--map-init", init] if init.exists() else []), *more)
        self.assertEqual(code, 0, err)
        return to

    def build_host(self):
        """The build host's command, where that is another system than the one under test."""
        if not (common.windows or common.arm64) or common.builder() is None:
            self.skipTest("this is the build host")

        def there(*words):
            done = subprocess.run([*common.builder(), *map(str, words)], capture_output=True, text=True, timeout=600)
            return done.returncode, done.stdout, done.stderr
        return there

    def same(self, record, engine, *more, words=skep):
        code, out, err = words("replay", record, "--engine", engine, "--unverified", *more)
        self.assertEqual(code, 0, out + err)
        self.assertIn("592 runs", out)
        self.assertIn("no difference", out)

    def test_engines_agree_call_by_call(self):
        for name in ("firewall", "flowmon", "balancer"):
            record = self.record(name, self.engines[0])
            for engine in self.engines:
                with self.subTest(program=name, engine=engine):
                    self.same(record, engine)

    def test_native_code_does_what_was_recorded(self):
        if common.builder() is None:
            self.skipTest("modules are built by a native skep, and SKEP_BUILD_COMMAND names none")
        for name in ("firewall", "flowmon", "balancer"):
            module = self.folder / f"{name}{common.ending}"
            code, text = common.compile_module(self.object(name), module, "--target", common.host)
            if code == 4:
                self.skipTest(f"no C compiler for {common.host}")
            self.assertEqual(code, 0, text)
            with self.subTest(program=name):
                self.same(self.record(name, self.engines[0]), "native", "--module", module, "--allow-unsigned")

    def test_the_other_system_did_the_same(self):
        """Recorded by the build host's skep, replayed by the one under test."""
        there = self.build_host()
        for name in ("firewall", "flowmon", "balancer"):
            record = self.record(name, "jit", there)
            for engine in self.engines:
                with self.subTest(program=name, engine=engine):
                    self.same(record, engine)

    def test_the_build_host_does_the_same(self):
        """The way back: recorded by the one under test, replayed by the build host's skep, on each of its engines."""
        there = self.build_host()
        for name in ("firewall", "flowmon", "balancer"):
            record = self.record(name, self.engines[-1])
            for engine in ("interp", "jit"):
                with self.subTest(program=name, engine=engine):
                    self.same(record, engine, words=there)

    def record_contexts(self, words, engine):
        """A record for each program of contexts_test's rows, with how many runs it has."""
        objects = common.binary / "tests" / "objects"
        if not (objects / "connect.o").exists():
            self.skipTest("the test objects are not built")
        hooks = {}
        for program, context, *_ in contexts.HOOKS:
            hooks.setdefault(program, []).append(context)
        jobs = [("connect.o", "connect4", [row[0] for row in contexts.CONNECT4]), ("connect.o", "connect6", [row[0] for row in contexts.CONNECT6]),
                ("connect.o", "socket_name", [row[0] for row in contexts.NAMES]),
                *(("windows_hooks.o", program, rows) for program, rows in hooks.items())]
        for name, program, rows in jobs:
            to, given = self.folder / f"{program}-{engine}.record", self.folder / f"{program}.json"
            given.write_text(json.dumps(rows))
            code, out, err = words("run", objects / name, "--program", program, "--contexts", given, "--engine", engine, "--record", to, "--unverified")
            self.assertEqual(code, 0, (program, out + err))
            yield to, len(rows)

    def same_contexts(self, records, engines, words):
        for record, runs in records:
            for engine in engines:
                with self.subTest(record=record.name, engine=engine):
                    code, out, err = words("replay", record, "--engine", engine, "--unverified")
                    self.assertEqual(code, 0, out + err)
                    self.assertIn(f"{runs} runs", out)

    def test_contexts_are_recorded_too(self):
        self.same_contexts(self.record_contexts(skep, self.engines[0]), self.engines, skep)

    def test_contexts_of_the_other_system_and_back(self):
        there = self.build_host()
        self.same_contexts(self.record_contexts(there, "jit"), self.engines, skep)
        self.same_contexts(self.record_contexts(skep, self.engines[-1]), ("interp", "jit"), there)

    def test_the_first_difference_of_a_context_is_shown(self):
        record, _ = next(self.record_contexts(skep, self.engines[0]))
        lines = record.read_text().split("\n")
        ends = [i for i, line in enumerate(lines) if line.startswith("end ")]
        lines[ends[2]] = lines[ends[2]].replace("= 00 50", "= 00 51")
        record.write_text("\n".join(lines))
        code, out, err = skep("replay", record, "--unverified")
        self.assertEqual(code, 1, err)
        self.assertIn("in run 3", out)
        self.assertIn("recorded:  end proceed  user_port = 00 51 00 00", out)
        self.assertIn("here:      end proceed  user_port = 00 50 00 00", out)

    def test_time_and_chance_answer_as_they_did(self):
        """Without --deterministic the clock that was recorded is the host's: it answers again."""
        record = self.record("firewall", self.engines[-1])
        text = record.read_text()
        self.assertTrue("call ktime_get_ns()\n" in text)
        # Another answer of the clock is one the program gets as well; what it then does differs, not the answer.
        record.write_text(text.replace("result ktime_get_ns 0x", "result ktime_get_ns 0x7", 1))
        code, out, err = skep("replay", record, "--engine", self.engines[0], "--unverified")
        self.assertEqual(code, 1, out + err)
        self.assertFalse("ktime_get_ns" in out.split("recorded:")[1], out)

    def test_what_relocations_were_answered_is_recorded(self):
        """A program with CO-RE relocations is the same one in the replay, whatever types the replaying system has."""
        objects = common.binary / "tests" / "objects"
        if not (objects / "core_target.btf").exists():
            self.skipTest("the test objects are not built")
        record = self.folder / "core.record"
        code, _, err = skep("run", objects / "guards.o", "--program", "field", "--btf", objects / "core_target.btf", "--pcap", capture,
                            "--record", record)
        self.assertEqual(code, 0, err)
        text = record.read_text()
        answers = next(line for line in text.split("\n") if line.startswith("core field "))
        for engine in self.engines:
            code, out, err = skep("replay", record, "--engine", engine)
            self.assertEqual(code, 0, out + err)
        if not (common.windows or common.arm64):
            code, out, err = skep("replay", record, "--engine", "native")
            self.assertIn(code, (0, 4), out + err)
        for wrong in (answers + " 6,1,0,0", answers + " 8,1,0,0,0", answers + " x", "core field", answers.rsplit(" ", 1)[0]):
            record.write_text(text.replace(answers, wrong))
            code, out, err = skep("replay", record)
            self.assertNotEqual(code, 0, wrong)
            self.assertRegex(err, "is not understood|are not this program's", wrong)

    def test_the_first_difference_is_shown(self):
        record = self.record("firewall", self.engines[0])
        lines = record.read_text().split("\n")
        ends = [i for i, line in enumerate(lines) if line.startswith("end ")]
        wrong = ends[16]
        lines[wrong] = lines[wrong].replace("end pass", "end aborted").replace("end drop", "end aborted")
        record.write_text("\n".join(lines))
        code, out, err = skep("replay", record, "--unverified")
        self.assertEqual(code, 1, err)
        self.assertIn("in run 17", out)
        self.assertIn("recorded:  end aborted", out)
        self.assertIn("  both:      run 17 ", out)
        del lines[wrong + 1:]
        lines[wrong] = lines[wrong].replace("end aborted", "end pass")
        record.write_text("\n".join(lines))
        code, out, err = skep("replay", record, "--unverified", "--json")
        self.assertEqual(code, 1, out + err)
        self.assertIn('"same":false', out.replace(" ", ""))

    def test_damaged_records(self):
        record = self.record("firewall", self.engines[0])
        lines = record.read_text().split("\n")
        for change, because in ((lambda l: l.__setitem__(0, "skep-record 3"), "a record of another version"),
                                (lambda l: l.__setitem__(3, "seed x"), "line 4 of the record is not understood"),
                                (lambda l: l.__setitem__(7, "object 0g"), "line 8 of the record is not understood"),
                                (lambda l: l.__delitem__(slice(5, None)), "ends inside its head"),
                                (lambda l: l.__setitem__(9, "run 1 0"), "a packet of the record is not understood")):
            changed = list(lines)
            change(changed)
            record.write_text("\n".join(changed))
            code, out, err = skep("replay", record, "--unverified")
            self.assertNotEqual(code, 0)
            self.assertIn(because, err)
            self.assertIn(record.name, err)


command_words = skep

if __name__ == "__main__":
    unittest.main()
