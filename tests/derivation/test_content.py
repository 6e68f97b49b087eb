# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import Derivation, DerivationOptions
from tests.derivation.users import PLATFORM, RESEARCH, allow, aws, user

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
        "iam-ReadOnlyAccess", "iam-all", "iam-most", "iam-ec2+s3+ss", "iam-AmazonVeryLongNam",
    ]  # fmt: skip


def test_a_name_does_not_depend_on_who_else_is_there() -> None:
    users = [
        user("ann", inline=[READ]),
        user("bob", RESEARCH, inline=[READ, WRITE]),
        user("eve", PLATFORM, inline=[WRITE]),
    ]
    assert names(derive(users, PLAIN)) == {name for each in users for name in names(derive([each], PLAIN))}
