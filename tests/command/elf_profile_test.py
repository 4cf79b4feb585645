#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/standard/elf-profile.md: for each MUST a good object that is taken and a bad one that is refused for that reason. Bad ones are made here, byte by byte, of the good ones: no object is shipped."""
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

COMMAND = os.environ["SKEP_COMMAND"].split()
OBJECTS = pathlib.Path(os.environ["SKEP_BINARY_DIR"]) / "tests/objects"
OK, REFUSED = 0, (1, 2, 3, 4)


def skep(*words):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


class Elf:
    """An object's bytes, and where its section headers stand."""

    def __init__(self, name):
        self.bytes = bytearray((OBJECTS / name).read_bytes())
        self.table, = struct.unpack_from("<Q", self.bytes, 40)
        self.count, self.names_index = struct.unpack_from("<HH", self.bytes, 60)

    def header(self, index):
        return self.table + 64 * index

    def field(self, index, at, form="<Q"):
        return struct.unpack_from(form, self.bytes, self.header(index) + at)[0]

    def section(self, wanted):
        names = self.field(self.names_index, 24)
        for index in range(self.count):
            at = names + self.field(index, 0, "<I")
            if self.bytes[at:self.bytes.index(0, at)].decode() == wanted:
                return index
        raise KeyError(wanted)

    def contents(self, wanted):
        return self.field(self.section(wanted), 24)

    def put(self, at, form, *values):
        struct.pack_into(form, self.bytes, at, *values)
        return self


def machine(elf, number):
    return elf.put(18, "<H", number)


def section_outside(elf):
    return elf.put(elf.header(elf.section(".BTF")) + 24, "<Q", 1 << 40)


def sections_overlap(elf):
    return elf.put(elf.header(elf.section(".BTF")) + 24, "<Q", elf.contents("license"))


def relocation_inside(elf):
    at = elf.contents(".relxdp")
    return elf.put(at, "<Q", struct.unpack_from("<Q", elf.bytes, at)[0] + 4)


def relocation_beyond(elf):
    return elf.put(elf.contents(".relxdp"), "<Q", 1 << 32)


def relocation_of_nobody(elf):
    at = elf.contents(".relxdp") + 8
    info, = struct.unpack_from("<Q", elf.bytes, at)
    return elf.put(at, "<Q", info & 0xffffffff | 0xfffff << 32)


def damaged_types(elf):
    return elf.put(elf.contents(".BTF"), "<H", 0x1234)


def unknown_section(elf):
    name = elf.field(elf.names_index, 24) + elf.field(elf.section(".llvm_addrsig"), 0, "<I")
    return elf.put(name, "13s", b".nobody_knows")


def note(elf, at, value):
    return elf.put(elf.contents(".note.skep") + at, "<I", value)


def same(elf):
    return elf


# The MUST; the good object; the bad one; a word of the refusal.
ROWS = [
    ("e_machine is EM_BPF", "windows.o", same, lambda elf: machine(elf, 62), "machine"),
    ("e_machine may be 0", "windows.o", lambda elf: machine(elf, 0), lambda elf: machine(elf, 1), "machine"),
    ("ELF64", "windows.o", same, lambda elf: elf.put(4, "<B", 1), "64"),
    ("little-endian", "windows.o", same, lambda elf: elf.put(5, "<B", 2), "endian"),
    ("ET_REL", "windows.o", same, lambda elf: elf.put(16, "<H", 2), "type"),
    ("offsets lie in the file", "windows.o", same, section_outside, "outside"),
    ("sections do not overlap", "windows.o", same, sections_overlap, "overlap"),
    ("unknown sections do not matter", "windows.o", unknown_section, section_outside, ""),
    ("a relocation names an instruction's start", "windows.o", same, relocation_inside, "relocation"),
    ("a relocation lies in its section", "windows.o", same, relocation_beyond, "relocation"),
    ("a relocation has a symbol", "windows.o", same, relocation_of_nobody, "symbol"),
    ("type information is checked", "windows.o", same, damaged_types, "BTF"),
    ("the note's name has 5 bytes", "windows.o", same, lambda elf: note(elf, 0, 6), "note"),
    ("the note has one word", "windows.o", same, lambda elf: note(elf, 4, 400), "note"),
    ("the note names a system", "windows.o", same, lambda elf: note(elf, 20, 3), "note"),
    ("the note does not contradict the object", "windows.o", same, lambda elf: note(elf, 20, 1), "linux"),
]


class ElfProfile(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="skep-elf-", dir=os.environ["SKEP_BINARY_DIR"])

    def tearDown(self):
        self.folder.cleanup()

    def answer(self, elf):
        path = os.path.join(self.folder.name, "object.o")
        with open(path, "wb") as file:
            file.write(elf.bytes)
        return skep("verify", path)

    def test_each_must_on_both_sides(self):
        for name, source, good, bad, word in ROWS:
            with self.subTest(name):
                taken = self.answer(good(Elf(source)))
                self.assertEqual(taken.returncode, OK, (name, taken.stdout + taken.stderr))
                refused = self.answer(bad(Elf(source)))
                self.assertIn(refused.returncode, REFUSED, (name, refused.stdout))
                self.assertIn(word.lower(), (refused.stdout + refused.stderr).lower(), name)

    def test_legacy_records_of_each_size_and_none_other(self):
        for record in (20, 28, 32, 36):
            out = skep("inspect", OBJECTS / f"legacy_{record}.o")
            self.assertEqual(out.returncode, OK, out.stderr)


if __name__ == "__main__":
    unittest.main()
