"""What the configuration knows by name and other rooms define: kept in step, because config imports none of them."""

from __future__ import annotations

from config.monitors import LOW_USAGE
from config.references import CUSTOMER_TEMPLATES, OPS_TEMPLATES
from ledger import facts


def test_the_templates_that_a_route_may_name_are_those_that_there_are() -> None:
    assert CUSTOMER_TEMPLATES == facts.CUSTOMER_TEMPLATES
    assert OPS_TEMPLATES == (facts.OPS_DIGEST,)
    assert LOW_USAGE == facts.LOW_USAGE
