# SPDX-License-Identifier: Apache-2.0
"""What is known of a key by journals, and what of it a reading contradicts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.key_retirement.key_history import KeyHistory, Parking, contradiction, key_history, with_user

pytestmark = pytest.mark.pure

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def parked(minutes: float, seen: datetime | None = None) -> KeyHistory:
    parking = Parking(NOW - timedelta(minutes=minutes), "park", "unused", None, True, seen)
    return KeyHistory(parking, parking.since, True)


@pytest.mark.parametrize(
    ("known", "active", "contradicts"),
    [
        pytest.param(parked(16), True, True, id="parked-long-ago"),
        pytest.param(parked(15), True, True, id="parked-a-quarter-of-an-hour-ago"),
        pytest.param(parked(14.9), True, False, id="reads-may-be-older"),
        pytest.param(parked(16), False, False, id="inactive"),
        pytest.param(parked(16, NOW), True, False, id="on-record"),
        pytest.param(KeyHistory(), True, False, id="never-parked"),
    ],
)
def test_an_active_key_contradicts_its_parking(known: KeyHistory, active: bool, contradicts: bool) -> None:
    assert contradiction(known, "AKIA", active, NOW) == ({"active": ["AKIA"]} if contradicts else {})


KEY = Subject("jane", "arn:aws:iam::111122223333:user/jane", "AKIA")


def switched(minutes: float, key: str = "AKIA", of: str = "AIDA", **more: Any) -> dict[str, Any]:
    """The line before a call that switches ``key``, so many minutes ago."""
    time = (NOW - timedelta(minutes=minutes)).isoformat()
    line = {"time": time, "phase": "before", "operation": "UpdateAccessKey", "unique_id": of}
    return {**line, "parameters": {"AccessKeyId": key}, **more}


@pytest.mark.parametrize(
    ("seen", "line", "ago"),
    [
        pytest.param(None, switched(10), 10, id="by-its-quarantine"),
        pytest.param(NOW - timedelta(minutes=20), switched(10), 10, id="seen-active-before-it"),
        pytest.param(NOW - timedelta(minutes=10), switched(10), 10, id="seen-active-then"),
        pytest.param(NOW - timedelta(minutes=5), switched(10), 5, id="seen-active-since"),
        pytest.param(None, switched(30), None, id="at-the-parking"),
        pytest.param(None, switched(40), None, id="before-the-parking"),
        pytest.param(None, switched(10, "AKIAOTHER"), None, id="another-key"),
        pytest.param(None, switched(10, of="AKIA"), None, id="by-an-action-on-the-key"),
        pytest.param(None, switched(10, phase="after"), None, id="not-the-line-before"),
        pytest.param(None, switched(10, operation="DeleteAccessKey"), None, id="another-call"),
        pytest.param(None, switched(10, parameters=None), None, id="of-no-key"),
        pytest.param(None, switched(10, time="soon"), None, id="without-a-time"),
    ],
)
def test_a_quarantine_of_its_user_ends_the_parking_of_before(
    seen: datetime | None, line: dict[str, Any], ago: float | None
) -> None:
    found = with_user(parked(30, seen), KEY, [line]).parking
    assert found is not None
    assert found.seen_active == (seen if ago is None else NOW - timedelta(minutes=ago))


def test_what_was_not_parked_is_not_ended() -> None:
    assert with_user(KeyHistory(), KEY, [switched(10)]) == KeyHistory()


@pytest.mark.parametrize(
    ("result", "parked"),
    [
        pytest.param("done", True, id="done"),
        pytest.param("unknown", True, id="perhaps"),
        pytest.param("gone", False, id="the-key-was-gone"),
        pytest.param("failed", False, id="refused"),
    ],
)
def test_a_key_is_parked_by_a_call_that_had_an_effect(result: str, parked: bool) -> None:
    call = ApiCall("iam", "UpdateAccessKey", {"AccessKeyId": KEY.unique_id, "Status": "Inactive"})
    assert bool(key_history(KEY, [], [(call, result)], NOW).parking) is parked


def test_its_deletion_is_no_switch() -> None:
    call = ApiCall("iam", "DeleteAccessKey", {"AccessKeyId": KEY.unique_id})
    found = key_history(KEY, [], [(call, "done")], NOW)
    assert (found.changed, found.deleted) == (None, NOW)
