# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.refusals import refusal

INVALID = ("ValidationError", 400)


def tags_of(iam: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in iam.list_user_tags(UserName="ada")["Tags"]}


def test_tags_are_added_replaced_and_removed(iam: Any) -> None:
    iam.create_user(UserName="ada", Tags=[{"Key": "Team", "Value": "x"}])
    iam.tag_user(UserName="ada", Tags=[{"Key": "Email", "Value": "a@example.com"}])
    iam.tag_user(UserName="ada", Tags=[{"Key": "team", "Value": "y"}])
    assert tags_of(iam) == {"team": "y", "Email": "a@example.com"}
    iam.untag_user(UserName="ada", TagKeys=["TEAM", "absent"])
    assert tags_of(iam) == {"Email": "a@example.com"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("Cost Center", "a b_.:/=+-@1", None, id="every allowed character"),
        pytest.param("größe", "Zoë Ökonom", None, id="letters of any script"),
        pytest.param("k", "", None, id="empty value"),
        pytest.param("k" * 128, "v" * 256, None, id="longest"),
        pytest.param("k" * 129, "v", INVALID, id="key too long"),
        pytest.param("k", "v" * 257, INVALID, id="value too long"),
        pytest.param("", "v", INVALID, id="empty key"),
        pytest.param("k", "a,b", INVALID, id="comma in value"),
        pytest.param("k", '{"a": 1}', INVALID, id="JSON in value"),
        pytest.param("k", "a\tb", INVALID, id="tab in value"),
        pytest.param("a*", "v", INVALID, id="star in key"),
    ],
)
def test_characters_and_lengths(iam: Any, key: str, value: str, expected: tuple[str, int] | None) -> None:
    iam.create_user(UserName="ada")
    assert refusal(iam.tag_user, UserName="ada", Tags=[{"Key": key, "Value": value}]) == expected


def test_one_key_twice_is_refused(iam: Any) -> None:
    tags = [{"Key": "Team", "Value": "x"}, {"Key": "team", "Value": "y"}]
    assert refusal(iam.create_user, UserName="ada", Tags=tags) == ("InvalidInput", 400)


def test_fifty_tags_and_no_more(iam: Any) -> None:
    fifty = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    iam.create_user(UserName="ada", Tags=fifty)
    assert refusal(iam.tag_user, UserName="ada", Tags=[{"Key": "k0", "Value": "other"}]) is None
    one_more = [{"Key": "k50", "Value": "v"}]
    assert refusal(iam.tag_user, UserName="ada", Tags=one_more) == ("LimitExceeded", 409)
    assert refusal(iam.create_user, UserName="bob", Tags=fifty + one_more) == INVALID
