# SPDX-License-Identifier: Apache-2.0
"""When a message counts as gone from its queue, by what runs have read of the queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.execution.outcomes import DELETED, QUARANTINED, RELEASED, RESTORED, SKIPPED
from c7n_iamusers.notices.delivery import (
    BUSY,
    DEAD,
    DENIED,
    EXPIRED,
    LEFT,
    ONCE,
    REPLACED,
    UNREAD,
    WAITING,
    QueueReading,
    Unread,
    delivery_of,
    place_of,
)
from c7n_iamusers.notices.notices import (
    ANNOUNCED,
    INFORMED,
    Notice,
    Notices,
    notice_refusal,
    parse_record,
)
from c7n_iamusers.notices.owed import due_for, owed, reminder
from c7n_iamusers.plugins.notice_steps import Inform
from tests.access_center import ACCOUNT, subject
from tests.records import text_of

QUEUE, OTHER = (
    f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}" for name in ("c7n-mailer", "other")
)
SENT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ALICE = subject()
FOUR_DAYS = timedelta(days=4)
HOUR, DAY = 60, 24 * 60


def at(minutes: float, waiting: int | None = 0, dead: int | None = 0, **more: Any) -> QueueReading:
    """A reading so many minutes after the message was sent."""
    time = SENT + timedelta(minutes=minutes)
    return QueueReading(QUEUE, time, **{"waiting": waiting, "retention": FOUR_DAYS, "dead": dead, **more})


BEFORE = at(-1)
DENIAL = (Unread("sqs:GetQueueAttributes", QUEUE, "AccessDenied"),)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("readings", "state", "why"),
    [
        pytest.param([], WAITING, UNREAD, id="never-read"),
        pytest.param([at(-10), at(-5)], WAITING, UNREAD, id="read-before-it-was-sent"),
        pytest.param([at(HOUR)], WAITING, ONCE, id="once-empty"),
        pytest.param([at(HOUR), at(HOUR + 0.9)], WAITING, ONCE, id="twice-within-a-minute"),
        pytest.param([at(HOUR), at(HOUR + 1)], LEFT, "", id="twice-a-minute-apart"),
        pytest.param([at(0.1), at(1.2)], WAITING, ONCE, id="too-soon-for-the-counts-to-be-right"),
        pytest.param([at(0.1), at(1.2), at(2.2)], LEFT, "", id="the-first-too-soon"),
        pytest.param([at(HOUR), at(HOUR + 0.5), at(HOUR + 1)], LEFT, "", id="first-and-third-a-minute-apart"),
        pytest.param([at(HOUR + 1), at(HOUR)], LEFT, "", id="in-any-order"),
        pytest.param([at(HOUR), at(DAY, 3), at(2 * DAY)], LEFT, "", id="others-sent-in-between"),
        pytest.param([at(HOUR, 1), at(DAY)], WAITING, ONCE, id="the-first-was-not-empty"),
        pytest.param([at(HOUR, 1), at(DAY, 1)], WAITING, BUSY, id="never-empty"),
        pytest.param([at(HOUR), at(DAY, 1)], WAITING, ONCE, id="others-sent-since-it-was-empty"),
        pytest.param(
            [at(4 * DAY - 10), at(4 * DAY - 1)], WAITING, ONCE, id="the-second-too-close-to-the-end"
        ),
        pytest.param([at(5 * DAY), at(6 * DAY)], WAITING, UNREAD, id="after-it-could-expire"),
        pytest.param(
            [replace(at(HOUR), queue=OTHER), replace(at(DAY), queue=OTHER)], WAITING, UNREAD, id="another"
        ),
        pytest.param([at(HOUR, None), at(DAY, None)], WAITING, DENIED, id="denied"),
        pytest.param(
            [at(HOUR, dead=None), at(DAY, dead=None)], WAITING, DENIED, id="dead-letter-queue-denied"
        ),
        pytest.param([at(HOUR, None), at(DAY), at(DAY + 2)], LEFT, "", id="denied-at-first"),
        pytest.param([at(HOUR, dead=1), at(DAY, dead=1)], WAITING, DEAD, id="dead-letter-queue-grew"),
        pytest.param([at(HOUR), at(DAY, dead=1), at(DAY + 9)], WAITING, DEAD, id="grew-before-the-second"),
        pytest.param([at(HOUR), at(DAY), at(DAY + 2, dead=9)], LEFT, "", id="grew-after-it-had-left"),
        pytest.param(
            [at(-1, dead=2), at(HOUR, dead=2), at(DAY, dead=1)],
            LEFT,
            "",
            id="dead-letters-of-before-do-not-count",
        ),
        pytest.param(
            [at(HOUR, created=SENT + SECOND), at(DAY, created=SENT + SECOND)],
            WAITING,
            REPLACED,
            id="new-queue",
        ),
        pytest.param([at(HOUR, 5, oldest=SENT + SECOND)], LEFT, "", id="all-that-are-there-are-younger"),
        pytest.param([at(HOUR, 5, oldest=SENT)], WAITING, BUSY, id="one-may-be-as-old"),
        pytest.param([at(HOUR, 5, 1, oldest=SENT + SECOND)], WAITING, DEAD, id="younger-but-dead-letters"),
        pytest.param(
            [at(5 * DAY, 5, oldest=SENT + SECOND)], WAITING, UNREAD, id="younger-after-it-could-expire"
        ),
    ],
)
def test_a_message_has_left_its_queue(readings: list[QueueReading], state: str, why: str) -> None:
    found = delivery_of(SENT, QUEUE, [BEFORE, *readings], SENT + timedelta(days=3.9))
    assert (found.state, found.why) == (state, why)
    assert bool(str(found)) == bool(why)
    # what has left stays gone, and what has not may have expired
    later = delivery_of(SENT, QUEUE, [BEFORE, *readings], SENT + timedelta(days=15))
    assert later.state == (LEFT if state == LEFT else EXPIRED)


def test_the_shortest_retention_counts() -> None:
    """Whoever shortens it lets messages expire at once."""
    hour = timedelta(hours=1)
    read = [BEFORE, at(5, retention=hour), at(70), at(90)]
    assert delivery_of(SENT, QUEUE, read, SENT + timedelta(hours=2)).state == EXPIRED
    assert delivery_of(SENT, QUEUE, [BEFORE, at(70), at(90)], SENT + timedelta(hours=2)).state == LEFT


def test_an_unknown_retention_may_be_the_longest() -> None:
    denied = [at(each, None, None, retention=None, unread=DENIAL) for each in (-1, DAY)]
    assert delivery_of(SENT, QUEUE, denied, SENT + timedelta(days=13)).state == WAITING
    found = delivery_of(SENT, QUEUE, denied, SENT + timedelta(days=14))
    assert found.state == EXPIRED
    assert "allow sqs:GetQueueAttributes on https://sqs" in str(found)


def test_a_reading_is_read_as_it_was_written() -> None:
    read = at(3, 2, 1, created=SENT, oldest=SENT, unread=DENIAL)
    assert parse_record(read.as_json(ACCOUNT), ACCOUNT, SENT) == read
    with pytest.raises(ValueError, match="is in the future"):
        parse_record(at(HOUR).as_json(ACCOUNT), ACCOUNT, SENT)
    unknown = QueueReading(QUEUE, SENT)
    assert parse_record(unknown.as_json(ACCOUNT), ACCOUNT, SENT) == unknown
    assert place_of(ACCOUNT, SENT).startswith(f"{ACCOUNT}/")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"waiting": 0', '"waiting": -1', "its waiting is no whole number"),
        ('"waiting": 0', '"waiting": true', "its waiting is no whole number"),
        ('"dead": 0', '"dead": "0"', "its dead is no whole number"),
        ('"oldest": null', '"oldest": "soon"', "its oldest is no time"),
        (f'"{QUEUE}"', '""', "no queue"),
        ('"unread": []', '"unread": [["sqs"]]', "unread is incomplete"),
        (f'"{ACCOUNT}"', '"999999999999"', "it is of account 999999999999"),
    ],
)
def test_what_is_no_reading(old: str, new: str, problem: str) -> None:
    text = at(3).as_json(ACCOUNT).decode()
    assert old in text
    with pytest.raises(ValueError, match=problem):
        parse_record(text.replace(old, new).encode(), ACCOUNT, SENT)


def announced(queue: str = QUEUE) -> Notice:
    head = (ACCOUNT, ANNOUNCED, SENT, date(2026, 3, 31), ("owner@example.com",), "m-1", "announce", (ALICE,))
    return Notice(*head, queue=queue)


@pytest.mark.parametrize(
    ("notice", "readings", "reason"),
    [
        pytest.param(announced(), [BEFORE], "its message may have expired unread: ", id="mailer-never-ran"),
        pytest.param(announced(), [BEFORE, at(DAY), at(2 * DAY)], None, id="left"),
        pytest.param(announced(""), [BEFORE], None, id="waived-where-it-was-sent"),
        pytest.param(announced(), None, None, id="waived-by-the-action"),
    ],
)
def test_an_announcement_counts_once_it_has_left(
    notice: Notice, readings: list[QueueReading] | None, reason: str | None
) -> None:
    now = SENT + timedelta(days=30)
    notices = Notices([notice], "notices", readings=readings)
    refused = notice_refusal(notices, ALICE.unique_id, 30, now)
    assert (refused is None) == (reason is None)
    assert reason is None or text_of(refused).startswith(reason)
    # one that does not count is no reason not to announce the user anew
    assert notices.announcement(ALICE.unique_id, now) == (None if reason else notice)


def test_an_announcement_that_may_be_in_the_queue_holds_and_does_not_count() -> None:
    """It is not announced twice, and nobody is touched."""
    notices, now = Notices([announced()], "notices", readings=[BEFORE, at(HOUR, 2)]), SENT + timedelta(days=2)
    assert notices.announcement(ALICE.unique_id, now) == announced()
    refused = notice_refusal(notices, ALICE.unique_id, 0, now, before_day=True)
    assert text_of(refused).startswith("its message may still be in the queue: announced on 2026-03-01")
    assert "2 messages in the queue" in text_of(refused)
    assert "may call cloudwatch:GetMetricStatistics" in text_of(refused)


def row(status: str, minutes: float, *history: dict[str, Any]) -> dict[str, Any]:
    time = (SENT + timedelta(minutes=minutes, microseconds=1)).isoformat()
    known = {"user": ALICE.name, "arn": ALICE.arn, "unique_id": ALICE.unique_id}
    return {**known, "status": status, "time": time, "history": list(history)}


def told(what: str, minutes: float, policy: str = "delete") -> Notice:
    time = SENT + timedelta(minutes=minutes)
    head = (ACCOUNT, INFORMED, time, time.date(), ("owner@example.com",), f"m-{minutes}", policy, (ALICE,))
    return Notice(*head, what={ALICE.unique_id: what})


@pytest.mark.parametrize(
    ("rows", "notices", "statuses"),
    [
        pytest.param([row(DELETED, 0)], [], [DELETED], id="killed-before-the-mail"),
        pytest.param([row(DELETED, 0)], [told(DELETED, 1)], [], id="told"),
        pytest.param([row(DELETED, 0)], [told(DELETED, 0)], [], id="told-in-the-same-second"),
        pytest.param([row(DELETED, 0)], [told(DELETED, 1, "other")], [DELETED], id="another-policy-told"),
        pytest.param([row(DELETED, 0)], [told("failed", -9)], [DELETED], id="something-else-was-told"),
        pytest.param([row(SKIPPED, 0)], [], [], id="nothing-was-done"),
        pytest.param([row(RESTORED, 0)], [], [RESTORED], id="given-back"),
        pytest.param([row(SKIPPED, 9, row(QUARANTINED, 0))], [], [QUARANTINED], id="left-alone-since"),
        pytest.param(
            [row(SKIPPED, 9, row(QUARANTINED, 0))],
            [told("skipped: active", 10)],
            [QUARANTINED],
            id="news-since",
        ),
        pytest.param(
            [row(SKIPPED, 9, row(QUARANTINED, 0))],
            [told(QUARANTINED, 1), told("skipped: active", 10)],
            [],
            id="told-before-the-news-since",
        ),
        pytest.param(
            [row(RELEASED, 9, row(QUARANTINED, 0))], [told(QUARANTINED, 1)], [RELEASED], id="the-last-change"
        ),
        pytest.param([row(DELETED, -91 * DAY)], [], [], id="long-ago"),
        pytest.param(
            [row(QUARANTINED, 0)], [told(QUARANTINED, -DAY)], [QUARANTINED], id="again-after-a-release"
        ),
        pytest.param([row(QUARANTINED, 0)], [told(QUARANTINED, -5)], [], id="told-by-a-slower-clock"),
    ],
)
def test_what_owners_are_owed(rows: list[dict[str, Any]], notices: list[Notice], statuses: list[str]) -> None:
    found = owed(rows, Notices(notices, "notices"), "delete", SENT + timedelta(hours=1))
    assert [each.status for each in found] == statuses
    assert all(each.user == ALICE for each in found)


@pytest.mark.parametrize(
    ("readings", "days", "again"),
    [
        pytest.param([BEFORE], 3, False, id="it-may-still-be-read"),
        pytest.param([BEFORE], 5, True, id="it-may-have-expired"),
        pytest.param([BEFORE, at(DAY), at(2 * DAY)], 5, False, id="it-has-left"),
    ],
)
def test_what_may_have_expired_is_said_again(readings: list[QueueReading], days: float, again: bool) -> None:
    """What became of users, be they gone, why one was left alone, and reminders."""
    now = SENT + timedelta(days=days)

    def of(*sent: Notice) -> Notices:
        return Notices([replace(each, queue=QUEUE) for each in sent], "notices", readings=readings)

    gone = owed([row(DELETED, 0)], of(told(DELETED, 1)), "delete", now)
    assert [each.status for each in gone] == [DELETED] * again
    known = {"outcome": {"status": SKIPPED, "code": "Active", "reason": "active"}}
    left = {"UserName": ALICE.name, "UserId": ALICE.unique_id, "Arn": ALICE.arn, "c7n:IamUser": known}
    said = of(told("skipped: Active", 1))
    assert len(Inform("delete").due([left], said, now)) == again
    reminded = replace(told("", 1), step=reminder(30), day=announced().day)
    notices = Notices([announced(""), replace(reminded, queue=QUEUE)], "notices", readings=readings)
    assert due_for(30, notices, [ALICE], now) == [(ALICE, announced(""))] * again
