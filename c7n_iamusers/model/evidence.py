# SPDX-License-Identifier: Apache-2.0
"""What is known of a user beyond its own record, each piece with its source and time.

Unknown is a value of its own all through: a kind of credential that is missing was not read, and None where
a fact could stand means that nobody knows it. Neither ever stands for "none" or "never".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from c7n_iamusers.model.moments import as_text, moment


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
class Grant:
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
    grants: tuple[Grant, ...] | None = None
    creator: str | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)

    def time_of(self, piece: str) -> datetime | None:
        """As of when ``piece`` is known; None where it wasn't read."""
        return self.sources[piece].time if piece in self.sources else None
