# SPDX-License-Identifier: Apache-2.0
"""Groups of a restored user that have vanished since, made again as its snapshot has them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from c7n_iamusers.decisions.deny_all import iam_call
from c7n_iamusers.decisions.restoration_limits import World
from c7n_iamusers.model.calls import ApiCall
from c7n_iamusers.model.iam_user import Item
from c7n_iamusers.model.snapshot import Snapshot

_EXISTS = frozenset({"EntityAlreadyExists"})


def vanished_groups(snapshot: Snapshot, present: frozenset[str]) -> list[Item]:
    """The groups of the user that no longer exist, as botocore's ``GroupDetail`` where the snapshot has that."""
    details = {group["GroupName"]: group for group in snapshot.groups}
    names = [str(item["GroupName"]) for item in snapshot.user.attachments["group"]]
    return [details.get(name, {"GroupName": name, "Path": "/"}) for name in names if name not in present]


def unfinished_groups(snapshot: Snapshot, world: World) -> list[Item]:
    """The groups that a stopped restoration may have begun: without a member, and without a policy that they had.

    A member comes last, so one that has any is finished, or somebody else's work.
    """
    known = (group for group in snapshot.groups if group["GroupName"] in world.memberless)
    return [
        group
        for group in known
        if any(give_policies(group, world.policies, world.memberless[group["GroupName"]]))
    ]


def group_calls(snapshot: Snapshot, world: World) -> Iterator[ApiCall]:
    """The calls that make the vanished groups of the user again, and finish those that were begun."""
    for group in vanished_groups(snapshot, world.groups):
        yield from recreate_group(group, world.policies)
    for group in unfinished_groups(snapshot, world):
        yield from give_policies(group, world.policies, world.memberless[group["GroupName"]])


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
