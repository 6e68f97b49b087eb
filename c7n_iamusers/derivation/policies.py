# SPDX-License-Identifier: Apache-2.0
"""Managed policies as statements, also those of AWS whose documents were not read. Pure."""

from __future__ import annotations

from c7n_iamusers.policy_comparison.conditions import UNREAD, Condition
from c7n_iamusers.policy_comparison.principals import ManagedPolicy
from c7n_iamusers.policy_comparison.statements import ALLOW, DENY, EVERYTHING, PolicyStatement, parse_policy

#: AWS's policies that let an IAM user see to its own password and keys, and do nothing else; all of them only allow.
IAM_USERS_ONLY = frozenset(
    {"IAMUserChangePassword", "IAMUserSSHKeys", "IAMSelfManageServiceSpecificCredentials"}
)


def read(policy: ManagedPolicy, source: str) -> tuple[PolicyStatement, ...]:
    """The statements of ``policy``; an unread one of AWS counts as allowing, and denying, something unknown.

    The same unknown on both sides of a comparison is the same. Raises ValueError for an unread policy of
    somebody else, and for one that doesn't parse.
    """
    if policy.document is not None:
        return parse_policy(policy.document, source)
    if not policy.aws_managed:
        raise ValueError(
            f"the document of {source} ({policy.arn}) was not read: read the account again, with its customer-managed "
            "policies"
        )
    allowed = _unknown(ALLOW, policy.arn, source)
    return (allowed,) if policy.name in IAM_USERS_ONLY else (allowed, _unknown(DENY, policy.arn, source))


def _unknown(effect: str, arn: str, source: str) -> PolicyStatement:
    # Whoever meets this "condition" is in the part of all requests that the unread document speaks of.
    condition = Condition(UNREAD, f"{arn} ({effect})", ())
    return PolicyStatement(effect, EVERYTHING, EVERYTHING, frozenset({condition}), source)
