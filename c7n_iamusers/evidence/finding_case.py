# SPDX-License-Identifier: Apache-2.0
"""What the rules of findings see of one IAM user, what a rule is, and the texts that several rules share. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from c7n_iamusers.evidence.model import Credential, Evidence, Provisioning, Thresholds
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.text.wording import shown

#: Names in a text at most.
_SHOWN = 5
#: The texts of a rule's findings; empty if there is nothing to report, None if the evidence for it was not read.
Texts = tuple[str, ...] | None


@dataclass(frozen=True)
class Case:
    """What the rules see of one user at ``now`` (UTC)."""

    user: IamUser
    evidence: Evidence
    exemption: Exemption
    now: datetime
    thresholds: Thresholds = field(default_factory=Thresholds)
    provisioning: Provisioning = field(default_factory=Provisioning)

    def credentials(self, kind: str) -> tuple[Credential, ...] | None:
        """The active credentials of ``kind``; None if the kind was not read, or a status is unknown."""
        credentials = self.evidence.credentials.get(kind)
        if credentials is None or any(credential.active is None for credential in credentials):
            return None
        return tuple(credential for credential in credentials if credential.active)

    def days_since(self, moment: datetime) -> int:
        """Whole days from ``moment`` to now."""
        return (self.now - moment).days


Rule = Callable[[Case], Texts]


@dataclass(frozen=True)
class FindingRule:
    """``rule``: its docstring says when it is found. ``rests_on``: the evidence without which it is unknown.

    ``basis``: the guidance that the user violates. ``note``: text for the reference, below the table.
    """

    id: str
    severity: str
    rule: Rule
    rests_on: str
    basis: str
    note: str = ""


def never_used(case: Case, kind: str) -> Texts:
    def never(credential: Credential) -> str | None:
        if credential.last_use is None:
            return None
        if credential.last_use.at:
            return ""
        return f"{title(credential)} was never used{_age(case, credential.created)}."

    return of_each(case, kind, never)


def unused(case: Case, kind: str) -> Texts:
    def idle(credential: Credential) -> str | None:
        if credential.last_use is None:
            return None
        if credential.last_use.at is None:
            return ""
        days = case.days_since(credential.last_use.at)
        return f"{title(credential)} was last used {days} days ago." if days >= case.thresholds.unused else ""

    return of_each(case, kind, idle)


def of_each(case: Case, kind: str, text_of: Callable[[Credential], str | None]) -> Texts:
    """The texts of ``text_of`` (empty: nothing to report, None: unknown) for the active credentials of ``kind``."""
    credentials = case.credentials(kind)
    if credentials is None:
        return None
    texts = [text_of(credential) for credential in credentials]
    found = tuple(text for text in texts if text)
    return None if not found and None in texts else found


def title(credential: Credential) -> str:
    return credential.title[:1].upper() + credential.title[1:]


def _age(case: Case, created: datetime | None) -> str:
    return f" since it was created {case.days_since(created)} days ago" if created else ""


def has_attached(case: Case, kind: str, plural: str) -> Texts:
    policies = case.user.attachments.get(kind)
    if not policies:
        return policies if policies is None else ()
    return (f"Has {plural}: {some(tuple(str(policy.get('PolicyName', '?')) for policy in policies))}.",)


def some(names: tuple[str, ...]) -> str:
    return shown(names, _SHOWN)
