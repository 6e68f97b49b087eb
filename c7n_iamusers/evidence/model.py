# SPDX-License-Identifier: Apache-2.0
"""What is known of a user beyond its own record, with source and time, and what follows: activity, kind, findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from c7n_iamusers.text.moments import as_text, moment


@dataclass(frozen=True)
class Source:
    """Where a piece of evidence is from, and as of when; ``time`` None and a ``problem`` where it wasn't read."""

    name: str
    time: datetime | None
    problem: str = ""

    def as_data(self) -> dict[str, str | None]:
        """The source as it stands in an annotation and in reports."""
        data = {"source": self.name, "time": as_text(self.time)}
        return {**data, "problem": self.problem} if self.problem else data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Source:
        """The reverse of ``as_data``."""
        return cls(str(data["source"]), moment(data["time"]), str(data.get("problem", "")))


@dataclass(frozen=True)
class LastUse:
    """``at`` None: never, as far back as AWS keeps track (passwords 2014-10-20, keys 2015-04-22)."""

    at: datetime | None
    service: str = ""
    region: str = ""


@dataclass(frozen=True)
class Credential:
    """One credential. ``kind`` is one of the attachment kinds, ``title`` what people call this one.

    ``made``: created, rotated or changed last. ``service``: what a service-specific one is for.
    ``active``, ``made`` and ``last_use`` are None where unknown.
    """

    kind: str
    title: str
    active: bool | None
    made: datetime | None
    last_use: LastUse | None
    service: str = ""


@dataclass(frozen=True)
class HeldPolicy:
    """A policy that applies to the user, ``group``: through that group. ``document`` None: not among what was read."""

    name: str
    arn: str = ""
    group: str = ""
    document: Any = None


@dataclass(frozen=True)
class Evidence:
    """What was gathered on one user; every member may be unknown, see the module.

    ``credentials``: attachment kind -> credentials; a kind that is missing was not read.
    ``mfa``: whether it has any device. ``virtual_mfa``: serials of its virtual devices.
    ``orphaned_mfa``: serials of nobody's virtual devices that bear the user's name.
    ``trusted_by``: ARNs of this account's roles whose trust policy names the user.
    ``creator``: the ARN of who created it.
    ``sources``: the pieces that were asked for; see ``Inventory``.
    """

    credentials: Mapping[str, tuple[Credential, ...]] = field(default_factory=dict)
    mfa: bool | None = None
    virtual_mfa: tuple[str, ...] | None = None
    orphaned_mfa: tuple[str, ...] | None = None
    trusted_by: tuple[str, ...] | None = None
    grants: tuple[HeldPolicy, ...] | None = None
    creator: str | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)

    def time_of(self, piece: str) -> datetime | None:
        """As of when ``piece`` is known; None where it wasn't read."""
        return self.sources[piece].time if piece in self.sources else None


@dataclass(frozen=True)
class Activity:
    """``last``: the latest use known, None where none is; ``by``: the credential that was used.

    ``idle_since``: the latest sign of life, the making of user and credentials included; None where unknown.
    ``as_of``: nothing is known of the time after; None where not all of the evidence has been read.
    ``unknown``: what keeps the activity from being fully known, in words; empty where nothing does.
    """

    last: LastUse | None
    by: str
    idle_since: datetime | None
    as_of: datetime | None
    unknown: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """``time`` None and no ``unknown``: never active. With ``unknown``, there may be later activity."""
        data: dict[str, Any] = {"time": as_text(self.last.at) if self.last else None, "by": self.by}
        if self.last and self.last.service:
            data |= {"service": self.last.service, "region": self.last.region}
        return {**data, "unknown": list(self.unknown)}


HUMAN = "human"
MACHINE = "machine"
MIXED = "mixed"
BEDROCK_API_KEY = "bedrock-api-key"
NO_CREDENTIALS = "no-credentials"
UNKNOWN = "unknown"
KINDS = (HUMAN, MACHINE, MIXED, BEDROCK_API_KEY, NO_CREDENTIALS, UNKNOWN)


@dataclass(frozen=True)
class Verdict:
    """``kind``: one of KINDS. ``reasons``: for people. ``replacement``: see ``decisions/replacement.py``.

    ``wants``: the attachment kind that would settle an unknown, where one would.
    """

    kind: str
    reasons: tuple[str, ...] = ()
    replacement: tuple[str, ...] = ()
    wants: str = ""


@dataclass(frozen=True)
class Hint:
    """Users whose ``field`` (user, path, tag or group) matches ``pattern`` are of ``kind``."""

    kind: str
    field: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.field} {self.pattern!r}"
