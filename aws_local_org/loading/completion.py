# SPDX-License-Identifier: Apache-2.0
"""What a document refers to without describing it, added; what the account has already, left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from aws_local_org.loading.detail_entry import UNKNOWN_DOCUMENT, Reading
from aws_local_org.seeding.records import (
    AccountContents,
    Group,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
)


def complete(
    contents: AccountContents, catalogue: Collection[str], own_roles: Collection[str], reading: Reading
) -> AccountContents:
    """Add groups and policies that are referred to; leave out roles that are there.

    AWS changes its policies: one of the catalogue takes the document's version and text, where the document has it.
    ``catalogue``: ARNs of the policies that exist in the account. ``own_roles``: names of the roles that do.
    """
    policies = tuple(
        policy
        for policy in contents.policies
        if _is_told(policy, policy_arn(policy, reading), catalogue, reading)
    )
    known = {*catalogue, *(policy_arn(policy, reading) for policy in policies)}
    for role in contents.roles:
        if role.name in own_roles:
            reading.notes.add(
                "role has the name of one of the local organization's own, which was kept", role.name
            )
    return dataclasses.replace(
        contents,
        groups=(*contents.groups, *_missing_groups(contents, reading)),
        roles=tuple(role for role in contents.roles if role.name not in own_roles),
        policies=(*policies, *_missing_policies(contents, known, reading)),
    )


def policy_arn(policy: ManagedPolicy, reading: Reading) -> str:
    owner = "aws" if policy.aws_managed else reading.rehoming.target
    return f"arn:aws:iam::{owner}:policy{policy.path}{policy.name}"


def _is_told(policy: ManagedPolicy, arn: str, catalogue: Collection[str], reading: Reading) -> bool:
    """Whether the document is to be believed about a policy: not about an AWS-managed one whose text it leaves out."""
    texts = {version.version_id: version.document for version in policy.versions}
    if not policy.aws_managed or texts[policy.default_version] != UNKNOWN_DOCUMENT:
        return True
    known = arn in catalogue
    instead = "the known one was kept" if known else "one that grants nothing stands for it"
    reading.notes.add(f"AWS-managed policy is listed without its document, {instead}", arn)
    return not known


def _missing_groups(contents: AccountContents, reading: Reading) -> Iterator[Group]:
    described = {group.name for group in contents.groups}
    for name in dict.fromkeys(name for user in contents.users for name in user.groups):
        if name not in described:
            reading.notes.add("group has members but is not described, made without policies", name)
            yield Group(name, reading.ids.group(), reading.now)


def _missing_policies(
    contents: AccountContents, known: Collection[str], reading: Reading
) -> Iterator[ManagedPolicy]:
    for arn in dict.fromkeys(_referred_policies(contents)):
        if arn not in known:
            reading.notes.add(
                "policy is attached but its document is unknown, one that grants nothing stands for it", arn
            )
            yield _stub(arn, reading)


def _referred_policies(contents: AccountContents) -> Iterator[str]:
    holders: tuple[User | Group | Role, ...] = (*contents.users, *contents.groups, *contents.roles)
    for holder in holders:
        yield from holder.policies
        if not isinstance(holder, Group) and holder.boundary:
            yield holder.boundary


def _stub(arn: str, reading: Reading) -> ManagedPolicy:
    path, _, name = arn.partition(":policy")[2].rpartition("/")
    version = PolicyVersion("v1", UNKNOWN_DOCUMENT, reading.now)
    return ManagedPolicy(
        name, reading.ids.policy(), reading.now, "v1", (version,), f"{path}/", aws_managed=":iam::aws:" in arn
    )
