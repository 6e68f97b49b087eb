# SPDX-License-Identifier: Apache-2.0
"""What a user that comes back with a new unique id is no longer denied by the trust policies of roles."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.restoration.lost_trust_denies import RoleTrust, trust_change
from c7n_iamusers.restoration.rights import RightsChange
from tests.records import ACCOUNT, user

pytestmark = pytest.mark.pure

ROLE = f"arn:aws:iam::{ACCOUNT}:role/admin"
ALICE = user(tags={"team": "a"})
TO_COME, CREATED = (
    user(unique_id="", tags={"team": "a"}),
    user(unique_id="AIDANEWNEWNEWNEWNEW23", tags={"team": "a"}),
)
ID, ARN, ROOT = ALICE.unique_id, ALICE.arn, f"arn:aws:iam::{ACCOUNT}:root"
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "false"}}


def trusting(*statements: dict[str, Any]) -> RoleTrust:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return RoleTrust.of([{"Arn": ROLE, "AssumeRolePolicyDocument": document}])


def allow(*who: str, **condition: Any) -> dict[str, Any]:
    return statement("Allow", {"AWS": list(who or [ROOT])}, **condition)


def deny(*who: str, **condition: Any) -> dict[str, Any]:
    return statement("Deny", {"AWS": list(who)}, **condition)


def statement(effect: str, principal: Any, **condition: Any) -> dict[str, Any]:
    found = {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole"}
    return {**found, "Condition": condition} if condition else found


@pytest.mark.parametrize(
    ("statements", "after", "told"),
    [
        pytest.param([allow(), deny(ID)], TO_COME, "no longer denied: trust policy of", id="deny-by-id"),
        pytest.param([allow(), deny(ID)], CREATED, f"of {ROLE}, statement 2: ", id="deny-by-id-created"),
        pytest.param([allow(), deny("AIDAOTHER", ID)], TO_COME, "no longer denied", id="deny-of-several"),
        pytest.param([allow(), deny(ID, **MFA)], TO_COME, "no longer denied", id="deny-on-a-condition"),
        # IAM is eventually consistent: right after the deletion
        pytest.param([allow(), deny(ARN)], TO_COME, "no longer denied", id="arn-of-nobody"),
        pytest.param(
            [allow(), deny("*", StringEquals={"aws:userid": ID})],
            TO_COME,
            "no longer denied",
            id="deny-if-userid",
        ),
        pytest.param(
            [allow(), deny(ROOT, StringLike={"AWS:UserId": [f"{ID}*"]})],
            CREATED,
            "no longer denied",
            id="deny-if-userid-like",
        ),
        pytest.param(
            [allow(StringNotEquals={"aws:userid": ID})],
            TO_COME,
            "newly allowed: sts:assumerole",
            id="allow-unless",
        ),
        pytest.param(
            [{**allow(), "Principal": "*", "Condition": {"StringNotLike": {"aws:userid": [ID]}}}],
            TO_COME,
            "newly allowed: sts:assumerole",
            id="allow-everybody-unless",
        ),
        pytest.param(
            [allow(), deny(ID), deny("*", ArnEquals={"aws:PrincipalArn": f"{ARN}-2"})],
            TO_COME,
            "no longer denied",
            id="denied-in-its-place-is-somebody-else",
        ),
    ],
)
def test_what_names_the_former_id_denies_the_new_user_no_more(
    statements: list[dict[str, Any]], after: IamUser, told: str
) -> None:
    change = trust_change(ALICE, after, trusting(*statements))
    assert change.unknown == ()
    assert told in change.wider[0]
    assert ROLE in change.wider[0]
    assert ID in change.wider[0]
    assert f"ArnEquals aws:PrincipalArn {ARN}" in change.wider[0]


@pytest.mark.parametrize(
    ("statements", "after"),
    [
        pytest.param([allow(), deny(ARN)], CREATED, id="saved-again-with-the-arn"),
        pytest.param(
            [allow(), deny("*", ArnEquals={"aws:PrincipalArn": ARN})],
            TO_COME,
            id="deny-by-a-condition-on-the-arn",
        ),
        pytest.param(
            [allow(), deny(ID), deny("*", ArnEquals={"aws:PrincipalArn": ARN})],
            TO_COME,
            id="denied-in-its-place",
        ),
        pytest.param([allow(), deny(ID), deny(ROOT)], TO_COME, id="all-of-the-account-are-denied"),
        pytest.param(
            [allow(), deny(ID), {**deny("*"), "Action": "sts:*"}], TO_COME, id="everybody-is-denied"
        ),
        pytest.param([allow(), deny("AIDAOTHER"), deny(f"{ARN}-2")], TO_COME, id="deny-of-others"),
        pytest.param([allow(ID)], TO_COME, id="allow-by-id-is-lost"),
        pytest.param([allow(StringEquals={"aws:userid": ID})], TO_COME, id="allow-if-userid-is-lost"),
        pytest.param(
            [allow(), deny("*", StringNotLike={"aws:userid": "AROAADMIN:*"})],
            TO_COME,
            id="deny-all-but-a-role",
        ),
        pytest.param([allow(), deny("*", StringLike={"aws:userid": "AIDA*"})], TO_COME, id="deny-all-users"),
        pytest.param(
            [allow(), {"Effect": "Deny", "NotPrincipal": {"AWS": ID}, "Action": "sts:AssumeRole"}],
            TO_COME,
            id="deny-all-but-it",
        ),
        pytest.param(
            [statement("Allow", {"Service": "ec2.amazonaws.com"})], TO_COME, id="nobody-but-a-service"
        ),
    ],
)
def test_what_holds_for_the_new_user_too_is_no_wider_right(
    statements: list[dict[str, Any]], after: IamUser
) -> None:
    assert trust_change(ALICE, after, trusting(*statements)) == RightsChange()


def test_a_trust_policy_that_cannot_be_read_is_unknown_if_it_has_the_id() -> None:
    roles = [
        {"Arn": ROLE, "AssumeRolePolicyDocument": f'{{"Statement": [{{"Principal": "{ID}"'},
        {"Arn": f"{ROLE}-2", "AssumeRolePolicyDocument": '{"Statement": [{"Principal": "AIDAOTHER"'},
    ]
    change = trust_change(ALICE, TO_COME, RoleTrust.of(roles))
    assert change.wider == ()
    (line,) = change.unknown
    assert line.startswith(f"trust policy of {ROLE}, which has {ID}, can't be read: ")
