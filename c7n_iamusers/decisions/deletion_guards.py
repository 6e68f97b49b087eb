# SPDX-License-Identifier: Apache-2.0
"""Why a user that was flagged is left alone after all, judged on what it is at the last moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from c7n_iamusers.decisions.exemptions import find_exemption
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.exemption import ExemptionRule
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.outcome import PROVISIONED, UNCHANGED

#: AWS attaches it to a user whose key it saw leaked; V2, V3 and V4 exist ("Managed policies for AWS IAM").
COMPROMISED = "AWSCompromisedKeyQuarantine"


def unprovisioned(provisioning: Mapping[str, Any] | None) -> str | None:
    """Why a user stays whose replacement failed earlier in the policy; None where it succeeded or wasn't asked for.

    ``provisioning``: what ``provision-identity-center`` left in the annotation of the resource.
    """
    if provisioning is None or provisioning.get("status") in (PROVISIONED, UNCHANGED):
        return None
    return f"its replacement in Identity Center is {provisioning.get('status')}: {provisioning.get('reason')}"


def refusal(
    evidence: Subject, user: IamUser, caller_arn: str, rules: Sequence[ExemptionRule], today: date
) -> str | None:
    """Why ``user``, read live, must not be deleted on ``evidence``; None where it may.

    ``caller_arn``: the ARN that GetCallerIdentity gives. ``today``: a date in UTC.
    """
    return (
        _wrong_account(evidence, user, caller_arn)
        or _other_user(evidence, user)
        or _caller(user, caller_arn)
        or _compromised(user)
        or _exempt(user, rules, today)
    )


def _wrong_account(evidence: Subject, user: IamUser, caller_arn: str) -> str | None:
    acting = caller_arn.split(":")[4]
    accounts = {evidence.account_id, user.subject.account_id, acting}
    if len(accounts) == 1:
        return None
    return (
        f"the evidence is of account {evidence.account_id}, the session acts in {acting}: "
        "check the role of that account in accounts.yml"
    )


def _other_user(evidence: Subject, user: IamUser) -> str | None:
    if evidence.unique_id == user.unique_id:
        return None
    return (
        f"the name now belongs to another user ({user.unique_id}, the evidence was of {evidence.unique_id}): "
        "flag again, without c7n's cache (--cache-period 0)"
    )


def _caller(user: IamUser, caller_arn: str) -> str | None:
    return "the run itself acts as this user: use a role" if user.arn == caller_arn else None


def _compromised(user: IamUser) -> str | None:
    held = [
        p["PolicyName"]
        for p in user.attachments["attached-policy"]
        if p["PolicyName"].startswith(COMPROMISED)
    ]
    if not held:
        return None
    return f"AWS attached {held[0]}, so a key of it leaked: a person must look into it before the traces go"


def _exempt(user: IamUser, rules: Sequence[ExemptionRule], today: date) -> str | None:
    rule = find_exemption(user, rules, today).rule
    if rule is None:
        return None
    return f"exempt by {rule.field} {rule.pattern!r} until {rule.expires.isoformat()}: {rule.reason}"
