# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.requests.people import Candidate
from c7n_iamusers.plugins.people_of_users import IdentitySettings
from tests.access_center import ACCOUNT

RESOURCE: dict[str, Any] = {
    "UserName": "alice",
    "Path": "/eng/",
    "Arn": f"arn:aws:iam::{ACCOUNT}:user/eng/alice",
    "UserId": "AIDAALICE",
    "Tags": [{"Key": "Email", "Value": " alice@example.com "}, {"Key": "Given Name", "Value": "Alice"}],
    "c7n:IamUser": {"kind": "human"},
}
BARE = {**RESOURCE, "Tags": []}
USER = {"username": "tag:Email", "email": "tag:Email"}


def settings(**data: Any) -> IdentitySettings:
    return IdentitySettings(data, "policy p: provision-identity-center")


def candidate(found: IdentitySettings, resource: dict[str, Any] = RESOURCE) -> Candidate:
    (only,) = found.candidates([resource], ACCOUNT, found.people())
    return only


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        pytest.param("tag:Given Name", "Alice", id="tag-key-with-a-space"),
        pytest.param("UserName", "alice", id="plain"),
        pytest.param('"c7n:IamUser".kind', "human", id="jmespath"),
        pytest.param("Tags[?Key=='Given Name'] | [0].Value", "Alice", id="jmespath-pipe"),
        pytest.param(["tag:Mail", "tag:Given Name"], "Alice", id="first-that-yields"),
        pytest.param(["tag:given name", "UserName"], "alice", id="tag-keys-mind-case"),
        pytest.param(["Tags", "UserName"], "alice", id="what-is-no-text-is-passed-over"),
        pytest.param("tag:Email", "alice@example.com", id="tag-without-its-spaces"),
    ],
)
def test_the_text_that_keys_yield(keys: str | list[str], text: str) -> None:
    found = candidate(settings(user={**USER, "display-name": keys}))
    assert found.person is not None
    assert found.person.display_name == text


def test_a_variable_is_no_fault_until_it_should_be_filled_in() -> None:
    found = settings(user={"username": "{person_email}", "email": "tag:Email"})
    found.check(in_lambda=False)
    with pytest.raises(InvalidPolicyData, match=r"user has undefined variables: \{person_email\}"):
        found.authority()


def test_keys_that_yield_nothing_are_named() -> None:
    found = candidate(settings(user={**USER, "email": ["tag:Mail", "tag:E-Mail"]}))
    assert found.problem.startswith("no email: tag:Mail or tag:E-Mail has no value")


def test_names_default_to_the_user_name() -> None:
    found = candidate(settings(user=USER)).person
    assert found is not None
    assert (found.given_name, found.family_name, found.display_name) == ("alice", "alice", "alice")


@pytest.mark.parametrize("key", ["tag:", "Tags[", "given name"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(InvalidPolicyData, match=r"user\.email: .* is neither tag:Key nor a JMESPath"):
        settings(user={"username": "UserName", "email": key}).check(in_lambda=False)


def mapped(tmp_path: Path, *cells: str) -> IdentitySettings:
    path = tmp_path / "people.csv"
    path.write_text(f"account,user,email,username,given-name\n{','.join((ACCOUNT, 'alice', *cells))}\n")
    return settings(user=USER, **{"people-from": str(path)})


def test_the_file_speaks_where_no_tag_does(tmp_path: Path) -> None:
    found = candidate(mapped(tmp_path, "al@example.com", "al", "Al"), BARE)
    assert found.person == Person("al", "al@example.com", "Al", "Al", "Al")
    assert (found.rests_on, found.on_file) == (f"{tmp_path / 'people.csv'}, line 2", True)


@pytest.mark.parametrize(
    ("email", "names"),
    [
        pytest.param("jane.doe@example.com", ("Jane", "Doe", "Jane Doe"), id="two-words"),
        pytest.param("jane@example.com", ("Jane", "Jane", "Jane"), id="one-word"),
        pytest.param("j.van_dyck+aws@example.com", ("J", "Dyck", "J Van Dyck"), id="three-and-a-suffix"),
        pytest.param("_@example.com", ("_@example.com",) * 3, id="no-word"),
    ],
)
def test_an_email_alone_suffices_in_the_file(tmp_path: Path, email: str, names: tuple[str, str, str]) -> None:
    assert candidate(mapped(tmp_path, email, "", ""), BARE).person == Person(email, email, *names)


def test_names_that_the_policy_says_where_to_find_go_before_those_of_the_email(tmp_path: Path) -> None:
    found = mapped(tmp_path, "al@example.com", "", "")
    keyed = IdentitySettings({**found._data, "user": {**USER, "given-name": "tag:Given Name"}}, "policy p")
    told = candidate(keyed).person
    assert told is not None
    assert (told.given_name, told.family_name) == ("Alice", "Al")


def test_where_file_and_tags_disagree_the_file_wins_and_that_is_told(tmp_path: Path) -> None:
    found = candidate(mapped(tmp_path, "al@example.com", "al", ""))
    assert found.person is not None
    assert (found.person.username, found.person.email) == ("al", "al@example.com")
    assert found.rests_on == (
        f"{tmp_path / 'people.csv'}, line 2, against tag:Email, which gives username 'alice@example.com' and "
        "tag:Email, which gives email 'alice@example.com'"
    )


def test_case_is_no_disagreement(tmp_path: Path) -> None:
    found = candidate(mapped(tmp_path, "Alice@Example.com", "", ""))
    assert found.rests_on == f"{tmp_path / 'people.csv'}, line 2"


def only(tmp_path: Path, **data: Any) -> IdentitySettings:
    path = tmp_path / "people.csv"
    path.write_text(f"account,user,email\n{ACCOUNT},alice,al@example.com\n")
    return settings(**{"people-from": {"file": str(path), "only": True}, **data})


def test_only_the_file_counts_where_the_policy_says_so(tmp_path: Path) -> None:
    found = only(tmp_path, user={**USER, "given-name": "tag:Given Name"})
    found.check(in_lambda=False)
    assert candidate(found).person == Person("al@example.com", "al@example.com", "Al", "Al", "Al")
    other = {**RESOURCE, "UserName": "bob", "Arn": f"arn:aws:iam::{ACCOUNT}:user/bob"}
    assert candidate(found, other).problem == (
        f"{tmp_path / 'people.csv'} has no row for it, and people-from says only: true: add one, or leave it out"
    )


def test_only_the_file_needs_no_tags(tmp_path: Path) -> None:
    found = only(tmp_path)
    found.check(in_lambda=False)
    assert candidate(found).person is not None


@pytest.mark.parametrize(
    "data", [{}, {"people-from": {"file": "people-{account_id}.csv"}}], ids=["none", "file"]
)
def test_somebody_must_say_who_people_are(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidPolicyData, match="give user, or people-from with only: true"):
        settings(**data).check(in_lambda=False)


@pytest.mark.parametrize(
    ("domains", "problem"),
    [
        pytest.param(["example.com"], "", id="the-domain"),
        pytest.param(["other.org", "EXAMPLE.com"], "", id="case"),
        pytest.param(
            ["ample.com"], "has the domain example.com, which is not in email-domains: ample.com", id="end"
        ),
        pytest.param(["mail.example.com"], "has the domain example.com", id="below"),
    ],
)
def test_domains_of_addresses(domains: list[str], problem: str) -> None:
    found = candidate(settings(user=USER, **{"email-domains": domains})).problem
    assert problem in found
    assert bool(found) is bool(problem)


def test_a_faulty_row_refuses_its_user_although_its_tags_would_do(tmp_path: Path) -> None:
    found = candidate(mapped(tmp_path, "", "alice", ""))
    assert found.person is None
    assert "line 2: has no email" in found.problem


def test_an_address_in_the_file_that_is_none_names_the_line(tmp_path: Path) -> None:
    found = candidate(mapped(tmp_path, "alice", "al", ""), BARE)
    assert f"email 'alice' (from {tmp_path / 'people.csv'}, line 2) is not an e-mail address" in found.problem


def test_a_user_whom_the_file_does_not_name(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"account,user,email\n{ACCOUNT},bob,bob@example.com\n")
    found = candidate(settings(user=USER, **{"people-from": str(path)}))
    assert found.person is not None
    assert found.rests_on == "tag:Email"


def test_the_identity_center_user_that_the_file_names(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"account,user,email,user-id\n{ACCOUNT},alice,alice@example.com,9067-1\n")
    found = candidate(settings(user=USER, **{"people-from": str(path)}))
    assert (found.on_file, found.user_id) == (True, "9067-1")


def test_a_file_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicyData, match=r"people-from .*none\.csv can't be read: .*No such file"):
        settings(user=USER, **{"people-from": str(tmp_path / "none.csv")}).check(in_lambda=False)


def test_a_file_that_would_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "people.csv")
    (tmp_path / "link.csv").symlink_to("people.csv")
    for name in ("people.csv", "link.csv"):
        with pytest.raises(
            InvalidPolicyData, match=r"people-from .*\.csv can't be read: .* is a FIFO, not a file"
        ):
            settings(user=USER, **{"people-from": str(tmp_path / name)}).check(in_lambda=False)


@pytest.mark.parametrize("name", ["people.json", "people.yaml"])
def test_a_file_that_is_nested_too_deeply(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(InvalidPolicyData, match=rf"{name}, .*is nested too deeply"):
        settings(user=USER, **{"people-from": str(tmp_path / name)}).check(in_lambda=False)


def test_a_path_with_a_variable_is_looked_up_when_it_is_expanded() -> None:
    settings(user=USER, **{"people-from": "people-{account_id}.csv"}).check(in_lambda=False)


def test_a_file_does_not_travel_into_lambda() -> None:
    with pytest.raises(InvalidPolicyData, match="people-from is not available in AWS Lambda"):
        settings(user=USER, **{"people-from": "people-{account_id}.csv"}).check(in_lambda=True)
