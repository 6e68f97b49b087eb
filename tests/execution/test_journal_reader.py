# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import (
    RESTORE_JOURNAL,
    BucketJournal,
    Journal,
    JournalReader,
    journal_line,
    parsed,
)
from c7n_iamusers.execution.stores import DirectoryStore, Store

pytestmark = pytest.mark.pure

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
LATER = Subject("alice", ALICE.arn, "AIDA2")
RENAMED = Subject("zoe", "arn:aws:iam::111122223333:user/zoe", "AIDA1")
BOB = Subject("bob", "arn:aws:iam::111122223333:user/bob", "AIDA3")
NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


def write(path: Path, *subjects: Subject) -> DirectoryStore:
    with Journal(path / "journal.jsonl") as journal:
        for number, subject in enumerate(subjects):
            journal.write(subject, "before", number=number)
    return DirectoryStore(path)


def reader(*stores: Store) -> JournalReader:
    return JournalReader(lambda: stores)


def numbers(lines: list[dict[str, Any]]) -> list[int]:
    return [line["number"] for line in lines]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(ALICE, [0, 2], id="under-each-name"),
        pytest.param(RENAMED, [0, 2], id="another-arn"),
        pytest.param(LATER, [1], id="another-of-the-name"),
        pytest.param(BOB, [3], id="somebody-else"),
        pytest.param(Subject("eve", "arn:aws:iam::111122223333:user/eve", "AIDA9"), [], id="nobody"),
    ],
)
def test_lines_are_found_by_unique_id(tmp_path: Path, subject: Subject, expected: list[int]) -> None:
    store = write(tmp_path, ALICE, LATER, RENAMED, BOB)
    assert numbers(reader(store).of(subject)) == expected


JANE = Subject("alice.doe", "arn:aws:iam::111122223333:user/alice.doe", "AIDA4")


@pytest.mark.parametrize("bucket", [False, True], ids=["file", "objects"])
def test_lines_of_those_who_had_the_name_before(tmp_path: Path, bucket: bool) -> None:
    subjects = (ALICE, LATER, RENAMED, BOB, JANE)
    store = DirectoryStore(tmp_path)
    if bucket:
        journal = BucketJournal(store)
        for number, subject in enumerate(subjects):
            journal.write(subject, "before", number=number)
    else:
        write(tmp_path, *subjects)
    assert numbers(reader(store).of_namesakes(LATER)) == [0]
    assert numbers(reader(store).of_namesakes(ALICE)) == [1]
    assert numbers(reader(store).of_namesakes(Subject("zoe", RENAMED.arn, "AIDA9"))) == [2]
    assert numbers(reader(store).of_namesakes(BOB)) == []


def test_several_outputs_are_read_together(tmp_path: Path) -> None:
    stores = [write(tmp_path / "a", ALICE, BOB), write(tmp_path / "b", BOB, ALICE)]
    assert numbers(reader(*stores).of(ALICE)) == [0, 1]
    assert len(list(reader(*stores).lines())) == 4


def test_journals_of_a_bucket_are_read_too(tmp_path: Path) -> None:
    store = write(tmp_path, ALICE)
    for subject in (ALICE, LATER):
        BucketJournal(store, lambda: NOW).write(subject, "before", number=7)
    assert numbers(reader(store).of(ALICE)) == [0, 7]
    assert numbers(reader(store).of(LATER)) == [7]
    assert len(list(reader(store).lines())) == 3


def test_each_is_read_once_and_not_before_it_is_asked_for(tmp_path: Path) -> None:
    asked: list[None] = []

    def stores() -> Sequence[Store]:
        asked.append(None)
        return [write(tmp_path, ALICE)]

    journals = JournalReader(stores)
    assert asked == []
    for _ in range(2):
        assert numbers(journals.of(ALICE)) == [0]
    assert asked == [None]


def test_a_place_without_a_journal_has_no_lines(tmp_path: Path) -> None:
    assert reader(DirectoryStore(tmp_path / "nowhere")).of(ALICE) == []


def test_a_journal_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(OSError, match=r"journal\.jsonl is a directory"):
        reader(DirectoryStore(tmp_path)).of(ALICE)


@pytest.mark.parametrize(
    ("torn", "expected"),
    [
        pytest.param(b"", [1, 2], id="whole"),
        pytest.param(b'{"phase": "befo\n', [1, 2], id="torn"),
        pytest.param(b'{"phase": "\xc3\n', [1, 2], id="torn-in-a-character"),
        pytest.param(b"\x00\x00\n", [1, 2], id="zeros-after-a-power-cut"),
        pytest.param(b"[1]\n7\n\n", [1, 2], id="no-objects"),
    ],
)
def test_an_incomplete_line_hides_no_other(torn: bytes, expected: list[int]) -> None:
    first, second = (journal_line(NOW, ALICE, "before", {"number": number}) for number in (1, 2))
    assert numbers(list(parsed(first + torn + second))) == expected


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        pytest.param({"arn": "x"}, "arn is no ARN", id="arn"),
        pytest.param({"arn": None}, "arn is NoneType", id="no-arn"),
        pytest.param({"unique_id": ["AIDA1"]}, "unique_id is list", id="unique-id"),
        pytest.param({"user": 5}, "user is int", id="user"),
        pytest.param({"time": {}}, "time is dict", id="time"),
        pytest.param({"parameters": []}, "parameters is list", id="parameters"),
        pytest.param({"parameters": {"Tags": [1]}}, r"parameters\.Tags is no list", id="tags"),
        pytest.param({"parameters": {"TagKeys": 5}}, r"parameters\.TagKeys is no list", id="tag-keys"),
        pytest.param({"phase": "outcome", "status": "failed", "calls": []}, "calls is list", id="calls"),
        pytest.param({"phase": "lapsed", "gone": 5}, "gone is int", id="gone"),
        pytest.param({"phase": "lapsed", "active": "AKIA1"}, "active is str", id="active"),
        pytest.param({"phase": "outcome", "status": "restored", "made": 5}, "made is int", id="made"),
    ],
)
def test_a_whole_line_that_no_run_writes_makes_the_journal_unreadable(
    changed: dict[str, Any], why: str
) -> None:
    line = {**json.loads(journal_line(NOW, ALICE, "before", {})), **changed}
    with pytest.raises(OSError, match=rf"of alice has a line that no run writes \({why}"):
        list(parsed(json.dumps(line).encode(), "the journal of alice"))


def test_a_line_without_whom_it_is_about_makes_the_journal_unreadable() -> None:
    with pytest.raises(OSError, match="it lacks time"):
        list(parsed(b'{"phase": "before"}'))
    line = json.loads(journal_line(NOW, ALICE, "before", {}))
    del line["unique_id"]
    with pytest.raises(OSError, match="it lacks unique_id"):
        list(parsed(json.dumps(line).encode()))


def test_a_journal_of_more_lines_than_any_run_writes_is_refused() -> None:
    with pytest.raises(OSError, match="of alice has more than 12000000 lines"):
        list(parsed(b"\n" * 12_000_001, "the journal of alice"))


class Names(list[str]):
    """Counts how often all names are gone through."""

    gone_through = 0

    def __iter__(self) -> Iterator[str]:
        self.gone_through += 1
        return super().__iter__()


def test_the_names_of_objects_are_not_searched_for_each_user(tmp_path: Path) -> None:
    class Listing(DirectoryStore):
        listed = Names()

        def names(self, prefix: str, *last: str, since: datetime | None = None) -> list[str]:
            self.listed.extend(super().names(prefix, *last, since=since))
            return self.listed

    store = Listing(tmp_path)
    users = [
        Subject(f"user.{each}", f"arn:aws:iam::111122223333:user/user.{each}", f"AIDA{each}")
        for each in range(50)
    ]
    for each in users:
        BucketJournal(store, lambda: NOW).write(each, "before", number=7)
    journals = reader(store)
    assert [numbers(journals.of(each)) for each in users] == [[7]] * 50
    assert [journals.of_namesakes(each) for each in users] == [[]] * 50
    assert store.listed.gone_through == 1


@pytest.mark.parametrize("name", ["alice.AIDA1", "AIDA1.jsonl", "alice.AIDA1.json", ".jsonl"])
def test_an_object_that_is_no_runs_is_nobodys(tmp_path: Path, name: str) -> None:
    store = DirectoryStore(tmp_path)
    BucketJournal(store, lambda: NOW).write(ALICE, "before", number=7)
    store.create(f"journal/other/{name}", b'{"number": 8, "arn": "arn:aws:iam::111122223333:user/alice"}')
    assert numbers(reader(store).of(ALICE)) == [7]
    assert reader(store).of_namesakes(ALICE) == []


def creating(path: Path, answer: dict[str, Any]) -> JournalReader:
    """The journal of a restoration of ALICE that was stopped after CreateUser, with this ``answer`` if any."""
    tags = {"UserName": "alice", "Tags": [{"Key": "c7n-iamusers-restored-from", "Value": "t"}]}
    call = {"operation": "CreateUser", "parameters": tags}
    lines = journal_line(NOW, ALICE, "before", {**call, "notes": {"token": "t"}})
    if answer:
        lines += journal_line(NOW, ALICE, "after", {**call, **answer})
    (path / "restore-journal.jsonl").write_bytes(lines)
    return reader(DirectoryStore(path))


MADE = {"result": "done", "saved": {"created-user": "AIDA2"}}
ELSEWHERE = Subject("alice", "arn:aws:iam::444455556666:user/alice", "AIDA2")


@pytest.mark.parametrize(
    ("subject", "token", "minutes", "answer", "expected"),
    [
        pytest.param(LATER, "t", 0, {}, True, id="no-answer"),
        pytest.param(LATER, "t", 30, {"result": "unknown"}, True, id="unknown"),
        pytest.param(LATER, "", 0, MADE, True, id="by-its-id"),
        pytest.param(LATER, "other", 0, {}, False, id="another-token"),
        pytest.param(BOB, "t", 0, {}, False, id="copied-to-another-user"),
        pytest.param(ELSEWHERE, "t", 0, {}, False, id="copied-in-another-account"),
        pytest.param(LATER, "t", -10, {}, False, id="was-there-before"),
        pytest.param(LATER, "t", 90, {}, False, id="made-later"),
        pytest.param(LATER, "t", None, {}, False, id="no-date"),
        pytest.param(Subject("alice", ALICE.arn, "AIDA9"), "t", 0, MADE, False, id="made-another"),
        pytest.param(LATER, "t", 0, {"result": "failed"}, False, id="made-none"),
    ],
)
def test_a_tag_alone_makes_nobody_half_restored(
    tmp_path: Path, subject: Subject, token: str, minutes: int | None, answer: dict[str, Any], expected: bool
) -> None:
    created = None if minutes is None else NOW + timedelta(minutes=minutes)
    assert bool(creating(tmp_path, answer).restoring(subject, token, created)) == expected


class Compared(dict):  # type: ignore[type-arg]
    """Parameters that count how often they are compared."""

    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return super().__eq__(other)

    __hash__ = None


def test_answers_are_not_compared_with_each_creation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    who = {"time": "", "user": "alice", "arn": ALICE.arn, "unique_id": "AIDA1", "operation": "CreateUser"}
    begun = [
        {**who, "phase": "before", "notes": {"token": f"t{number}"}, "parameters": Compared(Path="/")}
        for number in range(100)
    ]
    answers = [
        {**who, "phase": "after", "result": "failed", "parameters": Compared(Path="/x")} for _ in range(100)
    ]
    answers += [{**answers[0], "parameters": Compared(Path="/")} for _ in range(99)]
    (tmp_path / "restore-journal.jsonl").touch()
    lines = {RESTORE_JOURNAL: [*begun, *answers]}
    monkeypatch.setattr(
        "c7n_iamusers.execution.journal._Journal._lines", lambda _, name: iter(lines.get(name, ()))
    )
    read = reader(DirectoryStore(tmp_path))
    # each answer is of the first creation that has none
    made = [bool(read.restoring(LATER, f"t{number}", None)) for number in (0, 99)]
    assert made == [False, False]
    (journal,) = read._read()
    assert list(journal._creating) == ["t99"]
    assert Compared.times <= 200
