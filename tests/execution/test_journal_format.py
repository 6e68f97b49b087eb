# SPDX-License-Identifier: Apache-2.0
"""The chain of journals: who continues it, what a kill leaves of it, and what cannot be done to it without a trace."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import BucketJournal, Journal, JournalReader, SegmentedJournal
from c7n_iamusers.execution.journal_format import Chain, chain_of, last_line, line_digest
from c7n_iamusers.execution.stores import DirectoryStore

pytestmark = pytest.mark.pure

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
BOB = Subject("bob", "arn:aws:iam::111122223333:user/bob", "AIDA2")


def now() -> datetime:
    return datetime(2026, 1, 2, tzinfo=timezone.utc)


def chain(content: bytes, forks: bool = False) -> Chain:
    return chain_of(content, lambda _: None, forks)


def journal(path: Path, *phases: str, filler: str = "") -> None:
    """A run that writes these lines."""
    with Journal(path, now) as opened:
        for number, phase in enumerate(phases):
            opened.write(ALICE, phase, operation="DeleteUser", number=number, filler=filler)


def test_a_later_run_continues_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "j"
    for _ in range(3):
        journal(path, "before", "after")
    lines = path.read_bytes().splitlines()
    held = [json.loads(line)["previous"] for line in lines]
    assert held == ["", *map(line_digest, lines[:-1])]
    found = chain(path.read_bytes())
    assert (found.lines, found.first, found.last) == (6, "", line_digest(lines[-1]))
    assert (found.faults, found.torn, found.cut) == ({}, [], False)


def test_two_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as one, Journal(tmp_path / "j") as other:
        for each in (one, other, other, one, one, other):
            each.write(ALICE, "before", operation="DeleteUser")
    found = chain((tmp_path / "j").read_bytes())
    assert (found.lines, found.faults) == (6, {})


def test_what_a_kill_leaves_of_a_line_is_a_line_of_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal(path, "before", "after")
    path.write_bytes(path.read_bytes()[:-9])
    killed = chain(path.read_bytes())
    assert (killed.cut, killed.torn, killed.faults) == (True, [2], {})
    journal(path, "before")
    found = chain(path.read_bytes())
    assert (found.lines, found.torn, found.faults, found.cut) == (3, [2], {}, False)


@pytest.mark.parametrize(
    "torn", [b'{"time": "20', b'{"time": "20\n\n{"tim', b"\n"], ids=["one", "several", "empty"]
)
@pytest.mark.parametrize("forks", [False, True])
def test_half_a_line_unlinks_nothing_before_it(tmp_path: Path, torn: bytes, forks: bool) -> None:
    path = tmp_path / "j"
    journal(path, "before", "after")
    path.write_bytes(path.read_bytes() + torn)
    journal(path, "lapsed", "before")
    lines = path.read_bytes().splitlines(keepends=True)
    assert (chain(path.read_bytes(), forks).faults, json.loads(lines[-2])["last_whole"]) == (
        {},
        line_digest(lines[1]),
    )
    assert "last_whole" not in json.loads(lines[-1])
    other = tmp_path / "other"
    journal(other, "quarantine", "after")
    of_others = other.read_bytes().splitlines(keepends=True)
    unproven = re.sub(b', "last_whole": "[^"]*"', b"", lines[-2])
    for before in ([*of_others, *lines[2:-1]], lines[2:-1], [*lines[:-2], unproven]):
        assert list(chain(b"".join(before), forks).faults) == [len(before)]


def test_a_journal_of_half_lines_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"{\n" * 1_000)
    with (
        Journal(tmp_path / "j") as opened,
        pytest.raises(JournalRefused, match="more than 100 incomplete lines"),
    ):
        opened.write(ALICE, "before")


def test_a_line_that_could_not_be_written_in_full_breaks_no_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        monkeypatch.setattr(os, "write", no_room)
        return write(descriptor, content[:20])

    def no_room(descriptor: int, content: bytes) -> int:
        raise OSError("No space left on device")

    with Journal(tmp_path / "j") as opened:
        opened.write(ALICE, "before")
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(JournalRefused, match="No space left"):
            opened.write(ALICE, "before")
        monkeypatch.setattr(os, "write", write)
        opened.write(ALICE, "before")
    found = chain((tmp_path / "j").read_bytes())
    assert (found.lines, found.torn, found.faults) == (3, [2], {})


@pytest.mark.parametrize("size", [1, 65_000, 65_535, 65_536, 200_000])
def test_the_last_line_of_any_length_is_found(tmp_path: Path, size: int) -> None:
    path = tmp_path / "j"
    journal(path, "before", "before", filler="x" * size)
    journal(path, "before")
    assert chain(path.read_bytes()).faults == {}
    content = path.read_bytes()
    with path.open("rb") as file:
        assert last_line(file.fileno(), len(content)) == content.splitlines(keepends=True)[-1]
        second = sum(map(len, content.splitlines(keepends=True)[:2]))
        assert last_line(file.fileno(), second) == content.splitlines(keepends=True)[1]


def test_a_last_line_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"x" * (3 * 1024 * 1024))
    with Journal(tmp_path / "j") as opened, pytest.raises(JournalRefused, match="last line has more than"):
        opened.write(ALICE, "before")


def changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"alice", b"mallo"), *lines[3:]]


def forged(lines: list[bytes]) -> list[bytes]:
    """A line that holds the right digest, and that the next one does not know."""
    line = {**json.loads(lines[2]), "previous": line_digest(lines[1])}
    return [*lines[:2], json.dumps(line).encode() + b" \n", *lines[2:]]


@pytest.mark.parametrize(
    ("tamper", "at"),
    [
        pytest.param(changed, [4], id="changed"),
        pytest.param(lambda lines: [*lines[:2], *lines[3:]], [3], id="removed"),
        pytest.param(lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], [3, 4, 5], id="swapped"),
        pytest.param(forged, [4], id="added"),
        pytest.param(lambda lines: [*lines[:3], lines[2], *lines[3:]], [4], id="twice"),
        pytest.param(lambda lines: [*lines[:2], b"\n", *lines[2:]], [4], id="blank"),
        pytest.param(lambda lines: [*lines[:2], b"no json\n", *lines[3:]], [4], id="no-json"),
        pytest.param(lambda lines: [*lines[:2], b'{"previous": 1}\n', *lines[3:]], [3, 4], id="no-line"),
        pytest.param(
            lambda lines: [*lines[:5], *(line.replace(b'"previous"', b'"former"') for line in lines[5:])],
            [6],
            id="without-a-digest",
        ),
        pytest.param(lambda lines: lines[:-1], [], id="the-end-leaves-no-trace-here"),
    ],
)
def test_what_is_done_to_a_line_shows(
    tmp_path: Path, tamper: Callable[[list[bytes]], list[bytes]], at: list[int]
) -> None:
    journal(tmp_path / "j", *["before", "after"] * 3)
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    assert chain(b"".join(lines)).faults == {}
    assert list(chain(b"".join(tamper(lines))).faults) == at


def test_a_beginning_that_was_removed_shows_in_what_the_first_line_holds(tmp_path: Path) -> None:
    journal(tmp_path / "j", "before", "after")
    first, second = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    assert chain(first + second).first == ""
    assert chain(second).first == line_digest(first)


def test_machines_that_merge_their_journals_leave_a_fork(tmp_path: Path) -> None:
    journal(tmp_path / "j", "before", "after")
    both = (tmp_path / "j").read_bytes()
    for name in ("here", "there"):
        (tmp_path / name).write_bytes(both)
        journal(tmp_path / name, *["before"] * (2 if name == "here" else 1), filler=name)
    lines = [
        *(tmp_path / "here").read_bytes().splitlines(),
        (tmp_path / "there").read_bytes().splitlines()[-1],
    ]
    merged = b"".join(line + b"\n" for line in lines)
    found = chain(merged, forks=True)
    assert (found.forked, found.faults) == ([5], {})
    assert list(chain(merged).faults) == [5]
    assert list(chain(merged.replace(b'"here"', b'"hers"'), forks=True).faults) == [4]


def test_a_run_in_a_bucket_continues_the_chain_of_each_user(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    first = BucketJournal(store, now)
    for subject in (ALICE, BOB):
        first.write(subject, "before", operation="DeleteUser")
        first.write(subject, "outcome")
    reader = JournalReader(lambda: [store])
    assert len(reader.of(ALICE)) == 2
    second = BucketJournal(store, now)
    second.follows = reader.last_digest
    for subject in (ALICE, BOB):
        second.write(subject, "before", operation="DeleteUser")
        second.write(subject, "outcome")
    alice = sorted(
        (path.read_bytes() for path in tmp_path.rglob("alice.AIDA1.jsonl")),
        key=lambda each: chain(each).first,
    )
    found = [chain(each) for each in alice]
    assert (found[0].first, found[1].first) == ("", found[0].last)
    assert not any(each.faults for each in found)
    # of bob, nobody has read an earlier line
    assert {chain(path.read_bytes()).first for path in tmp_path.rglob("bob.AIDA2.jsonl")} == {""}


def test_the_segments_of_a_journal_are_one_chain(tmp_path: Path) -> None:
    with SegmentedJournal(DirectoryStore(tmp_path), "run/journal", now) as opened:
        for subject in (ALICE, BOB, ALICE):
            opened.write(subject, "before", operation="CreateUser")
            opened.write(subject, "after", operation="CreateUser")
    contents = [path.read_bytes() for path in sorted(tmp_path.rglob("*.jsonl"))]
    assert len(contents) == 4
    found = chain(b"".join(contents))
    assert (found.lines, found.faults) == (6, {})


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(b"\n" * 10_000, 101, id="line-ends"),
        pytest.param(b"x\n" * 10_000, 101, id="half-lines"),
        pytest.param(b"{}\n" * 10_000, 1_001, id="faults"),
        pytest.param(b'{"a": "%s"}\n{}\n' % (b"x" * 1024 * 1024), 1, id="a-long-line"),
    ],
)
def test_what_no_run_goes_on_after_is_not_read(content: bytes, lines: int) -> None:
    found = chain(content)
    assert found.lines == lines
    assert "is not read" in found.faults[lines]
