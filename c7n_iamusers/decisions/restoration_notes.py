# SPDX-License-Identifier: Apache-2.0
"""What a person should know of a restoration beside what is lost. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from c7n_iamusers.decisions.own_traces import quarantine_of
from c7n_iamusers.decisions.restoration_limits import RESTORED_FROM, World, extras, is_ours, restorable_tags
from c7n_iamusers.decisions.restored_groups import unfinished_groups, vanished_groups
from c7n_iamusers.model.attachments import ATTACHED_POLICY
from c7n_iamusers.model.quarantine import TAGS_PER_USER
from c7n_iamusers.model.snapshot import Snapshot


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
