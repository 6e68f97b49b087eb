# SPDX-License-Identifier: Apache-2.0
"""Which of the users that no exemption protects are flagged. Pure.

What is unknown never selects: a user passes a condition only if it is known to meet it. The one exception
is asked for by name, ``kinds: [unknown]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from c7n_iamusers.decisions.activity import activity_of, is_unused
from c7n_iamusers.decisions.assessment import Assessment
from c7n_iamusers.decisions.evidence import with_listed
from c7n_iamusers.model.attachment_rows import AttachmentKind
from c7n_iamusers.model.attachments import LISTED_BY_USER
from c7n_iamusers.model.evidence import Evidence
from c7n_iamusers.model.inventory import USER
from c7n_iamusers.model.moments import moment


@dataclass(frozen=True)
class Selection:
    """Conditions that a user must meet, all of them; None and empty ones are met by everybody.

    ``unused_for``, ``min_age``: days. ``any_of``, ``none_of``: ids of findings.
    """

    kinds: tuple[str, ...] = ()
    unused_for: float | None = None
    min_age: float | None = None
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    def selects(self, assessment: Assessment, now: datetime) -> bool:
        """Whether the user surely meets every condition."""
        return (
            self._meets_the_rest(assessment, now)
            and self._is_of_kind(assessment)
            and (self.unused_for is None or is_unused(assessment.activity, self.unused_for, now))
        )

    def wants_lists(self, assessment: Assessment, now: datetime) -> bool:
        """Whether the credentials that are listed for one user at a time (SSH keys) would settle the matter."""
        if not unlisted(assessment.evidence) or not self._meets_the_rest(assessment, now):
            return False
        undecided = bool(assessment.verdict.wants)
        if not undecided and not self._is_of_kind(assessment):
            return False
        return self._unused_without_them(assessment, now) if self.unused_for is not None else undecided

    def _meets_the_rest(self, assessment: Assessment, now: datetime) -> bool:
        findings = assessment.findings
        return (
            self._is_old_enough(assessment, now)
            and (not self.any_of or any(findings.has(each) for each in self.any_of))
            and all(findings.has(each) is False for each in self.none_of)
        )

    def _is_old_enough(self, assessment: Assessment, now: datetime) -> bool:
        if self.min_age is None:
            return True
        created = moment(assessment.user.detail.get("CreateDate"))
        return created is not None and now - created >= timedelta(days=self.min_age)

    def _is_of_kind(self, assessment: Assessment) -> bool:
        return not self.kinds or assessment.verdict.kind in self.kinds

    def _unused_without_them(self, assessment: Assessment, now: datetime) -> bool:
        """Whether the user would be unused if it had none of them, listed as lately as its own record."""
        evidence = assessment.evidence
        if USER not in evidence.sources:
            return False
        known = evidence
        for kind in unlisted(evidence):
            known = with_listed(known, kind, (), evidence.sources[USER])
        return is_unused(activity_of(assessment.user, known), self.unused_for or 0, now)


def unlisted(evidence: Evidence) -> tuple[AttachmentKind, ...]:
    """The kinds of credentials that are listed for one user at a time, and were not for this one."""
    return tuple(kind for kind in LISTED_BY_USER if kind.name not in evidence.credentials)
