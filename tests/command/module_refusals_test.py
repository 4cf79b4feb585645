#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every way in which a native module is not what it says, on every system that runs modules: each refusal says which
check failed, and on what. Modules are built and signed by the build host's skep and given to the one under test.

Needs SKEP_COMMAND and SKEP_BINARY_DIR; SKEP_BUILD_COMMAND where compilers do not run (build/dev/skep if it is there)."""
import hashlib
import json
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

skep, capture, windows, arm64, host, ending = (common.skep, common.capture, common.windows, common.arm64, common.host,
                                               common.ending)
MARK = common.MARK


def build(*words):
    done = subprocess.run([*common.builder(), *map(str, words)], capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


def parts_of(data):
    """The parts of a descriptor or contract: [type, flags, value]."""
    out, at = [], 0
    while at < len(data):
        kind, flags, size = struct.unpack_from("<HHI", data, at)
        out.append([kind, flags, data[at + 8:at + 8 + size]])
        at += 8 + (size + 7) // 8 * 8
    return out


def join(parts):
    return b"".join(struct.pack("<HHI", kind, flags, len(value)) + value + bytes(-len(value) % 8)
                    for kind, flags, value in parts)


def texts(value, count):
    """The first texts of a part, and where they end."""
    out, at = [], 0
    for _ in range(count):
        size, = struct.unpack_from("<I", value, at)
        out.append(value[at + 4:at + 4 + size])
        at += 4 + size
    return out, at


def descriptor_of(parts, format=1, header=64, more=b""):
    body = join(parts)
    return (b"SKEPMOD\n" + struct.pack("<IIQ", format, header, header + len(body)) + hashlib.sha256(body).digest() + bytes(8)
            + more + body)


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        words = common.builder()
        if words is None:
            raise unittest.SkipTest("modules are built by a native skep, and SKEP_BUILD_COMMAND names none")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="skep-refusals-"))
        cls.objects = {name: common.binary / "examples" / f"{name}.bpf.o" for name in ("firewall", "flowmon")}
        for path in cls.objects.values():
            if not path.exists():
                raise unittest.SkipTest(f"{path} is not built")
        cls.modules = {}
        for name, path in cls.objects.items():
            to = cls.folder / f"{name}{ending}"
            code, out, err = build("compile", path, "-o", to, "--target", host)
            if code == 4:
                raise unittest.SkipTest(f"no C compiler for {host}: {err}")
            assert code == 0, out + err
            cls.modules[name] = to.read_bytes()
        cls.keys = {}
        for name, words in {"good": [], "other": [], "expired": ["--flaw", "expired"], "early": ["--flaw", "early"],
                            "usage": ["--flaw", "usage"]}.items():
            folder = cls.folder / f"keys-{name}"
            code, out, err = build("keygen", "--test-root", folder, *words)
            if code == 4:
                raise unittest.SkipTest(err)
            assert code == 0, err
            cls.keys[name] = folder
        if windows and shutil.which("osslsigncode") is None:
            raise unittest.SkipTest("there is no osslsigncode to sign with")
        cls.plain = cls.modules["firewall"]
        cls.signed = cls.sign(cls.plain)
        code, _, err = skep("audit", cls.write(cls.signed), *cls.trust())
        if code != 0 and "no library for signatures" in err:
            raise unittest.SkipTest("this build has no library for signatures")
        assert code == 0, err

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def write(cls, data, name="module"):
        path = cls.folder / f"{name}{ending}"
        path.write_bytes(data)
        return path

    @classmethod
    def sign(cls, data, keys="good"):
        path = cls.write(data, "to-sign")
        folder = cls.keys[keys]
        code, out, err = build("sign", path, "--key", folder / "signer.key", "--cert", folder / "signer.pem")
        assert code == 0, out + err
        return path.read_bytes()

    @classmethod
    def trust(cls, keys="good"):
        return "--root", cls.keys[keys] / "root.pem"

    def refused(self, data, because, *more):
        """Both commands refuse it, in these words (a regular expression), before any packet is seen."""
        path = self.write(data, "bad")
        for words in (["audit", path], ["run", path, "--pcap", capture]):
            code, out, err = skep(*words, *more)
            self.assertIn(code, (1, 3, 4), f"{words[0]} took it; expected: {because}\n{out}{err}")
            self.assertRegex(err, because)
            self.assertNotIn("packets", out)

    def test_what_is_good_is_taken(self):
        path = self.write(self.signed)
        code, out, err = skep("audit", path, *self.trust())
        self.assertEqual(code, 0, err)
        self.assertIn("skep test signer", out)
        code, out, err = skep("run", path, "--pcap", capture, *self.trust())
        self.assertEqual(code, 0, err)

    def test_unsigned(self):
        self.refused(self.plain, "the module is not signed", *self.trust())

    def test_changed_bytes(self):
        """One bit in each part of the image: all of them under the signature."""
        body = self.plain.index(b"SKEPMOD\n")
        certificate = dict((kind, value) for kind, _, value in parts_of(self.descriptor()[64:]))[9]
        entry = self.code_offset()
        places = {
            "code": entry,
            "bytecode": self.plain.index(b"\x7fELF", 4) + 0x48,
            "certificate": self.plain.index(certificate) + len(certificate) - 9,
            "contract": self.plain.index(b"map_lookup_elem"),
            "descriptor": body + 24,
            "header": 0x40 if not windows else 0x41,
            "last byte": len(self.plain) - 1,
        }
        for place, at in places.items():
            with self.subTest(place=place):
                changed = bytearray(self.signed)
                changed[at] ^= 1
                self.refused(bytes(changed), "the module was changed after it was signed", *self.trust())

    def code_offset(self):
        """Where the first executable bytes lie in the file."""
        if windows:
            pe = struct.unpack_from("<I", self.plain, 0x3c)[0]
            for i in range(struct.unpack_from("<H", self.plain, pe + 6)[0]):
                row = pe + 24 + 240 + 40 * i
                if struct.unpack_from("<I", self.plain, row + 36)[0] & 0x20000000:
                    return struct.unpack_from("<I", self.plain, row + 20)[0]
        # By sections: a segment with code may begin with the headers.
        table, = struct.unpack_from("<Q", self.plain, 40)
        for i in range(struct.unpack_from("<H", self.plain, 60)[0]):
            flags, _, offset = struct.unpack_from("<QQQ", self.plain, table + 64 * i + 8)
            if flags & 4:  # SHF_EXECINSTR
                return offset
        self.fail("the image has no code")

    def test_the_signature_itself(self):
        if windows:
            pe = struct.unpack_from("<I", self.signed, 0x3c)[0]
            directory = pe + 24 + 144
            table, size = struct.unpack_from("<II", self.signed, directory)
            cases = [("kind of entry", table + 6, 1, "table of certificates is damaged"),
                     ("length of entry", table, 0x40, "table of certificates is damaged"),
                     ("place of table", directory, 8, "table of certificates is damaged"),
                     ("DER", table + 8, 1, "the module's signature is damaged"),
                     ("signed value", table + size - 16, 1, "the module was changed|signature is damaged")]
        else:
            end, start = len(self.signed) - len(MARK), len(self.plain)
            cases = [("kind of signature", end - 10, 1, "the module's signature trailer is damaged"),
                     ("a field that must be zero", end - 12, 1, "the module's signature trailer is damaged"),
                     ("size beyond the file", end - 4, 0x7f, "the module's signature trailer is damaged"),
                     ("DER", start, 1, "the module's signature is damaged"),
                     ("signed value", end - 12 - 8, 1, "the module was changed|signature is damaged"),
                     ("mark", end, 1, "the module is not signed")]
        for name, at, flip, because in cases:
            with self.subTest(case=name):
                changed = bytearray(self.signed)
                changed[at] ^= flip
                self.refused(bytes(changed), because, *self.trust())

    def test_who_signed(self):
        self.refused(self.signed, "(?s)does not chain to a trusted root.*skep test signer", *self.trust("other"))
        self.refused(self.signed, "no root is trusted")
        for keys, because in (("expired", "(?s)has expired.*valid until"), ("early", "(?s)is not valid yet.*valid from"),
                              ("usage", "is not one for signing code")):
            with self.subTest(signer=keys):
                self.refused(self.sign(self.plain, keys), because, *self.trust(keys))

    def authority(self, name, extensions, by):
        """A key and certificate with these extensions, signed by another's; paths without their endings."""
        path = self.folder / name
        (path.with_suffix(".ext")).write_text("\n".join(extensions) + "\n")
        for words in (["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{path}.key", "-out", f"{path}.csr"],
                      ["x509", "-req", "-in", f"{path}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-set_serial", str(1000 + len(name)),
                       "-days", "30", "-sha256", "-extfile", f"{path}.ext", "-out", f"{path}.pem"]):
            done = subprocess.run(["openssl", *words], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def test_authorities_in_between(self):
        """A chain of three is taken if it is handed on; what stands in the middle has to be an authority, and one for code."""
        if shutil.which("openssl") is None:
            self.skipTest("there is no openssl to make certificates with")
        root = self.keys["good"] / "root"
        signer = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=codeSigning"]
        middle = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
        cases = [("good", middle, None),
                 ("for-code", [*middle, "extendedKeyUsage=codeSigning"], None),
                 ("for-servers", [*middle, "extendedKeyUsage=serverAuth"], "(?s)does not chain to a trusted root.*for another use"),
                 ("no-authority", signer, "does not chain to a trusted root")]
        for name, extensions, because in cases:
            with self.subTest(middle=name):
                between = self.authority(f"middle-{name}", extensions, root)
                leaf = self.authority(f"leaf-{name}", signer, between)
                path = self.write(self.plain, "to-sign")
                code, out, err = build("sign", path, "--key", f"{leaf}.key", "--cert", f"{leaf}.pem", "--chain", f"{between}.pem")
                self.assertEqual(code, 0, out + err)
                data = path.read_bytes()
                if because:
                    self.refused(data, because, *self.trust())
                    continue
                code, out, err = skep("audit", self.write(data), *self.trust(), "--json")
                self.assertEqual(code, 0, err)
                self.assertEqual(len(json.loads(out)["signer"]["chain"]), 3)
                self.refused(data, "does not chain to a trusted root", *self.trust("other"))
                path = self.write(self.plain, "to-sign")
                code, out, err = build("sign", path, "--key", f"{leaf}.key", "--cert", f"{leaf}.pem")
                self.assertEqual(code, 0, out + err)
                self.refused(path.read_bytes(), "does not chain to a trusted root", *self.trust())

    def test_the_signature_of_another_file(self):
        if windows:
            other = self.sign(self.modules["flowmon"])
            pe = struct.unpack_from("<I", other, 0x3c)[0]
            table, size = struct.unpack_from("<II", other, pe + 24 + 144)
            image = bytearray(self.plain + bytes(-len(self.plain) % 8))
            pe = struct.unpack_from("<I", image, 0x3c)[0]
            struct.pack_into("<II", image, pe + 24 + 144, len(image), size)
            mixed = bytes(image) + other[table:table + size]
        else:
            mixed = self.modules["flowmon"] + self.signed[len(self.plain):]
        self.refused(mixed, "the module was changed after it was signed", *self.trust())

    def signed_for(self, target):
        """The firewall for a target, plain and signed, where this build host can make it."""
        if target == host:
            return self.plain, self.signed
        path = self.folder / f"for-{target}{'.dll' if target.startswith('windows') else '.so'}"
        code, out, err = build("compile", self.objects["firewall"], "-o", path, "--target", target)
        if code == 4:
            self.skipTest(f"no C compiler for {target}")
        self.assertEqual(code, 0, out + err)
        plain, folder = path.read_bytes(), self.keys["good"]
        if target.startswith("windows") and shutil.which("osslsigncode") is None:
            self.skipTest("there is no osslsigncode to sign with")
        code, out, err = build("sign", path, "--key", folder / "signer.key", "--cert", folder / "signer.pem")
        self.assertEqual(code, 0, out + err)
        return plain, path.read_bytes()

    def test_a_forged_digest(self):
        """A byte is changed and the digest inside the signature with it: no key is needed, and WinVerifyTrust of Wine
        with crypt32's check of the signature accept it."""
        plain, signed = self.signed_for("windows-x86_64")
        pe = struct.unpack_from("<I", signed, 0x3c)[0]
        checksum, directory = pe + 24 + 64, pe + 24 + 144
        end = struct.unpack_from("<I", signed, directory)[0]

        def digest(data):
            return hashlib.sha256(data[:checksum] + data[checksum + 4:directory] + data[directory + 8:end]).digest()

        self.assertIn(digest(signed), signed)
        forged = bytearray(signed)
        forged[len(plain) - 1] ^= 1
        self.refused(bytes(forged), "(?s)the module was changed after it was signed.*its digest is not the signed one",
                     *self.trust())
        forged = bytes(forged).replace(digest(signed), digest(bytes(forged)))
        self.refused(forged, "(?s)the module was changed after it was signed.*its signature is not one of its digest",
                     *self.trust())

    def test_signed_attributes(self):
        """A signature of an ELF image whose signed attributes hold the digest, as openssl makes it: taken over its own
        image, refused over another (crypt32 of Wine does not compare the two)."""
        if shutil.which("openssl") is None:
            self.skipTest("there is no openssl to sign with")
        target = "linux-x86_64" if windows else host
        plain, _ = self.signed_for(target)
        content, to, folder = self.folder / "content", self.folder / "attributes.der", self.keys["good"]
        content.write_bytes(plain)
        done = subprocess.run(["openssl", "cms", "-sign", "-binary", "-md", "sha256", "-signer", str(folder / "signer.pem"),
                               "-inkey", str(folder / "signer.key"), "-in", str(content), "-outform", "DER", "-out", str(to)],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        signature = to.read_bytes()
        trailer = signature + struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, len(signature)) + MARK
        path = self.write(plain + trailer)
        code, out, err = skep("audit", path, *self.trust())
        self.assertEqual(code, 0, err)
        self.assertIn("skep test signer", out)
        changed = bytearray(plain)
        changed[-1] ^= 1
        self.refused(bytes(changed) + trailer, "the module was changed after it was signed", *self.trust())
        self.refused(self.signed_for(target)[0][:-8] + bytes(8) + b"more" + trailer,
                     "the module was changed after it was signed", *self.trust())

    def policy(self, *lines):
        path = self.folder / "site.policy"
        path.write_text("\n".join(["skep-policy 1", f"root {self.keys['good'] / 'root.pem'}", *lines]) + "\n")
        return "--policy", path

    def test_what_is_denied(self):
        code, out, err = skep("audit", self.write(self.signed), *self.trust(), "--json")
        self.assertEqual(code, 0, err)
        report = json.loads(out)
        for line, because in ((f"deny image {report['image_sha256']}", "denied images.*"),
                              (f"deny serial {report['signer']['serial']}", "denied serial numbers"),
                              (f"deny certificate {report['signer']['certificate']}", "denied certificates"),
                              (f"signer {'0' * 64}", "not one of those that the policy names"),
                              ("hook tc", "does not allow programs of type xdp"),
                              ("engine jit", "does not allow native modules"),
                              ("limit xdp instructions 10", "may cost more than the policy allows")):
            with self.subTest(policy=line):
                self.refused(self.signed, because, *self.policy(line))

    def test_another_target(self):
        target = "linux-x86_64" if host != "linux-x86_64" else "linux-arm64"
        path = self.folder / "elsewhere.so"
        code, out, err = build("compile", self.objects["firewall"], "-o", path, "--target", target)
        if code == 4:
            self.skipTest(f"no C compiler for {target}")
        self.assertEqual(code, 0, err)
        folder = self.keys["good"]
        code, out, err = build("sign", path, "--key", folder / "signer.key", "--cert", folder / "signer.pem")
        self.assertEqual(code, 0, err)
        code, out, err = skep("run", path, "--pcap", capture, *self.trust())
        self.assertEqual(code, 1, err)
        self.assertRegex(err, f"the module is for another machine[^$]*it is for {target}, this is {host}")

    # What a signer could be made to sign: images whose descriptor lies, well-formed and under a good signature.

    def descriptor(self, name="firewall"):
        data = self.modules[name]
        at = data.index(b"SKEPMOD\n")
        return data[at:at + struct.unpack_from("<Q", data, at + 16)[0]]

    def image_with(self, descriptor):
        """The firewall's code with another descriptor, signed."""
        compiler = {"windows-x86_64": "x86_64-w64-mingw32-gcc-posix", "linux-arm64": "aarch64-linux-gnu-gcc"}.get(host, "gcc")
        if shutil.which(compiler) is None:
            self.skipTest(f"there is no {compiler} to make such images with")
        text = self.folder / "firewall.c"
        if not text.exists():
            code, out, err = build("compile", self.objects["firewall"], "-o", text, "--target", host)
            self.assertEqual(code, 0, err)
        source = text.read_text()
        head = source.rindex("/* The descriptor")
        numbers = ",".join(map(str, descriptor))
        unit, image = self.folder / "lies.c", self.folder / f"lies{ending}"
        unit.write_text(f"{source[:head]}\nSKEP_EXPORT extern const unsigned char skep_module[{len(descriptor)}];\n"
                        f"SKEP_EXPORT __attribute__((section(\".skep\"), aligned(8))) const unsigned char "
                        f"skep_module[{len(descriptor)}] = {{{numbers}}};\n")
        flags = ("-std=gnu11 -ffreestanding -fno-strict-overflow -fno-strict-aliasing -O1 -w -fPIC -shared -nostdlib "
                 "-fno-stack-protector -fvisibility=hidden -fno-asynchronous-unwind-tables -s ")
        flags += ("-mno-stack-arg-probe -Wl,--entry=0,--exclude-all-symbols" if windows else
                  "-Wl,-z,noexecstack,-z,relro,-z,now,--build-id=none,--hash-style=sysv")
        if host == "linux-arm64":
            flags += " -mno-outline-atomics"
        done = subprocess.run([compiler, *flags.split(), str(unit), "-o", str(image)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.sign(image.read_bytes())

    def changed(self, edit):
        parts = parts_of(self.descriptor()[64:])
        return descriptor_of(edit(parts) or parts)

    def test_the_way_lies_are_told_is_right(self):
        path = self.write(self.image_with(self.descriptor()))
        code, out, err = skep("run", path, "--pcap", capture, *self.trust())
        self.assertEqual(code, 0, err)

    def test_another_runtime(self):
        """The contract of an incompatible runtime: the differences are named field by field."""
        def contract(change):
            def edit(parts):
                for part in parts:
                    if part[0] == 8:
                        inner = parts_of(part[2])
                        change(inner)
                        part[2] = join(inner)
            return self.changed(edit)

        def abi(inner):
            inner[0][2] = struct.pack("<I", 99) + inner[0][2][4:]

        def layout(inner):
            inner[0][2] = inner[0][2][:8] + struct.pack("<I", 7) + inner[0][2][12:]

        def first(inner, kind):
            return next(part for part in inner if part[0] == kind)

        def helper(inner):
            part = first(inner, 3)
            part[2] = part[2][:4] + b"x" + part[2][5:]

        def prototype(inner):
            part = first(inner, 3)
            (name, proto), _ = texts(part[2], 2)
            part[2] = struct.pack("<I", len(name)) + name + struct.pack("<I", 4) + b"(x) "

        def field(inner):
            part = first(inner, 4)
            (name,), at = texts(part[2], 1)
            part[2] = part[2][:at] + struct.pack("<H", 0x7fff) + part[2][at + 2:]

        def stride(inner):
            part = first(inner, 5)
            part[2] = part[2][:-8] + struct.pack("<Q", 4096)

        cases = [("abi", abi, "run-time context abi: the module has 99, this host"),
                 ("layout", layout, "version of the layout of arrays: the module has 7"),
                 ("helper", helper, "helper x.*: this host does not know it"),
                 ("prototype", prototype, r"helper .*: the module takes it for \(\(x\) \)"),
                 ("field", field, "context field .*: the module has .*32767"),
                 ("map", stride, "map .*differs from what the module's object says")]
        for name, change, because in cases:
            with self.subTest(difference=name):
                self.refused(self.image_with(contract(change)),
                             f"(?s)this host cannot serve the module's contract.*{because}", *self.trust())

    @staticmethod
    def with_certificate(program, certificate):
        _, at = texts(program, 4)
        at += 4 + 4 + 8 + 8
        return program[:at] + struct.pack("<I", len(certificate)) + certificate

    @staticmethod
    def certificate_of(parts):
        program = next(value for kind, _, value in parts if kind == 9)
        _, at = texts(program, 4)
        return program[at + 28:]

    def test_certificates(self):
        own = self.certificate_of(parts_of(self.descriptor()[64:]))
        other = self.certificate_of(parts_of(self.descriptor("flowmon")[64:]))
        self.assertNotEqual(own, other)
        middle = bytearray(own)
        middle[len(own) // 2] ^= 0x10

        def put(certificate):
            def edit(parts):
                for part in parts:
                    if part[0] == 9:
                        part[2] = self.with_certificate(part[2], certificate)
            return edit

        def claims(parts):
            for part in parts:
                if part[0] == 9:
                    _, at = texts(part[2], 4)
                    part[2] = part[2][:at + 8] + struct.pack("<Q", 3) + part[2][at + 16:]

        def nobody(parts):
            for part in parts:
                if part[0] == 6:
                    part[2] = b"none"

        def options(parts):
            for part in parts:
                if part[0] == 7:
                    part[2] += b" pointer-leaks"

        def bytecode(parts):
            """The object of the other program, with the certificates of this one."""
            theirs = {kind: value for kind, _, value in parts_of(self.descriptor("flowmon")[64:])}
            for part in parts:
                if part[0] == 11:
                    part[2] = theirs[11]

        cases = [("of another program", put(other), "the certificate does not prove the module's program"),
                 ("one bit of it", put(bytes(middle)), "the certificate does not prove|claims another cost"),
                 ("cut off", put(own[:-8]), "the certificate does not prove the module's program"),
                 ("none", put(b""), "the certificate does not prove the module's program"),
                 ("claims a smaller cost", claims, "the module claims another cost of program"),
                 ("verified by nobody", nobody, "cannot be checked|the policy wants verified programs"),
                 ("other options", options, "under other options than this host accepts"),
                 ("another program's bytecode", bytecode, "are not those of its object|cannot serve the module's contract")]
        for name, edit, because in cases:
            with self.subTest(certificate=name):
                self.refused(self.image_with(self.changed(edit)), because, *self.trust())

    def test_formats(self):
        """Unknown optional parts are ignored, unknown critical ones refused by name, in descriptor and contract."""
        parts = parts_of(self.descriptor()[64:])

        def contract_with(flags):
            out = [list(part) for part in parts]
            for part in out:
                if part[0] == 8:
                    part[2] = join([*parts_of(part[2]), [77, flags, b"new"]])
            return descriptor_of(out)

        for taken in (descriptor_of([*parts, [500, 0, b"new"]]), contract_with(0)):
            path = self.write(self.image_with(taken))
            code, out, err = skep("run", path, "--pcap", capture, *self.trust())
            self.assertEqual(code, 0, err)
        self.refused(self.image_with(descriptor_of([*parts, [500, 1, b"new"]])), "descriptor.*part 500", *self.trust())
        self.refused(self.image_with(contract_with(1)), "contract.*part 77", *self.trust())
        self.refused(self.image_with(descriptor_of(parts, format=2)), "descriptor has format 2", *self.trust())
        newer = self.image_with(descriptor_of(parts, header=72, more=bytes(8)))
        code, out, err = skep("audit", self.write(newer), *self.trust())
        self.assertEqual(code, 0, err)


if __name__ == "__main__":
    unittest.main()
