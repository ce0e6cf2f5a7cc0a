"""What would be deployed, in Lambda's own container: `sam local invoke` of every event, and the story of a number through
`sam local start-api`, against the Postgres and the Telnyx that `cargo dev --docker` runs.

Wants `sam` on the PATH, a Docker engine, and `sam build` done. SAM_LOCAL_OPTIONS go to every `sam local`.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = os.environ.get("SAM_LOCAL_OPTIONS", "").split()

# What each event is answered with by a product that has what the event is about.
ANSWERS = {
    "search": 200,
    "search-without-country": 400,
    "purchase": 200,
    "purchase-invalid-number": 400,
    "list": 200,
    "list-unknown-filter": 400,
    "assign": 200,
    "assign-get": 200,
    "assign-unauthorized": 401,
    "release": 200,
    "release-unconfirmed": 400,
    "preflight": 204,
    "reconcile-forged-webhook": 401,
}
# The rows that the events name.
ROWS = ["7d0f1b52-6c1e-4b8a-9f0e-2f4a5c9d3e10", "f3a1c0de-58b7-4d2c-8a49-90c6b1e7d254"]
# One of each function that is called over HTTP.
UNCONFIGURED = ["search", "purchase", "list", "assign", "release", "reconcile-forged-webhook"]


def wait_for(what, probe, seconds=300):
    """The first thing that `probe` returns, with all the time that a busy machine may need."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"{what} did not come")


def call(url, token, body=None, method=None):
    """The status and the JSON of an answer."""
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
    """The resource whose function an event is for."""
    path = event.get("rawPath", "")
    word = path.removeprefix("/phone-numbers-") if path else ("reconcile" if "detail-type" in event else "migrate")
    return f"PhoneNumbers{word.capitalize()}Function"


class InContainers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="sam-local-"))
        cls.folder.chmod(0o755)
        ready = cls.folder / "ready.json"
        command = ["cargo", "dev", "--docker", "--port", "0", "--fresh", "--data", str(cls.folder), "--ready-file", str(ready)]
        cls.log = (cls.folder / "dev.log").open("w")
        cls.dev = subprocess.Popen(command, cwd=ROOT, stdout=cls.log, stderr=cls.log)
        cls.addClassCleanup(cls.stop)
        wait_for("cargo dev", lambda: ready.exists() or cls.dev.poll() is not None, 900)
        cls.ready = json.loads(ready.read_text())
        cls.variables = cls.folder / "sam-env.json"

    @classmethod
    def stop(cls):
        cls.dev.send_signal(signal.SIGINT)
        cls.dev.wait(60)
        cls.log.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def function(self, name):
        return self.ready["functions"][f"phone-numbers-{name}"]

    def buy(self, count):
        """Numbers that the owner has from now on: their rows' ids."""
        owner = self.ready["tokens"]["owner"]
        _, found = call(f"{self.function('search')}?country_code=US&area_code=415&limit={count}", owner)
        numbers = [{"phone_number": offer["phone_number"]} for offer in found["phone_numbers"]]
        status, bought = call(self.function("purchase"), owner, {"phone_numbers": numbers})
        self.assertEqual(status, 200, bought)
        return [row["id"] for row in bought["phone_numbers"]]

    def invoke(self, text, *options):
        """What a function in its container answers to an event."""
        event = self.folder / "event.json"
        event.write_text(text)
        function = resource(json.loads(text))
        command = ["sam", "local", "invoke", function, "--event", str(event), *options, *OPTIONS]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        self.assertTrue(done.stdout.strip(), done.stderr)
        return json.loads(done.stdout.strip().splitlines()[-1])

    def test_every_event_is_answered_as_its_name_promises(self):
        rows = self.buy(2)
        for path in sorted((self.folder / "events").iterdir()):
            text = path.read_text()
            for named, row in zip(ROWS, rows):
                text = text.replace(named, row)
            with self.subTest(event=path.stem):
                answer = self.invoke(text, "--env-vars", str(self.variables))
                if path.stem in ANSWERS:
                    self.assertEqual(answer["statusCode"], ANSWERS[path.stem], answer)
                else:
                    expected = {"reconcile": None, "migrate": {"applied": []}}
                    self.assertEqual(answer, expected[path.stem])

    def test_with_nothing_configured_each_function_says_so_and_lives(self):
        for name in UNCONFIGURED:
            with self.subTest(event=name):
                text = (ROOT / "events" / f"{name}.json").read_text()
                # A token that cannot be read is refused without looking for what would verify it.
                answer = self.invoke(text.replace("REPLACED-BY-CARGO-DEV", self.ready["tokens"]["owner"]))
                self.assertEqual(answer["statusCode"], 503, answer)
                self.assertEqual(json.loads(answer["body"])["code"], "unavailable")
        for name in ["reconcile", "migrate"]:
            with self.subTest(event=name):
                self.assertIn("errorMessage", self.invoke((ROOT / "events" / f"{name}.json").read_text()))

    def test_a_number_is_found_bought_assigned_and_released_through_the_api(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = ["sam", "local", "start-api", "--port", str(port), "--env-vars", str(self.variables), *OPTIONS]
        log = (self.folder / "api.log").open("w")
        api = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

        def stop():
            api.send_signal(signal.SIGINT)
            api.wait(120)
            log.close()

        self.addCleanup(stop)

        def is_up():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for("sam local start-api", is_up)
        url, tokens = f"http://127.0.0.1:{port}/phone-numbers-", self.ready["tokens"]
        agents = self.ready["agents"]["demo"]

        self.assertEqual(call(f"{url}list", None, method="OPTIONS")[0], 204)
        self.assertEqual(call(f"{url}list", tokens["owner"], {})[0], 405)
        self.assertEqual(call(f"{url}list", None)[0], 401)
        status, found = call(f"{url}search?country_code=US&area_code=212&limit=1", tokens["member"])
        self.assertEqual(status, 200, found)
        number = found["phone_numbers"][0]["phone_number"]
        order = {"phone_numbers": [{"phone_number": number, "friendly_name": "Front desk", "agent_mapping_id": agents[0]}]}
        status, bought = call(f"{url}purchase", tokens["admin"], order)
        self.assertEqual(status, 200, bought)
        row = bought["phone_numbers"][0]["id"]
        status, listed = call(f"{url}list?search={number[1:]}", tokens["member"])
        self.assertEqual((status, listed["phone_numbers"][0]["agent_mapping_id"]), (200, agents[0]))
        status, answer = call(f"{url}assign", tokens["admin"], {"phone_number_id": row, "agent_mapping_id": agents[1]})
        self.assertEqual((status, answer["phone_number"]["agent_mapping_id"]), (200, agents[1]))
        status, answer = call(f"{url}assign?phone_number_id={row}", tokens["admin"], method="DELETE")
        self.assertEqual((status, answer["phone_number"]["agent_mapping_id"]), (200, None))
        status, answer = call(f"{url}release", tokens["owner"], {"phone_number_ids": [row], "confirm": True})
        self.assertEqual((status, answer["released"][0]["id"]), (200, row))
        status, answer = call(f"{url}assign?id={row}&include_history=true", tokens["member"])
        events = [entry["event"] for entry in answer["history"]]
        self.assertEqual((events[0], events[-1]), ("bought", "released"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
