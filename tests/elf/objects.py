#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/elf/objects.py BUILD FOLDER: writes at least one good and one bad object for each MUST of docs/standard/elf-profile.md into FOLDER, for any loader to be tried on. The bad ones are made byte by byte of compiled ones: no object is shipped.
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

    def slot(self, section, index):
        """Where an instruction of a section stands in the file."""
        return self.contents(section) + 8 * index

    def symbol(self, wanted):
        """Where the symbol of this name stands in the file: name, info, other, section, value, size."""
        table = self.section(".symtab")
        names = self.field(self.field(table, 40, "<I"), 24)
        for at in range(self.field(table, 24), self.field(table, 24) + self.field(table, 32), 24):
            name = names + struct.unpack_from("<I", self.bytes, at)[0]
            if self.bytes[name:self.bytes.index(0, name)].decode() == wanted:
                return at
        raise KeyError(wanted)

    def within(self, wanted, old, new):
        """Other bytes in one section."""
        at, size = self.contents(wanted), self.field(self.section(wanted), 32)
        assert len(old) == len(new) and old in self.bytes[at:at + size], old
        self.bytes[at:at + size] = self.bytes[at:at + size].replace(old, new)
        return self

    def hold(self, wanted, contents):
        """Other contents for a section, which move to the end of the file."""
        index = self.section(wanted)
        self.bytes += bytes(-len(self.bytes) % 8)
        self.put(self.header(index) + 24, "<QQ", len(self.bytes), len(contents))
        self.bytes += contents
        return self

    def bytes_of(self, wanted):
        return bytes(self.bytes[self.contents(wanted):][:self.field(self.section(wanted), 32)])

    def btf_member(self, wanted):
        """Where the member of this name stands in the file: name, type, bit offset."""
        at = self.contents(".BTF")
        header, types, size, strings, length = struct.unpack_from("<IIIII", self.bytes, at + 4)
        name = self.bytes.index(b"\0" + wanted.encode() + b"\0", at + header + strings, at + header + strings + length) + 1
        word = struct.pack("<I", name - at - header - strings)
        for found in range(at + header + types, at + header + types + size, 4):
            if self.bytes[found:found + 4] == word:
                return found
        raise KeyError(wanted)

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


def header(elf, section, at, form, *values):
    """A field of a section's header: 0 name, 4 type, 24 offset, 32 size, 44 info, 56 size of entries."""
    return elf.put(elf.header(elf.section(section)) + at, form, *values)


def symbol(elf, name, at, form, *values):
    """A field of a symbol: 4 kind and binding, 6 section, 8 value, 16 size."""
    return elf.put(elf.symbol(name) + at, form, *values)


def relocation(elf, section, index, at, form, *values):
    """A field of a relocation: 0 offset, 8 type, 12 symbol."""
    return elf.put(elf.contents(section) + 16 * index + at, form, *values)


def relocation_offset(elf, section, index):
    return struct.unpack_from("<Q", elf.bytes, elf.contents(section) + 16 * index)[0]


def same(elf):
    return elf


def unknown_section(elf):
    return elf.rename(".llvm_addrsig", ".nobody_knows")


def reference_into_the_unknown(elf):
    """The variable's section becomes one that no loader knows, and the program still wants it."""
    return elf.rename(".data", ".nobody_knows")


def note_of(system, size=24):
    return (struct.pack("<III", 5, 4, 1) + b"skep\0\0\0\0" + struct.pack("<I", system) + bytes(8))[:size]


def with_note(elf, contents):
    """A platform note in place of the compiler's table of addresses."""
    return elf.rename(".llvm_addrsig", ".note.skep").hold(".note.skep", contents)


def swapped_names(elf, one, other):
    a, b = elf.symbol(one), elf.symbol(other)
    names = [struct.unpack_from("<I", elf.bytes, at)[0] for at in (b, a)]
    return elf.put(a, "<I", names[0]).put(b, "<I", names[1])


def windows_helpers(elf):
    """The mark without the note, and a helper number that only Linux has."""
    return (elf.rename(".note.skep", ".note.none")
            .replace(b"\x85\0\0\0\x01\0\0\0", b"\x85\0\0\0\xc8\0\0\0"))


# More words for the command, which is `verify` unless they say another.
CORE = ("verify", "--btf", "{objects}/core_target.btf", "--program", "field")
UNTOLD = ("run", "--btf", "hooks", "--program", "adapts", "--pcap", "{root}/examples/traffic/office.pcap")
# Of profile.o: relocations of the section xdp, and instructions of it.
FIRST, SECOND, LAST, CALL, STEP = 0, 1, 5, 31, 9
FLOWMON = "../../examples/flowmon.bpf.o"

# The number of the MUST; in a few words; the good object; what makes it good, what makes it bad; a word of the refusal; more words for the command.
ROWS = [
    (1, "the first four bytes say ELF", "profile.o", same, lambda e: e.put(0, "4s", b"\x7fELG"), "not an ELF file"),
    (1, "64 bits", "profile.o", same, lambda e: e.put(4, "<B", 1), "64-bit"),
    (1, "little-endian", "profile.o", same, lambda e: e.put(5, "<B", 2), "little-endian"),
    (1, "ELF version 1", "profile.o", same, lambda e: e.put(6, "<B", 2), "version"),
    (2, "a relocatable object", "profile.o", same, lambda e: e.put(16, "<H", 2), "e_type"),
    (3, "e_machine is EM_BPF", "profile.o", same, lambda e: e.put(18, "<H", 62), "e_machine"),
    (3, "e_machine may be 0", "profile.o", lambda e: e.put(18, "<H", 0), lambda e: e.put(18, "<H", 1), "e_machine"),
    (4, "section headers of 64 bytes", "profile.o", same, lambda e: e.put(58, "<H", 40), "e_shentsize"),
    (4, "the section table lies in the file", "profile.o", same, lambda e: e.put(40, "<Q", 1 << 40), "section table"),
    (4, "sections lie in the file", "profile.o", same, lambda e: header(e, ".BTF", 24, "<Q", 1 << 40), "outside the file"),
    (4, "names lie in their table", "profile.o", same, lambda e: header(e, "license", 0, "<I", 1 << 30), "string table"),
    (5, "sections do not overlap", "profile.o", same, lambda e: header(e, ".BTF", 24, "<Q", e.contents("license")), "overlaps"),
    (5, "nor the section table", "profile.o", same, lambda e: header(e, ".BTF", 24, "<Q", e.table), "overlaps"),
    (6, "symbols of 24 bytes", "profile.o", same, lambda e: header(e, ".symtab", 56, "<Q", 16), "symbols"),
    (6, "symbols lie in their section", "profile.o", same, lambda e: symbol(e, "seen", 8, "<Q", 1 << 20), "outside its section"),
    (7, "relocations of 16 bytes", "profile.o", same, lambda e: header(e, ".relxdp", 56, "<Q", 24), "relocations"),
    (7, "relocations of a section there is", "profile.o", same, lambda e: header(e, ".relxdp", 44, "<I", 999), "does not exist"),
    (7, "relocations lie in their section", "profile.o", same, lambda e: relocation(e, ".relxdp", FIRST, 0, "<Q", 1 << 32), "outside its section"),
    (7, "relocations have a symbol", "profile.o", same, lambda e: relocation(e, ".relxdp", FIRST, 12, "<I", 0xfffff), "symbol"),
    (8, "unknown sections do not matter", "profile.o", unknown_section, reference_into_the_unknown, "step"),
    (9, "code is whole instructions", "profile.o", same, lambda e: e.hold("xdp", e.bytes_of("xdp") + bytes(4)), "inside an instruction"),
    (10, "functions begin at instructions", "profile.o", same, lambda e: symbol(e, "entry", 8, "<QQ", 4, 288), "begin and end at an instruction"),
    (10, "functions do not overlap", "guards.o", lambda e: e, lambda e: symbol(e, "field", 16, "<Q", 88), "overlaps the next", *CORE),
    (11, "what nobody asked for is not loaded", "profile.o", same, lambda e: e.rename("?xdp/asleep", "xdp/asleep"), "packet"),
    (12, "calls lead to functions", "profile.o", same, lambda e: e.put(e.slot("xdp", CALL) + 4, "<i", 2), "function that does not exist"),
    (12, "called functions come along", "profile.o", same, lambda e: symbol(e, "twice", 6, "<H", 0).put(
        e.contents(".relxdp") + 16 * LAST + 12, "<I", (e.symbol("twice") - e.contents(".symtab")) // 24), "twice"),
    (13, "maps of .maps are described by BTF", "profile.o", same, lambda e: e.within(".BTF", b"\0.maps\0", b"\0.mapz\0"), "BTF"),
    (14, "unknown members are refused by name", "profile.o", same, lambda e: e.within(".BTF", b"\0max_entries\0", b"\0max_entriez\0"), "max_entriez"),
    (14, "members are numbers or types", "profile.o", same, lambda e: e.put(e.btf_member("max_entries") + 4, "<I", 0), "max_entries"),
    (15, "legacy records are all of one size", "legacy_28.o", same, lambda e: header(e, "maps", 32, "<Q", e.field(e.section("maps"), 32) - 4), "maps"),
    (15, "legacy maps begin at a record", "legacy_28.o", same, lambda e: e.hold("maps", e.bytes_of("maps") + bytes(56)), "maps"),
    (16, "references end with their section", "profile.o", same, lambda e: e.put(e.slot("xdp", STEP) + 4, "<i", 4096), "behind the end"),
    (17, "programs do not write .rodata", "profile.o", same, lambda e: e.rename(".data", ".rodata.step"), "read-only"),
    (18, "addresses in variables are refused", "basics.o", lambda e: e.rename("socket", "?socket"), same, "addresses"),
    (19, "kernel configuration is filled in or refused", "kconfig.o", same, lambda e: e.replace(b"\0CONFIG_HZ\0", b"\0CONFIG_HX\0"), "CONFIG_HX is not known"),
    (19, "only weak names are zero", "kconfig.o", same, lambda e: symbol(e, "CONFIG_NOT_ANYWHERE", 4, "<B", 0x10), "CONFIG_NOT_ANYWHERE is not known"),
    (20, "what nothing defines is refused", "profile.o", same, lambda e: symbol(e, "seen", 6, "<HQQ", 0, 0, 0), "seen"),
    (21, "the licence rule is applied", FLOWMON, same, lambda e: e.replace(b"Dual MIT/GPL", b"Dual MIT/BSD"), "licence"),
    (22, "BTF begins with its magic", "profile.o", same, lambda e: e.put(e.contents(".BTF"), "<H", 0x1234), "BTF"),
    (22, "BTF's parts lie in it", "profile.o", same, lambda e: e.put(e.contents(".BTF") + 12, "<I", 1 << 30), "BTF"),
    (22, "BTF names types that exist", "profile.o", same, lambda e: e.put(e.btf_member("max_entries") + 4, "<I", 0xffff), "BTF"),
    (23, "BTF.ext's parts lie in it", "profile.o", same, lambda e: e.put(e.contents(".BTF.ext") + 12, "<I", 1 << 30), "BTF"),
    (23, "BTF.ext's records are whole", "profile.o", same, lambda e: e.put(e.contents(".BTF.ext") + 32, "<I", 3), "BTF"),
    (24, "a relocation begins at an instruction", "profile.o", same, lambda e: relocation(e, ".relxdp", FIRST, 0, "<Q", relocation_offset(e, ".relxdp", FIRST) + 4), "relocation"),
    (24, "and is its only one", "profile.o", same, lambda e: relocation(e, ".relxdp", SECOND, 0, "<Q", relocation_offset(e, ".relxdp", FIRST)), "two relocations"),
    (25, "a wide load has relocation 1", "profile.o", same, lambda e: relocation(e, ".relxdp", FIRST, 8, "<I", 10), "relocation"),
    (25, "a call has relocation 10", "profile.o", same, lambda e: relocation(e, ".relxdp", LAST, 8, "<I", 1), "relocation"),
    (25, "nothing else has one", "profile.o", same, lambda e: relocation(e, ".relxdp", FIRST, 0, "<Q", 0), "relocation"),
    (26, "a record fits its instruction", "guards.o", same, lambda e: e.put(e.slot("xdp", 0) + 4, "<i", 5), "does not fit", *CORE),
    (27, "what the target lacks is not run", "guards.o", same, lambda e: e.put(e.slot("xdp", 1), "<B", 0x56), "lacks", *CORE),
    (27, "a field that is asked for first", "guards.o", same, lambda e: swapped_names(e, "field", "bare_field"), "lacks", *CORE),
    (28, "the note has 24 bytes", "core_context.o", lambda e: with_note(e, note_of(1)), lambda e: with_note(e, note_of(1, 23)), "note", *UNTOLD),
    (28, "and none more", "core_context.o", lambda e: with_note(e, note_of(1)), lambda e: with_note(e, note_of(1, 28)), "note", *UNTOLD),
    (28, "its name has 5 bytes", "windows.o", same, lambda e: e.put(e.contents(".note.skep"), "<I", 6), "note"),
    (28, "its description has one word", "windows.o", same, lambda e: e.put(e.contents(".note.skep") + 4, "<I", 400), "note"),
    (28, "its type is 1", "windows.o", same, lambda e: e.put(e.contents(".note.skep") + 8, "<I", 2), "note"),
    (28, "its name is skep", "windows.o", same, lambda e: e.put(e.contents(".note.skep") + 12, "8s", b"skip"), "note"),
    (28, "it names a system", "windows.o", same, lambda e: e.put(e.contents(".note.skep") + 20, "<I", 3), "note"),
    (29, "eBPF for Windows' mark decides", "core_context.o", lambda e: e.rename(".llvm_addrsig", ".ebpf_for_windows").hold(".ebpf_for_windows", b"\1"),
     lambda e: e.rename(".llvm_addrsig", ".ebpf_for_linux").hold(".ebpf_for_linux", b"\1"), "cannot tell", *UNTOLD),
    (30, "the note does not contradict the object", "windows.o", same, lambda e: e.put(e.contents(".note.skep") + 20, "<I", 1), "linux"),
    (30, "the mark does not contradict the object", "windows.o", same, windows_helpers, "windows"),
    (31, "without a word of whose it is, nothing is guessed", "core_context.o", lambda e: with_note(e, note_of(1)), same, "cannot tell", *UNTOLD),
]


def both(objects, row):
    """The good and the bad object of a row; `objects` is the folder of the compiled ones."""
    source, good, bad = row[2:5]
    return bytes(good(Elf(objects / source)).bytes), bytes(bad(Elf(objects / source)).bytes)


def main():
    objects, folder = pathlib.Path(sys.argv[1]) / "tests/objects", pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for row in ROWS:
        name = "".join(c if c.isalnum() else "-" for c in row[1]).strip("-")
        for word, contents in zip(("good", "bad"), both(objects, row), strict=True):
            (folder / f"M{row[0]:02}-{name}.{word}.o").write_bytes(contents)
    print(f"{len(ROWS)} pairs in {folder}")


if __name__ == "__main__":
    main()
