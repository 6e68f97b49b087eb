# SPDX-License-Identifier: Apache-2.0
"""Events of CloudTrail, counted by key, service, event, address, user agent and Region, within bounds. Pure.

"CloudTrail record contents" and "CloudTrail userIdentity element" (CloudTrail User Guide).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from c7n_iamusers.key_usage.model import CallGroup
from c7n_iamusers.text.times import moment

#: Groups of one key, and keys that are kept. Whoever has a key can send a new user agent with each call.
MOST_GROUPS, MOST_KEYS = 1_000, 100_000
#: Groups of all keys that are kept.
MOST_IN_ALL = 300_000
#: Ids of events that are remembered, so that one which is delivered twice counts once: within so many events.
_REMEMBERED = 200_000
#: The beginnings of codes, in lower case, by which services refuse access ("Common Errors" of the services' API
#: references; those of EC2 begin with Client. in CloudTrail). Others, such as NoSuchKey and ThrottlingException, are
#: of calls that failed otherwise.
REFUSALS = (
    "accessdenied",
    "unauthorized",
    "forbidden",
    "notauthorized",
    "authfailure",
    "invalidclienttokenid",
    # without the secret: anybody who knows the id of a key can cause them
    "signaturedoesnotmatch",
    "invalidsignature",
    "incompletesignature",
    "invalidaccesskeyid",
)
#: How the id of a long-term key begins ("IAM identifiers", unique identifiers, IAM User Guide). CloudTrail's files have
#: far more temporary keys, of roles.
LONG_TERM = "AKIA"
#: The longest texts of an event that are kept.
_LONGEST = 1_000
#: What agrees in a group: service, event, Region, address, user agent.
_Like = tuple[str, str, str, str, str]


@dataclass
class Tally:
    """Counts calls. ``keys``: those whose calls are counted; all long-term keys if None. ``most``: the groups of a key.

    ``overfull``: the keys with more; their calls that fit into no group are counted in one of which nothing is known.
    ``left_out``: calls of keys beyond MOST_KEYS. ``unclear``: events that do not say which key, or when. ``twice``:
    events of calls that were counted already. Counts are exact beyond all bounds but ``left_out``.
    """

    keys: Collection[str] | None = None
    most: int = MOST_GROUPS
    overfull: set[str] = field(default_factory=set)
    left_out: int = 0
    unclear: int = 0
    twice: int = 0
    _groups: dict[str, dict[_Like, CallGroup]] = field(default_factory=dict)
    _ids: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _number: int = 0

    def add(self, record: Any) -> None:
        """Count one event, a record of CloudTrail. What is no call that a key signed is left out."""
        record = record if isinstance(record, Mapping) else {}
        identity = record.get("userIdentity")
        key_id = identity.get("accessKeyId") if isinstance(identity, Mapping) else None
        if not isinstance(key_id, str):
            self.unclear += not isinstance(identity, Mapping)
            return
        time = time_of(text(record, "eventTime"))
        if self._is_asked(key_id) and self._is_new(record.get("sharedEventID") or record.get("eventID")):
            service = text(record, "eventSource").removesuffix(".amazonaws.com")
            event, region = text(record, "eventName"), text(record, "awsRegion")
            like = (service, event, region, text(record, "sourceIPAddress"), text(record, "userAgent"))
            if time is None:
                self.unclear += 1
                return
            self._count(key_id, like, time, time, 1, int(is_refusal(text(record, "errorCode"))))

    def add_group(self, key_id: str, group: CallGroup) -> None:
        """Count calls that are counted already."""
        if self._is_asked(key_id):
            like = (group.service, group.event, group.region, group.address, group.user_agent)
            self._count(key_id, like, group.first, group.last, group.calls, group.denied)

    def groups_of(self, key_id: str) -> tuple[CallGroup, ...]:
        """The groups of a key, in the order in which they were met."""
        return tuple(self._groups.get(key_id, {}).values())

    @property
    def found(self) -> list[str]:
        """The keys that have calls."""
        return [*self._groups]

    def _is_asked(self, key_id: str) -> bool:
        return key_id.startswith(LONG_TERM) if self.keys is None else key_id in self.keys

    def _is_new(self, event_id: Any) -> bool:
        """Whether no event of this id was met. CloudTrail delivers one at least once ("CloudTrail log files"), and each
        account that a call concerns gets an event, with one ``sharedEventID`` ("CloudTrail record contents")."""
        if not isinstance(event_id, str) or not event_id:
            return True
        if event_id in self._ids:
            self.twice += 1
            return False
        if len(self._ids) >= _REMEMBERED:
            self._ids.popitem(last=False)
        self._ids[event_id[:_LONGEST]] = None
        return True

    def _count(
        self, key_id: str, like: _Like, first: datetime, last: datetime, calls: int, denied: int
    ) -> None:
        if key_id not in self._groups and len(self._groups) >= MOST_KEYS:
            self.left_out += calls
            return
        groups = self._groups.setdefault(key_id, {})
        if like not in groups and (len(groups) >= self.most or self._number >= MOST_IN_ALL):
            self.overfull.add(key_id)
            like = ("", "", "", "", "")
        known = groups.get(like)
        if known is None:
            service, event, region, address, agent = like
            self._number += 1
            groups[like] = CallGroup(service, event, region, address, agent, calls, denied, first, last)
        else:
            groups[like] = replace(
                known,
                calls=known.calls + calls,
                denied=known.denied + denied,
                first=min(known.first, first),
                last=max(known.last, last),
            )


@lru_cache(4_096)
def time_of(value: str) -> datetime | None:
    """``moment``, whose texts come again and again."""
    return moment(value)


def is_refusal(code: str) -> bool:
    """Whether an ``errorCode`` of CloudTrail says that AWS refused access, so that the call was an attempt."""
    return code.removeprefix("Client.").casefold().startswith(REFUSALS)


def text(record: Mapping[str, Any], name: str) -> str:
    """The beginning of a member of an event; empty if it is missing or no text."""
    value = record.get(name)
    return value[:_LONGEST] if isinstance(value, str) else ""
