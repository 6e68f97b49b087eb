# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.refusals import refusal

PASSWORD = "correct horse battery"


def test_a_password_lives_and_dies(iam: Any) -> None:
    iam.create_user(UserName="ada")
    assert refusal(iam.get_login_profile, UserName="ada") == ("NoSuchEntity", 404)
    made = iam.create_login_profile(UserName="ada", Password=PASSWORD, PasswordResetRequired=True)
    assert made["LoginProfile"]["PasswordResetRequired"] is True
    iam.update_login_profile(UserName="ada", PasswordResetRequired=False)
    shown = iam.get_login_profile(UserName="ada")["LoginProfile"]
    assert shown == {**made["LoginProfile"], "PasswordResetRequired": False}
    iam.delete_login_profile(UserName="ada")
    assert refusal(iam.get_login_profile, UserName="ada") == ("NoSuchEntity", 404)


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
@pytest.mark.parametrize("user", ["ada", "nobody"])
def test_without_a_password(iam: Any, operation: str, user: str) -> None:
    iam.create_user(UserName="ada")
    assert refusal(getattr(iam, f"{operation}_login_profile"), UserName=user) == ("NoSuchEntity", 404)


def test_a_second_password_is_refused(iam: Any) -> None:
    iam.create_user(UserName="ada")
    iam.create_login_profile(UserName="ada", Password=PASSWORD)
    refused = refusal(iam.create_login_profile, UserName="ada", Password=PASSWORD)
    assert refused == ("EntityAlreadyExists", 409)


def test_a_password_too_long_is_not_repeated_in_the_error(iam: Any) -> None:
    iam.create_user(UserName="ada")
    with pytest.raises(iam.exceptions.ClientError) as refused:
        iam.create_login_profile(UserName="ada", Password="secret" * 30)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert "secret" not in str(refused.value)
