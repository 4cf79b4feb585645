#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/elf/objects.py BUILD FOLDER: writes a good and a bad object for each MUST of docs/standard/elf-profile.md into FOLDER, for any loader to be tried on. The bad ones are made byte by byte of compiled ones: no object is shipped.
tests/command/elf_profile_test.py holds skep to them."""
import pathlib
import struct
import sys


class Elf:
    """An object's bytes, and where its section headers stand."""

    def __init__(self, name):
        self.bytes = bytearray(pathlib.Path(name).read_bytes())
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

    def rename(self, wanted, name):
        """Another name for a section: the table of names moves to the end of the file, longer by one."""
        index, at, size = self.section(wanted), self.field(self.names_index, 24), self.field(self.names_index, 32)
        names = bytes(self.bytes[at:at + size])
        self.put(self.header(self.names_index) + 24, "<QQ", len(self.bytes), size + len(name) + 1)
        self.put(self.header(index), "<I", size)
        self.bytes += names + name.encode() + b"\0"
        return self

    def replace(self, old, new):
        assert len(old) == len(new) and old in self.bytes, old
        self.bytes = self.bytes.replace(old, new)
        return self

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


# The MUST; the good object; what makes it good, what makes it bad; a word of the refusal.
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
    ("map definitions have members that are known", "windows.o", same, lambda elf: elf.replace(b"\0max_entries\0", b"\0max_entriez\0"), "max_entriez"),
    ("legacy records are all of one size", "legacy_28.o", same, lambda elf: elf.put(elf.header(elf.section("maps")) + 32, "<Q", elf.field(elf.section("maps"), 32) - 4), "maps"),
    ("kernel configuration is filled in or refused", "kconfig.o", same, lambda elf: elf.replace(b"\0CONFIG_HZ\0", b"\0CONFIG_HX\0"), "CONFIG_HX is not known"),
    ("the licence rule is applied", "../../examples/flowmon.bpf.o", same, lambda elf: elf.replace(b"Dual MIT/GPL", b"Dual MIT/BSD"), "licence"),
    ("eBPF for Windows' mark makes it Windows'", "windows.o", lambda elf: elf.rename(".llvm_addrsig", ".ebpf_for_windows"),
     lambda elf: elf.rename(".llvm_addrsig", ".ebpf_for_windows").rename(".note.skep", ".note.none").replace(b"\x85\0\0\0\x01\0\0\0", b"\x85\0\0\0\xc8\0\0\0"), "windows"),
    ("the note does not contradict the object", "windows.o", same, lambda elf: note(elf, 20, 1), "linux"),
]


def both(objects, row):
    """The good and the bad object of a row; `objects` is the folder of the compiled ones."""
    _, source, good, bad, _ = row
    return bytes(good(Elf(objects / source)).bytes), bytes(bad(Elf(objects / source)).bytes)


def main():
    objects, folder = pathlib.Path(sys.argv[1]) / "tests/objects", pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(ROWS, 1):
        name = "".join(c if c.isalnum() else "-" for c in row[0]).strip("-")
        for word, contents in zip(("good", "bad"), both(objects, row), strict=True):
            (folder / f"{number:02}-{name}.{word}.o").write_bytes(contents)
    print(f"{len(ROWS)} pairs in {folder}")


if __name__ == "__main__":
    main()
