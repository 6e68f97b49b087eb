# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.model import KnownPerson
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.planning.adoption import same_person
from tests.access_center import ALICE, INSTANCE, KNOWN_ALICE

pytestmark = pytest.mark.pure


def test_a_new_user_is_complete() -> None:
    assert operations.user_creation(ALICE, INSTANCE).parameters == {
        "IdentityStoreId": INSTANCE.identity_store_id,
        "UserName": "alice@example.com",
        "Name": {"GivenName": "Alice", "FamilyName": "Liddell"},
        "DisplayName": "Alice Liddell",
        "Emails": [{"Value": "alice@example.com", "Type": "work", "Primary": True}],
    }


@pytest.mark.parametrize(
    ("by_username", "by_email", "expected"),
    [
        pytest.param(None, None, None, id="nobody"),
        pytest.param(KNOWN_ALICE, None, KNOWN_ALICE, id="both-lead-to-one-whatever-the-case"),
        pytest.param(KNOWN_ALICE, KNOWN_ALICE, KNOWN_ALICE, id="found-twice"),
    ],
)
def test_whom_it_adopts(
    by_username: KnownPerson | None, by_email: KnownPerson | None, expected: KnownPerson | None
) -> None:
    assert same_person(ALICE, by_username, by_email) == expected


@pytest.mark.parametrize(
    ("by_username", "by_email", "refusal"),
    [
        pytest.param(
            replace(KNOWN_ALICE, email="al@example.com"), None, "exists with an e-mail other than", id="email"
        ),
        pytest.param(replace(KNOWN_ALICE, email=""), None, "exists with an e-mail other than", id="no-email"),
        pytest.param(
            None, replace(KNOWN_ALICE, username="bob"), "belongs to Identity Center user bob", id="username"
        ),
        pytest.param(replace(KNOWN_ALICE, enabled=False), None, "is disabled", id="disabled"),
    ],
)
def test_somebody_elses_identity_is_refused(
    by_username: KnownPerson | None, by_email: KnownPerson | None, refusal: str
) -> None:
    with pytest.raises(IdentityCenterError, match=refusal):
        same_person(ALICE, by_username, by_email)
