# SPDX-License-Identifier: Apache-2.0
"""IAM users and policies in few words."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from c7n_iamusers.derivation.acceptances import Acceptance
from c7n_iamusers.derivation.model import Derivation, DerivationOptions, DerivedSet
from c7n_iamusers.policy_comparison.comparison import UNDECIDED, WIDER
from c7n_iamusers.policy_comparison.principals import ManagedPolicy, PrincipalPermissions

PAYMENTS, RESEARCH, PLATFORM = "111122223333", "444455556666", "777788889999"
HOME = "arn:aws:s3:::home/${aws:username}/*"
WITHOUT_MFA: dict[str, Any] = {"Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}}
WITH_MFA: dict[str, Any] = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}


def allow(action: str, resource: str = "*", **rest: Any) -> dict[str, Any]:
    """Actions and resources are parted by spaces."""
    return {"Effect": "Allow", "Action": action.split(), "Resource": resource.split(), **rest}


def deny(action: str, resource: str = "*", **rest: Any) -> dict[str, Any]:
    return {**allow(action, resource, **rest), "Effect": "Deny"}


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def aws(name: str, *statements: dict[str, Any]) -> ManagedPolicy:
    """An AWS-managed policy; without statements its document is unknown."""
    return ManagedPolicy(
        f"arn:aws:iam::aws:policy/{name}", name, "/", document(*statements) if statements else None
    )


def own(name: str, *statements: dict[str, Any], account: str = PAYMENTS, path: str = "/") -> ManagedPolicy:
    """A customer-managed policy; without statements its document is unknown."""
    arn = f"arn:aws:iam::{account}:policy{path}{name}"
    return ManagedPolicy(arn, name, path, document(*statements) if statements else None)


def user(name: str = "alice", account: str = PAYMENTS, **permissions: Any) -> PrincipalPermissions:
    """A user with an MFA device. ``inline``: statements, as one policy."""
    inline = permissions.pop("inline", ())
    if inline and isinstance(inline[0], dict):
        inline = (("Inline", document(*inline)),)
    arn = f"arn:aws:iam::{account}:user/{name}"
    defaults: dict[str, Any] = {"tags": {}, "inline": tuple(inline), "mfa": True}
    return PrincipalPermissions(account, name, arn, f"AIDA{name.upper()}", **{**defaults, **permissions})


def only_set(derivation: Derivation) -> DerivedSet:
    assert not derivation.refused, derivation.refused
    (derived,) = derivation.sets
    return derived


PLAIN = DerivationOptions()
TODAY = date(2027, 1, 31)


def accepting(options: DerivationOptions, *verdicts: str, name: str = "alice") -> DerivationOptions:
    """``options`` with which one user gets a set whatever its proof comes to."""
    rows = [Acceptance(PAYMENTS, name, each, "looked at", TODAY) for each in verdicts or (WIDER, UNDECIDED)]
    return replace(options, accept=tuple(rows), today=TODAY)


READ, WRITE = allow("s3:Get* s3:List*"), allow("s3:Put*", "arn:aws:s3:::uploads/*")
FORCE_MFA = deny("*", **WITHOUT_MFA)


def verdicts(derivation: Derivation) -> dict[str, str]:
    """User name -> what the proof came to."""
    return {each.subject.name: each.proof.verdict for each in derivation.principals}
