# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.requests.intent_checks import (
    PeopleAuthority,
    PolicySettings,
    check_settings,
    with_own_people,
)
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.identity_center.requests.people_file import PeopleMap, PersonRow, people_map
from tests.access_center import ACCOUNT
from tests.desired import intents, person, readers, user

pytestmark = pytest.mark.pure

ALICE = user(ACCOUNT, "alice", person("alice"))
MALLORY = person("mallory")


def people(email: str = "alice@example.com", **more: str) -> PeopleMap:
    row = {"account": ACCOUNT, "user": "alice", "email": email, **more}
    return people_map("people.csv", [PersonRow(2, row)])


def checked(claimed: UserIntent, **authority: Any) -> UserIntent:
    (found,) = PeopleAuthority(**authority).checked(intents(ACCOUNT, users=(claimed,))).users
    return found


def on_file(claimed: Person = MALLORY) -> UserIntent:
    return replace(ALICE, person=claimed, rests_on="people.csv, line 2", on_file=True)


@pytest.mark.parametrize(
    "claimed",
    [
        pytest.param(on_file(), id="by-a-file-they-say"),
        pytest.param(replace(ALICE, person=MALLORY), id="by-a-tag-they-say"),
        pytest.param(replace(ALICE, person=replace(person("alice"), username="root")), id="username"),
    ],
)
def test_the_file_says_who_a_person_is_whatever_intents_say(claimed: UserIntent) -> None:
    found = checked(claimed, people=people())
    assert found.person
    assert found.person.key == person("alice").key
    assert found.on_file
    assert found.rests_on.startswith("people.csv, line 2, against the intents, which give ")


def test_only_the_file_says_which_identity_center_user_a_person_is() -> None:
    claimed = replace(on_file(person("alice")), user_id="theirs")
    assert checked(claimed, people=people(**{"user-id": "ours"})).user_id == "ours"
    assert checked(claimed, people=people()).user_id == ""
    assert checked(claimed).user_id == ""
    assert checked(claimed, trusted=True).user_id == "theirs"


def test_what_file_and_intents_agree_on_keeps_its_names() -> None:
    named = replace(person("alice"), given_name="Alice", display_name="Alice L")
    found = checked(replace(ALICE, person=named), people=people(**{"display-name": "A. Liddell"}))
    assert found.person == replace(named, display_name="A. Liddell")
    assert found.rests_on == "people.csv, line 2"


def test_what_the_run_of_the_policy_reported_stays() -> None:
    told = "people.csv, line 2, against tag:Email, which gives email 'x@example.com'"
    found = checked(replace(on_file(person("alice")), rests_on=told), people=people())
    assert found.rests_on == told


def test_a_row_that_can_not_be_understood_refuses_the_user() -> None:
    found = checked(
        ALICE, people=people_map("people.csv", [PersonRow(2, {"account": ACCOUNT, "user": "alice"})])
    )
    assert found.person is None
    assert "people.csv: line 2: has no email" in found.problem


@pytest.mark.parametrize(
    ("claimed", "authority", "told"),
    [
        pytest.param(
            ALICE, {"domains": ("example.org",)}, "has the domain example.com, which is not in", id="domain"
        ),
        pytest.param(
            replace(ALICE, person=replace(MALLORY, email="m@e\u0445ample.com")),
            {},
            "mixes the scripts",
            id="script",
        ),
        pytest.param(
            ALICE,
            {"people": people("a@other.com"), "domains": ("example.com",)},
            "has the domain other.com",
            id="domain-in-the-file",
        ),
    ],
)
def test_who_can_be_nobody_of_the_organization(
    claimed: UserIntent, authority: dict[str, Any], told: str
) -> None:
    found = checked(claimed, **authority)
    assert found.person is None
    assert told in found.problem


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        pytest.param({}, False, id="a-claim"),
        pytest.param({"trusted": True}, True, id="trusted"),
        pytest.param({"trusted": True, "people": people_map("people.csv", [])}, False, id="not-in-the-file"),
    ],
)
def test_on_file_is_what_this_side_knows(authority: dict[str, Any], expected: bool) -> None:
    assert checked(on_file(), **authority).on_file is expected


def test_a_user_with_a_problem_keeps_it() -> None:
    robot = user(ACCOUNT, "alice", None, "no email")
    assert checked(robot, people=people()) == robot


#: Alice by her e-mail, with a username that only some account bears out.
NICK = replace(ALICE, person=replace(person("alice"), username="nick"))


def detail(name: str = "alice", **tags: str) -> dict[str, Any]:
    return {"UserName": name, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


@pytest.mark.parametrize(
    ("claimed", "there", "authority"),
    [
        pytest.param(ALICE, detail(Email=" Alice@Example.com "), {}, id="tag"),
        pytest.param(ALICE, detail(email="alice@example.com"), {}, id="tag-of-another-case"),
        pytest.param(on_file(person("alice")), detail(Email="alice@example.com"), {}, id="tag-not-file"),
        pytest.param(
            replace(ALICE, rests_on="UserName"), detail("alice@example.com"), {}, id="name-of-the-user"
        ),
        pytest.param(
            ALICE, detail(Owner="alice@example.com"), {"email_tags": ("Email", "Owner")}, id="another-tag"
        ),
        pytest.param(replace(ALICE, rests_on="join()"), detail(), {"trusted": True}, id="trusted"),
        pytest.param(NICK, detail("nick", Email="alice@example.com"), {}, id="username-is-the-user's"),
        pytest.param(
            NICK,
            detail("nick", Email="alice@example.com"),
            {"username_tags": ("Login",), "username_is_name": True},
            id="username-is-the-user's-by-the-policy",
        ),
        pytest.param(NICK, detail(Email="alice@example.com", Login="Nick"), {}, id="username-in-a-tag"),
        pytest.param(
            NICK,
            detail(Email="alice@example.com", Login="nick"),
            {"username_tags": ("Login",)},
            id="username-in-the-policy's-tag",
        ),
        pytest.param(NICK, detail(Email="alice@example.com"), {"trusted": True}, id="username-trusted"),
    ],
)
def test_who_the_account_itself_says_it_is(
    claimed: UserIntent, there: dict[str, Any], authority: dict[str, Any]
) -> None:
    assert PeopleAuthority(**authority).refusal_reason(checked(claimed, **authority), there) == ""


@pytest.mark.parametrize(
    ("claimed", "there", "authority", "told"),
    [
        pytest.param(
            on_file(),
            detail(),
            {},
            "(found in people.csv, line 2): it has no tag Email",
            id="a-file-they-say",
        ),
        pytest.param(
            on_file(),
            detail(Email="alice@example.com"),
            {"people": people_map("mine.csv", [])},
            "mine.csv has no row for it, it has no tag Email with mallory@example.com",
            id="not-in-the-file",
        ),
        pytest.param(
            ALICE, detail(Email="bob@example.com"), {"trusted": True}, "run the policies again", id="retagged"
        ),
        pytest.param(
            replace(ALICE, person=MALLORY),
            detail(Email="alice@example.com", CreatedBy="mallory@example.com"),
            {},
            "has no tag Email with mallory@example.com: run the policies again, or, if another tag",
            id="a-tag-that-says-something-else",
        ),
        pytest.param(replace(ALICE, rests_on="join()"), detail(), {}, "--people-from", id="neither"),
        pytest.param(
            NICK,
            detail(Email="alice@example.com"),
            {},
            "has the username nick only by the intents: it is not its e-mail",
            id="username-of-somebody-else",
        ),
        pytest.param(
            NICK,
            detail(Email="alice@example.com", Manager="nick"),
            {"username_tags": ("Login",)},
            "and no tag Login of it has it",
            id="username-in-another-tag-than-the-policy's",
        ),
        pytest.param(
            NICK,
            detail("nick", Email="alice@example.com"),
            {"username_tags": ("Login",)},
            "and no tag Login of it has it",
            id="a-name-where-the-policy-takes-a-tag",
        ),
        *(
            pytest.param(
                replace(ALICE, person=replace(person("alice"), username="bob@example.com")),
                detail(name, Email="alice@example.com", **tags),
                {},
                "has the username bob@example.com only by the intents",
                id=f"another-person's-address-in-{where}",
            )
            for where, name, tags in (
                ("the-name", "bob@example.com", {}),
                ("a-tag", "alice", {"Manager": "bob@example.com"}),
            )
        ),
    ],
)
def test_who_is_a_claim_alone(
    claimed: UserIntent, there: dict[str, Any], authority: dict[str, Any], told: str
) -> None:
    assert told in PeopleAuthority(**authority).refusal_reason(checked(claimed, **authority), there)


def test_who_is_nobody_is_no_claim() -> None:
    assert PeopleAuthority().refusal_reason(user(ACCOUNT, "alice", None, "no email"), detail()) == ""


READERS = intents(ACCOUNT, "alice", permission_set=readers())


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param(replace(READERS, users=()), "", id="other-users"),
        pytest.param(replace(READERS, group="Admins"), 'group is "Admins", and "iam-', id="group"),
        pytest.param(
            replace(READERS, permission_set=readers("Admins")),
            'permission-set.name is "Admins", and "Readers" in the policy',
            id="a-part-of-a-setting",
        ),
        pytest.param(
            replace(READERS, permission_set=None, derive={}),
            "permission-set is null, and {} in",
            id="derived",
        ),
    ],
)
def test_a_setting_that_differs_from_the_policy_is_told(found: Intents, told: str) -> None:
    settings = PolicySettings("policies.yml", READERS, PeopleAuthority())
    if told:
        with pytest.raises(IdentityCenterError, match=f"differs from policy .*{re.escape(told)}"):
            check_settings(found, settings)
    else:
        check_settings(found, settings)


def test_whom_the_file_names_needs_no_tag() -> None:
    authority = PeopleAuthority(people())
    assert authority.refusal_reason(checked(ALICE, people=people()), detail()) == ""


def other(name: str = "bot", **tags: str) -> dict[str, Any]:
    """A user of the account that no policy has selected."""
    return {**detail(name, **tags), "UserId": name, "Arn": f"arn:aws:iam::{ACCOUNT}:user/{name}"}


@pytest.mark.parametrize(
    ("there", "authority", "refused"),
    [
        pytest.param(other(Email=" Alice@Example.com"), {}, True, id="tag"),
        pytest.param(other(Mail="alice@example.com"), {"email_tags": ("Mail",)}, True, id="the-policy's-tag"),
        pytest.param(
            other(Mail="alice@example.com"),
            {"other_tags": frozenset({"mail"})},
            True,
            id="another-policy's-tag",
        ),
        pytest.param(other(Login="alice@example.com"), {"username_tags": ("Login",)}, True, id="username"),
        pytest.param(other("alice@example.com"), {}, True, id="name-of-the-user"),
        pytest.param(
            other(Email="alice@example.com"),
            {"people": people_map("p.csv", [PersonRow(2, {"account": "1", "user": "bot"})])},
            True,
            id="a-faulty-row-that-may-be-its",
        ),
        pytest.param(
            other("alice2"),
            {
                "people": people_map(
                    "p.csv",
                    [PersonRow(2, {"account": ACCOUNT, "user": "alice2", "email": "alice@example.com"})],
                )
            },
            True,
            id="people-file",
        ),
        pytest.param(other(Owner="alice@example.com"), {}, False, id="a-tag-that-names-nobody"),
        pytest.param(other(Email="alice+bot@example.com"), {}, False, id="another-address"),
        pytest.param(
            other(Email="alice@example.com"),
            {
                "people": people_map(
                    "p.csv", [PersonRow(2, {"account": ACCOUNT, "user": "bot", "email": "bot@example.com"})]
                )
            },
            False,
            id="its-own-row",
        ),
        pytest.param(other(Email="alice@example.com"), {"only_file": True}, False, id="tags-don't-count"),
    ],
)
def test_a_person_that_another_user_of_the_account_names(
    there: dict[str, Any], authority: dict[str, Any], refused: bool
) -> None:
    own = {**detail(Email="alice@example.com"), "UserId": ALICE.subject.unique_id, "Arn": ALICE.subject.arn}
    (found,) = with_own_people([ALICE], [own, there], PeopleAuthority(**authority).names_in)
    assert (found.person is None, "give each of them a row with" in found.problem) == (refused, refused)
    assert f"({', '.join(sorted(['alice', there['UserName']]))})" in found.problem or not refused


def test_whom_the_people_file_names_may_share_an_address() -> None:
    claimed = replace(ALICE, on_file=True)
    there = [other(Email="alice@example.com")]
    assert with_own_people([claimed], there, PeopleAuthority().names_in) == (claimed,)
