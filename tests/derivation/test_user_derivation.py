# SPDX-License-Identifier: Apache-2.0
"""Deriving once for all users with the same policies comes to what deriving for each does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c7n_iamusers.derivation import user_derivation
from c7n_iamusers.derivation.model import DerivationOptions
from c7n_iamusers.derivation.rendering import render
from c7n_iamusers.derivation.user_derivation import UserDerivation, UserDeriver
from c7n_iamusers.policy_comparison.budgets import ACCOUNT_SECONDS, AccountTimes
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER
from c7n_iamusers.policy_comparison.principals import PrincipalPermissions, depends_on_principal, user_context
from tests.derivation.test_derive import users
from tests.derivation.users import (
    FORCE_MFA,
    HOME,
    PAYMENTS,
    PLAIN,
    READ,
    RESEARCH,
    WRITE,
    allow,
    aws,
    deny,
    own,
    user,
)
from tests.examples import examples

pytestmark = pytest.mark.pure

TEAM: dict[str, Any] = {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}}}
OTHERS_HOME = deny("s3:*", "arn:aws:s3:::home/bob/*")
BY_TAG = aws("ByTag", allow("s3:*", **TEAM))


def content(result: UserDerivation) -> tuple[object, ...]:
    return result.derived, result.proof, result.reason


@pytest.mark.parametrize(
    "permissions",
    [
        pytest.param({"inline": [READ, WRITE]}, id="plain"),
        pytest.param({"inline": [READ, allow("s3:*", HOME)]}, id="a-variable"),
        pytest.param({"inline": [READ, allow("s3:*", HOME), OTHERS_HOME]}, id="a-variable-and-somebodys-name"),
        pytest.param({"inline": [READ, FORCE_MFA]}, id="mfa"),
        pytest.param({"inline": [READ, allow("ec2:*", **TEAM)]}, id="a-tag"),
        pytest.param({"inline": [READ, deny("s3:GetObject", HOME)]}, id="a-deny-by-a-variable"),
        pytest.param({"attached": (BY_TAG,)}, id="aws-managed-by-tag"),
        pytest.param({"attached": (own("Unread"),)}, id="unread"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(DerivationOptions(write_out=True), id="written-out"),
        pytest.param(DerivationOptions(identity_center_mfa=True), id="mfa-is-certain"),
        pytest.param(DerivationOptions(username_tag="team"), id="a-session-tag"),
    ],
)
def test_the_second_user_gets_what_it_would_get_alone(
    permissions: dict[str, Any], options: DerivationOptions
) -> None:
    first = user("alice", tags={"team": "blue"}, **permissions)
    for second in (
        user("bob", tags={"team": "blue"}, person="bob", **permissions),
        user("bob", tags={"team": "red"}, person="robert", **permissions),
        user("alice", RESEARCH, tags={}, **permissions),
    ):
        shared = UserDeriver(options)
        shared.of(first)
        assert content(shared.of(second)) == content(UserDeriver(options).of(second))


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(users(), max_size=5), st.booleans())
def test_nobody_gets_anything_by_what_others_have(found: list[PrincipalPermissions], mfa: bool) -> None:
    options = DerivationOptions(identity_center_mfa=mfa)
    shared = UserDeriver(options)
    for each in found:
        assert content(shared.of(each)) == content(UserDeriver(options).of(each))


def test_the_work_is_done_once_for_the_same_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counted(*given: Any) -> Any:
        nonlocal count
        count += 1
        return original(*given)

    original = render
    monkeypatch.setattr(user_derivation, "render", counted)
    shared = UserDeriver(PLAIN)
    for number in range(100):
        made = shared.of(user(f"u{number}", inline=[READ, allow("s3:*", HOME)]))
        assert made.proof is not None
        assert made.proof.verdict == NARROWER
    assert count == 1


def test_what_is_known_of_the_user_settles_what_else_would_not_be() -> None:
    """Nobody but bob is known to be denied bob's home anyway."""
    lost = deny("s3:*", "arn:aws:s3:::home/${aws:username}/*")
    permissions: dict[str, Any] = {"inline": [allow("s3:*", "arn:aws:s3:::home/bob/*"), lost, READ]}
    verdicts = {name: UserDeriver(PLAIN).of(user(name, **permissions)).proof for name in ("alice", "bob")}
    assert {name: proof.verdict for name, proof in verdicts.items() if proof} == {
        "alice": NARROWER,
        "bob": NARROWER,
    }


def test_every_fact_of_a_user_is_one_that_depends_on_the_way_in() -> None:
    """What is derived once for all rests on it: whatever else a policy reads is the same for all of them."""
    facts = user_context(replace(user(), tags={"a": "b"}), with_mfa=True).facts
    assert all(map(depends_on_principal, facts))


def test_the_order_of_a_users_policies_makes_no_difference() -> None:
    policies = [own("A", READ), own("B", WRITE), aws("C")]
    first, second = (user("alice", attached=tuple(each)) for each in (policies, policies[::-1]))
    assert content(UserDeriver(PLAIN).of(first)) == content(UserDeriver(PLAIN).of(second))


def test_that_the_time_of_one_account_is_over_is_no_answer_for_another() -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1.0
        return now

    times = AccountTimes(clock)
    with times.asking(PAYMENTS, "arn:of-another-user"):
        now += 2 * ACCOUNT_SECONDS
    shared = UserDeriver(replace(PLAIN, times=times))
    inline = [allow("sqs:Get*", "arn:aws:sqs:*:*:*b"), allow("sqs:Send*", "arn:aws:sqs:*:*:*c")]
    late, other = (shared.of(user("alice", each, inline=inline)) for each in (PAYMENTS, RESEARCH))
    assert late.proof is None
    assert "the time for comparing the users of its account is over" in late.reason
    assert other.proof
    assert other.proof.verdict == EQUAL
