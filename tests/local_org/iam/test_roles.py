# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.refusals import refusal

TRUST = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "x.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
NONE = "arn:aws:iam::111122223333:policy/none"


@pytest.mark.parametrize("name", ["app", "APP"])
def test_names_are_unique_whatever_their_case(iam: Any, name: str) -> None:
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    again = refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=TRUST)
    assert again == ("EntityAlreadyExists", 409)


def test_a_missing_boundary_is_refused(iam: Any) -> None:
    wanted = {"RoleName": "app", "AssumeRolePolicyDocument": TRUST}
    assert refusal(iam.create_role, **wanted, PermissionsBoundary=NONE) == ("NoSuchEntity", 404)
    iam.create_role(**wanted)
    refused = refusal(iam.put_role_permissions_boundary, RoleName="app", PermissionsBoundary=NONE)
    assert refused == ("NoSuchEntity", 404)


def test_a_missing_role(iam: Any) -> None:
    assert refusal(iam.get_role, RoleName="none") == ("NoSuchEntity", 404)


def test_dates_have_whole_seconds(iam: Any) -> None:
    made = iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)["Role"]["CreateDate"]
    assert made.microsecond == 0
    assert iam.get_role(RoleName="app")["Role"]["CreateDate"] == made
