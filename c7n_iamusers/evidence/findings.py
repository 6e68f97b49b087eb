# SPDX-License-Identifier: Apache-2.0
"""The findings: of each its id, its severity, when it is found, in what words, and what asks for it. Pure.

A new finding is one function here; the filter's schema and docs/findings.md are derived from them, in this order.
Ids are stable, programs match on them; texts may change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from c7n_iamusers.evidence.admin_rights import admin_ways
from c7n_iamusers.evidence.model import Credential, Evidence
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.attachments import (
    ACCESS_KEY,
    ATTACHED_POLICY,
    INLINE_POLICY,
    LOGIN_PROFILE,
    PERMISSIONS_BOUNDARY,
)
from c7n_iamusers.iam.policy_documents import COMPROMISED
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.user_patterns import matches

HIGH, MEDIUM, LOW = "high", "medium", "low"
_BEST = "Security best practices in IAM"
_UNUSED = f"{_BEST}: Regularly review and remove unused users, roles, permissions, policies, and credentials"
_KEYS = f"{_BEST}: Update access keys when needed for use cases that require long-term credentials"
_SHOWN = 5
#: The texts of a rule's findings, none where the user is in order; None where that can't be told.
Answer = tuple[str, ...] | None


@dataclass(frozen=True)
class Thresholds:
    """Days after which a credential counts as unused, and a key as due for rotation."""

    unused: float = 90
    rotation: float = 90


@dataclass(frozen=True)
class Provisioning:
    """How users are created where it is done properly: globs over ``Key=value`` tags, and over creators' ARNs."""

    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One user under judgement at ``now`` (UTC)."""

    user: IamUser
    evidence: Evidence
    exemption: Exemption
    now: datetime
    thresholds: Thresholds = field(default_factory=Thresholds)
    provisioning: Provisioning = field(default_factory=Provisioning)

    def credentials(self, kind: str) -> tuple[Credential, ...] | None:
        """The active credentials of ``kind``; None where the kind, or whether one is active, is unknown."""
        found = self.evidence.credentials.get(kind)
        if found is None or any(each.active is None for each in found):
            return None
        return tuple(each for each in found if each.active)

    def days_since(self, moment: datetime) -> int:
        """Whole days from ``moment`` to now."""
        return (self.now - moment).days


Rule = Callable[[Case], Answer]


@dataclass(frozen=True)
class FindingRule:
    """``rule`` says in its docstring when it is found. ``rests_on``: the evidence without which it is unknown.

    ``basis``: the AWS documentation that asks for the contrary. ``note``: what the reference says beyond the table.
    """

    id: str
    severity: str
    rule: Rule
    rests_on: str
    basis: str
    note: str = ""


_RULES: list[FindingRule] = []


def _finding(id_: str, severity: str, *, rests_on: str, basis: str, note: str = "") -> Callable[[Rule], Rule]:
    """Adds the function below it to the findings."""

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
def iam_user(case: Case) -> Answer:
    """It is an IAM user."""
    return ("An IAM user has long-term credentials; AWS asks for temporary ones.",)


@_finding(
    "expired-exemption",
    MEDIUM,
    rests_on="the policy's rules",
    basis="this package's own rule",
)
def expired_exemption(case: Case) -> Answer:
    """A rule exempted it, and the rule has run out."""
    return tuple(
        f"Exempt by {gone.field} {gone.pattern!r} until {gone.expires.isoformat()} ({gone.reason}): "
        "renew the exemption with a new date, or let the user go."
        for gone in case.exemption.expired
    )


@_finding(
    "console-without-mfa",
    HIGH,
    rests_on="credential report, virtual MFA devices",
    basis=f"{_BEST}: Require multi-factor authentication (MFA)",
)
def console_without_mfa(case: Case) -> Answer:
    """It has a password and no MFA device."""
    passwords = case.credentials(LOGIN_PROFILE.name)
    if passwords == () or case.evidence.mfa:
        return ()
    if passwords is None or case.evidence.mfa is None:
        return None
    return ("Signs in to the console with a password alone: enforce MFA until the user goes.",)


@_finding(
    "password-never-used",
    MEDIUM,
    rests_on="credential report, ListUsers",
    basis=_UNUSED,
    note="`key-never-used` and `password-never-used` hold from the first day on; `min-age` spares users that are new.",
)
def password_never_used(case: Case) -> Answer:
    """It has a password that was never used."""
    return _never_used(case, LOGIN_PROFILE.name)


@_finding(
    "password-unused",
    MEDIUM,
    rests_on="credential report, ListUsers",
    basis=_UNUSED,
)
def password_unused(case: Case) -> Answer:
    """Its password was last used `thresholds.unused` days ago or before."""
    return _unused(case, LOGIN_PROFILE.name)


@_finding(
    "key-never-used",
    MEDIUM,
    rests_on="credential report",
    basis=_UNUSED,
)
def key_never_used(case: Case) -> Answer:
    """An active access key of it was never used."""
    return _never_used(case, ACCESS_KEY.name)


@_finding(
    "key-unused",
    MEDIUM,
    rests_on="credential report",
    basis=_UNUSED,
)
def key_unused(case: Case) -> Answer:
    """An active access key of it was last used `thresholds.unused` days ago or before."""
    return _unused(case, ACCESS_KEY.name)


@_finding(
    "key-not-rotated",
    MEDIUM,
    rests_on="credential report",
    basis=_KEYS,
)
def key_not_rotated(case: Case) -> Answer:
    """An active access key of it is `thresholds.rotation` days old or older."""

    def due(key: Credential) -> str | None:
        if key.made is None:
            return None
        days = case.days_since(key.made)
        return f"{_named(key)} is {days} days old." if days >= case.thresholds.rotation else ""

    return _each(case, ACCESS_KEY.name, due)


@_finding(
    "two-active-keys",
    LOW,
    rests_on="credential report",
    basis=_KEYS,
)
def two_active_keys(case: Case) -> Answer:
    """It has two active access keys."""
    keys = case.credentials(ACCESS_KEY.name)
    if keys is None:
        return None
    return (f"{len(keys)} access keys are active: twice the chance of a leak.",) if len(keys) > 1 else ()


@_finding(
    "admin-rights",
    HIGH,
    rests_on="authorization details",
    basis=f"{_BEST}: Apply least-privilege permissions",
    note="""\
`admin-rights` means every action on every resource, or every action of IAM on every resource, since that gives the
rest: `AdministratorAccess`, `IAMFullAccess`, and own policies to the same effect, whatever their conditions, and
even within a boundary (which the text names). Narrower ways up are not looked for: use a policy analyser.""",
)
def admin_rights(case: Case) -> Answer:
    """A policy of it or of its groups allows every action, or every action of IAM, on every resource."""
    ways = admin_ways(case.evidence.grants)
    if not ways:
        return ways
    boundary = case.user.attachments.get(PERMISSIONS_BOUNDARY.name)
    within = f", within its boundary {boundary[0].get('PermissionsBoundaryArn', '')}" if boundary else ""
    return (f"Administrator by {_some(ways)}{within}.",)


@_finding(
    "inline-policies",
    LOW,
    rests_on="authorization details",
    basis="Choose between managed policies and inline policies",
)
def inline_policies(case: Case) -> Answer:
    """It has inline policies."""
    return _attached(case, INLINE_POLICY.name, "inline policies")


@_finding(
    "directly-attached-policies",
    LOW,
    rests_on="authorization details",
    basis="CIS AWS Foundations Benchmark: IAM users receive permissions only through groups",
)
def directly_attached_policies(case: Case) -> Answer:
    """Managed policies are attached to it and not to a group."""
    return _attached(case, ATTACHED_POLICY.name, "policies attached to it and not to a group")


@_finding(
    "no-boundary",
    LOW,
    rests_on="authorization details",
    basis=f"{_BEST}: Use permissions boundaries to delegate permissions management within an account",
)
def no_boundary(case: Case) -> Answer:
    """It has no permissions boundary."""
    boundary = case.user.attachments.get(PERMISSIONS_BOUNDARY.name)
    if boundary is None:
        return None
    return () if boundary else ("No permissions boundary limits what it may be given.",)


@_finding(
    "orphaned-mfa",
    LOW,
    rests_on="virtual MFA devices",
    basis="IAM API reference: DeactivateMFADevice, DeleteVirtualMFADevice",
)
def orphaned_mfa(case: Case) -> Answer:
    """A virtual MFA device that bears its name is assigned to nobody, and blocks a new one."""
    serials = case.evidence.orphaned_mfa
    if not serials:
        return serials
    return (f"A virtual MFA device of its name is assigned to nobody: {', '.join(serials)}.",)


@_finding(
    "role-trusts-user",
    MEDIUM,
    rests_on="authorization details",
    basis="AWS JSON policy elements: Principal",
)
def role_trusts_user(case: Case) -> Answer:
    """The trust policy of a role in this account names it; the role breaks when the user goes."""
    roles = case.evidence.trusted_by
    if not roles:
        return roles
    return (f"Roles trust it by name and break when it goes: {', '.join(roles)}.",)


@_finding(
    "compromised-key",
    HIGH,
    rests_on="authorization details",
    basis="Remediating exposed AWS credentials",
)
def compromised_key(case: Case) -> Answer:
    """AWS attached an `AWSCompromisedKeyQuarantine` policy, since it saw a key leaked."""
    attached = case.user.attachments.get(ATTACHED_POLICY.name)
    if attached is None:
        return None
    held = [name for each in attached if (name := str(each.get("PolicyName", ""))).startswith(COMPROMISED)]
    return tuple(f"AWS attached {name}: a key of it leaked, and a person must look into it." for name in held)


@_finding(
    "unknown-provisioning",
    MEDIUM,
    rests_on="tags; CloudTrail's last 90 days for creators",
    basis="this package's own rule",
)
def unknown_provisioning(case: Case) -> Answer:
    """None of the tags and creators that `provisioning` names fits it."""
    known, creator = case.provisioning, case.evidence.creator
    if not (known.tags or known.roles) or any(matches(case.user, "tag", pattern) for pattern in known.tags):
        return ()
    if known.roles:
        if creator is None:
            return None
        if any(fnmatchcase(creator, pattern) for pattern in known.roles):
            return ()
    by = f" by {creator}" if creator else ""
    return (f"Created{by} outside the known ways: {', '.join((*known.tags, *known.roles))}.",)


FINDING_RULES = tuple(_RULES)
FINDING_IDS = tuple(row.id for row in FINDING_RULES)


def _never_used(case: Case, kind: str) -> Answer:
    def never(credential: Credential) -> str | None:
        if credential.last_use is None:
            return None
        if credential.last_use.at:
            return ""
        return f"{_named(credential)} was never used{_age(case, credential.made)}."

    return _each(case, kind, never)


def _unused(case: Case, kind: str) -> Answer:
    def idle(credential: Credential) -> str | None:
        if credential.last_use is None:
            return None
        if credential.last_use.at is None:
            return ""
        days = case.days_since(credential.last_use.at)
        return (
            f"{_named(credential)} was last used {days} days ago." if days >= case.thresholds.unused else ""
        )

    return _each(case, kind, idle)


def _each(case: Case, kind: str, judge: Callable[[Credential], str | None]) -> Answer:
    """The texts of ``judge`` (empty: in order, None: unknown) over the active credentials of ``kind``."""
    credentials = case.credentials(kind)
    if credentials is None:
        return None
    judged = [judge(credential) for credential in credentials]
    found = tuple(text for text in judged if text)
    return None if not found and None in judged else found


def _named(credential: Credential) -> str:
    return credential.title[:1].upper() + credential.title[1:]


def _age(case: Case, made: datetime | None) -> str:
    return f" since it was made {case.days_since(made)} days ago" if made else ""


def _attached(case: Case, kind: str, title: str) -> Answer:
    found = case.user.attachments.get(kind)
    if not found:
        return found if found is None else ()
    return (f"Has {title}: {_some(tuple(str(each.get('PolicyName', '?')) for each in found))}.",)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


@dataclass(frozen=True)
class Finding:
    """``id`` is what programs match on; ``severity`` is low, medium or high; ``text`` is for people."""

    id: str
    severity: str
    text: str

    def as_data(self) -> dict[str, str]:
        """The finding as it stands in an annotation."""
        return asdict(self)


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
