#!/usr/bin/env python3
"""Measures how long it takes until a number is bought with the commands that `cargo dev` prints.

    python3 .ci/first_number.py         here, with what is built already
    python3 .ci/first_number.py --cold  in a new clone, with nothing built; the crates may have been downloaded before
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def measure(folder, root, environment):
    """Starts `cargo dev` in `root` and buys a number. Returns the seconds of both steps, and the number of commands."""
    command = ["cargo", "dev", "--port", "0", "--telnyx-port", "0", "--console-port", "0", "--fresh", "--data", folder / "data"]
    started = time.monotonic()
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as dev:
        try:
            screen = []
            while not (screen and screen[-1].startswith("README.md")):
                line = dev.stdout.readline()
                if not line:
                    sys.exit("cargo dev ended before it was ready")
                screen.append(line)
            ready = time.monotonic()
            start = next(index for index, line in enumerate(screen) if line.startswith("Search"))
            script = "".join(line[2:] for line in screen[start:] if line.startswith("  "))
            bought = subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True, capture_output=True, text=True)
            if '"outcome":"purchased"' not in bought.stdout:
                sys.exit(bought.stdout)
            commands = len(script.replace("\\\n", " ").splitlines())
            return ready - started, time.monotonic() - ready, commands + 1
        finally:
            dev.send_signal(signal.SIGINT)


def main():
    with tempfile.TemporaryDirectory(prefix="first-number-") as name:
        folder = Path(name)
        # Postgres may run as another user in a folder below.
        folder.chmod(0o755)
        root, environment, commands = ROOT, dict(os.environ), 0
        cloned = 0.0
        if "--cold" in sys.argv[1:]:
            root = folder / "clone"
            environment["CARGO_TARGET_DIR"] = str(folder / "target")
            started = time.monotonic()
            subprocess.run(["git", "clone", "--quiet", ROOT, root], check=True)
            # And `cd`.
            cloned, commands = time.monotonic() - started, 2
        ready, bought, more = measure(folder, root, environment)
        print(f"{commands + more} commands, {cloned + ready + bought:.1f} s: {cloned:.1f} s to clone, {ready:.1f} s until ready, {bought:.1f} s to buy")


if __name__ == "__main__":
    main()
