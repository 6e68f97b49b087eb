# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.policy_comparison import third_opinion
from tests.policy_comparison.random_policies import pairs, requests
from tests.policy_comparison.reference_evaluator import Evaluator
from tests.policy_comparison.reference_evaluator import Request as Asked
from tests.policy_comparison.test_random_pairs import document, evaluators
from tests.policy_comparison.third_opinion import KNOWN, Document, Request, Survey

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("name", KNOWN)
def test_a_policy_that_is_rewritten_means_the_same(name: str) -> None:
    changed = 0
    for pair, random in pairs(7, 30):
        policy = document(pair.old, pair.version)
        changed += KNOWN[name](policy) != policy
        for action, resource, context in requests(pair, random, 4):
            for first, *_ in evaluators(pair):
                asked = Asked(action, resource, context)
                same = first.granted(asked, [KNOWN[name](policy)]) == first.granted(asked, [policy])
                assert same, (policy, asked, first.reading)
    assert changed


def honest(policy: Document, boundary: Document | None, asked: Sequence[Request]) -> list[bool | str]:
    evaluator = Evaluator()
    return [evaluator.granted(Asked(*each), [policy], boundary) for each in asked]


def surveyed(ask: third_opinion.Ask) -> Survey:
    found = Survey(ask)
    for pair, random in pairs(3, 25):
        found.of(pair, random)
    return found


def test_who_evaluates_as_we_do_agrees() -> None:
    found = surveyed(honest)
    assert found.found == []
    assert found.counts["agreed"] > 100


def test_another_answer_is_told_with_its_policies() -> None:
    def contrary(policy: Document, boundary: Document | None, asked: Sequence[Request]) -> list[bool | str]:
        return [not each for each in honest(policy, boundary, asked)]

    found = surveyed(contrary)
    assert found.counts["disagreed"] > 100
    assert any(each.startswith("disagreed, True: ") for each in found.found)
    assert any(each.startswith("contradicts narrower: ") for each in found.found)


def test_what_is_read_otherwise_is_named() -> None:
    def literal(policy: Document, boundary: Document | None, asked: Sequence[Request]) -> list[bool | str]:
        """Takes the service of an action literally."""
        text: Any = [
            {**each, "Action": [one for one in each["Action"] if one != "*:*"] or ["none:None"]}
            if "Action" in each
            else {**each, "NotAction": [one for one in each["NotAction"] if one != "*:*"] or ["none:None"]}
            for each in policy["Statement"]
        ]
        return honest({**policy, "Statement": text}, boundary, asked)

    found = surveyed(literal)
    assert found.counts["a wildcard for the service of an action"]
    assert found.found == []


def test_a_machine_without_node_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["third_opinion"])
    monkeypatch.setenv("PATH", "")
    assert third_opinion.main() == 0
    assert (
        capsys.readouterr().out
        == "NOT TRIED: the third opinion on policies, as this machine has no node and no npm\n"
    )
