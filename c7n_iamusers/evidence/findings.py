# SPDX-License-Identifier: Apache-2.0
"""The findings on an IAM user: for each its id, severity, rule, text, and the AWS guidance behind it. Pure.

A new finding is one function here. The filter's schema and docs/findings.md are generated from these functions, in
this order. Ids are stable because programs match on them; texts may change.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase

from c7n_iamusers.evidence.finding_case import (
    Case,
    FindingRule,
    Rule,
    Texts,
    has_attached,
    never_used,
    of_each,
    some,
    title,
    unused,
)
from c7n_iamusers.evidence.model import Credential, Finding, Findings
from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.policy_documents import COMPROMISED
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.user_fields import matches
from c7n_iamusers.policy_comparison.administrators import escalations, full_admins
from c7n_iamusers.policy_comparison.escalation_paths import PATHFINDING, RHINO

HIGH, MEDIUM, LOW = "high", "medium", "low"
_BEST = "Security best practices in IAM"
_UNUSED = f"{_BEST}: Regularly review and remove unused users, roles, permissions, policies, and credentials"
_KEYS = f"{_BEST}: Update access keys when needed for use cases that require long-term credentials"
_RULES: list[FindingRule] = []


def _finding(id_: str, severity: str, *, rests_on: str, basis: str, note: str = "") -> Callable[[Rule], Rule]:
    """Register the decorated function as a finding."""

    def add(rule: Rule) -> Rule:
        _RULES.append(FindingRule(id_, severity, rule, rests_on, basis, note))
        return rule

    return add


@_finding(
    "iam-user",
    MEDIUM,
    rests_on="nothing",
    basis=f"{_BEST}: Require human users to use federation ..., Require workloads to use temporary credentials ...",
)
def iam_user(case: Case) -> Texts:
    """It is an IAM user."""
    return ("An IAM user has long-term credentials; AWS asks for temporary ones.",)


@_finding(
    "expired-exemption",
    MEDIUM,
    rests_on="the policy's rules",
    basis="this package's own rule",
)
def expired_exemption(case: Case) -> Texts:
    """A rule exempted it, and has expired. If there are many, the last ones."""
    last = sorted(case.exemption.expired, key=lambda gone: gone.expires, reverse=True)[:_EXPIRED_TOLD]
    return tuple(
        f"Exempt by {gone.field} {gone.pattern!r} until {gone.expires.isoformat()} ({gone.reason:.{_REASON_TOLD}}): "
        "renew the exemption with a new date, or replace the user."
        for gone in last
    )


#: Rules, and characters of a reason: each flagged user has them in resources.json, and others write the lists.
_EXPIRED_TOLD, _REASON_TOLD = 3, 100


@_finding(
    "console-without-mfa",
    HIGH,
    rests_on="credential report, virtual MFA devices",
    basis=f"{_BEST}: Require multi-factor authentication (MFA)",
)
def console_without_mfa(case: Case) -> Texts:
    """It has a password and no MFA device."""
    passwords = case.credentials(attachments.LOGIN_PROFILE.name)
    if passwords == () or case.evidence.mfa:
        return ()
    if passwords is None or case.evidence.mfa is None:
        return None
    how_long = _longest_session(case.user)
    return (
        f"Signs in to the console with only a password{how_long}: enforce MFA until the user is replaced.",
    )


def _longest_session(user: IamUser) -> str:
    """How long a sign-in of ``user`` may last, if its login profile was read and sets it (``attachments: full``)."""
    for profile in user.attachments.get(attachments.LOGIN_PROFILE.name, ()):
        if seconds := profile.get(attachments.MAX_SESSION):
            number, unit = (seconds / 86_400, "days") if seconds >= 2 * 86_400 else (seconds / 3_600, "hours")
            return f", for up to {number:g} {unit if number != 1 else 'hour'} at a time"
    return ""


@_finding(
    "password-never-used",
    MEDIUM,
    rests_on="credential report, ListUsers",
    basis=_UNUSED,
    note="`key-never-used` and `password-never-used` apply from the first day; exclude new users with `min-age`.",
)
def password_never_used(case: Case) -> Texts:
    """It has a password that was never used."""
    return never_used(case, attachments.LOGIN_PROFILE.name)


@_finding(
    "password-unused",
    MEDIUM,
    rests_on="credential report, ListUsers",
    basis=_UNUSED,
)
def password_unused(case: Case) -> Texts:
    """Its password was last used `thresholds.unused` days ago or earlier."""
    return unused(case, attachments.LOGIN_PROFILE.name)


@_finding(
    "key-never-used",
    MEDIUM,
    rests_on="credential report",
    basis=_UNUSED,
)
def key_never_used(case: Case) -> Texts:
    """One of its active access keys was never used."""
    return never_used(case, attachments.ACCESS_KEY.name)


@_finding(
    "key-unused",
    MEDIUM,
    rests_on="credential report",
    basis=_UNUSED,
)
def key_unused(case: Case) -> Texts:
    """One of its active access keys was last used `thresholds.unused` days ago or earlier."""
    return unused(case, attachments.ACCESS_KEY.name)


@_finding(
    "key-not-rotated",
    MEDIUM,
    rests_on="credential report",
    basis=_KEYS,
)
def key_not_rotated(case: Case) -> Texts:
    """One of its active access keys is `thresholds.rotation` days old or older."""

    def due(key: Credential) -> str | None:
        if key.created is None:
            return None
        days = case.days_since(key.created)
        return f"{title(key)} is {days} days old." if days >= case.thresholds.rotation else ""

    return of_each(case, attachments.ACCESS_KEY.name, due)


@_finding(
    "two-active-keys",
    LOW,
    rests_on="credential report",
    basis=_KEYS,
)
def two_active_keys(case: Case) -> Texts:
    """It has two active access keys."""
    keys = case.credentials(attachments.ACCESS_KEY.name)
    if keys is None:
        return None
    return (f"{len(keys)} access keys are active: deactivate one.",) if len(keys) > 1 else ()


@_finding(
    "admin-rights",
    HIGH,
    rests_on="authorization details",
    basis=f"{_BEST}: Apply least-privilege permissions",
    note="""\
`admin-rights` means every action on every resource, or everything that changes rights in IAM, which gives the rest:
`AdministratorAccess`, `IAMFullAccess` and customer policies with the same effect, whatever their conditions and Denies,
and even within a boundary (which the text names).""",
)
def admin_rights(case: Case) -> Texts:
    """One of its policies, or of its groups' policies, allows everything, or everything that changes rights in IAM."""
    policies = full_admins(case.evidence.grants)
    if not policies:
        return policies
    return (f"Administrator by {some(policies)}{_within_boundary(case)}.",)


@_finding(
    "may-become-admin",
    HIGH,
    rests_on="authorization details",
    basis=f"{RHINO}; {PATHFINDING}",
    note="""\
`may-become-admin` uses the table of actions in `policy_comparison/escalation_paths.py`, each with its source, such as
`iam:PutUserPolicy`, or `iam:PassRole` with `lambda:CreateFunction`. It counts all policies of the user together,
whatever their conditions and Denies, in every partition. Actions on IAM's own users, groups and policies always count.
A role or resource that a policy names counts only if the name contains "admin", or is one that AWS gives to roles of
administrators, such as `OrganizationAccountAccessRole`. If an AWS-managed policy is newer than this version, its grants
are unknown, unless its document was read.""",
)
def may_become_admin(case: Case) -> Texts:
    """It is not an administrator, but its policies together allow a known way to administrator rights."""
    if full_admins(case.evidence.grants):
        return ()
    ways = escalations(case.evidence.grants)
    if not ways:
        return ways
    return (f"May become an administrator, by {some(ways)}{_within_boundary(case)}.",)


def _within_boundary(case: Case) -> str:
    boundary = case.user.attachments.get(attachments.PERMISSIONS_BOUNDARY.name)
    return f", within its boundary {boundary[0].get('PermissionsBoundaryArn', '')}" if boundary else ""


@_finding(
    "inline-policies",
    LOW,
    rests_on="authorization details",
    basis="Choose between managed policies and inline policies",
)
def inline_policies(case: Case) -> Texts:
    """It has inline policies."""
    return has_attached(case, attachments.INLINE_POLICY.name, "inline policies")


@_finding(
    "directly-attached-policies",
    LOW,
    rests_on="authorization details",
    basis="CIS AWS Foundations Benchmark: IAM users receive permissions only through groups",
)
def directly_attached_policies(case: Case) -> Texts:
    """Managed policies are attached to it directly, not to a group."""
    return has_attached(case, attachments.ATTACHED_POLICY.name, "directly attached policies")


@_finding(
    "no-boundary",
    LOW,
    rests_on="authorization details",
    basis=f"{_BEST}: Use permissions boundaries to delegate permissions management within an account",
)
def no_boundary(case: Case) -> Texts:
    """It has no permissions boundary."""
    boundary = case.user.attachments.get(attachments.PERMISSIONS_BOUNDARY.name)
    if boundary is None:
        return None
    return () if boundary else ("Has no permissions boundary.",)


@_finding(
    "orphaned-mfa",
    LOW,
    rests_on="virtual MFA devices",
    basis="IAM API reference: DeactivateMFADevice, DeleteVirtualMFADevice",
)
def orphaned_mfa(case: Case) -> Texts:
    """A virtual MFA device with its name is assigned to no user, and blocks a new one of that name."""
    serials = case.evidence.orphaned_mfa
    if not serials:
        return serials
    return (f"A virtual MFA device with its name is assigned to no user: {some(serials)}.",)


@_finding(
    "role-trusts-user",
    MEDIUM,
    rests_on="authorization details",
    basis="AWS JSON policy elements: Principal",
)
def role_trusts_user(case: Case) -> Texts:
    """The trust policy of a role in this account names it, maybe in a condition; the trust breaks when it is
    deleted."""
    roles = case.evidence.trusted_by
    if not roles:
        return roles
    return (f"The trust policies of these roles name it and break when it is deleted: {some(roles)}.",)


@_finding(
    "resource-policy-names-user",
    MEDIUM,
    rests_on="policies of resources, where `blast-radius` asks for them",
    basis="AWS JSON policy elements: Principal",
    note="""\
`resource-policy-names-user` needs the option `blast-radius`: see [What breaks](blast-radius.md). Without it, nothing is
read, and the finding is neither found nor unknown.""",
)
def resource_policy_names_user(case: Case) -> Texts:
    """The policy of a bucket, key, queue or other resource names it, maybe in a condition, or an access entry of an
    EKS cluster does; that breaks when it is deleted."""
    naming = case.evidence.naming
    if naming is None or not (naming.named or naming.unknown):
        return ()
    if not naming.named:
        return None
    more = f"; there may be more, since not all could be read: {naming.unknown}" if naming.unknown else ""
    places = some(tuple(map(str, naming.named)))
    return (f"Policies of these resources name it and break when it is deleted: {places}{more}.",)


@_finding(
    "compromised-key",
    HIGH,
    rests_on="authorization details",
    basis="Remediating exposed AWS credentials",
)
def compromised_key(case: Case) -> Texts:
    """AWS attached an `AWSCompromisedKeyQuarantine` policy, because it detected an exposed access key."""
    attached = case.user.attachments.get(attachments.ATTACHED_POLICY.name)
    if attached is None:
        return None
    held = [name for each in attached if (name := str(each.get("PolicyName", ""))).startswith(COMPROMISED)]
    return tuple(f"AWS attached {name}: an access key is exposed and must be investigated." for name in held)


@_finding(
    "unknown-provisioning",
    MEDIUM,
    rests_on="tags; CloudTrail's last 90 days for creators",
    basis="this package's own rule",
)
def unknown_provisioning(case: Case) -> Texts:
    """It matches none of the tags and creators under `provisioning`."""
    known, creator = case.provisioning, case.evidence.creator
    if not (known.tags or known.roles) or any(matches(case.user, "tag", pattern) for pattern in known.tags):
        return ()
    if known.roles:
        if creator is None:
            return None
        if any(fnmatchcase(creator, pattern) for pattern in known.roles):
            return ()
    by = f" by {creator}" if creator else ""
    return (f"Created{by}, which matches none of: {', '.join((*known.tags, *known.roles))}.",)


#: Of a user that a stack, a state or another tool manages.
MANAGED_AS_CODE = "managed-as-code"


@_finding(
    MANAGED_AS_CODE,
    LOW,
    rests_on="tags; with `managed-by`, CloudFormation and Terraform states",
    basis="CloudFormation best practices: Manage all stack resources through CloudFormation",
    note="See [Managed as code](managed-as-code.md) for the tags, and for what is asked by `managed-by`.",
)
def managed_as_code(case: Case) -> Texts:
    """A stack, a Terraform state or another tool manages it, so it comes back if it is deleted elsewhere."""
    managed = case.evidence.managed
    return managed.texts or (None if managed.unread else ())


FINDING_RULES = tuple(_RULES)
FINDING_IDS = tuple(row.id for row in FINDING_RULES)


#: Characters of a finding's text. Others choose names and tags: five ARNs have up to 10,000 characters.
_LONGEST_TEXT = 2_000


def _bounded(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."


def evaluate(case: Case) -> Findings:
    """Apply every rule to the user of ``case``."""
    results = [(row, row.rule(case)) for row in FINDING_RULES]
    return Findings(
        tuple(
            Finding(row.id, row.severity, _bounded(text)) for row, texts in results for text in texts or ()
        ),
        tuple(row.id for row, texts in results if texts is None),
    )
