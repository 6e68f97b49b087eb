# SPDX-License-Identifier: Apache-2.0
"""The calls that an access key signed, in groups, and which source says so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers.text.times import as_text


@dataclass(frozen=True)
class CallGroup:
    """Calls by one key that agree in everything but their time.

    ``service``: the event's source without ``.amazonaws.com``. ``address``: ``sourceIPAddress``, which is an AWS
    service's name where that service called. ``user_agent``: empty if the event has none. ``calls``: how many, at
    least 1. ``denied``: how many of them AWS refused, so they are attempts. ``first``, ``last``: in UTC.
    """

    service: str
    event: str
    region: str
    address: str
    user_agent: str
    calls: int
    denied: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class KeyUsage:
    """What one source says of the calls by ``key_id``.

    ``source``: what was read, in words, such as ``CloudTrail's event history in eu-west-1``. ``as_of``: when (UTC);
    None, with a ``problem``, if it was not read: then the use is unknown, and never none. ``since``: from when on the
    source has events; None if unknown. ``more``: there are further events that were not read, so counts are minimums.
    ``back_to``: of those, the newest are of this second or older; None if unknown.
    """

    key_id: str
    groups: tuple[CallGroup, ...]
    source: str
    as_of: datetime | None
    since: datetime | None = None
    more: bool = False
    problem: str = ""
    back_to: datetime | None = None

    def as_data(self) -> dict[str, Any]:
        """The source as annotations and reports show it, without the groups."""
        data: Mapping[str, Any] = {"source": self.source, "as_of": as_text(self.as_of)}
        optional = {"since": as_text(self.since), "more": self.more, "problem": self.problem}
        optional |= {"back_to": as_text(self.back_to if self.more else None)}
        return {**data, **{key: value for key, value in optional.items() if value}}
