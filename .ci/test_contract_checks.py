"""Tests which refusals contract_checks.py allows."""

import unittest

from contract_checks import RULES, is_allowed

RULE = {"name": "cursor_or_offset", "field": "offset", "message": "cannot be given together with cursor"}
ITEM = {"name": "each_id_once", "field": "phone_number_ids[]", "message": "is there more than once"}
ANY = {"name": "query_or_body", "field": "*", "message": "cannot be given beside a body"}


class Allowed(unittest.TestCase):
    def test_a_declared_rule_refuses_its_field_in_its_words(self):
        for rule, field in [(RULE, "offset"), (ITEM, "phone_number_ids[7]"), (ANY, "anything")]:
            self.assertIn(rule["name"], RULES)
            self.assertTrue(is_allowed([rule], {"field": field, "message": rule["message"]}))

    def test_another_field_or_other_words_are_no_rule(self):
        for rule, field in [(RULE, "cursor"), (ITEM, "phone_number_ids"), (ITEM, "phone_number_ids[x]")]:
            self.assertFalse(is_allowed([rule], {"field": field, "message": rule["message"]}))
        self.assertFalse(is_allowed([RULE, ITEM, ANY], {"field": "offset", "message": "is wrong"}))
        self.assertFalse(is_allowed([], {"field": RULE["field"], "message": RULE["message"]}))

    def test_a_rule_that_is_not_listed_allows_nothing(self):
        self.assertFalse(is_allowed([{**RULE, "name": "another"}], {"field": "offset", "message": RULE["message"]}))


if __name__ == "__main__":
    unittest.main()
