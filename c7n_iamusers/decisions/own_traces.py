# SPDX-License-Identifier: Apache-2.0
"""What our own work leaves on a user: a Deny-all, tags, deactivated credentials. None of it is the user's. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from c7n_iamusers.decisions.deny_all import DENY_ALL_NAME, deny_all_arn, inline_deny_all, is_bounded
from c7n_iamusers.model.attachments import ATTACHED_POLICY, INLINE_POLICY, PERMISSIONS_BOUNDARY, TAG
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.quarantine import OWN_TAGS, Quarantine, quarantine_of_sid, quarantine_of_tags

Attachments = Mapping[str, Iterable[Item]]


def quarantine_of(user: IamUser) -> Quarantine | None:
    """The record of a quarantine that ``user`` carries; None where it carries none.

    The Deny's own statement id outranks tags, which more people can write; tags add policy and reason.
    """
    told = quarantine_of_tags(user.tags)
    statement = inline_deny_all(user)
    sealed = quarantine_of_sid(str(statement.get("Sid", ""))) if statement else None
    if sealed is None:
        return told
    return replace(sealed, policy=told.policy, reason=told.reason) if told else sealed


def without_traces(user: IamUser, earlier: Attachments | None = None) -> IamUser:
    """``user`` as it is without our work.

    ``earlier``: its attachments by the snapshot taken before our work on it began, if any: an AWSDenyAll that
    was not there then is ours, attached or as the boundary.
    """
    attachments = dict(user.attachments)
    if inline_deny_all(user) is not None:
        attachments[INLINE_POLICY.name] = _without(user, INLINE_POLICY.name, "PolicyName", DENY_ALL_NAME)
    if _attached_by_us(user, earlier):
        attachments[ATTACHED_POLICY.name] = _without(
            user, ATTACHED_POLICY.name, "PolicyArn", deny_all_arn(user)
        )
    if earlier is not None and is_bounded(user):
        attachments[PERMISSIONS_BOUNDARY.name] = tuple(earlier.get(PERMISSIONS_BOUNDARY.name, ()))
    tags = (item for item in user.attachments[TAG.name] if not str(item["Key"]).startswith(OWN_TAGS))
    return replace(user, attachments={**attachments, TAG.name: tuple(tags)})


def _attached_by_us(user: IamUser, earlier: Attachments | None) -> bool:
    quarantine = quarantine_of(user)
    if quarantine and quarantine.deny == "attached":
        return True
    arn = deny_all_arn(user)
    return earlier is not None and arn not in _members(earlier.get(ATTACHED_POLICY.name, ()), "PolicyArn")


def _members(items: Iterable[Item], member: str) -> set[Any]:
    return {item[member] for item in items}


def _without(user: IamUser, kind: str, member: str, value: str) -> tuple[Item, ...]:
    return tuple(item for item in user.attachments[kind] if item[member] != value)
