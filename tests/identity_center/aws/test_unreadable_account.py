# SPDX-License-Identifier: Apache-2.0
"""An account of which AWS tells nothing is named, and an undo goes on in the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.fakes import client_error
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.interference import on_calls

CODES = pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"]
)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From now on, AWS refuses all that names OTHER_ACCOUNT, with the code."""

    def refuse(code: str) -> None:
        def before(_: str, given: dict[str, Any]) -> None:
            if OTHER_ACCOUNT in (given.get("AccountId"), given.get("TargetId")):
                raise client_error(code)

        on_calls(monkeypatch, before)

    return refuse


@CODES
def test_a_plan_and_an_audit_name_the_account(
    fleet: FleetRehearsal, refuse: Callable[[str], None], code: str
) -> None:
    fleet.provisioned(intents(ACCOUNT, "ann"), intents(OTHER_ACCOUNT, "bob"))
    refuse(code)
    acts: list[Callable[[], list[str]]] = [fleet.run, fleet.audit]
    for act in acts:
        with pytest.raises(
            IdentityCenterError, match=f"what account {OTHER_ACCOUNT} has.*leave it out"
        ) as told:
            act()
        assert code in str(told.value)
        assert fleet.mutations() == []


@CODES
def test_an_undo_goes_on_in_other_accounts(
    fleet: FleetRehearsal, refuse: Callable[[str], None], code: str
) -> None:
    fleet.provisioned(intents(ACCOUNT, "ann"), intents(OTHER_ACCOUNT, "bob"))
    refuse(code)
    assert fleet.undo(fleet.results()[-1]) != []
    assert {each.account_id for each in fleet.instance.assignments} == {OTHER_ACCOUNT}
    assert "ann@example.com" not in fleet.usernames()
