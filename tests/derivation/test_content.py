# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from c7n_iamusers.derivation.canonical import Content
from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import Derivation, DerivationOptions
from tests.derivation.users import PLATFORM, RESEARCH, allow, aws, only_set, user

pytestmark = pytest.mark.pure

PLAIN = DerivationOptions()
READ, WRITE = allow("s3:Get* s3:List*"), allow("s3:Put*", "arn:aws:s3:::uploads/*")


def names(derivation: Derivation) -> set[str]:
    return {each.name for each in derivation.sets}


NAME = re.compile(r"[\w+=,.@-]{1,32}", re.ASCII)


def test_names_are_what_identity_center_takes_and_say_what_the_set_is_about() -> None:
    users = [
        user("a", attached=(aws("ReadOnlyAccess"),)),
        user("b", inline=[allow("*")]),
        user("c", inline=[{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]),
        user("d", inline=[allow("ec2:* s3:Get* s?s:*")]),
        user(
            "e", attached=tuple(aws(f"AmazonVeryLongNameOfAService{number}FullAccess") for number in range(3))
        ),
    ]
    derivation = derive(users, PLAIN)
    by_user = {each.subject.name: each.set_name for each in derivation.principals}
    assert all(NAME.fullmatch(name) for name in by_user.values())
    assert [by_user[name].rpartition("-")[0] for name in "abcde"] == [
        "iam-ReadO", "iam-all", "iam-most", "iam-ec2+s", "iam-Amazo",
    ]  # fmt: skip


#: Found by 2^25 attempts: of the SHA-256 of what they are named by, the first 50 bits are equal.
ALIKE = (
    [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::team-x/dqpqdbaaaaaa"}],
    [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::nobody/czoujaaaaaaa"},
    ],
)


def test_names_are_told_apart_by_more_than_somebody_can_search() -> None:
    first, second = (only_set(derive([user("a", inline=each)], PLAIN)).name for each in ALIKE)
    assert first != second
    assert first[: len("iam-s3-") + 10] == second[: len("iam-s3-") + 10]
    assert len(first) >= len("iam-s3-") + 22


def test_of_two_contents_with_one_name_the_second_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Content, "name", lambda *_: "iam-s3-same")
    users = [user("ann", inline=ALIKE[0]), user("bob", RESEARCH, inline=ALIKE[1])]
    derivation = derive(users, PLAIN)
    (refusal,) = derivation.refused
    assert len(derivation.principals) == 1
    assert "another user's permission set has its name, iam-s3-same" in refusal.reason


def test_a_name_does_not_depend_on_who_else_is_there() -> None:
    users = [
        user("ann", inline=[READ]),
        user("bob", RESEARCH, inline=[READ, WRITE]),
        user("eve", PLATFORM, inline=[WRITE]),
    ]
    assert names(derive(users, PLAIN)) == {name for each in users for name in names(derive([each], PLAIN))}
