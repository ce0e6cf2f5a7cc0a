"""Tests the artifacts in Lambda's container image: every event with `sam local invoke`, and a number from search to release with
`sam local start-api`, with the Postgres and the Telnyx simulator of `cargo dev --docker`.

Needs `sam` on the PATH, a Docker engine, and the output of `sam build`. SAM_LOCAL_OPTIONS is passed to every `sam local`.
"""

import json
import os
import signal
import socket
import subprocess
import unittest

from stack import ROOT, Stack, call, resource, sam_local, wait_for

OPTIONS = os.environ.get("SAM_LOCAL_OPTIONS", "").split()

# The expected status for each event, if the rows that it names exist.
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
# An event for each function that is called over HTTP.
UNCONFIGURED = ["search", "purchase", "list", "assign", "release", "reconcile-forged-webhook"]


class InContainers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack()
        cls.addClassCleanup(cls.stack.stop)

    def invoke(self, text, *options):
        """Returns the answer of a function in its container to an event."""
        event = self.stack.folder / "event.json"
        event.write_text(text)
        command = ["invoke", resource(text), "--event", str(event), *options, *OPTIONS]
        with sam_local(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as invocation:
            answer, log = invocation.communicate(timeout=300)
        self.assertTrue(answer.strip(), log)
        return json.loads(answer.strip().splitlines()[-1])

    def test_every_event_has_the_expected_status(self):
        for name in sorted(path.stem for path in (ROOT / "events").iterdir()):
            with self.subTest(event=name):
                answer = self.invoke(self.stack.event(name), "--env-vars", str(self.stack.variables))
                if name in ANSWERS:
                    self.assertEqual(answer["statusCode"], ANSWERS[name], answer)
                else:
                    expected = {"reconcile": None, "migrate": {"applied": []}}
                    self.assertEqual(answer, expected[name])

    def test_each_function_answers_without_any_configuration(self):
        for name in UNCONFIGURED:
            with self.subTest(event=name):
                text = (ROOT / "events" / f"{name}.json").read_text()
                # A malformed token is refused before the keys are read.
                answer = self.invoke(text.replace("REPLACED-BY-CARGO-DEV", self.stack.tokens["owner"]))
                self.assertEqual(answer["statusCode"], 503, answer)
                self.assertEqual(json.loads(answer["body"])["code"], "unavailable")
        for name in ["reconcile", "migrate"]:
            with self.subTest(event=name):
                self.assertIn("errorMessage", self.invoke((ROOT / "events" / f"{name}.json").read_text()))

    def test_a_number_is_found_bought_assigned_and_released_through_the_api(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = (self.stack.folder / "api.log").open("w")
        api = sam_local("start-api", "--port", str(port), "--env-vars", str(self.stack.variables), *OPTIONS, stdout=log, stderr=log)

        def stop():
            api.send_signal(signal.SIGINT)
            api.wait(120)
            log.close()

        self.addCleanup(stop)

        def is_up():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for("sam local start-api", is_up)
        url, tokens = f"http://127.0.0.1:{port}/phone-numbers-", self.stack.tokens
        agents = self.stack.ready["agents"]["demo"]

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
