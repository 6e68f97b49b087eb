# SPDX-License-Identifier: Apache-2.0
"""The record of a quarantine, from which a release restores the user's earlier state.

The record is in the statement id of the inline Deny-all: the same call puts both, only principals that can put
policies on the user can change it, and every machine can read it. If the Deny-all has another form, or the id has no
room for the record, the record is a line of the run's journal. A tag shows it to people, but nothing is decided by
the tag, because any principal with iam:TagUser can write it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.text.wording import moment

#: The name of the inline policy that denies a user everything.
DENY_ALL_NAME = "c7n-iamusers-deny-all"
#: The prefix of this package's tags, which are not part of the user's own state.
OWN_TAGS = "c7n-iamusers-"
QUARANTINE_TAG = f"{OWN_TAGS}quarantine"
DEACTIVATED_TAG = f"{OWN_TAGS}deactivated"
#: "IAM and AWS STS quotas" and, for the characters of a value, "Tags for IAM resources" (IAM User Guide).
TAGS_PER_USER = 50
VALUE_LENGTH = 256
_NOT_IN_A_VALUE = re.compile(r"[^\w\s.:/=+\-@]")
_TAG = re.compile(
    # The reason can be empty: IAM may accept none of its characters, or a long policy name leaves no room.
    r"(?P<since>\S+Z) deny=(?P<deny>inline|attached|boundary|own|none)(?P<kept> credentials=kept)?"
    r" by (?P<policy>\S+?)(?::(?: (?P<reason>.*))?)?",
    re.DOTALL,
)
#: A deletion keeps the record of the user's quarantine, and adds the time at which it began.
_SID = re.compile(
    r"(?:Quarantined(?P<since>\d{8}T\d{6}Z)(?:(?P<kept>Listening)|(?P<ids>(?:x[A-Z0-9]+)*)(?P<journaled>Journaled)?))?"
    r"(?:Deletion(?P<deletion>\d{8}T\d{6}Z))?"
)
#: The form of a time in the statement id of a Deny-all.
SID_TIME = "%Y%m%dT%H%M%SZ"
_TAG_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Quarantine:
    """``since``: UTC, whole seconds. ``deactivated``: ids of the credentials that were active before.

    ``kept``: its credentials stay active under the Deny (``credentials: keep``), so that requests are still attempted
    and can be seen; ``deactivated`` is then empty.
    ``deny``: the form of the Deny-all (``inline``, ``attached``, ``boundary``), ``own`` if the user had another
    Deny-all before, ``none`` if no form fits. ``known``: False if it is unknown what was active before, because the
    journal with the record is missing.
    """

    since: datetime
    policy: str
    reason: str
    deactivated: tuple[str, ...] = ()
    deny: str = "inline"
    known: bool = True
    kept: bool = False

    @property
    def sids(self) -> tuple[str, ...]:
        """Statement ids for the Deny-all: one with the whole record if possible, and one that refers to the journal."""
        since = f"Quarantined{self.since:{SID_TIME}}"
        if self.kept:
            # As long as the one that refers to the journal, which therefore always fits in its place.
            return (f"{since}Listening",)
        ids = "".join(f"x{each}" for each in self.deactivated)
        # A Sid accepts letters and digits only, and ids of credentials are upper case.
        whole = (since + ids,) if self.known and _SID.fullmatch(since + ids) else ()
        return (*whole, f"{since}Journaled")

    def tag(self) -> dict[str, str]:
        """The tag that shows the quarantine to people, as TagUser accepts it."""
        kept = " credentials=kept" if self.kept else ""
        text = f"{self.since:{_TAG_TIME}} deny={self.deny}{kept} by {self.policy}: {self.reason}"
        return {"Key": QUARANTINE_TAG, "Value": tag_value(text)}

    def as_data(self) -> dict[str, object]:
        """The record as snapshots and journal lines have it."""
        rest = {"policy": self.policy, "reason": self.reason, "deny": self.deny}
        if self.kept:
            rest["credentials"] = "kept"
        return {"since": self.since.isoformat(), "deactivated": list(self.deactivated), **rest}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Quarantine | None:
        """The reverse of ``as_data``; None if ``data`` is not a record."""
        since, ids = moment(data.get("since")), data.get("deactivated")
        if since is None or not isinstance(ids, list):
            return None
        words = {name: str(data.get(name, "")) for name in ("policy", "reason", "deny")}
        kept = data.get("credentials") == "kept"
        return cls(since, words["policy"], words["reason"], tuple(map(str, ids)), words["deny"], kept=kept)


@dataclass(frozen=True)
class DenyRecord:
    """The record in an inline Deny-all. ``deletion``: when a deletion began; None if there is none."""

    quarantine: Quarantine | None
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
    kept = bool(found["kept"])
    return DenyRecord(Quarantine(since, "", "", ids, known=known, kept=kept) if since else None, begun)


def deletion_sids(quarantine: Quarantine | None, now: datetime) -> tuple[str, ...]:
    """Statement ids for the Deny-all of a deletion that begins ``now`` (UTC), the most complete first."""
    end = f"Deletion{now:{SID_TIME}}"
    return tuple(sid + end for sid in quarantine.sids) if quarantine else (end,)


def is_quarantine_tag(key: str) -> bool:
    """Whether ``key`` is a tag key of a quarantine. Tag keys are case-insensitive."""
    return key.lower() == QUARANTINE_TAG or key.lower().startswith(DEACTIVATED_TAG)


def tag_value(text: str) -> str:
    """``text`` as a tag's value: characters that IAM rejects become spaces, and long text is cut."""
    return " ".join(_NOT_IN_A_VALUE.sub(" ", text).split())[:VALUE_LENGTH].rstrip()


def quarantine_of_tags(tags: Mapping[str, str]) -> Quarantine | None:
    """The quarantine that a user's tags claim; None if there is none. Earlier versions kept some records in tags."""
    found = _TAG.fullmatch(tags.get(QUARANTINE_TAG, ""))
    since = _time(found["since"], _TAG_TIME) if found else None
    if found is None or since is None:
        return None
    ids = [each for key in sorted(tags) if key.startswith(DEACTIVATED_TAG) for each in tags[key].split()]
    policy, reason, kept = found["policy"], found["reason"] or "", bool(found["kept"])
    return Quarantine(since, policy, reason, tuple(dict.fromkeys(ids)), found["deny"], kept=kept)


def sid_time(text: str) -> datetime | None:
    """The time (UTC) that ``text`` of a statement id says; None if it is none."""
    return _time(text, SID_TIME)


def _time(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
