# SPDX-License-Identifier: Apache-2.0
"""What runs record lies in one place, whatever intents a run is over; a place without records is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.access_plan import Choices
from c7n_iamusers.identity_center.applying.run_history import created_so_far
from c7n_iamusers.identity_center.audit import audit
from c7n_iamusers.identity_center.provisioning import RunOptions, export, provision
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from tests.access_center import ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import set_by_hand

ALICE, BOB = "alice@example.com", "bob@example.com"
GROUP = f"iam-{ACCOUNT}-Readers"
TOLD = "has no record of a run"


def executed(fleet: FleetRehearsal, number: int, *names: str, **choices: Any) -> list[str]:
    """A run over intents of its own, with the records of all."""
    fleet.output = fleet.output.with_name(f"intents-{number}")
    fleet.leave(intents(ACCOUNT, *names))
    fleet.org.clear_calls()
    found = replace(fleet.fleet, records=DirectoryStore(fleet.output.with_name("records")))
    return provision(
        found, fleet.center(), fleet.said.append, ApplyOptions(30.0), RunOptions(Choices(**choices))
    )


def test_a_run_over_other_intents_knows_what_earlier_ones_made(fleet: FleetRehearsal) -> None:
    assert executed(fleet, 1, "alice", "bob") == []
    assert executed(fleet, 2, "alice") == []
    assert fleet.members() == {GROUP: {ALICE, BOB}}
    # by the record of the first run only the choice of --lock-out is left
    assert executed(fleet, 3, "alice", prune=True, lock_out=True) == []
    assert fleet.members() == {GROUP: {ALICE}}
    names = {each.name for each in fleet.output.parent.iterdir()}
    assert names >= {"records", "intents-1", "intents-2", "intents-3"}
    assert not [*fleet.output.parent.glob("intents-*/identity-center-runs/*/*")]
    assert len([*fleet.output.parent.glob("records/identity-center-runs/*/result.json")]) == 2


def managed_group(fleet: FleetRehearsal) -> None:
    fleet.make_group("iam-other", "Managed by c7n-iamusers for account 777788889999")


def managed_set(fleet: FleetRehearsal) -> None:
    fleet.org.client("sso-admin").create_permission_set(
        InstanceArn=fleet.instance.arn, Name="Other", Tags=[{"Key": "c7n-iamusers", "Value": "managed"}]
    )


@pytest.mark.parametrize(
    ("present", "name"),
    [
        pytest.param(managed_group, "group iam-other", id="group"),
        pytest.param(managed_set, "permission set Other", id="permission-set"),
    ],
)
@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry-run"])
def test_managed_objects_without_any_record_are_refused(
    fleet: FleetRehearsal, present: Callable[[FleetRehearsal], None], name: str, dry: bool
) -> None:
    present(fleet)
    fleet.leave(intents(ACCOUNT, "alice"))
    with pytest.raises(IdentityCenterError, match=TOLD) as refused:
        fleet.run(dry=dry)
    assert name in str(refused.value)
    assert fleet.mutations() == []
    assert any(TOLD in each for each in fleet.audit())
    fleet.new_records = True
    assert fleet.run(dry=dry) == []


def test_what_others_made_needs_no_record(fleet: FleetRehearsal) -> None:
    set_by_hand(fleet, "Theirs", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    fleet.leave(intents(ACCOUNT, "alice"))
    assert fleet.run(dry=True) == []


def test_the_first_run_counts_once_it_has_begun(fleet: FleetRehearsal, tmp_path: Path) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.output = tmp_path / "elsewhere"
    fleet.leave(intents(ACCOUNT, "alice"))
    with pytest.raises(IdentityCenterError, match=TOLD):
        fleet.run()
    assert any(TOLD in each for each in audit(fleet.fleet, fleet.center(), fleet.said.append))


def killed_before(fleet: FleetRehearsal) -> None:
    """A run that was killed before its first call."""
    journal = fleet.output / "identity-center-runs/20261101T000000.000000Z/journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.touch()


def of_another_instance(fleet: FleetRehearsal, finished: bool = True) -> None:
    """The records of a run in another organization."""
    fleet.provisioned(intents(ACCOUNT, "bob"))
    as_of_another_instance(fleet, finished)


def as_of_another_instance(fleet: FleetRehearsal, finished: bool = True) -> None:
    """The records of the run in this organization, as one of another organization would have left them."""
    own, store = fleet.instance.arn, fleet.instance.store.id
    (result,) = fleet.results()
    changed = result.read_text().replace(own, f"{own}9").replace(store, f"{store}9")
    result.write_text(changed)
    journal = result.with_name("journal.jsonl")
    lines = [json.loads(each) for each in journal.read_text().splitlines()]
    pin = sha256(changed.encode()).hexdigest()
    lines = [{**each, "sha256": pin} if each["phase"] == "result" else each for each in lines]
    if not finished:
        result.unlink()
        lines.pop()
    text = "".join(json.dumps(each) + "\n" for each in lines)
    journal.write_text(text.replace(own, f"{own}9").replace(store, f"{store}9"))


def without_any(fleet: FleetRehearsal) -> None:
    """The run's records are elsewhere."""
    fleet.output = fleet.output.with_name("elsewhere")


@pytest.mark.parametrize("lose", [without_any, as_of_another_instance], ids=["none", "of-another-instance"])
def test_an_export_with_imports_needs_the_records(
    fleet: FleetRehearsal, lose: Callable[[FleetRehearsal], None], tmp_path: Path
) -> None:
    """By the right ones, the address of one human's user is refused to another."""
    fleet.provisioned(intents(ACCOUNT, "alice"))
    lose(fleet)
    fleet.leave(intents(ACCOUNT, "alice"))
    directory = tmp_path / "terraform"
    with pytest.raises(IdentityCenterError, match=TOLD):
        export(fleet.fleet, directory, fleet.said.append, fleet.center())
    assert not directory.exists()
    assert export(fleet.fleet, tmp_path / "unchecked", fleet.said.append) == []
    fleet.new_records = True
    assert export(fleet.fleet, directory, fleet.said.append, fleet.center()) == []


def test_what_runs_of_another_instance_made_is_not_ours(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    assert list(created_so_far(fleet.store, fleet.center().instance)) != []
    as_of_another_instance(fleet)
    assert list(created_so_far(fleet.store, fleet.center().instance)) == []
    as_of_another_instance(fleet, finished=False)
    assert list(created_so_far(fleet.store, fleet.center().instance)) == []


@pytest.mark.parametrize(
    ("leave", "told"),
    [
        pytest.param(killed_before, f"{TOLD}: nobody would know", id="empty-journal"),
        pytest.param(of_another_instance, r"of instance arn:aws:sso:::instance/\S+, only of", id="another"),
        pytest.param(
            partial(of_another_instance, finished=False), r"of instance \S+, only of arn", id="another-killed"
        ),
    ],
)
def test_records_that_say_nothing_of_this_instance_are_none(
    fleet: FleetRehearsal, leave: Callable[[FleetRehearsal], None], told: str
) -> None:
    leave(fleet)
    managed_group(fleet)
    fleet.leave(intents(ACCOUNT, "alice"))
    for dry in (True, False):
        fleet.refuses(told, fleet.run, dry=dry)
    assert any(TOLD in each for each in fleet.audit())


def test_a_killed_run_of_this_instance_is_a_record(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    fleet.killed(3)
    assert fleet.run() == []
    assert fleet.members() == {GROUP: {ALICE}}
