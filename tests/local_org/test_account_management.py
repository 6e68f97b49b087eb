# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from aws_local_org import LocalOrg
from tests.local_org.refusals import refusal

MANAGEMENT, FIRST, SECOND = "123456789012", "111122223333", "444455556666"
DENIED, MISSING = ("AccessDeniedException", 403), ("ResourceNotFoundException", 404)
CONTACT = {
    "AlternateContactType": "SECURITY",
    "EmailAddress": "s@example.com",
    "Name": "n",
    "PhoneNumber": "1",
    "Title": "t",
}


@pytest.mark.parametrize(
    ("caller", "named", "expected"),
    [
        pytest.param(MANAGEMENT, {"AccountId": FIRST}, None, id="management-of-a-member"),
        pytest.param(MANAGEMENT, {}, MISSING, id="management-of-itself"),
        pytest.param(MANAGEMENT, {"AccountId": MANAGEMENT}, DENIED, id="management-by-its-id"),
        pytest.param(MANAGEMENT, {"AccountId": "999999999999"}, DENIED, id="of-another-organization"),
        pytest.param(FIRST, {}, None, id="member-of-itself"),
        pytest.param(SECOND, {"AccountId": FIRST}, DENIED, id="member-of-another"),
    ],
)
def test_who_may_read_whose_contact(org: LocalOrg, caller: str, named: dict[str, str], expected: Any) -> None:
    org.client("account").put_alternate_contact(AccountId=FIRST, **CONTACT)
    call = org.client("account", caller).get_alternate_contact
    assert refusal(call, AlternateContactType="SECURITY", **named) == expected


def test_the_contact_is_what_was_put(org: LocalOrg) -> None:
    client = org.client("account")
    client.put_alternate_contact(AccountId=FIRST, **CONTACT)
    found = client.get_alternate_contact(AccountId=FIRST, AlternateContactType="SECURITY")
    assert found["AlternateContact"] == CONTACT


def test_members_are_read_with_trusted_access_only(org: LocalOrg) -> None:
    org.client("organizations").disable_aws_service_access(ServicePrincipal="account.amazonaws.com")
    call = org.client("account").get_alternate_contact
    assert refusal(call, AlternateContactType="SECURITY", AccountId=FIRST) == DENIED
