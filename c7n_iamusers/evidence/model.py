# SPDX-License-Identifier: Apache-2.0
"""The records of evidence: credentials, policies and their sources, and what follows: activity and classification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.iam.attachments import ACTIVE, INACTIVE
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.key_usage.callers import OUTSIDE, Caller
from c7n_iamusers.key_usage.data_plane import is_data_plane
from c7n_iamusers.key_usage.model import KeyUsage
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
class KeyEvidence:
    """One access key. ``created``, ``last_use``: None if unknown. ``doubt``: why its use is unknown, in words.

    ``as_of``: as of when the use is known (UTC). ``source``: what says it, in words.
    """

    key_id: str
    active: bool
    created: datetime | None
    last_use: LastUse | None = None
    as_of: datetime | None = None
    source: str = ""
    doubt: str = ""

    def as_data(self) -> dict[str, Any]:
        """The key as the annotation shows it. ``used``: false if never, null if unknown."""
        use = self.last_use
        used = as_text(use.at) or False if use else None
        data: dict[str, Any] = {"id": self.key_id, "status": ACTIVE if self.active else INACTIVE}
        data |= {"created": as_text(self.created), "used": used, "source": self.source}
        data |= {"as_of": as_text(self.as_of)}
        where = {"service": use.service, "region": use.region} if use and use.service else {}
        return {**data, **where, **({"unknown": self.doubt} if self.doubt else {})}


#: What is known of the calls by a key: ``UsedKey.result``.
CALLS, DATA_PLANE_ONLY, NO_EVENT, NEVER_USED, UNKNOWN_CALLS = (
    "calls",
    "data-plane-only",
    "no-event",
    "never-used",
    "unknown",
)
#: Callers that an annotation has of a key. It travels in messages.
_MOST_CALLERS = 10


@dataclass(frozen=True)
class UsedKey:
    """Who calls with an access key, of a user whose policy asks for it. ``key``: with its last use.

    ``sources``: what was asked for its calls; none where it was never used. ``callers``: those with the most calls
    first.
    """

    key: KeyEvidence
    sources: tuple[KeyUsage, ...] = ()
    callers: tuple[Caller, ...] = ()

    @property
    def result(self) -> str:
        """CALLS: there are callers. NEVER_USED: by IAM. UNKNOWN_CALLS: a source was not read in full.

        DATA_PLANE_ONLY: no event by a key whose last use was of a service with data events, which no source has to
        have. NO_EVENT: none in the sources, which say where and since when.
        """
        use = self.key.last_use
        if self.callers:
            return CALLS
        if any(each.problem or each.more or each.as_of is None for each in self.sources):
            return UNKNOWN_CALLS
        if use and use.at is None:
            return NEVER_USED
        if not self.sources:
            return UNKNOWN_CALLS
        return DATA_PLANE_ONLY if use and is_data_plane(use.service) else NO_EVENT

    @property
    def is_known_in_full(self) -> bool:
        """Whether every source that was asked was read to its end."""
        return bool(self.sources) and not any(each.problem or each.more for each in self.sources)

    def as_data(self) -> dict[str, Any]:
        """As annotations show it."""
        told = self._told
        more = {"more-callers": len(self.callers) - len(told)} if len(self.callers) > len(told) else {}
        return {
            **self.key.as_data(),
            "result": self.result,
            "callers": [each.as_data() for each in told],
            **more,
            "sources": [each.as_data() for each in self.sources],
            "text": self.text,
        }

    @property
    def _told(self) -> tuple[Caller, ...]:
        """The callers with the most calls, one from outside AWS among them if there is any: a thief makes few."""
        told, rest = self.callers[:_MOST_CALLERS], self.callers[_MOST_CALLERS:]
        hidden = [each for each in rest if each.place == OUTSIDE and each.denied < each.calls]
        if not hidden or any(each.place == OUTSIDE and each.denied < each.calls for each in told):
            return told
        return (*told[:-1], hidden[0])

    @property
    def text(self) -> str:
        """In one line, for people."""
        use = self.key.last_use
        where = f" for {use.service} in {use.region or 'an unknown Region'}" if use and use.service else ""
        last = f"last used on {use.at:%Y-%m-%d}{where}" if use and use.at else "last used at an unknown time"
        unread = "; ".join(dict.fromkeys(each.problem for each in self.sources if each.problem))
        return {
            CALLS: "; ".join(map(str, self.callers[:_MOST_TOLD])),
            NEVER_USED: f"never used, by {self.key.source}",
            DATA_PLANE_ONLY: f"{last}, data plane only: the event history lacks the everyday calls of that service",
            NO_EVENT: f"{last}; nothing of it in {' or '.join(each.source for each in self.sources)}",
            UNKNOWN_CALLS: f"{last}; who calls with it is unknown{': ' if unread else ''}{unread}",
        }[self.result]


#: Callers in one line.
_MOST_TOLD = 3


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
    ``usage``: who calls with each of its access keys; None if nobody asked, or its keys could not be listed.
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
    usage: tuple[UsedKey, ...] | None = None

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
    ``selected_as``: the kind by which policies select the user, where its keys' callers made it another; or empty.
    """

    kind: str
    reasons: tuple[str, ...] = ()
    replacement: tuple[str, ...] = ()
    missing_kind: str = ""
    selected_as: str = ""


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
