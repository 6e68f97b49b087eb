# SPDX-License-Identifier: Apache-2.0
"""The IAM actions that each of this package's actions needs, and a least-privilege policy for its role. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.policy_documents import COMPROMISED, aws_deny_all, aws_managed
from c7n_iamusers.iam.resource_types import ANYTHING, resources_of

#: The identity of the caller, and the user.
_IDENTITY = ("sts:GetCallerIdentity", "iam:GetUser")
#: To put and lift the Deny-all, inline or attached.
_DENY = ("iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:DeleteUserPolicy", "iam:DetachUserPolicy")
#: For max-resources-percent in event modes.
_COUNT = ("iam:GetAccountSummary",)
#: To check whether a user that is not found by name was renamed.
_NAMES = ("iam:ListUsers",)

#: To read what decides rights beside attachments: a group or policy that the list of the account misses.
RIGHTS = (
    "iam:GetGroup",
    "iam:GetGroupPolicy",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListAttachedGroupPolicies",
    "iam:ListGroupPolicies",
)


def _iam(operations: Iterable[str]) -> frozenset[str]:
    return frozenset(f"iam:{operation}" for operation in operations)


def _sorted(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(frozenset().union(*parts)))


_READS = _iam(name for kind in ATTACHMENT_KINDS for name in kind.reads)
_READS_OF_ALL = _iam(name for kind in ATTACHMENT_KINDS for name in kind.reads_of_all)
_SWITCHES = _iam(name for kind in ATTACHMENT_KINDS for name in kind.switching)

DELETION = _sorted(
    _IDENTITY,
    _COUNT,
    _NAMES,
    _DENY,
    _READS,
    _READS_OF_ALL,
    RIGHTS,
    _iam(name for kind in ATTACHMENT_KINDS for name in kind.removing),
    # Roles and groups for the snapshot, MFA devices that a stopped run orphaned, and the boundary form of the Deny-all.
    (
        "iam:GetAccountAuthorizationDetails",
        "iam:GetAccessKeyLastUsed",
        "iam:ListVirtualMFADevices",
        "iam:PutUserPermissionsBoundary",
        "iam:DeleteUser",
    ),
)
#: A Deny that ends by itself, which only an inline policy can.
BROWNOUT = _sorted(
    _IDENTITY,
    _COUNT,
    _NAMES,
    _READS,
    RIGHTS,
    (
        "iam:DeleteUserPolicy",
        "iam:GetAccessKeyLastUsed",
        "iam:GetAccountAuthorizationDetails",
        "iam:PutUserPolicy",
    ),
)
#: A quarantine that keeps the credentials active.
DENIAL = _sorted(BROWNOUT, _DENY, ("iam:PutUserPermissionsBoundary", "iam:TagUser"))
#: The same by AWSDenyAll alone: a condition can limit a role to these, and none of them takes a Deny off.
AWS_DENIAL = _sorted(
    set(DENIAL) - {*_DENY, "iam:TagUser"}, ("iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary")
)
QUARANTINE = _sorted(DENIAL, _SWITCHES)
RELEASE = _sorted(
    _IDENTITY,
    _COUNT,
    _NAMES,
    _READS,
    _SWITCHES,
    (
        "iam:GetAccessKeyLastUsed",
        "iam:DeleteUserPolicy",
        "iam:DetachUserPolicy",
        "iam:PutUserPermissionsBoundary",
        "iam:DeleteUserPermissionsBoundary",
        "iam:UntagUser",
    ),
)
#: To park an access key, or give it back; the second one also deletes it.
KEY_SWITCH = _sorted(
    _IDENTITY,
    _NAMES,
    _READS,
    RIGHTS,
    ("iam:GetAccessKeyLastUsed", "iam:GetAccountAuthorizationDetails", "iam:UpdateAccessKey"),
)
KEY_RETIREMENT = _sorted(set(KEY_SWITCH) - {"iam:UpdateAccessKey"}, ("iam:DeleteAccessKey",))
#: What a release gives back may be any boundary that the user had before.
GIVEN_BACK = frozenset({"iam:PutUserPermissionsBoundary"})
RESTORATION = _sorted(
    _IDENTITY,
    _NAMES,
    _READS,
    _SWITCHES,
    RIGHTS,
    _iam(name for kind in ATTACHMENT_KINDS for name in kind.restoring),
    (
        "iam:CreateUser",
        # The trust policies of roles.
        "iam:GetAccountAuthorizationDetails",
        "iam:TagUser",
        "iam:PutUserPermissionsBoundary",
        # To remove a Deny-all that a stopped deletion left on the user.
        "iam:DeleteUserPermissionsBoundary",
        "iam:DeleteUserPolicy",
        "iam:DetachUserPolicy",
        "iam:CreateGroup",
        "iam:AttachGroupPolicy",
        "iam:PutGroupPolicy",
    ),
)


#: Actions that this package uses only for AWSDenyAll -> the condition key that limits them to it.
_DENYING = {
    "iam:AttachUserPolicy": "iam:PolicyARN",
    "iam:PutUserPermissionsBoundary": "iam:PermissionsBoundary",
}
#: Only a deletion detaches other policies than AWSDenyAll.
_DETACHING, _DELETING = "iam:DetachUserPolicy", "iam:DeleteUser"
#: The beginnings of IAM's actions that change nothing.
_READING = ("iam:Generate", "iam:Get", "iam:List", "iam:Simulate")
#: The condition key for the organization of the account that owns a resource, such as a bucket.
RESOURCE_ORGANIZATION = "aws:ResourceOrgID"
#: Stands for any name in a resource that is asked about.
_SOMETHING = "c7n-iamusers-preflight"
#: A condition's operator, key and value.
_NO_CONDITION = ("", "", "")


@dataclass(frozen=True)
class Needed:
    """Permissions such as ``iam:GetUser``.

    ``own``: of this package's plugins. ``others``: of all other plugins. ``restoring``: permissions to give a user back
    what it had, which can be any policy: for ``c7n-iamusers restore``, and for the boundary that ``release`` sets.
    ``bound``: actions with their resource, the part of its ARN after the partition. ``compromised``: it also deletes
    users to which AWS attached its policy for compromised keys.
    """

    own: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    restoring: frozenset[str] = frozenset()
    bound: frozenset[tuple[str, str]] = frozenset()
    compromised: bool = False

    def __or__(self, other: Needed) -> Needed:
        return Needed(
            self.own | other.own,
            self.others | other.others,
            self.restoring | other.restoring,
            self.bound | other.bound,
            self.compromised or other.compromised,
        )


def changes_users(actions: Iterable[str]) -> bool:
    """Whether one of the ``actions`` changes something in IAM."""
    return any(action.startswith("iam:") and not action.startswith(_READING) for action in actions)


def role_policy(
    needed: Needed, account_id: str = "*", partition: str = "aws", organization: str = ""
) -> dict[str, Any]:
    """The policy document. ``account_id``: the users' account, ``*`` for the account that the role is in.

    ``organization``: its id, if buckets of any other are to be denied. No condition can limit ``iam:PutUserPolicy`` to
    the Deny-all: a principal with it can give a user any permission.
    """
    # by resources and condition
    grouped: defaultdict[tuple[tuple[str, ...], tuple[str, str, str]], list[str]] = defaultdict(list)
    for action in sorted(_needing_permission(needed.own | needed.others | needed.restoring)):
        resources = (ANYTHING,) if action in needed.others else resources_of(action, account_id, partition)
        grouped[(resources, _condition(action, needed, partition))].append(action)
    for action, resource in sorted(needed.bound):
        owned = organization and action.startswith("s3:")
        condition = ("StringEquals", RESOURCE_ORGANIZATION, organization) if owned else _NO_CONDITION
        grouped[((f"arn:{partition}:{resource}",), condition)].append(action)
    statements = [_statement(actions, *key) for key, actions in sorted(grouped.items())]
    return {"Version": "2012-10-17", "Statement": statements}


def _condition(action: str, needed: Needed, partition: str) -> tuple[str, str, str]:
    """The operator, key and value that limit ``action`` to the policies with which it is used."""
    if action in needed.others:
        return _NO_CONDITION
    if action == _DETACHING and _DELETING in needed.own:
        held = aws_managed(f"{COMPROMISED}*", partition)
        return _NO_CONDITION if needed.compromised else ("ArnNotLike", "iam:PolicyARN", held)
    if action == _DETACHING:
        return "ArnEquals", "iam:PolicyARN", aws_deny_all(partition)
    if action in needed.restoring or action not in _DENYING:
        return _NO_CONDITION
    return "ArnEquals", _DENYING[action], aws_deny_all(partition)


def _needing_permission(actions: Iterable[str]) -> list[str]:
    # "No permissions are required to perform this operation" (AWS STS API Reference, GetCallerIdentity).
    return [action for action in actions if action != "sts:GetCallerIdentity"]


def _statement(
    actions: list[str], resources: tuple[str, ...], condition: tuple[str, str, str]
) -> Mapping[str, Any]:
    resource = resources[0] if len(resources) == 1 else list(resources)
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    operator, key, value = condition
    return {**statement, "Condition": {operator: {key: value}}} if key else statement


def simulation(
    principal: str, actions: Sequence[str], resources: Iterable[str], context: Mapping[str, str]
) -> dict[str, Any]:
    """The parameters of SimulatePrincipalPolicy: whether ``principal`` (an ARN) may do ``actions`` on ``resources``.

    ``context``: condition key -> value.
    """
    found: dict[str, Any] = {
        "PolicySourceArn": principal,
        "ActionNames": list(actions),
        "ResourceArns": [
            resource if resource == "*" else resource.replace("*", _SOMETHING) for resource in resources
        ],
    }
    if context:
        found["ContextEntries"] = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in context.items()
        ]
    return found
