# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from c7n_iamusers.iam.policy_documents import AppliedPolicy, admin_policies, is_admin

MANAGED = "arn:aws:iam::aws:policy/"
OWN = "arn:aws:iam::111122223333:policy/own"


def document(action: Any = "*", resource: Any = "*", effect: str = "Allow", **rest: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": action, "Resource": resource, **rest}
    return {"Statement": {key: value for key, value in statement.items() if value is not None}}


@pytest.mark.parametrize(
    ("given", "admin"),
    [
        pytest.param(document(), True, id="everything"),
        pytest.param(document(["s3:Get*", "*"], ["arn:aws:s3:::x", "*"]), True, id="among-others"),
        pytest.param(document("*:*"), True, id="star-colon-star"),
        pytest.param(document("IAM:*"), True, id="all-of-iam-in-capitals"),
        pytest.param(document(["iam:C*", "iam:*"]), True, id="all-of-iam-among-others"),
        pytest.param(document(resource="arn:aws:*"), True, id="every-arn"),
        pytest.param(document(resource="arn:*:*:*:*:*"), True, id="every-arn-spelled-out"),
        pytest.param(
            document(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}), True, id="with-mfa"
        ),
        pytest.param(document(None, NotAction="s3:*"), True, id="all-but-s3"),
        pytest.param(document(None, NotAction=["iam:*", "organizations:*"]), False, id="all-but-iam"),
        pytest.param(document(None, NotAction="I*:Create*"), False, id="all-but-some-of-iam"),
        pytest.param(document(None, NotAction="*"), False, id="nothing"),
        pytest.param(document(effect="Deny"), False, id="deny"),
        pytest.param(document(effect="allow"), True, id="effect-in-lower-case"),
        pytest.param(document("s3:*"), False, id="one-service"),
        pytest.param(document("iam:Create*"), False, id="some-of-iam"),
        pytest.param(document("iam:CreateUser"), False, id="one-action"),
        pytest.param(document("iamx:*"), False, id="another-service"),
        pytest.param(document(resource="arn:aws:s3:::*"), False, id="every-bucket"),
        pytest.param(document(resource="arn:aws:iam::*:user/${aws:username}"), False, id="oneself"),
        pytest.param(document(resource=""), False, id="no-resource"),
        pytest.param(
            document(None, NotAction="s3:*", resource=None, NotResource="x"), False, id="not-resource"
        ),
        pytest.param({"Statement": []}, False, id="empty"),
        pytest.param(json.dumps(document()), True, id="text"),
        pytest.param(quote(json.dumps(document())), True, id="url-encoded"),
        pytest.param("rubbish", None, id="no-document"),
        pytest.param({"Statement": ["rubbish"]}, None, id="no-statement"),
        pytest.param(None, None, id="not-read"),
    ],
)
def test_documents(given: Any, admin: bool | None) -> None:
    assert is_admin(AppliedPolicy("own", OWN, document=given)) is admin


@pytest.mark.parametrize(
    ("arn", "admin"),
    [
        pytest.param(f"{MANAGED}AdministratorAccess", True, id="administrator"),
        pytest.param("arn:aws-cn:iam::aws:policy/AdministratorAccess", True, id="other-partition"),
        pytest.param(f"{MANAGED}IAMFullAccess", True, id="iam"),
        pytest.param(f"{MANAGED}PowerUserAccess", False, id="power-user"),
        pytest.param(f"{MANAGED}AdministratorAccess-Amplify", False, id="begins-alike"),
        pytest.param(f"{MANAGED}job-function/ViewOnlyAccess", False, id="under-a-path"),
        pytest.param("arn:aws:iam::111122223333:policy/AdministratorAccess", None, id="own-one-of-that-name"),
    ],
)
def test_managed_policies_by_name(arn: str, admin: bool | None) -> None:
    assert is_admin(AppliedPolicy(arn.rpartition("/")[2], arn)) is admin


READ, UNREAD = AppliedPolicy("read", OWN, document=document("s3:*")), AppliedPolicy("unread", OWN)
ADMIN = AppliedPolicy("AdministratorAccess", f"{MANAGED}AdministratorAccess", group="Admins")


@pytest.mark.parametrize(
    ("grants", "ways"),
    [
        pytest.param((READ,), (), id="none"),
        pytest.param((READ, ADMIN), ("AdministratorAccess through group Admins",), id="one"),
        pytest.param(
            (UNREAD, ADMIN), ("AdministratorAccess through group Admins",), id="one-whatever-the-other"
        ),
        pytest.param((READ, UNREAD), None, id="unknown"),
        pytest.param((), (), id="no-policies"),
        pytest.param(None, None, id="not-read"),
    ],
)
def test_ways(grants: tuple[AppliedPolicy, ...] | None, ways: tuple[str, ...] | None) -> None:
    assert admin_policies(grants) == ways
