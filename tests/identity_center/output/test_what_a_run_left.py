# SPDX-License-Identifier: Apache-2.0
"""Who keeps what a run was to withdraw is told, whatever the reason: in verdict, outcome, file and exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from aws_local_org import organization
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.applying.run_results import RESULT_FILE
from c7n_iamusers.identity_center.output.run_report import Report
from c7n_iamusers.identity_center.planning.account_provisioning import provisioning_key
from c7n_iamusers.identity_center.planning.changeset import claim_keys, set_key
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.identity_center.writer.writer import DONE, FAILED, LEFT, STOPPED, ChangeResult
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, UNDECIDED, WIDER
from tests.access_center import ACCOUNT, AUDIT, INSTANCE, OTHER_ACCOUNT, READ_ONLY
from tests.desired import ACCEPT_ALL, desired, holding, intents, readers
from tests.fakes import client_error
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.interference import on_calls

Fails = Callable[[FleetRehearsal, pytest.MonkeyPatch], None]


def derived_for(account: str, *arns: str, by: str = "people") -> Intents:
    """Ann, who holds the policies ``arns``."""
    found = replace(
        intents(account, "ann", policy="prov"), permission_set=None, group="", place=f"{account}/prov"
    )
    return replace(holding(found, *arns), derive={"group-by": by})


def users(fleet: FleetRehearsal) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Account, name and policy -> the outcome in the account's file."""
    return {
        (each["arn"].split(":")[4], each["user"], file.parent.name): each
        for file in fleet.output.rglob(RESULT_FILE)
        for each in json.loads(file.read_text())["users"]
    }


def ran(fleet: FleetRehearsal, *found: Intents) -> list[str]:
    fleet.leave_only(*found)
    return fleet.run(prune=True)


def closed(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organization, "has_active_account", lambda account: account != ACCOUNT)


def refusing(operation: str) -> Fails:
    def refuse(asked: str, _: Mapping[str, Any]) -> None:
        if asked == operation:
            raise client_error("AccessDeniedException")

    return lambda fleet, monkeypatch: on_calls(monkeypatch, refuse)


@pytest.mark.parametrize("again", [False, True], ids=["first", "repeated"])
@pytest.mark.parametrize(
    ("by", "fails", "keeps"),
    [
        pytest.param("people", closed, {OTHER_ACCOUNT}, id="another-account-failed"),
        pytest.param("people", refusing("DeleteGroupMembership"), {ACCOUNT, OTHER_ACCOUNT}, id="refused"),
        pytest.param(
            "set-and-account", refusing("DeleteGroupMembership"), {ACCOUNT, OTHER_ACCOUNT}, id="own"
        ),
        pytest.param("set-and-account", closed, set(), id="own-account-failed"),
        pytest.param("people", lambda *_: None, set(), id="healthy"),
    ],
)
def test_who_keeps_what_was_withdrawn(
    fleet: FleetRehearsal,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
    fails: Fails,
    keeps: set[str],
    again: bool,
) -> None:
    assert (
        ran(fleet, *(derived_for(each, READ_ONLY, AUDIT, by=by) for each in (ACCOUNT, OTHER_ACCOUNT))) == []
    )
    cut = [derived_for(each, AUDIT, by=by) for each in (ACCOUNT, OTHER_ACCOUNT)]
    with monkeypatch.context() as patch:
        fails(fleet, patch)
        failures = ran(fleet, *cut)
        if again and failures:
            failures = ran(fleet, *cut)
    for (account, *_), found in users(fleet).items():
        told = [
            each
            for each in failures
            if each.startswith(f"ann@example.com in account {account}: wider: also ")
        ]
        if account in keeps:
            assert (found["verdict"], found.get("also", [])) == (WIDER, ["NotRemoved", "HoldsMore"])
            assert len(told) == 1
            assert "the run did not withdraw it: " in told[0]
        elif found["status"] != "failed":
            assert (found["verdict"], found.get("also", []), told) == (EQUAL, [], [])
    assert ran(fleet, *cut) == []
    assert {each["verdict"] for each in users(fleet).values()} == {EQUAL}


def test_what_no_user_of_the_run_keeps_is_told_by_its_reason(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cat's membership replaces her access, and waits for it; her new assignment fails."""
    assert ran(fleet, intents(ACCOUNT, "ann", "cat", set_name="Old", accept=ACCEPT_ALL)) == []
    refusing("CreateAccountAssignment")(fleet, monkeypatch)
    failures = ran(fleet, intents(ACCOUNT, "ann", "cat", set_name="New", accept=ACCEPT_ALL))
    (line,) = [each for each in failures if each.startswith("not removed: ")]
    assert "assignment iam-111122223333-Old -> Old" in line
    assert "sso-admin:CreateAccountAssignment failed with AccessDeniedException" in line


def test_access_that_another_users_failure_keeps_is_told_of_each_member(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assignment of a shared group ends only when all its members have what replaces it."""
    wide = replace(readers("Wide"), managed_policies=frozenset({READ_ONLY, AUDIT}))
    shared = {"group": "shared", "shared_group": True, "accept": ACCEPT_ALL}
    assert ran(fleet, intents(ACCOUNT, "ann", "bob", set_name="Wide", permission_set=wide, **shared)) == []

    def refuse(operation: str, given: Mapping[str, Any]) -> None:
        names = {arn: each.name for arn, each in fleet.instance.permission_sets.items()}
        if operation == "CreateAccountAssignment" and names[given["PermissionSetArn"]] == "N2":
            raise client_error("AccessDeniedException")

    on_calls(monkeypatch, refuse)
    failures = ran(
        fleet,
        intents(ACCOUNT, "ann", set_name="N1", accept=ACCEPT_ALL),
        intents(ACCOUNT, "bob", set_name="N2", accept=ACCEPT_ALL),
    )
    ann = users(fleet)[ACCOUNT, "ann", "provision-N1"]
    # Her user may do everything, so it is not more than that.
    assert (ann["verdict"], ann["also"]) == (NARROWER, ["NotRemoved"])
    assert (
        "keeps Wide through group shared, which is no longer requested and was not removed" in ann["reason"]
    )
    assert [
        each
        for each in failures
        if each.startswith("ann@example.com in account 111122223333: narrower: also")
    ]


DESIRED = desired(intents(ACCOUNT, "ann"), intents(ACCOUNT, "ann", set_name="Writers"))
PERSON = ("ann@example.com", "ann@example.com")
REMOVAL = "remove membership g/u"
FORM = provisioning_key("Writers", ACCOUNT)


def report(beyond: bool, covered: bool, is_in: bool, **statuses: str) -> Report:
    """Ann has Readers and Writers of ACCOUNT, both EQUAL; Old was to be removed, and Writers was provisioned anew."""
    further = access_plan.FurtherAccess("Writers", "group others", True, covered=True)
    total = access_plan.TotalAccess(PERSON, ACCOUNT, EQUAL, (further,) if beyond else ())
    old = access_plan.FurtherAccess("Old", "group old", True, covered=covered)

    def change(key: str, kind: str, action: str) -> access_plan.Change:
        return access_plan.Change(key, kind, action, key, INSTANCE.subject(kind, key))

    changes = (
        change(set_key("Writers"), model.PERMISSION_SET, access_plan.UPDATE),
        change(FORM, model.PROVISIONING, access_plan.PROVISION),
        change(REMOVAL, model.MEMBERSHIP, access_plan.REMOVE),
    )
    ended = {
        key: ChangeResult(status, code=STOPPED if status == LEFT else "", reason=f"{key} was {status}")
        for key, status in ((FORM, statuses["form"]), (REMOVAL, statuses["removal"]))
    }
    group = model.KnownGroup("g", f"iam-{ACCOUNT}-Writers", members=frozenset({"u"} if is_in else ()))
    plan = access_plan.AccessPlan(
        changes,
        served={claim: claim_keys(claim) for claim in DESIRED.claims},
        known_people={PERSON: model.KnownPerson("u", *PERSON)},
        totals=(total,),
        ending=(access_plan.EndingAccess(REMOVAL, PERSON, ACCOUNT, old),),
    )
    return Report(DESIRED, plan, ended, groups={group.name: group})


@pytest.mark.pure
@pytest.mark.parametrize(
    ("form", "removal", "beyond", "covered", "is_in", "verdict", "told"),
    [
        pytest.param(DONE, DONE, False, False, True, EQUAL, 0, id="all-done"),
        pytest.param(DONE, FAILED, False, False, True, WIDER, 1, id="removal-failed"),
        pytest.param(DONE, LEFT, False, False, True, WIDER, 1, id="removal-left"),
        pytest.param(DONE, LEFT, False, True, True, EQUAL, 1, id="removal-left-no-more-than-the-user-may"),
        pytest.param(FAILED, DONE, False, False, True, UNDECIDED, 0, id="earlier-form"),
        pytest.param(FAILED, DONE, False, False, False, EQUAL, 0, id="earlier-form-of-a-group-not-joined"),
        pytest.param(FAILED, DONE, True, False, True, WIDER, 1, id="earlier-form-through-another-group"),
        pytest.param(LEFT, FAILED, False, True, True, UNDECIDED, 1, id="both"),
    ],
)
def test_totals_are_what_the_run_left(
    form: str, removal: str, beyond: bool, covered: bool, is_in: bool, verdict: str, told: int
) -> None:
    found = report(beyond, covered, is_in, form=form, removal=removal)
    total = found.totals[PERSON, ACCOUNT]
    assert total.verdict == verdict
    lines = [each for each in found.faults() if each.startswith("ann@example.com in account ")]
    assert len(lines) == told
    assert all("the run did not withdraw it: " in each for each in lines)
    assert ("group old" in str(total.beyond)) == (removal != DONE)
    readers_of = next(each for _, each in found.outcomes() if "Readers" in each.reason.text)
    assert readers_of.verdict == verdict
    assert ("NotRemoved" in readers_of.reason.codes) == (removal != DONE)
