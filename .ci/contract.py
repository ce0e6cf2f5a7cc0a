"""Holds the functions against docs/openapi.json with Schemathesis: random and hostile requests, alone and in sequences that follow
the document's links, with a token of each role, against `cargo dev`.

Run it with the Python that has Schemathesis: see the step "contract" of .ci/run.

    python .ci/contract.py [--seed N] [--examples N] [--minutes N] [--ready-file PATH]
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import contract_checks
from stack import Stack

SCRIPTS = Path(__file__).resolve().parent

# A user of each role that may do something else: everything, all but release, read, nothing.
USERS = ["owner", "admin", "member", "client_viewer"]


def declared_rules(document):
    """The names of the rules that the document declares."""
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    return {rule["name"] for operation in operations for rule in operation.get("x-rules", [])}


def run(ready, user, options, report):
    """Runs Schemathesis as one user. Returns its exit status."""
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", SCRIPTS / "schemathesis.toml", "run", ready["openapi_url"]]
    command += ["--url", ready["base_url"], "--header", f"Authorization: Bearer {ready['tokens'][user]}"]
    command += ["--seed", str(options.seed), "--max-examples", str(options.examples), "--max-failures", "20", "--suppress-health-check", "all"]
    command += ["--report", "ndjson", "--report-ndjson-path", report, "--warnings", "off"]
    if options.minutes:
        command += ["--max-time", str(options.minutes * 60)]
    return subprocess.run(command, cwd=SCRIPTS, env={**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1"}).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same requests")
    parser.add_argument("--examples", type=int, default=50, help="the number of random requests for each operation and kind")
    parser.add_argument("--minutes", type=int, help="the longest time for each user")
    parser.add_argument("--ready-file", type=Path, help="that of a `cargo dev` that already runs")
    options = parser.parse_args()
    stack = None if options.ready_file else Stack(docker=False)
    try:
        ready = json.loads(options.ready_file.read_text()) if options.ready_file else stack.ready
        document = json.load(urllib.request.urlopen(ready["openapi_url"], timeout=30))
        if declared_rules(document) != contract_checks.RULES:
            raise SystemExit(f"rules declared or listed alone: {declared_rules(document) ^ contract_checks.RULES}")
        failed = False
        with tempfile.TemporaryDirectory() as folder:
            for user in USERS:
                print(f"==> as {user}", flush=True)
                report = Path(folder) / f"{user}.ndjson"
                failed |= run(ready, user, options, report) != 0
                print(figures(report, user), flush=True)
        return 1 if failed else 0
    finally:
        if stack:
            stack.stop()


if __name__ == "__main__":
    sys.exit(main())
