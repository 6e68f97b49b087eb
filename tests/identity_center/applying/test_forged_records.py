# SPDX-License-Identifier: Apache-2.0
"""What a run left and a later one reads back may have been forged, torn or mixed up: nothing is touched then."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.audit import audit
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.model import MANAGED_GROUP
from c7n_iamusers.identity_center.object_records import content_of
from c7n_iamusers.identity_center.provisioning import provision
from c7n_iamusers.identity_center.requests.intents import permission_set_data
from c7n_iamusers_cli.main import main
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal, pin
from tests.identity_center.planning.test_access_review import ALICE, MALLORY, create_user, join, user_id

GROUP = f"iam-{ACCOUNT}-Readers"
Data = dict[str, Any]


@pytest.fixture
def result(fleet: FleetRehearsal) -> Path:
    """The result of a run for Alice."""
    fleet.provisioned(intents(ACCOUNT, "alice"))
    (found,) = fleet.results()
    return found


def runs_over(fleet: FleetRehearsal, result: Path) -> list[Callable[[], list[str]]]:
    """All that read a result back."""
    return [lambda: fleet.undo(result), lambda: fleet.run(), lambda: fleet.audit()]


def put(data: Data, *path: Any, value: Any) -> None:
    *most, last = path
    inner: Any = data
    for each in most:
        inner = inner[each]
    inner[last] = value


MALFORMED = [
    pytest.param(["created"], {}, "created must be a list", id="created-no-list"),
    pytest.param(["created", 0], "x", "must be an object", id="row-no-object"),
    pytest.param(["created", 0, "kind"], [], "must be one of", id="kind-a-list"),
    pytest.param(["created", 0, "kind"], "role", "must be one of", id="kind"),
    pytest.param(["created", 0, "id"], 7, "must be a text", id="id-a-number"),
    pytest.param(["created", 0, "parameters"], None, "must be an object", id="parameters"),
    pytest.param(["group", "DisplayName"], [1], "DisplayName must be a text", id="a-name-that-is-a-list"),
    pytest.param(["membership", "MemberId"], {}, "lacks UserId", id="a-member-that-is-nobody"),
    pytest.param(["assignment", "TargetId"], "../x", "must match", id="no-account"),
    pytest.param(["removed"], [{"kind": {}}], "must be one of", id="removed-kind"),
    pytest.param(
        ["removed"],
        [{"kind": "group", "group": "g", "group-id": [], "description": ""}],
        "group-id must be a text",
        id="removed-id",
    ),
    pytest.param(["memberships"], [[]], "must be an object", id="memberships"),
    pytest.param(["memberships", 0, "users"], {"alice": "AIDA"}, "must match", id="no-arn"),
    pytest.param(["resumes"], ["../../elsewhere"], "must match", id="resumes"),
    pytest.param(["permission-sets"], [], "must be an object", id="permission-sets"),
    pytest.param(["permission-sets", "Readers", "managed_policies"], 7, "must be a list", id="policies"),
    pytest.param(["region"], {}, "region must be a text", id="region"),
]


@pytest.mark.parametrize(("at", "value", "told"), MALFORMED)
def test_a_result_of_other_shapes(
    fleet: FleetRehearsal, result: Path, at: list[Any], value: Any, told: str
) -> None:
    """``at``: where the value is put; by a kind, into the parameters of the first row of that kind."""
    data = json.loads(result.read_text())
    kinds = {each["kind"]: number for number, each in reversed([*enumerate(data["created"])])}
    by_kind = ["created", kinds[at[0]], "parameters"] if at[0] in kinds else at[:1]
    put(data, *by_kind, *at[1:], value=value)
    result.write_text(json.dumps(data))
    for run in runs_over(fleet, result):
        with pytest.raises(IdentityCenterError, match=told) as error:
            run()
        assert str(result) in str(error.value)
        assert fleet.mutations() == []


@pytest.mark.parametrize("content", ["", "[" * 100_000, '{"schema": 1, "created": [', "\xff", "null", "{}"])
def test_a_result_that_is_no_json(fleet: FleetRehearsal, result: Path, content: str) -> None:
    result.write_text(content, encoding="latin-1")
    for run in runs_over(fleet, result):
        with pytest.raises(IdentityCenterError, match=str(result)):
            run()
        assert fleet.mutations() == []


@pytest.mark.parametrize("missing", ["region", "instance", "permission-sets"])
def test_a_result_that_lacks_what_an_undo_needs(fleet: FleetRehearsal, result: Path, missing: str) -> None:
    data = json.loads(result.read_text())
    del data[missing]
    result.write_text(json.dumps(data))
    pin(result)
    with pytest.raises(IdentityCenterError, match=f"lacks {missing}"):
        fleet.undo(result)


def lines_of(result: Path) -> list[Data]:
    return [json.loads(line) for line in (result.parent / "journal.jsonl").read_text().splitlines()]


def write_lines(result: Path, lines: list[Any]) -> None:
    (result.parent / "journal.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in lines))


def store_id(fleet: FleetRehearsal) -> str:
    return fleet.instance.store.id


def their_group(fleet: FleetRehearsal) -> tuple[str, str, str]:
    """A group of somebody else's with Mallory in it: its id, the membership's and hers."""
    client, store, mallory = fleet.org.client("identitystore"), store_id(fleet), create_user(fleet, MALLORY)
    group = fleet.make_group("Finance", "Theirs")
    membership = client.create_group_membership(
        IdentityStoreId=store, GroupId=group, MemberId={"UserId": mallory}
    )["MembershipId"]
    return str(group), str(membership), mallory


def row(kind: str, identifier: str, **parameters: Any) -> Data:
    return {"kind": kind, "id": identifier, "certain": True, "parameters": parameters}


OPERATIONS = {
    "group": ("CreateGroup", "group"),
    "membership": ("CreateGroupMembership", "membership"),
    "assignment": ("CreateAccountAssignment", "assignment-request"),
    "permission set": ("CreatePermissionSet", "permission-set"),
}


def forge(result: Path, *rows: Data, journal: bool = True) -> None:
    """Rows that no run has written; ``journal``: in the journal, too."""
    data = json.loads(result.read_text())
    result.write_text(json.dumps({**data, "created": [*data["created"], *rows]}))
    lines = lines_of(result)
    for each in rows if journal else ():
        operation, saved = OPERATIONS[each["kind"]]
        lines.append(
            {
                "phase": "after",
                "operation": operation,
                "parameters": each["parameters"],
                "result": "done",
                "saved": {saved: each["id"]} if each["id"] else {},
            }
        )
    write_lines(result, lines)
    pin(result)


def rows_of_their_group(fleet: FleetRehearsal) -> list[Data]:
    group, membership, mallory = their_group(fleet)
    store = store_id(fleet)
    return [
        row("group", group, IdentityStoreId=store, DisplayName="Finance", Description="Theirs"),
        row("membership", membership, IdentityStoreId=store, GroupId=group, MemberId={"UserId": mallory}),
    ]


def test_what_the_journal_does_not_show(fleet: FleetRehearsal, result: Path) -> None:
    forge(result, *rows_of_their_group(fleet), journal=False)
    fleet.refuses(r"1 group, 1 membership.*does not show", fleet.undo, result)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("gone", "is missing or empty"),
        ("empty", "is missing or empty"),
        ("without-its-last-line", "is not as the run wrote it"),
        ("of-another-run", "is not as the run wrote it"),
        ("of-another-run-with-its-end", "does not show"),
    ],
)
def test_a_result_without_its_journal(fleet: FleetRehearsal, result: Path, how: str, told: str) -> None:
    journal = result.parent / "journal.jsonl"
    if how == "gone":
        journal.unlink()
    elif how == "empty":
        journal.write_text("")
    elif how == "without-its-last-line":
        write_lines(result, lines_of(result)[:-1])
    else:
        fleet.leave(intents(OTHER_ACCOUNT, "bob", set_name="Writers"))
        fleet.run()
        journal.write_bytes((fleet.results()[-1].parent / "journal.jsonl").read_bytes())
        if how == "of-another-run-with-its-end":
            pin(result)
    fleet.refuses(told, fleet.undo, result)


def test_somebody_elses_group_in_result_and_journal(fleet: FleetRehearsal, result: Path) -> None:
    forge(result, *rows_of_their_group(fleet))
    fleet.undo(result)
    assert fleet.members() == {"Finance": {MALLORY}}
    assert MALLORY in fleet.usernames()
    kept = fleet.lines("!")
    assert len(kept) == 2
    assert all("not managed" in line for line in kept)


def test_somebody_elses_assignment_in_result_and_journal(fleet: FleetRehearsal, result: Path) -> None:
    group, _, _ = their_group(fleet)
    client, arn = fleet.org.client("sso-admin"), fleet.instance.arn
    made = client.create_permission_set(InstanceArn=arn, Name="Theirs")["PermissionSet"]["PermissionSetArn"]
    given = {
        "InstanceArn": arn,
        "TargetId": ACCOUNT,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": made,
        "PrincipalType": "GROUP",
        "PrincipalId": group,
    }
    client.create_account_assignment(**given)
    forge(result, row("assignment", "", **given), row("permission set", made, InstanceArn=arn, Name="Theirs"))
    fleet.undo(result)
    assert fleet.assigned() == {(ACCOUNT, "Theirs", "Finance")}
    assert any("not managed" in line for line in fleet.lines("!"))


def test_a_membership_that_was_made_anew_since(fleet: FleetRehearsal, result: Path) -> None:
    join(fleet, GROUP, fleet.remove_member(GROUP, ALICE))
    fleet.undo(result)
    assert fleet.members() == {GROUP: {ALICE}}
    assert fleet.assigned() == {(ACCOUNT, "Readers", GROUP)}
    assert any("recreated since" in line for line in fleet.lines("!"))


@pytest.mark.parametrize("name", ["IdentityStoreId", "InstanceArn"])
def test_ids_of_another_instance(fleet: FleetRehearsal, result: Path, name: str) -> None:
    data, lines = json.loads(result.read_text()), lines_of(result)
    for each in (*data["created"], *lines):
        if name in each.get("parameters", {}):
            each["parameters"][name] = "another"
    result.write_text(json.dumps(data))
    write_lines(result, lines)
    pin(result)
    fleet.refuses("it belongs to another, not to", fleet.undo, result)


BROKEN_LINES = [
    pytest.param({"parameters": None}, "line.parameters must be an object", id="no-parameters"),
    pytest.param({"parameters": {}}, "line.parameters lacks", id="empty-parameters"),
    pytest.param({"phase": []}, "line.phase must be one of", id="phase"),
    pytest.param({"saved": []}, "line.saved must be an object", id="saved"),
    pytest.param({"operation": {}}, "line.operation must be a text", id="operation"),
    pytest.param({"notes": {"removed": {"kind": "group"}}}, "lacks description", id="notes"),
]


@pytest.mark.parametrize(("changes", "told"), BROKEN_LINES)
@pytest.mark.parametrize("undone", [True, False], ids=["undo", "resume"])
def test_a_journal_that_no_run_has_written(
    fleet: FleetRehearsal, result: Path, changes: Data, told: str, undone: bool
) -> None:
    lines = lines_of(result)
    (number, line) = next(
        (number, each) for number, each in enumerate(lines) if each.get("operation") == "CreateGroup"
    )
    write_lines(result, [*lines[:number], {**line, **changes}, *lines[number + 1 :]])
    if not undone:
        result.unlink()
        fleet.leave(intents(OTHER_ACCOUNT, "bob"))
    with pytest.raises(IdentityCenterError, match=told) as error:
        fleet.undo(result) if undone else fleet.run()
    assert str(result.parent / "journal.jsonl") in str(error.value)
    assert fleet.mutations() == []


def test_a_run_killed_in_another_instance_is_not_carried_on(
    fleet: FleetRehearsal,
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    fleet.killed(3)
    (journal,) = fleet.output.glob("identity-center-runs/*/journal.jsonl")
    journal.write_text(journal.read_text().replace(store_id(fleet), "d-0000000000"))
    fleet.refuses(r"can't be continued here: it belongs to d-0000000000", fleet.run)


def test_results_of_another_instance_tell_nothing_of_this_one(fleet: FleetRehearsal, result: Path) -> None:
    """Whoever is in the group was put there by nobody whose results are here."""
    data = json.loads(result.read_text())
    result.write_text(json.dumps({**data, "instance": "arn:aws:sso:::instance/ssoins-other"}))
    pin(result)
    fleet.leave(intents(ACCOUNT, "bob"))
    fleet.leave_only(intents(ACCOUNT, "bob"))
    fleet.new_records = True
    fleet.run(dry=True)
    assert any("no run with results here made it" in line for line in fleet.lines("!"))


def test_undo_spares_whom_a_later_run_put_into_a_group_that_it_only_assigned(
    fleet: FleetRehearsal,
) -> None:
    fleet.make_group(GROUP, f"Managed by c7n-iamusers for account {ACCOUNT}")
    fleet.new_records = True
    fleet.provisioned(intents(ACCOUNT, "alice"))
    fleet.provisioned(intents(ACCOUNT, "alice", "bob"))
    fleet.undo(fleet.results()[0])
    assert fleet.members() == {GROUP: {"bob@example.com"}}
    assert fleet.assigned() == {(ACCOUNT, "Readers", GROUP)}
    assert any("its group has other members" in line for line in fleet.lines("!"))


@pytest.mark.parametrize("dies_after", [None, 1, 2])
def test_a_shared_group_of_somebody_elses_is_left_as_it_was(
    fleet: FleetRehearsal, dies_after: int | None
) -> None:
    group, _, _ = their_group(fleet)
    requested = replace(intents(ACCOUNT, "alice"), group="Finance", shared_group=True)
    fleet.provisioned(requested)
    assert fleet.members() == {"Finance": {MALLORY, ALICE}}
    (result,) = fleet.results()
    if dies_after:
        fleet.killed(dies_after, lambda: fleet.undo(result))
    assert fleet.undo(result) == []
    assert (fleet.members(), fleet.assigned(), fleet.usernames()) == (
        {"Finance": {MALLORY}},
        set(),
        {MALLORY},
    )
    assert group in fleet.instance.store.groups


def test_names_in_an_undo_move_no_cursor(fleet: FleetRehearsal, result: Path) -> None:
    forge(
        result,
        row(
            "group",
            next(iter(fleet.instance.store.groups)),
            IdentityStoreId=store_id(fleet),
            DisplayName="\x1b[2J\ud800",
        ),
    )
    given = ["provision", "undo", str(result), "--region", "us-east-1", "--lock-out", "--dry-run"]
    found = CliRunner().invoke(main, given)
    assert found.exit_code in (0, 1)
    assert "\x1b" not in found.output
    assert found.exception is None or isinstance(found.exception, SystemExit)


def test_a_run_that_was_moved_with_its_journal(fleet: FleetRehearsal, result: Path, tmp_path: Path) -> None:
    moved = result.parent.rename(tmp_path / "moved")
    fleet.output = moved
    assert fleet.undo(moved / "result.json") == []
    assert (fleet.members(), fleet.assigned(), fleet.usernames()) == ({}, set(), set())


def test_a_run_that_was_moved_without_the_journal_of_one_that_it_carried_on(
    fleet: FleetRehearsal,
    tmp_path: Path,
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    fleet.killed(3)
    assert fleet.run() == []
    (result,) = fleet.results()
    moved = result.parent.rename(tmp_path / "moved")
    fleet.output = moved
    fleet.refuses("or of one that it continued, is missing", fleet.undo, moved / "result.json")


CHANGES = [
    pytest.param(lambda data: put(data, "memberships", 0, "users", value={}), id="memberships"),
    pytest.param(lambda data: put(data, "permission-sets", value={}), id="permission-sets"),
    pytest.param(lambda data: put(data, "created", value=[]), id="created"),
    pytest.param(lambda data: put(data, "more", value=1), id="anything"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_result_that_was_changed_after_the_run(
    fleet: FleetRehearsal, result: Path, change: Callable[[Data], None]
) -> None:
    data = json.loads(result.read_text())
    change(data)
    result.write_text(json.dumps(data, indent=1))
    for run in runs_over(fleet, result):
        with pytest.raises(IdentityCenterError, match=f"{result} is not as the run wrote it"):
            run()
        assert fleet.mutations() == []


def forged_result(fleet: FleetRehearsal, group: str, username: str, users: dict[str, str]) -> Path:
    """A result of no run, by which one has put the person into the group for IAM users."""
    ids = {"group-id": fleet.group_id(group), "user-id": user_id(fleet, username)}
    data = {
        "schema": 1,
        "instance": fleet.instance.arn,
        "created": [],
        "memberships": [{"group": group, "username": username, **ids, "users": users}],
    }
    file = fleet.output / "identity-center-runs" / "20260101T000000.000000Z" / "result.json"
    file.parent.mkdir()
    file.write_text(json.dumps(data))
    return file


OF_A_CALL = '{"phase": "before", "operation": "TagResource", "parameters": {}}\n'


@pytest.mark.parametrize(
    ("journal", "told"),
    [
        (None, "is missing or empty"),
        ("", "is missing or empty"),
        (OF_A_CALL, "is not as the run wrote it"),
    ],
    ids=["none", "empty", "without-its-end"],
)
def test_memberships_of_no_run_do_not_count(
    fleet: FleetRehearsal, result: Path, journal: str | None, told: str
) -> None:
    join(fleet, GROUP, create_user(fleet, MALLORY))
    assert len(fleet.audit()) == 2
    forged = forged_result(fleet, GROUP, MALLORY, {f"arn:aws:iam::{ACCOUNT}:user/gone": "X"})
    if journal is not None:
        (forged.parent / "journal.jsonl").write_text(journal)
    with pytest.raises(IdentityCenterError, match=told):
        fleet.audit()


@pytest.mark.parametrize(
    ("at", "mode", "told"),
    [
        pytest.param(
            "identity-center-runs/{run}/result.json", 0o666, "can be written by others", id="result"
        ),
        pytest.param(
            "identity-center-runs/{run}/journal.jsonl", 0o620, "can be written by others", id="journal"
        ),
        pytest.param(
            "identity-center-runs/{run}", 0o777, "can be written by others", id="directory-of-a-run"
        ),
        pytest.param("identity-center-runs", 0o777, "can be written by others", id="directory-of-runs"),
        pytest.param(
            "identity-center-runs/{run}/result.json", None, "belongs to user id", id="another-owner"
        ),
        pytest.param("identity-center-runs/{run}", 0o755, "", id="to-read"),
    ],
)
def test_what_others_may_have_written_is_not_believed(
    fleet: FleetRehearsal, result: Path, monkeypatch: pytest.MonkeyPatch, at: str, mode: int | None, told: str
) -> None:
    path = fleet.output / at.format(run=result.parent.name)
    if mode is None:
        found = path.lstat()
        other = os.stat_result((*found[:4], os.geteuid() + 1, *found[5:]))
        lstat = Path.lstat
        monkeypatch.setattr(Path, "lstat", lambda each: other if each == path else lstat(each))
    else:
        path.chmod(mode)
    merged = read_fleet(fleet.store, trust=TrustOptions(trusted=True))
    for trusted in (False, True):
        believed = replace(merged, trusted=trusted)
        for run in (provision, audit):
            if trusted or not told:
                run(believed, fleet.center(), fleet.said.append)
            else:
                with pytest.raises(
                    IdentityCenterError, match=f"-runs/.* is not trusted: .*{told}.*--trust-intents"
                ):
                    run(believed, fleet.center(), fleet.said.append)


def forged_removals(fleet: FleetRehearsal) -> Path:
    """A result and its journal, written to agree: a run had taken administration of an account from mallory."""
    fleet.provisioned(intents(ACCOUNT, "alice"))
    (result,) = fleet.results()
    mallory = create_user(fleet, MALLORY)
    owned = PermissionSet(
        "Owned",
        managed_policies=frozenset({"arn:aws:iam::aws:policy/AdministratorAccess"}),
        tags=dict([MANAGED_TAG]),
    )
    arn, group_id = (
        f"{fleet.instance.arn.replace('instance', 'permissionSet')}/ps-0123456789abcdef",
        "11111111-2222-3333-4444-555555555555",
    )
    group, content = {"group": "iam-owned", "group-id": group_id}, content_of(owned)
    where = {"permission-set": "Owned", "permission-set-arn": arn}
    rows: list[dict[str, Any]] = [
        {"kind": "permission set", "permission-set-arn": arn, "settings": permission_set_data(owned)},
        {"kind": "group", **group, "description": f"{MANAGED_GROUP} for account {OTHER_ACCOUNT}"},
        {"kind": "assignment", **group, "account": OTHER_ACCOUNT, **where, "content": content},
        {
            "kind": "membership",
            **group,
            "id": "m-1",
            "user-id": mallory,
            "username": MALLORY,
            "gives": [[OTHER_ACCOUNT, content]],
        },
    ]
    data = json.loads(result.read_text())
    result.write_text(
        json.dumps({**data, "removed": rows, "created": [], "permission-sets": {}, "memberships": []})
    )
    lines = (
        {"phase": "before", "operation": f"Delete{number}", "parameters": {}, "notes": {"removed": row}}
        for number, row in enumerate(rows)
    )
    with (result.parent / "journal.jsonl").open("a") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
    pin(result)
    return result


def test_forged_removals_give_nobody_access_that_nobody_accepts(fleet: FleetRehearsal) -> None:
    result = forged_removals(fleet)
    fleet.refuses(
        r"nothing was touched: lines with \+ give people access", fleet.undo, result, accepted=False
    )
    assert any("ADMINISTRATOR by AdministratorAccess" in line for line in fleet.said)


def test_a_result_with_another_digest_than_the_run_printed_is_refused(fleet: FleetRehearsal) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    digest = fleet.said[-1].rpartition(" ")[2]
    (result,) = fleet.results()
    assert digest == hashlib.sha256(result.read_bytes()).hexdigest()
    result.write_text(f"{result.read_text()}\n")
    pin(result)
    fleet.refuses("it was changed after the run", fleet.undo, result, digest=digest)
