"""What `.ci/contract.py` checks beyond Schemathesis's own checks: a problem has a code that the document lists, and a request that the
document allows is not refused as wrong, save by a rule that the document declares in `x-rules` and that is listed here."""

import atexit
import collections
import itertools
import json
import os
import re
from pathlib import Path

import schemathesis

# The rules that no schema expresses. `.ci/contract.py` compares them with the document.
RULES = {
    "a_number_is_named",
    "assigned_or_unassigned",
    "cursor_of_an_answer",
    "cursor_or_offset",
    "cursor_with_its_filters",
    "each_id_once",
    "each_number_once",
    "history_of_one_number",
    "no_filter_for_one_number",
    "no_page_for_one_number",
    "one_number",
    "query_or_body",
}

# The number of the request.
COUNT = itertools.count()

# How often each operation was answered with each status; written to the file that CONTRACT_ANSWERS names.
ANSWERS = collections.defaultdict(collections.Counter)


def is_positive(case):
    """Whether the document allows a request, in all of its parts: Schemathesis leaves a header empty if it cannot fill in its
    pattern, and counts the rest as valid."""
    modes = [] if case.meta is None else [case.meta.generation.mode, *(part.mode for part in case.meta.components.values())]
    return bool(modes) and all(mode.is_positive for mode in modes)


@schemathesis.hook
def before_call(_, case, kwargs):
    """Lets more valid requests succeed: Schemathesis sends everything that is optional, and repeats examples."""
    count = next(COUNT)
    if not is_positive(case) or count % 4 == 0:
        return
    key = (case.headers or {}).get("Idempotency-Key")
    if key == os.environ.get("CONTRACT_KEY"):
        case.headers["Idempotency-Key"] = f"{key}-{count}"
    # The rule query_or_body.
    if case.method == "DELETE" and isinstance(case.body, dict):
        for name in ["id", "phone_number_id"]:
            (case.query or {}).pop(name, None)


@schemathesis.hook
def after_call(_, case, response):
    ANSWERS[case.operation.label][response.status_code] += 1


@atexit.register
def write_answers():
    if path := os.environ.get("CONTRACT_ANSWERS"):
        Path(path).write_text(json.dumps(ANSWERS))


def is_allowed(rules, error):
    """Whether a declared and listed rule refuses a field with this message."""

    def concerns(rule):
        if rule["field"] == "*":
            return True
        field = re.escape(rule["field"]).replace(r"\[\]", r"\[\d+\]")
        return re.fullmatch(field, error["field"]) is not None

    return any(rule["name"] in RULES and rule["message"] == error["message"] and concerns(rule) for rule in rules)


@schemathesis.check
def documented_code(_, response, case):
    """A problem has a code that the document lists for the operation and the status."""
    documented = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if "x-codes" in documented and response.json()["code"] not in documented["x-codes"]:
        raise AssertionError(f"{response.json()['code']} is not in {documented['x-codes']}")


@schemathesis.check
def refused_by_declared_rules_alone(_, response, case):
    """A request that the document allows may fail, but not because of what it says."""
    if not is_positive(case):
        return
    if response.status_code in (405, 413, 415):
        raise AssertionError(f"an allowed request is answered with {response.status_code}")
    if response.status_code != 400:
        return
    problem = response.json()
    if problem["code"] == "telnyx_not_configured":
        return
    rules = case.operation.definition.raw.get("x-rules", [])
    wrong = [error for error in problem.get("errors", []) if not is_allowed(rules, error)]
    if wrong or not problem.get("errors"):
        raise AssertionError(f"an allowed request is refused, and by no declared rule: {problem}")
