# SPDX-License-Identifier: Apache-2.0
"""A set is what its holders have, whoever else is there: what becomes of others changes nothing for them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import Derivation, DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.policy_comparison.principals import PrincipalPermissions
from tests.derivation.test_derive import users
from tests.derivation.users import PAYMENTS, PLAIN, READ, RESEARCH, WRITE, allow, aws, only_set, own, user
from tests.examples import examples

pytestmark = pytest.mark.pure

EVERYTHING_IN_S3 = allow("s3:*")
TEAM = PolicyReference("Team")


def sets(derivation: Derivation) -> dict[str, DerivedSet]:
    """Name -> set, without who has it."""
    return {each.name: replace(each, accounts=()) for each in derivation.sets}


def set_of(derivation: Derivation, name: str) -> DerivedSet:
    (found,) = [each.set_name for each in derivation.principals if each.subject.name == name]
    return next(each for each in derivation.sets if each.name == found)


ALICE = user("alice", PAYMENTS, attached=(own("Team", EVERYTHING_IN_S3),))
BOB = user("bob", RESEARCH, inline=[EVERYTHING_IN_S3])


def test_whoever_has_a_policy_inline_never_gets_it_by_somebody_elses_reference() -> None:
    together = derive([ALICE, BOB], PLAIN)
    assert set_of(together, "alice").customer_managed == (TEAM,)
    assert set_of(together, "bob").customer_managed == ()
    assert set_of(together, "alice").name in sets(derive([ALICE], PLAIN))


def test_a_neighbours_policy_is_not_referred_to_either() -> None:
    dave = user("dave", PAYMENTS, inline=[EVERYTHING_IN_S3])
    found = derive([ALICE, dave], PLAIN)
    assert (set_of(found, "alice").customer_managed, set_of(found, "dave").customer_managed) == ((TEAM,), ())


def test_account_by_account_is_no_dead_end() -> None:
    first, second = derive([ALICE], PLAIN), derive([BOB], PLAIN)
    assert {**sets(first), **sets(second)} == sets(derive([BOB, ALICE], PLAIN))
    assert only_set(first).name != only_set(second).name


def test_session_duration_is_part_of_the_name() -> None:
    hours = [only_set(derive([BOB], replace(PLAIN, session_duration=each))) for each in ("PT1H", "PT8H")]
    assert hours[0].name != hours[1].name


def test_the_same_duration_in_other_words_is_the_same_set() -> None:
    same = [only_set(derive([BOB], replace(PLAIN, session_duration=each))) for each in ("PT1H", "PT60M")]
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"session_duration": "PT1H"}, {"session_duration": "PT2H"}, id="duration"),
        pytest.param({}, {"policies_per_role": 2}, id="room-for-references"),
    ],
)
def test_options_that_change_the_form_change_the_name(
    first: dict[str, object], second: dict[str, object]
) -> None:
    policies = tuple(own(f"P{number}", allow(f"svc{number}:*")) for number in range(3))
    forms = [
        only_set(derive([user(attached=policies)], replace(DerivationOptions(), **options)))  # type: ignore[arg-type]
        for options in (first, second)
    ]
    assert forms[0].name != forms[1].name


def test_names_have_a_neutral_beginning() -> None:
    """Other people's policies name roles by patterns such as *AWSReservedSSO_AdministratorAccess*."""
    (name,) = sets(derive([user(attached=(aws("AdministratorAccess"),))], PLAIN))
    assert re.fullmatch(r"iam-Admin-[a-z2-7]{22}", name)


def test_labels_and_case_make_no_other_set() -> None:
    inline = [{**READ, "Sid": "A"}, {**WRITE, "Sid": "B"}]
    shouted = [{**READ, "Sid": "Z", "Action": ["S3:LIST*", "s3:GET*"]}, WRITE]
    first, second = (only_set(derive([user(inline=each)], PLAIN)) for each in (inline, shouted))
    assert first == second


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(users(), max_size=6, unique_by=lambda each: each.arn))
def test_every_set_is_the_same_alone(found: list[PrincipalPermissions]) -> None:
    together: dict[str, DerivedSet] = {}
    for each in found:
        together.update(sets(derive([each], PLAIN)))
    assert sets(derive(found, PLAIN)) == together
