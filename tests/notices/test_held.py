# SPDX-License-Identifier: Apache-2.0
"""Messages that are held for a digest: what counts, and when."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices.delivery import EXPIRED, HELD, LEFT, WAITING, QueueReading
from c7n_iamusers.notices.held import DigestRecord, HeldMessage, parse_held
from c7n_iamusers.notices.notices import Notices, notice_refusal, parse_record
from c7n_iamusers.notices.stock_rows import ANNOTATION
from c7n_iamusers.safeguards.forecast import GOES
from tests.access_center import ACCOUNT
from tests.notices.test_notices import ALICE, NOTICE, NOW, after

pytestmark = pytest.mark.pure

USER = {"UserName": "alice", "UserId": ALICE.unique_id, "c7n:IamUser": {"notice": {"day": "2026-03-31"}}}
MESSAGE = HeldMessage(ACCOUNT, "announce", ("owner@example.com",), {"contact": "c@example.com"}, (USER,))
HOLDING = replace(NOTICE, message_id="", held=MESSAGE.place(NOW), queue="https://sqs/q")
HOUR = 1 / 24


def digest(days: float, *names: str) -> DigestRecord:
    return DigestRecord(ACCOUNT, after(days), "https://sqs/q", ("m-1", "m-2"), names or (HOLDING.held,))


def reading(days: float) -> QueueReading:
    return QueueReading("https://sqs/q", after(days), 0, timedelta(days=14), None, 0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert parse_held(MESSAGE.as_json(), ACCOUNT) == MESSAGE
    assert parse_record(HOLDING.as_json(), ACCOUNT, NOW) == HOLDING
    assert parse_record(digest(1).as_json(), ACCOUNT, after(1)) == digest(1)
    store = DirectoryStore(tmp_path)
    for each in (HOLDING, digest(1)):
        store.create(each.name, each.as_json())
    store.create(HOLDING.held, MESSAGE.as_json())
    found = Notices.read(store, ACCOUNT, after(1))
    assert found.digest_of(found.all[0]) == digest(1)
    assert found.told_at(found.all[0]) == after(1)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param(
            {"to": ("owner@example.com", "event-owner")}, "one of its recipients", id="session-name"
        ),
        pytest.param({"to": ("a@example.com", "b@example.com,c@example.com")}, "one of its", id="two-in-one"),
        pytest.param(
            {"users": ({**USER, "Arn": "arn:aws:iam::444455556666:user/x"},)}, "must match", id="other"
        ),
        pytest.param({"users": ({**USER, ANNOTATION: {"notice": {"day": "soon"}}},)}, "is no day", id="day"),
        pytest.param({"account_id": "444455556666"}, "no message of account", id="of-another-account"),
        *(
            pytest.param(
                {"users": ({**USER, ANNOTATION: {"notice": {name: "2026-01-01 at https://evil.example"}}},)},
                "is no day",
                id=f"a-link-as-{name}",
            )
            for name in ("day", "denied", "deleted", "brownout", "denied-since", "deactivated")
        ),
        *(
            pytest.param(
                {"users": ({**USER, ANNOTATION: {"notice": {"group": GOES, **more}}},)},
                "no day of the deletion",
                id=f"it-goes-on-no-day-{len(more)}",
            )
            for more in ({}, {"deleted": None})
        ),
    ],
)
def test_what_no_run_can_have_held(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_held(replace(MESSAGE, **changed).as_json(), ACCOUNT)


def test_nothing_is_kept_that_no_digest_tells() -> None:
    """Whoever writes the file decides how much it has."""
    known = {"notice": {"day": "2026-03-31"}, "plan": ["x"] * 9}
    more = {**USER, "Tags": ["x"] * 9, ANNOTATION: known}
    assert parse_held(replace(MESSAGE, users=(more,)).as_json(), ACCOUNT) == MESSAGE


RECORD, TELLING = json.loads(HOLDING.as_json()), json.loads(digest(0).as_json())


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        pytest.param(json.loads(digest(2).as_json()), "is in the future", id="digest-of-tomorrow"),
        pytest.param({**TELLING, "held": []}, "or held", id="digest-of-nothing"),
        pytest.param({**TELLING, "message-ids": [1]}, "message-ids", id="digest-without-id"),
        pytest.param(
            {**json.loads(HOLDING.as_json()), "held": "held/444455556666/x.json"}, "no place", id="of-another"
        ),
        pytest.param(
            {**json.loads(HOLDING.as_json()), "held": f"held/{ACCOUNT}/../x.json"}, "no place", id="elsewhere"
        ),
        pytest.param({**json.loads(HOLDING.as_json()), "held": ""}, "it has no held", id="nothing"),
    ],
)
def test_what_is_no_record(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_record(json.dumps(record).encode(), ACCOUNT, NOW)


@pytest.mark.parametrize(
    ("digests", "readings", "at", "state", "why"),
    [
        pytest.param([], [], HOUR, WAITING, HELD, id="waits"),
        pytest.param([], [reading(1.1), reading(1.2)], 1.3, EXPIRED, HELD, id="never-sent"),
        pytest.param([digest(0.1)], [], 0.2, WAITING, "unread", id="in-the-queue"),
        pytest.param([digest(0.1)], [reading(0.2), reading(0.3)], 0.4, LEFT, "", id="left"),
        pytest.param([digest(0.3)], [reading(0.1), reading(0.2)], 0.4, WAITING, "unread", id="read-before"),
        pytest.param([digest(0.1, f"held/{ACCOUNT}/x.json")], [], 0.2, WAITING, HELD, id="digest-of-others"),
    ],
)
def test_when_a_held_message_counts(
    digests: list[DigestRecord], readings: list[QueueReading], at: float, state: str, why: str
) -> None:
    found = Notices([HOLDING], "notices", readings=readings, digests=digests)
    delivery = found.delivery(HOLDING, after(at))
    assert (delivery.state, delivery.why) == (state, why)
    assert bool(found.held(after(at))) == (why == HELD and state == WAITING)
    assert bool(found.never_told(after(at))) == (state == EXPIRED)
    assert (found.announcement(ALICE.unique_id, after(at)) is None) == (state == EXPIRED)


def test_nobody_waives_that_somebody_must_be_told() -> None:
    waived = replace(HOLDING, queue="")
    found = Notices([waived], "notices", readings=None)
    assert found.delivery(waived, after(0.1)).state == WAITING
    assert (
        Notices([waived], "notices", readings=None, digests=[digest(0.1)]).delivery(waived, after(1)).state
        == LEFT
    )


@pytest.mark.parametrize(
    ("at", "code"),
    [
        pytest.param(30.05, "AnnouncedLately", id="thirty-days-after-it-was-held"),
        pytest.param(30.2, None, id="thirty-days-after-it-was-told"),
    ],
)
def test_the_days_count_from_the_digest(at: float, code: str | None) -> None:
    found = Notices([HOLDING], "notices", readings=[reading(0.2), reading(0.3)], digests=[digest(0.1)])
    refusal = notice_refusal(found, ALICE.unique_id, 30, after(at))
    assert (refusal.code if refusal else None) == code


def test_what_was_held_anew_is_not_missed() -> None:
    anew = replace(HOLDING, time=after(1), held=MESSAGE.place(after(1)))
    found = Notices([HOLDING, anew], "notices")
    assert found.never_told(after(1.1)) == []
    assert found.never_told(after(1.6)) == [anew]
    assert found.never_told(after(200)) == []  # nobody waits for it any more
