# SPDX-License-Identifier: Apache-2.0
"""Planning a release: which user may get back what a quarantine took, and the calls. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import ApiCall, Plan
from c7n_iamusers.iam.attachments import (
    ACTIVE,
)
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.lockout import deny_all, lockout_state
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.left_inactive import left_inactive
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord, is_quarantine_tag, tagged_since
from c7n_iamusers.quarantine.plan import NO_DENY, switch
from c7n_iamusers.reasons import Reason


def record_to_release(user: IamUser, history: CallHistory, now: datetime) -> QuarantineRecord | None:
    """The record of the quarantine that a release of ``user`` ends; None if there is none."""
    if found := lockout_state.quarantine_of(user, history):
        return found
    claimed = tagged_since(user.tags)
    if claimed and history.quarantine:
        # The Deny was removed outside this tool: no credential is activated, and the notes name those inactive.
        return lockout_state.only_ours(user, history.quarantine, history)
    if form := lockout_state.own_deny(user, history):
        # An earlier release ended before it lifted the Deny, or did not know it: the rest is what we deactivated under
        # this Deny and did not activate since.
        recorded = history.record or QuarantineRecord(now, "", "", known=False)
        since = history.attached_deny() if form == deny_all.ATTACHED else history.boundary_deny()
        ours = lockout_state.to_activate(user, history) - history.activated_ids(since or now)
        ids = {*history.deactivated_ids(since)} & ours
        return replace(recorded, deactivated=tuple(sorted(ids)), deny=form)
    if claimed and history.record and history.record.since == claimed:
        # The journal shows its release, which ended before it removed the tag.
        return replace(history.record, deactivated=())
    return None


@dataclass(frozen=True)
class ReleasePlan:
    """``problem``: why nothing is done; None if ``plan`` can be applied. ``notes``: hints for people."""

    plan: Plan
    notes: tuple[Reason, ...] = ()
    problem: Reason | None = None


def plan_release(
    user: IamUser, record: QuarantineRecord, history: CallHistory, former_boundary: Iterable[Item] | None
) -> ReleasePlan:
    """The calls that return ``user`` to its state before: first credentials, then the Deny, finally tags.

    If the Deny is gone, or what was active is not known, credentials stay as they are: see
    ``left_inactive``. ``former_boundary``: the boundary that AWSDenyAll replaced, empty for none, None if
    that is not known.
    """
    plan = Plan(user.subject, ())
    if deny_all.is_bounded(user) and former_boundary is None:
        return ReleasePlan(plan, problem=reasons.BOUNDARY_UNKNOWN())
    changed = [i for i in deny_all.foreign_policies(user) if i["PolicyName"] == deny_all.DENY_ALL_NAME]
    if record.deny == deny_all.INLINE and any(map(deny_all.denies, changed)):
        return ReleasePlan(plan, problem=reasons.DENY_REWRITTEN(policy=changed[0]["PolicyName"]))
    holds = lockout_state.denied(user, record) or record.deny == NO_DENY
    new = (
        lockout_state.activated_by_others(user, record, history) if lockout_state.denied(user, record) else []
    )
    if new:
        return ReleasePlan(plan, problem=reasons.ACTIVATED_SINCE(which=", ".join(new)))
    off = lockout_state.recorded_inactive(user, record) if record.known and holds else []
    switches = [switch(user, kind, item, ACTIVE) for kind, item in off]
    removals = [deny_all.remove_brownout(user, "release")] if deny_all.brownout_of(user) else []
    removals += [deny_all.remove_inline_deny(user, "release")] if deny_all.holds_inline(user) else []
    if history.attached_deny() and deny_all.holds_attached(user):
        removals.append(deny_all.detach_deny_all(user, "release"))
    removals += restore_boundary(user, former_boundary or ()) if deny_all.is_bounded(user) else []
    keys = sorted(key for key in user.tags if is_quarantine_tag(key))
    untag = [deny_all.identified_call("UntagUser", {"UserName": user.name, "TagKeys": keys})] if keys else []
    plan = replace(plan, calls=(*switches, *removals, *untag))
    notes = left_inactive(user, record, history)
    notes += [reasons.POLICY_STAYS(policy=item["PolicyName"]) for item in deny_all.foreign_policies(user)]
    return ReleasePlan(plan, tuple(notes))


def used_under_aws_deny_all(
    record: QuarantineRecord, history: CallHistory, keys: Iterable[KeyUse]
) -> Reason | None:
    """Why the AWSDenyAll on a user may be somebody else's; None if no use of ``keys`` says so.

    It has no record in itself. Where a key was used that ``record`` had deactivated, somebody ended that quarantine.
    """
    if record.deny in (deny_all.INLINE, NO_DENY, deny_all.GONE_DENY):
        return None
    off = {identity: call.time for identity, call in history.deactivations().items()}
    used = [
        f"access key {each.key_id} on {each.at:%Y-%m-%d %H:%M} UTC"
        for each in keys
        if each.at and each.key_id in record.deactivated
        if each.at > off.get(each.key_id, record.since) + lockout_state.SETTLED
    ]
    return reasons.USED_SINCE_DEACTIVATED(which=", ".join(used)) if used else None


def still_denying(user: IamUser) -> str:
    """What denies ``user``, and may be a Deny of ours without a record here, in words; empty if nothing does."""
    forms = {
        f"the inline policy {deny_all.DENY_ALL_NAME} is on it": deny_all.holds_inline(user),
        "AWSDenyAll is still attached": deny_all.holds_attached(user),
        "AWSDenyAll is still its permissions boundary": deny_all.is_bounded(user),
    }
    foreign = map(_foreign_deny, filter(deny_all.denies, deny_all.foreign_policies(user)))
    return ", and ".join([*(form for form, holds in forms.items() if holds), *foreign])


def _foreign_deny(policy: Item) -> str:
    return f"its inline policy {policy['PolicyName']}, which somebody else wrote or changed, still denies"


def restore_boundary(user: IamUser, former: Iterable[Item]) -> list[ApiCall]:
    """The call that sets the ``former`` boundary that AWSDenyAll replaced, or deletes AWSDenyAll if there was none."""
    for item in former:
        if item["PermissionsBoundaryArn"] == deny_all.deny_all_arn(user):
            return []
        boundary = {"UserName": user.name, "PermissionsBoundary": item["PermissionsBoundaryArn"]}
        return [deny_all.identified_call("PutUserPermissionsBoundary", boundary)]
    return [deny_all.identified_call("DeleteUserPermissionsBoundary", {"UserName": user.name})]
