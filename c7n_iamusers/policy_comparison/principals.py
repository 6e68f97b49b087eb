# SPDX-License-Identifier: Apache-2.0
"""Principals: the policies of an IAM user, and the context of the requests of a user or a role session. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.lockout.deny_all import brownout_in
from c7n_iamusers.policy_comparison.patterns import characters, escaped


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A managed policy. ``path``: begins and ends with a slash.

    ``document``: of the default version, in any form that ``parse_document`` accepts; None if it was not read.
    """

    arn: str
    name: str
    path: str = "/"
    document: Any = None

    @property
    def aws_managed(self) -> bool:
        """Whether AWS manages the policy, which then has the same ARN in every account of the partition."""
        return self.arn.split(":")[4] == "aws"

    @property
    def path_and_name(self) -> str:
        """Such as ``/ci/Deploy``: how a permission set refers to a customer-managed policy."""
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

    ``tags``: None if they were not read. ``person``: the Identity Center username of the user's person, empty if
    unknown. Several users can have the same person. ``mfa``: whether the user is known to have an MFA device.
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
    mfa: bool = False

    @property
    def managed_policies(self) -> Iterator[tuple[ManagedPolicy, str]]:
        """Each managed policy of the user and its groups, with its source in words; the boundary is excluded."""
        for policy in self.attached:
            yield policy, f"policy {policy.name}"
        for group in self.groups:
            for policy in group.attached:
                yield policy, f"policy {policy.name} of group {group.name}"

    @property
    def inline_policies(self) -> Iterator[tuple[Any, str]]:
        """The document of each inline policy of the user and its groups, with its source in words."""
        for name, document in self.inline:
            yield document, f"inline policy {name}"
        for group in self.groups:
            for name, document in group.inline:
                yield document, f"inline policy {name} of group {group.name}"

    @property
    def subject(self) -> Subject:
        """The user as reports and errors name it."""
        return Subject(self.user_name, self.arn, self.unique_id)


MFA_PRESENT, MFA_AGE = "aws:multifactorauthpresent", "aws:multifactorauthage"
USERNAME = "aws:username"
TAG_PREFIX = "aws:principaltag/"

#: Global condition keys and prefixes whose value differs between an IAM user and a role session of the same person
#: ("AWS global condition context keys", IAM User Guide; for those of identitystore, "AWS STS condition context keys for
#: IAM Identity Center", IAM Identity Center User Guide).
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
    }
)
_PREFIXES = (TAG_PREFIX, "saml:", "identitystore:")

#: The other global keys. Their value does not depend on the principal within the account (same page).
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

#: The values that a key can have in a request. None among them: it can be missing.
Values = frozenset[str | None]
_MISSING: Values = frozenset({None})


def depends_on_principal(key: str) -> bool:
    """Whether the value of ``key`` (in lower case) differs, or can differ, between an IAM user and a role session."""
    return key in _KEYS or key.startswith(_PREFIXES) or not is_documented_key(key)


def is_documented_key(key: str) -> bool:
    """Whether ``key`` (in lower case) is a documented global key or has the prefix of a service.

    A service's keys describe the request. IAM rejects keys without a prefix.
    """
    service, colon, name = key.partition(":")
    if not (service and colon and name):
        return False
    return service != "aws" or key in _KEYS | _GLOBAL or key.startswith((*_PREFIXES, *_GLOBAL_PREFIXES))


@dataclass(frozen=True)
class RequestContext:
    """The known context of a principal's requests.

    ``facts``: key in lower case -> possible values. ``all_tags``: the principal has no tags beside those in ``facts``.
    ``patterns``: key in lower case -> patterns, one of which its value matches (see ``outcomes_by_pattern``).
    """

    facts: Mapping[str, Values] = field(default_factory=dict)
    all_tags: bool = False
    patterns: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def values(self, key: str) -> Values | None:
        """The possible values of ``key`` (in lower case); None if unknown."""
        if self.all_tags and key.startswith(TAG_PREFIX):
            return self.facts.get(key, _MISSING)
        return self.facts.get(key)


def user_context(principal: PrincipalPermissions, with_mfa: bool = False) -> RequestContext:
    """The context of an IAM user's requests. ``with_mfa``: only of requests after a sign-in with MFA.

    Nobody can sign in with MFA as a user without a device, so such a user's MFA keys are unknown.
    """
    tags = principal.tags or {}
    facts: dict[str, Values] = {
        USERNAME: frozenset({principal.user_name}),
        "aws:userid": frozenset({principal.unique_id}),
        "aws:principalarn": frozenset({principal.arn}),
        "aws:principaltype": frozenset({"User"}),
        **{TAG_PREFIX + key.lower(): frozenset({value}) for key, value in tags.items()},
    }
    if with_mfa and principal.mfa:
        facts[MFA_PRESENT] = frozenset({"true"})
    return RequestContext(facts, principal.tags is not None)


def session_context(tags: Mapping[str, str] | None = None) -> RequestContext:
    """The context of requests through a permission set's role. ``tags``: known session tags; there can be others.

    AWS does not document whether these sessions have the MFA keys, so those are unknown.
    """
    facts: dict[str, Values] = {
        USERNAME: _MISSING,
        "aws:principaltype": frozenset({"AssumedRole"}),
        **{TAG_PREFIX + key.lower(): frozenset({value}) for key, value in (tags or {}).items()},
    }
    return RequestContext(facts)


#: The 16 hexadecimal digits that end the name of a permission set's role, and differ between accounts.
_SUFFIX = characters(16)
#: Names of Regions, such as eu-west-1 and ap-southeast-1, and a little more.
_REGIONS = tuple(f"{characters(2)}-{characters(middle)}-{characters(1)}" for middle in range(3, 12))


@dataclass(frozen=True)
class SessionNames:
    """The names of a person's sessions through permission set ``set_name``, as patterns ("Referencing permission sets
    in resource policies, Amazon EKS Cluster config maps, and AWS KMS key policies", Identity Center User Guide).

    ``username``: the session name; empty if it is not known.
    """

    partition: str
    account_id: str
    set_name: str
    username: str

    @property
    def _role(self) -> str:
        return f"AWSReservedSSO_{escaped(self.set_name)}_{_SUFFIX}"

    @property
    def roles(self) -> frozenset[str]:
        """The ARN of the role. Its path has Identity Center's Region, unless that is us-east-1."""
        path = f"arn:{self.partition}:iam::{self.account_id}:role/aws-reserved/sso.amazonaws.com"
        return frozenset({f"{path}/{self._role}", *(f"{path}/{region}/{self._role}" for region in _REGIONS)})

    @property
    def sessions(self) -> frozenset[str]:
        """The ARN of the session."""
        name = escaped(self.username) or "*"
        return frozenset({f"arn:{self.partition}:sts::{self.account_id}:assumed-role/{self._role}/{name}"})

    @property
    def user_ids(self) -> frozenset[str]:
        """The value of aws:userid."""
        return frozenset({f"AROA*:{escaped(self.username) or '*'}"})


def named_session_context(session: RequestContext, names: SessionNames) -> RequestContext:
    """The context ``session``, with facts from the names."""
    patterns = {"aws:principalarn": names.roles, "aws:userid": names.user_ids}
    return replace(session, patterns=patterns)


_Item = Mapping[str, Any]


def principal_permissions(
    user_detail: _Item, groups: Mapping[str, _Item], policies: Mapping[str, Any], person: str = ""
) -> PrincipalPermissions:
    """The policies of the user in ``user_detail`` (botocore's ``UserDetail``).

    ``groups``: name -> ``GroupDetail``. ``policies``: ARN -> document; other policies have the document None.
    ``person``: see ``PrincipalPermissions``. This package's brownouts are left out, because they end by themselves.
    Raises EvidenceUnreadable if the user is in a group that is not in ``groups``.
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
        inline=_inline(each for each in user_detail.get("UserPolicyList") or () if not brownout_in(each)),
        groups=tuple(_group(name, groups, policies, arn) for name in user_detail.get("GroupList") or ()),
        boundary=managed_policy(str(boundary["PermissionsBoundaryArn"]), policies) if boundary else None,
        tags={intern(str(tag["Key"])): str(tag["Value"]) for tag in tags} if tags is not None else None,
        person=person,
    )


def managed_policy(arn: str, policies: Mapping[str, Any]) -> ManagedPolicy:
    """The policy with an ARN such as ``arn:aws:iam::111122223333:policy/ci/Deploy``."""
    path, _, name = arn.partition(":policy")[2].rpartition("/")
    return ManagedPolicy(arn, name, f"{path}/", policies.get(arn))


def _group(
    name: str, groups: Mapping[str, _Item], policies: Mapping[str, Any], user: str
) -> GroupPermissions:
    if name not in groups:
        raise EvidenceUnreadable(
            f"{user} is in group {name}, which was not read, so the group's permissions are unknown: "
            "read the account again, with the groups"
        )
    group = groups[name]
    return GroupPermissions(
        name, _attached(group.get("AttachedManagedPolicies"), policies), _inline(group.get("GroupPolicyList"))
    )


def _attached(items: Iterable[_Item] | None, policies: Mapping[str, Any]) -> tuple[ManagedPolicy, ...]:
    return tuple(managed_policy(str(item["PolicyArn"]), policies) for item in items or ())


def _inline(items: Iterable[_Item] | None) -> tuple[InlinePolicy, ...]:
    return tuple((str(item["PolicyName"]), item["PolicyDocument"]) for item in items or ())
