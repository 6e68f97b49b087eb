# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import Derivation, DerivationOptions, PolicyReference
from c7n_iamusers.derivation.user_derivation import UserDerivation, UserDeriver
from c7n_iamusers.policy_comparison import budgets, comparison
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, UNDECIDED, WIDER, Remark
from c7n_iamusers.policy_comparison.principals import GroupPermissions, ManagedPolicy, PrincipalPermissions
from tests.derivation.users import (
    FORCE_MFA,
    HOME,
    PAYMENTS,
    PLAIN,
    PLATFORM,
    READ,
    RESEARCH,
    WRITE,
    accepting,
    allow,
    aws,
    deny,
    document,
    only_set,
    own,
    user,
    verdicts,
)
from tests.examples import examples

pytestmark = pytest.mark.pure


def names(derivation: Derivation) -> set[str]:
    return {each.name for each in derivation.sets}


def alike(*users: PrincipalPermissions, options: DerivationOptions = PLAIN) -> Derivation:
    return derive(users, options)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"inline": [READ, WRITE]}, id="the-same"),
        pytest.param({"inline": [WRITE, READ]}, id="another-order"),
        pytest.param({"inline": [{**READ, "Sid": "A"}, {**WRITE, "Sid": "A2"}]}, id="labels"),
        pytest.param({"inline": (("A", document(READ)), ("B", json.dumps(document(WRITE))))}, id="two-policies"),
        pytest.param({"inline": [allow("s3:get*"), allow("s3:LIST*"), WRITE]}, id="parted-and-other-case"),
        pytest.param({"inline": [READ, WRITE, allow("s3:GetObject")]}, id="said-twice"),
        pytest.param(
            {"groups": (GroupPermissions("G", inline=(("A", document(READ, WRITE)),)),)},
            id="through-a-group",
        ),
        pytest.param({"inline": (("A", document(READ, WRITE, version="2008-10-17")),)}, id="version"),
    ],
)  # fmt: skip
def test_the_same_permissions_share_a_set_wherever_and_however_they_stand(other: dict[str, Any]) -> None:
    derivation = alike(user(inline=[READ, WRITE]), user("bob", RESEARCH, **other))
    assert only_set(derivation).accounts == (PAYMENTS, RESEARCH)
    assert verdicts(derivation) == {"alice": EQUAL, "bob": EQUAL}
    assert {each.assignments for each in derivation.groups} == {
        ((account, only_set(derivation).name),) for account in (PAYMENTS, RESEARCH)
    }


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"inline": [READ]}, id="less"),
        pytest.param({"inline": [READ, WRITE, deny("s3:PutObjectAcl")]}, id="a-deny"),
        pytest.param({"inline": [READ, WRITE], "boundary": aws("PowerUserAccess")}, id="a-boundary"),
        pytest.param({"attached": (own("P", READ, WRITE),)}, id="customer-managed"),
        pytest.param({"inline": [READ, WRITE], "attached": (aws("ReadOnlyAccess"),)}, id="aws-managed"),
        pytest.param({"inline": [READ, allow("s3:Put*", "arn:aws:s3:::Uploads/*")]}, id="case-of-a-resource"),
        pytest.param(
            {"groups": (GroupPermissions("G", inline=(("A", document(deny("s3:*"))),)),), "inline": [READ, WRITE]},
            id="a-deny-through-a-group",
        ),
    ],
)  # fmt: skip
def test_other_permissions_are_another_set(other: dict[str, Any]) -> None:
    derivation = alike(user(inline=[READ, WRITE]), user("bob", **other))
    assert len(derivation.sets) == 2


def test_policies_of_one_name_with_different_documents_are_different_permissions() -> None:
    developers = [
        user("ann", PAYMENTS, attached=(own("DeveloperAccess", READ),)),
        user("bob", RESEARCH, attached=(own("DeveloperAccess", WRITE, account=RESEARCH),)),
        user("eve", PLATFORM, attached=(own("DeveloperAccess", {**READ, "Sid": "R"}, account=PLATFORM),)),
    ]
    derivation = derive(developers, PLAIN)
    assert [each.accounts for each in derivation.sets] in (
        [(PAYMENTS, PLATFORM), (RESEARCH,)],
        [(RESEARCH,), (PAYMENTS, PLATFORM)],
    )
    assert {each.customer_managed for each in derivation.sets} == {(PolicyReference("DeveloperAccess"),)}
    assert set(verdicts(derivation).values()) == {EQUAL}


def test_a_set_that_may_grant_more_is_refused_with_proof_and_mend() -> None:
    derivation = derive([user(inline=[READ, FORCE_MFA]), user("bob", inline=[READ])], PLAIN)
    assert verdicts(derivation) == {"bob": EQUAL}
    assert len(derivation.sets) == len(derivation.groups) == 1
    (refusal,) = derivation.refused
    assert refusal.subject == user().subject
    assert "for example s3:get on *" in refusal.reason
    assert "inline policy Inline, statement 2" in refusal.reason
    assert "derive: {identity-center-mfa: true}" in refusal.reason
    assert refusal.proof is not None
    assert refusal.proof.verdict == WIDER


def test_users_who_are_refused_leave_no_trace_in_the_set_of_others() -> None:
    policy = own("P", READ, account=RESEARCH)
    refused = user("eve", PAYMENTS, inline=[READ, FORCE_MFA])
    kept = user("bob", RESEARCH, attached=(policy,))
    together, alone = derive([refused, kept], PLAIN), derive([kept], PLAIN)
    assert together.sets == alone.sets
    assert together.sets[0].customer_managed == (PolicyReference("P"),)


def test_a_wider_set_is_made_where_that_is_allowed() -> None:
    derivation = derive([user(inline=[READ, FORCE_MFA])], accepting(PLAIN, WIDER))
    assert only_set(derivation).accounts == (PAYMENTS,)
    assert verdicts(derivation) == {"alice": WIDER}
    assert derivation.principals[0].proof.remarks[-1] == Remark(
        "accepted", "accept", "wider is accepted until 2027-01-31: looked at"
    )


def test_what_is_accepted_of_one_is_not_accepted_of_all_who_are_alike() -> None:
    users = [user(name, inline=[READ, FORCE_MFA]) for name in ("alice", "bob")]
    derivation = derive(users, accepting(PLAIN, WIDER))
    assert verdicts(derivation) == {"alice": WIDER}
    assert [each.subject.name for each in derivation.refused] == ["bob"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(PLAIN, "derive: {identity-center-mfa: true}", id="nobody-accepts"),
        pytest.param(accepting(PLAIN, WIDER, name="bob"), "derive: {identity-center-mfa", id="another-user"),
        pytest.param(
            replace(accepting(PLAIN, WIDER), today=date(2027, 2, 1)), "(looked at) expired on 2027-01-31",
            id="has-ended",
        ),
        pytest.param(accepting(PLAIN, UNDECIDED), "(looked at) is only for undecided", id="another-verdict"),
    ],
)  # fmt: skip
def test_what_is_not_accepted_is_refused(options: DerivationOptions, told: str) -> None:
    derivation = derive([user(inline=[READ, FORCE_MFA])], options)
    assert derivation.principals == ()
    assert told in derivation.refused[0].reason


def conditional(operator: str, key: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: "a"}}}


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(conditional("StringMatches", "s3:prefix"), id="operator"),
        pytest.param(conditional("StringEquals", "aws:HairColour"), id="global-key"),
        pytest.param(conditional("StringEquals", "prefix"), id="key-of-nobody"),
    ],
)
def test_what_nobody_knows_the_meaning_of_is_undecided_and_never_ignored(unknown: dict[str, Any]) -> None:
    (refusal,) = derive([user(inline=[READ, deny("s3:GetObject", **unknown)])], PLAIN).refused
    assert refusal.proof is not None
    assert refusal.proof.verdict == UNDECIDED
    assert "it is undecided whether its permission set grants more" in refusal.reason
    assert "whose operator or key AWS does not document" in refusal.reason
    lost = derive([user(inline=[READ, allow("s3:Put*", **unknown)])], PLAIN)
    assert verdicts(lost) == {"alice": NARROWER}
    assert "s3:put" not in only_set(lost).inline_policy.lower()


def test_the_stricter_of_two_denies_is_kept_whatever_the_case_of_its_operator() -> None:
    denies = [
        deny("s3:*", Condition={"notIpAddress": {"aws:SourceIp": addresses}})
        for addresses in (["10.0.0.0/8"], ["10.0.0.0/8", "192.168.0.0/16"])
    ]
    found = only_set(derive([user(inline=[READ, *denies])], PLAIN)).inline_policy
    assert '"NotIpAddress":{"aws:sourceip":["10.0.0.0/8"]}' in found
    assert "192.168.0.0/16" not in found


def test_a_user_whose_policies_take_too_long_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = [
        user(inline=[allow(f"s3:Get{n}*", f"arn:aws:s3:::{n}*b*c") for n in range(9)]),
        user("bob", inline=[READ]),
    ]
    comparison._widening.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(budgets, "QUESTION_STEPS", 60)
        derivation = derive(users, PLAIN)
    comparison._widening.cache_clear()
    assert verdicts(derivation) == {"bob": EQUAL}
    assert "which is too complex to compare" in derivation.refused[0].reason
    assert "derive: {accept: [...]} with verdict: undecided" in derivation.refused[0].reason


@pytest.mark.parametrize(
    ("permissions", "reason"),
    [
        pytest.param({}, "has no policies", id="no-policies"),
        pytest.param({"groups": (GroupPermissions("Old"),)}, "has no policies", id="an-empty-group"),
        pytest.param({"inline": [deny("s3:*")]}, "none of its permissions can be granted", id="only-a-deny"),
        pytest.param({"inline": [allow("s3:*", HOME)]}, "grant it by hand", id="only-what-cannot-be-carried"),
        pytest.param({"attached": (aws("IAMUserChangePassword"),)}, "none of its perm", id="only-its-own-password"),
        pytest.param(
            {"inline": [READ, deny("*")]}, "statement 2 denies every action, as in quarantine",
            id="quarantined",
        ),
        pytest.param({"inline": [READ], "attached": (aws("AWSDenyAll"),)}, "AWSDenyAll denies every", id="denied"),
        pytest.param(
            {"inline": [READ], "attached": (aws("AWSCompromisedKeyQuarantineV3"),)},
            "AWSCompromisedKeyQuarantineV3: AWS detected an exposed access key",
            id="a-leaked-key",
        ),
        pytest.param({"inline": (("A", "{"),)}, "inline policy A: neither JSON", id="no-json"),
        pytest.param({"inline": (("A", document({**READ, "Effect": "x"})),)}, "policy A: Effect 'x'", id="effect"),
        pytest.param(
            {"attached": (own("P"),)}, "policy P (arn:aws:iam::111122223333:policy/P) was not read",
            id="unread",
        ),
        pytest.param(
            {"attached": (aws("P", {**READ, "Principal": "*"}),)}, "policy P: Principal",
            id="aws-malformed",
        ),
        pytest.param({"inline": [READ], "boundary": own("B")}, "permissions boundary B", id="unread-boundary"),
        pytest.param(
            {"inline": [READ], "boundary": own("B", READ, FORCE_MFA)},
            "permissions boundary B, statement 2 denies on a condition whose outcome differs",
            id="a-boundary-that-locks-out",
        ),
        pytest.param(
            {"attached": tuple(aws(f"P{number}") for number in range(11))},
            "needs 11 AWS-managed policies; a permission set can have 20, and its role in the account 10",
            id="too-many-policies",
        ),
        pytest.param(
            {"inline": [allow(" ".join(f"s3:Action{number}Of{'x' * 40}" for number in range(200)))]},
            "characters and", id="too-long",
        ),
    ],
)  # fmt: skip
def test_who_is_refused_and_why_while_others_go_on(permissions: dict[str, Any], reason: str) -> None:
    derivation = derive([user(**permissions), user("bob", inline=[READ])], PLAIN)
    assert verdicts(derivation) == {"bob": EQUAL}
    (refusal,) = derivation.refused
    assert refusal.subject.name == "alice"
    assert reason in refusal.reason


def test_a_value_written_out_makes_a_set_of_its_own() -> None:
    users = [user(name, inline=[READ, allow("s3:*", HOME)]) for name in ("ann", "bob")]
    assert len(derive(users, PLAIN).sets) == 1
    written_out = derive(users, DerivationOptions(write_out=True))
    assert len(written_out.sets) == 2
    assert set(verdicts(written_out).values()) == {NARROWER}
    assert "home/ann/*" in written_out.sets[0].inline_policy + written_out.sets[1].inline_policy


def test_a_session_tag_keeps_people_in_one_set() -> None:
    users = [replace(user(name, inline=[allow("s3:*", HOME)]), person=name) for name in ("ann", "bob")]
    derivation = derive(users, DerivationOptions(username_tag="UserName"))
    assert "home/${aws:PrincipalTag/UserName}/*" in only_set(derivation).inline_policy
    assert set(verdicts(derivation).values()) == {NARROWER}


MANAGED = [aws("ReadOnlyAccess"), aws("IAMUserChangePassword"), aws("S3", READ)]
INLINE = [READ, WRITE, deny("s3:Put*"), allow("s3:*", HOME), FORCE_MFA, {**READ, "Sid": "A"}, allow("s3:*")]


@st.composite
def users(draw: st.DrawFn) -> PrincipalPermissions:
    name, account = draw(st.sampled_from("abcd")), draw(st.sampled_from([PAYMENTS, RESEARCH]))
    customer = own("P", draw(st.sampled_from(INLINE)), account=account)
    attached: list[ManagedPolicy] = draw(
        st.lists(st.sampled_from([*MANAGED, customer]), max_size=2, unique_by=id)
    )
    inline = draw(st.lists(st.sampled_from(INLINE), max_size=3))
    return user(name, account, attached=tuple(attached), inline=inline)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(users(), max_size=6, unique_by=lambda each: each.arn).flatmap(
        lambda each: st.tuples(st.just(each), st.permutations(each))
    ),
    st.booleans(),
)
def test_nothing_depends_on_the_order_of_users(
    pair: tuple[list[PrincipalPermissions], list[PrincipalPermissions]], mfa: bool
) -> None:
    options = DerivationOptions(identity_center_mfa=mfa)
    first, second = derive(pair[0], options), derive(pair[1], options)
    assert first == second
    assert len(first.principals) + len(first.refused) == len(pair[0])


def test_a_failure_of_one_users_policies_leaves_that_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    of = UserDeriver.of

    def failing(its: UserDeriver, principal: PrincipalPermissions) -> UserDerivation:
        if principal.user_name == "bob":
            raise OverflowError("timestamp out of range for platform time_t")
        return of(its, principal)

    monkeypatch.setattr(UserDeriver, "of", failing)
    found = alike(user(inline=[READ]), user("bob", inline=[READ]), user("carol", inline=[WRITE]))
    assert verdicts(found) == {"alice": EQUAL, "carol": EQUAL}
    ((left, reason),) = ((each.subject.name, each.reason) for each in found.refused)
    assert left == "bob"
    assert "can't be compared" in reason
    assert "timestamp out of range" in reason
