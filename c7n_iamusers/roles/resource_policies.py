# SPDX-License-Identifier: Apache-2.0
"""Policies of buckets and queues that let in roles of other accounts, for what these roles do there. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.permissions import RESOURCE_ORGANIZATION
from c7n_iamusers.iam.policy_documents import listed
from c7n_iamusers.roles.documents import FUNCTION, READER, REMOVER, RESTORER, RUNNER, RoleDocument

#: The kinds of these policies; further ones are ``bucket-policy-2``, ...
BUCKET_POLICY, QUEUE_POLICY = "bucket-policy", "queue-policy"
#: Roles in each member account.
_OF_MEMBERS = (READER, REMOVER, RESTORER, FUNCTION)
#: "Bucket policies are limited to 20 KB in size" (Amazon S3 User Guide).
_LONGEST = 20 * 1024
#: The service that is in the ARNs of these resources.
_SERVICES = {BUCKET_POLICY: "s3", QUEUE_POLICY: "sqs"}
_Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Trusted:
    """Whose roles are let in: an organization's, by its id, or else those of ``accounts``, by their ids."""

    organization: str
    accounts: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.organization or self.accounts)

    def principal(self) -> tuple[Any, Mapping[str, str]]:
        """The Principal, and the condition that limits it. A fixed organization or account makes no policy public."""
        if self.organization:
            return {"AWS": "*"}, {"aws:PrincipalOrgID": self.organization}
        return {"AWS": list(self.accounts)}, {}


@dataclass(frozen=True)
class ResourcePolicy:
    """``resource``: the ARN of the bucket or queue. ``document``: all of its policy, which replaces the one it has."""

    kind: str
    resource: str
    document: Mapping[str, Any]


def resource_policies(documents: Sequence[RoleDocument], trusted: Trusted) -> tuple[ResourcePolicy, ...]:
    """The policies of the buckets and queues that roles of member accounts reach. Raises InvalidPolicyData.

    A queue lets in a runner of another account, too. A bucket's ARN does not say its account: in the role's own, the
    policy is not needed.
    """
    found = []
    for kind in (BUCKET_POLICY, QUEUE_POLICY):
        resources = dict.fromkeys(each for each, _ in _reached(documents, kind))
        for number, resource in enumerate(resources, 1):
            statements = [*_guard(kind, resource), *_statements(documents, kind, resource, trusted)]
            document = {"Version": "2012-10-17", "Statement": statements}
            _check_length(resource, document)
            found.append(ResourcePolicy(kind if number == 1 else f"{kind}-{number}", resource, document))
    return tuple(found)


def reached_from_members(documents: Sequence[RoleDocument]) -> tuple[str, ...]:
    """The ARNs of the buckets and queues that roles of member accounts reach."""
    return tuple(dict.fromkeys(each for kind in _SERVICES for each, _ in _reached(documents, kind)))


def _reached(
    documents: Iterable[RoleDocument], kind: str
) -> Iterator[tuple[str, tuple[RoleDocument, _Statement]]]:
    """The ARN of each bucket or queue, with a role and its statement on it."""
    for role in documents:
        for statement in role.policy["Statement"]:
            for arn in listed(statement["Resource"]):
                # a pattern for the queues next to one: their policies can't be given here
                if arn == "*" or arn.split(":")[2] != _SERVICES[kind] or arn.endswith(":*"):
                    continue
                owner = arn.split(":")[4]
                of_member = role.kind.startswith(_OF_MEMBERS)
                # which account has a bucket is not in its ARN
                of_another = role.kind.startswith(RUNNER) and owner not in ("", role.account)
                if of_member or of_another:
                    yield arn.partition("/")[0], (role, statement)


def _statements(
    documents: Sequence[RoleDocument], kind: str, resource: str, trusted: Trusted
) -> Iterator[_Statement]:
    """What the roles may do on ``resource``, each statement once, with its roles."""
    merged: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for arn, (role, statement) in _reached(documents, kind):
        if arn != resource:
            continue
        own = [each for each in listed(statement["Resource"]) if each.partition("/")[0] == resource]
        kept: dict[str, Any] = {
            "Action": statement["Action"],
            "Resource": own,
            "Condition": _without_owner(statement.get("Condition", {})),
        }
        _, roles = merged.setdefault(json.dumps(kept), (kept, []))
        roles.append(f"arn:{resource.split(':')[1]}:iam::{role.account or '*'}:role{role.path}{role.name}")
    principal, fixed = trusted.principal()
    for kept, roles in merged.values():
        condition = {
            **kept["Condition"],
            "StringEquals": {**kept["Condition"].get("StringEquals", {}), **fixed},
            "ArnLike": {"aws:PrincipalArn": sorted({*roles})},
        }
        allowed = {key: each for key, each in condition.items() if each}
        yield {"Effect": "Allow", "Principal": principal, **kept, "Condition": allowed}


def _without_owner(condition: Mapping[str, Any]) -> dict[str, Any]:
    """A bucket's own policy does not say whose the bucket is."""
    kept = {
        operator: {key: value for key, value in keys.items() if key != RESOURCE_ORGANIZATION}
        for operator, keys in condition.items()
    }
    return {operator: keys for operator, keys in kept.items() if keys}


def _guard(kind: str, resource: str) -> Iterator[_Statement]:
    if kind == BUCKET_POLICY:
        yield {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [resource, f"{resource}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }


def _check_length(resource: str, document: Mapping[str, Any]) -> None:
    if (length := len(json.dumps(document))) > _LONGEST:
        raise InvalidPolicyData(
            f"the policy of {resource} has {length} characters, and can have {_LONGEST}: give --org-id in place of the "
            "accounts, or fewer policies at once"
        )
