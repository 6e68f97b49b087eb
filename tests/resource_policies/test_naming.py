# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.policy_comparison.trusted_users import _Clause
from c7n_iamusers.resource_policies.naming import NamingIndex
from c7n_iamusers.resource_policies.reading import AccessEntry, ResourcePolicy, Unread, parsed
from tests.records import ACCOUNT, user
from tests.resource_policies.records import BUCKET, CLUSTER, REGION, allow, deny, policy, reading

pytestmark = pytest.mark.pure

ALICE = user(path="/eng/", tags={"Team": "red"})
BOB = user("bob", unique_id="AIDABOBBOBBOBBOBBOB23")


def where(*statements: dict[str, Any], subject: Any = ALICE) -> list[str]:
    found = NamingIndex(reading(policy(*statements))).of(subject)
    assert not found.unknown
    return [each.where for each in found.named]


@pytest.mark.parametrize(
    ("statement", "element"),
    [
        pytest.param(allow({"AWS": ALICE.arn}), "Principal", id="arn"),
        pytest.param(allow({"AWS": [BOB.arn, ALICE.unique_id]}), "Principal", id="id-among-others"),
        pytest.param(allow({"AWS": ALICE.arn, "Service": "x"}), "Principal", id="beside-a-service"),
        pytest.param(deny(Principal={"AWS": ALICE.arn}), "Principal", id="denied"),
        pytest.param(deny(NotPrincipal={"AWS": [ALICE.arn]}), "NotPrincipal", id="all-but-it"),
        pytest.param(
            allow(Condition={"ArnEquals": {"aws:PrincipalArn": ALICE.arn}}), "Condition", id="condition"
        ),
        pytest.param(
            allow({"AWS": ACCOUNT}, Condition={"StringEquals": {"aws:username": "alice"}}),
            "Condition",
            id="condition-on-an-account",
        ),
        pytest.param(
            deny(
                Principal="*",
                Condition={"StringNotLike": {"aws:userid": ["AROAX:*", ALICE.unique_id]}},
            ),
            "Condition",
            id="let-in-past-a-deny",
        ),
        pytest.param(
            deny(
                Principal="*",
                Condition={
                    "Bool": {"aws:SecureTransport": "true"},
                    "ArnNotLikeIfExists": {"aws:PrincipalArn": "arn:aws:iam::*:user/eng/al*"},
                },
            ),
            "Condition",
            id="beside-another-condition",
        ),
        pytest.param(
            allow(Condition={"StringNotEquals": {"aws:username": "alice"}}), "Condition", id="kept-out"
        ),
        pytest.param(
            deny(
                Principal="*",
                Condition={"StringEquals": {"aws:PrincipalArn": ALICE.arn, "aws:username": "cid"}},
            ),
            "Condition",
            id="denied-by-one-condition-of-two",
        ),
    ],
)
def test_who_is_named(statement: dict[str, Any], element: str) -> None:
    assert where(allow({"Service": "x"}), statement) == [f"{element} of statement 2"]
    if "aws:userid" not in str(statement):
        assert where(statement, subject=BOB) == (
            [f"{element} of statement 1"] if BOB.arn in str(statement) else []
        )


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(allow(), id="everybody"),
        pytest.param(allow({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), id="the-account"),
        pytest.param(allow({"AWS": f"{ALICE.arn}2"}), id="a-longer-name"),
        pytest.param(allow({"AWS": ALICE.arn.replace(ACCOUNT, "999999999999")}), id="another-account"),
        pytest.param(allow({"Federated": ALICE.arn}), id="no-principal-of-aws"),
        pytest.param(allow(Resource=ALICE.arn), id="as-a-resource"),
        pytest.param(
            allow({"AWS": ACCOUNT}, Condition={"StringEquals": {"aws:username": ["bob"]}}), id="another"
        ),
        pytest.param(
            allow(Condition={"StringEquals": {"aws:PrincipalArn": ALICE.arn, "aws:username": "bob"}}),
            id="conditions-that-nobody-meets",
        ),
        pytest.param(deny(Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}}), id="tls"),
        pytest.param(
            deny(Principal="*", Condition={"StringNotLike": {"aws:userid": ["AROA*"]}}), id="roles-alone"
        ),
        pytest.param(
            deny(Principal="*", Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}),
            id="organization",
        ),
    ],
)
def test_who_is_not_named(statement: dict[str, Any]) -> None:
    assert where(statement) == []


def test_an_access_entry_names_a_user_by_its_arn() -> None:
    entries = (AccessEntry(CLUSTER, REGION, ALICE.arn), AccessEntry(CLUSTER, REGION, BOB.arn))
    index = NamingIndex(reading(policy(allow({"AWS": ALICE.arn})), entries=entries))
    assert [(each.service, each.resource, each.region, each.where) for each in index.of(ALICE).named] == [
        ("eks", CLUSTER, REGION, "access entry"),
        ("s3", BUCKET, REGION, "Principal of statement 1"),
    ]
    assert [each.resource for each in index.of(BOB).named] == [CLUSTER]


def test_what_was_not_read_is_told_with_what_was() -> None:
    unread = (Unread("kms", REGION, "AccessDenied"),)
    index = NamingIndex(reading(policy(allow({"AWS": ALICE.arn})), unread=unread))
    assert index.of(ALICE).named
    assert index.of(ALICE).unknown == index.of(BOB).unknown == f"kms in {REGION}: AccessDenied"


def test_many_failures_are_told_by_service() -> None:
    unread = tuple(Unread("kms", f"r-{number}", "AccessDenied" * 100) for number in range(30))
    told = reading(unread=(*unread, Unread("s3", "", "Denied"))).problem
    assert told.startswith("kms in r-0: AccessDenied")
    assert told.endswith("AccessDenied (and 29 more of kms); s3: Denied")
    assert len(told) < 500


def test_some_failures_are_told_one_by_one() -> None:
    unread = tuple(Unread("kms", f"r-{number}", "Denied") for number in range(9))
    assert reading(unread=unread[:8]).problem == "; ".join(
        f"kms in r-{number}: Denied" for number in range(8)
    )
    assert reading(unread=unread).problem == "kms in r-0: Denied (and 8 more of kms)"


@pytest.mark.parametrize(
    "statement",
    [allow(Condition="x"), deny(Principal="*", Condition={"StringEquals": "x"})],
    ids=["conditions", "keys"],
)
def test_a_condition_that_can_not_be_read_makes_all_users_unknown(statement: dict[str, Any]) -> None:
    index = NamingIndex(reading(policy(statement)))
    assert "Condition of statement 1" in index.of(ALICE).unknown
    assert not index.of(ALICE).named


@pytest.mark.parametrize(
    "text", ["", "not JSON", "[]", '{"Version": "2012-10-17"}', '{"Statement": ["x"]}', 5]
)
def test_a_text_that_is_no_policy_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON|not a policy|without Statement|statement"):
        parsed(text)


def test_each_user_is_compared_with_the_policies_that_may_mean_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = [user(f"u{each}", unique_id=f"AIDA{each:017}") for each in range(300)]
    policies = [
        policy(
            allow({"AWS": each.arn}),
            deny(Principal="*", Condition={"StringNotLike": {"aws:userid": [each.unique_id]}}),
            resource=f"arn:aws:s3:::b{place}",
        )
        for place, each in enumerate(users)
    ]
    compared, compare = list[str](), _Clause.may_name

    def counted(self: _Clause, account: str, context: Any) -> bool:
        compared.append(account)
        return compare(self, account, context)

    monkeypatch.setattr(_Clause, "may_name", counted)
    index = NamingIndex(reading(*policies))
    assert [len(index.of(each).named) for each in users] == [2] * 300
    assert len(compared) == 300


def test_which_of_several_policies_names_a_user() -> None:
    several = ResourcePolicy("s3", BUCKET, REGION, {"Statement": [allow({"AWS": ALICE.arn})]}, "policy 2")
    (found,) = NamingIndex(reading(several)).of(ALICE).named
    assert found.where == "Principal of statement 1 in policy 2"


def test_variables_are_read_as_the_version_of_the_policy_has_them() -> None:
    own = allow(Condition={"StringEquals": {"aws:PrincipalTag/Team": "${aws:PrincipalTag/Team}"}})
    of_2008 = ResourcePolicy("s3", BUCKET, REGION, {"Statement": [own]})
    assert where(own) == ["Condition of statement 1"]
    assert not NamingIndex(reading(of_2008)).of(ALICE).named
