# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from c7n_iamusers.exceptions import JournalRefused, NotRestorable, SnapshotRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, ApiCall, Subject
from c7n_iamusers.execution.calls import Subject as _Subject
from c7n_iamusers.execution.journal import GIVEN_UP, SNAPSHOT, Journal, utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.lockout.applied_calls import AppliedCall, CallHistory
from c7n_iamusers.lockout.deny_all import ATTACHED
from c7n_iamusers.lockout.left_inactive import left_inactive
from c7n_iamusers.lockout.lockout_state import NOTHING_KNOWN, quarantine_of
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.snapshots.archive import SnapshotArchive, snapshot_name, snapshot_number, unique_id_in
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint
from c7n_iamusers.snapshots.user_records import RecordedUser, RecordStores, UserRecords
from c7n_iamusers.text.documents import LARGEST_RECORD
from tests.records import EVERYTHING, said, user

pytestmark = pytest.mark.pure

ALICE = user(tags={"Team": "a"}, **EVERYTHING)
FIRST = Snapshot(ALICE, "2026-11-24T00:00:00+00:00", fingerprint(ALICE))
SECOND = replace(FIRST, taken="2026-11-25T00:00:00+00:00")


def archive(path: Path) -> SnapshotArchive:
    return SnapshotArchive(DirectoryStore(path))


def place(path: Path, number: str = "") -> Path:
    return path / "snapshots" / f"alice.{ALICE.unique_id}{number}.json"


def add(path: Path, snapshot: Snapshot, number: int) -> None:
    with Journal(path / "journal.jsonl") as journal:
        archive(path).add(snapshot, number, journal)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "journal.jsonl").read_text().splitlines()]


def test_snapshots_of_a_user_are_kept_in_their_order(tmp_path: Path) -> None:
    add(tmp_path, FIRST, 1)
    add(tmp_path, SECOND, 2)
    assert sorted((tmp_path / "snapshots").iterdir()) == [place(tmp_path, ".2"), place(tmp_path)]
    assert archive(tmp_path).of(ALICE.subject) == [FIRST, SECOND]


def test_a_renamed_user_keeps_its_snapshots(tmp_path: Path) -> None:
    alicia = user(name="alicia", tags={"Team": "a"}, **EVERYTHING)
    renamed = replace(SECOND, user=alicia, fingerprint=fingerprint(alicia))
    back = replace(FIRST, taken="2026-11-26T00:00:00+00:00", partial=True)
    # another user, which has alice's unique id in its name
    other = user(name=f"x.{ALICE.unique_id}", unique_id="AIDAOTHER", **EVERYTHING)
    add(tmp_path, replace(FIRST, user=other, fingerprint=fingerprint(other)), 1)
    for snapshot, number in ((FIRST, 1), (renamed, 1), (back, 2)):
        add(tmp_path, snapshot, number)
    for subject in (ALICE.subject, alicia.subject):
        assert archive(tmp_path).of(subject) == [FIRST, renamed, back]


def test_the_numbers_of_a_renamed_user_begin_anew(tmp_path: Path) -> None:
    account: Any = SimpleNamespace(roles=())
    live: Any = None
    alicia = user(name="alicia", tags={"Team": "a"}, **EVERYTHING)
    with Journal(tmp_path / "journal.jsonl") as journal:
        for held in (ALICE, alicia):
            records = UserRecords(
                RecordStores(DirectoryStore(tmp_path), lambda: []), journal, account, live, "p"
            )
            taken = replace(FIRST, user=held, fingerprint=fingerprint(held))
            earlier = archive(tmp_path).of(held.subject)
            records.keep(RecordedUser(held, taken, earlier, NOTHING_KNOWN, NOTHING_KNOWN, held, None))
    assert sorted(each.name for each in (tmp_path / "snapshots").iterdir()) == [
        f"{name}.{ALICE.unique_id}.json" for name in ("alice", "alicia")
    ]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        pytest.param("alice", "alice", id="plain"),
        pytest.param("-rf", "_-rf", id="dash"),
        pytest.param(".hidden", "_.hidden", id="dot"),
        pytest.param("_alice", "_alice", id="underscore"),
        pytest.param("a-b.c", "a-b.c", id="within"),
    ],
)
def test_no_name_of_a_snapshot_is_an_option_or_hidden(name: str, file: str, tmp_path: Path) -> None:
    whole = user(name=name, **EVERYTHING)
    snapshot = replace(FIRST, user=whole, fingerprint=fingerprint(whole))
    add(tmp_path, snapshot, 1)
    assert [each.name for each in (tmp_path / "snapshots").iterdir()] == [f"{file}.{whole.unique_id}.json"]
    assert archive(tmp_path).of(whole.subject) == [snapshot]


def test_the_journal_pins_what_each_holds(tmp_path: Path) -> None:
    add(tmp_path, FIRST, 1)
    add(tmp_path, SECOND, 2)
    assert [(line["phase"], line["user"], line["unique_id"]) for line in lines(tmp_path)] == [
        ("snapshot", "alice", ALICE.unique_id)
    ] * 2
    files = [place(tmp_path), place(tmp_path, ".2")]
    assert [(line["snapshot"], line["sha256"]) for line in lines(tmp_path)] == [
        (f"snapshots/{file.name}", hashlib.sha256(file.read_bytes()).hexdigest()) for file in files
    ]


class Refusing:
    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        raise JournalRefused("no room")


def test_one_that_the_journal_cannot_pin_refuses(tmp_path: Path) -> None:
    with pytest.raises(JournalRefused, match="no room"):
        archive(tmp_path).add(FIRST, 1, Refusing())


def test_a_snapshot_is_never_overwritten(tmp_path: Path) -> None:
    add(tmp_path, FIRST, 1)
    content = place(tmp_path).read_bytes()
    with pytest.raises(SnapshotRefused, match="user alice of account 111122223333: no durable snapshot"):
        add(tmp_path, SECOND, 1)
    assert place(tmp_path).read_bytes() == content
    assert len(lines(tmp_path)) == 1


def test_snapshots_that_other_users_get_meanwhile_stop_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive(tmp_path)
    others = [user(name=f"u{number}", unique_id=f"AIDA{number:012}") for number in range(3)]
    with Journal(tmp_path / "journal.jsonl") as journal:
        run.add(FIRST, 1, journal)
        run.add(Snapshot(others[0], FIRST.taken, fingerprint(others[0])), 1, journal)

        def meanwhile(name: str) -> str:
            if others[1:]:
                other = others.pop()
                run.add(Snapshot(other, FIRST.taken, fingerprint(other)), 1, journal)
            return unique_id_in(name)

        monkeypatch.setattr("c7n_iamusers.snapshots.archive.unique_id_in", meanwhile)
        assert run.of(ALICE.subject) == [FIRST]
        assert list(run.added(ALICE.subject)) == [f"snapshots/{place(tmp_path).name}"]
    assert others[1:] == []


def test_another_user_of_the_same_name_has_snapshots_of_its_own(tmp_path: Path) -> None:
    add(tmp_path, FIRST, 1)
    other = user(unique_id="AIDAOTHER")
    assert archive(tmp_path).of(other.subject) == []
    add(tmp_path, replace(FIRST, user=other, fingerprint=fingerprint(other)), 1)
    assert archive(tmp_path).of(ALICE.subject) == [FIRST]


def of_policy(document: Any) -> Snapshot:
    whole = user(inline_policy=({"PolicyName": "p", "PolicyDocument": document},))
    return replace(FIRST, user=whole, fingerprint=fingerprint(whole))


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        pytest.param(of_policy({"Statement": float("inf")}), "has Infinity", id="infinity"),
        pytest.param(
            of_policy('{"Statement": Infinity}'), "policy p: Infinity is no number", id="infinity-in-a-text"
        ),
        pytest.param(of_policy({"Statement": 10**40}), "more than 40 characters", id="digits"),
        pytest.param(of_policy("no JSON"), "policy p: Expecting value", id="no-json"),
        pytest.param(of_policy("x" * LARGEST_RECORD), "more than 33554432", id="size"),
        pytest.param(
            replace(FIRST, fingerprint="1" * 64), "does not match its fingerprint", id="fingerprint"
        ),
    ],
)
def test_what_could_not_be_read_again_is_not_written(snapshot: Snapshot, why: str, tmp_path: Path) -> None:
    with pytest.raises(NotRestorable, match=why):
        add(tmp_path, snapshot, 1)
    assert not (tmp_path / "snapshots").exists()
    assert lines(tmp_path) == []


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"Statement": [{"Sid": "\N{GRINNING FACE}"}]}, id="emoji"),
        pytest.param('{"Statement": ' + "1" * 5000 + "}", id="digits-in-a-text"),
        pytest.param('{"Statement": "\\ud800"}', id="half-a-character-in-a-text"),
        pytest.param("%7B%22Statement%22%3A%5B%5D%7D", id="url-encoded"),
    ],
)
def test_what_can_be_read_again_is_written(document: Any, tmp_path: Path) -> None:
    add(tmp_path, of_policy(document), 1)
    assert archive(tmp_path).of(ALICE.subject) == [of_policy(document)]


def test_a_place_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("a file is in the way")
    with pytest.raises(SnapshotRefused, match=r"no durable snapshot in .*: nothing further was touched"):
        add(tmp_path, FIRST, 1)


def test_a_broken_one_refuses_rather_than_passing_for_none(tmp_path: Path) -> None:
    add(tmp_path, FIRST, 1)
    place(tmp_path).write_text("{")
    with pytest.raises(SnapshotRefused, match="move a broken snapshot away"):
        archive(tmp_path).of(ALICE.subject)


@pytest.mark.parametrize(
    ("last", "now", "marks"),
    [
        pytest.param(False, False, [False], id="the-same"),
        pytest.param(False, True, [False], id="a-deletion-began-and-removed-nothing-yet"),
        pytest.param(True, True, [True], id="in-the-same-deletion"),
        pytest.param(True, False, [True, False], id="somebody-ended-the-deletion"),
    ],
)
def test_a_user_gets_a_whole_snapshot_again_once_its_deletion_has_ended(
    tmp_path: Path, last: bool, now: bool, marks: list[bool]
) -> None:
    account: Any = SimpleNamespace(roles=())
    live: Any = None
    with Journal(tmp_path / "journal.jsonl") as journal:
        stores = RecordStores(DirectoryStore(tmp_path), lambda: [])
        records = UserRecords(stores, journal, account, live, "p")
        for begun in (last, now):
            earlier = archive(tmp_path).of(ALICE.subject)
            taken = replace(FIRST, deletion_begun=begun)
            records.keep(RecordedUser(ALICE, taken, earlier, NOTHING_KNOWN, NOTHING_KNOWN, ALICE, None))
    assert [each.deletion_begun for each in archive(tmp_path).of(ALICE.subject)] == marks


def recorded(path: Path, *calls: tuple[str, str], subject: Subject = ALICE.subject) -> None:
    """A journal with ``calls`` (operation, result) on ``subject``."""
    given = {"service": "iam", "parameters": {"UserName": "alice"}}
    with Journal(path / "journal.jsonl") as journal:
        for operation, result in calls:
            journal.write(subject, BEFORE, operation=operation, **given)
            journal.write(subject, AFTER, operation=operation, result=result, **given)


REMOVED, DELETED = ("DeleteLoginProfile", "done"), ("DeleteUser", "done")
REBORN = replace(ALICE.subject, unique_id="AIDAREBORN")


@pytest.mark.parametrize(
    ("calls", "deleted", "began"),
    [
        pytest.param([], False, False, id="nothing"),
        pytest.param([REMOVED], False, True, id="begun"),
        pytest.param([REMOVED, DELETED], True, True, id="deleted"),
        pytest.param([REMOVED, ("DeleteUser", "unknown")], True, True, id="perhaps-deleted"),
        pytest.param([REMOVED, ("DeleteUser", "failed")], False, True, id="refused"),
        pytest.param([("DeleteUser", "gone")], False, False, id="deleted-by-others"),
    ],
)
def test_what_the_journal_tells_of_a_deletion(
    tmp_path: Path, calls: list[tuple[str, str]], deleted: bool, began: bool
) -> None:
    recorded(tmp_path, *calls)
    add(tmp_path, FIRST, 1)
    account, live = cast(Any, SimpleNamespace(roles=())), cast(Any, None)
    with Journal(tmp_path / "journal.jsonl") as journal:
        stores = RecordStores(DirectoryStore(tmp_path), lambda: [])
        records = UserRecords(stores, journal, account, live, "p")
        assert bool(records.deleted_by_us(ALICE.subject)) is deleted
        assert records.began_deletion(ALICE.subject) is began
        assert list(records.snapshots_of_deletion(ALICE.subject, ())) == ([FIRST] if calls else [])
        assert list(
            records.snapshots_of_deletion(ALICE.subject, [(ApiCall("iam", "DeleteUser", {}), "done")])
        ) == [FIRST]
        assert (records.deleted_by_us(REBORN), records.began_deletion(REBORN)) == (None, False)
        back = (
            f"; came back: a user of this name was deleted on {utc_now():%Y-%m-%d}"
            if DELETED in calls
            else ""
        )
        assert records.named_if_back(REBORN, said("unused")).text == f"unused{back}"


def test_a_journal_that_cannot_be_read_refuses_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "other" / "journal.jsonl").mkdir(parents=True)
    account, live = cast(Any, SimpleNamespace(roles=())), cast(Any, None)
    with Journal(tmp_path / "journal.jsonl") as journal:
        stores = RecordStores(DirectoryStore(tmp_path), lambda: [DirectoryStore(tmp_path / "other")])
        records = UserRecords(stores, journal, account, live, "p")
        assert records.named_if_back(ALICE.subject, said("unused")).text == "unused"
        for ask in (records.find, records.deletion_begun):
            with pytest.raises(
                SnapshotRefused, match=r"a journal can't be read .*nothing further was touched"
            ):
                ask(ALICE)
        with pytest.raises(SnapshotRefused, match="a journal can't be read"):
            records.began_deletion(ALICE.subject)


def test_records_need_this_outputs_own_journal_from_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "here" / "journal.jsonl").mkdir(parents=True)
    account, live = cast(Any, SimpleNamespace(roles=())), cast(Any, None)
    with Journal(tmp_path / "journal.jsonl") as journal, pytest.raises(OSError, match="here"):
        UserRecords(RecordStores(DirectoryStore(tmp_path / "here"), list), journal, account, live, "p")


DENY_ALL, POWER = (
    ({"PermissionsBoundaryArn": f"arn:aws:iam::aws:policy/{name}"},)
    for name in ("AWSDenyAll", "PowerUserAccess")
)


@pytest.mark.parametrize(
    ("held", "former"),
    [
        pytest.param(DENY_ALL, DENY_ALL, id="it-was-there-before-too"),
        pytest.param(POWER, None, id="somebody-replaced-another-one"),
        pytest.param((), None, id="somebody-set-it"),
        pytest.param(None, None, id="no-snapshot"),
    ],
)
def test_what_a_boundary_that_the_journal_does_not_know_replaced(
    tmp_path: Path, held: Any, former: Any
) -> None:
    if held is not None:
        was = user(permissions_boundary=held)
        add(tmp_path, replace(FIRST, user=was, fingerprint=fingerprint(was)), 1)
    stores = RecordStores(DirectoryStore(tmp_path), list)
    assert stores.former_boundary(user(permissions_boundary=DENY_ALL), NOTHING_KNOWN).items == former


@pytest.mark.parametrize(
    ("elsewhere", "days", "written"),
    [
        pytest.param(None, 0, 1, id="of-no-other-output"),
        pytest.param("other", 1, 2, id="a-later-one-differs"),
        pytest.param("other", -1, 1, id="an-earlier-one-differs"),
        pytest.param("same", 1, 1, id="a-later-one-is-the-same"),
    ],
)
def test_what_a_user_has_now_is_the_last_snapshot_of_all_outputs(
    tmp_path: Path, elsewhere: str | None, days: int, written: int
) -> None:
    """A restoration takes the last one, which another output may have from a time with other rights."""
    account: Any = SimpleNamespace(roles=())
    live: Any = None
    here, there = tmp_path / "delete", tmp_path / "listen"
    taken = (datetime.fromisoformat(str(FIRST.taken)) + timedelta(days=days)).isoformat()
    with Journal(here / "journal.jsonl") as journal, Journal(there / "journal.jsonl") as others_journal:
        SnapshotArchive(DirectoryStore(here)).add(FIRST, 1, journal)
        if elsewhere:
            held = ALICE if elsewhere == "same" else user(tags={"Team": "b"}, **EVERYTHING)
            other = replace(FIRST, user=held, fingerprint=fingerprint(held), taken=taken)
            SnapshotArchive(DirectoryStore(there)).add(other, 1, others_journal)
        stores = RecordStores(DirectoryStore(here), lambda: [DirectoryStore(there)])
        earlier = archive(here).of(ALICE.subject)
        records = UserRecords(stores, journal, account, live, "p")
        records.keep(RecordedUser(ALICE, earlier[0], earlier, NOTHING_KNOWN, NOTHING_KNOWN, ALICE, None))
    assert len(archive(here).of(ALICE.subject)) == written


READ_ONLY, ADMINISTRATOR = (
    "arn:aws:iam::aws:policy/ReadOnlyAccess",
    "arn:aws:iam::aws:policy/AdministratorAccess",
)


def bounded(path: Path, *taken: tuple[str, str], proven: bool = True) -> RecordStores:
    """Stores with snapshots: the boundary of each, and when it was taken. ``proven``: the journal has their SHA-256."""
    for number, (arn, at) in enumerate(taken, 1):
        was = user(permissions_boundary=({"PermissionsBoundaryArn": arn},) if arn else ())
        add(path, replace(FIRST, user=was, fingerprint=fingerprint(was), taken=at), number)
    if not proven:
        (path / "journal.jsonl").unlink()
    return RecordStores(DirectoryStore(path), list)


def replaced(told: str, at: str) -> CallHistory:
    """By the journal, AWSDenyAll replaced the boundary ``told``."""
    given = {"UserName": "alice", "PermissionsBoundary": DENY_ARN}
    notes = {"for": "quarantine", "former-boundary": told}
    return CallHistory((AppliedCall(datetime.fromisoformat(at), "PutUserPermissionsBoundary", given, notes),))


DENY_ARN = DENY_ALL[0]["PermissionsBoundaryArn"]
DAYS = [f"2026-11-{day}T00:00:00+00:00" for day in range(10, 20)]


@pytest.mark.parametrize(
    ("taken", "told", "proven", "known"),
    [
        pytest.param([(READ_ONLY, 0)], READ_ONLY, True, True, id="as-in-the-snapshot"),
        pytest.param([("", 0)], "", True, True, id="none-as-in-the-snapshot"),
        pytest.param([(READ_ONLY, 0)], "", True, False, id="none"),
        pytest.param([(READ_ONLY, 0)], ADMINISTRATOR, True, False, id="another"),
        pytest.param([(READ_ONLY, 9)], "", True, False, id="taken-later"),
        pytest.param([(ADMINISTRATOR, 0), (READ_ONLY, 1)], ADMINISTRATOR, True, False, id="an-earlier-one"),
        pytest.param([(READ_ONLY, 0), (DENY_ARN, 2)], "", True, False, id="a-later-one-under-the-deny"),
        pytest.param(
            [(READ_ONLY, 0), (DENY_ARN, 2)], READ_ONLY, True, True, id="and-as-in-the-one-before-it"
        ),
        pytest.param([(DENY_ARN, 0)], "", True, False, id="only-under-the-deny"),
        pytest.param([(READ_ONLY, 0)], READ_ONLY, False, False, id="that-no-journal-proves"),
        pytest.param([], "", True, False, id="without-a-snapshot"),
    ],
)
def test_the_boundary_before_a_quarantine_is_that_of_the_snapshot_too(
    tmp_path: Path, taken: list[tuple[str, int]], told: str, proven: bool, known: bool
) -> None:
    """A line in a journal can't choose it, whatever its time: a release would set it, a deletion record it."""
    stores = bounded(tmp_path, *((arn, DAYS[day]) for arn, day in taken), proven=proven)
    found = stores.former_boundary(user(permissions_boundary=DENY_ALL), replaced(told, DAYS[4]))
    assert found.items == ((({"PermissionsBoundaryArn": told},) if told else ()) if known else None)
    assert (found.disputed is None) is known
    taken_off = stores.former_boundary(user(), replaced(told, DAYS[4]))
    if told:
        assert (taken_off.items, taken_off.disputed is None) == (found.items, known)


def test_a_snapshot_whose_digest_was_not_written_is_taken_again(tmp_path: Path) -> None:
    """A run that was stopped in between left one that proves nothing."""
    account, live = cast(Any, SimpleNamespace(roles=())), cast(Any, None)
    add(tmp_path, FIRST, 1)
    (tmp_path / "journal.jsonl").unlink()
    with Journal(tmp_path / "journal.jsonl") as journal:
        stores = RecordStores(DirectoryStore(tmp_path), list)
        records = UserRecords(stores, journal, account, live, "p")
        for _ in range(2):
            earlier = archive(tmp_path).of(ALICE.subject)
            records.keep(RecordedUser(ALICE, SECOND, earlier, NOTHING_KNOWN, NOTHING_KNOWN, ALICE, None))
    assert archive(tmp_path).of(ALICE.subject) == [FIRST, SECOND]
    assert [line["snapshot"] for line in lines(tmp_path)] == [f"snapshots/{place(tmp_path, '.2').name}"]


@pytest.mark.parametrize(
    "name", ["journal.jsonl", "restore-journal.jsonl", "journal/20261124T000000Z-0/x.jsonl"]
)
def test_a_journal_that_others_can_write_proves_nothing(tmp_path: Path, name: str) -> None:
    """It is refused, as a restoration asks about it: what it says may be anybody's."""
    file = tmp_path / "other" / name.replace("/x", f"/alice.{ALICE.unique_id}")
    file.parent.mkdir(parents=True)
    file.write_text("")
    stores = RecordStores(DirectoryStore(tmp_path / "here"), lambda: [DirectoryStore(tmp_path / "other")])
    assert stores.known_history(ALICE, (), utc_now()) == NOTHING_KNOWN
    file.chmod(0o666)
    stores = RecordStores(DirectoryStore(tmp_path / "here"), lambda: [DirectoryStore(tmp_path / "other")])
    with pytest.raises(SnapshotRefused, match=r"can be written by others \(mode 0666\): find out who wrote"):
        stores.known_history(ALICE, (), utc_now())


LEAKED = ({"AccessKeyId": "AKIA1", "Status": "Active"}, {"AccessKeyId": "AKIA2", "Status": "Inactive"})
PARKED = ({"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ARN},)


def off(*ids: str, **others: Any) -> dict[str, Any]:
    """A snapshot of a user in quarantine."""
    return {"quarantine": {"since": DAYS[1], "deactivated": [*ids], **others}}


BOTH_ACTIVE = tuple({**key, "Status": "Active"} for key in LEAKED)
NEITHER = tuple({**key, "Status": "Inactive"} for key in LEAKED)


@pytest.mark.parametrize(
    ("keys", "changes", "proven", "active"),
    [
        pytest.param([LEAKED], {}, 1, {"AKIA1"}, id="inactive-before"),
        pytest.param([LEAKED], off("AKIA2"), 1, {"AKIA1", "AKIA2"}, id="deactivated-by-the-quarantine"),
        pytest.param([LEAKED], off(), 1, {"AKIA1"}, id="not-deactivated-by-the-quarantine"),
        pytest.param([BOTH_ACTIVE], off(by_others=["AKIA2"]), 1, {"AKIA1"}, id="changed-by-others-under-it"),
        pytest.param([LEAKED], {"partial": True}, 1, set(), id="partial"),
        pytest.param([LEAKED], {"deletion_begun": True}, 1, set(), id="of-a-deletion"),
        pytest.param([LEAKED], {}, 0, set(), id="that-no-journal-proves"),
        pytest.param([BOTH_ACTIVE, LEAKED], {}, 2, {"AKIA1"}, id="the-last-one"),
        pytest.param([LEAKED, BOTH_ACTIVE], {}, 2, {"AKIA1", "AKIA2"}, id="the-last-one-has-more"),
        pytest.param([BOTH_ACTIVE, LEAKED], {}, 1, {"AKIA1"}, id="a-later-one-that-no-journal-proves"),
        pytest.param([LEAKED, BOTH_ACTIVE], {}, 1, {"AKIA1"}, id="one-that-no-journal-proves-adds-nothing"),
        pytest.param(
            [BOTH_ACTIVE, NEITHER], off("AKIA1", "AKIA2"), 1, {"AKIA1", "AKIA2"}, id="a-crash-after-it"
        ),
        pytest.param([], {}, 0, set(), id="without-a-snapshot"),
    ],
)
def test_a_release_activates_only_what_a_proven_snapshot_shows_active(
    tmp_path: Path, keys: list[Any], changes: dict[str, Any], proven: int, active: set[str]
) -> None:
    """Where the Deny names no credential: AWSDenyAll. A line in a journal makes no release activate a leaked key."""
    for number, each in enumerate(keys, 1):
        was = user(access_key=each)
        snapshot = replace(FIRST, user=was, taken=DAYS[number], **changes)
        add(tmp_path, replace(snapshot, fingerprint=fingerprint(was, snapshot.deactivated)), number)
    if (journal_file := tmp_path / "journal.jsonl").exists():
        journal_file.write_text("".join(journal_file.read_text().splitlines(keepends=True)[:proven]))
    record = QuarantineRecord(datetime.fromisoformat(DAYS[2]), "p", "r", ("AKIA1", "AKIA2"), ATTACHED)
    given = {"UserName": "alice", "PolicyArn": DENY_ARN}
    with Journal(tmp_path / "journal.jsonl", lambda: datetime.fromisoformat(DAYS[2])) as journal:
        journal.write(ALICE.subject, "quarantine", record=record.as_data())
        calls: list[tuple[str, dict[str, str]]] = [("AttachUserPolicy", given)]
        calls += [
            ("UpdateAccessKey", {"UserName": "alice", "AccessKeyId": key, "Status": "Inactive"})
            for key in record.deactivated
        ]
        for operation, parameters in calls:
            told = {"service": "iam", "operation": operation, "parameters": parameters}
            journal.write(ALICE.subject, BEFORE, **told, notes={"for": "quarantine"})
            journal.write(ALICE.subject, AFTER, **told, result="done")
    held = user(access_key=NEITHER, attached_policy=PARKED)
    history = RecordStores(DirectoryStore(tmp_path), list).known_history(held, (), utc_now())
    found = quarantine_of(held, history)
    assert found is not None
    assert set(found.deactivated) == active
    named = [each.code for each in left_inactive(held, found, history) if "AKIA2" in each.text]
    assert named == ([] if "AKIA2" in active else ["OnlyInAJournal"])


def spoil(path: Path, how: str) -> None:
    """Do that to the second of two snapshots, or to its line in the journal."""
    first, last, file = place(path), place(path, ".2"), path / "journal.jsonl"
    told = file.read_text().splitlines(keepends=True)
    if how == "gone":
        last.unlink()
    elif how == "its-digest-is-gone":
        file.write_text(told[0])
    else:
        last.write_bytes(first.read_bytes())
    if how == "has-two-digests":
        digest = hashlib.sha256(first.read_bytes()).hexdigest()
        file.write_text("".join([*told, json.dumps({**json.loads(told[1]), "sha256": digest}) + "\n"]))


SPOILT = pytest.mark.parametrize(
    "how", ["gone", "replaced-by-the-first", "its-digest-is-gone", "has-two-digests"]
)


@SPOILT
def test_where_the_last_snapshot_is_not_as_a_run_wrote_it_no_earlier_one_decides(
    tmp_path: Path, how: str
) -> None:
    stores = bounded(tmp_path, ("", DAYS[0]), (READ_ONLY, DAYS[1]))
    spoil(tmp_path, how)
    for former in ("", READ_ONLY):
        found = stores.former_boundary(user(permissions_boundary=DENY_ALL), replaced(former, DAYS[4]))
        code = "BoundaryDisputed" if how == "its-digest-is-gone" else "SnapshotMissing"
        assert found.items is None
        assert found.disputed is not None
        assert found.disputed.code == code


@SPOILT
def test_nor_does_an_earlier_one_show_what_was_active(tmp_path: Path, how: str) -> None:
    for number, keys in enumerate((BOTH_ACTIVE, LEAKED), 1):
        was = user(access_key=keys)
        add(tmp_path, replace(FIRST, user=was, fingerprint=fingerprint(was), taken=DAYS[number]), number)
    spoil(tmp_path, how)
    stores, held = RecordStores(DirectoryStore(tmp_path), list), user(access_key=NEITHER)
    given = {"UserName": "alice", "AccessKeyId": "AKIA2", "Status": "Inactive"}
    made = [(ApiCall("iam", "UpdateAccessKey", given), "done")]
    if how == "its-digest-is-gone":
        assert stores.known_history(held, made, utc_now()).active_before == {"AKIA1"}
        return
    with pytest.raises(SnapshotRefused, match=r"a run wrote snapshots/alice\..*find out who did, and put it"):
        stores.known_history(held, made, utc_now())


def give_up(path: Path, number: str = ".2") -> None:
    with Journal(path / "journal.jsonl") as journal:
        journal.write(ALICE.subject, GIVEN_UP, snapshot=f"snapshots/{place(path, number).name}", by="me")


def test_no_earlier_snapshot_takes_the_place_of_one_that_was_given_up(tmp_path: Path) -> None:
    """It has a boundary and an active key that the user had lost by then."""
    stores = bounded(tmp_path, (READ_ONLY, DAYS[0]), ("", DAYS[1]))
    spoil(tmp_path, "gone")
    give_up(tmp_path)
    found = stores.former_boundary(user(permissions_boundary=DENY_ALL), replaced(READ_ONLY, DAYS[4]))
    assert found.items is None
    assert found.disputed is not None
    assert found.disputed.code == "BoundaryDisputed"
    given = {"UserName": "alice", "AccessKeyId": "AKIA2", "Status": "Inactive"}
    held, made = user(access_key=NEITHER), [(ApiCall("iam", "UpdateAccessKey", given), "done")]
    stores = RecordStores(DirectoryStore(tmp_path), list)
    assert stores.known_history(held, made, utc_now()).active_before == set()
    assert stores.next_number(held) == 3
    was, later = user(access_key=BOTH_ACTIVE), (utc_now() + timedelta(minutes=1)).isoformat()
    add(tmp_path, replace(FIRST, user=was, fingerprint=fingerprint(was), taken=later), 3)
    stores = RecordStores(DirectoryStore(tmp_path), list)
    assert stores.known_history(held, made, utc_now()).active_before == {"AKIA1", "AKIA2"}
    assert stores.next_number(held) == 4


def test_nor_where_another_one_is_gone_too(tmp_path: Path) -> None:
    stores = bounded(tmp_path, ("", DAYS[0]), ("", DAYS[1]), ("", DAYS[2]))
    place(tmp_path, ".2").unlink()
    place(tmp_path, ".3").unlink()
    give_up(tmp_path)
    with pytest.raises(SnapshotRefused, match=r"a run wrote snapshots/alice\.[^ ]*\.3\.json, but no file"):
        stores.next_number(user())


def test_a_missing_snapshot_under_a_former_name_keeps_no_number(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        name = f"snapshots/former.{ALICE.unique_id}.json"
        journal.write(ALICE.subject, SNAPSHOT, snapshot=name, sha256="0" * 64)
    assert RecordStores(DirectoryStore(tmp_path), list).next_number(user()) == 1


def test_a_crash_before_the_digest_of_a_snapshot_under_the_deny_disputes_nothing(tmp_path: Path) -> None:
    stores = bounded(tmp_path, (READ_ONLY, DAYS[0]), (READ_ONLY, DAYS[1]), (DENY_ARN, DAYS[2]))
    file = tmp_path / "journal.jsonl"
    file.write_text(file.read_text().splitlines(keepends=True)[0])
    found = stores.former_boundary(user(permissions_boundary=DENY_ALL), replaced(READ_ONLY, DAYS[4]))
    assert found.items == ({"PermissionsBoundaryArn": READ_ONLY},)


@pytest.mark.parametrize(
    ("name", "unique_id"),
    [
        ("snapshots/ada.AIDA1.json", "AIDA1"),
        ("snapshots/ada.AIDA1.2.json", "AIDA1"),
        ("snapshots/a.b.AIDA1.10.json", "AIDA1"),
        ("ada.7.json", "7"),
        ("AIDA1.json", "AIDA1"),
    ],
)
def test_the_unique_id_in_a_name(name: str, unique_id: str) -> None:
    assert unique_id_in(name) == unique_id


def test_the_number_in_a_name() -> None:
    ada = _Subject("ada", "arn:aws:iam::111122223333:user/ada", "AIDA1")
    for number in (1, 2, 10):
        assert snapshot_number(ada, snapshot_name(ada, number)) == number
    others = ("snapshots/bob.AIDA2.json", ".json", ".5", "", f"{snapshot_name(ada, 1)}.json")
    assert [snapshot_number(ada, each) for each in others] == [0] * len(others)
