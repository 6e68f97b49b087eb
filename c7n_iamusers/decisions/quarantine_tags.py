# SPDX-License-Identifier: Apache-2.0
"""The tags that tell of a user's quarantine: how many fit, and whether they can be read back. Pure."""

from __future__ import annotations

from c7n_iamusers.decisions.deny_all import iam_call
from c7n_iamusers.model.attachments import TAG
from c7n_iamusers.model.calls import ApiCall
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.quarantine import (
    DEACTIVATED_TAG,
    QUARANTINE_TAG,
    TAGS_PER_USER,
    Quarantine,
    is_quarantine_tag,
    quarantine_of_tags,
)


def record_tags(user: IamUser, record: Quarantine) -> dict[str, str]:
    """Tag key -> value, the whole of ``record``; what an earlier record left beside it is emptied.

    Else credentials of the earlier record would be read back as ones of this. (A value may be empty: "Tags for
    IAM resources", IAM User Guide.)
    """
    stale = {key: "" for key in user.tags if key.startswith(DEACTIVATED_TAG)}
    return {**stale, **record.tags()}


def tags_fit(user: IamUser, record: Quarantine) -> bool:
    """True where the whole of ``record`` keeps to the quota of tags."""
    return len(record_tags(user, record)) <= _room(user)


def reads_back(user: IamUser, record: Quarantine) -> bool:
    """True where ``record`` can be read from its tags; policy and reason may be cut, as nothing hangs on them."""
    read = quarantine_of_tags(record_tags(user, record))
    return read is not None and _essence(read) == _essence(record)


def tag_calls(user: IamUser, record: Quarantine) -> tuple[list[ApiCall], list[str]]:
    """The call that tags ``user`` with what fits of ``record``, if anything does, and notes on what does not."""
    room, wanted = _room(user), record_tags(user, record)
    if room < len(wanted):
        wanted = {QUARANTINE_TAG: wanted[QUARANTINE_TAG]} if room else {}
    if not wanted:
        return [], [f"it has {TAGS_PER_USER} tags already, so only the Deny-all policy says since when"]
    tags = [{"Key": key, "Value": value} for key, value in wanted.items()]
    return [iam_call("TagUser", {"UserName": user.name, "Tags": tags})], []


def _room(user: IamUser) -> int:
    others = [item for item in user.attachments[TAG.name] if not is_quarantine_tag(str(item["Key"]))]
    return TAGS_PER_USER - len(others)


def _essence(record: Quarantine) -> tuple[object, ...]:
    return record.since, record.deny, set(record.deactivated)
