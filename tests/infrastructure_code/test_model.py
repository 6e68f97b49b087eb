# SPDX-License-Identifier: Apache-2.0
"""What annotations keep of what manages a user."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.infrastructure_code.model import ACCESS_KEY, TERRAFORM, Managed, ManagedBy

pytestmark = pytest.mark.pure

SURE = ManagedBy(TERRAFORM, "a of b", "by its state", ACCESS_KEY)
CLAIMED = ManagedBy("Ansible", "", "by its tag iac=ansible", claim=True)


@pytest.mark.parametrize(
    ("managed", "claim"), [(SURE, {}), (CLAIMED, {"claim": True})], ids=["sure", "claimed"]
)
def test_what_manages_is_read_as_it_was_written(managed: ManagedBy, claim: dict[str, bool]) -> None:
    data = {"by": managed.by, "where": managed.where, "known": managed.known, "what": managed.what}
    assert managed.as_data() == {**data, **claim, "text": managed.text}
    assert ManagedBy.from_data(managed.as_data()) == managed


def test_what_an_annotation_lacks_is_empty() -> None:
    assert ManagedBy.from_data({}) == ManagedBy("", "", "")


@pytest.mark.parametrize(
    ("known", "managed"),
    [
        pytest.param({}, Managed(), id="nothing"),
        pytest.param({"sources": None, "managed": None}, Managed(), id="none"),
        pytest.param({"managed": [SURE.as_data()]}, Managed((SURE,)), id="found"),
        pytest.param(
            {
                "sources": {
                    "managed-by state": {"source": "states", "problem": "it is gone"},
                    "managed-by stacks": {"source": "stacks"},
                    "credential-report": {"source": "report", "problem": "denied"},
                }
            },
            Managed(unread=("states: it is gone",)),
            id="unread",
        ),
    ],
)
def test_what_an_annotation_says(known: dict[str, Any], managed: Managed) -> None:
    assert Managed.of_annotation(known) == managed


def test_all_that_is_said_is_said_once() -> None:
    both = Managed((SURE,), ("x",)).and_also(Managed((CLAIMED, SURE), ("x", "y")))
    assert both == Managed((SURE, CLAIMED), ("x", "y"))
    assert (both.is_known, Managed(unread=("x",)).is_known, Managed().is_known) == (True, None, False)
    assert both.texts == (SURE.text, CLAIMED.text)
    assert Managed((SURE,) * 4).text == f"{SURE.text}; {SURE.text}; {SURE.text} and 1 more"
