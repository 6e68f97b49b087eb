# SPDX-License-Identifier: Apache-2.0
"""Others delete an object right before a call that asks about it: only those whom it serves notice."""

from __future__ import annotations

import copy
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aws_local_org.identity_center import state
from c7n_iamusers.identity_center.applying.center_lock import LOCK
from c7n_iamusers.identity_center.aws import reader
from c7n_iamusers.identity_center.provisioning import export
from c7n_iamusers.identity_center.requests.intents import Intents
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents, readers
from tests.identity_center.applying.test_failing_account import WIDE, people, ran, requested
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import assign, create_user, join
from tests.interference import READS, on_calls

#: Account -> its group, and who is to be in it in the end.
SERVED = {
    ACCOUNT: (f"iam-{ACCOUNT}-Readers", people("ann", "amy")),
    OTHER_ACCOUNT: (f"iam-{OTHER_ACCOUNT}-Writers", people("bob", "eve")),
}
COMMANDS: dict[str, Callable[[FleetRehearsal], list[str]]] = {
    "apply": lambda fleet: fleet.run(),
    "plan": lambda fleet: fleet.run(dry=True),
    "export": lambda fleet: export(fleet.fleet, fleet.output / "tf", fleet.said.append, fleet.center()),
    "audit": lambda fleet: fleet.audit(),
    "prune": lambda fleet: fleet.run(prune=True, lock_out=True),
    "undo": lambda fleet: fleet.undo(fleet.results()[-1]),
}


def asking(*, later: bool) -> Iterator[Intents]:
    """Each account has a permission set of its own. Later, Readers is narrower, and each has one more person."""
    yield requested(ACCOUNT, "ann", "amy" if later else "gil", by=readers() if later else WIDE)
    yield intents(OTHER_ACCOUNT, "bob", *(["eve"] if later else []), set_name="Writers")


@pytest.fixture
def busy(fleet: FleetRehearsal) -> FleetRehearsal:
    """After a first run; with a former person, others' group and user who have Readers, and an empty group of ours."""
    assert ran(fleet, *asking(later=False)) == []
    ours = f"Managed by c7n-iamusers for account {ACCOUNT}"
    for name, description in (("Theirs", "Theirs"), (f"iam-{ACCOUNT}-Old", ours)):
        fleet.make_group(name, description)
    join(fleet, "Theirs", create_user(fleet, "dan@example.com"))
    ids = {name: each for each, name in names(fleet).items()}
    assign(fleet, ids["Readers"], ids["Theirs"], ACCOUNT, "GROUP")
    assign(fleet, ids["Readers"], create_user(fleet, "zoe@example.com"), ACCOUNT, "USER")
    fleet.leave_only(*asking(later=True))
    return fleet


def names(fleet: FleetRehearsal) -> dict[str, str]:
    """The names of all users, groups and permission sets, by id."""
    store = fleet.instance.store
    return {
        **{each.id: str(each.attributes["UserName"]) for each in store.users.values()},
        **{each.id: str(each.attributes["DisplayName"]) for each in store.groups.values()},
        **{arn: each.name for arn, each in fleet.instance.permission_sets.items()},
    }


def served_by(name: str) -> set[str]:
    """The accounts whose requested access needs the object of that name."""
    return {
        account for account, (group, members) in SERVED.items() if name in members or group.endswith(name)
    }


def asked_about(parameters: dict[str, Any]) -> str:
    """The id of the object that a call asks about; empty for a call that asks about none."""
    found = parameters.get("MemberId", {}) | parameters
    keys = ("GroupId", "UserId", "PrincipalId", "ResourceArn", "PermissionSetArn")
    return next((found[each] for each in keys if each in found), "")


def delete(fleet: FleetRehearsal, object_id: str) -> None:
    """Delete the object; a permission set with all its assignments."""
    instance, store = fleet.instance, fleet.instance.store
    client, given = fleet.org.client("identitystore"), {"IdentityStoreId": store.id}
    if object_id in store.users:
        client.delete_user(**given, UserId=object_id)
    elif object_id in store.groups:
        client.delete_group(**given, GroupId=object_id)
    else:
        for each in [each for each in instance.assignments if each.permission_set_arn == object_id]:
            del instance.assignments[each]
        for key in [key for key in instance.provisioned if key[1] == object_id]:
            del instance.provisioned[key]
        del instance.permission_sets[object_id]


class Deleting:
    """Deletes an object right before the first call of an operation that asks about it, and before any change."""

    def __init__(self, fleet: FleetRehearsal) -> None:
        self._fleet, self._deletes, self._lock = fleet, threading.local(), threading.Lock()
        self.begin(("", ""))

    def begin(self, target: tuple[str, str]) -> None:
        """``target``: operation and id. ``asked``: all that were asked since now, with the object's kind."""
        self._target, self._changes, self.asked = target, False, dict[tuple[str, str], str]()
        self.has_deleted = False

    def __call__(self, operation: str, parameters: dict[str, Any]) -> None:
        if getattr(self._deletes, "now", False):
            return
        with self._lock:
            self._changes |= not operation.startswith(READS)
            case, name = (operation, asked_about(parameters)), names(self._fleet).get(asked_about(parameters))
            if self._changes or case in self.asked or name in (None, LOCK):
                return
            kinds = {"users": self._fleet.instance.store.users, "groups": self._fleet.instance.store.groups}
            self.asked[case] = next((kind for kind, found in kinds.items() if case[1] in found), "sets")
            if case == self._target:
                self._deletes.now = True
                delete(self._fleet, case[1])
                self._deletes.now, self.has_deleted = False, True


@pytest.mark.parametrize(
    ("command", "few"),
    [*((each, 50) for each in COMMANDS), ("apply", 0)],
    ids=[*COMMANDS, "apply-by-lists"],
)
def test_only_those_whom_it_serves_notice(
    busy: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, few: int
) -> None:
    """Each operation that asks about objects, for each kind of object, and for what is requested and what is not."""
    monkeypatch.setattr(reader, "_FEW", few)
    if command == "undo":
        assert busy.run() == []
    before, known = copy.deepcopy(state.instances), names(busy)
    saved = shutil.copytree(busy.output, tmp_path / "saved")
    deleting = Deleting(busy)
    on_calls(monkeypatch, deleting)
    COMMANDS[command](busy)
    cases = {
        (operation, kind, bool(served_by(known[each]))): (operation, each)
        for (operation, each), kind in reversed(deleting.asked.items())
    }
    assert {kind for _, kind, _ in cases} >= {"groups", "sets"}
    for case in cases.values():
        state.instances[:] = copy.deepcopy(before)
        shutil.rmtree(busy.output)
        shutil.copytree(saved, busy.output)
        deleting.begin(case)
        failures = COMMANDS[command](busy)
        assert deleting.has_deleted
        for account in SERVED.keys() - served_by(known[case[1]]):
            told = f"{case[0]} of {known[case[1]]}: {failures}"
            assert not any("NotFound" in each and f"account {account}" in each for each in failures), told
            group, members = SERVED[account]
            if command in ("apply", "prune"):
                assert busy.members()[group] >= members, told
            elif command == "undo":
                assert busy.members()[group].isdisjoint(people("amy", "eve")), told
