# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.derivation.groups import SetHolder, groups_of
from c7n_iamusers.derivation.model import PER_ACCOUNT, PER_MAP
from tests.derivation.users import PAYMENTS, PLATFORM, RESEARCH, user

pytestmark = pytest.mark.pure


def seat(person: str, account: str, set_name: str, name: str = "") -> SetHolder:
    return SetHolder(user(name or person or "nobody", account).subject, person, set_name)


ANN, BOB, EVE = (
    [seat("ann", PAYMENTS, "Read-1"), seat("ann", RESEARCH, "Write-2")],
    [seat("Bob", PAYMENTS, "Read-1"), seat("bob", RESEARCH, "Write-2", "robert")],
    [seat("eve", PAYMENTS, "Read-1")],
)
SEATS = [*ANN, *BOB, *EVE, seat("", PLATFORM, "Read-1", "ci")]


def shape(holders: list[SetHolder], group_by: str) -> dict[tuple[tuple[str, str], ...], list[str]]:
    groups = set(groups_of(holders, group_by).values())
    return {group.assignments: [member.name for member in group.members] for group in groups}


def test_a_group_for_a_set_in_an_account() -> None:
    assert shape(SEATS, PER_ACCOUNT) == {
        ((PAYMENTS, "Read-1"),): ["Bob", "ann", "eve"],
        ((RESEARCH, "Write-2"),): ["ann", "robert"],
        ((PLATFORM, "Read-1"),): ["ci"],
    }


def test_a_group_for_people_whose_whole_map_is_the_same() -> None:
    both = ((PAYMENTS, "Read-1"), (RESEARCH, "Write-2"))
    assert shape(SEATS, PER_MAP) == {
        both: ["Bob", "ann", "ann", "robert"],
        ((PAYMENTS, "Read-1"),): ["eve"],
        ((PLATFORM, "Read-1"),): ["ci"],
    }


@pytest.mark.parametrize("group_by", [PER_ACCOUNT, PER_MAP])
def test_nobody_reaches_an_account_without_a_user_there(group_by: str) -> None:
    groups = groups_of(SEATS, group_by)
    for each in SEATS:
        accounts = {other.subject.account_id for other in SEATS if other.owner == each.owner}
        assert {account for account, _ in groups[each.subject].assignments} <= accounts


def test_users_whose_people_are_unknown_are_not_taken_for_one_person() -> None:
    holders = [seat("", PAYMENTS, "Read-1", "a"), seat("", RESEARCH, "Write-2", "b")]
    assert len(shape(holders, PER_MAP)) == 2


@pytest.mark.parametrize("group_by", [PER_ACCOUNT, PER_MAP])
def test_names_depend_on_what_a_group_stands_for_only(group_by: str) -> None:
    forth, back, alone = (groups_of(holders, group_by) for holders in (SEATS, SEATS[::-1], ANN))
    assert forth == back
    assert {forth[each.subject].name for each in ANN} == {alone[each.subject].name for each in ANN}
    assert len({group.name for group in forth.values()}) == len(set(forth.values()))
