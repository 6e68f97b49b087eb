# SPDX-License-Identifier: Apache-2.0
"""The comparison against an evaluator that shares no code with it: 400 random pairs, by ``make soak`` 100,000.

What the comparison calls equal, or narrower, must be so for every request that is tried, by every reading of AWS's
text and whatever unknown operators and keys mean. Where only actions and resources matter, what it calls wider must be
so as well. A third of the pairs have a layer: a trust policy, or a service control policy, of others.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any

import pytest

from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, UNDECIDED, WIDER, Policies, compare
from c7n_iamusers.policy_comparison.other_policies import SCP, TRUST, Caller, OtherPolicy, parse_other_policy
from c7n_iamusers.policy_comparison.others_comparison import Excess, Party, difference
from c7n_iamusers.policy_comparison.principals import (
    PrincipalPermissions,
    RequestContext,
    SessionNames,
    named_session_context,
    session_context,
    user_context,
)
from c7n_iamusers.policy_comparison.statements import parse_policy
from tests.policy_comparison.random_policies import (
    ACCOUNT,
    ROLE,
    SET_ROLES,
    SET_SESSIONS,
    STRANGE,
    Layer,
    Pair,
    Statement,
    layer_of,
    layer_requests,
    pairs,
    requests,
)
from tests.policy_comparison.reference_evaluator import (
    Context,
    Evaluator,
    Interpretation,
    Names,
    OtherDocument,
    Request,
)

pytestmark = pytest.mark.pure

PAIRS, CHUNK = int(os.environ.get("SOAK_PAIRS", "400")), 100
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


#: The sessions of the permission set x, and alice, as policies of others name them.
SESSIONS: list[tuple[Names, dict[str, tuple[str, ...]]]] = [
    (Names(ACCOUNT, frozenset({session}), frozenset({role})), {
        "aws:principaltype": ("AssumedRole",),
        "aws:principalarn": (role,),
        "aws:userid": ("AROA123:alice@example.com",),
        "aws:principalaccount": (ACCOUNT,),
        **more,
    })
    for role, session, more in zip(SET_ROLES, SET_SESSIONS, (
        {},
        {"aws:principaltag/team": ("core",), "aws:multifactorauthpresent": ("true",)},
        {"aws:principaltag/team": ("web",), "aws:multifactorauthpresent": ("false",)},
    ), strict=True)
]  # fmt: skip
USERS: list[tuple[Names, dict[str, tuple[str, ...]]]] = [
    (
        Names(ACCOUNT, frozenset({ALICE.arn})),
        {**context, "aws:userid": ("AIDAALICE",), "aws:principalaccount": (ACCOUNT,)},
    )
    for context in AS_USER
]
LAYERED, LAYERED_CHUNKS = 50, PAIRS // CHUNK
_KNOWN = {"aws:principalaccount": frozenset[str | None]({ACCOUNT})}


def findings(pair: Pair, layer: Layer) -> tuple[OtherPolicy, Excess, Excess]:
    """What the layer lets the session do beyond alice, and the reverse."""
    text = document(layer.statements, "2012-10-17")
    kind, resource = (SCP, "") if layer.is_control else (TRUST, ROLE)
    policy = parse_other_policy(kind, "R", ACCOUNT, resource, text)
    names = SessionNames("aws", ACCOUNT, "x", "alice@example.com")
    session = Party(
        Caller(ACCOUNT, named_session_context(session_context(), names), names=names, known=_KNOWN),
        policies(pair.new, pair.new_boundary, pair.version),
    )
    alice = Party(
        Caller(ACCOUNT, user_context(ALICE), ALICE.arn, known=_KNOWN),
        policies(pair.old, pair.old_boundary, pair.version),
    )
    return policy, difference(policy, session, alice), difference(policy, alice, session)


def layered_answers(
    each: list[Evaluator],
    request: tuple[str, str, Context],
    callers: list[tuple[Names, dict[str, tuple[str, ...]]]],
    own: tuple[list[Statement], list[Statement] | None, str],
    other: OtherDocument,
) -> set[bool]:
    action, resource, context = request
    statements, boundary, version = own
    limit = None if boundary is None else document(boundary, version)
    return {
        evaluator.granted_with(
            Request(action, resource, {**context, **facts}),
            document(statements, version),
            limit,
            other,
            names,
        )
        for evaluator in each
        for names, facts in callers
    }


def layered_verdict(pair: Pair, random: Random) -> str:
    """The verdict of the comparison with a layer, once it has been checked."""
    pair, layer = layer_of(pair, random)
    new = policies(pair.new, pair.new_boundary, pair.version)
    old = policies(pair.old, pair.old_boundary, pair.version)
    own, _ = compare(new, session_context(), old, user_context(ALICE))
    if own not in (EQUAL, NARROWER):
        return own
    policy, found, lost = findings(pair, layer)
    assert not policy.problem
    if found.possible:
        return WIDER if found.certain else UNDECIDED
    verdict = NARROWER if lost.possible else own
    alike = evaluators(replace(pair, old=[*pair.old, *layer.statements]))
    if layer.has_not_principal:
        alike = [
            [Evaluator(each[0].reading, lambda *_, met=met: met, STRANGE) for met in (True, False)]
            for each in alike
        ]
    text = document(layer.statements, "2012-10-17")
    for request in layer_requests(pair, layer, random, REQUESTS):
        for each, direct in product(alike, (True, False)):
            other = OtherDocument(text, ROLE, layer.is_control, direct)
            session = (pair.new, pair.new_boundary, pair.version)
            after = layered_answers(each, request, SESSIONS, session, other)
            before = layered_answers(each, request, USERS, (pair.old, pair.old_boundary, pair.version), other)
            assert True not in after or False not in before, (
                verdict,
                pair,
                layer,
                request,
                each[0].reading,
                direct,
            )
            if verdict == EQUAL:
                assert after == before, (verdict, pair, layer, request, each[0].reading, direct)
    return verdict


@pytest.mark.parametrize("seed", range(SEED, SEED + LAYERED_CHUNKS))
def test_nothing_is_granted_by_policies_of_others_that_the_comparison_did_not_see(seed: int) -> None:
    found = Counter(layered_verdict(pair, random) for pair, random in pairs(1_000_000 + seed, LAYERED))
    # were nearly all of one verdict, little would be tried
    assert found[EQUAL] + found[NARROWER] >= LAYERED // 10, found
    assert found[WIDER] + found[UNDECIDED] >= LAYERED // 20, found


@pytest.mark.parametrize("name", ["Principal", "NotPrincipal"])
def test_identity_based_policies_with_principals_are_refused(name: str) -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", name: "*"}
    with pytest.raises(ValueError, match=f"{name} in a statement, which identity-based policies can't have"):
        parse_policy(document([statement], "2012-10-17"), "p")


@pytest.mark.parametrize("seed", range(SEED, SEED + PAIRS // CHUNK))
def test_nothing_is_granted_that_the_comparison_did_not_see(seed: int) -> None:
    verdicts = Counter(verdict_of(pair, random) for pair, random in pairs(seed, CHUNK))
    # were nearly all of one verdict, little would be tried
    assert verdicts[EQUAL] + verdicts[NARROWER] >= CHUNK // 5, verdicts
    assert verdicts[WIDER] >= CHUNK // 10, verdicts
