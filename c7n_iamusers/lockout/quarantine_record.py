# SPDX-License-Identifier: Apache-2.0
"""The record of a quarantine: what a release gives back, and where it is kept. Pure.

It is in the statement id of the inline Deny-all: the same call puts both, only principals that can put policies on the
user can change it, and every machine can read it. If the Deny-all has another form, or the id has no room for the
record, the record is a line of the run's journal. A tag shows it to people. Any principal with iam:TagUser can write
it, so it adds nothing to the record: where the journal is missing, it shows that the quarantine came to its end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from c7n_iamusers.text.times import moment

#: The prefix of this package's tags, which are not part of the user's own state.
OWN_TAGS = "c7n-iamusers-"
QUARANTINE_TAG = f"{OWN_TAGS}quarantine"
#: "IAM and AWS STS quotas" and, for the characters of a value, "Tags for IAM resources" (IAM User Guide).
TAGS_PER_USER = 50
VALUE_LENGTH = 256
_NOT_IN_A_VALUE = re.compile(r"[^\w\s.:/=+\-@]")
#: A deletion keeps the record of the user's quarantine, and adds the time at which it began.
_SID = re.compile(
    r"(?:Quarantined(?P<since>\d{8}T\d{6}Z)(?P<kept>Listening)?(?P<ids>(?:x[A-Z0-9]+)*)(?P<journaled>Journaled)?)?"
    r"(?:Deletion(?P<deletion>\d{8}T\d{6}Z))?"
)
#: The form of a time in the statement id of a Deny-all.
SID_TIME = "%Y%m%dT%H%M%SZ"
_TAG_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TAG = re.compile(r"\S+ deny=\S+(?P<kept> credentials=kept)? by ")
#: The lists of ids in a quarantine's record.
_LISTS = ("deactivated", "inactive", "given", "dropped")


@dataclass(frozen=True)
class QuarantineRecord:
    """``since``: UTC, whole seconds. ``deactivated``: ids of the credentials that were active before.

    ``kept``: its credentials stay active under the Deny (``credentials: keep``), so that requests are still attempted
    and can be seen; ``deactivated`` is then empty, and ``inactive`` has the ids of those that were inactive before.
    ``deny``: the form of the Deny-all (``inline``, ``attached``, ``boundary``), ``own`` if the user had another
    Deny-all before, ``none`` if no form fits. ``known``: False if it is unknown what was active before, because the
    journal with the record is missing.

    No release activates what others have changed since: ``given`` are the ids of credentials that they created or
    activated under it; ``dropped`` those active before that they activated, or may have deactivated. Only the journal
    has them.
    """

    since: datetime
    policy: str
    reason: str
    deactivated: tuple[str, ...] = ()
    deny: str = "inline"
    known: bool = True
    kept: bool = False
    inactive: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def sids(self) -> tuple[str, ...]:
        """Statement ids for the Deny-all: one with the whole record if possible, and one that refers to the journal.

        If a quarantine keeps credentials, neither id is shorter than the second id of a later one that deactivates
        them. So that one always fits in its place.
        """
        since = f"Quarantined{self.since:{SID_TIME}}{'Listening' if self.kept else ''}"
        ids = "".join(f"x{each}" for each in (self.inactive if self.kept else self.deactivated))
        # A Sid accepts letters and digits only, and ids of credentials are upper case.
        whole = (since + ids,) if self.known and _SID.fullmatch(since + ids) else ()
        return (*whole, f"{since}Journaled")

    def tag(self) -> dict[str, str]:
        """The tag that shows the quarantine to people, as TagUser accepts it."""
        kept = " credentials=kept" if self.kept else ""
        text = f"{self.since:{_TAG_TIME}} deny={self.deny}{kept} by {self.policy}: {self.reason}"
        return {"Key": QUARANTINE_TAG, "Value": tag_value(text)}

    def is_tagged(self, tags: Mapping[str, str]) -> bool:
        """Whether ``tags`` of the user have the tag that the last call of this quarantine writes."""
        claimed = _TAG.match(tags.get(QUARANTINE_TAG, ""))
        return claimed is not None and (tagged_since(tags), bool(claimed["kept"])) == (self.since, self.kept)

    def as_data(self) -> dict[str, object]:
        """The record as snapshots and journal lines have it."""
        rest: dict[str, object] = {"policy": self.policy, "reason": self.reason, "deny": self.deny}
        if self.kept:
            rest |= {"credentials": "kept", "inactive": list(self.inactive)}
        rest |= {name: list(ids) for name, ids in (("given", self.given), ("dropped", self.dropped)) if ids}
        return {"since": self.since.isoformat(), "deactivated": list(self.deactivated), **rest}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> QuarantineRecord | None:
        """The reverse of ``as_data``; None if ``data`` is not a record."""
        since, lists = moment(data.get("since")), [data.get(name, []) for name in _LISTS]
        if since is None or "deactivated" not in data or not all(isinstance(each, list) for each in lists):
            return None
        off, inactive, given, dropped = (tuple(map(str, each)) for each in lists)
        policy, reason, deny = (str(data.get(name, "")) for name in ("policy", "reason", "deny"))
        kept = data.get("credentials") == "kept"
        return cls(since, policy, reason, off, deny, True, kept, inactive, given, dropped)


@dataclass(frozen=True)
class DenyRecord:
    """The record in an inline Deny-all. ``deletion``: when a deletion began; None if there is none."""

    quarantine: QuarantineRecord | None
    deletion: datetime | None


def parse_sid(sid: str) -> DenyRecord | None:
    """The record in the statement id ``sid`` of a Deny-all; None if it is not one of ours."""
    found = _SID.fullmatch(sid)
    if found is None or not sid:
        return None
    since, begun = (sid_time(found[name] or "") for name in ("since", "deletion"))
    if (found["since"] and not since) or (found["deletion"] and not begun):
        return None
    known, ids = not found["journaled"], tuple((found["ids"] or "").split("x")[1:])
    if since is None:
        return DenyRecord(None, begun)
    record = QuarantineRecord(since, "", "", known=known, kept=bool(found["kept"]))
    whole = replace(record, inactive=ids) if record.kept else replace(record, deactivated=ids)
    return DenyRecord(whole, begun)


def deletion_sids(quarantine: QuarantineRecord | None, now: datetime) -> tuple[str, ...]:
    """Statement ids for the Deny-all of a deletion that begins ``now`` (UTC), the most complete first."""
    end = f"Deletion{now:{SID_TIME}}"
    return tuple(sid + end for sid in quarantine.sids) if quarantine else (end,)


def is_quarantine_tag(key: str) -> bool:
    """Whether ``key`` is the key of a quarantine's tag. Tag keys are case-insensitive."""
    return key.lower() == QUARANTINE_TAG


def tag_value(text: str) -> str:
    """``text`` as a tag's value: characters that IAM rejects become spaces, and long text is cut."""
    return " ".join(_NOT_IN_A_VALUE.sub(" ", text).split())[:VALUE_LENGTH].rstrip()


def tagged_since(tags: Mapping[str, str]) -> datetime | None:
    """Since when a user is in quarantine, as its tag claims (see ``QuarantineRecord.tag``); None if there is none."""
    since, deny, _ = f"{tags.get(QUARANTINE_TAG, '')} ".partition(" deny=")
    return _time(since, _TAG_TIME) if deny else None


def sid_time(text: str) -> datetime | None:
    """The time (UTC) that ``text`` of a statement id says; None if it is none."""
    return _time(text, SID_TIME)


def _time(text: str, form: str) -> datetime | None:
    try:
        return moment(datetime.strptime(text, form))
    except ValueError:
        return None
