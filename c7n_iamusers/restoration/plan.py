# SPDX-License-Identifier: Apache-2.0
"""From a snapshot and the current state to the calls that bring a user back, with notes for people. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from c7n_iamusers.exceptions import RestorationRefused
from c7n_iamusers.execution.calls import ApiCall, Plan, Ref, Subject
from c7n_iamusers.iam.attachments import (
    ACTIVE,
    ATTACHED_POLICY,
    ATTACHMENT_KINDS,
    GROUP,
    INACTIVE,
    PERMISSIONS_BOUNDARY,
    AttachmentKind,
)
from c7n_iamusers.iam.deny_all import (
    deny_all_document,
    detach_deny_all,
    holds_attached,
    iam_call,
    inline_deny_all,
    is_bounded,
    is_same_deny,
    put_back,
    remove_inline_deny,
)
from c7n_iamusers.iam.history import History
from c7n_iamusers.iam.own_changes import NOTHING_KNOWN, deny_record_of, quarantine_of
from c7n_iamusers.iam.quarantine_record import TAGS_PER_USER
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.quarantine.plan import unbind
from c7n_iamusers.restoration.limits import (
    RESTORED_FROM,
    World,
    extras,
    group_calls,
    is_ours,
    lost,
    refusal,
    restorable_tags,
    unfinished_groups,
    vanished_groups,
)
from c7n_iamusers.snapshots.choice import removed_by_us, whole_snapshot
from c7n_iamusers.snapshots.snapshot import Snapshot


def notes(snapshot: Snapshot, world: World, recreate_groups: bool, reborn: bool) -> Iterator[str]:
    """The notes, in words. ``reborn``: the user has, or gets, another unique id."""
    vanished = [] if recreate_groups else vanished_groups(snapshot, world.groups)
    return chain(
        _policies(snapshot, world),
        (
            f"group {group['GroupName']} no longer exists: --recreate-groups makes it again with its policies"
            for group in vanished
        ),
        _group_policies(snapshot, world) if recreate_groups else (),
        _quarantines(snapshot, world),
        _beyond(snapshot, world),
        _mark(snapshot, world) if reborn else (),
        _trust(snapshot) if reborn else (),
    )


def _policies(snapshot: Snapshot, world: World) -> Iterator[str]:
    for item in snapshot.user.attachments[ATTACHED_POLICY.name]:
        if item["PolicyArn"] not in world.policies:
            yield f"managed policy {item['PolicyArn']} no longer exists: it is not attached"


def _group_policies(snapshot: Snapshot, world: World) -> Iterator[str]:
    unfinished = unfinished_groups(snapshot, world)
    for group in unfinished:
        yield f"group {group['GroupName']} has no member and lacks policies that it had: it gets them again"
    for group in (*vanished_groups(snapshot, world.groups), *unfinished):
        for policy in group.get("AttachedManagedPolicies", ()):
            if policy["PolicyArn"] not in world.policies:
                arn = policy["PolicyArn"]
                yield f"managed policy {arn} of group {group['GroupName']} no longer exists: it is not attached"


def _mark(snapshot: Snapshot, world: World) -> Iterator[str]:
    tag = f"the tag {RESTORED_FROM}"
    if world.user is None and len(restorable_tags(snapshot.user)) >= TAGS_PER_USER:
        yield f"it has no room for {tag}: if this run is stopped, delete what it made before the next"
    elif world.user is None or is_ours(world):
        yield f"it has {tag}, which tells people whom it replaces: take it off once all is back"


def _quarantines(snapshot: Snapshot, world: World) -> Iterator[str]:
    if snapshot.partial:
        yield "another run had begun to delete it before: what that removed is not in this output"
    if snapshot.quarantine:
        yield f"it was in quarantine since {snapshot.quarantine['since']}: it comes back as it was before that"
    if world.user and quarantine_of(world.user):
        yield "it is in quarantine now: the action release takes it out"


def _beyond(snapshot: Snapshot, world: World) -> Iterator[str]:
    for each in extras(snapshot.user, world.user) if world.user else ():
        yield f"it has {each} that its snapshot does not know: left as it is"


def _trust(snapshot: Snapshot) -> Iterator[str]:
    for role in snapshot.trusted_by:
        yield f"the trust policy of {role} named the user: save it again, as it holds the id of the dead one"


#: The Ref that CreateUser leaves: the new unique id. The notes of its line: whom it replaces, and the tag's value.
CREATED, REPLACES, TOKEN = "created-user", "replaces", "token"
_EXISTS = frozenset({"EntityAlreadyExists"})


@dataclass(frozen=True)
class Recorded:
    """What is on record of one user: its ``snapshots``, and what their journals show that was done to it.

    ``journaled``: there is a journal that tells of it.
    """

    snapshots: tuple[Snapshot, ...]
    history: History = NOTHING_KNOWN
    journaled: bool = False

    @property
    def subject(self) -> Subject:
        """The user that was."""
        return self.snapshots[-1].user.subject


@dataclass(frozen=True)
class Restoration:
    """``plan``: no calls where there is nothing to do. ``lost``: what can't come back. ``notes``: what else to know.

    ``of``: what comes back, as a snapshot. ``lives``: the user itself still exists. ``without``: missing groups.
    ``unowned``: the journal shows that somebody else deleted it.
    """

    plan: Plan
    of: Snapshot
    lost: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    lives: bool = False
    unowned: bool = False
    without: tuple[str, ...] = ()


def plan_restoration(
    recorded: Recorded, world: World, token: str = "", recreate_groups: bool = False
) -> Restoration:
    """The calls that bring the user of ``recorded`` back: user, policies, groups, at last what it signs in with.

    A user whose unique id still exists gets what we removed from it, and nothing else: whatever else it lacks,
    somebody took away on purpose. ``token``: the value of the tag by which a lost answer of CreateUser is made up for.
    A call may hold a Ref, for the id that an earlier call of the plan brings.
    Raises RestorationRefused where a user of that name is not the one, or its boundary no longer exists.
    """
    if world.user is not None and world.user.unique_id == recorded.subject.unique_id:
        return _for_the_living(recorded, world.user, world)
    snapshot = whole = whole_snapshot(recorded.snapshots, recorded.history)
    if world.user is not None and world.user.unique_id in world.finished:
        # Whatever else it lacks was taken from it since.
        snapshot = _of_groups(snapshot, world.awaited if recreate_groups else frozenset())
    calls = tuple(_calls(snapshot, world, token, recreate_groups))
    if (calls or not is_ours(world)) and (reason := refusal(whole, world)):
        raise RestorationRefused(f"{snapshot.user.subject}: not restored: {reason}")
    told = tuple(notes(whole, world, recreate_groups, True))
    missing = vanished_groups(snapshot, world.groups)
    without = () if recreate_groups else tuple(str(group["GroupName"]) for group in missing)
    history = recorded.history
    unowned = world.user is None and recorded.journaled and not history.deleted(world.restored)
    lost_ = tuple(lost(whole))
    return Restoration(Plan(recorded.subject, calls), snapshot, lost_, told, unowned=unowned, without=without)


def _of_groups(snapshot: Snapshot, names: frozenset[str]) -> Snapshot:
    """``snapshot`` without all but memberships of the groups ``names``."""
    bare = dict.fromkeys(snapshot.user.attachments, ())
    members = tuple(item for item in snapshot.user.attachments[GROUP.name] if item["GroupName"] in names)
    user = replace(snapshot.user, attachments={**bare, GROUP.name: members})
    groups = tuple(group for group in snapshot.groups if group["GroupName"] in names)
    return replace(snapshot, user=user, groups=groups)


def _for_the_living(recorded: Recorded, now: IamUser, world: World) -> Restoration:
    snapshot = removed_by_us(recorded.snapshots, recorded.history)
    if (seal := deny_record_of(now)) and seal.quarantine:
        # In a quarantine nothing is active: what it had switched off comes back so.
        snapshot = replace(snapshot, quarantine=None)
    calls = (*_attachments(snapshot, now, world, world.groups), *_lift(recorded, now))
    told = tuple(notes(snapshot, world, False, False)) if calls else ()
    gone = tuple(lost(snapshot))[1:]  # it has its unique id still
    return Restoration(Plan(recorded.subject, calls), snapshot, gone if calls else (), told, lives=True)


def _calls(snapshot: Snapshot, world: World, token: str, recreate_groups: bool) -> Iterator[ApiCall]:
    was, now = snapshot.user, world.user
    if now is None:
        yield _create(was, token)
    else:
        yield from _narrow(was, now)
    if recreate_groups:
        yield from group_calls(snapshot, world)
    groups = world.groups | (
        {item["GroupName"] for item in was.attachments["group"]} if recreate_groups else set()
    )
    yield from _attachments(snapshot, now, world, groups)


def _attachments(
    snapshot: Snapshot, now: IamUser | None, world: World, groups: frozenset[str]
) -> Iterator[ApiCall]:
    possible = {ATTACHED_POLICY.name: world.policies, GROUP.name: groups}
    for kind in reversed(ATTACHMENT_KINDS):
        for item in snapshot.user.attachments[kind.name] if kind.restoration else ():
            if item[kind.identifier] in possible.get(kind.name, {item[kind.identifier]}):
                yield from _restore(snapshot, now, kind, item)


def _create(was: IamUser, token: str) -> ApiCall:
    given: dict[str, Any] = {"UserName": was.name, "Path": was.path}
    tags = restorable_tags(was)
    if len(tags) < TAGS_PER_USER:
        tags = [*tags, {"Key": RESTORED_FROM, "Value": token}]
    given["Tags"] = tags
    for item in was.attachments[PERMISSIONS_BOUNDARY.name]:
        given["PermissionsBoundary"] = item["PermissionsBoundaryArn"]
    saved = {CREATED: ("User", "UserId")}
    told = {REPLACES: was.unique_id, TOKEN: token}
    return ApiCall("iam", "CreateUser", given, done_codes=_EXISTS, save=saved, notes=told)


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
        present = kind.restoration.present_codes
        yield ApiCall(
            "iam", kind.restoration.operation, {**user, **given}, present, notes={"for": "restoration"}
        )
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


def _lift(recorded: Recorded, now: IamUser) -> Iterator[ApiCall]:
    """Takes the Deny-all of a stopped deletion off; a quarantine's goes on again, and is for ``release`` to lift."""
    history, seal = recorded.history, deny_record_of(now)
    standing = inline_deny_all(now)
    ours = standing and any(is_same_deny(each, standing) for each in history.inline_denies())
    if ours and not (seal and seal.quarantine and not seal.deletion):
        if seal and seal.quarantine:
            document = deny_all_document(seal.quarantine.sids[0])
            yield put_back(now, remove_inline_deny(now), document, "quarantine")
        else:
            yield remove_inline_deny(now)
    free = history.quarantine is None
    if (free or history.attached_for() == "deletion") and history.attached_deny() and holds_attached(now):
        yield detach_deny_all(now, "restoration")
    if (free or history.boundary_for() == "deletion") and history.boundary_deny() and is_bounded(now):
        yield from unbind(now, _former_boundary(recorded))


def _former_boundary(recorded: Recorded) -> tuple[Item, ...]:
    told = recorded.history.former_boundary()
    if told is not None:
        return ({"PermissionsBoundaryArn": told},) if told else ()
    # The version before noted it in its first snapshot only.
    return recorded.snapshots[0].user.attachments[PERMISSIONS_BOUNDARY.name]


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
