# SPDX-License-Identifier: Apache-2.0
"""A service control policy: only named roles create credentials. It protects these roles and our functions. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from string import ascii_letters, digits
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, EXPLICIT_DENY, Request, decision

#: What creates a user, or creates, replaces or activates a long-term credential (Service Authorization Reference, IAM).
#: Updates of a status are denied even if they deactivate: IAM has no condition key for the status. Key pairs for
#: CloudFront are the root user's. Users can still change their own password, which takes the old one.
CREATING = tuple(
    f"iam:{name}"
    for name in (
        "CreateAccessKey",
        "CreateLoginProfile",
        "CreateServiceSpecificCredential",
        "CreateUser",
        "ResetServiceSpecificCredential",
        "UpdateAccessKey",
        "UpdateCloudFrontPublicKey",
        # sets another password for an existing user
        "UpdateLoginProfile",
        "UpdateSSHPublicKey",
        "UpdateServiceSpecificCredential",
        "UpdateSigningCertificate",
        "UploadCloudFrontPublicKey",
        "UploadSSHPublicKey",
        "UploadSigningCertificate",
    )
)
#: What makes a role, or changes who may assume it and what it may do.
CHANGING = tuple(
    f"iam:{name}"
    for name in (
        # creates a role from a template of AWS, with the template's name
        "AcquireRole",
        "AttachRolePolicy",
        "CreateRole",
        "DeleteRole",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "TagRole",
        "UntagRole",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
        "UpdateRoleDescription",
    )
)
#: What ends a credential, or denies its user everything. It stays open to everybody.
_ENDING = tuple(
    f"iam:{name}"
    for name in (
        "AttachUserPolicy",
        "DeleteAccessKey",
        "DeleteLoginProfile",
        "DeleteSSHPublicKey",
        "DeleteServiceSpecificCredential",
        "DeleteSigningCertificate",
        "DeleteUser",
        "PutUserPolicy",
    )
)
#: What is ours in an account, by the names of the shipped policies: the beginning of its ARN after the partition, and
#: the actions that change it or run a function on a forged event. No service control policy binds EventBridge itself.
FUNCTIONS, RULES = "lambda:*:*:function:custodian-iam-users-*", "events:*:*:rule/custodian-iam-users-*"
_OF_FUNCTIONS = tuple(
    f"lambda:{name}*"
    for name in ("Add", "Create", "Delete", "Invoke", "Publish", "Put", "Remove", "Tag", "Untag", "Update")
)
_OF_RULES = tuple(
    f"events:{name}"
    for name in (
        *("DeleteRule", "DisableRule", "EnableRule", "PutRule", "PutTargets"),
        *("RemoveTargets", "TagResource", "UntagResource"),
    )
)
_OF_QUEUES = tuple(
    f"sqs:{name}"
    for name in ("AddPermission", "DeleteQueue", "PurgeQueue", "RemovePermission", "SetQueueAttributes")
)
_OF_TRAILS = tuple(
    f"cloudtrail:{name}" for name in ("DeleteTrail", "PutEventSelectors", "StopLogging", "UpdateTrail")
)
#: With it, a function of another name would run as a role of ours.
_PASSING = "iam:PassRole"
#: "Maximum size of a service control policy" (Quotas for AWS Organizations): 10,240 by two reports of AWS's
#: announcement of 2026-05-15. Copies of AWS's page still have FORMERLY_LONGEST. By API, white space counts.
LONGEST, FORMERLY_LONGEST = 10_240, 5_120
#: RoleName and Path (IAM API reference, CreateRole). A path counts with its slashes.
_LONGEST_NAME, _LONGEST_PATH = 64, 512
#: A part of a role's name and path; a * stands for anything.
_PART = re.compile(r"[\w+=,.@*-]+", re.ASCII)
#: The name of a queue or trail.
_PLACE = re.compile(r"[\w.-]{1,128}", re.ASCII)
_SERVICE_LINKED = "aws-service-role/"
#: Attached everywhere unless somebody removed it; a service control policy alone allows nothing.
FULL_ACCESS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_ACCOUNT = "111122223333"
#: What a role's name can begin with (RoleName: IAM API reference, CreateRole).
_BEGINNINGS = f"u{ascii_letters}{digits}_+=,.@-"


@dataclass(frozen=True)
class Guardrail:
    """``document``: the service control policy. ``checks``: the number of decisions that were checked.

    ``length``: its characters when printed.
    """

    name: str
    description: str
    document: Mapping[str, Any]
    checks: int
    length: int


@dataclass(frozen=True)
class Ours:
    """What is protected beside the spared roles. ``roles``: names of further roles, such as those of functions.

    ``deployers``: names of the roles that deploy the functions, which alone, and admins, may change these, their rules,
    the ``queues`` and ``trails`` (names), and pass ``roles``.
    """

    roles: Sequence[str] = ()
    deployers: Sequence[str] = ("IamUsersDeployer",)
    queues: Sequence[str] = ("iam-users-realtime",)
    trails: Sequence[str] = ()


_OURS = Ours()


def guardrail(
    spared: Sequence[str], admins: Sequence[str], partition: str = "aws", ours: Ours = _OURS
) -> Guardrail:
    """The policy that denies CREATING to all but the roles ``spared``, and CHANGING on the named roles to all others.

    ``spared``, ``admins``: names of roles, with their path if they have one. Both may change roles of these names.
    A further statement protects ``ours``. Raises InvalidPolicyData for an invalid name, and for a policy that is too
    long.
    """
    _check_names(spared, admins, ours)
    makers, keepers, protected, deployers = (
        [role_pattern(each, partition) for each in dict.fromkeys(names)]
        for names in (
            *(spared, (*spared, *admins), (*spared, *admins, *ours.roles, *ours.deployers)),
            (*ours.deployers, *admins),
        )
    )
    passed = [role_pattern(each, partition) for each in dict.fromkeys(ours.roles)]
    changing, resources = (list(each) for each in zip(*_of_ours(ours), strict=True))
    document = {
        "Version": "2012-10-17",
        "Statement": [
            _deny("DenyLongTermCredentials", CREATING, "*", makers),
            _deny("ProtectExemptRoles", CHANGING, protected, keepers),
            _deny(
                "ProtectFunctions",
                [*(action for actions in changing for action in actions), *([_PASSING] if passed else [])],
                [*(f"arn:{partition}:{each}" for each in resources), *passed],
                deployers,
            ),
        ],
    }
    length = len(json.dumps(document, indent=2))
    if length > LONGEST:
        raise InvalidPolicyData(
            f"the policy has {length} characters, and a service control policy can have {LONGEST}: give fewer roles, "
            "or roles with a common beginning as one name that ends with *"
        )
    cases = [*_cases(spared, admins, partition, ours)]
    for case in cases:
        case.check(document)
    text = "Denies creating IAM users, and creating or activating credentials, except by named roles"
    return Guardrail("c7n-iamusers-guardrail", text, document, len(cases), length)


def _check_names(spared: Sequence[str], admins: Sequence[str], ours: Ours) -> None:
    """Raises InvalidPolicyData for an invalid name."""
    options = {"spare": spared, "admin": admins, "protect": ours.roles, "deployer": ours.deployers}
    for option, names in options.items():
        for name in names:
            if fault := fault_of_name(name):
                raise InvalidPolicyData(
                    f"--{option} {name!r} is not the name of a role: {fault}. Give a name such as IamUsersRemover, or "
                    "team/Admin for a role with the path /team/"
                )
    for option, names in {"queue": ours.queues, "trail": ours.trails}.items():
        for name in names:
            if not _PLACE.fullmatch(name):
                raise InvalidPolicyData(
                    f"--{option} {name!r} is not the name of a {option}: it has letters, digits and _.-"
                )


def _of_ours(ours: Ours) -> Iterator[tuple[Sequence[str], str]]:
    """What is ours: the actions that change it, and its ARN after the partition."""
    yield _OF_FUNCTIONS, FUNCTIONS
    yield _OF_RULES, RULES
    for number, queue in enumerate(dict.fromkeys(ours.queues)):
        yield () if number else _OF_QUEUES, f"sqs:*:*:{queue}"
    for number, trail in enumerate(dict.fromkeys(ours.trails)):
        yield () if number else _OF_TRAILS, f"cloudtrail:*:*:trail/{trail}"


def fault_of_name(name: str) -> str:
    """Why ``name``, after its path if it has one, is no role's; empty if it can be. A * stands for anything."""
    *path, last = name.split("/")
    length, path_length = len(last.replace("*", "")), len("/".join(("", *path, "")))
    if not all(_PART.fullmatch(each) for each in (*path, last)):
        return "each part between slashes has letters, digits and _+=,.@-, and at least one of them"
    if name.startswith("*"):
        return "it may not begin with *, since everybody could create a role that matches"
    if length > _LONGEST_NAME:
        return f"after its path it has {length} characters, and {_LONGEST_NAME} are allowed"
    if path_length > _LONGEST_PATH:
        return f"its path has {path_length} characters, and {_LONGEST_PATH} are allowed"
    if name.startswith(_SERVICE_LINKED):
        return "no service control policy binds service-linked roles, so they need not be named"
    return ""


def role_pattern(name: str, partition: str, account_id: str = "*") -> str:
    """The ARN of a role by its name, after its path, in which * stands for anything."""
    return f"arn:{partition}:iam::{account_id}:role/{name}"


def _deny(
    sid: str, actions: Sequence[str], resources: str | list[str], spared: list[str]
) -> Mapping[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Action": list(actions),
        "Resource": resources,
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": spared}},
    }


@dataclass(frozen=True)
class _Case:
    """A request and the wanted decision."""

    action: str
    resource: str
    principal: str
    wanted: str
    context: Mapping[str, str] = field(default_factory=dict)

    def check(self, document: Mapping[str, Any]) -> None:
        keys = {"aws:principalarn": self.principal, **self.context}
        request = Request(self.action, self.resource, keys)
        found = decision(request, (FULL_ACCESS, document))
        if found != self.wanted:
            raise InvalidPolicyData(
                f"the policy does not do what it must: {self.action} on {self.resource} by {self.principal} is {found} "
                f"instead of {self.wanted}: give other names of roles"
            )


def checked(
    document: Mapping[str, Any],
    spared: Sequence[str],
    partition: str,
    actions: Sequence[str],
    context: Mapping[str, str],
) -> int:
    """How many decisions were checked: that ``document`` denies ``actions`` to all kinds of principals but ``spared``.

    Raises InvalidPolicyData if it does not.
    """
    stranger = role_pattern(_unlisted(spared), partition, _ACCOUNT)
    others = (
        f"arn:{partition}:iam::{_ACCOUNT}:user/someone",
        f"arn:{partition}:iam::{_ACCOUNT}:root",
        stranger,
    )
    makers = [role_pattern(_example(each), partition, _ACCOUNT) for each in spared]
    wanted = [*((each, EXPLICIT_DENY) for each in others), *((each, ALLOWED) for each in makers)]
    for action, (principal, decided) in product(actions, wanted):
        _Case(action, "*", principal, decided, context).check(document)
    return len(actions) * len(wanted)


def _cases(spared: Sequence[str], admins: Sequence[str], partition: str, ours: Ours) -> Iterator[_Case]:
    """Each action of the policy by each kind of principal."""
    named = (*spared, *admins, *ours.roles, *ours.deployers)
    stranger = role_pattern(_unlisted(named), partition, _ACCOUNT)
    user, root = (f"arn:{partition}:iam::{_ACCOUNT}:{each}" for each in ("user/someone", "root"))
    makers = [role_pattern(_example(each), partition, _ACCOUNT) for each in spared]
    keepers = [role_pattern(_example(each), partition, _ACCOUNT) for each in (*spared, *admins)]
    others = (user, stranger, root)
    yield from _each(CREATING, user, others, EXPLICIT_DENY)
    yield from _each(CREATING, user, makers, ALLOWED)
    yield from _each(CREATING, user, (keeper for keeper in keepers if keeper not in makers), EXPLICIT_DENY)
    yield from _each(CHANGING, stranger, (user,), ALLOWED)
    passed, deployers = (
        [role_pattern(_example(each), partition, _ACCOUNT) for each in names]
        for names in (ours.roles, (*ours.deployers, *admins))
    )
    for role in (*keepers, *passed, *deployers):
        yield from _each(CHANGING, role, others, EXPLICIT_DENY)
        yield from _each(CHANGING, role, keepers, ALLOWED)
    guarded = [
        ([_example(each) for each in actions], _example(f"arn:{partition}:{place}"))
        for actions, place in _of_ours(ours)
    ]
    for actions, arn in (*guarded, *(([_PASSING], each) for each in passed)):
        yield from _each(actions, arn, others, EXPLICIT_DENY)
        yield from _each(actions, arn, deployers, ALLOWED)
    yield from _each(guarded[0][0], guarded[0][1].replace("iam-users", "others"), others, ALLOWED)
    yield from _each((_PASSING,), stranger, others, ALLOWED)
    yield from _each(_ENDING, user, others, ALLOWED)


def _unlisted(names: Sequence[str]) -> str:
    """The name of a role that none of ``names`` matches; a policy with a name for each beginning would be too long."""
    found = (f"{beginning}nlisted-role" for beginning in _BEGINNINGS)
    return next(name for name in found if not any(fnmatchcase(name, pattern) for pattern in names))


def _each(actions: Iterable[str], resource: str, principals: Iterable[str], wanted: str) -> Iterator[_Case]:
    for action, principal in product(actions, principals):
        yield _Case(action, resource, principal, wanted)


def _example(name: str) -> str:
    return name.replace("*", "example")
