"""Tests what .ci/deploy does and in which order, with a fake AWS CLI that keeps its stack in a folder, and a function over HTTP."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = sorted(folder.name for folder in (ROOT / "functions").iterdir())

# A fake of the AWS CLI with the commands that .ci/deploy uses. It records the calls in the file `calls`. The file `status` has the
# stack's status, if it is not the usual one; `outcomes` has the migrations' answers, one a line.
AWS = r'''#!/usr/bin/env python3
import json, os, shutil, sys
from pathlib import Path

home = Path(os.environ["FAKE_AWS"])
service, verb, *arguments = sys.argv[1:]
option = {name: value for name, value in zip(arguments, arguments[1:]) if name.startswith("--")}
template, parameters, fails = home / "template.yaml", home / "parameters.json", os.environ.get("FAILS")
status = home / "status"

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
        print(status.read_text() if status.exists() else "UPDATE_COMPLETE")
    elif "Parameters" in query:
        print(parameters.read_text())
    elif "MigrateFunction" in query:
        print("arn:migrate:live")
    else:
        print("ApiUrl\thttp://nowhere.invalid", "ListUrl\t" + os.environ["FUNCTION_URL"], "WebhookUrl\thttp://nowhere.invalid", sep="\n")
        print("MigrateFunction\tarn:migrate:live", "ListFunction\tarn:list:live", "ReconcileFunction\tarn:reconcile:live", sep="\n")
elif verb == "get-template":
    print(template.read_text())
elif verb == "deploy":
    (home / "arguments.json").write_text(json.dumps(sys.argv[1:]))
    assert option["--role-arn"] == "arn:role"
    given = dict(pair.split("=", 1) for pair in arguments[arguments.index("--parameter-overrides") + 1:])
    call("deploy " + Path(option["--template-file"]).stem + (" unstarted" if given.get("Started") == "false" else ""))
    # What is not given keeps its value.
    had = json.loads(parameters.read_text()) if parameters.exists() else []
    given = {pair["ParameterKey"]: pair["ParameterValue"] for pair in had} | given
    parameters.write_text(json.dumps([{"ParameterKey": key, "ParameterValue": given[key]} for key in given]))
    shutil.copy(option["--template-file"], template)
elif verb == "delete-stack":
    call("delete")
    template.unlink()
    parameters.unlink()
    status.unlink()
elif verb == "wait":
    assert arguments[0] == "stack-delete-complete"
elif verb == "update-termination-protection":
    call("protect")
elif verb == "invoke" and "check" in option["--payload"]:
    assert json.loads(option["--payload"]) == {"check": "dependencies"}
    name = option["--function-name"].split(":")[1]
    broken = name == os.environ.get("BROKEN")
    Path(arguments[-1]).write_text('{"errorType": "CheckFailed", "errorMessage": "no database"}' if broken else '{"checked": "dependencies"}')
    with (home / "checked").open("a") as checked:
        print(name, file=checked)
    print("Unhandled" if broken else "None")
elif verb == "invoke":
    assert option["--function-name"] == "arn:migrate:live"
    payload, answer = json.loads(option["--payload"]), Path(arguments[-1])
    if "request" in payload:
        assert option["--invocation-type"] == "Event" and os.environ["AWS_MAX_ATTEMPTS"] == "1"
        (home / "request").write_text(payload["request"])
        (home / "template-that-migrated.yaml").write_text(template.read_text())
        (home / "parameters-that-migrated.json").write_text(parameters.read_text())
        call("migrate")
        print("None")
    else:
        assert payload["outcome"] == (home / "request").read_text()
        outcomes = home / "outcomes"
        lines = outcomes.read_text().splitlines() if outcomes.exists() else ['{"applied": []}']
        outcomes.write_text("\n".join(lines[1:] or lines))
        answer.write_text(lines[0])
        print("Unhandled" if "errorType" in lines[0] else "None")
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
    # The token of a user, and the status that it is answered with.
    token, status = "Bearer user", 200

    def answer(self, status):
        self.send_response(status)
        self.send_header("Allow", "PATCH, OPTIONS")
        self.end_headers()

    # The types of the keys that it publishes as an issuer.
    keys = ["RSA"]

    def do_GET(self):
        host = self.headers["host"]
        documents = {
            "/issuer/.well-known/openid-configuration": {"jwks_uri": f"http://{host}/keys"},
            "/keys": {"keys": [{"kty": kind} for kind in self.keys]},
        }
        self.answer(200 if self.path in documents else 404)
        self.wfile.write(json.dumps(documents.get(self.path)).encode())

    def do_OPTIONS(self):
        self.answer(204)

    def do_PATCH(self):
        token = self.headers["authorization"]
        self.answer(self.status if token == self.token else 503 if self.broken else 401 if token.startswith("Bearer ey") else 500)

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
        # The scripts and the fake start many Pythons; a version manager's would take most of the time.
        (aws.parent / "python3").symlink_to(Path(sys.executable).resolve())
        # The files of the repository that the script reads.
        self.repository = self.home / "repository"
        for name in ["template.yaml", "samconfig.toml", ".ci/deploy", ".ci/smoke", ".ci/migrate", ".ci/template.py", ".ci/issuer.py"]:
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

    def deploy(self, fails="", parameters="JwtIssuer=https://issuer.example", outcomes="", **variables):
        """Runs the script. Returns whether it succeeded, and its calls of the AWS CLI."""
        (self.home / "outcomes").write_text(outcomes or '{"applied": []}')
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
            "MIGRATE_POLL_SECONDS": "0",
            **variables,
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

    def parameters(self, file="parameters.json"):
        return {pair["ParameterKey"]: pair["ParameterValue"] for pair in json.loads((self.home / file).read_text())}

    def git(self, *arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        done = subprocess.run(["git", *who, *arguments], cwd=self.repository, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def change(self, *functions):
        for function in functions:
            (self.repository / "target" / "lambda" / function / "bootstrap.zip").write_text("changed")

    def test_a_first_deployment_migrates_after_it_has_created_the_stack(self):
        succeeded, calls = self.deploy()
        self.assertTrue(succeeded, self.output)
        deployed = ["deploy after unstarted", "migrate", "deploy after", "protect"]
        self.assertEqual(calls, [f"upload {function}" for function in FUNCTIONS] + deployed)
        self.assertEqual(self.parameters()["Started"], "true")
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
        before, parameters = (self.home / "template.yaml").read_text(), self.parameters()
        os.utime(self.repository / "target/lambda/phone-numbers-list/bootstrap.zip", (1, 1))
        succeeded, calls = self.deploy()
        self.assertTrue(succeeded, self.output)
        self.assertEqual(calls, ["deploy expand", "migrate", "deploy after"])
        self.assertEqual((self.home / "template.yaml").read_text(), before)
        self.assertEqual({name: value for name, value in self.parameters().items() if not name.startswith("Next")}, parameters)

    def test_nothing_is_deployed_without_every_zip(self):
        (self.repository / "target/lambda/phone-numbers-list/bootstrap.zip").unlink()
        succeeded, calls = self.deploy()
        self.assertFalse(succeeded)
        self.assertEqual(calls, [])

    def test_a_failed_migration_leaves_the_functions_unchanged(self):
        self.deploy()
        before = self.built()
        self.change("phone-numbers-list", "phone-numbers-migrate")
        succeeded, calls = self.deploy(outcomes='{"error": "V08__x.sql, line 3 failed"}')
        self.assertFalse(succeeded)
        self.assertIn("V08__x.sql, line 3 failed", self.output)
        self.assertIn("the migrations failed, and the database is unchanged", self.output)
        self.assertEqual(calls[-2:], ["deploy expand", "migrate"])
        self.assertEqual(self.deployed(), {**before, "phone-numbers-migrate": self.built()["phone-numbers-migrate"]})

    def test_failed_smoke_tests_roll_the_deployment_back(self):
        self.deploy()
        before, parameters = self.deployed(), self.parameters()
        self.change("phone-numbers-list")
        self.api.broken = True
        succeeded, calls = self.deploy(parameters="JwtIssuer=https://elsewhere.example")
        self.assertFalse(succeeded)
        self.assertEqual(calls[-3:], ["migrate", "deploy after", "deploy back"])
        self.assertEqual(self.deployed(), before)
        self.assertEqual({name: value for name, value in self.parameters().items() if name in parameters}, parameters)
        self.assertIn("the former one serves again", self.output)
        self.assertIn("a token with an invalid signature was answered with 503 instead of 401", self.output)

    def test_a_function_that_cannot_use_its_dependencies_rolls_the_deployment_back(self):
        self.deploy()
        self.assertEqual((self.home / "checked").read_text().split(), ["list", "reconcile"])
        before = self.deployed()
        self.change("phone-numbers-list")
        succeeded, calls = self.deploy(BROKEN="reconcile")
        self.assertFalse(succeeded)
        self.assertEqual(calls[-3:], ["migrate", "deploy after", "deploy back"])
        self.assertEqual(self.deployed(), before)
        self.assertIn("ReconcileFunction: ", self.output)
        self.assertIn("no database", self.output)

    def test_a_first_deployment_does_not_start_before_every_function_can_use_its_dependencies(self):
        succeeded, calls = self.deploy(BROKEN="list")
        self.assertFalse(succeeded)
        self.assertEqual(calls[-2:], ["deploy after unstarted", "migrate"])
        self.assertIn("does not work yet", self.output)
        self.assertTrue(self.deploy()[0], self.output)

    def test_no_smoke_tests_run_after_a_failed_deployment(self):
        self.deploy()
        self.change("phone-numbers-list")
        succeeded, calls = self.deploy(fails="deploy after")
        self.assertFalse(succeeded)
        self.assertEqual(calls[-1], "deploy after")
        self.assertNotIn("asking every function and URL", self.output)

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

    def test_going_back_waits_for_no_canary(self):
        self.deploy()
        self.assertIn("Enabled: !Ref CanaryRollout", (self.home / "template.yaml").read_text())
        self.api.broken = True
        self.deploy()
        self.assertNotIn("Enabled: !Ref CanaryRollout", (self.home / "template.yaml").read_text())
        self.api.broken = False
        self.assertTrue(self.deploy()[0], self.output)
        self.assertIn("Enabled: !Ref CanaryRollout", (self.home / "template.yaml").read_text())

    def test_migrations_run_with_the_parameters_that_are_about_to_be_deployed(self):
        self.deploy(parameters="JwtIssuer=https://issuer.example\nDatabaseHost=old")
        succeeded, _ = self.deploy(parameters="JwtIssuer=https://issuer.example\nDatabaseHost=new")
        self.assertTrue(succeeded, self.output)
        then = self.parameters("parameters-that-migrated.json")
        self.assertEqual((then["DatabaseHost"], then["NextDatabaseHost"]), ("old", "new"))
        self.assertEqual(self.parameters()["DatabaseHost"], "new")
        self.assertNotIn("NextDatabaseHost", (self.home / "template.yaml").read_text())

    def test_a_wrong_parameter_of_a_first_deployment_can_be_corrected(self):
        succeeded, calls = self.deploy(parameters="JwtIssuer=x\nDatabaseName=wrong", outcomes='{"error": "no such database"}')
        self.assertFalse(succeeded)
        self.assertEqual(calls[-2:], ["deploy after unstarted", "migrate"])
        succeeded, calls = self.deploy(parameters="JwtIssuer=x\nDatabaseName=right")
        self.assertTrue(succeeded, self.output)
        self.assertEqual(calls, ["deploy after unstarted", "migrate", "deploy after", "protect"])
        self.assertEqual(self.parameters("parameters-that-migrated.json")["DatabaseName"], "right")

    def test_what_a_failed_first_deployment_left_is_deleted(self):
        self.deploy()
        (self.home / "status").write_text("ROLLBACK_COMPLETE")
        succeeded, calls = self.deploy()
        self.assertTrue(succeeded, self.output)
        self.assertEqual(calls, ["delete", "deploy after unstarted", "migrate", "deploy after", "protect"])

    def test_a_stack_that_cannot_be_deployed_is_left_alone_and_the_message_says_what_to_do(self):
        self.deploy()
        for status, advice in [
            ("UPDATE_IN_PROGRESS", "something else is changing it"),
            ("UPDATE_ROLLBACK_IN_PROGRESS", "something else is changing it"),
            ("DELETE_IN_PROGRESS", "something else is changing it"),
            ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name phone-numbers-prod"),
            ("DELETE_FAILED", "Delete it"),
            ("CREATE_FAILED", "Delete it"),
        ]:
            (self.home / "status").write_text(status)
            succeeded, calls = self.deploy()
            self.assertEqual((succeeded, calls), (False, []), status)
            self.assertIn(advice, self.output)

    def test_a_failed_deployment_says_where_the_reason_is(self):
        self.deploy()
        self.deploy(fails="deploy after")
        self.assertIn("aws cloudformation describe-stack-events --stack-name phone-numbers-prod", self.output)

    def test_the_outcome_of_a_long_migration_is_waited_for(self):
        running = '{"state": "running"}\n' * 4
        succeeded, calls = self.deploy(outcomes='{"state": "unknown"}\n' + running + '{"applied": ["V08__x"]}')
        self.assertTrue(succeeded, self.output)
        self.assertEqual(calls.count("migrate"), 1)
        self.assertIn("V08__x", self.output)

    def test_a_migration_without_an_outcome_fails(self):
        succeeded, calls = self.deploy(outcomes='{"state": "running"}\n{"state": "lost"}')
        self.assertFalse(succeeded)
        self.assertIn("ended without an outcome", self.output)
        unreachable = '{"errorType": "MigrationFailed", "errorMessage": "connecting to the database: Connection refused"}'
        self.assertFalse(self.deploy(outcomes=unreachable)[0])
        self.assertIn("Connection refused", self.output)
        # One failure to read it is no failure of the migration.
        self.assertTrue(self.deploy(outcomes=unreachable + '\n{"applied": []}')[0], self.output)

    def test_an_unknown_parameter_is_refused_before_anything_is_done(self):
        for line in ["PurchaseEnabled=false", "=x", "PurchasesEnabled false"]:
            succeeded, calls = self.deploy(parameters=f"JwtIssuer=x\n{line}")
            self.assertEqual((succeeded, calls), (False, []), line)
            self.assertIn("PARAMETERS", self.output)

    def test_an_issuer_whose_tokens_the_api_cannot_verify_is_refused_before_anything_is_done(self):
        def deploy(issuer):
            return self.deploy(parameters=f"JwtIssuer={issuer}\nApiAuthorizer=true")

        self.api.keys = ["EC"]
        succeeded, calls = deploy(f"{self.url}issuer")
        self.assertEqual((succeeded, calls), (False, []))
        self.assertIn("API Gateway verifies RSA signatures alone, and the issuer publishes EC keys", self.output)
        self.api.keys = []
        self.assertEqual(deploy(f"{self.url}issuer"), (False, []))
        self.assertTrue(self.deploy(parameters=f"JwtIssuer={self.url}issuer")[0], self.output)
        self.api.keys = ["RSA", "EC"]
        self.assertTrue(deploy(f"{self.url}issuer/")[0], self.output)
        self.assertIn("refuses tokens that are signed with them", self.output)
        self.assertTrue(deploy("https://issuer.invalid")[0], self.output)
        self.assertIn("cannot be read from here", self.output)

    def test_a_parameter_that_is_no_longer_given_goes_back_to_its_default(self):
        self.deploy(parameters="JwtIssuer=x\nPurchasesEnabled=false\nMaxPhoneNumbers=5")
        self.assertEqual(self.parameters()["PurchasesEnabled"], "false")
        self.deploy(parameters="JwtIssuer=x")
        self.assertEqual((self.parameters()["PurchasesEnabled"], self.parameters()["MaxPhoneNumbers"]), ("true", ""))

    def test_values_with_blanks_commas_and_equals_signs_arrive(self):
        values = {"ReconcileSchedule": "rate(10 minutes)", "AllowedOrigins": "https://a.example,https://b.example", "TelnyxPublicKey": "a2V5=,b3Ro="}
        self.deploy(parameters="\n".join(f"{name}={value}" for name, value in values.items()))
        self.assertLessEqual(values.items(), self.parameters().items())

    def test_the_aws_cli_understands_what_it_is_given(self):
        try:
            from awscli.clidriver import create_clidriver
            from awscli.customizations.cloudformation.deploy import DeployCommand
        except ImportError:
            self.skipTest("the AWS CLI is not installed for this Python")
        values = {"ReconcileSchedule": "rate(10 minutes)", "AllowedOrigins": "https://a.example,https://b.example", "SubnetIds": "", "TelnyxPublicKey": "a2V5=,b3Ro="}
        self.deploy(parameters="\n".join(f"{name}={value}" for name, value in values.items()))
        understood = []

        def run(command, arguments, _):
            understood.append((command.parse_key_value_arg(arguments.parameter_overrides, "parameter-overrides"), arguments.capabilities))
            return 0

        with mock.patch.object(DeployCommand, "_run_main", run), mock.patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1"):
            self.assertEqual(create_clidriver().main(json.loads((self.home / "arguments.json").read_text())), 0)
        (found, capabilities), = understood
        self.assertLessEqual(values.items(), found.items())
        self.assertEqual(capabilities, ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])

    def test_an_older_commit_than_the_deployed_one_is_refused_unless_asked_for(self):
        self.git("init", "--quiet")
        commits = []
        for name in ("one", "two"):
            self.git("commit", "--quiet", "--allow-empty", "--message", name)
            commits.append(self.git("rev-parse", "HEAD"))
        older, newer = commits
        self.assertTrue(self.deploy(COMMIT=older)[0], self.output)
        self.assertTrue(self.deploy(COMMIT=newer)[0], self.output)
        self.assertTrue(self.deploy(COMMIT=newer)[0], self.output)
        succeeded, calls = self.deploy(COMMIT=older)
        self.assertEqual((succeeded, calls), (False, []))
        self.assertIn(f"{newer} is deployed, and {older} does not contain it", self.output)
        self.assertTrue(self.deploy(COMMIT=older, ALLOW_OLDER="true")[0], self.output)

    def test_a_stack_that_was_deployed_by_hand_is_taken_over_only_if_asked_for(self):
        self.deploy()
        by_hand = (self.home / "template.yaml").read_text().replace("# deployed from", "# built from")
        (self.home / "template.yaml").write_text(by_hand)
        succeeded, calls = self.deploy()
        self.assertEqual((succeeded, calls), (False, []))
        self.assertIn("ADOPT=true", self.output)
        succeeded, calls = self.deploy(ADOPT="true")
        self.assertTrue(succeeded, self.output)
        self.assertEqual(calls[:2], ["deploy after unstarted", "migrate"])

    def test_a_users_token_must_be_accepted_where_there_is_one(self):
        self.assertTrue(self.deploy(SMOKE_TOKEN="user")[0], self.output)
        for status in (401, 403, 500, 503):
            self.api.status = status
            self.assertFalse(self.deploy(SMOKE_TOKEN="user")[0])
            self.assertIn(f"a user's token was answered with {status}", self.output)
        self.assertTrue(self.deploy()[0], self.output)
        for status in (400, 404):
            self.api.status = status
            self.assertTrue(self.deploy(SMOKE_TOKEN="user")[0], self.output)


if __name__ == "__main__":
    unittest.main()
