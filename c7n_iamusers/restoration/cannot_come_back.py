# SPDX-License-Identifier: Apache-2.0
"""Limits of a restoration: what can't be restored, users that must not be changed, which groups are missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from c7n_iamusers.evidence.index import Inventory, applied_policies
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.execution.journal import RESTORED_FROM
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import AppliedPolicy, is_aws_deny_all, written_policy
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout.deny_all import iam_call
from c7n_iamusers.lockout.lockout_state import NOTHING_KNOWN, without_own_changes
from c7n_iamusers.lockout.quarantine_record import OWN_TAGS
from c7n_iamusers.policy_comparison.administrators import admin_policies, unknown
from c7n_iamusers.restoration.deny import OwnDeny
from c7n_iamusers.restoration.lost_trust_denies import RoleTrust
from c7n_iamusers.restoration.rights import CurrentRights
from c7n_iamusers.snapshots.snapshot import Snapshot


@dataclass(frozen=True)
class CurrentState:
    """The current state in AWS, and what earlier restorations from the snapshot did according to their journals.

    ``user``: the user with the snapshot's name; None if there is none. ``rights``: those groups and managed policies of
    the snapshot and the user that exist. ``trust``: the account's roles, if the user's unique id differs, or will
    differ, from the snapshot's. ``memberless``: names of groups without a member; read only if groups are recreated.
    ``own_groups``: names of groups that restorations created. ``own_deny``: see OwnDeny.
    ``boundary_lifted``: see deny.boundary_was_lifted. ``deny_lifted``: see deny.was_lifted.

    ``restored_ids``: unique ids of users that restorations created. ``tokens``: values of their tag RESTORED_FROM.
    ``finished_ids``: those of ``restored_ids`` that were restored completely, except for memberships in
    ``awaited_groups``, which were missing. ``last_restored``: when a restoration last finished.
    """

    user: IamUser | None
    restored_ids: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()
    finished_ids: frozenset[str] = frozenset()
    awaited_groups: frozenset[str] = frozenset()
    rights: CurrentRights = field(default_factory=CurrentRights)
    trust: RoleTrust = field(default_factory=RoleTrust)
    memberless: frozenset[str] = frozenset()
    own_groups: frozenset[str] = frozenset()
    last_restored: datetime | None = None
    own_deny: OwnDeny | None = None
    boundary_lifted: bool = False
    deny_lifted: bool = False

    @property
    def policies(self) -> frozenset[str]:
        """The ARNs of the managed policies that exist."""
        return frozenset(self.rights.policies)

    @property
    def groups(self) -> frozenset[str]:
        """The names of the groups that exist."""
        return frozenset(self.rights.groups)


def is_restored_user(current: CurrentState) -> bool:
    """Whether a restoration from the snapshot created the user of that name.

    The journal has its unique id or, if the response of CreateUser was lost, the token in its tag. The tag alone proves
    nothing, since anybody with iam:TagUser can set it.
    """
    now = current.user
    return now is not None and (
        now.unique_id in current.restored_ids or now.tags.get(RESTORED_FROM) in current.tokens
    )


def restorable_tags(was: IamUser) -> list[Mapping[str, str]]:
    """The tags that a restoration sets, as parameters of CreateUser and TagUser."""
    # The prefix aws: is reserved for AWS ("Tagging IAM resources", IAM User Guide).
    return [
        dict(tag)
        for tag in was.attachments[attachments.TAG.name]
        if not str(tag["Key"]).startswith((OWN_TAGS, "aws:"))
    ]


def lost(snapshot: Snapshot) -> Iterator[str]:
    """What cannot be restored, in words, each with the reason. The first one is the unique id."""
    user = snapshot.user
    yield f"the unique id {user.unique_id}: AWS never assigns one again"
    for kind in attachments.ATTACHMENT_KINDS:
        for item in user.attachments[kind.name] if kind.lost else ():
            what = "" if kind.identifier == "UserName" else f" {item[kind.identifier]}"
            again = "".join(f"; it had {each} {item[each]}" for each in kind.set_again if each in item)
            yield f"{kind.title}{what}: {kind.lost}{again}"
    for tag in user.attachments[attachments.TAG.name]:
        if str(tag["Key"]).startswith("aws:"):
            yield f"tag {tag['Key']}: the prefix aws: is reserved for AWS"


def refusal(snapshot: Snapshot, current: CurrentState) -> str | None:
    """Why nothing may be restored; None if it may.

    An earlier restoration may have created a user with the same name and another unique id. If no restoration's journal
    has it, or it has anything beyond the snapshot, it counts as another user and gets nothing.
    """
    now, policies = current.user, current.policies
    for item in snapshot.user.attachments[attachments.PERMISSIONS_BOUNDARY.name]:
        if item["PermissionsBoundaryArn"] not in policies:
            arn = item["PermissionsBoundaryArn"]
            return (
                f"its permissions boundary {arn} no longer exists, and without that the user could do more: "
                "create it again"
            )
    if now is None or now.unique_id == snapshot.user.unique_id:
        return None
    further = list(extras(snapshot.user, now))
    ours = is_restored_user(current)
    if ours and not further:
        return None
    found = f"with {', '.join(further)}, not in the snapshot" if further else "created by somebody else"
    unknown = "" if ours else "; no journal of a restoration has it"
    return (
        f"a user of that name exists ({now.unique_id}), {found}{unknown}: it is another one. "
        "Rename or delete that user first"
    )


def extras(was: IamUser, now: IamUser) -> Iterator[str]:
    """What ``now`` has beyond ``was``, in words, without traces of this package."""
    if now.path != was.path:
        yield f"the path {now.path}"
    plain = without_own_changes(now, NOTHING_KNOWN)
    for kind in attachments.ATTACHMENT_KINDS:
        if kind is attachments.TAG:
            continue
        known = (
            {_key(kind, item) for item in was.attachments[kind.name]}
            if not kind.lost or _same(was, now)
            else set()
        )
        for item in plain.attachments[kind.name]:
            # A restoration creates the user with AWSDenyAll as its boundary.
            ours = not _same(was, now) and is_aws_deny_all(item.get("PermissionsBoundaryArn"))
            if _key(kind, item) not in known and not ours:
                yield f"{kind.title} {item[kind.identifier]}"


def _key(kind: attachments.AttachmentKind, item: Item) -> str:
    member = (kind.restoration.match if kind.restoration else None) or kind.identifier
    return str(item[member]).strip()


def _same(was: IamUser, now: IamUser) -> bool:
    return was.unique_id == now.unique_id


def not_known(snapshot: Snapshot) -> Iterator[str]:
    """What a partial snapshot lacks, in words: another run may have removed it before."""
    for kind in attachments.ATTACHMENT_KINDS:
        if kind.removals and not snapshot.user.attachments[kind.name]:
            yield f"whether it had any {kind.plural}"
        elif kind.removals:
            yield f"whether it had more {kind.plural} than {len(snapshot.user.attachments[kind.name])}"
    yield "whether a group or policy among them denied it anything"


def administrative(snapshot: Snapshot) -> tuple[str, ...]:
    """The policies in ``snapshot`` that grant administrator rights, or a known way to them, in words.

    A policy without document in the snapshot counts, unless it is AWS-managed and known to grant neither.
    """
    groups = {str(group["GroupName"]): group for group in snapshot.groups}
    for name in snapshot.user.groups or ():
        groups.setdefault(name, {"GroupName": name})
    known = {each.arn: each.text for each in snapshot.policies or ()}
    grants = applied_policies(snapshot.user, Inventory(groups=groups, policies=known)) or ()
    return tuple(_administrative(grants, "the snapshot does not have its document"))


def administrative_today(after: IamUser, rights: CurrentRights) -> tuple[str, ...]:
    """The same for ``after``, the restored user, by today's documents, because a snapshot can be forged."""
    documents = {arn: each.text for arn, each in rights.policies.items()}
    grants = applied_policies(after, Inventory(groups=rights.groups, policies=documents))
    if grants is None:
        return ("a group, perhaps: not all of its groups can be read",)
    return tuple(_administrative(grants, "its document of today can't be read"))


def _administrative(grants: tuple[AppliedPolicy, ...], unread: str) -> Iterator[str]:
    yield from admin_policies(grants) or ()
    for each in unknown(grants):
        why = "AWS manages it, and what it grants is not known" if each.aws_managed else unread
        yield f"{each}, perhaps: {why}"


def parts(snapshot: Snapshot, with_groups: bool = True) -> dict[str, str]:
    """The identifier of each part that has its own restoring call -> the part in words.

    A name for groups and inline policies, an ARN for managed policies, an id for keys and certificates.
    ``with_groups``: also policies of groups.
    """
    found = {
        str(item[kind.identifier]): f"{kind.title} {item[kind.identifier]}"
        for kind in attachments.ATTACHMENT_KINDS
        for item in (snapshot.user.attachments[kind.name] if kind.restoration else ())
    }
    for group in snapshot.groups if with_groups else ():
        for name in group_policies(group):
            found.setdefault(name, f"policy {name} of group {group['GroupName']}")
    return found


#: The prefix of the Ref that a call saves if it restores something under a new id. The former id follows.
NEW_ID = "the new id of "


def part_of(call: ApiCall) -> str:
    """The identifier of the part that ``call`` restores, as in ``parts``; empty if it restores none."""
    named = (str(call.parameters.get(name, "")) for name in ("PolicyArn", "PolicyName", "GroupName"))
    saved = (name.removeprefix(NEW_ID) for name in call.save if name.startswith(NEW_ID))
    return next(filter(None, (*saved, *named)), "")


def without_parts(snapshot: Snapshot, left_out: frozenset[str]) -> Snapshot:
    """``snapshot`` without the parts ``left_out``, by their identifiers."""
    if not left_out:
        return snapshot
    held = dict(snapshot.user.attachments)
    for kind in (each for each in attachments.ATTACHMENT_KINDS if each.restoration):
        held[kind.name] = tuple(item for item in held[kind.name] if item[kind.identifier] not in left_out)
    groups = tuple(
        {
            **group,
            **{
                member: [each for each in group.get(member) or () if each[name] not in left_out]
                for member, name in _GROUP_POLICIES.items()
            },
        }
        for group in snapshot.groups
    )
    return replace(snapshot, user=replace(snapshot.user, attachments=held), groups=groups)


#: The members of GroupDetail that have a group's policies, and what identifies each policy.
_GROUP_POLICIES = {"GroupPolicyList": "PolicyName", "AttachedManagedPolicies": "PolicyArn"}


def group_policies(group: Item) -> frozenset[str]:
    """Names of inline policies and ARNs of attached policies of ``group``, a ``GroupDetail``."""
    return frozenset(
        str(each[name]) for member, name in _GROUP_POLICIES.items() for each in group.get(member) or ()
    )


def missing_groups(snapshot: Snapshot, present: frozenset[str]) -> list[Item]:
    """The user's groups that no longer exist, as botocore's ``GroupDetail`` if the snapshot has it."""
    details = {group["GroupName"]: group for group in snapshot.groups}
    names = [str(item["GroupName"]) for item in snapshot.user.attachments["group"]]
    return [details.get(name, {"GroupName": name, "Path": "/"}) for name in names if name not in present]


def unfinished_groups(snapshot: Snapshot, current: CurrentState) -> list[Item]:
    """Groups that a stopped restoration created: they have no member, and lack a policy that they had.

    A restoration adds the member last, so a group with a member is finished. Somebody else's group gets nothing.
    """
    begun = current.memberless & current.own_groups
    known = (group for group in snapshot.groups if group["GroupName"] in begun)
    return [group for group in known if any(give_policies(group, current.policies, _held(group, current)))]


def _held(group: Item, current: CurrentState) -> frozenset[str]:
    """Names of the inline policies and ARNs of the attached policies of the group ``name`` today."""
    return group_policies(current.rights.groups[group["GroupName"]])


def rights_with_groups(snapshot: Snapshot, current: CurrentState) -> CurrentRights:
    """The rights after ``group_calls``."""
    groups = dict(current.rights.groups)
    for group in (*missing_groups(snapshot, current.groups), *unfinished_groups(snapshot, current)):
        now = groups.get(group["GroupName"], {})
        held = _held(group, current) if now else frozenset()
        inline = [each for each in group.get("GroupPolicyList") or () if each["PolicyName"] not in held]
        attached = [
            each
            for each in group.get("AttachedManagedPolicies") or ()
            if each["PolicyArn"] in current.policies - held
        ]
        groups[group["GroupName"]] = {
            **group,
            **now,
            "GroupPolicyList": [*(now.get("GroupPolicyList") or ()), *inline],
            "AttachedManagedPolicies": [*(now.get("AttachedManagedPolicies") or ()), *attached],
        }
    return CurrentRights(current.rights.policies, groups)


def group_calls(snapshot: Snapshot, current: CurrentState) -> Iterator[ApiCall]:
    """The calls that recreate the user's missing groups, and finish those that an earlier restoration began."""
    for group in missing_groups(snapshot, current.groups):
        yield from recreate_group(group, current.policies)
    for group in unfinished_groups(snapshot, current):
        yield from give_policies(group, current.policies, _held(group, current))


def created_group(name: object) -> str:
    """The Ref that CreateGroup saves. Only the GroupId in its answer proves that the group is ours."""
    return f"created-group {name}"


def recreate_group(group: Item, policies: frozenset[str]) -> Iterator[ApiCall]:
    """The calls that create ``group`` with its inline policies and those of its attached policies in ``policies``.

    EntityAlreadyExists is a failure: the group is somebody else's.
    """
    name = {"GroupName": group["GroupName"]}
    saved = {created_group(group["GroupName"]): ("Group", "GroupId")}
    yield ApiCall("iam", "CreateGroup", {**name, "Path": group["Path"]}, save=saved)
    yield from give_policies(group, policies)


def give_policies(
    group: Item, policies: frozenset[str], held: frozenset[str] = frozenset()
) -> Iterator[ApiCall]:
    """The calls that add the policies of ``group``, except those that it has (``held``: names and ARNs)."""
    name = {"GroupName": group["GroupName"]}
    for policy in group.get("GroupPolicyList", ()):
        if policy["PolicyName"] in held:
            continue
        document = written_policy(policy["PolicyDocument"])
        yield iam_call(
            "PutGroupPolicy", {**name, "PolicyName": policy["PolicyName"], "PolicyDocument": document}
        )
    for policy in group.get("AttachedManagedPolicies", ()):
        if policy["PolicyArn"] in policies - held:
            yield iam_call("AttachGroupPolicy", {**name, "PolicyArn": policy["PolicyArn"]})
