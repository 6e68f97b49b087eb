# SPDX-License-Identifier: Apache-2.0
"""The plan of a deletion: from a user read live to the calls that delete it with everything attached. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.execution.calls import BEFORE, DENIED, ApiCall, Plan, Subject
from c7n_iamusers.iam.attachments import INLINE_POLICY, MFA_DEVICE, AttachmentKind, Removal
from c7n_iamusers.iam.removal_order import REMOVAL_ORDER
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout import deny_all
from c7n_iamusers.lockout.lockout_state import deny_record_of
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord, deletion_sids
from c7n_iamusers.snapshots.effects import ALLOW, DENY, effects
from c7n_iamusers.snapshots.snapshot import Snapshot

_GONE = frozenset({"NoSuchEntity"})


def plan_deletion(
    user: IamUser,
    now: datetime,
    orphaned_mfa: Iterable[Item] = (),
    quarantine: QuarantineRecord | None = None,
    refused: Mapping[str, str] = deny_all.NONE_REFUSED,
    snapshot: Snapshot | None = None,
) -> Plan:
    """All calls that delete ``user``, in order: Deny-all, credentials, MFA devices, groups, policies, the user.

    Of groups and policies, those that only allow go first and those that only deny go last, by the documents in
    ``snapshot``. So if somebody takes the Deny-all off meanwhile, the user never has more than before. Each that may
    deny is marked with DENIED.

    ``orphaned_mfa``: virtual devices that belonged to this user and are assigned to nobody now, as a run leaves them
    that stopped between deactivating and deleting a device. ``quarantine``: the one that the user is in; the Deny keeps
    its record. ``refused``: forms of the Deny that AWS refused, with the error code.

    DeleteUser refuses a user with a policy, but accepts a boundary. So right before a Deny that is a policy is removed,
    AWSDenyAll becomes the boundary, which stays until the user is gone: the user always has a Deny, whoever gives it a
    policy, and wherever the run is stopped. Only if AWS refused that form, there is no Deny between the last two calls.
    The journal has the boundary that it replaces, for a restoration. Raises KeyError if a kind was not read,
    DenyRefused if no form of the Deny is possible.
    """
    deny = deletion_denial(user, now, quarantine, refused)
    last = [_what(call) for call in deny.lift]
    removals = [call for call in _removals(user, snapshot) if _what(call) not in last]
    end = ApiCall("iam", "DeleteUser", {"UserName": user.name}, _GONE, checked=frozenset({BEFORE}))
    removals += orphan_calls(user.subject, orphaned_mfa)
    return Plan(user.subject, (*deny.put, *removals, *_lifting(user, deny, refused), end))


def deletion_denial(
    user: IamUser,
    now: datetime,
    quarantine: QuarantineRecord | None = None,
    refused: Mapping[str, str] = deny_all.NONE_REFUSED,
) -> deny_all.DenyAllPlan:
    """The Deny-all of a deletion that begins ``now``; none for a user without any attachment. Raises DenyRefused."""
    if deny_all.is_bare(user):
        return deny_all.DenyAllPlan("")
    record = deny_record_of(user)
    if record and record.deletion:
        return deny_all.DenyAllPlan("inline", (), (deny_all.remove_inline_deny(user, "deletion"),))
    return deny_all.plan_deny_all(user, deletion_documents(now, quarantine), "deletion", refused)


def _lifting(user: IamUser, deny: deny_all.DenyAllPlan, refused: Mapping[str, str]) -> tuple[ApiCall, ...]:
    """The calls that remove the Deny, if it is a policy, from under AWSDenyAll as the boundary.

    One check of who has the name serves both calls: if another user has it by now, that one can do no more than before,
    whichever Deny it loses.
    """
    bounded = deny.form == deny_all.BOUNDARY or deny_all.is_bounded(user)
    if not deny.lift or bounded or deny_all.BOUNDARY in refused:
        return deny.lift
    bound = replace(deny_all.bound(user, "deletion"), checked=frozenset({BEFORE}))
    return bound, *(replace(call, checked=frozenset()) for call in deny.lift)


def deletion_documents(now: datetime, quarantine: QuarantineRecord | None) -> list[str]:
    """The documents of the inline Deny of a deletion that begins ``now``, the one with most details first."""
    return [
        deny_all.deny_all_document(sid) for sid in deletion_sids(quarantine, now.astimezone(timezone.utc))
    ]


def orphan_calls(subject: Subject, devices: Iterable[Item]) -> list[ApiCall]:
    """The calls that delete virtual MFA ``devices`` that belonged to the user and are assigned to nobody now."""
    parts = [part for part in MFA_DEVICE.removals if not part.by_user]
    return [_call(subject.name, part, item) for item in devices for part in parts]


def _what(call: ApiCall) -> tuple[str, Mapping[str, Any]]:
    return call.operation, call.parameters


def _removals(user: IamUser, snapshot: Snapshot | None) -> list[ApiCall]:
    """The calls that remove what is attached to ``user``: kind by kind, and what may deny it something at the end."""
    ranked = [
        (_rank(found), replace(call, checked=call.checked | {DENIED}) if DENY in found else call)
        for kind in REMOVAL_ORDER
        for item in user.attachments[kind.name]
        for found in [effects(kind, item, snapshot)]
        for call in _removals_of(user, kind, item)
    ]
    return [call for _, call in sorted(ranked, key=lambda each: each[0])]


def _rank(found: frozenset[str]) -> int:
    return 0 if DENY not in found else 1 if ALLOW in found else 2


def _removals_of(user: IamUser, kind: AttachmentKind, item: Item) -> Iterator[ApiCall]:
    if kind is INLINE_POLICY and deny_all.brownout_in(item):
        yield deny_all.remove_brownout(user, "deletion")
        return
    yield from (_call(user.name, part, item) for part in kind.removals if part.applies(item))


def _call(name: str, removal: Removal, item: Item) -> ApiCall:
    owner = {"UserName": name} if removal.by_user else {}
    parameters = {name: item[member] for name, member in removal.parameters.items()}
    return ApiCall("iam", removal.operation, {**owner, **parameters}, done_codes=_GONE)
