"""Tests what .ci/deploy does and in which order, with a fake AWS CLI that keeps its stack in a folder, and a function over HTTP."""

import hashlib
import json
import os
import re
import subprocess
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = sorted(folder.name for folder in (ROOT / "functions").iterdir())

# A fake of the AWS CLI with the commands that .ci/deploy uses. It records the calls in the file `calls`.
AWS = r'''#!/usr/bin/env python3
import json, os, shutil, sys
from pathlib import Path

home = Path(os.environ["FAKE_AWS"])
service, verb, *arguments = sys.argv[1:]
option = {name: value for name, value in zip(arguments, arguments[1:]) if name.startswith("--")}
template, parameters, fails = home / "template.yaml", home / "parameters.json", os.environ.get("FAILS")

def call(text):
    with (home / "calls").open("a") as calls:
        print(text, file=calls)
    if fails == text:
        sys.exit(f"{text} failed")

def stored(address):
    return home / "s3" / address.removeprefix("s3://")

if verb == "describe-stacks":
    query = option["--query"]
    if fails == "describe":
        sys.exit("Could not connect to the endpoint URL")
    if not template.exists():
        sys.exit(f"Stack with id {option['--stack-name']} does not exist")
    if "StackStatus" in query:
        print("UPDATE_COMPLETE")
    elif "Parameters" in query:
        print(parameters.read_text())
    elif "MigrateFunction" in query:
        print("arn:migrate:live")
    else:
        print("ApiUrl\thttp://nowhere.invalid", "ListUrl\t" + os.environ["FUNCTION_URL"], "WebhookUrl\thttp://nowhere.invalid", sep="\n")
elif verb == "get-template":
    print(template.read_text())
elif verb == "deploy":
    index = arguments.index("--parameter-overrides") if "--parameter-overrides" in arguments else len(arguments)
    given = arguments[index + 1:]
    assert option["--role-arn"] == "arn:role"
    call("deploy " + Path(option["--template-file"]).stem)
    shutil.copy(option["--template-file"], template)
    if given and given[0].startswith("file://"):
        parameters.write_text(Path(given[0].removeprefix("file://")).read_text())
    elif given:
        pairs = [pair.split("=", 1) for pair in given]
        parameters.write_text(json.dumps([{"ParameterKey": key, "ParameterValue": value} for key, value in pairs]))
elif verb == "invoke":
    assert option["--function-name"] == "arn:migrate:live"
    Path(arguments[-1]).write_text('{"applied": []}')
    (home / "template-that-migrated.yaml").write_text(template.read_text())
    call("migrate")
    print("Unhandled" if fails == "migration" else "None")
elif verb == "ls":
    sys.exit(0 if stored(arguments[0]).exists() else 1)
elif verb == "cp":
    source, address = arguments[-2:]
    call("upload " + address.split("/")[-2])
    stored(address).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, stored(address))
else:
    sys.exit(f"unexpected: {sys.argv}")
'''


class Api(BaseHTTPRequestHandler):
    """A function that answers requests without a valid token, or fails because it cannot verify tokens."""

    broken = False

    def answer(self, status):
        self.send_response(status)
        self.send_header("Allow", "PATCH, OPTIONS")
        self.end_headers()

    def do_OPTIONS(self):
        self.answer(204)

    def do_PATCH(self):
        self.answer(503 if self.broken else 401 if self.headers["authorization"].startswith("Bearer ey") else 500)

    def log_message(self, *_):
        pass


class Deploy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        aws = self.home / "bin" / "aws"
        aws.parent.mkdir()
        aws.write_text(AWS)
        aws.chmod(0o755)
        # The files of the repository that the script reads.
        self.repository = self.home / "repository"
        for name in ["template.yaml", "samconfig.toml", ".ci/deploy", ".ci/smoke"]:
            target = self.repository / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod(0o755)
        for function in FUNCTIONS:
            for name in ["functions/{}/Cargo.toml", "target/lambda/{}/bootstrap.zip"]:
                target = self.repository / name.format(function)
                target.parent.mkdir(parents=True)
                target.write_text(function)
        server = HTTPServer(("127.0.0.1", 0), type("Function", (Api,), {}))
        self.api = server.RequestHandlerClass
        self.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def deploy(self, fails="", parameters="JwtIssuer=https://issuer.example"):
        """Runs the script. Returns whether it succeeded, and its calls of the AWS CLI."""
        calls = self.home / "calls"
        calls.write_text("")
        environment = {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "FAKE_AWS": str(self.home),
            "FAILS": fails,
            "FUNCTION_URL": self.url,
            "ARTIFACTS_BUCKET": "bucket",
            "CLOUDFORMATION_ROLE_ARN": "arn:role",
            "ARCHITECTURE": "x86_64",
            "PARAMETERS": parameters,
            "SMOKE_TRIES": "1",
        }
        finished = subprocess.run([self.repository / ".ci/deploy", "prod"], env=environment, capture_output=True, text=True)
        self.output = finished.stdout + finished.stderr
        return finished.returncode == 0, calls.read_text().split("\n")[:-1]

    def built(self):
        """Returns the hash of each function's zip."""
        zips = {function: self.repository / "target" / "lambda" / function / "bootstrap.zip" for function in FUNCTIONS}
        return {function: hashlib.sha256(zip.read_bytes()).hexdigest() for function, zip in zips.items()}

    def deployed(self, file="template.yaml"):
        """Returns the hash in each function's CodeUri."""
        found = re.findall(r"CodeUri: s3://bucket/x86_64/([a-z-]+)/(\w+)\.zip$", (self.home / file).read_text(), re.M)
        return dict(found)

    def parameters(self):
        return {pair["ParameterKey"]: pair["ParameterValue"] for pair in json.loads((self.home / "parameters.json").read_text())}

    def change(self, *functions):
        for function in functions:
            (self.repository / "target" / "lambda" / function / "bootstrap.zip").write_text("changed")

    def test_a_first_deployment_migrates_after_it_has_created_the_stack(self):
        succeeded, calls = self.deploy()
        self.assertTrue(succeeded, self.output)
        self.assertEqual(calls, [f"upload {function}" for function in FUNCTIONS] + ["deploy after", "migrate"])
        self.assertEqual(self.deployed(), self.built())
        self.assertNotIn("CodeUri: functions/", (self.home / "template.yaml").read_text())

    def test_only_new_zips_are_uploaded_and_migrations_run_before_other_code_is_deployed(self):
        self.deploy()
        before = self.built()
        self.change("phone-numbers-list", "phone-numbers-migrate")
        succeeded, calls = self.deploy()
        self.assertTrue(succeeded, self.output)
        uploads = ["upload phone-numbers-list", "upload phone-numbers-migrate"]
        self.assertEqual(calls, uploads + ["deploy expand", "migrate", "deploy after"])
        self.assertEqual(self.deployed("template-that-migrated.yaml"), {**before, "phone-numbers-migrate": self.built()["phone-numbers-migrate"]})
        self.assertEqual(self.deployed(), self.built())

    def test_unchanged_functions_are_not_deployed_again(self):
        self.deploy()
        before = (self.home / "template.yaml").read_text()
        os.utime(self.repository / "target/lambda/phone-numbers-list/bootstrap.zip", (1, 1))
        succeeded, calls = self.deploy()
        self.assertTrue(succeeded, self.output)
        self.assertEqual(calls, ["deploy expand", "migrate", "deploy after"])
        self.assertEqual((self.home / "template-that-migrated.yaml").read_text().rstrip(), before.rstrip())
        self.assertEqual((self.home / "template.yaml").read_text(), before)

    def test_nothing_is_deployed_without_every_zip(self):
        (self.repository / "target/lambda/phone-numbers-list/bootstrap.zip").unlink()
        succeeded, calls = self.deploy()
        self.assertFalse(succeeded)
        self.assertEqual(calls, [])

    def test_a_failed_migration_leaves_the_functions_unchanged(self):
        self.deploy()
        before = self.built()
        self.change("phone-numbers-list", "phone-numbers-migrate")
        succeeded, calls = self.deploy(fails="migration")
        self.assertFalse(succeeded)
        self.assertEqual(calls[-2:], ["deploy expand", "migrate"])
        self.assertEqual(self.deployed(), {**before, "phone-numbers-migrate": self.built()["phone-numbers-migrate"]})

    def test_failed_smoke_tests_roll_the_deployment_back(self):
        self.deploy()
        before, parameters = self.deployed(), self.parameters()
        self.change("phone-numbers-list")
        self.api.broken = True
        succeeded, calls = self.deploy(parameters="JwtIssuer=https://elsewhere.example")
        self.assertFalse(succeeded)
        self.assertEqual(calls[-3:], ["migrate", "deploy after", "deploy before"])
        self.assertEqual((self.deployed(), self.parameters()), (before, parameters))
        self.assertIn("a token with an invalid signature was answered with 503 instead of 401", self.output)

    def test_no_smoke_tests_run_after_a_failed_deployment(self):
        self.deploy()
        self.change("phone-numbers-list")
        succeeded, calls = self.deploy(fails="deploy after")
        self.assertFalse(succeeded)
        self.assertEqual(calls[-1], "deploy after")
        self.assertNotIn("testing every URL", self.output)

    def test_nothing_is_deployed_if_the_stack_cannot_be_read(self):
        self.deploy()
        succeeded, calls = self.deploy(fails="describe")
        self.assertFalse(succeeded)
        self.assertEqual(calls, [])
        self.assertIn("Could not connect", self.output)

    def test_parameters_come_from_the_repository_and_from_the_environment(self):
        self.deploy(parameters="JwtIssuer=https://issuer.example\nSubnetIds=subnet-1,subnet-2\nLogRetentionDays=7\n")
        found = self.parameters()
        self.assertEqual(found["JwtIssuer"], "https://issuer.example")
        self.assertEqual(found["SubnetIds"], "subnet-1,subnet-2")
        self.assertEqual(found["Architecture"], "x86_64")
        self.assertEqual(found["CanaryRollout"], "true")
        self.assertEqual(found["LogRetentionDays"], "7")

    def test_changed_parameters_change_the_parameter_configuration(self):
        configurations = []
        for parameters in ["JwtIssuer=https://a.example", "JwtIssuer=https://b.example", "JwtIssuer=https://a.example"]:
            self.deploy(parameters=parameters)
            configurations.append(self.parameters()["Configuration"])
        self.assertEqual(configurations[0], configurations[2])
        self.assertNotEqual(configurations[0], configurations[1])


if __name__ == "__main__":
    unittest.main()
