# SPDX-License-Identifier: Apache-2.0
"""The one table of findings: a new finding is a new row. Pure.

The docs are derived from it. Ids are stable, programs match on them; texts may change.
"""

from __future__ import annotations

from dataclasses import dataclass

from c7n_iamusers.decisions import credential_rules, permission_rules, user_rules
from c7n_iamusers.decisions.finding_case import Case, Rule
from c7n_iamusers.model.finding import EXPIRED_EXEMPTION, IAM_USER, Finding

HIGH, MEDIUM, LOW = "high", "medium", "low"


@dataclass(frozen=True)
class FindingRule:
    """``rule`` says in its docstring when it is found. ``rests_on``: the evidence without which it is unknown.

    ``basis``: the AWS documentation that asks for the contrary.
    """

    id: str
    severity: str
    rule: Rule
    rests_on: str
    basis: str


_BEST = "Security best practices in IAM"
_UNUSED = f"{_BEST}: Regularly review and remove unused users, roles, permissions, policies, and credentials"
_KEYS = f"{_BEST}: Update access keys when needed for use cases that require long-term credentials"
_LEAST = f"{_BEST}: Apply least-privilege permissions"

FINDING_RULES: tuple[FindingRule, ...] = (
    FindingRule(
        IAM_USER,
        MEDIUM,
        user_rules.iam_user,
        "nothing",
        f"{_BEST}: Require human users to use federation ..., Require workloads to use temporary credentials ...",
    ),
    FindingRule(
        EXPIRED_EXEMPTION,
        MEDIUM,
        user_rules.expired_exemption,
        "the policy's rules",
        "this package's own rule",
    ),
    FindingRule(
        "console-without-mfa",
        HIGH,
        credential_rules.console_without_mfa,
        "credential report, virtual MFA devices",
        f"{_BEST}: Require multi-factor authentication (MFA)",
    ),
    FindingRule(
        "password-never-used",
        MEDIUM,
        credential_rules.password_never_used,
        "credential report, ListUsers",
        _UNUSED,
    ),
    FindingRule(
        "password-unused", MEDIUM, credential_rules.password_unused, "credential report, ListUsers", _UNUSED
    ),
    FindingRule("key-never-used", MEDIUM, credential_rules.key_never_used, "credential report", _UNUSED),
    FindingRule("key-unused", MEDIUM, credential_rules.key_unused, "credential report", _UNUSED),
    FindingRule("key-not-rotated", MEDIUM, credential_rules.key_not_rotated, "credential report", _KEYS),
    FindingRule("two-active-keys", LOW, credential_rules.two_active_keys, "credential report", _KEYS),
    FindingRule("admin-rights", HIGH, permission_rules.admin_rights, "authorization details", _LEAST),
    FindingRule(
        "inline-policies",
        LOW,
        permission_rules.inline_policies,
        "authorization details",
        "Choose between managed policies and inline policies",
    ),
    FindingRule(
        "directly-attached-policies",
        LOW,
        permission_rules.directly_attached_policies,
        "authorization details",
        "CIS AWS Foundations Benchmark: IAM users receive permissions only through groups",
    ),
    FindingRule(
        "no-boundary",
        LOW,
        permission_rules.no_boundary,
        "authorization details",
        f"{_BEST}: Use permissions boundaries to delegate permissions management within an account",
    ),
    FindingRule(
        "orphaned-mfa",
        LOW,
        user_rules.orphaned_mfa,
        "virtual MFA devices",
        "IAM API reference: DeactivateMFADevice, DeleteVirtualMFADevice",
    ),
    FindingRule(
        "role-trusts-user",
        MEDIUM,
        permission_rules.role_trusts_user,
        "authorization details",
        "AWS JSON policy elements: Principal",
    ),
    FindingRule(
        "compromised-key",
        HIGH,
        permission_rules.compromised_key,
        "authorization details",
        "Remediating exposed AWS credentials",
    ),
    FindingRule(
        "unknown-provisioning",
        MEDIUM,
        user_rules.unknown_provisioning,
        "tags; CloudTrail's last 90 days for creators",
        "this package's own rule",
    ),
)
FINDING_IDS = tuple(row.id for row in FINDING_RULES)


@dataclass(frozen=True)
class Findings:
    """``found``, in the order of the table, and the ids of those that can't be told for want of evidence."""

    found: tuple[Finding, ...]
    unknown: tuple[str, ...]

    def has(self, finding_id: str) -> bool | None:
        """True where it is found, False where it surely isn't, None where that is unknown."""
        if any(finding.id == finding_id for finding in self.found):
            return True
        return None if finding_id in self.unknown else False


def judge(case: Case) -> Findings:
    """Every finding on the user of ``case``."""
    answers = [(row, row.rule(case)) for row in FINDING_RULES]
    return Findings(
        tuple(Finding(row.id, row.severity, text) for row, answer in answers for text in answer or ()),
        tuple(row.id for row, answer in answers if answer is None),
    )
