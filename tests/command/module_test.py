#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Native modules through the command: they run as the object does on the other engines, the same input gives the same
bytes, and every module that was changed, or that the policy does not allow, is refused by name.

Needs SKEP_COMMAND and SKEP_BINARY_DIR. Skipped where the command cannot build modules for its own host."""
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

root = pathlib.Path(__file__).resolve().parent.parent.parent
command = shlex.split(os.environ["SKEP_COMMAND"])
binary = pathlib.Path(os.environ["SKEP_BINARY_DIR"])
examples = root / "examples"
capture = examples / "traffic" / "office.pcap"
windows = any("wine" in word for word in command) or command[-1].endswith(".exe")
arm64 = any("qemu" in word for word in command)
host = "windows-x86_64" if windows else "linux-arm64" if arm64 else "linux-x86_64"
ending = ".dll" if windows else ".so"
MARK = b"~Module signature appended~\n"


def skep(*words, cwd=None, env=None):
    done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, cwd=cwd, env=env, timeout=600)
    return done.returncode, done.stdout, done.stderr


def builder():
    """The command that builds modules: that of the build host, because compilers do not run where tests may."""
    if not windows and not arm64:
        return command
    native = os.environ.get("SKEP_BUILD_COMMAND")
    if native:
        return shlex.split(native)
    beside = root / "build" / "dev" / "skep"
    return [str(beside)] if beside.exists() else None


made = {}


def compile_module(source, to, *more, cwd=None, env=None):
    """The same source and options give the same bytes, which a test of its own shows (with a folder and an environment of
    its own): the others get what was made before."""
    what = (str(source), pathlib.Path(to).suffix, more)
    if cwd is None and env is None and what in made:
        pathlib.Path(to).write_bytes(made[what])
        return 0, ""
    words = builder()
    done = subprocess.run([*words, "compile", "--unverified", str(source), "-o", str(to), *more], capture_output=True,
                          text=True, cwd=cwd, env=env, timeout=600)
    if cwd is None and env is None and done.returncode == 0:
        made[what] = pathlib.Path(to).read_bytes()
    return done.returncode, done.stdout + done.stderr


class Modules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if builder() is None:
            raise unittest.SkipTest("modules are built by a native skep, and SKEP_BUILD_COMMAND names none")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="skep-module-test-"))
        cls.objects = {}
        for name in ("firewall", "flowmon", "balancer"):
            path = binary / "examples" / f"{name}.bpf.o"
            if not path.exists():
                raise unittest.SkipTest(f"{path} is not built")
            cls.objects[name] = path
        cls.module = cls.folder / f"firewall{ending}"
        code, text = compile_module(cls.objects["firewall"], cls.module, "--target", host)
        if code == 4:
            raise unittest.SkipTest(f"no C compiler for {host}: {text}")
        assert code == 0, text

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def run_with(self, what, engine, name, *more):
        verdicts = self.folder / f"{name}-{engine}.verdicts"
        words = ["run", what, "--pcap", capture, "--deterministic", "7", "--unverified", "--verdicts", verdicts, "--json"]
        init = examples / name / "maps.json"
        if init.exists():
            words += ["--map-init", init]
        code, out, err = skep(*words, "--engine", engine, *more)
        self.assertEqual(code, 0, err)
        return verdicts.read_bytes(), out

    def test_examples_run_as_on_the_other_engines(self):
        for name, path in self.objects.items():
            module = self.folder / f"{name}{ending}"
            code, text = compile_module(path, module, "--target", host)
            self.assertEqual(code, 0, text)
            want, report = self.run_with(path, "interp", name)
            got, native = self.run_with(module, "native", name, "--allow-unsigned")
            self.assertEqual(got, want, f"{name}: verdicts or packets differ")
            self.assertEqual(json.loads(native)["maps"], json.loads(report)["maps"], f"{name}: maps differ")
            # A module is an object to the other engines.
            again, _ = self.run_with(module, "interp", name, "--allow-unsigned")
            self.assertEqual(again, want)

    def test_the_same_input_gives_the_same_bytes(self):
        first, second = self.folder / "one", self.folder / "two"
        for place in (first, second):
            place.mkdir()
            shutil.copy(self.objects["flowmon"], place / "flowmon.bpf.o")
        env = dict(os.environ, LANG="C", USER="nobody", HOME="/nonexistent", TMPDIR=str(second))
        code, text = compile_module("flowmon.bpf.o", f"m{ending}", "--target", host, cwd=first)
        self.assertEqual(code, 0, text)
        code, text = compile_module(second / "flowmon.bpf.o", second / f"m{ending}", "--target", host, env=env)
        self.assertEqual(code, 0, text)
        self.assertEqual((first / f"m{ending}").read_bytes(), (second / f"m{ending}").read_bytes())

    @unittest.skipIf(windows or arm64, "the text is the same wherever it is compiled")
    def test_no_compiler_warns(self):
        """Of whole programs with what their proofs know: branches that are never taken, constants, ranges."""
        warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
        tried = 0
        for name, path in self.objects.items():
            for target, compilers in (("linux-x86_64", ("gcc", "clang-19")), ("linux-arm64", ("aarch64-linux-gnu-gcc",)),
                                      ("windows-x86_64", ("x86_64-w64-mingw32-gcc-posix",))):
                text, image = self.folder / f"{name}-{target}.c", self.folder / f"{name}-{target}-flags.{'dll' if target.startswith('windows') else 'so'}"
                code, out, err = skep("compile", path, "-o", text, "--target", target)
                self.assertEqual(code, 0, err)
                code, out, err = skep("compile", path, "-o", image, "--target", target)
                if code == 4:
                    continue
                self.assertEqual(code, 0, err)
                code, out, err = skep("audit", image, "--allow-unsigned", "--json")
                self.assertEqual(code, 0, err)
                flags = [flag for flag in json.loads(out)["flags"].split() if flag.startswith(("-std", "-f", "-O"))]
                for compiler in compilers:
                    if shutil.which(compiler) is None:
                        continue
                    with self.subTest(program=name, compiler=compiler):
                        done = subprocess.run([compiler, *flags, *warnings, "-S", str(text), "-o", os.devnull], capture_output=True, text=True)
                        self.assertEqual(done.returncode, 0, done.stderr[:2000])
                        tried += 1
        self.assertGreater(tried, 0)

    def test_programs_with_relocations_take_their_answers_along(self):
        """A module of a CO-RE program says what its relocations were answered with, so that it means the same anywhere."""
        objects = binary / "tests" / "objects"
        types, source = objects / "core_target.btf", objects / "guards.o"
        if not source.exists() or not types.exists():
            self.skipTest("the test objects are not built")
        module = self.folder / f"guards{ending}"
        done = subprocess.run([*builder(), "compile", str(source), "-o", str(module), "--program", "field", "--btf", str(types),
                               "--target", host, "--reproducible"], capture_output=True, text=True, timeout=600)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        # The field that is there moves; the one that is missing is behind a check, and its code is never reached.
        for engine in ("native", "interp"):
            code, out, err = skep("run", module, "--pcap", capture, "--allow-unsigned", "--engine", engine, "--program", "field", "--json")
            self.assertEqual(code, 0, out + err)
            self.assertEqual(json.loads(out)["verdicts"], {"drop": 592}, engine)
        code, out, err = skep("audit", module, "--allow-unsigned", *([] if windows or arm64 else ["--rebuild"]))
        self.assertEqual(code, 0, err)
        self.assertRegex(out, f"[1-9] CO-RE relocations resolved against BTF {hashlib.sha256(types.read_bytes()).hexdigest()}")
        # Against other types it is another program.
        other = self.folder / f"guards-other{ending}"
        done = subprocess.run([*builder(), "compile", str(source), "-o", str(other), "--program", "field", "--btf", str(source),
                               "--target", host], capture_output=True, text=True, timeout=600)
        if done.returncode == 0:
            self.assertNotEqual(other.read_bytes(), module.read_bytes())

    def test_kernel_configuration_is_baked_in(self):
        """A module says what its programs are told of the kernel they run in; audit shows it, and nobody says otherwise."""
        source = binary / "tests" / "objects" / "kconfig.o"
        if not source.exists():
            self.skipTest("the test objects are not built")
        config = self.folder / "config"
        config.write_text('CONFIG_HZ=300\nCONFIG_OF_THREE=m\nCONFIG_TEXT="bee wax"\n')
        module = self.folder / f"kconfig{ending}"

        def build(*words):
            done = subprocess.run([*builder(), "compile", str(source), "-o", str(module), "--target", host, "--json", *map(str, words)],
                                  capture_output=True, text=True, timeout=600)
            return done.returncode, done.stdout, done.stderr

        # What no release decides has to be given.
        code, out, _ = build("--platform", "linux-6.1")
        self.assertEqual(code, 4)
        self.assertIn("CONFIG_HZ is not known", out)
        code, out, err = build("--platform", "linux-5.4", "--kconfig", config, "--reproducible")
        self.assertEqual(code, 0, err)
        baked_in = json.loads(out)["kernel_configuration"]
        self.assertEqual({name: baked_in[name] for name in ("LINUX_KERNEL_VERSION", "LINUX_HAS_BPF_COOKIE", "CONFIG_HZ", "CONFIG_OF_THREE",
                                                            "CONFIG_TEXT", "CONFIG_NOT_ANYWHERE")},
                         {"LINUX_KERNEL_VERSION": str(0x050400), "LINUX_HAS_BPF_COOKIE": "0", "CONFIG_HZ": "300", "CONFIG_OF_THREE": "m",
                          "CONFIG_TEXT": '"bee wax"', "CONFIG_NOT_ANYWHERE": None})
        rebuild = [] if windows or arm64 else ["--rebuild"]
        code, out, err = skep("audit", module, "--allow-unsigned", "--json", *rebuild)
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)["kernel_configuration"], baked_in)
        self.assertTrue(json.loads(out).get("rebuild_equal", True))
        code, out, err = skep("audit", module, "--allow-unsigned")
        for line in ("what its programs are told of the kernel", "LINUX_KERNEL_VERSION=328704", 'CONFIG_TEXT="bee wax"',
                     "CONFIG_NOT_ANYWHERE: nobody says it, zero"):
            self.assertIn(line, out)
        for engine in ("native", "interp"):
            told = {}
            for program in ("always", "given", "ticks"):
                code, out, err = skep("run", module, "--program", program, "--engine", engine, "--allow-unsigned", "--pcap", capture, "--json")
                self.assertEqual(code, 0, err)
                told[program] = json.loads(out)["globals"]
            self.assertEqual((told["always"]["version"], bool(told["always"]["cookie"]), told["given"]["three"], told["ticks"]["hz"]),
                             (0x050400, False, 2, 300), engine)
        for words in (("--platform", "linux-6.1"), ("--kconfig", config)):
            code, _, err = skep("run", module, "--program", "always", "--allow-unsigned", "--pcap", capture, *words)
            self.assertEqual(code, 2)
            self.assertIn("holds the kernel configuration that it was compiled for", err)
        # Other values are another module.
        before = module.read_bytes()
        self.assertEqual(build("--platform", "linux-5.15", "--kconfig", config)[0], 0)
        self.assertNotEqual(module.read_bytes(), before)

    def test_a_module_is_of_one_personality(self):
        """Its code keeps the numbers of the system it was made for: nobody reads its verdicts as another system's."""
        source = binary / "tests" / "objects" / "given.o"
        if not source.exists():
            self.skipTest("the test objects are not built")
        module = self.folder / f"plain{ending}"
        code, text = compile_module(source, module, "--target", host, "--program", "second")
        self.assertEqual(code, 0, text)
        def verdicts(out):
            return json.loads(out)["verdicts"] if out else None

        words = ["run", module, "--pcap", capture, "--allow-unsigned", "--unverified", "--json"]
        code, out, err = skep(*words, "--personality", "linux")
        self.assertEqual((code, verdicts(out)), (0, {"drop": 592}), err)
        code, out, _ = skep(*words, "--personality", "windows")
        self.assertEqual(code, 1, out)
        self.assertIn("the module's code is of a program for linux, and asked for is one for windows", out)
        # Where its maker says it, the module says it to whoever runs it, on any engine.
        code, text = compile_module(source, module, "--target", host, "--program", "second", "--personality", "windows")
        self.assertEqual(code, 0, text)
        for engine in ("native", "interp"):
            code, out, err = skep(*words, "--engine", engine)
            self.assertEqual((code, verdicts(out)), (0, {"pass": 592}), f"{engine}: {err}")
        code, out, _ = skep(*words, "--personality", "linux")
        self.assertEqual(code, 1, out)
        self.assertIn("the module's code is of a program for windows", out)
        code, out, err = skep("audit", module, "--allow-unsigned", "--unverified")
        self.assertIn("its maker said that the object is one for windows\n", out)
        if not windows and not arm64:
            code, out, err = skep("audit", module, "--allow-unsigned", "--unverified", "--rebuild", "--json")
            self.assertTrue(json.loads(out)["rebuild_equal"], err)

    def test_what_takes_an_object_takes_a_module(self):
        for words in (["inspect"], ["disasm"], ["verify", "--program", "firewall"]):
            with self.subTest(command=words[0]):
                code, want, err = skep(words[0], self.objects["firewall"], *words[1:])
                self.assertEqual(code, 0, err)
                code, got, err = skep(words[0], self.module, *words[1:])
                self.assertEqual(code, 0, err)
                # Names, instructions and numbers are the object's; times and the file's own name are not compared.
                first = [line for line in want.splitlines() if "firewall" in line and ".o" not in line and " us" not in line and " ms" not in line]
                for line in first:
                    self.assertIn(line, got)

    def test_every_target_is_built_from_one_object(self):
        for target, magic in (("linux-x86_64", b"\x7fELF"), ("linux-arm64", b"\x7fELF"), ("windows-x86_64", b"MZ")):
            to = self.folder / f"all-{target}{'.dll' if target.startswith('windows') else '.so'}"
            code, text = compile_module(self.objects["firewall"], to, "--target", target)
            if code == 4:
                self.skipTest(f"no C compiler for {target}")
            self.assertEqual(code, 0, text)
            self.assertTrue(to.read_bytes().startswith(magic))
            code, _, err = skep("audit", to, "--allow-unsigned", "--unverified")
            self.assertEqual(code, 0, err)
            if target != host:
                code, _, err = skep("run", to, "--allow-unsigned", "--unverified", "--pcap", capture)
                self.assertEqual(code, 1, err)
                self.assertIn("the module is for another machine", err)

    def refused(self, data, because, *more, name="bad"):
        path = self.folder / f"{name}{ending}"
        path.write_bytes(data)
        for words in (["audit", path], ["run", path, "--pcap", capture]):
            code, out, err = skep(*words, "--unverified", *more)
            self.assertNotEqual(code, 0, f"{words[0]} took it; expected: {because}")
            self.assertIn(because, err)

    def test_unsigned_modules_are_refused_unless_allowed(self):
        self.refused(self.module.read_bytes(), "the module is not signed")
        code, _, err = skep("audit", self.module, "--unverified", "--allow-unsigned")
        self.assertEqual(code, 0, err)
        code, _, err = skep("audit", self.module, "--allow-unsigned")
        self.assertEqual(code, 4, err)
        self.assertIn("the policy wants verified programs", err)

    def test_a_damaged_descriptor_is_refused(self):
        data = bytearray(self.module.read_bytes())
        at = data.index(b"SKEPMOD\n")
        data[at + 100] ^= 1
        self.refused(bytes(data), "the module's descriptor is damaged", "--allow-unsigned")
        data[at + 100] ^= 1
        struct.pack_into("<I", data, at + 8, 2)
        self.refused(bytes(data), "the module's descriptor has format 2", "--allow-unsigned")


@unittest.skipIf(windows or arm64, "made with the compilers of a Linux x86-64 host; module_refusals_test has these cases for every system")
class Signatures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        Modules.setUpClass.__func__(cls)
        cls.keys = cls.folder / "keys"
        code, _, err = skep("keygen", "--test-root", cls.keys)
        if code == 4 and "no library for signatures" in err:
            raise unittest.SkipTest(err)
        assert code == 0, err
        cls.signed = cls.folder / "signed.so"
        code, _, err = skep("sign", cls.module, "--key", cls.keys / "signer.key", "--cert", cls.keys / "signer.pem", "-o",
                            cls.signed)
        assert code == 0, err

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    refused = Modules.refused

    def trust(self):
        return ("--root", self.keys / "root.pem")

    def test_a_signed_module_runs(self):
        for words in (["audit", self.signed], ["run", self.signed, "--pcap", capture]):
            code, _, err = skep(*words, "--unverified", *self.trust())
            self.assertEqual(code, 0, err)

    def test_rebuilding_gives_the_same_bytes(self):
        code, out, err = skep("audit", self.signed, "--unverified", "--rebuild", *self.trust())
        self.assertEqual(code, 0, err)
        self.assertIn("the same bytes", out)

    def test_rebuilding_elsewhere_gives_the_same_bytes(self):
        """Another folder, another user, and an environment that compilers would listen to."""
        place = pathlib.Path(tempfile.mkdtemp(prefix="skep-elsewhere-"))
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        other = place / "a folder with blanks"
        other.mkdir()
        for path in (self.signed, self.keys / "root.pem", pathlib.Path(command[0])):
            shutil.copy(path, other)
        place.chmod(0o755)
        other.chmod(0o777)
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "USER": "somebody", "TMPDIR": str(other), "LANG": "de_DE.UTF-8",
               "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "12345", "CPATH": str(other), "LIBRARY_PATH": str(other),
               "GCC_EXEC_PREFIX": str(other), "COMPILER_PATH": str(other), "CCC_OVERRIDE_OPTIONS": "+-O0"}
        who = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        done = subprocess.run([str(other / pathlib.Path(command[0]).name), "audit", "signed.so", "--unverified", "--rebuild", "--root", "root.pem"],
                              capture_output=True, text=True, cwd=other, env=env, umask=0o077, timeout=600, **who)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("the same bytes", done.stdout)

    def test_another_compiler_is_named(self):
        if shutil.which("gcc") is None:
            self.skipTest("there is no second compiler")
        code, _, err = skep("audit", self.signed, "--unverified", "--rebuild", "--cc", "gcc", *self.trust())
        self.assertEqual(code, 4, err)
        self.assertIn("the module was built by another compiler", err)
        # The same one in another version: both are named.
        code, out, err = skep("audit", self.signed, "--unverified", "--json", *self.trust())
        self.assertEqual(code, 0, err)
        identity = json.loads(out)["compiler"]
        newer = self.folder / "newer-cc"
        newer.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo "a compiler, version 99"; exit; fi\nexec gcc "$@"\n')
        newer.chmod(0o700)
        code, _, err = skep("audit", self.signed, "--unverified", "--rebuild", "--cc", newer, *self.trust())
        self.assertEqual(code, 4, err)
        self.assertIn(f'the module was built by another compiler\n  at {self.signed}\n  why:  by "{identity}"; here is "a compiler, version 99"', err)

    def test_other_flags_are_named(self):
        """What another version of skep gives the compiler."""
        start, _, parts = parts_of(self.module.read_bytes())
        at, size = next((at, size) for kind, at, size in parts if kind == 5)
        data = bytearray(self.module.read_bytes())
        flags = data.index(b"-O2", at, at + size)
        data[flags + 2] = ord("1")
        path = self.folder / "flags.so"
        path.write_bytes(resealed(bytes(data)))
        code, _, err = skep("audit", path, "--unverified", "--allow-unsigned", "--rebuild")
        self.assertEqual(code, 4, err)
        self.assertRegex(err, "(?s)the module was built with other flags.*-O1.*-O2")

    def test_other_bytes_are_told(self):
        """An image whose code is not what its object gives, well-formed in everything else."""
        data = bytearray(self.module.read_bytes())
        table, = struct.unpack_from("<Q", data, 40)
        sections = [struct.unpack_from("<QQQQ", data, table + 64 * i + 8) for i in range(struct.unpack_from("<H", data, 60)[0])]
        offset, size = next((offset, size) for flags, _, offset, size in sections if flags & 4)
        data[offset + size // 2] ^= 1
        path = self.folder / "other-code.so"
        path.write_bytes(data)
        code, out, err = skep("audit", path, "--unverified", "--allow-unsigned", "--rebuild")
        self.assertEqual(code, 1, out + err)
        self.assertIn("OTHER BYTES", out)

    def test_changes_anywhere_are_refused(self):
        data = self.signed.read_bytes()
        content = self.module.read_bytes()
        self.assertTrue(data.startswith(content))
        program = content.index(b"\x7fELF", 4)  # the object inside the descriptor
        descriptor = content.index(b"SKEPMOD\n")
        places = {
            "the first byte of code": content.index(b"\x55") if b"\x55" in content else 0x1000,
            "the embedded object": program + 200,
            "the descriptor": descriptor + 300,
            "the contract": content.index(b"map_lookup_elem"),
            "the last byte of the image": len(content) - 1,
        }
        for place, at in places.items():
            with self.subTest(place=place):
                changed = bytearray(data)
                changed[at] ^= 1
                self.refused(bytes(changed), "the module was changed after it was signed", *self.trust())

    def test_the_trailer_is_checked(self):
        data, content = self.signed.read_bytes(), self.module.read_bytes()
        end = len(data) - len(MARK)
        cases = {
            "another kind of signature": (end - 10, 1, "the module's signature trailer is damaged"),
            "a field that must be zero": (end - 12, 1, "the module's signature trailer is damaged"),
            "a size beyond the file": (end - 4, 0x7f, "the module's signature trailer is damaged"),
            "the signature itself": (len(content), 1, "the module's signature is damaged"),
            "the mark": (end, 1, "the module is not signed"),
        }
        for name, (at, flip, because) in cases.items():
            with self.subTest(case=name):
                changed = bytearray(data)
                changed[at] ^= flip
                self.refused(bytes(changed), because, *self.trust())

    def test_the_signature_of_another_file_is_refused(self):
        other = self.folder / "other.so"
        code, text = compile_module(self.objects["flowmon"], other)
        self.assertEqual(code, 0, text)
        trailer = self.signed.read_bytes()[len(self.module.read_bytes()):]
        self.refused(other.read_bytes() + trailer, "the module was changed after it was signed", *self.trust())

    def test_other_roots_are_refused(self):
        elsewhere = self.folder / "elsewhere"
        code, _, err = skep("keygen", "--test-root", elsewhere)
        self.assertEqual(code, 0, err)
        self.refused(self.signed.read_bytes(), "does not chain to a trusted root", "--root", elsewhere / "root.pem")
        self.refused(self.signed.read_bytes(), "no root is trusted")

    def policy(self, *lines):
        path = self.folder / "site.policy"
        path.write_text("\n".join(["skep-policy 1", f"root {self.keys / 'root.pem'}", "require-certificate no", *lines]) + "\n")
        return "--policy", path

    def test_the_policy_decides(self):
        data = self.signed.read_bytes()
        code, out, err = skep("audit", self.signed, *self.policy(), "--json")
        self.assertEqual(code, 0, err)
        report = json.loads(out)
        image = hashlib.sha256(self.module.read_bytes()).hexdigest()
        self.assertEqual(report["image_sha256"], image)
        cases = [
            (f"deny image {image}", "on the list of denied images"),
            (f"deny serial {report['signer']['serial']}", "on the list of denied serial numbers"),
            (f"deny certificate {report['signer']['certificate']}", "on the list of denied certificates"),
            (f"signer {'0' * 64}", "not one of those that the policy names"),
            ("hook tc", "the policy does not allow programs of type xdp"),
            ("engine jit", "the policy does not allow native modules"),
            ("limit xdp instructions 1000", "may cost more than the policy allows"),
        ]
        for line, because in cases:
            with self.subTest(policy=line):
                self.refused(data, because, *self.policy(line))
        code, _, err = skep("audit", self.signed, *self.policy("hook xdp", f"signer {report['signer']['certificate']}"))
        self.assertEqual(code, 0, err)
        code, _, err = skep("policy", "check", self.policy("hook nothing")[1])
        self.assertIn("line 4 of the policy", err)


@unittest.skipIf(windows or arm64, "compilers run on the build host; module/compiler_test has the rest of these cases")
class Compilers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        Modules.setUpClass.__func__(cls)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def compiler(self, line):
        path = self.folder / "cc"
        path.write_text(f"#!/bin/sh\nif [ \"$1\" = --version ]; then echo a compiler of a test; exit; fi\n{line}\n")
        path.chmod(0o700)
        return path

    def test_one_may_be_named_from_here(self):
        self.compiler('while [ "$1" != -o ]; do shift; done; echo image > "$2"')
        code, text = compile_module(self.objects["firewall"], self.folder / "from-here.so", "--cc", "./cc", cwd=self.folder)
        self.assertEqual(code, 0, text)
        self.assertEqual((self.folder / "from-here.so").read_text(), "image\n")

    def test_its_words_are_shown_as_a_mistake_of_ours(self):
        cc = self.compiler("echo module.c:1: error: no; exit 1")
        code, text = compile_module(self.objects["firewall"], self.folder / "no.so", "--cc", cc)
        self.assertEqual(code, 3, text)
        self.assertRegex(text, "(?s)refuses the generated code.*module.c:1: error: no.*mistake of skep")

    def test_an_interrupt_leaves_nothing(self):
        """Ctrl-C reaches the command alone: its compiler has a group of its own."""
        temporary, started, to = self.folder / "temporary", self.folder / "started", self.folder / "interrupted.so"
        temporary.mkdir()
        cc = self.compiler(f"echo $$ > {started}.new; mv {started}.new {started}; sleep 3600")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number.name):
                started.unlink(missing_ok=True)
                running = subprocess.Popen([*command, "compile", "--unverified", str(self.objects["firewall"]), "-o", str(to),
                                            "--cc", str(cc)], env=dict(os.environ, TMPDIR=str(temporary)),
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.addCleanup(running.kill)
                while not started.exists() and running.poll() is None:
                    time.sleep(0.01)
                self.assertEqual(len(list(temporary.iterdir())), 1)
                running.send_signal(number)
                self.assertEqual(running.wait(timeout=600), -number)
                self.assertEqual(list(temporary.iterdir()), [])
                self.assertFalse(to.exists())
                stat = pathlib.Path("/proc", started.read_text().strip(), "stat")
                try:
                    self.assertIn(") Z", stat.read_text(), "the compiler goes on")
                except FileNotFoundError:
                    pass


class Authenticode(unittest.TestCase):
    """Images of Windows, which any host that can make signatures can audit."""

    @classmethod
    def setUpClass(cls):
        Modules.setUpClass.__func__(cls)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    @unittest.skipIf(windows or arm64, "this build has no library for signatures")
    def test_authenticode_is_checked(self):
        if shutil.which("osslsigncode") is None:
            self.skipTest("there is no osslsigncode to sign with")
        module, keys, other = self.folder / "f.dll", self.folder / "keys", self.folder / "other"
        code, out = compile_module(self.objects["firewall"], module, "--target", "windows-x86_64")
        self.assertEqual(code, 0, out)
        for folder in (keys, other):
            code, _, err = skep("keygen", "--test-root", folder)
            self.assertEqual(code, 0, err)
        plain = module.read_bytes()
        code, _, err = skep("sign", module, "--key", keys / "signer.key", "--cert", keys / "signer.pem")
        self.assertEqual(code, 0, err)
        signed = module.read_bytes()

        def audit(data, *more, root=keys):
            path = self.folder / "a.dll"
            path.write_bytes(data)
            code, out, err = skep("audit", path, "--unverified", "--root", root / "root.pem", *more)
            return code, out + err

        self.assertIn("the module is not signed", audit(plain)[1])
        code, text = audit(signed, "--rebuild")
        self.assertEqual(code, 0, text)
        self.assertIn("signed by CN=skep test signer", text)
        self.assertIn("the same bytes", text)
        self.assertIn("does not chain to a trusted root", audit(signed, root=other)[1])
        for at in (0x200, signed.index(b"SKEPMOD\n") + 90, len(plain) - 1):
            bad = bytearray(signed)
            bad[at] ^= 1
            self.assertIn("the module was changed after it was signed", audit(bad)[1])
        # The forgery that needs no key: a byte is changed, and the digest inside the signature with it.
        pe = struct.unpack_from("<I", signed, 0x3c)[0]
        checksum, directory = pe + 24 + 64, pe + 24 + 144
        end = struct.unpack_from("<I", signed, directory)[0]

        def digest(data):
            return hashlib.sha256(data[:checksum] + data[checksum + 4:directory] + data[directory + 8:end]).digest()

        self.assertIn(digest(signed), signed)
        forged = bytearray(signed)
        forged[len(plain) - 1] ^= 1
        forged = bytes(forged).replace(digest(signed), digest(bytes(forged)))
        code, text = audit(forged)
        self.assertNotEqual(code, 0)
        self.assertIn("its signature is not one of its digest", text)
        # Bytes behind the signature, and a second entry.
        self.assertIn("table of certificates is damaged", audit(signed + bytes(8))[1])
        longer = bytearray(signed + bytes(8))
        struct.pack_into("<I", longer, directory + 4, struct.unpack_from("<I", signed, directory + 4)[0] + 8)
        self.assertIn("table of certificates is damaged", audit(longer)[1])


def parts_of(data):
    """(type, offset of the value, bytes of the value) of each part of the descriptor in the image."""
    start = data.index(b"SKEPMOD\n")
    total = struct.unpack_from("<Q", data, start + 16)[0]
    at, out = start + 64, []
    while at < start + total:
        kind, _, size = struct.unpack_from("<HHI", data, at)
        out.append((kind, at + 8, size))
        at += (8 + size + 7) & ~7
    return start, total, out


def resealed(data):
    """The image with a checksum that fits its descriptor."""
    import hashlib
    start, total, _ = parts_of(data)
    data = bytearray(data)
    data[start + 24:start + 56] = hashlib.sha256(data[start + 64:start + total]).digest()
    return bytes(data)


class Certificates(unittest.TestCase):
    """What the signature would hide is refused on its own account: here whoever changes a module also mends its checksum."""

    @classmethod
    def setUpClass(cls):
        Modules.setUpClass.__func__(cls)
        cls.module = cls.folder / f"verified{ending}"
        done = subprocess.run([*builder(), "compile", str(cls.objects["firewall"]), "-o", str(cls.module), "--target", host],
                              capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        cls.data = cls.module.read_bytes()
        _, _, cls.parts = parts_of(cls.data)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def part(self, kind):
        return next((at, size) for number, at, size in self.parts if number == kind)

    def program(self):
        """Where the program part keeps its costs and its certificate."""
        at, size = self.part(9)
        end = at + size
        for _ in range(4):
            at += 4 + struct.unpack_from("<I", self.data, at)[0]
        costs = at + 4
        certificate = costs + 4 + 8 + 8
        bytes_of_it = struct.unpack_from("<I", self.data, certificate)[0]
        self.assertEqual(certificate + 4 + bytes_of_it, end)
        return costs, certificate + 4, bytes_of_it

    def refused(self, data, *because):
        path = self.folder / f"changed{ending}"
        path.write_bytes(data)
        for words in (["audit", path], ["run", path, "--pcap", capture]):
            code, _, err = skep(*words, "--allow-unsigned")
            self.assertNotEqual(code, 0, f"{words[0]} took it; expected one of {because}")
            self.assertTrue(any(words in err for words in because), err)

    def changed(self, at, flip=1):
        data = bytearray(self.data)
        data[at] ^= flip
        return resealed(bytes(data))

    def test_a_verified_module_runs_as_its_object(self):
        verdicts = []
        for what, more in ((self.module, ["--allow-unsigned"]), (self.objects["firewall"], ["--engine", "interp"])):
            to = self.folder / f"{len(verdicts)}.verdicts"
            code, _, err = skep("run", what, "--pcap", capture, "--deterministic", "7", "--verdicts", to, "--map-init",
                                examples / "firewall" / "maps.json", *more)
            self.assertEqual(code, 0, err)
            verdicts.append(to.read_bytes())
        self.assertEqual(*verdicts)
        code, out, err = skep("audit", self.module, "--allow-unsigned")
        self.assertEqual(code, 0, err)
        self.assertIn("verified by skep", out)
        self.assertRegex(out, r"at most [0-9]+ instructions")

    def test_the_constants_it_was_proved_with_stay(self):
        code, out, err = skep("inspect", self.objects["firewall"], "--json")
        self.assertEqual(code, 0, err)
        constants = [g for g in json.loads(out).get("globals", []) if "rodata" in str(g)]
        self.assertTrue(constants, out[:300])
        init = self.folder / "constants.json"
        init.write_text(json.dumps({"globals": {constants[0]["name"]: 12345}}))
        words = ["run", self.module, "--pcap", capture, "--map-init", init, "--allow-unsigned"]
        code, _, err = skep(*words)
        self.assertEqual(code, 3, err)
        self.assertIn("the constants of a module cannot be changed", err)
        code, _, err = skep(*words, "--engine", "interp")
        self.assertEqual(code, 0, err)

    def test_the_policy_decides_about_engines(self):
        policy = self.folder / "engines.policy"
        policy.write_text("skep-policy 1\nengine native\nrequire-signature no\n")
        words = ["run", self.module, "--pcap", capture, "--policy", policy]
        code, _, err = skep(*words)
        self.assertEqual(code, 0, err)
        code, _, err = skep(*words, "--engine", "interp")
        self.assertEqual(code, 4, err)
        self.assertIn("the policy does not allow the engine interp", err)

    def test_every_part_of_a_certificate_counts(self):
        _, at, size = self.program()
        for place in sorted({0, 1, size // 7, size // 3, size // 2, size - 9, size - 1}):
            with self.subTest(byte=place):
                self.refused(self.changed(at + place), "the certificate does not prove the module's program",
                             "claims another cost")

    def test_a_module_cannot_claim_another_cost(self):
        costs, _, _ = self.program()
        for offset in (0, 4, 12):
            self.refused(self.changed(costs + offset), "claims another cost of program firewall")

    def test_the_certificate_of_another_program_proves_nothing(self):
        at, size = self.part(11)
        code = self.data.index(b"\x7fELF", at)
        self.assertEqual(code, at)
        # Another small constant in the object's code, which comes first in the file: `w1 = 2` becomes `w1 = 1`.
        changed = 0
        for place in range(at, at + size, 8):
            opcode, registers, offset, imm = struct.unpack_from("<BBhi", self.data, place)
            if opcode not in (0xb4, 0xb7) or registers > 9 or offset != 0 or not 1 <= imm <= 16:
                continue
            self.refused(self.changed(place + 4, 3), "the certificate does not prove the module's program")
            changed += 1
            if changed == 3:
                break
        self.assertEqual(changed, 3)

    def test_a_contract_cannot_lie(self):
        at, size = self.part(8)
        helper = self.data.index(b"map_lookup_elem", at, at + size)
        self.refused(self.changed(helper), "this host cannot serve the module's contract")
        prototype = self.data.index(b"ConstMapPtr", at, at + size)
        self.refused(self.changed(prototype), "this host cannot serve the module's contract")
        field = self.data.index(b"Xdp.data", at, at + size)
        self.refused(self.changed(field + 8), "this host cannot serve the module's contract")

    def test_a_module_for_another_machine_or_processor_is_refused(self):
        at, size = self.part(1)
        self.refused(self.changed(at), "the descriptor and the image are for different machines")
        at, size = self.part(2)
        self.refused(self.changed(at), "the module needs an unknown processor")


if __name__ == "__main__":
    unittest.main()
