# SPDX-License-Identifier: Apache-2.0
"""What cannot be restored, whom a restoration must not touch, and groups that have vanished since. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from c7n_iamusers.evidence.admin_rights import admin_ways
from c7n_iamusers.evidence.index import grants_of
from c7n_iamusers.evidence.inventory import Inventory
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.iam.attachments import (
    ATTACHED_POLICY,
    ATTACHMENT_KINDS,
    PERMISSIONS_BOUNDARY,
    TAG,
    AttachmentKind,
)
from c7n_iamusers.iam.deny_all import iam_call
from c7n_iamusers.iam.own_traces import NOTHING_KNOWN, without_traces
from c7n_iamusers.iam.quarantine_record import OWN_TAGS
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.snapshots.snapshot import Snapshot

#: The tag that CreateUser of a restoration gives, in the very same call: the snapshot's unique id, and a token that
#: only the restoration's journal tells beforehand.
RESTORED_FROM = f"{OWN_TAGS}restored-from"


@dataclass(frozen=True)
class CurrentState:
    """What a restoration meets. ``user``: as it is now, None where there is none of that name.

    ``made``: unique ids of users that restorations from the snapshot made, and ``tokens``: values of the tag that
    they were to give; both by their journals. ``finished``: those of ``made`` that were restored to the end, but for
    memberships of the groups ``awaited``, which were missing then; the last of that was at ``restored``.

    ``policies``: ARNs of the managed policies, ``groups``: names of the groups, that still exist, of those that
    the snapshot names. ``memberless``: those of ``groups`` that have no member -> names of their inline policies
    and ARNs of the attached ones; read only where groups are to be made again.
    """

    user: IamUser | None
    restored_ids: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()
    finished_ids: frozenset[str] = frozenset()
    awaited_groups: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    memberless: Mapping[str, frozenset[str]] = field(default_factory=dict)
    last_restored: datetime | None = None


def is_restored_user(current: CurrentState) -> bool:
    """True where the user of that name was made by a restoration from the snapshot.

    Its unique id stands in the journal; where the answer of CreateUser was lost, a token in its tag does. The tag
    alone proves nothing: whoever has iam:TagUser can write it.
    """
    now = current.user
    return now is not None and (
        now.unique_id in current.restored_ids or now.tags.get(RESTORED_FROM) in current.tokens
    )


def restorable_tags(was: IamUser) -> list[Mapping[str, str]]:
    """The tags that a restoration gives back, as CreateUser and TagUser take them."""
    # AWS keeps the prefix aws: to itself and refuses it to everybody else.
    return [
        dict(tag) for tag in was.attachments[TAG.name] if not str(tag["Key"]).startswith((OWN_TAGS, "aws:"))
    ]


def lost(snapshot: Snapshot) -> Iterator[str]:
    """What is gone for good with the user, in words, each with the reason."""
    user = snapshot.user
    yield f"the unique id {user.unique_id}: AWS gives each user its own, never again"
    for kind in ATTACHMENT_KINDS:
        for item in user.attachments[kind.name] if kind.lost else ():
            what = "" if kind.identifier == "UserName" else f" {item[kind.identifier]}"
            yield f"{kind.title}{what}: {kind.lost}"
    for tag in user.attachments[TAG.name]:
        if str(tag["Key"]).startswith("aws:"):
            yield f"tag {tag['Key']}: AWS keeps the prefix aws: to itself"


def refusal(snapshot: Snapshot, current: CurrentState) -> str | None:
    """Why nothing may be done; None where it may.

    A user of the same name but another unique id may be what an earlier restoration made, or a stranger, to
    whom nothing must be given: one that no journal of a restoration knows, or with anything beyond the snapshot,
    is taken for a stranger.
    """
    now, policies = current.user, current.policies
    for item in snapshot.user.attachments[PERMISSIONS_BOUNDARY.name]:
        if item["PermissionsBoundaryArn"] not in policies:
            arn = item["PermissionsBoundaryArn"]
            return f"its permissions boundary {arn} no longer exists, and without it it could do more: make it again"
    if now is None or now.unique_id == snapshot.user.unique_id:
        return None
    further = list(extras(snapshot.user, now))
    ours = is_restored_user(current)
    if ours and not further:
        return None
    told = (
        f"with {', '.join(further)}, which the snapshot does not know" if further else "made by somebody else"
    )
    unknown = "" if ours else "; no journal of a restoration tells of it"
    return (
        f"a user of that name exists ({now.unique_id}), {told}{unknown}: it is another one. "
        "Rename or delete that user first"
    )


def extras(was: IamUser, now: IamUser) -> Iterator[str]:
    """What ``now`` has beyond ``was``, in words; our own traces aside."""
    if now.path != was.path:
        yield f"the path {now.path}"
    plain = without_traces(now, NOTHING_KNOWN)
    for kind in ATTACHMENT_KINDS:
        if kind is TAG:
            continue
        known = (
            {_key(kind, item) for item in was.attachments[kind.name]}
            if not kind.lost or _same(was, now)
            else set()
        )
        for item in plain.attachments[kind.name]:
            if _key(kind, item) not in known:
                yield f"{kind.title} {item[kind.identifier]}"


def _key(kind: AttachmentKind, item: Item) -> str:
    member = (kind.restoration.match if kind.restoration else None) or kind.identifier
    return str(item[member]).strip()


def _same(was: IamUser, now: IamUser) -> bool:
    return was.unique_id == now.unique_id


def administrative(snapshot: Snapshot) -> tuple[str, ...]:
    """The policies of ``snapshot`` that make an administrator, in words.

    No snapshot has the text of a customer-managed policy: one counts by its name alone.
    """
    groups = {str(group["GroupName"]): group for group in snapshot.groups}
    for name in snapshot.user.groups or ():
        groups.setdefault(name, {"GroupName": name})
    ways = admin_ways(grants_of(snapshot.user, Inventory(groups=groups))) or ()
    arns = [str(item["PolicyArn"]) for item in snapshot.user.attachments[ATTACHED_POLICY.name]]
    own = (arn.rpartition("/")[2] for arn in arns if ":iam::aws:policy/" not in arn)
    return (*ways, *(f"{name} (by its name)" for name in own if "admin" in name.lower()))


_EXISTS = frozenset({"EntityAlreadyExists"})


def missing_groups(snapshot: Snapshot, present: frozenset[str]) -> list[Item]:
    """The groups of the user that no longer exist, as botocore's ``GroupDetail`` where the snapshot has that."""
    details = {group["GroupName"]: group for group in snapshot.groups}
    names = [str(item["GroupName"]) for item in snapshot.user.attachments["group"]]
    return [details.get(name, {"GroupName": name, "Path": "/"}) for name in names if name not in present]


def unfinished_groups(snapshot: Snapshot, current: CurrentState) -> list[Item]:
    """The groups that a stopped restoration may have begun: without a member, and without a policy that they had.

    A member comes last, so one that has any is finished, or somebody else's work.
    """
    known = (group for group in snapshot.groups if group["GroupName"] in current.memberless)
    return [
        group
        for group in known
        if any(give_policies(group, current.policies, current.memberless[group["GroupName"]]))
    ]


def group_calls(snapshot: Snapshot, current: CurrentState) -> Iterator[ApiCall]:
    """The calls that make the vanished groups of the user again, and finish those that were begun."""
    for group in missing_groups(snapshot, current.groups):
        yield from recreate_group(group, current.policies)
    for group in unfinished_groups(snapshot, current):
        yield from give_policies(group, current.policies, current.memberless[group["GroupName"]])


def recreate_group(group: Item, policies: frozenset[str]) -> Iterator[ApiCall]:
    """The calls that make ``group`` again, with its own policies and those of ``policies`` that it had attached."""
    name = {"GroupName": group["GroupName"]}
    yield iam_call("CreateGroup", {**name, "Path": group["Path"]}, _EXISTS)
    yield from give_policies(group, policies)


def give_policies(
    group: Item, policies: frozenset[str], held: frozenset[str] = frozenset()
) -> Iterator[ApiCall]:
    """The calls that give ``group`` its policies, except those it has: ``held``, by name or ARN."""
    name = {"GroupName": group["GroupName"]}
    for policy in group.get("GroupPolicyList", ()):
        if policy["PolicyName"] in held:
            continue
        document = policy["PolicyDocument"]
        text = document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))
        yield iam_call("PutGroupPolicy", {**name, "PolicyName": policy["PolicyName"], "PolicyDocument": text})
    for policy in group.get("AttachedManagedPolicies", ()):
        if policy["PolicyArn"] in policies - held:
            yield iam_call("AttachGroupPolicy", {**name, "PolicyArn": policy["PolicyArn"]})
