# SPDX-License-Identifier: Apache-2.0
"""Which flagged keys come first, and why."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.evidence.priority import priorities
from tests.evidence_records import NOW, days_ago

pytestmark = pytest.mark.pure

ROTATION = 90


def a_key(name: str = "AKIA1", active: bool = True, days: float | None = 10, **more: Any) -> dict[str, Any]:
    created = None if days is None else days_ago(days).isoformat()
    status = "Active" if active else "Inactive"
    known: dict[str, Any] = {
        "id": name,
        "status": status,
        "created": created,
        "callers": [],
        "sources": [],
        "result": "no-event",
    }
    return {**known, **more}


def called(*places: str, denied: bool = False) -> dict[str, Any]:
    callers = [
        {"address": f"198.51.100.{number}", "place": place, "calls": 2, "denied": 2 * denied}
        for number, place in enumerate(places)
    ]
    return {"result": "calls", "callers": callers}


def annotation(*keys: dict[str, Any], admin: bool | None = False) -> dict[str, Any]:
    findings = [{"id": "admin-rights"}] if admin else []
    unknown = ["admin-rights", "may-become-admin"] if admin is None else []
    return {"usage": [*keys], "findings": findings, "unknown_findings": unknown}


def order(*annotations: dict[str, Any]) -> list[int | None]:
    return [each["number"] if each else None for each in priorities(annotations, NOW, ROTATION)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(annotation(a_key()), annotation(a_key(active=False), admin=True), id="active"),
        pytest.param(annotation(a_key(), admin=True), annotation(a_key(**called("outside"))), id="admin"),
        pytest.param(annotation(a_key(), admin=True), annotation(a_key(), admin=None), id="admin-known"),
        pytest.param(annotation(a_key(), admin=None), annotation(a_key(days=900)), id="admin-unknown"),
        pytest.param(annotation(a_key(**called("outside"))), annotation(a_key(days=900)), id="outside"),
        pytest.param(
            annotation(a_key(result="unknown")),
            annotation(a_key(**called("own"), days=900)),
            id="calls-unknown",
        ),
        pytest.param(
            annotation(a_key(**called("unknown"))), annotation(a_key(**called("own"))), id="place-unknown"
        ),
        pytest.param(
            annotation(a_key(**called("private"))), annotation(a_key(**called("aws-service"))), id="private"
        ),
        pytest.param(annotation(a_key(result="data-plane-only")), annotation(a_key()), id="data-plane"),
        pytest.param(
            annotation(a_key(sources=[{"more": True}], **called("own"))),
            annotation(a_key(**called("own"))),
            id="more",
        ),
        pytest.param(
            annotation(a_key(**(called("own") | {"more-callers": 1}))),
            annotation(a_key(**called("own"))),
            id="more-callers",
        ),
        pytest.param(annotation(a_key(days=100)), annotation(a_key(days=80)), id="old"),
        pytest.param(annotation(a_key(days=800)), annotation(a_key(days=400)), id="older"),
        pytest.param(annotation(a_key(days=100)), annotation(a_key(days=None)), id="age-unknown"),
        pytest.param(
            annotation(a_key(**called("outside"))),
            annotation(a_key(**called("outside", denied=True))),
            id="attempts",
        ),
        pytest.param(annotation(a_key("AKIA1")), annotation(a_key("AKIA2")), id="by-id"),
    ],
)
def test_what_comes_first(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert order(first, second) == [1, 2]
    assert order(second, first) == [2, 1]


def test_a_user_counts_by_its_key_that_comes_first() -> None:
    two = annotation(a_key("AKIA1", active=False), a_key("AKIA2", days=700))
    (found,) = priorities([two], NOW, ROTATION)
    assert found == {"number": 1, "of": 1, "text": "AKIA2: active, 700 days old"}


def test_users_without_keys_have_no_priority() -> None:
    assert order(annotation(), annotation(a_key()), {"usage": None}, {}) == [None, 1, None, None]


def test_why_in_one_line() -> None:
    known = annotation(a_key(days=412, **called("outside", "own", "outside", "outside")), admin=True)
    (found,) = priorities([known], NOW, ROTATION)
    assert found is not None
    assert found["text"] == (
        "AKIA1: active, administrator rights, used from outside AWS (198.51.100.0, 198.51.100.2), 412 days old"
    )


def test_what_is_unknown_is_said() -> None:
    (found,) = priorities([annotation(a_key(result="unknown", days=None), admin=None)], NOW, ROTATION)
    assert found is not None
    assert found["text"] == (
        "AKIA1: active, whether it has administrator rights is unknown, "
        "whether it is used from outside AWS is unknown, of unknown age"
    )
