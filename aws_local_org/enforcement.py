# SPDX-License-Identifier: Apache-2.0
"""Permissions: whether the policies of a caller allow its request. Only with the setting ``enforce``.

The policies of a role or user, its groups, its boundary and its session decide, with resources and conditions. The
policy of a bucket or queue can deny, and must allow requests from another account. Within an account, only an
identity-based policy can allow a request, even sts:AssumeRole. Service control policies do not exist here. The base
credentials may do everything.

Sources: "Policy evaluation logic" and "Troubleshoot access denied error messages" (IAM User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from aws_local_org import credentials, settings
from aws_local_org.authorization import requests
from aws_local_org.aws_request import AwsRequest
from aws_local_org.credentials import Principal
from aws_local_org.errors import AwsError, access_denied
from aws_local_org.iam.base import entity_of
from aws_local_org.iam.simulation import boundary_document, own_documents
from c7n_iamusers.policy_comparison.evaluation import (
    ALLOWED,
    EXPLICIT_DENY,
    Request,
    decision,
    undecided,
)


def check(principal: Principal, request: AwsRequest) -> None:
    """Raises AwsError AccessDenied, in AWS's words, if ``principal`` may not make ``request``."""
    if credentials.is_operator(principal):
        return
    _check_session_of_user(principal, request)
    policies = policies_of(principal)
    for each in requests(principal, request):
        if reason := refusal(each, policies) or _refusal_of_resource(principal, each):
            raise _denied(principal, each, reason)


def _check_session_of_user(principal: Principal, request: AwsRequest) -> None:
    """The limits of GetSessionToken's sessions, whatever policies say (STS API reference, GetSessionToken)."""
    if principal.user_name is None or not principal.is_session:
        return
    if request.service == "iam" and principal.mfa_since is None:
        # AWS's code, which mentions the token; its message has only the beginning of this one.
        raise AwsError(
            "InvalidClientTokenId",
            "The security token included in the request is invalid: credentials of GetSessionToken can call IAM only "
            "if GetSessionToken was given a code of an MFA device",
            403,
        )
    if request.service == "sts" and request.operation not in ("AssumeRole", "GetCallerIdentity"):
        raise access_denied(f"Cannot call {request.operation} with session credentials")


@dataclass(frozen=True)
class Policies:
    """JSON documents. ``boundary``, ``session``: None if there is none."""

    own: tuple[str, ...]
    boundary: str | None = None
    session: tuple[str, ...] | None = None


def refusal(request: Request, policies: Policies) -> str:
    """Why ``request`` is denied, as the end of AWS's message; empty if it is allowed."""
    kinds = {"identity-based policy": policies.own}
    if policies.boundary is not None:
        kinds["permissions boundary"] = (policies.boundary,)
    if policies.session is not None:
        kinds["session policy"] = policies.session
    try:
        found = {kind: decision(request, documents) for kind, documents in kinds.items()}
    except ValueError as error:
        return f"because one of the caller's policies can't be read: {error}"
    for kind, documents in kinds.items():
        if found[kind] == EXPLICIT_DENY:
            article = "an" if kind.startswith("i") else "a"
            return f"with an explicit deny in {article} {kind}{_unsupported(request, documents)}"
    for kind, documents in kinds.items():
        if found[kind] != ALLOWED:
            return f"because no {kind} allows the {request.action} action{_unsupported(request, documents)}"
    return ""


def _unsupported(request: Request, documents: Sequence[Any]) -> str:
    reasons = ", ".join(undecided(request, documents))
    return f" (unsupported {reasons} in the local organization)" if reasons else ""


def _refusal_of_resource(principal: Principal, request: Request) -> str:
    """Why the policy of a bucket or queue denies ``request``; empty if it does not, and for other resources."""
    owner, document = _resource_policy(request)
    policies = list(policies_for(document, principal)) if document else []
    found = decision(request, policies)
    if found == EXPLICIT_DENY:
        return f"with an explicit deny in a resource-based policy{_unsupported(request, policies)}"
    if owner in (None, principal.account) or found == ALLOWED:
        return ""
    doubts = _unsupported(request, policies)
    return f"because no resource-based policy allows the {request.action} action{doubts}"


def _resource_policy(request: Request) -> tuple[str | None, str | bytes | None]:
    """The account that owns the bucket or queue of ``request``, and its policy; None if there is none."""
    fields = (request.resource or "").split(":", 5)
    if len(fields) < 6 or fields[2] not in ("s3", "sqs"):
        return None, None
    current = settings.current()
    if fields[2] == "sqs":
        owner = fields[4]
        known: Any = sqs_backends[owner][fields[3]].queues if owner in current.account_ids else {}
    else:
        _, owner = s3_backends.bucket_accounts.get(fields[5].partition("/")[0], ("", None))
        known = s3_backends[owner][current.partition].buckets if owner else {}
    return owner, getattr(known.get(fields[5].partition("/")[0]), "policy", None)


def _denied(principal: Principal, request: Request, reason: str) -> AwsError:
    return access_denied(
        f"User: {principal.arn} is not authorized to perform: {request.action} on resource: "
        f"{request.resource or '(unknown)'} {reason}"
    )


def policies_of(principal: Principal) -> Policies:
    """The policies behind ``principal``; none if its user or role was deleted, even if another now has the name."""
    backend: Any = iam_backends[principal.account][settings.current().partition]
    entities = backend.roles if principal.role_arn else backend.users
    entity = next((each for each in entities.values() if each.id == principal.entity_id), None)
    if entity is None:
        return Policies((), None, principal.session_policies)
    documents = tuple(own_documents(entity))
    return Policies(documents, boundary_document(backend, entity), principal.session_policies)


# Resource-based policies: trust policies, and those of buckets and queues.

#: Kinds of principals that no caller here is.
_OTHERS = frozenset({"Service", "Federated", "CanonicalUser"})
_DENY_ALL = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}


def policies_for(
    document: str | bytes, caller: Principal, resource: str | None = None
) -> Iterator[Mapping[str, Any]]:
    """A resource-based policy's rules for the caller, in the form of identity-based policies.

    ``resource``: for a trust policy, whose statements have none; None for others.

    A statement that can't be read, or that may or may not name the caller, allows nothing; it denies everything unless
    it is an Allow. Source: "AWS JSON policy elements: Principal" (IAM User Guide).
    """
    try:
        found = json.loads(document)
        version, statements = found.get("Version", "2008-10-17"), found["Statement"]
    except (ValueError, KeyError, TypeError, AttributeError):
        yield _DENY_ALL
        return
    for statement in _listed(statements):
        named = _names(statement, caller)
        if named is False:
            continue
        alone = _without_principal(statement, version, resource) if named else None
        if alone is not None:
            yield alone
        elif not isinstance(statement, Mapping) or statement.get("Effect") != "Allow":
            yield _DENY_ALL


def _without_principal(
    statement: Mapping[str, Any], version: Any, resource: str | None
) -> Mapping[str, Any] | None:
    """None for a statement that can't be read."""
    if resource and {"Resource", "NotResource"} & statement.keys():
        return None
    kept = {key: value for key, value in statement.items() if key != "Principal"}
    alone = {"Version": version, "Statement": {**kept, **({"Resource": resource} if resource else {})}}
    try:
        decision(Request("sts:AssumeRole", "*"), [alone])
    except ValueError:
        return None
    return alone


def _names(statement: Any, caller: Principal) -> bool | None:
    """Whether a statement names the caller; None if unknown."""
    principal = statement.get("Principal") if isinstance(statement, Mapping) else None
    if principal == "*":
        return True
    if not isinstance(principal, Mapping) or not principal or "NotPrincipal" in statement:
        return None
    names = [str(each) for each in _listed(principal.get("AWS", []))]
    if not _names_of(caller).isdisjoint(names):
        return True
    odd = any(set("*?$").intersection(name) for name in names) or not principal.keys() <= _OTHERS | {"AWS"}
    return None if odd else False


def _names_of(caller: Principal) -> set[str]:
    names = {"*", caller.account, caller.entity_id}
    names.add(f"arn:{settings.current().partition}:iam::{caller.account}:root")
    arn = caller.role_arn or caller.arn
    entity = entity_of(arn)
    # not those of another user or role that now has the name
    return names if entity is not None and entity.id != caller.entity_id else names | {arn, caller.arn}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
