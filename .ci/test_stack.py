"""Tests that functions in containers never get a developer's access to AWS. Runs with the Python of the SAM CLI."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from stack import ROOT, nowhere, sam_local

# What `sam local` gives to a container: the credentials and the region of its session.
SESSION = """
import boto3
session = boto3.Session()
credentials = session.get_credentials()
print(credentials.access_key, credentials.secret_key, credentials.token, session.region_name)
"""


class Access(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "config").write_text("[default]\nregion = us-east-1\n[profile work]\nregion = us-east-1\n")
        keys = "aws_access_key_id = AKIAREAL\naws_secret_access_key = real\n"
        (self.folder / "credentials").write_text(f"[default]\n{keys}[work]\n{keys}")
        self.logged_in = {
            "AWS_PROFILE": "work",
            "AWS_CONFIG_FILE": str(self.folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
        }

    def session(self, environment):
        return subprocess.run([sys.executable, "-c", SESSION], env=environment, capture_output=True, text=True, check=True).stdout.split()

    def test_a_profile_that_is_logged_in_does_not_reach_a_container(self):
        with mock.patch.dict(os.environ, self.logged_in):
            self.assertEqual(self.session(os.environ), ["AKIAREAL", "real", "None", "us-east-1"])
            self.assertEqual(self.session(nowhere()), ["none", "none", "none", "nowhere-1"])

    def test_the_sam_cli_starts_without_access(self):
        sam = self.folder / "sam"
        sam.write_text("#!/bin/sh\nenv\n")
        sam.chmod(0o755)
        with mock.patch.dict(os.environ, {**self.logged_in, "PATH": f"{self.folder}:{os.environ['PATH']}"}):
            with sam_local("invoke", stdout=subprocess.PIPE, text=True) as started:
                seen, _ = started.communicate()
        self.assertIn("AWS_ACCESS_KEY_ID=none", seen)
        self.assertNotIn(str(self.folder / "credentials"), seen)
        self.assertNotIn("AWS_PROFILE", seen)

    def test_no_script_starts_sam_local_otherwise(self):
        for script in (ROOT / ".ci").iterdir():
            if script.is_file() and script.name not in ("stack.py", Path(__file__).name):
                self.assertNotRegex(script.read_text(), re.compile(r"""["']local["'], |sam local (invoke|start)-?[a-z]* [A-Z-]"""), script.name)

    def test_the_documentation_takes_the_credentials_away_before_it_invokes(self):
        text = (ROOT / "docs/development.md").read_text()
        self.assertLess(text.index("export AWS_ACCESS_KEY_ID=none"), text.index("sam local invoke"))


if __name__ == "__main__":
    unittest.main()
