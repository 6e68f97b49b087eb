# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from aws_local_org import LocalOrg, credentials
from aws_local_org.errors import AwsError
from aws_local_org.iam import seeding

PAYMENTS = "111122223333"


def test_the_base_credentials(org: LocalOrg) -> None:
    principal = credentials.resolve(credentials.BASE_KEY_ID, org.token)
    assert (principal.account, principal.expires) == ("123456789012", None)
    assert principal.role_arn == "arn:aws:iam::123456789012:role/LocalOrgOperator"


def test_an_access_key_of_a_user(org: LocalOrg) -> None:
    account = org.backend("iam", PAYMENTS)
    user = seeding.add_user(account, "ada")
    key = seeding.add_access_key(account, user)
    principal = credentials.resolve(key.access_key_id, org.token)
    assert (principal.account, principal.user_name, principal.user_id) == (PAYMENTS, "ada", user.id)


@pytest.mark.parametrize(
    ("access_key_id", "code"),
    [
        (None, "MissingAuthenticationToken"),
        ("", "MissingAuthenticationToken"),
        ("AKIAIOSFODNN7EXAMPLE", "InvalidClientTokenId"),
        ("AKIAINACTIVEINACTIVE", "InvalidClientTokenId"),
    ],
)
def test_who_is_nobody(org: LocalOrg, access_key_id: str | None, code: str) -> None:
    account = org.backend("iam", PAYMENTS)
    user = seeding.add_user(account, "ada")
    seeding.add_access_key(account, user, key_id="AKIAINACTIVEINACTIVE", active=False)
    with pytest.raises(AwsError) as refused:
        credentials.resolve(access_key_id, org.token)
    assert (refused.value.code, refused.value.status) == (code, 403)


def test_credentials_of_another_partition(org: LocalOrg) -> None:
    key = credentials.BASE_KEY_ID
    assert credentials.resolve(key, org.token, "eu-west-1") == credentials.resolve(key, org.token)
    with pytest.raises(AwsError, match="security token included in the request is invalid"):
        credentials.resolve(key, org.token, "us-gov-west-1")
