# SPDX-License-Identifier: Apache-2.0
"""Reads CloudTrail's event history for single keys: LookupEvents by AccessKeyId, within its two calls a second.

It has management events of 90 days, in the Region of the call; 50 a page, the newest first, one attribute a question
(LookupEvents, CloudTrail API Reference). So it shows no data events, such as reads of objects.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.paging import pages
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import BUSY_CODES, Backoff, error_code, message_of
from c7n_iamusers.key_usage.model import KeyUsage
from c7n_iamusers.key_usage.tally import Tally
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.wording import counted

PERMISSION = "cloudtrail:LookupEvents"
#: "The rate of lookup requests is limited to two per second, per account, per Region" (LookupEvents).
PER_SECOND = 2.0
#: How far back the event history goes (LookupEvents).
HISTORY = timedelta(days=90)
#: What it is called in ``KeyUsage.source``, before its Region.
SOURCE = "CloudTrail's event history"
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

    @property
    def source(self) -> str:
        """What it is called in ``KeyUsage.source``."""
        return f"{SOURCE} in {self.region}"

    def usage_of(self, key_id: str, now: datetime) -> KeyUsage:
        """The newest calls by ``key_id``. ``now``: UTC. It raises nothing of AWS: see ``KeyUsage.problem``.

        If a further page can't be read, what was read is there, with ``more`` and the ``problem``.
        """
        with self._lock:
            refused = self._refused
        if refused:
            return KeyUsage(key_id, (), self.source, None, problem=refused)
        tally = Tally({key_id})
        found = KeyUsage(key_id, (), self.source, None)
        try:
            for page in self._pages(key_id, now):
                self._add(tally, page)
                more = bool(page.get("NextToken") or tally.unclear or tally.overfull)
                groups = tally.groups_of(key_id)
                why = f"{counted(tally.unclear, 'event')} of it can't be read" if tally.unclear else ""
                found = KeyUsage(key_id, groups, self.source, now, now - HISTORY, more, why)
        except (ClientError, BotoCoreError) as error:
            return replace(found, more=found.as_of is not None, problem=self._failed(error))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            why = f"its events can't be read: {error!r}"
            return replace(found, more=found.as_of is not None, problem=why)
        return found

    def _pages(self, key_id: str, now: datetime) -> Any:
        asked = {
            "LookupAttributes": [{"AttributeKey": "AccessKeyId", "AttributeValue": key_id}],
            "StartTime": now - HISTORY,
            "EndTime": now,
        }
        read = pages(self.client, "LookupEvents", self.backoff, **asked)
        for _, page in zip(range(self.most_pages), read, strict=False):
            yield page

    def _add(self, tally: Tally, page: Mapping[str, Any]) -> None:
        """Count the events of ``page``. One that can't be read is counted as unclear, and loses no other."""
        for event in page["Events"]:
            try:
                tally.add(read_json(str(event["CloudTrailEvent"])))
            except (NotInFormat, KeyError, TypeError):
                tally.unclear += 1

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
