# SPDX-License-Identifier: Apache-2.0
"""What is written of a user that is in quarantine, so that it can be released to its earlier state.

The record stands in the statement id of the inline Deny-all: it comes with the Deny in one call, only who may put
policies on the user can change it, and any machine reads it. Where the Deny has another form, or no room for the
whole, the record is a line of the run's journal. Tags tell people; whoever holds iam:TagUser can write them, so
nothing is decided by them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.text.moments import moment

#: The name of the inline policy that denies a user everything.
DENY_ALL_NAME = "c7n-iamusers-deny-all"
#: Every tag of ours begins so: none of them is part of what a user is.
OWN_TAGS = "c7n-iamusers-"
QUARANTINE_TAG = f"{OWN_TAGS}quarantine"
DEACTIVATED_TAG = f"{OWN_TAGS}deactivated"
#: "IAM and AWS STS quotas", IAM User Guide; so are the characters of a value ("Tags for IAM resources").
TAGS_PER_USER = 50
VALUE_LENGTH = 256
_NOT_IN_A_VALUE = re.compile(r"[^\w\s.:/=+\-@]")
_TAG = re.compile(
    # A reason may have no character that IAM takes, and a long policy name leaves no room for one.
    r"(?P<since>\S+Z) deny=(?P<deny>inline|attached|boundary|own|none) by (?P<policy>\S+?)(?::(?: (?P<reason>.*))?)?",
    re.DOTALL,
)
#: A deletion keeps the record of the quarantine that the user was in, and says since when it is under way.
_SID = re.compile(
    r"(?:Quarantined(?P<since>\d{8}T\d{6}Z)(?P<ids>(?:x[A-Z0-9]+)*)(?P<journaled>Journaled)?)?"
    r"(?:Deletion(?P<deletion>\d{8}T\d{6}Z))?"
)
_TAG_TIME, _SID_TIME = "%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Quarantine:
    """``since``: UTC, whole seconds. ``deactivated``: ids of the credentials that were active before.

    ``deny``: the form of the Deny-all (``inline``, ``attached``, ``boundary``), or ``own`` where another one stood
    before. ``known``: False where it is not known what was active before, as the journal with the record isn't here.
    """

    since: datetime
    policy: str
    reason: str
    deactivated: tuple[str, ...] = ()
    deny: str = "inline"
    known: bool = True

    @property
    def sids(self) -> tuple[str, ...]:
        """Statement ids for the Deny: one that carries the whole record, one that says the journal has it."""
        since = f"Quarantined{self.since:{_SID_TIME}}"
        ids = "".join(f"x{each}" for each in self.deactivated)
        # A Sid of an IAM policy takes letters and digits only, and ids of credentials are upper case.
        whole = (since + ids,) if self.known and _SID.fullmatch(since + ids) else ()
        return (*whole, f"{since}Journaled")

    def tag(self) -> dict[str, str]:
        """The tag that tells people, as TagUser takes it."""
        text = f"{self.since:{_TAG_TIME}} deny={self.deny} by {self.policy}: {self.reason}"
        return {"Key": QUARANTINE_TAG, "Value": tag_value(text)}

    def as_data(self) -> dict[str, object]:
        """The record as a snapshot and a line of the journal hold it."""
        rest = {"policy": self.policy, "reason": self.reason, "deny": self.deny}
        return {"since": self.since.isoformat(), "deactivated": list(self.deactivated), **rest}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Quarantine | None:
        """The reverse; None where ``data`` is no record."""
        since, ids = moment(data.get("since")), data.get("deactivated")
        if since is None or not isinstance(ids, list):
            return None
        words = {name: str(data.get(name, "")) for name in ("policy", "reason", "deny")}
        return cls(since, words["policy"], words["reason"], tuple(map(str, ids)), words["deny"])


@dataclass(frozen=True)
class Seal:
    """What the inline Deny-all itself says. ``deletion``: since when one is under way; None where none is."""

    quarantine: Quarantine | None
    deletion: datetime | None


def seal_of(sid: str) -> Seal | None:
    """What the statement id ``sid`` of a Deny-all says; None where it is none of ours."""
    found = _SID.fullmatch(sid)
    if found is None or not sid:
        return None
    since, begun = (_time(found[name] or "", _SID_TIME) for name in ("since", "deletion"))
    if (found["since"] and not since) or (found["deletion"] and not begun):
        return None
    known, ids = not found["journaled"], tuple((found["ids"] or "").split("x")[1:])
    return Seal(Quarantine(since, "", "", ids, known=known) if since else None, begun)


def deletion_sids(quarantine: Quarantine | None, now: datetime) -> tuple[str, ...]:
    """Statement ids for the Deny of a deletion that begins ``now`` (UTC), the one that says most first."""
    end = f"Deletion{now:{_SID_TIME}}"
    return tuple(sid + end for sid in quarantine.sids) if quarantine else (end,)


def is_quarantine_tag(key: str) -> bool:
    """True for the keys of the tags that a record may take; tag keys are case-insensitive."""
    return key.lower() == QUARANTINE_TAG or key.lower().startswith(DEACTIVATED_TAG)


def tag_value(text: str) -> str:
    """``text`` as a tag's value: what IAM does not take becomes a space, what is too long is cut."""
    return " ".join(_NOT_IN_A_VALUE.sub(" ", text).split())[:VALUE_LENGTH].rstrip()


def quarantine_of_tags(tags: Mapping[str, str]) -> Quarantine | None:
    """What a user's tags claim; None where they claim nothing. The version before kept its record there at times."""
    found = _TAG.fullmatch(tags.get(QUARANTINE_TAG, ""))
    since = _time(found["since"], _TAG_TIME) if found else None
    if found is None or since is None:
        return None
    ids = [each for key in sorted(tags) if key.startswith(DEACTIVATED_TAG) for each in tags[key].split()]
    return Quarantine(since, found["policy"], found["reason"] or "", tuple(dict.fromkeys(ids)), found["deny"])


def _time(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
