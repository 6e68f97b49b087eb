# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.identity_center.requests.people_file import PeopleMap, parse_people
from tests.access_center import ACCOUNT, OTHER_ACCOUNT

pytestmark = pytest.mark.pure

ZERO = "012345678901"
CSV = f"""account,user,username,email,given-name,family-name,display-name
{ACCOUNT},alice,alice,alice@example.com,Alice,Liddell,"Liddell, Alice"

{ZERO},bob,,bob@example.com,,,
"""
ROWS = [
    {"account": ACCOUNT, "user": "alice", "username": "alice", "email": "alice@example.com"},
    {"account": ZERO, "user": "bob", "email": "bob@example.com"},
]
YAML = f"""
- account: {ACCOUNT}
  user: alice
  username: alice
  email: alice@example.com
- {{account: {ZERO}, user: bob, email: bob@example.com}}
"""
FILES = {
    "people.csv": CSV,
    "people.json": json.dumps(ROWS, indent=1),
    "people.yml": YAML,
    "people.yaml": YAML,
}


def found(name: str, text: str) -> PeopleMap:
    return parse_people(name, text)


@pytest.mark.parametrize(("name", "text"), FILES.items(), ids=FILES)
def test_every_form_says_the_same(name: str, text: str) -> None:
    people = found(name, text)
    alice, bob = people.find(ACCOUNT, "Alice"), people.find(ZERO, "bob")
    assert alice is not None
    assert bob is not None
    assert (alice.texts["email"], bob.texts["email"]) == ("alice@example.com", "bob@example.com")
    assert people.find(OTHER_ACCOUNT, "alice") is None
    assert people.fault_lines() == []


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        pytest.param("people.csv", (2, 4), id="csv-with-a-blank-line"),
        pytest.param("people.json", (2, 8), id="json"),
        pytest.param("people.yml", (2, 6), id="yaml"),
    ],
)
def test_lines_are_those_of_the_file(name: str, lines: tuple[int, int]) -> None:
    people = found(name, FILES[name])
    rows = [people.find(ACCOUNT, "alice"), people.find(ZERO, "bob")]
    assert tuple(row.line for row in rows if row) == lines


def test_a_quoted_cell_over_two_lines_counts_them() -> None:
    text = f'account,user,email,display-name\n{ACCOUNT},a,a@x.org,"A\nB"\n{ACCOUNT},b,,\n'
    assert found("p.csv", text).fault_lines() == ["p.csv, line 4: has no email"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        pytest.param("people.txt", "", "must end in one of .csv, .json, .yaml, .yml", id="ending"),
        pytest.param("p.csv", "", "p.csv is empty: give rows of account, user", id="csv-empty"),
        pytest.param("p.csv", "account,name,email\n", "line 1: the header lacks 'user'", id="csv-lacks"),
        pytest.param("p.csv", "account,user,email,phone\n", "has unknown 'phone'", id="csv-unknown"),
        pytest.param("p.csv", "account,user,email,email\n", "has 'email' twice", id="csv-twice"),
        pytest.param(
            "p.csv", "account,user,email,given_name,given-name\n", "has twice 'given-name'", id="csv-alike"
        ),
        pytest.param(
            "p.csv", "account;user;email,username\n", "line 1: the header has a comma and a", id="csv-both"
        ),
        pytest.param("p.json", '[{"user": "a", "user": "b"}]', "line 1: duplicate key", id="json-twice"),
        pytest.param("p.csv", 'account,user,email\n1,"a"b,c\n', "line 2:", id="csv-quotes"),
        pytest.param("p.json", "{}", "line 1: must be a list of objects", id="json-object"),
        pytest.param(
            "p.json", '[{"user": "a"},\n {"user": }]', "line 2, column 11: Expecting value", id="json-broken"
        ),
        pytest.param("p.json", '[{"user": "a"},\n]', "line 1: an entry must follow a comma", id="json-comma"),
        pytest.param(
            "p.json", '[{"user": "a"}\n {}]', "line 2: a comma or ] must follow an entry", id="json-no-comma"
        ),
        pytest.param("p.json", "[]\n[]", "line 1: there is more after the list", id="json-more"),
        pytest.param("p.json", "[", "line 1, column 2: Expecting value", id="json-cut-off"),
        pytest.param("p.yml", "a: b", "line 1: must be a list of objects", id="yaml-object"),
        pytest.param("p.yml", "- a: b\n  c: [", "line 2:", id="yaml-broken"),
    ],
)
def test_a_file_that_is_of_no_form(name: str, text: str, told: str) -> None:
    with pytest.raises(InvalidPolicyData) as error:
        found(name, text)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        pytest.param(
            "p.csv",
            f"account,user,email\n{ACCOUNT},a,a@x.org,b\n",
            "has 4 cells, the header 3: quote",
            id="csv",
        ),
        pytest.param(
            "p.json", f'[{{"account": {ACCOUNT}, "user": "a", "email": "a@x.org"}}]', "no account", id="int"
        ),
        pytest.param("p.json", '["a"]', "is not an object", id="json-text"),
        pytest.param("p.yml", "- a", "is not an object", id="yaml-text"),
        pytest.param(
            "p.json", '[{"Email": "a@example.com", "email": "b@example.com"}]', "twice", id="json-twice"
        ),
        pytest.param(
            "p.yml", f"- {{account: {ACCOUNT}, user: [a], email: a@x.org}}", "has no user", id="list"
        ),
    ],
)
def test_a_row_that_can_not_be_understood(name: str, text: str, told: str) -> None:
    (fault,) = found(name, text).fault_lines()
    assert told in fault


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(f"account;user;email\n{ZERO};bob;bob@example.com\n".encode(), id="semicolon"),
        pytest.param(
            f"account\tuser\temail\n{ZERO}\tbob\tbob@example.com\n".encode("utf-16"), id="tab-utf-16"
        ),
        pytest.param(FILES["people.csv"].encode("utf-8-sig"), id="mark"),
    ],
)
def test_what_spreadsheets_write(data: bytes) -> None:
    row = parse_people("p.csv", data).find(ZERO, "bob")
    assert row is not None
    assert row.texts["email"] == "bob@example.com"


def test_windows_1252_is_named_rather_than_guessed() -> None:
    data = f"account,user,email\n{ZERO},jos\u00e9,j@example.com\n".encode("cp1252")
    with pytest.raises(InvalidPolicyData, match=r"p\.csv, line 2: is not UTF-8, probably Windows-1252"):
        parse_people("p.csv", data)


def test_digits_of_other_scripts_are_no_account_id() -> None:
    text = "account,user,email\n\u0661\u0661\u0661\u0661\u0662\u0662\u0662\u0662\u0663\u0663\u0663\u0663,a,a@x.org\n"
    (fault,) = found("p.csv", text).fault_lines()
    assert "must be 12 digits" in fault
