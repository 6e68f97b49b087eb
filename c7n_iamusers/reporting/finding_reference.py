# SPDX-License-Identifier: Apache-2.0
"""The reference of findings, ``docs/findings.md``, from the table that the findings are made by.

``python -m c7n_iamusers.reporting.finding_reference > docs/findings.md`` writes it anew.
"""

from __future__ import annotations

import inspect

from c7n_iamusers.decisions.finding_rules import FINDING_RULES, FindingRule, Thresholds

_HEAD = """# Findings

What the filter `unnecessary` and the command `c7n-iamusers evidence` find on a user. Ids are stable: match on
them, in `findings: {{any-of: [...], none-of: [...]}}` or in what reads the annotation. Texts may change.

Where the evidence that a finding rests on could not be read, or doesn't know the user, the finding is neither
there nor absent: its id stands under `unknown_findings`, and it meets neither `any-of` nor `none-of`.

Ages are counted to the time of the credential report. `thresholds.unused` is {unused} days and
`thresholds.rotation` {rotation} days unless the policy says otherwise.

| id | severity | found when | rests on | asked for by |
| --- | --- | --- | --- | --- |
"""


def reference() -> str:
    """The reference as Markdown."""
    head = _HEAD.format(unused=Thresholds().unused, rotation=Thresholds().rotation)
    notes = "".join(f"\n{row.note}\n" for row in FINDING_RULES if row.note)
    return head + "".join(map(_line, FINDING_RULES)) + notes


def _line(row: FindingRule) -> str:
    meaning = " ".join((inspect.getdoc(row.rule) or "").split())
    return f"| `{row.id}` | {row.severity} | {meaning} | {row.rests_on} | {row.basis} |\n"


if __name__ == "__main__":
    print(reference(), end="")
