# SPDX-License-Identifier: Apache-2.0
"""Identity Center can't find its encryption key or its store: no object counts as gone, and no deletion as done.

Source: ``Reason`` and ``ResourceType`` of the shape ResourceNotFoundException of identitystore and sso-admin.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.desired import readers
from tests.fakes import client_error
from tests.identity_center.applying.test_failing_account import of_both
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.interference import on_calls

ANSWERS = pytest.mark.parametrize(
    "answer",
    [
        {"Reason": "KMS_KEY_NOT_FOUND"},
        {"Reason": "KMS_NotFoundException"},
        {"ResourceType": "IDENTITY_STORE"},
    ],
    ids=lambda each: next(iter(each.values())),
)
DELETIONS = (
    "DeleteAccountAssignment",
    "DeleteGroupMembership",
    "DeleteGroup",
    "DeleteUser",
    "DeletePermissionSet",
)


def answer_once_deleting(monkeypatch: pytest.MonkeyPatch, answer: dict[str, str]) -> None:
    """From the first deletion on each call is answered so."""
    begun: list[str] = []

    def happens(operation: str, _parameters: dict[str, Any]) -> None:
        begun.extend([operation] * (operation in DELETIONS))
        if begun and operation != "GetCallerIdentity":
            raise client_error("ResourceNotFoundException", **answer)

    on_calls(monkeypatch, happens)


@ANSWERS
def test_an_undo_is_not_complete(
    fleet: FleetRehearsal, answer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_both(fleet, readers())
    before = fleet.members(), fleet.assigned(), fleet.usernames()
    with monkeypatch.context() as patched:
        answer_once_deleting(patched, answer)
        failed = fleet.undo(fleet.results()[-1])
    assert failed
    assert before == (fleet.members(), fleet.assigned(), fleet.usernames())
    assert fleet.undo(fleet.results()[-1]) == []
    assert not fleet.assigned()


@ANSWERS
def test_an_audit_calls_no_group_gone(
    fleet: FleetRehearsal, answer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_both(fleet, readers())

    def happens(called: str, _parameters: dict[str, Any]) -> None:
        if called == "ListGroupMemberships":
            raise client_error("ResourceNotFoundException", **answer)

    on_calls(monkeypatch, happens)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        fleet.audit()
