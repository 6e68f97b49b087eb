# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.organization.reader import OrganizationReader

A, B = "111122223333", "444455556666"
NOW = Backoff(budget=5, sleep=lambda _: None)
CONTACT = {"AlternateContactType": "SECURITY", "EmailAddress": " s@example.com ", "Name": "n", "Title": "t"}


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A reader, and a Stubber of each of its clients."""
    session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "x", region_name="us-east-1")
    clients = {name: session.client(name) for name in ("organizations", "account", "sts")}
    stubs = {name: Stubber(client) for name, client in clients.items()}
    for stub in stubs.values():
        stub.activate()
    monkeypatch.setattr(session, "client", lambda name, **_: clients[name])
    stubs["sts"].add_response("get_caller_identity", {"Account": B})
    return OrganizationReader(session, NOW), stubs


def account(account_id: str, **more: str) -> dict[str, str]:
    return {"Id": account_id, "Name": account_id[:3], "Email": f"{account_id}@example.com", **more}


def test_members_are_read_by_pages_after_throttling(reader: Any) -> None:
    found, stubs = reader
    stub = stubs["organizations"]
    stub.add_client_error("list_accounts", "TooManyRequestsException")
    stub.add_response("list_accounts", {"Accounts": [account(A, Status="ACTIVE")], "NextToken": "n"}, {})
    rest = {"Accounts": [account(B, State="CLOSED", Status="ACTIVE")]}
    stub.add_response("list_accounts", rest, {"NextToken": "n"})
    members = found.members()
    assert [(each.account.account_id, each.email, each.is_active) for each in members.values()] == [
        (A, f"{A}@example.com", True),
        (B, f"{B}@example.com", False),
    ]


def test_tags_of_an_account_are_read_once(reader: Any) -> None:
    found, stubs = reader
    tags = [{"Key": "Owner", "Value": " a@example.com"}, {"Key": "owner", "Value": "b@example.com"}]
    stubs["organizations"].add_response("list_tags_for_resource", {"Tags": tags}, {"ResourceId": A})
    assert [found.tag(A, key) for key in ("Owner", "owner", "OWNER")] == [
        "a@example.com",
        "b@example.com",
        "",
    ]


@pytest.mark.parametrize(
    ("asked", "named"), [pytest.param(A, {"AccountId": A}, id="member"), pytest.param(B, {}, id="caller")]
)
def test_a_contact(reader: Any, asked: str, named: dict[str, str]) -> None:
    found, stubs = reader
    stubs["account"].add_client_error("get_alternate_contact", "TooManyRequestsException")
    expected = {"AlternateContactType": "SECURITY", **named}
    stubs["account"].add_response("get_alternate_contact", {"AlternateContact": CONTACT}, expected)
    assert found.contact(asked, "SECURITY") == "s@example.com"


def test_no_contact(reader: Any) -> None:
    found, stubs = reader
    stubs["account"].add_client_error("get_alternate_contact", "ResourceNotFoundException")
    assert found.contact(A, "SECURITY") == ""


@pytest.mark.parametrize(
    ("service", "operation", "call", "told"),
    [
        pytest.param(
            "organizations", "list_accounts", lambda one: one.members(), "can't be listed", id="accounts"
        ),
        pytest.param(
            "organizations",
            "list_tags_for_resource",
            lambda one: one.tag(A, "x"),
            "ListTagsForResource",
            id="tag",
        ),
        pytest.param(
            "account",
            "get_alternate_contact",
            lambda one: one.contact(A, "SECURITY"),
            "trusted access",
            id="contact",
        ),
        pytest.param(
            "organizations",
            "describe_organization",
            lambda one: one.management_account(),
            "can't be described",
            id="organization",
        ),
    ],
)
def test_what_is_denied_is_unreadable(
    reader: Any, service: str, operation: str, call: Any, told: str
) -> None:
    found, stubs = reader
    stubs[service].add_client_error(operation, "AccessDeniedException")
    with pytest.raises(EvidenceUnreadable, match=told):
        call(found)
