"""What `.ci/contract.py` checks beyond Schemathesis's own checks: a request that the document allows is not refused as wrong,
save by a rule that the document declares in `x-rules` and that is listed here."""

import re

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
    "one_number",
    "query_or_body",
}


def is_allowed(rules, error):
    """Whether a declared and listed rule refuses a field with this message."""

    def concerns(rule):
        if rule["field"] == "*":
            return True
        field = re.escape(rule["field"]).replace(r"\[\]", r"\[\d+\]")
        return re.fullmatch(field, error["field"]) is not None

    return any(rule["name"] in RULES and rule["message"] == error["message"] and concerns(rule) for rule in rules)


@schemathesis.check
def refused_by_declared_rules_alone(_, response, case):
    """A request that the document allows may fail, but not because of what it says."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
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
