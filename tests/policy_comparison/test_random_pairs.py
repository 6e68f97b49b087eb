# SPDX-License-Identifier: Apache-2.0
"""The comparison against an evaluator that shares no code with it: 2,000 random pairs, by ``make soak`` 50,000.

What the comparison calls equal, or narrower, must be so for every request that is tried, by every reading of AWS's
text and whatever unknown operators and keys mean. Where only actions and resources matter, what it calls wider must be
so as well.
"""

from __future__ import annotations

import os
from collections import Counter
from itertools import product
from random import Random
from typing import Any

import pytest

from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, WIDER, Policies, compare
from c7n_iamusers.policy_comparison.principals import (
    PrincipalPermissions,
    RequestContext,
    session_context,
    user_context,
)
from c7n_iamusers.policy_comparison.statements import parse_policy
from tests.policy_comparison.random_policies import STRANGE, Pair, Statement, pairs, requests
from tests.policy_comparison.reference_evaluator import Context, Evaluator, Interpretation, Request

PAIRS, CHUNK = int(os.environ.get("SOAK_PAIRS", "2000")), 100
#: The first of the seeds, so that two soaks need not try the same.
SEED = int(os.environ.get("SOAK_SEED", "0"))
REQUESTS = 8

ALICE = PrincipalPermissions(
    "111122223333", "alice", "arn:aws:iam::111122223333:user/alice", "AIDAALICE", tags={"Team": "core"}
)
AS_USER: list[Context] = [
    {
        "aws:username": ("alice",),
        "aws:principalarn": (ALICE.arn,),
        "aws:principaltype": ("User",),
        "aws:principaltag/team": ("core",),
        **mfa,
    }
    for mfa in ({}, {"aws:multifactorauthpresent": ("true",)}, {"aws:multifactorauthpresent": ("false",)})
]
AS_SESSION: list[Context] = [
    {
        "aws:principaltype": ("AssumedRole",),
        "aws:principalarn": (f"arn:aws:iam::111122223333:{role}",),
        **tags,
        **mfa,
    }
    for role, tags, mfa in (
        ("role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_x_1", {}, {}),
        ("role/x", {"aws:principaltag/team": ("core",)}, {"aws:multifactorauthpresent": ("true",)}),
        ("role/x", {"aws:principaltag/team": ("web",)}, {"aws:multifactorauthpresent": ("false",)}),
    )
]


def document(statements: list[Statement], version: str) -> dict[str, Any]:
    return {"Version": version, "Statement": statements}


def policies(own: list[Statement], boundary: list[Statement] | None, version: str) -> Policies:
    return Policies(
        parse_policy(document(own, version), "p"),
        None if boundary is None else parse_policy(document(boundary, version), "boundary"),
    )


def evaluators(pair: Pair) -> list[list[Evaluator]]:
    """For each reading that may matter, one evaluator for each meaning that what is strange may have."""
    text = str(pair.statements)
    readings = [
        Interpretation(colons, whole, components)
        for colons, whole, components in product(
            (True, False) if "?" in text or "*" in text else (True,),
            (False, True) if "${" in text else (False,),
            (True, False) if "arn" in text.lower() and "PrincipalArn" in text else (True,),
        )
    ]
    strange = "Matches".lower() in text.lower() or any(key in text.lower() for key in STRANGE)
    meanings = (True, False) if strange else (False,)
    return [
        [Evaluator(reading, lambda operator, key, met=met: met, STRANGE) for met in meanings]  # type: ignore[misc]
        for reading in readings
    ]


def answers(
    each: list[Evaluator],
    request: tuple[str, str, Context],
    callers: list[Context],
    own: list[Statement],
    boundary: list[Statement] | None,
    version: str,
) -> set[bool]:
    """What is granted, for all that may be true of the caller and of what is strange."""
    action, resource, context = request
    limit = None if boundary is None else document(boundary, version)
    return {
        evaluator.granted(Request(action, resource, {**context, **caller}), [document(own, version)], limit)
        for evaluator in each
        for caller in callers
    }


def verdict_of(pair: Pair, random: Random) -> str:
    """The comparison's verdict, once it has been checked."""
    new = policies(pair.new, pair.new_boundary, pair.version)
    old = policies(pair.old, pair.old_boundary, pair.version)
    ways = (
        (session_context(), user_context(ALICE)) if pair.by_session else (RequestContext(), RequestContext())
    )
    verdict, witnesses = compare(new, ways[0], old, ways[1])
    if verdict in (EQUAL, NARROWER):
        check_requests(pair, verdict, random)
    elif verdict == WIDER and pair.is_plain:
        first = Evaluator()
        for witness in witnesses:
            request: tuple[str, str, Context] = (witness.action, witness.resource, {})
            after = answers([first], request, [{}], pair.new, pair.new_boundary, pair.version)
            before = answers([first], request, [{}], pair.old, pair.old_boundary, pair.version)
            assert (after, before) == ({True}, {False}), (pair, witness)
    return verdict


def check_requests(pair: Pair, verdict: str, random: Random) -> None:
    callers = (AS_SESSION, AS_USER) if pair.by_session else (AS_USER[:1], AS_USER[:1])
    alike = evaluators(pair)
    for request in requests(pair, random, REQUESTS):
        for each in alike:
            after = answers(each, request, callers[0], pair.new, pair.new_boundary, pair.version)
            before = answers(each, request, callers[1], pair.old, pair.old_boundary, pair.version)
            assert True not in after or False not in before, (verdict, pair, request, each[0].reading)
            if verdict == EQUAL:
                assert after == before, (verdict, pair, request, each[0].reading)


@pytest.mark.parametrize("seed", range(SEED, SEED + PAIRS // CHUNK))
def test_nothing_is_granted_that_the_comparison_did_not_see(seed: int) -> None:
    verdicts = Counter(verdict_of(pair, random) for pair, random in pairs(seed, CHUNK))
    # were nearly all of one verdict, little would be tried
    assert verdicts[EQUAL] + verdicts[NARROWER] >= CHUNK // 5, verdicts
    assert verdicts[WIDER] >= CHUNK // 10, verdicts
