#!/usr/bin/env python3
"""Checks the binaries of functions and packs each for Lambda: artifact.py ARCHITECTURE FOLDER... with a file `bootstrap` in each.

A binary must be for the architecture (x86_64 or arm64) and load on Amazon Linux 2023. It and its zip must stay within the size
budgets in budgets.json. The zip, `bootstrap.zip` beside the binary, is reproducible: it contains no build time.
"""

import hashlib
import json
import struct
import sys
import zipfile
from pathlib import Path

# The glibc version of Amazon Linux 2023.
GLIBC = (2, 34)
# The libraries in Amazon Linux 2023's image for custom runtimes.
LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
# The largest size of each function, in megabytes. A cold start reads the whole zip, so it must not grow unnoticed. The goal is
# 8.5 MB, and 4.0 MB packed, for all: `cargo dev bench` shows how far each is from it.
BUDGETS = json.loads(Path(__file__).with_name("budgets.json").read_text())

# The machines of the architectures, in the field e_machine.
MACHINES = {"x86_64": 62, "arm64": 183}

SHT_DYNAMIC = 6
SHT_GNU_VERNEED = 0x6FFFFFFE
DT_NEEDED = 1


class Refused(Exception):
    """An artifact does not pass a check."""


class Elf:
    """A 64-bit little-endian ELF file: reads the libraries and symbol versions that it needs."""

    def __init__(self, content):
        if content[:6] != b"\x7fELF\x02\x01":
            raise Refused("is not a 64-bit little-endian ELF file")
        self.content = content
        self.machine, = struct.unpack_from("<H", content, 0x12)
        offset, = struct.unpack_from("<Q", content, 0x28)
        size, count = struct.unpack_from("<HH", content, 0x3A)
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", content, offset + index * size) for index in range(count)]

    def section(self, kind):
        """Returns a section's offset, its length, and the offset of its string table."""
        for _, found, _, _, offset, length, link, *_ in self.sections:
            if found == kind:
                return offset, length, self.sections[link][4]
        raise Refused(f"has no section of type {kind:#x}")

    def text(self, offset):
        return self.content[offset : self.content.index(b"\0", offset)].decode()

    def libraries(self):
        """Returns the names of the libraries it is linked with."""
        offset, length, names = self.section(SHT_DYNAMIC)
        entries = (struct.unpack_from("<QQ", self.content, place) for place in range(offset, offset + length, 16))
        return {self.text(names + value) for tag, value in entries if tag == DT_NEEDED}

    def versions(self):
        """Returns the symbol versions that it needs, such as GLIBC_2.34."""
        need, _, names = self.section(SHT_GNU_VERNEED)
        found = set()
        while True:
            _, _, _, first, next_need = struct.unpack_from("<HHIII", self.content, need)
            version = need + first
            while True:
                _, _, _, name, next_version = struct.unpack_from("<IHHII", self.content, version)
                found.add(self.text(names + name))
                if next_version == 0:
                    break
                version += next_version
            if next_need == 0:
                return found
            need += next_need


def newest_glibc(versions):
    numbers = [name.removeprefix("GLIBC_").split(".") for name in versions if name.startswith("GLIBC_")]
    return max(tuple(int(part) for part in number) for number in numbers)


def check_binary(content, architecture, glibc=GLIBC):
    """Returns the newest glibc version that a binary needs. Raises `Refused` if the binary would not load."""
    elf = Elf(content)
    if elf.machine != MACHINES[architecture]:
        names = {machine: name for name, machine in MACHINES.items()}
        raise Refused(f"is for {names.get(elf.machine, f'machine {elf.machine}')}, and not for {architecture}")
    unknown = elf.libraries() - LIBRARIES
    if unknown:
        raise Refused(f"needs {', '.join(sorted(unknown))}, which Amazon Linux 2023 does not have")
    newest = newest_glibc(elf.versions())
    if newest > glibc:
        raise Refused(f"needs glibc {'.'.join(map(str, newest))}, and Amazon Linux 2023 has {'.'.join(map(str, glibc))}")
    return newest


def pack(binary, target):
    """Writes a reproducible zip of a binary."""
    entry = zipfile.ZipInfo("bootstrap")  # dated 1980, the earliest date of the format
    entry.create_system = 3  # Unix: otherwise the file mode is ignored
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(entry, binary, compresslevel=9)


def artifact(folder, architecture, budgets=BUDGETS):
    """Checks and packs one artifact. Returns a line that describes it."""
    binary = (folder / "bootstrap").read_bytes()
    glibc = check_binary(binary, architecture)
    target = folder / "bootstrap.zip"
    pack(binary, target)
    packed = target.read_bytes()
    for what, content in (("binary", binary), ("zip", packed)):
        budget = budgets[folder.name][f"{what}_mb"]
        if len(content) > budget * 1e6:
            raise Refused(f"has a {what} of {len(content) / 1e6:.2f} MB, over the budget of {budget} MB")
    digest = hashlib.sha256(packed).hexdigest()
    return f"{folder.name:<24} {len(binary) / 1e6:5.1f} MB {len(packed) / 1e6:5.1f} MB zip  glibc {'.'.join(map(str, glibc)):<7} sha256 {digest}"


def main():
    architecture, *folders = sys.argv[1:]
    status = 0
    for folder in map(Path, folders):
        try:
            print(artifact(folder, architecture))
        except Refused as refused:
            print(f"{folder.name} {refused}", file=sys.stderr)
            status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
