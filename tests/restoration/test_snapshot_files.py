# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import SnapshotInvalid
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import GIVEN_UP, BucketJournal, Journal
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.journal_lines import history_of
from c7n_iamusers.restoration.snapshot_files import collected, restore_lines
from c7n_iamusers.snapshots.archive import SnapshotArchive
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint
from c7n_iamusers.text.times import moment
from tests.records import EVERYTHING, user
from tests.unreadable import UNREADABLE, Lose

pytestmark = pytest.mark.pure

ALICE, BOB = user(**EVERYTHING), user("bob", unique_id="AIDABOBBOBBOBBOB")
CALL: dict[str, Any] = {"operation": "DeleteAccessKey", "parameters": {"AccessKeyId": "AKIA1"}}


def snapshot(of: IamUser, month: int = 1) -> Snapshot:
    return Snapshot(of, f"2026-{month:02}-01T12:00:00+00:00", fingerprint(of, frozenset()))


def in_month(month: int) -> Callable[[], datetime]:
    return lambda: datetime(2026, month, 2, tzinfo=timezone.utc)


def output(path: Path, *snapshots: Snapshot) -> Path:
    """A run's output with these snapshots, each pinned in its journal."""
    numbers: dict[str, int] = {}
    with Journal(path / "journal.jsonl") as journal:
        for each in snapshots:
            number = numbers[each.user.unique_id] = numbers.get(each.user.unique_id, 0) + 1
            SnapshotArchive(DirectoryStore(path)).add(each, number, journal)
    return path


def file_of(run: Path, of: IamUser, number: str = "") -> Path:
    return run / "snapshots" / f"{of.subject.name}.{of.unique_id}{number}.json"


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data, indent=2, sort_keys=True))


@pytest.mark.parametrize("named", [".", "snapshots"])
def test_a_run_has_each_users_snapshots_in_their_order(tmp_path: Path, named: str) -> None:
    first, last = snapshot(ALICE), snapshot(ALICE, 6)
    run = output(tmp_path / "run", first, last, snapshot(BOB))
    found = collected([run / named])
    assert found.problems == []
    assert {each.recorded.subject.name: len(each.recorded.snapshots) for each in found.users} == {
        "alice": 2,
        "bob": 1,
    }
    (alice,) = (each for each in found.users if each.recorded.subject.name == "alice")
    assert [each.taken for each in alice.recorded.snapshots] == [first.taken, last.taken]
    assert (alice.run, alice.doubts) == (run, ())


def test_a_single_file_finds_the_journal_beside_its_run(tmp_path: Path) -> None:
    run = output(tmp_path / "run", snapshot(ALICE), snapshot(BOB))
    (found,) = collected([file_of(run, ALICE)]).users
    assert (found.recorded.subject, found.run, found.doubts) == (ALICE.subject, run, ())


def test_a_single_file_is_of_one_user_whatever_others_are_called(tmp_path: Path) -> None:
    other = user(name=f"x.{ALICE.unique_id}", unique_id="AIDAOTHEROTHER")
    run = output(tmp_path / "run", snapshot(ALICE), snapshot(other))
    (found,) = collected([file_of(run, ALICE)]).users
    assert found.recorded.subject == ALICE.subject


@pytest.mark.parametrize("name", ["alice", "Alice", "ALICE"])
def test_of_those_who_had_a_name_in_any_case_the_last_one_counts(tmp_path: Path, name: str) -> None:
    earlier = user(name, unique_id="AIDAEARLIEREARLIER")
    other = user("Bob", account="444455556666", unique_id="AIDAOTHEROTHER")
    run = output(tmp_path / "run", snapshot(ALICE, 6), snapshot(earlier), snapshot(BOB), snapshot(other, 6))
    found = collected([run])
    assert {each.recorded.subject for each in found.users} == {ALICE.subject, BOB.subject, other.subject}
    (left,) = found.left_out
    assert f"{earlier.unique_id}, which had the name before {ALICE.unique_id}, is left out" in left


def test_runs_of_c7n_org_are_taken_together(tmp_path: Path) -> None:
    other = user(account="444455556666", unique_id="AIDAOTHEROTHER")
    late = output(tmp_path / "sandbox" / "us-east-1" / "delete", snapshot(ALICE, 6))
    early = output(tmp_path / "sandbox" / "us-east-1" / "a-quarantine", snapshot(BOB), snapshot(ALICE))
    with Journal(early / "journal.jsonl") as journal:
        journal.write(ALICE.subject, "before", **CALL)
    far = output(tmp_path / "prod" / "us-east-1" / "delete", snapshot(other))
    found = collected([tmp_path])
    assert found.problems == []
    users = {each.recorded.subject.unique_id: each for each in found.users}
    assert {unique_id: each.run for unique_id, each in users.items()} == {
        ALICE.unique_id: late,
        BOB.unique_id: early,
        other.unique_id: far,
    }
    alice = users[ALICE.unique_id].recorded
    assert [str(each.taken)[:7] for each in alice.snapshots] == ["2026-01", "2026-06"]
    assert [each.operation for each in alice.history.calls] == ["DeleteAccessKey"]
    assert users[other.unique_id].recorded.history.calls == ()


def test_the_journals_of_a_bucket_are_found_where_they_are_written(tmp_path: Path) -> None:
    store, time = DirectoryStore(tmp_path), moment("2026-06-01T12:30:00Z")
    assert time
    journal = BucketJournal(store, lambda: time)
    SnapshotArchive(store).add(snapshot(ALICE), 1, journal)
    journal.write(ALICE.subject, "before", **CALL)
    (found,) = collected([tmp_path]).users
    assert [each.operation for each in found.recorded.history.calls] == ["DeleteAccessKey"]
    assert found.doubts == ()


def _planted_policy(data: dict[str, Any]) -> None:
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    data["attachments"]["attached-policy"].append({"PolicyName": "AdministratorAccess", "PolicyArn": arn})


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        pytest.param(_planted_policy, "does not match its fingerprint", id="content"),
        pytest.param(lambda data: data.update(policy="x"), "its SHA-256 differs from the one in", id="pin"),
        pytest.param(
            lambda data: data["user"].update(Arn="arn:aws:iam::444455556666:user/alice"),
            "name different accounts",
            id="account-of-the-arn",
        ),
        pytest.param(
            lambda data: data["user"].update(UserName="mallory"), "does not match its fingerprint", id="name"
        ),
        pytest.param(
            lambda data: data["user"].update(UserId="AIDAMALLORY"), "does not match its fingerprint", id="id"
        ),
        pytest.param(lambda data: data.update(schema_version=9), "not a snapshot of version 2", id="version"),
        pytest.param(lambda data: data.pop("groups"), "not a snapshot of version 2", id="member-missing"),
    ],
)
def test_what_was_changed_is_refused_and_stops_no_other_user(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], problem: str
) -> None:
    run = output(tmp_path, snapshot(ALICE), snapshot(BOB))
    change(file_of(run, ALICE), edit)
    found = collected([run])
    assert [each.recorded.subject.name for each in found.users] == ["bob"]
    (message,) = found.problems
    assert message.startswith(f"{file_of(run, ALICE)}: ")
    assert problem in message


@pytest.mark.parametrize(
    ("gone", "restored"),
    [
        pytest.param((1,), True, id="a-later-one-is-there"),
        pytest.param((3,), False, id="the-last-one-is-gone"),
        pytest.param((1, 3), False, id="and-another-one"),
    ],
)
def test_after_one_that_was_given_up_later_ones_alone_are_restored(
    tmp_path: Path, gone: tuple[int, ...], restored: bool
) -> None:
    for number, month in enumerate((1, 3, 6), 1):
        with Journal(tmp_path / "journal.jsonl", in_month(month)) as journal:
            SnapshotArchive(DirectoryStore(tmp_path)).add(snapshot(ALICE, month), number, journal)
    for number in gone:
        file_of(tmp_path, ALICE, "" if number == 1 else f".{number}").unlink()
        assert not collected([tmp_path]).users
    with Journal(tmp_path / "journal.jsonl") as journal:
        name = f"snapshots/{file_of(tmp_path, ALICE, '' if gone[0] == 1 else '.3').name}"
        journal.write(ALICE.subject, GIVEN_UP, snapshot=name, by="me")
    found = collected([tmp_path])
    taken = [str(each.taken)[:7] for user in found.users for each in user.recorded.snapshots]
    assert taken == (["2026-03", "2026-06"] if restored else [])
    assert any("are missing here" in each for each in found.problems) != restored


def test_what_lacks_what_a_deletion_removed_is_not_restored_alone(tmp_path: Path) -> None:
    """The Deny of a policy may have been removed before it was taken."""
    half = replace(snapshot(ALICE, 6), deletion_begun=True)
    for number, each in enumerate((snapshot(ALICE), half), 1):
        with Journal(tmp_path / "journal.jsonl", in_month(1 if number == 1 else 6)) as journal:
            SnapshotArchive(DirectoryStore(tmp_path)).add(each, number, journal)
    file_of(tmp_path, ALICE).unlink()
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write(ALICE.subject, GIVEN_UP, snapshot=f"snapshots/{file_of(tmp_path, ALICE).name}", by="me")
    assert collected([tmp_path]).users == []


def test_a_file_of_which_a_journal_has_two_contents_is_refused(tmp_path: Path) -> None:
    run = output(tmp_path, snapshot(ALICE), snapshot(BOB))
    journal = run / "journal.jsonl"
    lines = journal.read_text().splitlines()
    again = next(json.loads(each) for each in lines if "snapshots/alice" in each)
    journal.write_text("\n".join([*lines, json.dumps({**again, "sha256": "0" * 64})]) + "\n")
    found = collected([run])
    assert [each.recorded.subject.name for each in found.users] == ["bob"]
    assert any("has several SHA-256 of it" in each for each in found.problems)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        pytest.param(
            lambda data: data["attachments"]["access-key"][0].update(AccessKeyId=[]),
            r"it\.attachments\.access-key\[0\]\.AccessKeyId must be a text, not list",
            id="identifier",
        ),
        pytest.param(
            lambda data: data["attachments"]["access-key"][0].update(Status={}),
            r"access-key\[0\]\.Status must be a text or a number, not dict",
            id="member",
        ),
        pytest.param(
            lambda data: data["attachments"]["inline-policy"][0].update(PolicyDocument=[]),
            "PolicyDocument must be a policy document, not list",
            id="document",
        ),
        pytest.param(
            lambda data: data.update(
                groups=[{"GroupName": "g", "GroupId": "G", "Path": "/", "GroupPolicyList": 5}]
            ),
            "GroupPolicyList must be a list, not int",
            id="group",
        ),
        pytest.param(
            lambda data: data["user"].update(Arn="x"), "the ARN x name different accounts", id="arn"
        ),
    ],
)
@pytest.mark.parametrize("library", [True, False], ids=["with-jsonschema", "without-it"])
def test_a_snapshot_with_what_no_run_writes_is_a_problem_and_stops_no_other_user(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: bool,
    edit: Callable[[dict[str, Any]], object],
    why: str,
) -> None:
    if not library:
        monkeypatch.setitem(sys.modules, "jsonschema", None)
    run = output(tmp_path / "run", snapshot(ALICE), snapshot(BOB))
    change(file_of(run, ALICE), edit)
    found = collected([run])
    assert [each.recorded.subject for each in found.users] == [BOB.subject]
    (problem,) = found.problems
    assert re.search(why, problem)


def test_a_journal_that_can_not_be_read_stops_no_other_run(tmp_path: Path) -> None:
    broken = output(tmp_path / "payments" / "delete", snapshot(ALICE))
    output(tmp_path / "research" / "delete", snapshot(BOB))
    with (broken / "journal.jsonl").open("a") as journal:
        journal.write(
            json.dumps({"time": "x", "user": "x", "arn": "x", "unique_id": "x", "phase": "before"}) + "\n"
        )
    found = collected([tmp_path])
    assert [each.recorded.subject for each in found.users] == [BOB.subject]
    (problem,) = found.problems
    assert "has a line that no run writes (arn is no ARN of an account)" in problem


def test_a_history_that_fails_stops_no_other_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(subject: Subject, lines: Iterable[Mapping[str, Any]]) -> CallHistory:
        if subject == ALICE.subject:
            raise TypeError("'int' object is not iterable")
        return history_of(subject, lines)

    monkeypatch.setattr("c7n_iamusers.restoration.snapshot_files.history_of", failing)
    found = collected([output(tmp_path, snapshot(ALICE), snapshot(BOB))])
    assert [each.recorded.subject for each in found.users] == [BOB.subject]
    (problem,) = found.problems
    assert problem.startswith(
        "user alice of account 111122223333: not restored: no run writes its lines in the journals"
    )


def test_a_file_brings_no_user_that_is_named_after_its_unique_id(tmp_path: Path) -> None:
    other = user(f"x.{ALICE.unique_id}", unique_id="AIDAOTHEROTHEROTHER2")
    run = output(tmp_path / "run", snapshot(ALICE), snapshot(ALICE, 6), snapshot(other))
    (found,) = collected([file_of(run, ALICE)]).users
    assert (found.recorded.subject.name, len(found.recorded.snapshots)) == ("alice", 2)


def test_a_file_named_by_a_glob_brings_no_other_user(tmp_path: Path) -> None:
    run = output(tmp_path / "run", snapshot(ALICE), snapshot(BOB))
    named = file_of(run, ALICE).rename(run / "snapshots" / "alice.[A-Z]*.json")
    assert BOB.subject not in [each.recorded.subject for each in collected([named]).users]


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        pytest.param({}, "its SHA-256 differs from the one in", id="path"),
        pytest.param({"UserName": "mallory"}, "is not one of a user mallory", id="name"),
        pytest.param(
            {"Arn": "arn:aws:iam::444455556666:user/alice"},
            "its SHA-256 differs from the one in",
            id="account",
        ),
        pytest.param(
            {"Arn": "arn:aws:iam::111122223333:role/alice"}, "is not one of a user alice", id="role"
        ),
        pytest.param({"UserId": "AIDAMALLORY"}, "its SHA-256 differs from the one in", id="unique-id"),
    ],
)
def test_a_change_with_a_fingerprint_to_match_is_refused_too(
    tmp_path: Path, members: dict[str, str], problem: str
) -> None:
    run = output(tmp_path, snapshot(ALICE), snapshot(BOB))
    forged = IamUser({**ALICE.detail, "Path": "/forged/", **members}, ALICE.attachments)
    file_of(run, ALICE).write_text(snapshot(forged).as_json())
    found = collected([run])
    assert [each.recorded.subject.name for each in found.users] == ["bob"]
    (message,) = found.problems
    assert problem in message


def _torn(path: Path) -> None:
    path.write_text("{")


def _linked(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


@pytest.mark.parametrize("spoil", [_torn, _linked], ids=["torn", "link"])
@pytest.mark.parametrize("number", ["", ".2"], ids=["first", "second"])
def test_nobody_is_restored_from_half_a_record(
    tmp_path: Path, spoil: Callable[[Path], None], number: str
) -> None:
    run = output(tmp_path, snapshot(ALICE), snapshot(ALICE, 6), snapshot(BOB))
    spoil(file_of(run, ALICE, number))
    found = collected([run])
    assert [each.recorded.subject.name for each in found.users] == ["bob"]
    assert any(message.startswith(f"{file_of(run, ALICE, number)}: ") for message in found.problems)
    assert "user alice of account 111122223333: not restored: another snapshot" in "\n".join(found.problems)


@pytest.mark.parametrize("bucket", [False, True], ids=["directory", "bucket"])
def test_no_older_snapshot_takes_the_place_of_one_that_is_gone_with_its_output(
    tmp_path: Path, bucket: bool
) -> None:
    """The journal of the deletion names it. The user has no other file there, and BOB has none at all."""
    early = output(tmp_path / "early", snapshot(ALICE))
    late = tmp_path / "late"
    store, time = DirectoryStore(late), moment("2026-06-01T12:30:00Z")
    assert time
    with Journal(late / "journal.jsonl") as plain:
        journal = BucketJournal(store, lambda: time) if bucket else plain
        for each in (snapshot(ALICE, 6), snapshot(BOB)):
            SnapshotArchive(store).add(each, 1, journal)
    assert [each.recorded.subject.name for each in collected([tmp_path]).users] == ["alice", "bob"]
    for of in (ALICE, BOB):
        file_of(late, of).unlink()
    for paths in ([tmp_path], [early, late]):
        found = collected(paths)
        assert found.users == []
        told = "not restored: snapshots in the journal are missing here: "
        assert [message.split(": bring")[0] for message in found.problems] == [
            f"{BOB.arn}: {told}{file_of(late, BOB)}",
            f"user alice of account 111122223333: {told}{file_of(late, ALICE)}",
        ]
    copy = tmp_path / "own" / file_of(early, ALICE).name
    copy.parent.mkdir()
    copy.write_bytes(file_of(early, ALICE).read_bytes())
    for file in (copy, file_of(early, ALICE)):
        found = collected([file])
        (alice,) = found.users
        assert alice.doubts == (
            () if file != copy else (f"no journal proves that {copy} is as a run wrote it",)
        )
        assert found.left_out[0].startswith(
            f"{file}: whether another output has a later snapshot of its user is not"
        )


def test_a_snapshot_that_no_journal_proves_is_named(tmp_path: Path) -> None:
    run = output(tmp_path, snapshot(ALICE))
    file_of(run, BOB).write_text(snapshot(BOB).as_json())
    file_of(run, ALICE, ".2").write_text(snapshot(ALICE, 6).as_json())
    found = collected([run])
    assert found.problems == []
    assert {each.recorded.subject.name: each.doubts for each in found.users} == {
        "alice": (f"no journal proves that {file_of(run, ALICE, '.2')} is as a run wrote it",),
        "bob": (f"no journal proves that {file_of(run, BOB)} is as a run wrote it",),
    }


def test_a_directory_without_snapshots_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SnapshotInvalid, match="no snapshot in it: give a run's output"):
        collected([tmp_path])


@pytest.mark.parametrize(("lose", "told"), UNREADABLE)
@pytest.mark.parametrize("where", ["", "snapshots"])
def test_nobody_is_restored_where_an_output_can_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Lose, told: str, where: str
) -> None:
    """It may have a later snapshot of any user, with fewer rights."""
    outputs = tmp_path / "outputs"
    output(outputs / "quarantine", snapshot(user("carol")))
    output(outputs / "delete", snapshot(user("carol"), month=2))
    lose(monkeypatch, outputs / "delete" / where)
    with pytest.raises(SnapshotInvalid, match=f"{told}.*so nobody is restored"):
        collected([outputs])


OTHER = "444455556666"


def _later(run: Path) -> None:
    output(run, snapshot(ALICE, month=3))


def _namesake(run: Path) -> None:
    output(run, snapshot(user(unique_id="AIDANEWERNEWERNEWER"), month=3))


def _of_its_own_with_her_id(run: Path) -> None:
    output(run, snapshot(user("mallory", account=OTHER), month=3))


def _missing(run: Path) -> None:
    _later(run)
    file_of(run, ALICE).unlink()


def _own_line_with_her_id(run: Path) -> None:
    _of_its_own_with_her_id(run)
    file_of(run, user("mallory", account=OTHER)).unlink()


def _unreadable(run: Path) -> None:
    output(run)
    file_of(run, ALICE).parent.mkdir()
    file_of(run, ALICE).write_text("{")


_GIVEN = [
    pytest.param(lambda top: [top], id="the-output"),
    pytest.param(lambda top: sorted(top.glob("*")), id="each-account"),
    pytest.param(lambda top: sorted(top.glob("*/*")), id="each-region"),
    pytest.param(lambda top: sorted({each.parent for each in top.rglob("journal.jsonl")}), id="each-run"),
]


@pytest.mark.parametrize("forge", [_later, _namesake, _missing])
@pytest.mark.parametrize("given", _GIVEN)
@pytest.mark.parametrize(
    "where",
    [
        "sandbox/us-east-1/payments/us-east-1/park",
        f"sandbox/{ALICE.subject.account_id}/park",
        "sandbox/us-east-1/park/x/p",
        "sandbox/payments/us-east-1/park",
        "sandbox/park",
        "flag/sandbox/x/park",
        f"realtime/{OTHER}/park/2026/11/30/10",
        f"realtime/{OTHER}/x/park",
    ],
)
def test_deeper_in_an_account_s_own_directory_no_other_name_counts(
    tmp_path: Path, where: str, forge: Callable[[Path], None], given: Callable[[Path], list[Path]]
) -> None:
    output(tmp_path / "payments" / "us-east-1" / "delete", snapshot(ALICE))
    forge(tmp_path / where)
    found = collected(given(tmp_path), {"payments": ALICE.subject.account_id, "sandbox": OTHER})
    (alice,) = (each for each in found.users if each.recorded.subject == ALICE.subject)
    assert [each.taken for each in alice.recorded.snapshots] == [snapshot(ALICE).taken]
    assert alice.runs == (tmp_path / "payments" / "us-east-1" / "delete",)
    assert [each for each in found.problems if " is of account " in each or "it lies where" in each]


@pytest.mark.parametrize(
    "where",
    [
        *("sandbox/us-east-1/park", f"realtime/{OTHER}/park", "sandbox/us-east-1/2"),
        *("sandbox", "removal/sandbox", OTHER, "removal/sandbox/2026/12/02/20"),
        *("sandbox/payments", f"sandbox/us-east-1/{ALICE.subject.account_id}/park"),
    ],
)
@pytest.mark.parametrize(
    ("forge", "told"),
    [
        pytest.param(_later, "it lies where account 444455556666 writes", id="a-later-snapshot"),
        pytest.param(_namesake, "it lies where account 444455556666 writes", id="a-later-user-of-the-name"),
        pytest.param(_missing, "it lies where account 444455556666 writes", id="a-line-about-a-missing-one"),
        pytest.param(_unreadable, f"{ALICE.unique_id}.json: ", id="a-file-with-the-users-id"),
        pytest.param(_of_its_own_with_her_id, "", id="the-id-on-a-user-of-its-own"),
        pytest.param(_own_line_with_her_id, "are missing here", id="the-id-on-a-line-of-its-own"),
    ],
)
@pytest.mark.parametrize("given", _GIVEN)
def test_what_another_account_s_part_tells_of_a_user_neither_counts_nor_stops(
    tmp_path: Path,
    where: str,
    forge: Callable[[Path], None],
    told: str,
    given: Callable[[Path], list[Path]],
) -> None:
    output(tmp_path / "payments" / "us-east-1" / "delete", snapshot(ALICE))
    forge(tmp_path / where)
    known = {"payments": ALICE.subject.account_id, "sandbox": OTHER}
    found = collected(given(tmp_path), known)
    (alice,) = (each for each in found.users if each.recorded.subject == ALICE.subject)
    assert [each.taken for each in alice.recorded.snapshots] == [snapshot(ALICE).taken]
    assert alice.runs == (tmp_path / "payments" / "us-east-1" / "delete",)
    assert [each for each in found.problems if told in each] or not told


def test_an_output_that_says_it_is_of_two_accounts_is_believed_of_nobody(tmp_path: Path) -> None:
    run = output(tmp_path / "payments" / "us-east-1" / "delete", snapshot(ALICE))
    (run / "metadata.json").write_text(json.dumps({"config": {"account_id": OTHER}}))
    found = collected([tmp_path], {"payments": ALICE.subject.account_id})
    assert found.users == []
    assert "is of account" in found.problems[0]


def test_lines_of_restorations_are_those_of_the_journals_that_are_there(tmp_path: Path) -> None:
    with Journal(tmp_path / "a") as journal:
        journal.write(ALICE.subject, "before", **CALL)
    assert [line["user"] for line in restore_lines([tmp_path / "missing", tmp_path / "a"])] == ["alice"]
