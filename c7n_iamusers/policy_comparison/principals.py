# SPDX-License-Identifier: Apache-2.0
"""The authentication context of a request, as an IAM user or through Identity Center, and its policies. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.calls import Subject


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy in force; ``path`` begins and ends with a slash.

    ``document``: of the default version, in any form that ``parse_document`` takes; None where it was not read.
    """

    arn: str
    name: str
    path: str = "/"
    document: Any = None

    @property
    def aws_managed(self) -> bool:
        """Whether the policy is AWS's own, which stands under the same ARN in every account of the partition."""
        return self.arn.split(":")[4] == "aws"

    @property
    def path_and_name(self) -> str:
        """``/ci/Deploy``: what a permission set's reference to a customer-managed policy goes by."""
        return f"{self.path}{self.name}"


#: Name and document of an inline policy.
InlinePolicy = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class GroupPermissions:
    """A group that the user is in."""

    name: str
    attached: tuple[ManagedPolicy, ...] = ()
    inline: tuple[InlinePolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class PrincipalPermissions:
    """All identity-based policies of one IAM user.

    ``tags``: its own tags, None where they were not read. ``person``: the Identity Center username of who
    it belongs to, empty where that is not known; users of one person share it.
    """

    account_id: str
    user_name: str
    arn: str
    unique_id: str
    attached: tuple[ManagedPolicy, ...] = ()
    inline: tuple[InlinePolicy, ...] = ()
    groups: tuple[GroupPermissions, ...] = ()
    boundary: ManagedPolicy | None = None
    tags: Mapping[str, str] | None = field(default=None, hash=False)
    person: str = ""

    @property
    def managed_policies(self) -> Iterator[tuple[ManagedPolicy, str]]:
        """Each managed policy, its own and its groups', and through what it has it, in words; no boundary."""
        for policy in self.attached:
            yield policy, f"policy {policy.name}"
        for group in self.groups:
            for policy in group.attached:
                yield policy, f"policy {policy.name} of group {group.name}"

    @property
    def inline_policies(self) -> Iterator[tuple[Any, str]]:
        """The document of each inline policy, its own and its groups', and what it is, in words."""
        for name, document in self.inline:
            yield document, f"inline policy {name}"
        for group in self.groups:
            for name, document in group.inline:
                yield document, f"inline policy {name} of group {group.name}"

    @property
    def subject(self) -> Subject:
        """Whom findings and plans name."""
        return Subject(self.user_name, self.arn, self.unique_id)


MFA_PRESENT, MFA_AGE = "aws:multifactorauthpresent", "aws:multifactorauthage"
USERNAME = "aws:username"
_TAG = "aws:principaltag/"

#: Keys, and beginnings of keys, whose value for one and the same person depends on the way in.
_KEYS = frozenset(
    {
        MFA_PRESENT,
        MFA_AGE,
        USERNAME,
        "aws:userid",
        "aws:principalarn",
        "aws:principaltype",
        "aws:tokenissuetime",
        "aws:sourceidentity",
        "aws:federatedprovider",
        "aws:assumedroot",
        "identitystore:userid",
    }
)
_PREFIXES = (_TAG, "saml:")

#: The other global keys, which say the same of a request whoever of the account makes it, and however.
_GLOBAL = frozenset(
    f"aws:{name}"
    for name in (
        "calledvia calledviafirst calledvialast chatbotsourcearn currenttime ec2instancesourceprivateipv4 "
        "ec2instancesourcevpc epochtime ismcpserviceaction principalaccount principalisawsservice principalorgid "
        "principalorgmasteraccountid principalorgpaths principalservicename principalservicenameslist referer "
        "requestedregion resourceaccount resourceorgid resourceorgpaths securetransport sourceaccount sourcearn "
        "sourceip sourceorgid sourceorgpaths sourceowner sourcevpc sourcevpcarn sourcevpce tagkeys useragent "
        "viaawsservice vpceaccount vpceorgid vpceorgpaths vpcsourceip"
    ).split()
)
_GLOBAL_PREFIXES = ("aws:requesttag/", "aws:resourcetag/")

#: The values that a key can have in a request; None among them: it may be missing.
Values = frozenset[str | None]
_MISSING: Values = frozenset({None})


def depends_on_principal(key: str) -> bool:
    """Whether the value of a key (in lower case) changes for a person who comes in another way, or may."""
    return key in _KEYS or key.startswith(_PREFIXES) or not is_documented_key(key)


def is_documented_key(key: str) -> bool:
    """Whether it is told what a key (in lower case) says: a service's own, or one of the documented global ones.

    A service's key is one of the request. One without any prefix is nobody's, and IAM refuses it.
    """
    service, colon, name = key.partition(":")
    if not (service and colon and name):
        return False
    return service != "aws" or key in _KEYS | _GLOBAL or key.startswith((*_PREFIXES, *_GLOBAL_PREFIXES))


@dataclass(frozen=True)
class RequestContext:
    """``facts``: key in lower case -> values. ``all_tags``: no principal tags but those in ``facts``."""

    facts: Mapping[str, Values] = field(default_factory=dict)
    all_tags: bool = False

    def values(self, key: str) -> Values | None:
        """The possible values of a key in lower case; None where nothing is known of it."""
        if self.all_tags and key.startswith(_TAG):
            return self.facts.get(key, _MISSING)
        return self.facts.get(key)


def user_context(principal: PrincipalPermissions, with_mfa: bool = False) -> RequestContext:
    """An IAM user's own requests; ``with_mfa``: only those made after signing in with MFA."""
    tags = principal.tags or {}
    facts: dict[str, Values] = {
        USERNAME: frozenset({principal.user_name}),
        "aws:userid": frozenset({principal.unique_id}),
        "aws:principalarn": frozenset({principal.arn}),
        "aws:principaltype": frozenset({"User"}),
        **{_TAG + key.lower(): frozenset({value}) for key, value in tags.items()},
    }
    if with_mfa:
        facts[MFA_PRESENT] = frozenset({"true"})
    return RequestContext(facts, principal.tags is not None)


def session_context(tags: Mapping[str, str] | None = None) -> RequestContext:
    """Requests through a permission set's role; ``tags``: session tags that are certain, there may be others.

    Whether such sessions carry the MFA keys is written nowhere, so nothing is taken for granted of them.
    """
    facts: dict[str, Values] = {
        USERNAME: _MISSING,
        "aws:principaltype": frozenset({"AssumedRole"}),
        **{_TAG + key.lower(): frozenset({value}) for key, value in (tags or {}).items()},
    }
    return RequestContext(facts)


_Item = Mapping[str, Any]


def principal_permissions(
    user_detail: _Item, groups: Mapping[str, _Item], policies: Mapping[str, Any], person: str = ""
) -> PrincipalPermissions:
    """``user_detail``: botocore's ``UserDetail``; ``groups``: name -> ``GroupDetail``; ``policies``: ARN -> document.

    ``Inventory`` has the last two as they are wanted here. A policy whose document isn't among ``policies``
    is kept without one. ``person``: see ``PrincipalPermissions``. Raises EvidenceUnreadable for a user in a
    group that isn't among ``groups``: nobody knows what that group allows or denies.
    """
    arn = str(user_detail["Arn"])
    boundary = user_detail.get("PermissionsBoundary") or {}
    tags = user_detail.get("Tags")
    return PrincipalPermissions(
        account_id=intern(arn.split(":")[4]),
        user_name=str(user_detail["UserName"]),
        arn=arn,
        unique_id=str(user_detail["UserId"]),
        attached=_attached(user_detail.get("AttachedManagedPolicies"), policies),
        inline=_inline(user_detail.get("UserPolicyList")),
        groups=tuple(_group(name, groups, policies, arn) for name in user_detail.get("GroupList") or ()),
        boundary=managed_policy(str(boundary["PermissionsBoundaryArn"]), policies) if boundary else None,
        tags={intern(str(tag["Key"])): str(tag["Value"]) for tag in tags} if tags is not None else None,
        person=person,
    )


def managed_policy(arn: str, policies: Mapping[str, Any]) -> ManagedPolicy:
    """The policy of an ARN such as ``arn:aws:iam::111122223333:policy/ci/Deploy``; its name and path are in it."""
    path, _, name = arn.partition(":policy")[2].rpartition("/")
    return ManagedPolicy(arn, name, f"{path}/", policies.get(arn))


def _group(
    name: str, groups: Mapping[str, _Item], policies: Mapping[str, Any], user: str
) -> GroupPermissions:
    if name not in groups:
        raise EvidenceUnreadable(
            f"{user} is in group {name}, which is not among the groups that were read: what it permits is unknown. "
            "Read the account again, with the groups"
        )
    group = groups[name]
    return GroupPermissions(
        name, _attached(group.get("AttachedManagedPolicies"), policies), _inline(group.get("GroupPolicyList"))
    )


def _attached(items: Iterable[_Item] | None, policies: Mapping[str, Any]) -> tuple[ManagedPolicy, ...]:
    return tuple(managed_policy(str(item["PolicyArn"]), policies) for item in items or ())


def _inline(items: Iterable[_Item] | None) -> tuple[InlinePolicy, ...]:
    return tuple((str(item["PolicyName"]), item["PolicyDocument"]) for item in items or ())
