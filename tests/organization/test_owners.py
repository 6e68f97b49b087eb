# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.organization.owners import (
    DEFAULT_SOURCES,
    Account,
    OwnerSource,
    accounts_file,
    address_fault,
    owner_of,
    parse_source,
)

pytestmark = pytest.mark.pure

A = "111122223333"
ACCOUNT = Account(A, "payments")


def look_up(said: dict[str, str]) -> Any:
    def found(account: Account, source: OwnerSource) -> str:
        if said.get(str(source)) == "denied":
            raise EvidenceUnreadable("AccessDenied")
        return said.get(str(source), "")

    return found


@pytest.mark.parametrize(
    ("said", "address", "source"),
    [
        pytest.param({"accounts": "a@x.com", "tag:Owner": "b@x.com"}, "a@x.com", "accounts", id="file"),
        pytest.param({"tag:Owner": "b@x.com", "organization": "o@x.com"}, "b@x.com", "tag:Owner", id="tag"),
        pytest.param(
            {"alternate-contact:SECURITY": "s@x.com"}, "s@x.com", "alternate-contact:SECURITY", id="contact"
        ),
        pytest.param({"organization": "o@other.org"}, "o@other.org", "organization", id="organization"),
        pytest.param({"accounts": "a@other.org"}, "a@other.org", "accounts", id="file-of-any-domain"),
    ],
)
def test_the_first_source_that_has_an_address_counts(said: dict[str, str], address: str, source: str) -> None:
    found = owner_of(ACCOUNT, DEFAULT_SOURCES, look_up(said), ("x.com",))
    assert (found.address, str(found.source), found.problem, found.refused) == (address, source, "", ())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param({"tag:Owner": "b@evil.com"}, "tag:Owner is not taken: 'b@evil.com' is of", id="tag"),
        pytest.param(
            {"tag:Owner": "b@sub.x.com"}, "domain sub.x.com, which is none of X.com", id="subdomain"
        ),
        pytest.param({"tag:Owner": "Team Blue"}, "'Team Blue' is not one e-mail address", id="no-address"),
        pytest.param({"alternate-contact:SECURITY": "s@evil.com"}, "SECURITY is not taken", id="contact"),
        pytest.param({"accounts": "nobody"}, "accounts is not taken: 'nobody' is not", id="file"),
    ],
)
def test_what_is_refused_is_said_and_the_next_is_taken(said: dict[str, str], told: str) -> None:
    found = owner_of(ACCOUNT, DEFAULT_SOURCES, look_up({**said, "organization": "o@x.com"}), ("X.com",))
    assert (found.address, str(found.source)) == ("o@x.com", "organization")
    (refused,) = found.refused
    assert refused.startswith(f"account {A} (payments): ")
    assert told in refused


def test_what_cannot_be_read_is_not_passed_over() -> None:
    found = owner_of(
        ACCOUNT, DEFAULT_SOURCES, look_up({"tag:Owner": "denied", "organization": "o@x.com"}), ()
    )
    assert (found.address, found.problem) == ("", "tag:Owner can't be read: AccessDenied")


def test_nobody() -> None:
    found = owner_of(ACCOUNT, (OwnerSource("tag", "Owner"),), look_up({}), ())
    assert found.problem.startswith("no owner's address in tag:Owner: write vars:")


@pytest.mark.parametrize(
    "text", ["accounts", "organization", "tag:Owner", "tag:a:b", "alternate-contact:BILLING"]
)
def test_a_source_is_named(text: str) -> None:
    assert str(parse_source(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "tag", "tag:", "accounts:x", "organization:", "alternate-contact", "alternate-contact:security"],
)
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no source of owners; it is one of accounts, tag:KEY"):
        parse_source(text)


@pytest.mark.parametrize(
    "text", ["a@example.com", "a.b+c@sub.example.co.uk", "o'neil@x.org", "a@xn--bcher-kva.example"]
)
def test_an_address(text: str) -> None:
    assert address_fault(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@example.com",
        "a@b@example.com",
        "a@example",
        "a@example.com,b@example.com",
        "a@example.com b@example.com",
        "<a@example.com>",
        "a@example.com\n",
        "a@-example.com",
        "{owner}@example.com",
        "a@ex\u0430mple.com",
        "a..b@example.com",
        "a" * 250 + "@example.com",
        None,
        7,
        ["a@example.com"],
    ],
)
def test_what_is_no_address(text: object) -> None:
    assert "is not one e-mail address" in address_fault(text)


@pytest.mark.parametrize(
    ("data", "owner"),
    [
        pytest.param({"accounts": [{"account_id": A}]}, "", id="none"),
        pytest.param({"vars": {"owner": "s@x.com"}, "accounts": [{"account_id": A}]}, "s@x.com", id="of-all"),
        pytest.param(
            {"vars": {"owner": "s@x.com"}, "accounts": [{"account_id": A, "vars": {"owner": "a@x.com"}}]},
            "a@x.com",
            id="own",
        ),
        pytest.param(
            {"accounts": [{"account_id": A, "vars": {"owner": "a@x.com"}}] * 2}, "a@x.com", id="twice"
        ),
    ],
)
def test_the_owner_of_the_accounts_file(data: Any, owner: str) -> None:
    assert accounts_file(data).owner(A) == owner
    assert [each.account_id for each in accounts_file(data).accounts] == [A]


def test_two_owners_of_one_account() -> None:
    rows = [{"account_id": A, "vars": {"owner": each}} for each in ("a@x.com", "b@x.com")]
    with pytest.raises(EvidenceUnreadable, match=r"the owners a@x.com, b@x.com: keep one"):
        accounts_file({"accounts": rows}).owner(A)


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"accounts": None}, {"accounts": [{"account_id": 111122223333}]}, {"accounts": ["x"]}],
)
def test_what_is_no_accounts_file(data: Any) -> None:
    with pytest.raises(ValueError, match=r"no list named accounts|entry 1 of accounts has no account_id"):
        accounts_file(data)
