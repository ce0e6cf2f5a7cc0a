"""Tests artifact.py with a program of this machine."""

import json
import os
import re
import platform
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from artifact import BUDGETS, MACHINES, Elf, Refused, artifact, check_binary, newest_glibc, pack

PROGRAM = Path(shutil.which("env")).resolve()
HERE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


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
        self.assertEqual(check_binary(self.content, HERE, glibc=newest), newest)
        with self.assertRaisesRegex(Refused, "needs glibc"):
            check_binary(self.content, HERE, glibc=(2, 1))

    def test_a_program_for_another_architecture_is_refused(self):
        other, = MACHINES.keys() - {HERE}
        with self.assertRaisesRegex(Refused, f"is for {HERE}, and not for {other}"):
            check_binary(self.content, other)
        with self.assertRaisesRegex(Refused, f"is for machine 243, and not for {HERE}"):
            check_binary(self.content[:0x12] + b"\xf3\0" + self.content[0x14:], HERE)

    def test_a_library_that_is_not_there_is_refused(self):
        with self.assertRaisesRegex(Refused, "needs libx.so.6"):
            check_binary(self.content.replace(b"\0libc.so.6\0", b"\0libx.so.6\0"), HERE)

    def test_a_binary_or_a_zip_over_its_budget_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(PROGRAM, Path(folder, "bootstrap"))
            for what in ("binary", "zip"):
                budget = {"binary_mb": 1000, "zip_mb": 1000, f"{what}_mb": 0.0001}
                with self.assertRaisesRegex(Refused, f"has a {what} of .* over the budget of 0.0001 MB"):
                    artifact(Path(folder), HERE, {Path(folder).name: budget})
            artifact(Path(folder), HERE, {Path(folder).name: {"binary_mb": 1000, "zip_mb": 1000}})

    def test_every_function_has_a_budget(self):
        functions = {path.name for path in Path(__file__).resolve().parent.parent.joinpath("functions").iterdir()}
        self.assertEqual(BUDGETS.keys(), functions)


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
                check_binary(content, HERE)


class Package(unittest.TestCase):
    """.ci/package with a fake of Cargo Lambda that records how it is called."""

    def package(self, *arguments, **variables):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "target")
            root = Path(__file__).resolve().parent.parent
            for name in (".ci/package", ".ci/artifact.py"):
                copy = Path(folder, name)
                copy.parent.mkdir(exist_ok=True)
                shutil.copy(root / name, copy)
            budget = {"binary_mb": 1000, "zip_mb": 1000}
            Path(folder, ".ci/budgets.json").write_text(json.dumps({"a": budget, "b": budget, "c": budget}))
            # Without the tools of builds.
            Path(folder, ".ci/toolchain").write_text('TARGET=$CARGO_TARGET_DIR\nwith_toolchain() { "$@"; }\n')
            # The functions a and c need the same of shared/, b something else.
            for function, shared in (("a", "shared.workspace = true"), ("b", 'shared = { features = ["x"] }'), ("c", "shared.workspace = true")):
                manifest = Path(folder, "functions", function, "Cargo.toml")
                manifest.parent.mkdir(parents=True)
                manifest.write_text(f"[dependencies]\n{shared}\n")
            bin = Path(folder, "bin")
            bin.mkdir()
            (bin / "cargo").write_text(
                f'#!/bin/sh\necho "$@" >> {folder}/called\n'
                f'for name in a b c; do mkdir -p {target}/lambda/$name; cp {PROGRAM} {target}/lambda/$name/bootstrap; done\n'
            )
            (bin / "cargo").chmod(0o755)
            environment = {"PATH": f"{bin}:{os.environ['PATH']}", "HOME": folder, "CARGO_TARGET_DIR": str(target), **variables}
            done = subprocess.run([f"{folder}/.ci/package", *arguments], env=environment, capture_output=True, text=True, check=False)
            return done.returncode, Path(folder, "called").read_text() + done.stdout + done.stderr

    def test_the_architecture_is_an_option_or_a_variable_and_the_binary_must_match_it(self):
        other, = MACHINES.keys() - {HERE}
        flags = {"x86_64": "--x86-64", "arm64": "--arm64"}
        for architecture, succeeds in ((HERE, True), (other, False)):
            status, output = self.package("a", ARCHITECTURE=architecture)
            self.assertEqual(status == 0, succeeds, output)
            self.assertIn(flags[architecture], output)
        status, output = self.package("--arm64", "a")
        self.assertIn("--arm64", output)
        self.assertEqual(status == 0, HERE == "arm64", output)

    def test_only_functions_that_need_the_same_features_are_built_together(self):
        status, output = self.package(ARCHITECTURE=HERE)
        self.assertEqual(status, 0, output)
        builds = [re.findall("--package ([a-z])", line) for line in output.splitlines() if line.startswith("lambda build")]
        self.assertEqual(sorted(builds), [["a", "c"], ["b"]])


if __name__ == "__main__":
    unittest.main()
