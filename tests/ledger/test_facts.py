"""What a notice states survives the ledger's JSON as it was."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ledger.facts import CustomerFacts, OpsFacts


@given(st.from_type(CustomerFacts))
def test_customer_facts_survive_json(facts):
    assert CustomerFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


@given(st.from_type(OpsFacts))
def test_ops_facts_survive_json(facts):
    assert OpsFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts
