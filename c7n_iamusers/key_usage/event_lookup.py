# SPDX-License-Identifier: Apache-2.0
"""Reads CloudTrail's event history for single keys: LookupEvents by AccessKeyId, within its two calls a second.

It has management events of 90 days, in the Region of the call; 50 a page, the newest first, one attribute a question
(LookupEvents, CloudTrail API Reference). So it shows no data events, such as reads of objects.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.paging import pages
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import BUSY_CODES, Backoff, error_code, message_of
from c7n_iamusers.key_usage.history_reading import Reading
from c7n_iamusers.key_usage.model import KeyUsage
from c7n_iamusers.key_usage.tally import Tally
from c7n_iamusers.text.documents import NotInFormat, read_json

PERMISSION = "cloudtrail:LookupEvents"
#: "The rate of lookup requests is limited to two per second, per account, per Region" (LookupEvents).
PER_SECOND = 2.0
#: How far back the event history goes (LookupEvents).
HISTORY = timedelta(days=90)
#: Errors about the question, not about whoever asks: the next key may have an answer.
_OF_ONE_KEY = frozenset({"InvalidLookupAttributesException", "InvalidNextTokenException"})


@dataclass
class EventLookup:
    """The event history of an account in ``region``. Thread-safe.

    ``client``: of CloudTrail there, for this alone. ``most_pages``: pages of 50 events to read of a key, at least 1.
    After a call that fails, no other key is asked for: it would fail too, after all retries. So each of them has that
    as its ``problem``.
    """

    client: Any
    region: str
    backoff: Backoff
    most_pages: int = 1
    _refused: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        RateLimit(PER_SECOND).attach(self.client)

    def usage_of(self, key_id: str, now: datetime) -> KeyUsage:
        """The newest calls by ``key_id``. ``now``: UTC. It raises nothing of AWS: see ``KeyUsage.problem``.

        If a further page can't be read, what was read is there, with ``more`` and the ``problem``.
        """
        *_, last = self.read_on(Reading(key_id, self.region), now)
        return last.usage

    def read_on(self, before: Reading, now: datetime) -> Iterator[Reading]:
        """Read up to ``most_pages`` further pages, older than what ``before`` has. Yields what is known after each one,
        and at least once; like ``usage_of`` it raises nothing of AWS: the last one has the ``problem``.

        AWS keeps no place in the history for long, so it is asked for the events up to the second of the oldest one
        that was read ("Occurred before or at the time", LookupEvents); those of that second that were read are known
        by their ids. A page of nothing else does not count.
        """
        with self._lock:
            refused = self._refused
        if before.ended or refused:
            yield replace(before, problem="" if before.ended else refused)
            return
        if before.back_to and before.back_to < now - HISTORY:
            why = (
                "what was not read of it is older than 90 days now, and CloudTrail does not have it any more"
            )
            yield replace(before, problem=why)
            return
        found = replace(before, problem="")
        try:
            for found in self._read(before, now):
                yield found
        except (ClientError, BotoCoreError) as error:
            yield replace(found, problem=self._failed(error))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            yield replace(found, problem=f"its events can't be read: {error!r}")

    def _read(self, before: Reading, now: datetime) -> Iterator[Reading]:
        """What was read, after each page."""
        asked = {
            "LookupAttributes": [{"AttributeKey": "AccessKeyId", "AttributeValue": before.key_id}],
            "StartTime": now - HISTORY,
            "EndTime": before.back_to or now,
        }
        tally, found, left = before.tally(), before, self.most_pages
        for page in pages(self.client, "LookupEvents", self.backoff, **asked):
            events = [event for event in page["Events"] if event.get("EventId") not in before.ids]
            for event in events:
                _count(tally, event)
            found = replace(
                found.with_calls(tally).with_events(events),
                as_of=before.as_of or now,
                since=now - HISTORY,
                ended=not page.get("NextToken"),
            )
            yield found
            left -= bool(events) or not page["Events"]
            if not left:
                return

    def _failed(self, error: Exception) -> str:
        """Why nothing was read, in words; kept for the other keys, unless it is about this one."""
        code = error_code(error)
        if "AccessDenied" in code:
            what = f"is refused ({code}): allow it to the role that reads"
        elif code in BUSY_CODES:
            what = f"is throttled ({code}): all callers share two calls a second: ask again later"
        else:
            what = f"does not answer ({code}): {message_of(error)}"
        why = f"{PERMISSION} in {self.region} {what}"
        if code not in _OF_ONE_KEY:
            with self._lock:
                self._refused = why
        return why


def _count(tally: Tally, event: Mapping[str, Any]) -> None:
    """Count an event. One that can't be read is counted as unclear, and loses no other."""
    try:
        tally.add(read_json(str(event["CloudTrailEvent"])))
    except (NotInFormat, KeyError, TypeError):
        tally.unclear += 1
