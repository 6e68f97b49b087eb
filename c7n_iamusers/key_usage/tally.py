# SPDX-License-Identifier: Apache-2.0
"""Events of CloudTrail, counted by key, service, event, address, user agent and Region, within bounds. Pure.

"CloudTrail record contents" and "CloudTrail userIdentity element" (CloudTrail User Guide).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from c7n_iamusers.key_usage.model import CallGroup
from c7n_iamusers.text.times import moment

#: Groups of one key that are kept. Whoever has a key can send a new user agent with each call.
MOST_GROUPS = 1_000
#: The longest texts of an event that are kept.
_LONGEST = 1_000
#: What agrees in a group: service, event, Region, address, user agent.
_Like = tuple[str, str, str, str, str]


@dataclass
class Tally:
    """Counts calls. ``keys``: those whose calls are counted; all if None. ``most``: the groups that a key may have.

    ``overfull``: the keys with more; their calls that fit into no group are counted in one of an unknown address and
    user agent. ``unclear``: the events that do not say which key, or when.
    """

    keys: Collection[str] | None = None
    most: int = MOST_GROUPS
    overfull: set[str] = field(default_factory=set)
    unclear: int = 0
    _groups: dict[str, dict[_Like, CallGroup]] = field(default_factory=dict)

    def add(self, record: Any) -> None:
        """Count one event, a record of CloudTrail. What is no call that a key signed is left out."""
        record = record if isinstance(record, Mapping) else {}
        identity = record.get("userIdentity")
        key_id = identity.get("accessKeyId") if isinstance(identity, Mapping) else None
        if not isinstance(key_id, str) or not key_id:
            self.unclear += not isinstance(identity, Mapping)
            return
        time = moment(record.get("eventTime"))
        if self._is_asked(key_id):
            like = (
                text(record, "eventSource").removesuffix(".amazonaws.com"),
                *(text(record, name) for name in ("eventName", "awsRegion", "sourceIPAddress", "userAgent")),
            )
            denied = bool(record.get("errorCode") or record.get("errorMessage"))
            self._count(key_id, like, time, time, 1, int(denied))

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
        return self.keys is None or key_id in self.keys

    def _count(
        self, key_id: str, like: _Like, first: datetime | None, last: datetime | None, calls: int, denied: int
    ) -> None:
        if first is None or last is None:
            self.unclear += 1
            return
        groups = self._groups.setdefault(key_id, {})
        if like not in groups and len(groups) >= self.most:
            self.overfull.add(key_id)
            like = (like[0], "", like[2], "", "")
        known = groups.get(like)
        if known is None:
            service, event, region, address, agent = like
            groups[like] = CallGroup(service, event, region, address, agent, calls, denied, first, last)
        else:
            groups[like] = replace(
                known,
                calls=known.calls + calls,
                denied=known.denied + denied,
                first=min(known.first, first),
                last=max(known.last, last),
            )


def text(record: Mapping[str, Any], name: str) -> str:
    """The beginning of a member of an event; empty if it is missing or no text."""
    value = record.get(name)
    return value[:_LONGEST] if isinstance(value, str) else ""
