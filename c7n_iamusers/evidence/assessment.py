# SPDX-License-Identifier: Apache-2.0
"""Everything that is decided on one user, put together. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from c7n_iamusers.evidence.activity import activity_of
from c7n_iamusers.evidence.classification import classify
from c7n_iamusers.evidence.findings import Case, Findings, Provisioning, Thresholds, judge
from c7n_iamusers.evidence.model import Activity, Evidence, Hint, Verdict
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, CREDENTIAL_REPORT, MFA_DEVICE
from c7n_iamusers.iam.user import IamUser


@dataclass(frozen=True)
class Criteria:
    """What an organization says of itself: names, numbers of days, and how its users are created."""

    hints: tuple[Hint, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    provisioning: Provisioning = field(default_factory=Provisioning)


@dataclass(frozen=True)
class Assessment:
    """What ``user`` is, what is wrong with it, and when it was last active."""

    user: IamUser
    evidence: Evidence
    exemption: Exemption
    verdict: Verdict
    findings: Findings
    activity: Activity

    def as_data(self) -> dict[str, Any]:
        """The assessment as an annotation: JSON types only."""
        counts, unread = count_attachments(self.user, self.evidence)
        trusted_by = self.evidence.trusted_by
        return {
            "kind": self.verdict.kind,
            "reasons": list(self.verdict.reasons),
            "replacement": list(self.verdict.replacement),
            "findings": [finding.as_data() for finding in self.findings.found],
            "unknown_findings": list(self.findings.unknown),
            "last_activity": self.activity.as_data(),
            "attachments": counts,
            "unread": unread,
            "trusted_by": None if trusted_by is None else list(trusted_by),
            "sources": {piece: source.as_data() for piece, source in self.evidence.sources.items()},
        }


def assess(
    user: IamUser, evidence: Evidence, exemption: Exemption, criteria: Criteria, now: datetime
) -> Assessment:
    """The assessment of ``user`` at ``now`` (UTC).

    Ages are counted to the time of the credential report, where there is one: a saved report that is a year
    old says nothing of the year since.
    """
    as_of = evidence.time_of(CREDENTIAL_REPORT) or now
    case = Case(user, evidence, exemption, as_of, criteria.thresholds, criteria.provisioning)
    verdict = classify(user, evidence, criteria.hints)
    return Assessment(user, evidence, exemption, verdict, judge(case), activity_of(user, evidence))


def count_attachments(user: IamUser, evidence: Evidence) -> tuple[dict[str, int], list[str]]:
    """Attachment kind -> count, and the kinds not read in full: absent from the counts, or a least number."""
    known = {kind: len(found) for kind, found in evidence.credentials.items()} | user.counts()
    unread = {kind.name for kind in ATTACHMENT_KINDS} - known.keys()
    if MFA_DEVICE.name in unread and evidence.mfa is not None:
        # Hardware and FIDO devices stand in no list of the account, so of devices this is the least there is.
        known[MFA_DEVICE.name] = max(len(evidence.virtual_mfa or ()), int(evidence.mfa))
        if not evidence.mfa:
            unread.remove(MFA_DEVICE.name)
    order = [kind.name for kind in ATTACHMENT_KINDS]
    return {kind: known[kind] for kind in order if kind in known}, [kind for kind in order if kind in unread]
