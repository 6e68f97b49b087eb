# SPDX-License-Identifier: Apache-2.0
"""From a snapshot and what there is now to the calls that bring the user back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.decisions.deny_all import (
    deny_all_arn,
    deny_all_document,
    holds_attached,
    holds_inline,
    iam_call,
    inline_fits,
    is_bounded,
    lift_inline,
)
from c7n_iamusers.decisions.own_traces import quarantine_of
from c7n_iamusers.decisions.restoration_limits import RESTORED_FROM, World, lost, refusal, restorable_tags
from c7n_iamusers.decisions.restoration_notes import notes
from c7n_iamusers.decisions.restored_groups import group_calls
from c7n_iamusers.exceptions import RestorationRefused
from c7n_iamusers.model.attachment_rows import ACTIVE, INACTIVE, AttachmentKind
from c7n_iamusers.model.attachments import ATTACHED_POLICY, ATTACHMENT_KINDS, GROUP, PERMISSIONS_BOUNDARY
from c7n_iamusers.model.calls import ApiCall, Plan, Ref
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.quarantine import TAGS_PER_USER
from c7n_iamusers.model.snapshot import Snapshot

_EXISTS = frozenset({"EntityAlreadyExists"})


@dataclass(frozen=True)
class Restoration:
    """``plan``: no calls where everything is back. ``lost``: what can't come back. ``notes``: what else to know."""

    plan: Plan
    lost: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())


def plan_restoration(snapshot: Snapshot, world: World, recreate_groups: bool = False) -> Restoration:
    """The calls that bring the user of ``snapshot`` back: user, policies, groups, at last what it signs in with.

    A call may hold a Ref, for the id that an earlier call of the plan brings.
    Raises RestorationRefused where a user of that name is not the one, or its boundary no longer exists.
    """
    calls = tuple(_calls(snapshot, world, recreate_groups))
    if calls and (reason := refusal(snapshot, world.user, world.policies)):
        raise RestorationRefused(f"{snapshot.user.subject}: not restored: {reason}")
    reborn = world.user is None or world.user.unique_id != snapshot.user.unique_id
    return Restoration(
        Plan(snapshot.user.subject, calls),
        tuple(lost(snapshot)) if reborn else (),
        tuple(notes(snapshot, world, recreate_groups, reborn)),
    )


def _calls(snapshot: Snapshot, world: World, recreate_groups: bool) -> Iterator[ApiCall]:
    was, now = snapshot.user, world.user
    if now is None:
        yield _create(was)
    else:
        yield from _narrow(was, now)
    if recreate_groups:
        yield from group_calls(snapshot, world)
    groups = world.groups | (
        {item["GroupName"] for item in was.attachments["group"]} if recreate_groups else set()
    )
    possible = {ATTACHED_POLICY.name: world.policies, GROUP.name: groups}
    for kind in reversed(ATTACHMENT_KINDS):
        for item in was.attachments[kind.name] if kind.restoration else ():
            if item[kind.identifier] in possible.get(kind.name, {item[kind.identifier]}):
                yield from _restore(snapshot, now, kind, item)
    if now is not None:
        yield from _lift(was, now)


def _create(was: IamUser) -> ApiCall:
    given: dict[str, Any] = {"UserName": was.name, "Path": was.path}
    tags = restorable_tags(was)
    if len(tags) < TAGS_PER_USER:
        tags = [*tags, {"Key": RESTORED_FROM, "Value": was.unique_id}]
    given["Tags"] = tags
    for item in was.attachments[PERMISSIONS_BOUNDARY.name]:
        given["PermissionsBoundary"] = item["PermissionsBoundaryArn"]
    return iam_call("CreateUser", given, _EXISTS)


def _narrow(was: IamUser, now: IamUser) -> Iterator[ApiCall]:
    """Boundary and tags of a user that is there: they come before anything that it may use."""
    if not now.attachments[PERMISSIONS_BOUNDARY.name]:
        yield from _bound(was)
    keys = {key.lower() for key in now.tags}
    missing = [tag for tag in restorable_tags(was) if tag["Key"].lower() not in keys]
    if missing:
        yield iam_call("TagUser", {"UserName": was.name, "Tags": missing})


def _bound(was: IamUser) -> Iterator[ApiCall]:
    for item in was.attachments[PERMISSIONS_BOUNDARY.name]:
        boundary = {"UserName": was.name, "PermissionsBoundary": item["PermissionsBoundaryArn"]}
        yield iam_call("PutUserPermissionsBoundary", boundary)


def _restore(snapshot: Snapshot, now: IamUser | None, kind: AttachmentKind, item: Item) -> Iterator[ApiCall]:
    assert kind.restoration, f"{kind.name} does not come back"
    held = _held(now, kind, item)
    if held is None:
        given = {name: _text(item[member]) for name, member in kind.restoration.parameters.items()}
        user = {"UserName": snapshot.user.name}
        yield iam_call(kind.restoration.operation, {**user, **given}, kind.restoration.present_codes)
    inactive = item.get("Status") == INACTIVE and item[kind.identifier] not in snapshot.deactivated
    if kind.status_change and inactive and (held is None or held.get("Status") == ACTIVE):
        new_id = Ref(f"the new id of {item[kind.identifier]}") if held is None else held[kind.identifier]
        given = dict.fromkeys(kind.status_change.parameters, new_id)
        yield iam_call(
            kind.status_change.operation, {"UserName": snapshot.user.name, **given, "Status": INACTIVE}
        )


def _held(now: IamUser | None, kind: AttachmentKind, item: Item) -> Item | None:
    """What the user has already of what the snapshot has as ``item``."""
    member = (kind.restoration.match if kind.restoration else None) or kind.identifier
    wanted = str(item[member]).strip()
    items = now.attachments[kind.name] if now else ()
    return next((held for held in items if str(held[member]).strip() == wanted), None)


def _lift(was: IamUser, now: IamUser) -> Iterator[ApiCall]:
    """Takes the Deny-all off that a stopped deletion left; a quarantine's policy is for ``release`` to lift."""
    if now.unique_id != was.unique_id:
        return
    if quarantine_of(now) is None:
        yield from _lift_policies(was, now)
    if not is_bounded(now) or is_bounded(was):
        return
    if was.attachments[PERMISSIONS_BOUNDARY.name]:
        yield from _bound(was)
    else:
        yield iam_call("DeleteUserPermissionsBoundary", {"UserName": now.name})


def _lift_policies(was: IamUser, now: IamUser) -> Iterator[ApiCall]:
    if holds_inline(now):
        yield lift_inline(now)
    # A deletion attaches it only where no inline policy fits; elsewhere somebody else put it there.
    attached = holds_attached(now) and not holds_attached(was) and not inline_fits(was, deny_all_document())
    if attached:
        yield iam_call("DetachUserPolicy", {"UserName": now.name, "PolicyArn": deny_all_arn(now)})


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
