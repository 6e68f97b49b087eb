# SPDX-License-Identifier: Apache-2.0
"""Whether a role's trust policy lets a caller assume it."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_local_org.credentials import Principal

ASSUME_ROLE = "sts:AssumeRole"


@dataclass(frozen=True)
class TrustRequest:
    caller: Principal
    external_id: str | None = None


def trusts(document: str, request: TrustRequest) -> bool:
    """Whether a trust policy document (JSON) allows sts:AssumeRole: an explicit Deny wins, nothing said is a no.

    AWS principals and the condition keys sts:ExternalId, aws:PrincipalArn and aws:PrincipalAccount are understood;
    any other condition key counts as absent from the request, so what demands it does not match.
    Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition".
    """
    statements = _listed(json.loads(document).get("Statement", []))
    effects = {statement.get("Effect") for statement in statements if _applies(statement, request)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: dict[str, Any], request: TrustRequest) -> bool:
    actions = (str(action).lower() for action in _listed(statement.get("Action", [])))
    return (
        any(fnmatch.fnmatchcase(ASSUME_ROLE.lower(), action) for action in actions)
        and _names(statement.get("Principal", {}), request.caller)
        and all(
            _condition_holds(operator, key, _listed(wanted), request)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _names(principal: Any, caller: Principal) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    root = f"arn:aws:iam::{caller.account}:root"
    mine = {"*", caller.account, root, caller.arn, caller.role_arn}
    return any(named in mine for named in _listed(principal.get("AWS", [])))


def _condition_holds(operator: str, key: str, wanted: list[Any], request: TrustRequest) -> bool:
    present = {
        "sts:externalid": request.external_id,
        "aws:principalarn": request.caller.role_arn or request.caller.arn,
        "aws:principalaccount": request.caller.account,
    }.get(key.lower())
    name, if_exists = re.subn(r"IfExists$", "", operator)
    if present is None:
        return bool(if_exists) or "Not" in name
    compare = _OPERATORS.get(name.removeprefix("ForAnyValue:"))
    if compare is None:
        return False
    matched = any(compare(present, str(value)) for value in wanted)
    return not matched if "Not" in name else matched


def _equals(present: str, wanted: str) -> bool:
    return present == wanted


def _like(present: str, wanted: str) -> bool:
    return fnmatch.fnmatchcase(present, wanted.replace("[", "[[]"))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equals,
    "StringNotEquals": _equals,
    "StringLike": _like,
    "StringNotLike": _like,
    "ArnEquals": _like,
    "ArnNotEquals": _like,
    "ArnLike": _like,
    "ArnNotLike": _like,
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
