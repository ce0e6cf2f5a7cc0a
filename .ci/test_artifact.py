"""Tests artifact.py with a program of this machine."""

import os
import shutil
import tempfile
import unittest
import zipfile
from pathlib import Path

from artifact import Elf, Refused, artifact, check_binary, newest_glibc, pack

PROGRAM = Path(shutil.which("env")).resolve()


@unittest.skipUnless(PROGRAM.read_bytes().startswith(b"\x7fELF"), "programs are no ELF files here")
class Binary(unittest.TestCase):
    def setUp(self):
        self.content = PROGRAM.read_bytes()

    def test_what_a_program_needs_is_read_from_it(self):
        elf = Elf(self.content)
        self.assertIn("libc.so.6", elf.libraries())
        newest = newest_glibc(elf.versions())
        running = tuple(int(part) for part in os.confstr("CS_GNU_LIBC_VERSION").removeprefix("glibc ").split("."))
        self.assertLessEqual((2, 2), newest)
        self.assertLessEqual(newest, running)

    def test_a_program_that_needs_a_newer_glibc_is_refused(self):
        newest = newest_glibc(Elf(self.content).versions())
        self.assertEqual(check_binary(self.content, glibc=newest), newest)
        with self.assertRaisesRegex(Refused, "needs glibc"):
            check_binary(self.content, glibc=(2, 1))

    def test_a_library_that_is_not_there_is_refused(self):
        with self.assertRaisesRegex(Refused, "needs libx.so.6"):
            check_binary(self.content.replace(b"\0libc.so.6\0", b"\0libx.so.6\0"))

    def test_a_zip_over_its_budget_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(PROGRAM, Path(folder, "bootstrap"))
            with self.assertRaisesRegex(Refused, "over its budget"):
                artifact(Path(folder), budget=100)


class Zip(unittest.TestCase):
    def test_the_same_binary_is_packed_the_same_and_can_be_run(self):
        with tempfile.TemporaryDirectory() as folder:
            one, other = Path(folder, "one.zip"), Path(folder, "other.zip")
            pack(b"binary", one)
            os.utime(one, (1, 1))
            pack(b"binary", other)
            self.assertEqual(one.read_bytes(), other.read_bytes())
            entry, = zipfile.ZipFile(one).infolist()
            self.assertEqual((entry.filename, entry.external_attr >> 16), ("bootstrap", 0o100755))

    def test_what_is_no_program_is_refused(self):
        for content in [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01"]:
            with self.assertRaisesRegex(Refused, "is not a 64-bit"):
                check_binary(content)


if __name__ == "__main__":
    unittest.main()
