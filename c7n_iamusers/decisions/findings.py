# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a user, by the rules of findings. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from c7n_iamusers.decisions.finding_rules import FINDING_RULES, Case


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
