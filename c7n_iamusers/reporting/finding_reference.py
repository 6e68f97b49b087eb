# SPDX-License-Identifier: Apache-2.0
"""The reference of findings, ``docs/findings.md``, from the table that the findings are made by.

``python -m c7n_iamusers.reporting.finding_reference > docs/findings.md`` writes it anew.
"""

from __future__ import annotations

import inspect

from c7n_iamusers.decisions.finding_case import Thresholds
from c7n_iamusers.decisions.findings import FINDING_RULES, FindingRule

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
_TAIL = """
`admin-rights` means every action on every resource, or every action of IAM on every resource, since that gives the
rest: `AdministratorAccess`, `IAMFullAccess`, and own policies to the same effect, whatever their conditions, and
even within a boundary (which the text names). Narrower ways up are not looked for: use a policy analyser.

`key-never-used` and `password-never-used` hold from the first day on; `min-age` spares users that are new.
"""


def reference() -> str:
    """The reference as Markdown."""
    head = _HEAD.format(unused=Thresholds().unused, rotation=Thresholds().rotation)
    return head + "".join(map(_line, FINDING_RULES)) + _TAIL


def _line(row: FindingRule) -> str:
    meaning = " ".join((inspect.getdoc(row.rule) or "").split())
    return f"| `{row.id}` | {row.severity} | {meaning} | {row.rests_on} | {row.basis} |\n"


if __name__ == "__main__":
    print(reference(), end="")
