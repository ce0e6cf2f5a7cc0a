#!/usr/bin/env python3
"""Measures the artifacts' size, answer times and memory in Lambda's container image. Prints a Markdown table.

    measure.py [--runs N] [--memory MB,MB,...]

Needs every function in target/lambda/, where .ci/package writes it, a Docker engine on Linux, and the Python of the SAM CLI, which
includes Lambda's Runtime Interface Emulator. `--memory` measures with other memory sizes than the template's.

A function gets the CPU share that Lambda assigns to its memory: one CPU at 1,769 MB, in periods of 20 ms. This also applies to the
initialisation, for which Lambda would assign the full CPU. The function handles the event of its name in events/, with the Postgres
and the Telnyx simulator of `cargo dev` on the same machine, without TLS. The functions take turns. The table has medians: of the
time from the start of the program to its first answer (cold), of the time of later answers (warm), and of the peak memory.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import urllib.request
from pathlib import Path

import samcli
from samtranslator.yaml_helper import yaml_parse

from artifact import check_binary
from expanded import expanded
from stack import ROOT, Stack, resource, wait_for

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
IMAGE = "public.ecr.aws/lambda/provided:al2023-x86_64"
EMULATOR = Path(samcli.__file__).parent / "local" / "rapid" / "aws-lambda-rie-x86_64"
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEGABYTES_PER_CPU = 1769
PERIOD_US = 20_000
WARM_CALLS = 20


class Container:
    """One instance of a function."""

    def __init__(self, folder, memory, environment):
        options = [
            "--memory", f"{memory}m",
            "--cpu-period", str(PERIOD_US),
            "--cpu-quota", str(min(memory * PERIOD_US // MEGABYTES_PER_CPU, PERIOD_US)),
            "--publish", "127.0.0.1::8080",
            "--volume", f"{EMULATOR}:/emulator:ro",
            "--volume", f"{folder / 'bootstrap'}:/var/task/bootstrap:ro",
            "--entrypoint", "/emulator",
            *(f"--env={name}={value}" for name, value in environment.items()),
        ]
        self.id = docker("run", "--detach", *options, IMAGE, "/var/task/bootstrap")
        address = docker("port", self.id, "8080").splitlines()[0]
        self.url = f"http://{address}/2015-03-31/functions/function/invocations"

    def __enter__(self):
        # The emulator listens at once, and starts the program only when the first event comes.
        wait_for("the emulator", self.listens)
        return self

    def __exit__(self, *_):
        docker("rm", "--force", self.id)

    def listens(self):
        try:
            urllib.request.urlopen(self.url.rsplit("/", 4)[0], timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def invoke(self, event):
        request = urllib.request.Request(self.url, data=event.encode(), method="POST")
        with urllib.request.urlopen(request, timeout=90) as answer:
            found = json.loads(answer.read())
        if isinstance(found, dict) and (found.get("statusCode", 200) >= 400 or "errorMessage" in found):
            raise AssertionError(found)

    def durations(self, count):
        """Returns the durations of `count` invocations in milliseconds, including the start of the program."""
        pattern = re.compile(r"^REPORT .*?(?:\tInit Duration: ([\d.]+) ms)?\tDuration: ([\d.]+) ms", re.M)

        def reports():
            done = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, check=True)
            found = pattern.findall(done.stdout + done.stderr)
            return found if len(found) == count else None

        return [float(start or 0) + float(duration) for start, duration in wait_for("the emulator's report", reports)]

    def peak_megabytes(self):
        status = docker("exec", self.id, "sh", "-c", "cat /proc/[0-9]*/status")
        program, = (text for text in status.split("Name:\t") if text.startswith("bootstrap"))
        return int(re.search(r"VmHWM:\s*(\d+) kB", program)[1]) / 1024


def docker(*arguments):
    return subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True, check=True).stdout.strip()


def template_memory():
    """Returns each function's memory in MB in the template, by resource name."""
    template = expanded(yaml_parse((ROOT / "template.yaml").read_text()))
    default = template["Globals"]["Function"]["MemorySize"]
    return {name: resource["Properties"].get("MemorySize", default)
            for name, resource in template["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"}


def measure(folder, event, memory, environment):
    """Returns the time to the first answer, the median of the later ones, and the peak memory."""
    with Container(folder, memory, environment) as container:
        for _ in range(1 + WARM_CALLS):
            container.invoke(event)
        cold, *warm = container.durations(1 + WARM_CALLS)
        return cold, statistics.median(warm), container.peak_megabytes()


def row(folder, memory, samples):
    cold, warm, peak = (statistics.median(values) for values in zip(*samples))
    binary, packed = (folder / "bootstrap").read_bytes(), folder / "bootstrap.zip"
    glibc = ".".join(map(str, check_binary(binary, os.environ.get("ARCHITECTURE", "x86_64"))))
    cells = [folder.name, f"{len(binary) / 1e6:.1f} MB", f"{packed.stat().st_size / 1e6:.1f} MB", glibc,
             f"{memory} MB", f"{cold:.0f} ms", f"{warm:.1f} ms", f"{peak:.1f} MB"]
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="how many instances of each function [default: 10]")
    parser.add_argument("--memory", type=lambda text: [int(size) for size in text.split(",")], help="in MB [default: the template's]")
    options = parser.parse_args()
    folders = sorted(folder.parent for folder in (TARGET / "lambda").glob("*/bootstrap"))
    if not folders:
        sys.exit("no artifacts: run .ci/package")
    stack = Stack()
    try:
        variables, sizes = json.loads(stack.variables.read_text()), template_memory()
        events = {folder: stack.event(folder.name.removeprefix("phone-numbers-")) for folder in folders}
        samples = {}
        for _ in range(options.runs):
            for folder, event in events.items():
                for memory in options.memory or [sizes[resource(event)]]:
                    sample = measure(folder, event, memory, variables[resource(event)])
                    samples.setdefault((folder, memory), []).append(sample)
    finally:
        stack.stop()
    print("| function | binary | zip | glibc | memory | cold | warm | peak |\n|---|---|---|---|---|---|---|---|")
    for (folder, memory), values in samples.items():
        print(row(folder, memory, values))


if __name__ == "__main__":
    main()
