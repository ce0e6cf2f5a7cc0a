"""Runs the commands of the documentation in a shell, as they are written, with stand-ins for what they call.

Runs where the AWS CLI is installed as a module: its parser reads every command for AWS.
"""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# Records how it is called, and prints what a command like it would.
STAND_IN = r"""#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
name = os.path.basename(sys.argv[0])
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps([name, sys.argv[1:], os.environ.get("PARAMETERS")]), file=calls)
print({"gh": "11", "curl": '{"phone_numbers": [{"phone_number": "+13125550100", "id": "7d0f1b52"}]}'}.get(name, "value"))
"""
# What a reader has before the first step.
GIVEN = {
    "TELNYX_API_KEY": "KEY0", "EMAIL": "a@example.com", "REPOSITORY": "acme/numbers", "TOKEN": "token", "ARTIFACTS_BUCKET": "bucket",
    "CLOUDFORMATION_ROLE_ARN": "arn:role", "PERMISSIONS_BOUNDARY_ARN": "arn:boundary",
}


def blocks(path):
    """Returns the shell blocks of a document, without the indentation of a list."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```$", path.read_text(), re.M | re.S)
    return [re.sub(f"^{indentation}", "", text, flags=re.M) for indentation, text in found]


class Commands(unittest.TestCase):
    def test_every_block_is_valid_and_has_no_placeholder_that_a_shell_takes_for_a_redirection(self):
        for path in DOCUMENTS:
            for block in blocks(path):
                checked = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
                self.assertEqual(checked.returncode, 0, f"{path.name}: {block}\n{checked.stderr}")
                self.assertNotRegex(block, r"<[a-z][a-z _-]*>", path.name)

    def test_a_deployment_works_as_it_is_written_from_the_first_step_to_the_teardown(self):
        text = "\n".join(blocks(ROOT / "docs/deployment.md")[: 9])
        self.assertIn("no-enable-termination-protection", text)
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            for name in ("bin/aws", "bin/gh", "bin/curl", ".ci/package", ".ci/deploy"):
                path = home / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(STAND_IN)
                path.chmod(0o755)
            environment = {**GIVEN, "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "CALLS": str(home / "calls"), "HOME": folder}
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=home, env=environment, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            calls = [json.loads(line) for line in (home / "calls").read_text().splitlines()]
        parameters, = (given for name, arguments, given in calls if name == "deploy" and arguments == ["dev"])
        self.assertEqual(dict(line.split("=", 1) for line in parameters.splitlines()), {
            "JwtIssuer": "https://abcdefgh.supabase.co/auth/v1",
            "JwksUrl": "https://abcdefgh.supabase.co/auth/v1/.well-known/jwks.json",
            "AllowedOrigins": "https://app.example.com",
        })
        bodies = [arguments[arguments.index("-d") + 1] for name, arguments, _ in calls if name == "curl" and "-d" in arguments]
        self.assertEqual([json.loads(body) for body in bodies], [
            {"phone_numbers": [{"phone_number": "+13125550100"}]},
            {"phone_number_ids": ["7d0f1b52"], "confirm": True},
        ])
        self.understood([arguments for name, arguments, _ in calls if name == "aws"])

    def understood(self, commands):
        """Asserts that the AWS CLI knows each command and its options."""
        try:
            from awscli.clidriver import CLIOperationCaller, create_clidriver
            from awscli.customizations.cloudformation.deploy import DeployCommand
        except ImportError:
            self.skipTest("the AWS CLI is not installed for this Python")
        driver = create_clidriver()
        with mock.patch.object(DeployCommand, "_run_main", lambda *_: 0), mock.patch.object(CLIOperationCaller, "invoke", lambda *_, **__: 0):
            with mock.patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true"):
                for command in commands:
                    self.assertEqual(driver.main(command), 0, command)


if __name__ == "__main__":
    unittest.main()
