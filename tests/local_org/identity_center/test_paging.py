# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.local_org.identity_center.center import Center, refusal


def token_of(center: Center, operation: str, **parameters: Any) -> str:
    return str(center.store(operation, MaxResults=1, **parameters)["NextToken"])


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("nonsense", id="not-base64"),
        pytest.param(base64.urlsafe_b64encode(b"{}").decode(), id="not-a-position"),
        pytest.param(base64.urlsafe_b64encode(b'["Users", -1]').decode(), id="before-the-start"),
        pytest.param(base64.urlsafe_b64encode(b'["Users", "1"]').decode(), id="not-a-number"),
    ],
)
def test_tokens_that_no_list_gave(center: Center, token: str) -> None:
    refusal("ValidationException", center.store, "list_users", NextToken=token)


def test_a_token_of_another_list(center: Center) -> None:
    for name in ("one", "two"):
        center.group(name)
    token = token_of(center, "list_groups")
    refusal("ValidationException", center.store, "list_users", NextToken=token)
    assert len(center.store("list_groups", NextToken=token)["Groups"]) == 1


@pytest.mark.parametrize("size", [0, 101])
def test_illegal_page_sizes(center: Center, size: int) -> None:
    refusal("ValidationException", center.store, "list_users", MaxResults=size)


def test_a_page_holds_at_most_a_hundred(center: Center) -> None:
    made = [center.permission_set(f"Set{number}") for number in range(101)]
    first = center.admin("list_permission_sets")
    assert first["PermissionSets"] == made[:100]
    last = center.admin("list_permission_sets", NextToken=first["NextToken"])
    assert last["PermissionSets"] == made[100:]
    assert "NextToken" not in last


def test_pages_can_be_forced_down_while_running(center: Center) -> None:
    for number in range(3):
        center.user(f"user{number}")
    center.org.configure(page_limit=2)
    assert len(center.store("list_users", MaxResults=100)["Users"]) == 2
    assert len(center.store("list_users", MaxResults=1)["Users"]) == 1
    center.org.configure(page_limit=None)
    assert len(center.store("list_users")["Users"]) == 3
