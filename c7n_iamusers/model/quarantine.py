# SPDX-License-Identifier: Apache-2.0
"""What is written on a user that is in quarantine, so that any machine can release it to its earlier state.

It stands in two places. Tags say it to people, but whoever holds iam:TagUser can write them. The statement
id of the Deny-all policy says it to us: it comes with the Deny in one call, and only who may put policies on
the user can change it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

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
    r"(?P<since>\S+Z) deny=(?P<deny>inline|attached|own) by (?P<policy>\S+?)(?::(?: (?P<reason>.*))?)?",
    re.DOTALL,
)
_SID = re.compile(r"Quarantined(?P<since>\d{8}T\d{6}Z)(?P<ids>(?:x[A-Z0-9]+)*)")
_TAG_TIME, _SID_TIME = "%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Quarantine:
    """``since``: UTC, whole seconds. ``deactivated``: ids of the credentials that were active before.

    ``deny``: where the Deny-all is: ``inline``, ``attached``, or ``own`` where the user had it before.
    """

    since: datetime
    policy: str
    reason: str
    deactivated: tuple[str, ...] = ()
    deny: str = "inline"

    @property
    def sid(self) -> str:
        """The statement id that carries time and credentials. Raises ValueError where an id does not fit in one."""
        # A Sid of an IAM policy takes letters and digits only, and ids of credentials are upper case.
        sid = f"Quarantined{self.since:{_SID_TIME}}" + "".join(f"x{each}" for each in self.deactivated)
        if not _SID.fullmatch(sid):
            raise ValueError(f"not fit for a statement id: {sid}")
        return sid

    def tags(self) -> dict[str, str]:
        """Tag key -> value, the first that people read, then as many as the ids need."""
        text = f"{self.since:{_TAG_TIME}} deny={self.deny} by {self.policy}: {self.reason}"
        values = _packed(self.deactivated)
        numbered = {
            f"{DEACTIVATED_TAG}{'' if n == 1 else f'-{n}'}": value for n, value in enumerate(values, 1)
        }
        return {QUARANTINE_TAG: tag_value(text), **numbered}

    def as_data(self) -> dict[str, object]:
        """The record as a snapshot holds it."""
        rest = {"policy": self.policy, "reason": self.reason, "deny": self.deny}
        return {"since": self.since.isoformat(), "deactivated": list(self.deactivated), **rest}


def is_quarantine_tag(key: str) -> bool:
    """True for the keys of the tags that a record may take; tag keys are case-insensitive."""
    return key.lower() == QUARANTINE_TAG or key.lower().startswith(DEACTIVATED_TAG)


def tag_value(text: str) -> str:
    """``text`` as a tag's value: what IAM does not take becomes a space, what is too long is cut."""
    return " ".join(_NOT_IN_A_VALUE.sub(" ", text).split())[:VALUE_LENGTH].rstrip()


def quarantine_of_tags(tags: Mapping[str, str]) -> Quarantine | None:
    """The record that a user's tags carry; None where there is none, or it can't be read."""
    found = _TAG.fullmatch(tags.get(QUARANTINE_TAG, ""))
    since = _time(found["since"], _TAG_TIME) if found else None
    if found is None or since is None:
        return None
    ids = [each for key in sorted(tags) if key.startswith(DEACTIVATED_TAG) for each in tags[key].split()]
    return Quarantine(since, found["policy"], found["reason"] or "", tuple(dict.fromkeys(ids)), found["deny"])


def quarantine_of_sid(sid: str) -> Quarantine | None:
    """The record that a statement id carries, without policy and reason; None where it carries none."""
    found = _SID.fullmatch(sid)
    since = _time(found["since"], _SID_TIME) if found else None
    if found is None or since is None:
        return None
    return Quarantine(since, "", "", tuple(found["ids"].split("x")[1:]))


def _packed(ids: Iterable[str]) -> list[str]:
    values: list[str] = []
    for each in ids:
        if values and len(values[-1]) + 1 + len(each) <= VALUE_LENGTH:
            values[-1] += f" {each}"
        else:
            values.append(each)
    return values


def _time(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
