# SPDX-License-Identifier: Apache-2.0
"""Whether a user may do all that a permission set allows: by its content in the user's account."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.access_plan import Choices
from c7n_iamusers.identity_center.model import (
    CenterState,
    Claim,
    CurrentAccess,
    DesiredAccess,
    Grant,
    Group,
    KnownPermissionSet,
)
from c7n_iamusers.identity_center.planning.plan_input import PlanEvidence, PlanInput
from c7n_iamusers.identity_center.planning.review_input import Comparison
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, UNDECIDED, WIDER
from tests.access_center import ACCOUNT, INSTANCE, OTHER_ACCOUNT, SET_ARN
from tests.desired import readers

pytestmark = [pytest.mark.pure, pytest.mark.whole]
ANN = Claim(
    Subject("ann", f"arn:aws:iam::{ACCOUNT}:user/ann", "AIDA1"),
    ("", "ann"),
    "iam-new",
    Grant(ACCOUNT, "New"),
    verdict=EQUAL,
)


def covered(name: str, stale: str = "", as_is: bool = False, verdict: str = EQUAL) -> bool:
    """Whether ``verdict`` on the set ``name`` counts. ``stale``: the account with an earlier form of it."""
    accounts = frozenset({ACCOUNT, OTHER_ACCOUNT})
    known = KnownPermissionSet(SET_ARN, readers(name), accounts, stale=frozenset({stale} - {""}))
    desired = DesiredAccess(
        {"New": readers("New")}, {"iam-new": Group("iam-new", frozenset({ANN.grant}))}, {}, (ANN,)
    )
    proofs: Any = SimpleNamespace(verdict=lambda *_: verdict)
    history: Any = SimpleNamespace()
    evidence = PlanEvidence(history=history, proofs=proofs)
    state = CenterState(current=CurrentAccess({}, {}, {SET_ARN: name}, {SET_ARN: known}, {}))
    nothing_else: Any = SimpleNamespace(further=lambda _: frozenset())
    given = PlanInput(desired, state, {}, (ANN,), INSTANCE, evidence)
    return Comparison(given, Choices(), nothing_else, as_is=as_is).covers([ANN], name)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param({"name": "Old"}, True, id="equal"),
        pytest.param({"name": "Old", "verdict": NARROWER}, True, id="narrower"),
        pytest.param({"name": "Old", "verdict": WIDER}, False, id="wider"),
        pytest.param({"name": "Old", "verdict": UNDECIDED}, False, id="undecided"),
        pytest.param({"name": "Old", "stale": ACCOUNT}, False, id="an-earlier-form"),
        pytest.param({"name": "Old", "stale": OTHER_ACCOUNT}, True, id="an-earlier-form-elsewhere"),
        pytest.param({"name": "New", "stale": ACCOUNT}, True, id="the-plan-provisions-it-anew"),
        pytest.param({"name": "New", "stale": ACCOUNT, "as_is": True}, False, id="as-it-is-now"),
    ],
)
def test_a_set_is_covered_by_what_it_allows_in_the_account(given: dict[str, Any], found: bool) -> None:
    assert covered(**given) is found
