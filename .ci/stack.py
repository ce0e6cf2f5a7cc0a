"""Starts `cargo dev` for tests from outside, and the SAM CLI for those that run functions in containers."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Credentials and a region that exist nowhere. `sam local` gives a container the credentials that it finds: with a developer's,
# reconcile and migrate would work on a real deployment. Variables override every profile.
NOWHERE = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_SESSION_TOKEN": "none",
    "AWS_REGION": "nowhere-1",
    "AWS_DEFAULT_REGION": "nowhere-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

# The row ids in the events.
ROWS = ["7d0f1b52-6c1e-4b8a-9f0e-2f4a5c9d3e10", "f3a1c0de-58b7-4d2c-8a49-90c6b1e7d254"]


def nowhere():
    """Returns the environment of this process without its access to AWS."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | NOWHERE


def sam_local(*arguments, **options):
    """Starts `sam local` without access to AWS. The options are those of `subprocess.Popen`. Ctrl-C ends it, also where a shell
    has started this program in the background and so ignores that signal."""

    def heed_interrupts():
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(["sam", "local", *arguments], cwd=ROOT, env=nowhere(), preexec_fn=heed_interrupts, **options)


def wait_for(what, probe, seconds=300):
    """Calls `probe` until it returns something, and returns that. The timeout allows for a busy machine."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"timed out waiting for {what}")


def call(url, token, body=None, method=None):
    """Sends a request. Returns the status and the JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    request.add_header("content-type", "application/json")
    request.add_header("origin", "http://localhost:5173")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        answer = urllib.request.urlopen(request, timeout=90)
    except urllib.error.HTTPError as error:
        answer = error
    text = answer.read()
    return answer.status, json.loads(text) if text else None


def resource(event):
    """Returns the template's resource name of the function that handles an event, given as text."""
    event = json.loads(event)
    path = event.get("rawPath", "")
    word = path.removeprefix("/phone-numbers-") if path else ("reconcile" if "detail-type" in event else "migrate")
    return f"PhoneNumbers{word.capitalize()}Function"


class Stack:
    """Postgres, the Telnyx simulator and the functions, with an empty database, until `stop` is called. With `docker`, containers
    reach the first two."""

    def __init__(self, docker=True):
        self.folder = Path(tempfile.mkdtemp(prefix="phone-numbers-"))
        self.folder.chmod(0o755)
        ready = self.folder / "ready.json"
        command = ["cargo", "dev", *(["--docker"] if docker else []), "--port", "0", "--telnyx-port", "0", "--console-port", "0", "--fresh", "--data", self.folder, "--ready-file", ready]
        self.log = (self.folder / "dev.log").open("w")
        self.dev = subprocess.Popen(command, cwd=ROOT, stdout=self.log, stderr=self.log)
        wait_for("cargo dev", lambda: ready.exists() or self.dev.poll() is not None, 900)
        if self.dev.poll() is not None:
            log = (self.folder / "dev.log").read_text()
            self.stop()
            raise AssertionError(log)
        self.ready = json.loads(ready.read_text())
        self.tokens = self.ready["tokens"]
        # The functions' environment variables by resource name, in the format of `sam local --env-vars`.
        self.variables = self.folder / "sam-env.json"

    def stop(self):
        self.dev.send_signal(signal.SIGINT)
        self.dev.wait(60)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def function(self, name):
        """Returns the URL of a function that runs without a container."""
        return self.ready["functions"][f"phone-numbers-{name}"]

    def buy(self, count):
        """Buys numbers for the owner. Returns the ids of their rows."""
        owner = self.tokens["owner"]
        _, found = call(f"{self.function('search')}?country_code=US&area_code=415&limit={count}", owner)
        numbers = [{"phone_number": offer["phone_number"]} for offer in found["phone_numbers"]]
        status, bought = call(self.function("purchase"), owner, {"phone_numbers": numbers})
        if status != 200:
            raise AssertionError(bought)
        return [row["id"] for row in bought["phone_numbers"]]

    def event(self, name):
        """Returns the text of an event with a valid token and with the ids of rows that were bought for it."""
        text = (self.folder / "events" / f"{name}.json").read_text()
        for named, row in zip(ROWS, self.buy(len(ROWS))):
            text = text.replace(named, row)
        return text
