# SPDX-License-Identifier: Apache-2.0
"""The inline policy of a permission set, each statement with a Sid of its own. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from c7n_iamusers.decisions.derivation.canonical import includes
from c7n_iamusers.decisions.derivation.writing import Spelling, written
from c7n_iamusers.decisions.policy_comparison.globs import Budget, OutOfBudget
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement
from c7n_iamusers.model.identity_center import canonical_policy

_DIGEST = 8


def labelled(
    statements: Iterable[PolicyStatement], sources: Iterable[tuple[PolicyStatement, str]], spelling: Spelling
) -> dict[str, Any] | None:
    """The document of ``statements``, None where there are none.

    ``sources``: the statements that these were made of, with their Sids. A Sid that all its sources agree on
    stays; where it is missing, or would stand twice, a digest of the statement makes it unique.
    """
    listed, made_of, budget = list(statements), set(sources), Budget()
    wanted = [_agreed(each, made_of, budget) for each in listed]
    counts = Counter(wanted)
    named = [
        {"Sid": sid if sid and counts[sid] == 1 else sid + _digest(each), **written(each, spelling)}
        for each, sid in zip(listed, wanted, strict=True)
    ]
    return {"Version": "2012-10-17", "Statement": named} if named else None


def _agreed(statement: PolicyStatement, sources: set[tuple[PolicyStatement, str]], budget: Budget) -> str:
    try:
        found = {sid for source, sid in sources if includes(statement, source, budget)}
    except OutOfBudget:
        return ""
    sids = {re.sub(r"[^A-Za-z0-9]", "", sid) for sid in found}
    return sids.pop() if len(sids) == 1 else ""


def _digest(statement: PolicyStatement) -> str:
    text = canonical_policy(written(statement))
    return statement.effect + sha256(text.encode()).hexdigest()[:_DIGEST]
