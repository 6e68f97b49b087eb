# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from aws_local_org.iam import seeding


@pytest.mark.parametrize("value", ["a & b", "<tag>", '"quoted"', "größe", "", "]]>"])
def test_text_survives_the_wire(iam: Any, account: Any, value: str) -> None:
    seeding.add_user(account, "ada", tags={"note": value})
    assert iam.get_user(UserName="ada")["User"]["Tags"] == [{"Key": "note", "Value": value}]


def test_every_response_has_a_request_id_of_its_own(iam: Any) -> None:
    """Both those that we write and those that are moto's."""
    metadata = [
        call()["ResponseMetadata"]["RequestId"] for call in (iam.list_users, iam.list_roles, iam.list_users)
    ]
    assert len(set(metadata)) == 3
    assert all(metadata)
