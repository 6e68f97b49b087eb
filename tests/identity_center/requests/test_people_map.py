# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.identity_center.requests.people_file import PersonRow, people_map
from tests.access_center import ACCOUNT, OTHER_ACCOUNT

pytestmark = pytest.mark.pure

GOOD = {"account": ACCOUNT, "user": "alice", "email": "alice@example.com"}


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        pytest.param({**GOOD, "email": ""}, "has no email", id="no-email"),
        pytest.param({**GOOD, "user": ""}, "has no user", id="no-user"),
        pytest.param({"email": "a@x.org"}, "has no account and no user", id="neither"),
        pytest.param({**GOOD, "account": "11122223333"}, "must be 12 digits (spreadsheets", id="lost-zero"),
        pytest.param({**GOOD, "phone": "1"}, "has unknown columns 'phone'", id="unknown-column"),
    ],
)
def test_a_faulty_row_names_its_line_and_refuses_the_user(texts: dict[str, str], told: str) -> None:
    people = people_map("p.csv", [PersonRow(3, texts)])
    with pytest.raises(InvalidPolicyData, match=r"^p\.csv: line 3: ") as error:
        people.find(ACCOUNT, "alice")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("texts", "account", "user"),
    [
        pytest.param({**GOOD, "email": ""}, ACCOUNT, "bob", id="another-user"),
        pytest.param({**GOOD, "email": ""}, OTHER_ACCOUNT, "alice", id="another-account"),
        pytest.param({**GOOD, "account": "1"}, OTHER_ACCOUNT, "bob", id="account-unknown-other-user"),
        pytest.param({**GOOD, "user": ""}, OTHER_ACCOUNT, "alice", id="user-unknown-other-account"),
    ],
)
def test_whom_a_faulty_row_leaves_alone(texts: dict[str, str], account: str, user: str) -> None:
    assert people_map("p.csv", [PersonRow(3, texts)]).find(account, user) is None


def test_a_row_for_nobody_knows_whom_spares_those_who_have_their_own() -> None:
    people = people_map("p.csv", [PersonRow(2, GOOD), PersonRow(3, {})])
    assert people.find(ACCOUNT, "alice") == PersonRow(2, GOOD)
    with pytest.raises(InvalidPolicyData, match="line 3"):
        people.find(OTHER_ACCOUNT, "bob")


def test_two_rows_for_one_user_count_neither() -> None:
    people = people_map("p.csv", [PersonRow(2, GOOD), PersonRow(5, {**GOOD, "user": "ALICE"})])
    with pytest.raises(InvalidPolicyData, match=r"several rows \(lines 2, 5\)"):
        people.find(ACCOUNT, "alice")
