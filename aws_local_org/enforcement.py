# SPDX-License-Identifier: Apache-2.0
"""Permissions: whether the policies of a caller allow its request. Only with the setting ``enforce``.

The policies of a role or user, its groups, its boundary and its session decide, with resources and conditions.
Policies of resources (buckets, queues) and service control policies do not exist here, so nothing but an identity-based
policy can allow a request, also sts:AssumeRole within an account. The base credentials may do everything.

Sources: "Policy evaluation logic" and "Troubleshoot access denied error messages" (IAM User Guide).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moto.iam.models import iam_backends

from aws_local_org import credentials, settings
from aws_local_org.authorization import requests
from aws_local_org.aws_request import AwsRequest
from aws_local_org.credentials import Principal
from aws_local_org.errors import AwsError, access_denied
from aws_local_org.iam.policies import default_document
from c7n_iamusers.policy_comparison.evaluation import (
    ALLOWED,
    EXPLICIT_DENY,
    Request,
    decision,
    undecided,
)


def check(principal: Principal, request: AwsRequest) -> None:
    """Raises AwsError AccessDenied, in AWS's words, where ``principal`` may not make ``request``."""
    if credentials.is_operator(principal):
        return
    _check_session_of_user(principal, request)
    policies = policies_of(principal)
    for each in requests(principal, request):
        if reason := refusal(each, policies) or _of_other_account(principal, each):
            raise _denied(principal, each, reason)


def _check_session_of_user(principal: Principal, request: AwsRequest) -> None:
    """The limits of what GetSessionToken gives, whatever policies say (STS API reference, GetSessionToken)."""
    if principal.user_name is None or not principal.is_session:
        return
    if request.service == "iam" and principal.mfa_since is None:
        # AWS's code, which speaks of the token; its message says no more than this one's beginning.
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


def _unsupported(request: Request, documents: Sequence[str]) -> str:
    reasons = ", ".join(undecided(request, documents))
    return f" (unsupported {reasons} in the local organization)" if reasons else ""


def _of_other_account(principal: Principal, request: Request) -> str:
    """Why a bucket of another account is out of reach. That of a role is for its trust policy to say."""
    owner = request.context.get("s3:resourceaccount", principal.account)
    if owner == principal.account:
        return ""
    return (
        f"because no resource-based policy allows the {request.action} action (the bucket is of account {owner}, and "
        "the local organization has no policies of buckets)"
    )


def _denied(principal: Principal, request: Request, reason: str) -> AwsError:
    return access_denied(
        f"User: {principal.arn} is not authorized to perform: {request.action} on resource: "
        f"{request.resource or '(unknown)'} {reason}"
    )


def policies_of(principal: Principal) -> Policies:
    """The policies behind ``principal``; none if its user or role was deleted, also if another has the name now."""
    backend: Any = iam_backends[principal.account][settings.current().partition]
    entities: Sequence[Any]
    if principal.role_arn:
        entities = [role for role in backend.roles.values() if role.id == principal.entity_id]
    else:
        user = next((each for each in backend.users.values() if each.id == principal.entity_id), None)
        entities = [user, *user.groups] if user else []
    documents = [
        document
        for entity in entities
        for document in (*entity.policies.values(), *map(default_document, entity.managed_policies.values()))
    ]
    boundary = getattr(entities[0], "permissions_boundary_arn", None) if entities else None
    limit = default_document(backend.get_policy(boundary)) if boundary else None
    return Policies(tuple(documents), limit, principal.session_policies)
