# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.claimed_people import PeopleAuthority
from c7n_iamusers.identity_center.confirming import AccountNow, confirmed
from c7n_iamusers.identity_center.intents import Intents, UserIntent
from c7n_iamusers.identity_center.people_file import PersonRow, people_map
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents, user

ASKED = intents(ACCOUNT, "alice")
(ALICE,) = ASKED.users


def detail(**changes: Any) -> dict[str, Any]:
    found = {
        "UserName": "alice",
        "UserId": ALICE.subject.unique_id,
        "Arn": ALICE.subject.arn,
        "Tags": [{"Key": "Email", "Value": " Alice@example.com "}],
    }
    return {**found, **changes}


def now(*details: dict[str, Any], source: PolicySource | None = None) -> AccountNow:
    return AccountNow(source or PolicySource(), {each["UserId"]: each for each in details})


def one(asked: Intents, there: AccountNow | str, trusted: bool = False) -> UserIntent:
    (found,) = confirmed([asked], lambda ids, _: [(each, there) for each in ids], trusted)
    return found.users[0]


def test_who_is_as_claimed_is_taken() -> None:
    assert one(ASKED, now(detail())) == ALICE


@pytest.mark.parametrize(
    ("there", "told"),
    [
        pytest.param(now(), "is there no longer (no user has the id AIDA111122223333ALICE)", id="deleted-or-forged"),
        pytest.param(now(detail(UserId="AIDANEW")), "is there no longer", id="made-again"),
        pytest.param(now(detail(Arn=f"arn:aws:iam::{ACCOUNT}:user/old/alice")), "user/old/alice by now", id="moved"),
        pytest.param(
            now(detail(Tags=[{"Key": "Email", "Value": "bob@example.com"}])),
            "has no tag Email that says alice@example.com: run the policies again", id="retagged",
        ),
        pytest.param(now(detail(Tags=[])), "has no tag Email", id="untagged"),
        pytest.param("account 1 can't be read by R: AccessDenied", "R: AccessDenied", id="unread"),
    ],
)  # fmt: skip
def test_who_is_not_is_refused(there: AccountNow | str, told: str) -> None:
    found = one(ASKED, there)
    assert found.person is None
    assert told in found.problem


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"rests_on": "UserName"}, id="no-tag"),
        pytest.param({"rests_on": "tag:Email or UserName"}, id="a-tag-or-not"),
        pytest.param({"rests_on": "tag:User (username) and UserName (e-mail)"}, id="only-the-username"),
        pytest.param({"rests_on": "people.csv, line 2", "on_file": True}, id="file"),
    ],
)
def test_what_rests_on_no_tag_is_a_claim_unless_a_file_of_this_side_says_it(changes: dict[str, Any]) -> None:
    asked = replace(ASKED, users=(replace(ALICE, **changes),))
    people = people_map(
        "people.csv", [PersonRow(2, {"account": ACCOUNT, "user": "alice", "email": "alice@example.com"})]
    )
    by_file = PeopleAuthority(people)
    (checked,) = PeopleAuthority().checked(asked).users
    asked = replace(asked, users=(checked,))
    assert "by the intents alone" in one(asked, now(detail(Tags=[]))).problem
    assert one(asked, now(detail(Tags=[])), trusted=True).problem == ""
    (found,) = confirmed(
        [by_file.checked(asked)],
        lambda ids, _: [(each, now(detail(Tags=[]))) for each in ids],
        False,
        lambda _: by_file,
    )
    assert found.users[0].problem == ""


def test_who_can_not_be_read_is_trusted_where_somebody_says_so() -> None:
    assert one(ASKED, "AccessDenied", trusted=True) == ALICE
    assert one(ASKED, now(), trusted=True).person is None


def test_without_anybody_to_read_them_intents_are_refused_as_a_whole() -> None:
    with pytest.raises(
        IdentityCenterError, match=r"'arn:aws:iam::\{account_id\}:role/NAME', or, where you trust"
    ):
        confirmed([ASKED], None)
    assert confirmed([ASKED], None, trusted=True) == [ASKED]


def test_derivation_is_from_what_the_user_may_do_now() -> None:
    old = detail(UserPolicyList=[{"PolicyName": "P", "PolicyDocument": {"Statement": [{"Action": "*"}]}}])
    asked = replace(ASKED, permission_set=None, derive={}, users=(replace(ALICE, detail=old),))
    fresh = now(detail(), source=PolicySource({"g": {}}, {}))
    (found,) = confirmed([asked], lambda ids, _: [(each, fresh) for each in ids])
    assert found.users[0].detail == detail()
    assert found.source.groups == {"g": {}}


def test_a_problem_that_was_there_before_stays_the_reason() -> None:
    asked = replace(ASKED, users=(user(ACCOUNT, "robot", None, "no email"),))
    assert one(asked, "AccessDenied").problem == "no email"


def test_each_account_by_itself() -> None:
    asked = [ASKED, intents(OTHER_ACCOUNT, "bob")]
    there: list[tuple[str, AccountNow | str]] = [(ACCOUNT, now(detail())), (OTHER_ACCOUNT, "AccessDenied")]
    first, second = confirmed(asked, lambda ids, _: there)
    assert first.users[0].problem == ""
    assert "AccessDenied" in second.users[0].problem


def test_one_account_after_the_other_is_held() -> None:
    asked = [intents(f"{100000000001 + number}", "alice") for number in range(20)]
    held: weakref.WeakSet[AccountNow] = weakref.WeakSet()
    most = []

    def read(ids: Iterable[str], _: Collection[str]) -> Iterator[tuple[str, AccountNow]]:
        for each in ids:
            found = Held({})
            held.add(found)
            most.append(len(held))
            yield each, found
            del found

    assert len(confirmed(asked, read)) == 20
    # The one that was just read, and that before it.
    assert max(most) <= 2


class Held(AccountNow):
    """One that is told apart from its equals."""

    def __init__(self, users: dict[str, Any]) -> None:
        super().__init__(PolicySource(), users)

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def test_policies_are_read_of_accounts_that_derive_alone() -> None:
    asked = [ASKED, replace(intents(OTHER_ACCOUNT, "bob"), permission_set=None, derive={})]
    wanted: list[Collection[str]] = []

    def read(ids: Iterable[str], with_policies: Collection[str]) -> Iterator[tuple[str, str]]:
        wanted.append(with_policies)
        return ((each, "AccessDenied") for each in ids)

    confirmed(asked, read)
    assert [set(each) for each in wanted] == [{OTHER_ACCOUNT}]


def test_an_account_that_was_passed_over_is_not_trusted() -> None:
    (found,) = confirmed([ASKED], lambda ids, _: [])
    assert "nothing was read of its account" in found.users[0].problem
