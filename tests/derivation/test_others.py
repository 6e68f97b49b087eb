# SPDX-License-Identifier: Apache-2.0
"""Policies of others in the verdicts: alice's own policies allow the same as before, but others name principals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.derivation import derive as derive_module
from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import Derivation, DerivationOptions
from c7n_iamusers.derivation.others import (
    OTHERS_NARROWER,
    OTHERS_UNDECIDED,
    OTHERS_WIDER,
    AccountPolicies,
)
from c7n_iamusers.policy_comparison import others_comparison
from c7n_iamusers.policy_comparison.budgets import OTHERS_SECONDS, AccountTimes, check_time
from c7n_iamusers.policy_comparison.comparison import (
    EQUAL,
    NARROWER,
    READ,
    UNDECIDED,
    UNREADABLE,
    WIDER,
    Coverage,
    Proof,
    Remark,
)
from c7n_iamusers.policy_comparison.other_policies import RCP, RESOURCE, SCP, TRUST, parse_other_policy
from tests.derivation.users import PAYMENTS, PLAIN, PLATFORM, accepting, allow, deny, document, user

pytestmark = pytest.mark.pure

ADMIN = f"arn:aws:iam::{PAYMENTS}:role/Admin"
ALICE = f"arn:aws:iam::{PAYMENTS}:user/alice"
ROOT = {"AWS": f"arn:aws:iam::{PAYMENTS}:root"}
SSO = "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"
BY_SSO = {"ArnLike": {"aws:PrincipalArn": SSO}}
NOT_SSO = {"ArnNotLike": {"aws:PrincipalArn": SSO}}
ASSUME, S3 = allow("sts:AssumeRole s3:Get*"), allow("s3:Get*")


def trusting(
    principal: Any = None, effect: str = "Allow", name: str = "Principal", **rest: Any
) -> dict[str, Any]:
    return {"Effect": effect, name: principal or ROOT, "Action": "sts:AssumeRole", **rest}


def derived(
    policies: list[Any],
    *own: dict[str, Any],
    options: DerivationOptions = PLAIN,
    known: dict[str, Any] | None = None,
    **permissions: Any,
) -> Derivation:
    others = AccountPolicies(tuple(policies), known or {}, (Coverage(TRUST, READ),))
    alice = user(inline=list(own or (ASSUME,)), person="alice@example.com", **permissions)
    return derive([alice], accepting(options), lambda _: others)


def verdict(found: Derivation) -> tuple[str, set[str]]:
    """What the proof came to, and the ids of the remarks on policies of others."""
    (principal,) = found.principals
    return principal.proof.verdict, {
        each.id for each in principal.proof.remarks if each.id.startswith("others-")
    }


def trust(*statements: dict[str, Any], account: str = PAYMENTS) -> Any:
    role = ADMIN.replace(PAYMENTS, account)
    return parse_other_policy(TRUST, role, account, role, document(*statements))


SAME: set[str] = set()
MORE, MAYBE, LESS = {OTHERS_WIDER}, {OTHERS_UNDECIDED}, {OTHERS_NARROWER}


@pytest.mark.parametrize(
    ("statements", "own", "expected"),
    [
        pytest.param([trusting()], [ASSUME], (EQUAL, SAME), id="the-account"),
        pytest.param([trusting({"AWS": PAYMENTS})], [ASSUME], (EQUAL, SAME), id="the-account-by-its-id"),
        pytest.param([trusting(Condition=BY_SSO)], [ASSUME], (WIDER, MORE), id="sessions-of-identity-center"),
        pytest.param([trusting(Condition=BY_SSO)], [S3], (EQUAL, SAME), id="neither-may-assume-roles"),
        pytest.param(
            [trusting(Condition=BY_SSO)], [allow("sts:AssumeRole", f"{ADMIN}2")], (EQUAL, SAME), id="another-role"
        ),
        pytest.param(
            [trusting(Condition=BY_SSO)], [ASSUME, deny("sts:*", ADMIN)], (EQUAL, SAME), id="denied-by-its-own"
        ),
        pytest.param(
            [trusting(Condition={"ArnLike": {"aws:PrincipalArn": SSO.replace("sso", "x")}})], [ASSUME],
            (EQUAL, SAME), id="neither-is-trusted",
        ),
        pytest.param([trusting(Condition=BY_SSO), trusting()], [ASSUME], (EQUAL, SAME), id="trusted-anyway"),
        pytest.param(
            [trusting(), trusting(effect="Deny", Condition=NOT_SSO)], [ASSUME], (WIDER, MORE), id="denied-but-by-sso"
        ),
        pytest.param(
            [trusting(), trusting(effect="Deny", Condition=BY_SSO)], [ASSUME], (NARROWER, LESS), id="sso-is-denied"
        ),
        pytest.param([trusting({"AWS": ALICE})], [ASSUME], (NARROWER, LESS), id="the-user-by-name"),
        pytest.param([trusting({"AWS": ALICE})], [S3], (NARROWER, LESS), id="the-user-by-name-without-permission"),
        pytest.param([trusting({"AWS": f"{ALICE}2"})], [ASSUME], (EQUAL, SAME), id="another-user-by-name"),
        pytest.param(
            [trusting(), trusting({"AWS": ALICE}, "Deny")], [ASSUME], (WIDER, MORE), id="the-user-is-denied-by-name"
        ),
        pytest.param([trusting({"AWS": [ALICE, ROOT["AWS"]]})], [ASSUME], (EQUAL, SAME), id="the-user-and-the-account"),
        pytest.param(
            [trusting(Condition={"StringEquals": {"aws:username": "alice"}})], [ASSUME], (NARROWER, LESS),
            id="the-user-by-condition",
        ),
        pytest.param(
            [trusting(Condition={"StringEquals": {"sts:RoleSessionName": "${aws:username}"}})], [ASSUME],
            (NARROWER, LESS), id="a-variable-without-value",
        ),
        pytest.param(
            [trusting(Condition={"StringEquals": {"sts:RoleSessionName": ["alice", "${aws:username}"]}})], [ASSUME],
            (NARROWER, SAME), id="a-variable-without-value-beside-another",
        ),
        pytest.param(
            [
                trusting(),
                trusting(
                    effect="Deny", Condition={"StringEquals": {"sts:RoleSessionName": ["alice", "${aws:username}"]}}
                ),
            ],
            [ASSUME], (UNDECIDED, MAYBE), id="a-deny-with-a-variable-without-value",
        ),
        pytest.param(
            [trusting(Condition={"StringLike": {"aws:userid": "AROA*:alice@example.com"}})], [ASSUME], (WIDER, MORE),
            id="the-session-by-its-name",
        ),
        pytest.param(
            [trusting(Condition={"StringLike": {"aws:userid": "AROA*:bob@example.com"}})], [ASSUME], (EQUAL, SAME),
            id="another-session-by-its-name",
        ),
        pytest.param(
            [trusting(Condition={"StringEquals": {"aws:PrincipalType": "AssumedRole"}})], [ASSUME], (WIDER, MORE),
            id="roles-alone",
        ),
        pytest.param(
            [trusting(Condition={"ArnLike": {"aws:PrincipalArn": f"{SSO}AWSReservedSSO_Admin_*"}})], [ASSUME],
            (EQUAL, SAME), id="another-permission-set",
        ),
        pytest.param(
            [trusting(Condition={"ArnLike": {"aws:PrincipalArn": f"{SSO}_0123456789abcdef"}})], [ASSUME],
            (UNDECIDED, MAYBE), id="a-suffix-that-it-may-have",
        ),
        pytest.param(
            [trusting(Condition={"ArnLike": {"aws:PrincipalArn": SSO.replace("com/", "com/eu-west-1/")}})], [ASSUME],
            (UNDECIDED, MAYBE), id="a-region-that-it-may-have",
        ),
        pytest.param(
            [trusting(Condition={"StringEquals": {"aws:PrincipalTag/team": "core"}})], [ASSUME], (UNDECIDED, MAYBE),
            id="a-session-tag",
        ),
        *(
            pytest.param(
                [trusting(Condition={"Null": {f"identitystore:{key}": "false"}})], [ASSUME], (UNDECIDED, MAYBE),
                id=f"identitystore-{key}",
            )
            for key in ("UserId", "IdentityStoreArn", "InstanceArn", "ApplicationArn", "CredentialId")
        ),
        pytest.param(
            [trusting(Condition={"StringEquals": {"sts:ExternalId": "x"}, **BY_SSO}), trusting()], [ASSUME],
            (EQUAL, SAME), id="an-external-id-that-is-not-needed",
        ),
        pytest.param(
            [trusting(Condition=BY_SSO), trusting(Condition={"StringEquals": {"sts:ExternalId": "x"}})], [ASSUME],
            (WIDER, MORE), id="without-the-external-id",
        ),
        pytest.param([trusting({"AWS": ALICE}, name="NotPrincipal")], [ASSUME], (UNDECIDED, MAYBE), id="not-principal"),
        pytest.param([trusting({"AWS": ALICE}, name="NotPrincipal")], [allow("ec2:*")], (UNDECIDED, MAYBE),
            id="not-principal-grants-by-itself"),
        pytest.param(
            [trusting(), trusting({"AWS": ALICE}, "Deny", "NotPrincipal")], [ASSUME], (UNDECIDED, MAYBE),
            id="not-principal-denies",
        ),
        pytest.param([trusting({"Service": "ec2.amazonaws.com"})], [ASSUME], (EQUAL, SAME), id="a-service"),
        pytest.param(
            [trusting({"Federated": "arn:aws:iam::1:saml-provider/X"}, Condition=BY_SSO)], [ASSUME], (EQUAL, SAME),
            id="federated",
        ),
        pytest.param([trusting("*")], [ASSUME], (EQUAL, SAME), id="everybody"),
        pytest.param([trusting("*", Condition=BY_SSO)], [ASSUME], (WIDER, MORE), id="everybody-of-sso"),
        pytest.param([trusting("*", Condition=BY_SSO)], [S3], (UNDECIDED, MAYBE), id="everybody-of-sso-perhaps"),
        pytest.param(
            [trusting({"AWS": f"arn:aws:sts::{PAYMENTS}:assumed-role/AWSReservedSSO_X_0123456789abcdef/alice"})],
            [ASSUME], (EQUAL, SAME), id="a-session-of-another-set",
        ),
        pytest.param([trusting({"AWS": "AIDAQWERTYUIOPASDFGH"})], [ASSUME], (EQUAL, SAME), id="a-deleted-user"),
    ],
)  # fmt: skip
def test_trust_policies(
    statements: list[dict[str, Any]], own: list[dict[str, Any]], expected: tuple[str, set[str]]
) -> None:
    assert verdict(derived([trust(*statements)], *own)) == expected


def test_a_role_that_only_sessions_may_assume_is_named_and_the_user_refused() -> None:
    (refused,) = derive(
        [user(inline=[ASSUME], person="alice@example.com")],
        PLAIN,
        lambda _: AccountPolicies((trust(trusting(Condition=BY_SSO)),)),
    ).refused
    assert refused.proof
    assert refused.proof.verdict == WIDER
    assert f"trust policy of {ADMIN}" in refused.reason
    assert f"sts:assumerole on {ADMIN}" in refused.reason
    assert "accept" in refused.reason


def test_a_role_of_another_account_needs_both_sides() -> None:
    elsewhere = trusting(Condition=BY_SSO)
    assert verdict(derived([trust(elsewhere, account=PLATFORM)])) == (WIDER, MORE)
    named = trusting({"AWS": ALICE})
    assert verdict(derived([trust(named, account=PLATFORM)])) == (NARROWER, LESS)
    assert verdict(derived([trust(named, account=PLATFORM)], S3)) == (EQUAL, SAME)


def scp(*statements: dict[str, Any], kind: str = SCP) -> Any:
    return parse_other_policy(kind, "p-guard (Guard)", PAYMENTS, "", document(*statements))


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([allow("*"), deny("s3:*")], (EQUAL, SAME), id="everybody"),
        pytest.param([deny("s3:*", Condition=NOT_SSO)], (WIDER, MORE), id="but-sso"),
        pytest.param([deny("ec2:*", Condition=NOT_SSO)], (EQUAL, SAME), id="what-neither-may-do"),
        pytest.param([deny("s3:*", Condition=BY_SSO)], (NARROWER, LESS), id="sso-alone"),
        pytest.param(
            [deny("s3:*", Condition={"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/Admin*"}})],
            (EQUAL, SAME), id="but-others",
        ),
        pytest.param(
            [deny("s3:*", Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}})], (WIDER, MORE),
            id="users",
        ),
        pytest.param(
            [deny("s3:*", Condition={"Null": {"aws:username": "false"}})], (WIDER, MORE), id="who-has-a-username"
        ),
        pytest.param(
            [deny("s3:*", Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}, **NOT_SSO})], (EQUAL, SAME),
            id="never-in-this-organization",
        ),
        pytest.param(
            [deny("s3:*", Condition={"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}, **NOT_SSO})],
            (WIDER, MORE), id="elsewhere-but-sso",
        ),
        pytest.param([allow("*", Condition=BY_SSO)], (UNDECIDED, MAYBE), id="allows-sso"),
        pytest.param([allow("*"), allow("s3:*", Condition=BY_SSO)], (EQUAL, SAME), id="allows-everybody-anyway"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [SCP, RCP])
def test_controls_of_the_organization(
    kind: str, statements: list[dict[str, Any]], expected: tuple[str, set[str]]
) -> None:
    rows = [{**each, "Principal": "*"} if kind == RCP else each for each in statements]
    known = {"aws:principalorgid": frozenset({"o-1"})}
    assert verdict(derived([scp(*rows, kind=kind)], S3, known=known)) == expected


BUCKET, KEY = "arn:aws:s3:::pay", f"arn:aws:kms:eu-west-1:{PAYMENTS}:key/1"


def resource_policy(arn: str, *statements: dict[str, Any]) -> Any:
    return parse_other_policy(RESOURCE, arn, PAYMENTS, arn, document(*statements))


@pytest.mark.parametrize(
    ("arn", "statements", "own", "expected"),
    [
        pytest.param(
            BUCKET, [allow("s3:*", f"{BUCKET}/*", Principal="*", Condition=BY_SSO)], [ASSUME], (UNDECIDED, MAYBE),
            id="grants-sso",
        ),
        pytest.param(
            BUCKET, [allow("s3:Get*", f"{BUCKET}/*", Principal="*", Condition=BY_SSO)], [S3], (EQUAL, SAME),
            id="grants-sso-what-the-user-has",
        ),
        pytest.param(
            BUCKET, [deny("s3:*", f"{BUCKET}/*", Principal="*", Condition=NOT_SSO)], [S3], (WIDER, MORE),
            id="denies-but-sso",
        ),
        pytest.param(
            BUCKET, [allow("s3:Put*", f"{BUCKET}/*", Principal={"AWS": ALICE})], [S3], (NARROWER, LESS),
            id="grants-the-user",
        ),
        pytest.param(
            BUCKET, [allow("s3:*", f"{BUCKET}/*", Principal=ROOT, Condition=BY_SSO)], [S3], (EQUAL, SAME),
            id="leaves-it-to-the-account",
        ),
        pytest.param(
            KEY, [allow("kms:*", Principal=ROOT, Condition=BY_SSO)], [allow("kms:Decrypt")], (WIDER, MORE),
            id="a-key-lets-sso-through",
        ),
        pytest.param(KEY, [allow("kms:*", Principal=ROOT)], [allow("kms:Decrypt")], (EQUAL, SAME), id="a-plain-key"),
        pytest.param(
            KEY, [allow("kms:*", Principal={"AWS": ALICE})], [allow("kms:Decrypt")], (NARROWER, LESS),
            id="a-key-of-the-user",
        ),
    ],
)  # fmt: skip
def test_resource_policies(
    arn: str, statements: list[dict[str, Any]], own: list[dict[str, Any]], expected: tuple[str, set[str]]
) -> None:
    assert verdict(derived([resource_policy(arn, *statements)], *own)) == expected


def test_a_policy_that_can_not_be_evaluated_leaves_the_verdict_open() -> None:
    odd = parse_other_policy(RESOURCE, BUCKET, PAYMENTS, BUCKET, {"Version": "2030-01-01", "Statement": []})
    found = derived([odd])
    assert verdict(found) == (UNDECIDED, MAYBE)
    (text,) = (each.text for each in found.principals[0].proof.remarks if each.id == OTHERS_UNDECIDED)
    assert "2030-01-01" in text


@pytest.mark.parametrize("fault", ["late", "fails"])
def test_a_policy_that_is_not_compared_is_named_and_leaves_the_verdict_open(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def slow(*_: Any) -> Any:
        nonlocal now
        now += 2 * OTHERS_SECONDS
        check_time()
        raise RecursionError("deep")

    monkeypatch.setattr(others_comparison, "interpretations", slow)
    times = AccountTimes(lambda: now) if fault == "late" else None
    policies = [trust(trusting()), resource_policy(BUCKET, {**allow("s3:*"), "Principal": "*"})]
    found = derived(policies, options=replace(PLAIN, times=times))
    assert verdict(found) == (UNDECIDED, MAYBE)
    named = [each.source for each in found.principals[0].proof.remarks if each.id == OTHERS_UNDECIDED]
    assert named == [f"{each.kind} of {each.name}" for each in policies]


def test_each_proof_says_what_was_looked_at_and_equal_proofs_are_one_object() -> None:
    scope = (Coverage(TRUST, READ, "1 role"), Coverage(SCP, UNREADABLE, "AccessDenied"))
    others = AccountPolicies((), {}, scope)
    people = [user(name, inline=[S3], person=f"{name}@example.com") for name in ("alice", "bob")]
    found = derive(people, PLAIN, lambda _: others).principals
    assert [each.proof.scope for each in found] == [scope] * 2
    assert found[0].proof is found[1].proof
    assert [str(each) for each in scope] == [
        "trust policies read (1 role)",
        "service control policies not readable (AccessDenied)",
    ]
    assert found[0].proof.as_data()["scope"][1]["status"] == UNREADABLE


@pytest.mark.parametrize("verdict", [EQUAL, WIDER])
@pytest.mark.parametrize("remarked", [True, False])
def test_what_policies_of_others_say_is_kept_whatever_the_verdict_is(
    monkeypatch: pytest.MonkeyPatch, verdict: str, remarked: bool
) -> None:
    """Where they say nothing, all users of one proof share it."""
    more = (Remark("others", "a", "b"),) if remarked else ()

    def found(proof: Proof, *_: Any) -> Proof:
        return replace(proof, verdict=verdict, remarks=(*proof.remarks, *more))

    monkeypatch.setattr(derive_module, "with_others", found)
    (principal,) = derived([trust(trusting())]).principals
    assert principal.proof.verdict == verdict
    assert [each.id for each in principal.proof.remarks if each.id == "others"] == ["others"] * remarked
