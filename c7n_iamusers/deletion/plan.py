# SPDX-License-Identifier: Apache-2.0
"""From a user as it stands now to the calls that remove it with everything attached. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.execution.calls import BEFORE, ApiCall, Plan, Subject
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, MFA_DEVICE, AttachmentKind, Removal
from c7n_iamusers.iam.deny_all import (
    DenyAllPlan,
    deny_all_document,
    is_bare,
    plan_deny_all,
    remove_inline_deny,
)
from c7n_iamusers.iam.own_changes import deny_record_of
from c7n_iamusers.iam.quarantine_record import Quarantine, deletion_sids
from c7n_iamusers.iam.user import IamUser, Item

_GONE = frozenset({"NoSuchEntity"})


def plan_deletion(
    user: IamUser,
    now: datetime,
    orphaned_mfa: Iterable[Item] = (),
    quarantine: Quarantine | None = None,
    refused: Collection[str] = (),
) -> Plan:
    """Every call of the deletion of ``user``, in order: Deny-all, credentials, MFA, groups, policies, user.

    ``orphaned_mfa``: virtual devices that were this user's and are nobody's now. A run that stopped
    between deactivating a device and deleting it left such an orphan. ``quarantine``: that it is in, whose record
    the Deny keeps. ``refused``: the forms of the Deny that the role may not use.

    The Deny comes off last, right before DeleteUser, which refuses a user with a policy; a boundary may stay.
    Raises KeyError where a kind was not read: a deletion is never planned on partial knowledge. Raises DenyRefused.
    """
    deny = deletion_denial(user, now, quarantine, refused)
    last = [_what(call) for call in deny.lift]
    removals = [
        call for kind in ATTACHMENT_KINDS for call in _removals_of(user, kind) if _what(call) not in last
    ]
    end = ApiCall("iam", "DeleteUser", {"UserName": user.name}, _GONE, checked=frozenset({BEFORE}))
    return Plan(
        user.subject, (*deny.put, *removals, *orphan_calls(user.subject, orphaned_mfa), *deny.lift, end)
    )


def deletion_denial(
    user: IamUser, now: datetime, quarantine: Quarantine | None = None, refused: Collection[str] = ()
) -> DenyAllPlan:
    """The Deny-all of a deletion that begins ``now``; none on a user that holds nothing. Raises DenyRefused."""
    if is_bare(user):
        return DenyAllPlan("")
    seal = deny_record_of(user)
    if seal and seal.deletion:
        return DenyAllPlan("inline", (), (remove_inline_deny(user),))
    return plan_deny_all(user, deletion_documents(now, quarantine), "deletion", refused)


def deletion_documents(now: datetime, quarantine: Quarantine | None) -> list[str]:
    """The inline Deny of a deletion that begins ``now``, in each form, the one that says most first."""
    return [deny_all_document(sid) for sid in deletion_sids(quarantine, now.astimezone(timezone.utc))]


def orphan_calls(subject: Subject, devices: Iterable[Item]) -> list[ApiCall]:
    """The calls that delete virtual MFA ``devices`` which were the user's and are nobody's now."""
    parts = [part for part in MFA_DEVICE.removals if not part.by_user]
    return [_call(subject.name, part, item) for item in devices for part in parts]


def _what(call: ApiCall) -> tuple[str, Mapping[str, Any]]:
    return call.operation, call.parameters


def _removals_of(user: IamUser, kind: AttachmentKind) -> Iterator[ApiCall]:
    for item in user.attachments[kind.name] if kind.removals else ():
        yield from (_call(user.name, part, item) for part in kind.removals if part.applies(item))


def _call(name: str, removal: Removal, item: Item) -> ApiCall:
    owner = {"UserName": name} if removal.by_user else {}
    parameters = {name: item[member] for name, member in removal.parameters.items()}
    return ApiCall("iam", removal.operation, {**owner, **parameters}, done_codes=_GONE)
