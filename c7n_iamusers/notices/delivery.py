# SPDX-License-Identifier: Apache-2.0
"""Whether a message has left its queue before it could expire, by what runs have read of the queue. Pure.

SQS reports nothing on a single message, and c7n-mailer takes a message out of the queue even if it can't deliver it. So
a message counts as gone from the queue, never as delivered. It is gone once two readings, a minute or more apart, after
it was sent and before it could expire, show no message that is visible, in flight or delayed. The counts "might not
achieve consistency until at least 1 minute after the producers stop sending" (GetQueueAttributes, SQS API reference),
so an earlier 0 does not count. If a queue is never empty, CloudWatch has the age of its oldest message. No reading may
show that the dead-letter queue has grown. Messages that were purged, or that somebody else took out, have left the
queue, too. One file holds one reading, among the notices of an account: ``<account id>/<time>-queue.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.text.times import CLOCK_SKEW, as_text, moment

#: Takes the place of a notice's step in the record of a reading.
STEP = "queue"
#: States of a message: it has left the queue; it may still be in it; it may have expired unread.
LEFT, WAITING, EXPIRED = "left", "waiting", "expired"
#: Why nothing says that a message has left its queue.
UNREAD, DENIED, BUSY, ONCE, DEAD, REPLACED = "unread", "denied", "busy", "once", "dead", "replaced"
#: Why a message is not in the queue: a digest is to send it.
HELD = "held"
#: Waives in writing that a message must have left its queue.
UNCHECKED = "unchecked"
APART = timedelta(minutes=1)
#: The longest retention of SQS (SetQueueAttributes, MessageRetentionPeriod).
_LONGEST = timedelta(days=14)


@dataclass(frozen=True)
class Unread:
    """A call that did not answer: its ``permission``, the ``resource`` that it needs it on, and the error's code."""

    permission: str
    resource: str
    code: str

    def __str__(self) -> str:
        return f"{self.permission} on {self.resource} ({self.code})"


@dataclass(frozen=True)
class QueueReading:
    """What was read of ``queue`` (its URL) at ``time``. None is unknown.

    ``waiting``: messages that are visible, in flight or delayed. ``retention``: of messages. ``created``: the queue.
    ``dead``: messages in its dead-letter queue; 0 if it has none. ``oldest``: by CloudWatch's last two minutes, every
    message sent before this time has left the queue. ``unread``: the calls that failed.
    """

    queue: str
    time: datetime
    waiting: int | None = None
    retention: timedelta | None = None
    created: datetime | None = None
    dead: int | None = None
    oldest: datetime | None = None
    unread: tuple[Unread, ...] = ()

    def as_json(self, account_id: str) -> bytes:
        """The content of its file in the directory of an account."""
        data = {
            "account": account_id,
            "step": STEP,
            "time": as_text(self.time),
            "queue": self.queue,
            "waiting": self.waiting,
            "retention": None if self.retention is None else int(self.retention.total_seconds()),
            "created": as_text(self.created) if self.created else None,
            "dead": self.dead,
            "oldest": as_text(self.oldest) if self.oldest else None,
            "unread": [[each.permission, each.resource, each.code] for each in self.unread],
        }
        return json.dumps(data, indent=1).encode() + b"\n"


def place_of(account_id: str, time: datetime) -> str:
    """The name of the file of a reading at ``time``."""
    return f"{account_id}/{time:%Y%m%dT%H%M%S%fZ}-{STEP}.json"


def parse_reading(data: Mapping[str, Any]) -> QueueReading:
    """The reading in a record that is of STEP. Raises ValueError if a run can't have written it."""
    time, queue = moment(data.get("time")), data.get("queue")
    if time is None or not isinstance(queue, str) or not queue:
        raise ValueError("it has no time, or no queue")
    unread = data.get("unread")
    if not isinstance(unread, list) or not all(
        isinstance(each, list) and len(each) == 3 and all(isinstance(text, str) for text in each)
        for each in unread
    ):
        raise ValueError("its list named unread is incomplete")
    retention = _whole(data, "retention")
    return QueueReading(
        queue,
        time,
        _whole(data, "waiting"),
        None if retention is None else timedelta(seconds=retention),
        _moment(data, "created"),
        _whole(data, "dead"),
        _moment(data, "oldest"),
        tuple(Unread(*each) for each in unread),
    )


def _whole(data: Mapping[str, Any], key: str) -> int | None:
    value = data.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1e12):
        raise ValueError(f"its {key} is no whole number")
    return value


def _moment(data: Mapping[str, Any], key: str) -> datetime | None:
    value = data.get(key)
    found = moment(value)
    if value is not None and found is None:
        raise ValueError(f"its {key} is no time")
    return found


@dataclass(frozen=True)
class Delivery:
    """What is known of one message. ``expires``: when it may expire. ``why``: a code, where it has not LEFT.

    ``last``: the newest reading since it was sent and before it could expire; None if there is none.
    """

    state: str
    expires: datetime
    why: str = ""
    last: QueueReading | None = None

    def __str__(self) -> str:
        """Why nothing says that it has left, and what to do."""
        last = self.last
        unread = ", ".join(map(str, last.unread)) if last else ""
        return {
            "": "",
            HELD: "it is held for a digest, and nobody was told yet: run c7n-iamusers digest, which sends it, within "
            "twelve hours after the policy",
            UNREAD: "no run has read its queue since: run the policy with the action notify-owners daily",
            DENIED: f"its queue can't be read: allow {unread} to the runner",
            ONCE: "a reading found its queue empty, and a second one is needed a minute or more later: run the policy "
            "with the action notify-owners again",
            DEAD: "messages went to its dead-letter queue since, as far as is known: look there and at c7n-mailer",
            REPLACED: "its queue was deleted and created again since",
            BUSY: f"the last reading found {last.waiting if last else 0} messages in the queue: look whether "
            "c7n-mailer runs; where other policies keep the queue busy, give these policies a queue of their own, or "
            + (
                f"allow {unread}"
                if unread
                else "send by a role of the queue's account that may call cloudwatch:GetMetricStatistics"
            ),
        }[self.why]


def delivery_of(sent: datetime, queue: str, readings: Iterable[QueueReading], now: datetime) -> Delivery:
    """What is known of a message that was sent to ``queue`` (its URL) by ``sent``. ``readings``: of any queue."""
    its = sorted((reading for reading in readings if reading.queue == queue), key=lambda each: each.time)
    before = [each for each in its if each.time <= sent][-1:]
    watch = _Watch(sent, _retention(_LONGEST, *before), dead=next((each.dead or 0 for each in before), 0))
    for each in (each for each in its if each.time > sent):
        if not watch.goes_on(each):
            break
    expires = sent + watch.retention
    if watch.why == LEFT:
        return Delivery(LEFT, expires, last=watch.last)
    return Delivery(WAITING if now < expires else EXPIRED, expires, watch.why, watch.last)


@dataclass
class _Watch:
    """Judges one reading after the other. ``empty``: when the queue was first read empty. ``why``: LEFT, or why not."""

    sent: datetime
    retention: timedelta
    dead: int
    empty: datetime | None = None
    last: QueueReading | None = None
    why: str = UNREAD

    def goes_on(self, reading: QueueReading) -> bool:
        """Whether a later reading can change the result."""
        self.retention = _retention(self.retention, reading)
        if reading.time > self.sent + self.retention - CLOCK_SKEW:
            return False
        self.last, self.why = reading, self._judged(reading)
        return self.why not in (LEFT, DEAD, REPLACED)

    def _judged(self, reading: QueueReading) -> str:
        if reading.created and reading.created > self.sent:
            return REPLACED
        if reading.dead is None or reading.waiting is None:
            return DENIED
        if reading.dead > self.dead:
            return DEAD
        self.dead = reading.dead
        if reading.oldest and reading.oldest > self.sent:
            return LEFT
        if reading.waiting:
            return ONCE if self.empty else BUSY
        if self.empty and reading.time - self.empty >= APART:
            return LEFT
        if reading.time - self.sent >= APART:
            self.empty = self.empty or reading.time
        return ONCE


def _retention(known: timedelta, *readings: QueueReading) -> timedelta:
    return min(known, *(reading.retention for reading in readings if reading.retention is not None), _LONGEST)
