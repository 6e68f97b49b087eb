# SPDX-License-Identifier: Apache-2.0
"""The records of evidence: credentials, policies and their sources, and what follows: activity and classification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.resource_policies.naming import Naming
from c7n_iamusers.text.times import as_text, moment


@dataclass(frozen=True)
class Source:
    """Where evidence comes from. ``time``: as of when (UTC); None, with a ``problem``, if it was not read."""

    name: str
    time: datetime | None
    problem: str = ""

    def as_data(self) -> dict[str, str | None]:
        """The source as annotations and reports show it."""
        data = {"source": self.name, "time": as_text(self.time)}
        return {**data, "problem": self.problem} if self.problem else data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Source:
        """The reverse of ``as_data``."""
        return cls(str(data["source"]), moment(data["time"]), str(data.get("problem", "")))


@dataclass(frozen=True)
class LastUse:
    """``at`` is None if the credential was never used since AWS tracks it (passwords 2014-10-20, keys 2015-04-22)."""

    at: datetime | None
    service: str = ""
    region: str = ""


@dataclass(frozen=True)
class Credential:
    """One credential. ``kind``: the name of an attachment kind. ``title``: what reports call this credential.

    ``created``: when it was created, or last rotated or changed. ``service``: of a service-specific credential.
    ``active``, ``created`` and ``last_use`` are None if unknown.
    """

    kind: str
    title: str
    active: bool | None
    created: datetime | None
    last_use: LastUse | None
    service: str = ""

    def as_data(self) -> dict[str, Any]:
        """The credential as the annotation shows it: no id. ``used``: false if never, null if unknown."""
        used = as_text(self.last_use.at) or False if self.last_use else None
        what = {"kind": self.kind, "title": self.title, "active": self.active}
        return {**what, "created": as_text(self.created), "used": used}


@dataclass(frozen=True)
class Evidence:
    """The evidence on one user. None always means unknown.

    ``credentials``: attachment kind -> credentials; a kind that is missing was not read.
    ``mfa``: whether the user has any MFA device. ``virtual_mfa``: serial numbers of its virtual devices.
    ``orphaned_mfa``: serial numbers of unassigned virtual devices with the user's name.
    ``trusted_by``: ARNs of the account's roles whose trust policy names the user.
    ``grants``: the policies that apply to the user, boundary excluded.
    ``creator``: the ARN of the principal that created the user.
    ``sources``: piece of evidence -> its source, for each piece that was requested; see ``Inventory``.
    ``naming``: the policies of resources that name the user; None if nobody asked for them.
    ``managed``: which code manages it, by its tags and by what was asked.
    """

    credentials: Mapping[str, tuple[Credential, ...]] = field(default_factory=dict)
    mfa: bool | None = None
    virtual_mfa: tuple[str, ...] | None = None
    orphaned_mfa: tuple[str, ...] | None = None
    trusted_by: tuple[str, ...] | None = None
    grants: tuple[AppliedPolicy, ...] | None = None
    creator: str | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    naming: Naming | None = None
    managed: Managed = field(default_factory=Managed)

    def time_of(self, piece: str) -> datetime | None:
        """As of when ``piece`` is known (UTC); None if it was not read."""
        return self.sources[piece].time if piece in self.sources else None


@dataclass(frozen=True)
class Activity:
    """``last``: the latest known use, None if there is none. ``by``: the credential that was used.

    ``idle_since``: the latest use, or creation of the user or a credential; None if unknown.
    ``as_of``: the time of the oldest piece of evidence; None if a piece was not read.
    ``unknown``: what is missing to know the activity for certain, in words; empty if nothing is.
    """

    last: LastUse | None
    by: str
    idle_since: datetime | None
    as_of: datetime | None
    unknown: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """``time`` None and no ``unknown``: never active. With ``unknown``: there may be later activity."""
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
class Classification:
    """``kind``: one of KINDS. ``reasons``: text for people. ``replacement``: keys of ``REPLACEMENTS``, the best first.

    ``missing_kind``: the attachment kind to list in order to decide an UNKNOWN; empty if no list decides it.
    """

    kind: str
    reasons: tuple[str, ...] = ()
    replacement: tuple[str, ...] = ()
    missing_kind: str = ""


@dataclass(frozen=True)
class Hint:
    """Users whose ``field`` (user, path, tag or group) matches ``pattern`` are of ``kind``."""

    kind: str
    field: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.field} {self.pattern!r}"


@dataclass(frozen=True)
class Thresholds:
    """Days after which a credential counts as unused, and an access key is due for rotation."""

    unused: float = defaults.UNUSED
    rotation: float = defaults.ROTATION


@dataclass(frozen=True)
class Provisioning:
    """How the organization creates users: globs over ``Key=value`` tags, and over the ARNs of creators."""

    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """``id``: for programs to match on. ``severity``: low, medium or high. ``text``: for people."""

    id: str
    severity: str
    text: str

    def as_data(self) -> dict[str, str]:
        """The finding as the annotation shows it."""
        return asdict(self)


@dataclass(frozen=True)
class Findings:
    """``found``: in the order of the table. ``unknown``: the ids of findings whose evidence was not read."""

    found: tuple[Finding, ...]
    unknown: tuple[str, ...]

    def has(self, finding_id: str) -> bool | None:
        """True if it is found, False if it is not, None if that is unknown."""
        if any(finding.id == finding_id for finding in self.found):
            return True
        return None if finding_id in self.unknown else False
