"""Holds the functions against docs/openapi.json with Schemathesis: random and hostile requests, alone and in sequences that follow
the document's links, with a token of each role, against `cargo dev`.

Run it with the Python that has Schemathesis: see the step "contract" of .ci/run.

    python .ci/contract.py [--seed N] [--examples N] [--minutes N] [--ready-file PATH]
"""

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import contract_checks
from stack import Stack, call

SCRIPTS = Path(__file__).resolve().parent

# The document's example of an idempotency key.
KEY = "4b1e4b0e-6f0c-4f57-9a0e-c8b5a4bfb1a1"

# A user of each role that may do something else: everything, all but release, read, nothing.
USERS = ["owner", "admin", "member", "client_viewer"]


class Running(Stack):
    """A `cargo dev` that was started by somebody else."""

    def __init__(self, ready):
        self.ready, self.tokens = ready, ready["tokens"]

    def stop(self):
        pass


def declared_rules(document):
    """The names of the rules that the document declares."""
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    return {rule["name"] for operation in operations for rule in operation.get("x-rules", [])}


def real(document, stack):
    """The document with ids of rows, of an agent, and with a number on offer in its examples, so that examples succeed."""
    text = json.dumps(document)
    # The row of most examples, and the one of the example of a release.
    for example, row in zip(["9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10", "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a11"], stack.buy(2)):
        text = replace(text, example, row)
    text = replace(text, "0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55", stack.ready["agents"]["demo"][0])
    _, found = call(f"{stack.function('search')}?country_code=US&area_code=312&limit=1", stack.tokens["owner"])
    return replace(text, "+13125550123", found["phone_numbers"][0]["phone_number"])


def replace(text, example, value):
    if example not in text:
        raise SystemExit(f"the document has no example {example}")
    return text.replace(example, value)


def run(ready, document, user, options, report, answers):
    """Runs Schemathesis as one user. Returns its exit status and what it printed."""
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", SCRIPTS / "schemathesis.toml", "run", document]
    command += ["--url", ready["base_url"], "--header", f"Authorization: Bearer {ready['tokens'][user]}"]
    command += ["--seed", str(options.seed), "--max-examples", str(options.examples), "--report", "json", "--report-json-path", report]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1", "CONTRACT_ANSWERS": str(answers), "CONTRACT_KEY": KEY}
    # Whatever happens, the run ends: a stuck function must not block CI.
    done = subprocess.run(command, cwd=SCRIPTS, env=environment, text=True, capture_output=True, timeout=options.minutes * 60)
    return done.returncode, done.stdout + done.stderr


def figures(report, answers):
    """What a run did, on one line. A run that did not try every operation in every phase is none."""
    phases = {name: phase["status"] for name, phase in report["phases"].items()}
    if not report["complete"] or report["operations"]["tested"] != report["operations"]["total"] or "skip" in " ".join(phases.values()):
        raise SystemExit(f"incomplete: {report['operations']} {phases}")
    cases = report["test_cases"]
    statuses = sum((collections.Counter(counts) for counts in answers.values()), collections.Counter())
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    return f"{cases['generated']} cases, {cases['with_failures']} failures, {report['running_time']:.0f} s; answers {counts}"


def without_success(answers):
    """The operations that were never answered with a success. What the document says of one was not tried then."""
    return [operation for operation, statuses in answers.items() if not any(status.startswith("2") for status in statuses)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same requests")
    parser.add_argument("--examples", type=int, default=50, help="the number of random requests for each operation and kind")
    parser.add_argument("--minutes", type=int, default=10, help="the longest time for each user")
    parser.add_argument("--ready-file", type=Path, help="that of a `cargo dev` that already runs")
    options = parser.parse_args()
    # An end by a signal is an exit as well, so that nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    stack = Running(json.loads(options.ready_file.read_text())) if options.ready_file else Stack(docker=False)
    try:
        document = json.load(urllib.request.urlopen(stack.ready["openapi_url"], timeout=30))
        if declared_rules(document) != contract_checks.RULES:
            raise SystemExit(f"rules declared or listed alone: {declared_rules(document) ^ contract_checks.RULES}")
        failed = False
        with tempfile.TemporaryDirectory() as folder:
            for user in USERS:
                print(f"==> as {user}", flush=True)
                report, answers = Path(folder) / f"{user}.json", Path(folder) / f"{user}-answers.json"
                document_file = Path(folder) / "openapi.json"
                document_file.write_text(real(document, stack))
                status, output = run(stack.ready, document_file, user, options, report, answers)
                if status != 0:
                    failed = True
                    print(output)
                answers = json.loads(answers.read_text())
                print(figures(json.loads(report.read_text()), answers), flush=True)
                if user == USERS[0] and without_success(answers):
                    failed = True
                    print(f"never answered with a success: {without_success(answers)}")
        return 1 if failed else 0
    finally:
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
