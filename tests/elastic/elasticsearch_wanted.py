"""What becomes of a test that needs an Elasticsearch where there is none: it is left out, or it fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest
from elasticsearch_distribution import NoServer

T = TypeVar("T")
NO_ELASTICSEARCH = "no Elasticsearch to test with: "


@contextmanager
def or_left_out(server: AbstractContextManager[T]) -> Iterator[T]:
    """A server for a test. Where it cannot be had the test is skipped.

    With TALLYWATCH_TEST_REQUIRE_ELASTICSEARCH=1 it fails.
    """
    refusal = ""
    with ExitStack() as until_the_end:
        try:
            found = until_the_end.enter_context(server)
        except NoServer as error:
            refusal = str(error)
        if refusal and os.environ.get("TALLYWATCH_TEST_REQUIRE_ELASTICSEARCH") == "1":
            pytest.fail(NO_ELASTICSEARCH + refusal, pytrace=False)
        if refusal:
            pytest.skip(NO_ELASTICSEARCH + refusal)
        yield found
