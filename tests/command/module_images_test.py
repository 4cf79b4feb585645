#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mapping a module runs nothing: images with what the system's loader would run, bind or map writable are refused before
they are mapped, each by name, on every system and for every kind of image. Whoever signed them does not matter, so they
are not signed here.

Needs SKEP_COMMAND and SKEP_BINARY_DIR; the images are made by compilers of the build host."""
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import module_test as common  # noqa: E402  (its cases stay its own: only names are used)

skep, capture, host = common.skep, common.capture, common.host


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if common.builder() is None:
            raise unittest.SkipTest("modules are built by a native skep, and SKEP_BUILD_COMMAND names none")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="skep-images-"))
        cls.object = common.binary / "examples" / "firewall.bpf.o"
        if not cls.object.exists():
            raise unittest.SkipTest(f"{cls.object} is not built")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def source(self, target):
        to = self.folder / f"{target}.c"
        if not to.exists():
            code, out = common.compile_module(self.object, to, "--target", target)
            self.assertEqual(code, 0, out)
        return to.read_text()

    def refused(self, image, because):
        """Both commands refuse it in these words, a regular expression, before anything else is said of it."""
        for words in (["audit", image], ["run", image, "--pcap", capture]):
            code, out, err = skep(*words, "--allow-unsigned", "--unverified")
            self.assertEqual(code, 1, f"{words[0]} took it; expected: {because}\n{out}{err}")
            self.assertRegex(err, because)
            self.assertNotIn("packets", out)

    def taken(self, image, target):
        code, _, err = skep("audit", image, "--allow-unsigned", "--unverified")
        self.assertEqual(code, 0, err)
        code, out, err = skep("run", image, "--pcap", capture, "--allow-unsigned", "--unverified")
        if target == host:
            self.assertEqual(code, 0, err)
            self.assertIn("592", out)
        else:
            self.assertEqual(code, 1, err)
            self.assertIn("the module is for another machine", err)

    def images(self, target, compiler, flags, cases, ending):
        source = self.source(target)
        for number, (name, more, link, because) in enumerate(cases):
            with self.subTest(target=target, image=name):
                unit, image = self.folder / f"{target}-{number}.c", self.folder / f"{target}-{number}.{ending}"
                unit.write_text(source + more + "\n")
                made = subprocess.run([compiler, *flags.split(), str(unit), "-o", str(image), *link.split()],
                                      capture_output=True, text=True)
                self.assertEqual(made.returncode, 0, made.stderr)
                if because is None:
                    self.taken(image, target)
                else:
                    self.refused(image, because)

    def elf(self, target, compiler):
        if shutil.which(compiler) is None:
            self.skipTest(f"there is no {compiler} to make such images with")
        flags = "-std=gnu11 -ffreestanding -fno-strict-overflow -fno-strict-aliasing -O1 -w -fPIC -shared -fno-stack-protector"
        if target == "linux-arm64":
            flags += " -mno-outline-atomics"
        plain = "-nostdlib -Wl,-z,noexecstack,-z,relro,-z,now,--build-id=none,--hash-style=sysv"
        nothing = '__asm__ volatile("");'
        cases = [
            ("what skep compile makes", "", plain, None),
            ("PT_INTERP", 'const char way[] __attribute__((section(".interp"))) = "/lib/ld.so";', plain, "PT_INTERP"),
            ("DT_NEEDED", "", plain.replace("-nostdlib", "-nostartfiles -Wl,--no-as-needed"), "DT_NEEDED"),
            ("DT_RUNPATH", "", plain + " -Wl,-rpath,/tmp,--enable-new-dtags", "DT_RUNPATH"),
            ("DT_RPATH", "", plain + " -Wl,-rpath,/tmp,--disable-new-dtags", "DT_RPATH"),
            ("DT_INIT", "void go(void) {}", plain + " -Wl,-init=go", "DT_INIT "),
            ("DT_FINI", "void go(void) {}", plain + " -Wl,-fini=go", "DT_FINI "),
            ("DT_INIT_ARRAY", f"__attribute__((constructor)) static void go(void) {{ {nothing} }}", plain, "DT_INIT_ARRAY"),
            ("DT_FINI_ARRAY", f"__attribute__((destructor)) static void go(void) {{ {nothing} }}", plain, "DT_FINI_ARRAY"),
            ("IRELATIVE", "static int one(void) { return 1; } static void *pick(void) { return one; }"
             '__attribute__((visibility("hidden"))) int many(void) __attribute__((ifunc("pick")));'
             "int use(void) { return many(); }", plain, "IRELATIVE"),
            ("indirect function", "static int one(void) { return 1; } static void *pick(void) { return one; }"
             'int many(void) __attribute__((ifunc("pick")));', plain, "indirect function|IRELATIVE"),
            ("relocations of code", '__asm__(".text\\nhere: .quad here\\n");', plain + " -Wl,-z,notext", "DT_TEXTREL"),
            ("relocations of data", "static int f(void) { return 1; } int (*const table[])(void) = {f, f};", plain,
             "relocations"),
            ("a function of the host", 'extern int puts(const char *); int use(void) { return puts(""); }', plain,
             "relocations"),
            ("a name of the host", '__asm__(".globl getpid\\n.type getpid, @function");', plain, "host's symbol \"getpid\""),
            ("PT_TLS", "__thread int mine; int *get(void) { return &mine; }", plain, "PT_TLS"),
            ("data", "int shared = 1;", plain, "writable data"),
            ("zeroes", "int shared[4];", plain, "writable data"),
            ("an address", "static int x; int *const at = &x;", plain, "writable data"),
            ("W+X", "", plain.replace("-z,relro", "-N"), "writable and executable"),
            ("executable stack", "", plain.replace("noexecstack", "execstack"), "executable stack"),
            ("DT_GNU_HASH", "", plain.replace("sysv", "gnu"), "DT_GNU_HASH"),
        ]
        self.images(target, compiler, flags, cases, "so")

    def test_elf(self):
        self.elf("linux-x86_64", "gcc")

    @unittest.skipUnless(host == "linux-arm64", "images for arm64 differ in their relocations only")
    def test_elf_of_arm64(self):
        self.elf("linux-arm64", "aarch64-linux-gnu-gcc")

    def test_no_stack_header(self):
        """The kernel makes the stack executable where an image does not say that it need not be."""
        image = self.folder / "stack.so"
        code, out = common.compile_module(self.object, image, "--target", "linux-x86_64")
        self.assertEqual(code, 0, out)
        data = bytearray(image.read_bytes())
        table, = struct.unpack_from("<Q", data, 32)
        for i in range(struct.unpack_from("<H", data, 56)[0]):
            if struct.unpack_from("<I", data, table + 56 * i)[0] == 0x6474e551:
                struct.pack_into("<I", data, table + 56 * i, 0)
        image.write_bytes(data)
        self.refused(image, "no PT_GNU_STACK")

    def pe_compiler(self):
        compiler = shutil.which("x86_64-w64-mingw32-gcc-posix") or shutil.which("x86_64-w64-mingw32-gcc")
        if compiler is None:
            self.skipTest("there is no mingw-w64 compiler to make such images with")
        return compiler

    def test_pe(self):
        flags = ("-std=gnu11 -ffreestanding -fno-strict-overflow -fno-strict-aliasing -O1 -w -shared -mno-stack-arg-probe "
                 "-nostdlib -fno-stack-protector")
        plain = "-Wl,--entry=0,--exclude-all-symbols"
        callback = ("static void go(void *h, unsigned why, void *more) {} void *const calls[2] = {(void *)go, 0};"
                    "static const unsigned number; __attribute__((used)) const void *const _tls_used[5] = "
                    "{0, 0, &number, calls, 0};")
        cases = [
            ("what skep compile makes", "", plain, None),
            ("entry point", "int go(void) { return 1; }", plain.replace("--entry=0", "--entry=go"), "an entry point"),
            ("import", "__declspec(dllimport) void ExitProcess(unsigned); void use(void) { ExitProcess(1); }",
             plain + " -lkernel32", "the image has imports"),
            ("TLS callback", callback, plain, "thread-local storage or TLS callbacks"),
            ("data", "int shared = 1;", plain, "writable data"),
            ("zeroes", "int shared[4];", plain, "writable data"),
            ("W+X", '__asm__(".section .wx,\\"wx\\"\\n.byte 0xc3\\n.text");', plain, "writable and executable"),
        ]
        self.images("windows-x86_64", self.pe_compiler(), flags, cases, "dll")

    def test_pe_headers(self):
        self.pe_compiler()
        to = self.folder / "headers.dll"
        code, out = common.compile_module(self.object, to, "--target", "windows-x86_64")
        self.assertEqual(code, 0, out)
        good = to.read_bytes()
        pe = struct.unpack_from("<I", good, 0x3c)[0]
        optional, sections = pe + 24, pe + 24 + 240
        cases = [
            (optional + 16, 0x1000, "an entry point"),
            (optional + 112 + 8 * 1, 0x1000, "imports"),
            (optional + 112 + 8 * 9, 0x1000, "thread-local storage"),
            (optional + 112 + 8 * 10, 0x1000, "a load configuration"),
            (optional + 112 + 8 * 11, 0x1000, "bound imports"),
            (optional + 112 + 8 * 12, 0x1000, "imports"),
            (optional + 112 + 8 * 13, 0x1000, "delayed imports"),
            (optional + 112 + 8 * 14, 0x1000, "managed code"),
            (optional + 32, 512, "share pages"),
            (sections + 36, 0xe0000020, "writable and executable"),
            (sections + 40 + 36, 0xc0000040, "writable data"),
        ]
        for at, value, because in cases:
            with self.subTest(because=because, at=at - optional):
                bad = bytearray(good)
                struct.pack_into("<I", bad, at, value)
                path = self.folder / "bad.dll"
                path.write_bytes(bad)
                self.refused(path, re.escape(because))


if __name__ == "__main__":
    unittest.main()
