# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.requests.people import (
    Candidate,
    Identity,
    distinct_people,
    from_email,
    hints,
    identify,
)
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, subject

pytestmark = pytest.mark.pure

KEYS = {
    "username": "tag:Email",
    "email": "tag:Email or tag:Mail",
    "given-name": "UserName",
    "family-name": "UserName",
    "display-name": "UserName",
}
TEXTS = {
    "username": "alice",
    "email": "alice@example.com",
    "given-name": "Alice",
    "family-name": "Liddell",
    "display-name": "Alice Liddell",
}


def one(account: str = ACCOUNT, **texts: str) -> Candidate:
    given = {**TEXTS, **{key.replace("_", "-"): text for key, text in texts.items()}}
    (candidate,) = identify([(subject(account=account), Identity(given, KEYS))], ACCOUNT)
    return candidate


def several(*people: tuple[str, str, str]) -> dict[str, str]:
    """IAM user -> its problem, for (IAM user, username, e-mail)."""
    texts = [(name, {**TEXTS, "username": user, "email": mail}) for name, user, mail in people]
    users = [(subject(name), Identity(given, KEYS)) for name, given in texts]
    return {found.subject.name: found.problem for found in identify(users, ACCOUNT)}


def test_a_whole_person() -> None:
    assert one().person == Person("alice", "alice@example.com", "Alice", "Liddell", "Alice Liddell")


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param({"username": "Jürgen.Weiß+1"}, id="username-letters-of-any-script"),
        pytest.param({"username": "x" * 128}, id="username-longest"),
        pytest.param({"username": "administrator2"}, id="username-near-a-reserved-one"),
        pytest.param({"email": "o'neil+iam@sub.example.co.uk"}, id="email-quote-and-plus"),
        pytest.param({"email": "用户@例子.广告"}, id="email-international"),
        pytest.param({"given_name": "Anne Marie"}, id="name-with-a-space"),
        pytest.param({"email": "b\u00f6ss1@gro\u00df.example"}, id="email-letters-and-digits-of-one-script"),
        pytest.param({"username": "x\u0323\u0302"}, id="username-with-a-mark-that-has-no-other-form"),
        pytest.param({"username": "\u7530\u4e2d\u3055\u3093"}, id="username-of-han-and-kana"),
    ],
)
def test_what_is_taken(texts: dict[str, str]) -> None:
    assert one(**texts).problem == ""


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        pytest.param(
            {"email": ""}, "no email: tag:Email or tag:Mail has no value: tag the user", id="no-email"
        ),
        pytest.param({"username": ""}, "no username: tag:Email has no value", id="no-username"),
        pytest.param({"family_name": ""}, "no family-name: UserName has no value", id="no-family-name"),
        pytest.param(
            {"email": "n/a"}, "email 'n/a' (from tag:Email or tag:Mail) is not an e-mail", id="email-word"
        ),
        pytest.param({"email": "alice@"}, "is not an e-mail", id="email-without-domain"),
        pytest.param({"email": "alice@localhost"}, "is not an e-mail", id="email-without-dot"),
        pytest.param({"email": "a@b.example.com, c@d.example.com"}, "is not an e-mail", id="email-two"),
        pytest.param({"email": "Alice <a@example.com>"}, "is not an e-mail", id="email-with-a-name"),
        pytest.param({"email": "a@@example.com"}, "is not an e-mail", id="email-two-ats"),
        pytest.param({"email": f"a@{'b' * 250}.example"}, "longer than 254", id="email-too-long"),
        pytest.param({"username": "Administrator"}, "is reserved", id="reserved"),
        pytest.param({"username": "awsadministrators"}, "is reserved", id="reserved-in-any-case"),
        pytest.param({"username": "alice liddell"}, "must have no spaces", id="username-with-a-space"),
        pytest.param(
            {"username": "alice\u200b"}, "must have no spaces", id="username-with-an-invisible-character"
        ),
        pytest.param({"username": "x" * 129}, "longer than 128", id="username-too-long"),
        pytest.param(
            {"email": "b\u043ess@example.com"}, "mixes the scripts Cyrillic, Latin", id="email-of-two-scripts"
        ),
        pytest.param({"email": "boss@ex\u0430mple.com"}, "mixes the scripts", id="domain-of-two-scripts"),
        pytest.param(
            {"email": "\uff42oss@example.com"}, "mixes the scripts Fullwidth, Latin", id="email-fullwidth"
        ),
        pytest.param(
            {"email": "\u212aate@example.com"}, "mixes the scripts Kelvin, Latin", id="email-kelvin-sign"
        ),
        pytest.param({"username": "\u0430lice"}, "mixes the scripts", id="username-of-two-scripts"),
        pytest.param(
            {"email": "bo\u0308ss@example.com"},
            r"'bo\u0308ss@example.com', which Unicode also writes as 'b\xf6ss@example.com'",
            id="email-nfd",
        ),
        pytest.param(
            {"username": "jose\u0301"}, r"'jose\u0301', which Unicode also writes", id="username-nfd"
        ),
        pytest.param({"username": "\u017f"}, "which Unicode also writes as 's'", id="username-long-s"),
        pytest.param({"username": "\ufb01nn"}, "which Unicode also writes as 'finn'", id="username-ligature"),
        pytest.param({"email": "a\u200b@example.com"}, "don't show", id="email-zero-width-space"),
        pytest.param({"email": "a\u200d@example.com"}, "don't show", id="email-zero-width-joiner"),
        pytest.param({"email": "a\ufeff@example.com"}, "don't show", id="email-byte-order-mark"),
        pytest.param({"email": "a\u202e@example.com"}, "don't show", id="email-right-to-left"),
        pytest.param({"username": "a\u00ad"}, "no control characters", id="username-soft-hyphen"),
        pytest.param({"username": "a\ufe0f"}, "don't show ('a\\ufe0f')", id="username-variation-selector"),
        pytest.param({"username": "\u3164"}, "don't show", id="username-hangul-filler"),
        pytest.param({"username": "a\u034f"}, "don't show", id="username-grapheme-joiner"),
        pytest.param({"display_name": "x\x00y"}, "no control characters", id="name-with-a-control-character"),
        pytest.param({"display_name": "x" * 1025}, "longer than 1024", id="name-too-long"),
    ],
)
def test_what_is_refused(texts: dict[str, str], problem: str) -> None:
    found = one(**texts)
    assert found.person is None
    assert problem in found.problem


def test_every_fault_is_told() -> None:
    found = one(email="", username="a b")
    assert "no email" in found.problem
    assert "username 'a b'" in found.problem


def test_a_user_of_another_account_is_refused() -> None:
    assert (
        one(account=OTHER_ACCOUNT).problem
        == f"is not a user of account {ACCOUNT}, which this run gives access to"
    )


@pytest.mark.parametrize(
    ("people", "refused"),
    [
        pytest.param(
            [("a", "alice", "alice@example.com"), ("b", "ALICE", "Alice@Example.com")],
            {"a", "b"},
            id="one-address-may-be-a-team",
        ),
        pytest.param([("a", "a", "a@example.com"), ("b", "b", "b@example.com")], set(), id="two-people"),
        pytest.param(
            [("a", "a", "boss@gross.example"), ("b", "b", "boss@gro\u00df.example")],
            {"a", "b"},
            id="sharp-s-looks-like-ss",
        ),
        pytest.param([("a", "a", "s@x.org"), ("b", "b", "\u017f@x.org")], {"b"}, id="long-s-is-no-s"),
        pytest.param(
            [("a", "scope", "a@x.org"), ("b", "\u0455\u0441\u043e\u0440\u0435", "b@x.org")],
            {"a", "b"},
            id="cyrillic-looks-like-latin",
        ),
        pytest.param(
            [("a", "nik", "a@x.org"), ("b", "\u039d\u0399\u039a", "b@x.org")], {"a", "b"}, id="greek-capitals"
        ),
        pytest.param(
            [("a", "\u00d1a", "a@x.org"), ("b", "\u00f1a", "b@x.org")], {"a", "b"}, id="case-beyond-ascii"
        ),
        pytest.param(
            [("a", "jos\u00e9", "a@x.org"), ("b", "jose", "b@x.org")], set(), id="an-accent-is-seen"
        ),
        pytest.param([("a", "a1", "a@x.org"), ("b", "al", "b@x.org")], set(), id="ascii-alone-is-typed"),
        pytest.param([("a", "a", "x@example.com"), ("b", "b", "X@example.com")], {"a", "b"}, id="one-email"),
        pytest.param(
            [("a", "u", "a@example.com"), ("b", "U", "b@example.com")], {"a", "b"}, id="one-username"
        ),
        pytest.param(
            [("a", "u", "1@example.com"), ("b", "u", "2@example.com"), ("c", "v", "2@example.com")],
            {"a", "b", "c"},
            id="a-chain",
        ),
        pytest.param(
            [("a", "u", "x@example.com"), ("b", "v", "x@example.com"), ("c", "w", "y@example.com")],
            {"a", "b"},
            id="a-bystander-goes-on",
        ),
    ],
)
def test_whose_identity_it_is(people: list[tuple[str, str, str]], refused: set[str]) -> None:
    problems = several(*people)
    assert {name for name, problem in problems.items() if problem} == refused


def test_the_sharp_s_makes_another_person() -> None:
    boss, intern = (
        Person(email, email, *"GFD") for email in ("boss@gross.example", "boss@gro\u00df.example")
    )
    assert boss.key != intern.key


@pytest.mark.parametrize(
    ("people", "refused"),
    [
        pytest.param([("boss", "b@x.org", True), ("boss", "m@x.org", False)], {1}, id="one-on-file"),
        pytest.param([("boss", "b@x.org", True), ("m", "b@x.org", False)], {1}, id="one-on-file-by-email"),
        pytest.param([("boss", "b@x.org", True), ("boss", "m@x.org", True)], {0, 1}, id="both-on-file"),
        pytest.param([("boss", "b@x.org", False), ("boss", "m@x.org", False)], {0, 1}, id="none-on-file"),
        pytest.param(
            [("boss", "b@x.org", True), ("boss", "b@x.org", False), ("boss", "m@x.org", False)],
            {1, 2},
            id="another-user-with-the-address-of-the-one-on-file",
        ),
        pytest.param([("boss", "b@x.org", True), ("boss", "b@x.org", True)], set(), id="two-users-on-file"),
        pytest.param([("bo\u00df", "b@x.org", True), ("boss", "m@x.org", False)], {1}, id="a-look-on-file"),
        pytest.param(
            [("boss", "b@x.org", True), ("m", "m@x.org", True), ("boss", "m@x.org", False)],
            {2},
            id="a-mixture-of-two-on-file",
        ),
    ],
)
def test_a_tag_takes_nothing_from_whom_the_file_names(
    people: list[tuple[str, str, bool]], refused: set[int]
) -> None:
    candidates = [
        Candidate(subject(f"u{at}"), Person(username, email, *"GFD"), on_file=on_file)
        for at, (username, email, on_file) in enumerate(people)
    ]
    found = distinct_people(candidates)
    assert {at for at, each in enumerate(found) if each.person is None} == refused


def test_the_refusal_names_the_users_concerned() -> None:
    problem = several(("a", "u", "x@example.com"), ("b", "v", "x@example.com"))["a"]
    assert problem == (
        "the e-mail 'x@example.com' is ambiguous: IAM users a of account "
        f"{ACCOUNT}, b of account {ACCOUNT} have it with different usernames: "
        "correct them, or say in the people file whose they are"
    )


@pytest.mark.parametrize(
    ("origins", "told"),
    [
        pytest.param({}, "tag:Email (username) and tag:Email or tag:Mail (e-mail)", id="two-places"),
        pytest.param(
            dict.fromkeys(("username", "email"), "people.csv, line 3"), "people.csv, line 3", id="one-place"
        ),
    ],
)
def test_what_an_identity_rests_on(origins: dict[str, str], told: str) -> None:
    (found,) = identify([(subject(), Identity(TEXTS, {**KEYS, **origins}))], ACCOUNT)
    assert found.rests_on == told


def test_an_identity_with_a_problem_is_none() -> None:
    (found,) = identify([(subject(), Identity(TEXTS, KEYS, "file and tags disagree"))], ACCOUNT)
    assert (found.person, found.problem) == (None, "file and tags disagree")


def test_people_of_several_accounts_are_told_apart_together() -> None:
    people = [Person("u", "a@example.com", *"GFD"), Person("v", "a@example.com", *"GFD")]
    accounts = (ACCOUNT, OTHER_ACCOUNT)
    candidates = [Candidate(subject(account=each), who) for each, who in zip(accounts, people, strict=True)]
    found = distinct_people(candidates)
    assert [each.person for each in found] == [None, None]
    assert f"alice of account {ACCOUNT}, alice of account {OTHER_ACCOUNT}" in found[0].problem


def test_how_to_say_whose_users_they_are() -> None:
    problem = several(
        ("alice.admin", "team", "team@example.com"), ("bob.readonly", "team", "team@example.com")
    )
    assert problem["alice.admin"] == (
        f"the e-mail 'team@example.com' is that of several IAM users of account {ACCOUNT} (alice.admin, "
        "bob.readonly), and one person would get the access of all of them: if they are one person's, give each of "
        "them a row with account, user, email in the people file (people-from, or --people-from); if not, give each "
        "the e-mail of its own person"
    )


def test_one_user_read_twice_is_one_user() -> None:
    alice = Candidate(subject(), Person("alice", "alice@example.com", *"GFD"))
    assert distinct_people([alice, alice]) == [alice, alice]


def test_one_address_in_two_accounts_is_one_person() -> None:
    who = Person("alice", "alice@example.com", *"GFD")
    candidates = [Candidate(subject(account=each), who) for each in (ACCOUNT, OTHER_ACCOUNT)]
    assert distinct_people(candidates) == candidates


def test_a_look_alike_is_named_by_its_characters() -> None:
    problem = several(("a", "scope", "a@x.org"), ("b", "\u0455\u0441\u043e\u0440\u0435", "b@x.org"))["b"]
    assert (
        f"looks like that of IAM users a of account {ACCOUNT} (scope); it has U+0435 CYRILLIC SMALL"
        in problem
    )


def test_an_address_with_a_plus_is_hinted_at() -> None:
    given = ["alice@example.com", "Alice+AWS@example.com", "bob+aws@example.com", "alice@example.org"]
    candidates = [
        Candidate(subject(f"u{at}"), Person(email, email, *"GFD")) for at, email in enumerate(given)
    ]
    assert [each.problem for each in distinct_people(candidates)] == [""] * 4
    (hint,) = hints(candidates)
    assert hint.startswith(
        "alice+aws@example.com and alice@example.com may be one human's: they differ only after the +, and get "
        f"access as 2 people (IAM users u0 of account {ACCOUNT}, u1 of account {ACCOUNT})"
    )


@pytest.mark.whole
@pytest.mark.parametrize(
    ("email", "first", "last", "shown"),
    [
        ("jane.doe@example.com", "Jane", "Doe", "Jane Doe"),
        ("jane_mary.doe+aws@example.com", "Jane", "Doe", "Jane Mary Doe"),
        ("jane@example.com", "Jane", "Jane", "Jane"),
        ("._@example.com", "._@example.com", "._@example.com", "._@example.com"),
    ],
)
def test_an_address_alone_gives_all_texts(email: str, first: str, last: str, shown: str) -> None:
    texts = {"username": email, "email": email}
    names = {"given-name": first, "family-name": last, "display-name": shown}
    assert from_email(email) == {**texts, **names}
