# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

import pytest

from c7n_iamusers.exceptions import IdentityCenterError, JournalRefused
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.identity_center.applying.run_lock import exclusive
from c7n_iamusers.identity_center.applying.run_records import (
    RunDirectory,
    read_result,
    read_results,
    run_of_result,
    time_of_result,
    unfinished,
)
from c7n_iamusers.identity_center.object_records import Created, CreatedObjects
from tests.identity_center.buckets import output_in_bucket

pytestmark = pytest.mark.pure

TIMES = [datetime(2026, 11, 24, hour, tzinfo=timezone.utc) for hour in (8, 9, 10)]
SUBJECT = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")


@pytest.fixture(params=["directory", "bucket"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return DirectoryStore(tmp_path)
    return output_in_bucket(request.getfixturevalue("org"))


def killed(output: Store, time: datetime, *operations: str) -> RunDirectory:
    """A run that has announced calls."""
    run = RunDirectory.begin(output, time)
    with run.journal() as journal:
        for operation in operations:
            journal.write(SUBJECT, "before", operation=operation)
    return run


def test_a_killed_run_is_carried_on_once(output: Store) -> None:
    first = killed(output, TIMES[0], "TagResource", "UpdatePermissionSet")
    assert unfinished(output) == [first.time]
    second = killed(output, TIMES[1], "DeleteGroup")
    told = [line["operation"] for line in second.lines()]
    assert told == ["TagResource", "UpdatePermissionSet", "DeleteGroup"]
    second.finish({"schema": 1, "created": []})
    assert unfinished(output) == []
    assert RunDirectory.begin(output, TIMES[2]).resumed == ()
    assert read_result(output, second.result)["resumes"] == [first.time]


def test_a_line_that_a_crash_has_torn_is_left_out(tmp_path: Path) -> None:
    run = killed(DirectoryStore(tmp_path), TIMES[0], "TagResource")
    with (tmp_path / "identity-center-runs" / run.time / "journal.jsonl").open("a") as file:
        file.write('{"operation": "Crea')
    assert [line["operation"] for line in run.lines()] == ["TagResource"]


def test_two_killed_runs_are_both_carried_on(output: Store) -> None:
    times = tuple(killed(output, time, "TagResource").time for time in TIMES[:2])
    assert RunDirectory.begin(output, TIMES[2]).resumed == times


def test_nothing_yet(output: Store) -> None:
    assert unfinished(output) == []


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("journal", r"{}/journal.jsonl is missing or empty: .*--new-records", id="journal"),
        pytest.param("result.json", "", id="result"),
        pytest.param("*", r"{} is missing: .* lifecycle rule", id="whole"),
    ],
)
def test_a_finished_run_of_which_records_are_lost_is_not_left_out(
    output: Store, lost: str, told: str
) -> None:
    """It may be all that says for which IAM users a membership was made. Without a result it counts as killed."""
    runs = [killed(output, time, "TagResource") for time in TIMES[:1]]
    runs[0].finish({"schema": 1, "created": []})
    runs.append(killed(output, TIMES[1], "TagResource"))
    runs[1].finish({"schema": 1, "created": []})
    place = f"identity-center-runs/{runs[0].time}/"
    for name in output.names(place) if lost else ():
        if name.startswith(f"{place}{lost.strip('*')}"):
            output.remove(name)
    if told:
        for read in (lambda: list(read_results(output)), lambda: RunDirectory.begin(output, TIMES[2])):
            with pytest.raises(IdentityCenterError, match=told.format(runs[0].time)):
                read()
    else:
        assert unfinished(output) == [run.time for run in runs if lost][:1]


def test_the_last_runs_are_those_that_no_other_follows(output: Store) -> None:
    """A copy of a directory is no run, and the clock of one run may have been ahead."""
    ahead = killed(output, TIMES[2], "TagResource")
    ahead.finish({"schema": 1, "created": []})
    for name in [*output.names(f"identity-center-runs/{ahead.time}/")]:
        output.create(name.replace(ahead.time, f"{ahead.time}.bak"), output.read(name) or b"")
    runs = [ahead]
    for time in TIMES[:2]:
        runs.append(killed(output, time, "TagResource"))
        runs[-1].finish({"schema": 1, "created": []})
    assert [run.follows for run in runs] == [(), (ahead.time,), (runs[1].time,)]
    assert unfinished(output) == []
    assert len(list(read_results(output))) == 4


def test_a_result_that_is_not_there(output: Store) -> None:
    with pytest.raises(IdentityCenterError, match="no such result of a run"):
        read_result(output, "result.json")


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_a_result_has_the_digest_that_is_given(output: Store, spelled: Callable[[str], str]) -> None:
    run = killed(output, TIMES[0])
    run.finish({"schema": 1, "created": []})
    content = output.read(run.result)
    assert content is not None
    assert read_result(output, run.result, spelled(sha256(content).hexdigest()))["created"] == []
    with pytest.raises(IdentityCenterError, match="it was changed after the run"):
        read_result(output, run.result, sha256(content + b" ").hexdigest())


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("identity-center-runs/20261124T080000Z/result.json", "20261124T080000Z"),
        ("identity-center-runs/20261124T080000Z/undo/result.json", ""),
        ("identity-center-runs/result.json", ""),
        ("moved/20261124T080000Z/result.json", ""),
        ("result.json", ""),
    ],
)
def test_the_time_of_a_result_is_in_its_place(name: str, time: str) -> None:
    assert time_of_result(name) == time


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"schema": 1}', '{"schema": 2, "created": []}'],
    ids=["empty", "list", "account", "later"],
)
def test_what_is_no_result_of_a_run(output: Store, text: str) -> None:
    output.replace("result.json", text.encode())
    with pytest.raises(IdentityCenterError, match=output.place("result.json")):
        read_result(output, "result.json")


@pytest.mark.parametrize(
    ("result", "output", "name"),
    [
        ("/o/identity-center-runs/1/result.json", "/o", "identity-center-runs/1/result.json"),
        ("/moved/result.json", "/moved", "result.json"),
        ("s3://b/p/identity-center-runs/1/result.json", "s3://b/p", "identity-center-runs/1/result.json"),
        ("s3://b/identity-center-runs/1/result.json", "s3://b", "identity-center-runs/1/result.json"),
        ("s3://b/result.json", "s3://b", "result.json"),
    ],
)
def test_the_output_of_a_result(result: str, output: str, name: str) -> None:
    assert run_of_result(result) == (output, name)


def test_a_place_where_no_lock_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IdentityCenterError, match="no lock can be made there"), exclusive(tmp_path / "file"):
        pass


def test_a_journal_in_a_directory_is_read_line_by_line(tmp_path: Path) -> None:
    """That of a first run over 80,000 users has some hundred megabytes."""

    class Watched(DirectoryStore):
        def read(self, name: str, largest: int = 0) -> bytes | None:
            assert not name.endswith("journal.jsonl")
            return super().read(name)

    output = Watched(tmp_path)
    run = killed(output, TIMES[0], "TagResource")
    assert [line["operation"] for line in run.lines()] == ["TagResource"]
    run.finish({"schema": 1, "created": []})
    assert [time for time, _ in read_results(output)] == [run.time]


def test_a_result_is_in_place_only_with_its_digest_in_the_journal(output: Store) -> None:
    run = killed(output, TIMES[0], "TagResource")
    rows = ({"number": number} for number in range(2))

    class Refusing:
        def write(self, *_: object, **__: object) -> None:
            raise JournalRefused("no room")

    class Unwritable(RunDirectory):
        def journal(self) -> AbstractContextManager[JournalWriter]:
            return nullcontext(Refusing())

    with pytest.raises(JournalRefused):
        Unwritable(output, run.time).finish({"schema": 1, "created": rows})
    assert output.read(run.result) is None
    assert unfinished(output) == [run.time]


def test_objects_of_a_journal_are_held_as_text() -> None:
    """A run has hundreds of thousands; each walk gives new ones."""
    given = {"IdentityStoreId": "d-1", "UserName": "alice", "Emails": [{"Value": "a@b.c"}]}
    line = {"operation": "CreateUser", "parameters": given}
    found = CreatedObjects()
    for phase in ({"phase": "before"}, {"phase": "after", "result": "done", "saved": {"user": "u-1"}}):
        found.add({**line, **phase})
    found.add({"operation": "CreateGroup", "phase": "before", "parameters": {"DisplayName": "g"}})
    expected = [Created("user", "u-1", given), Created("group", "", {"DisplayName": "g"}, certain=False)]
    assert list(found) == list(found) == expected
    found.add(
        {"operation": "CreateGroup", "phase": "after", "result": "failed", "parameters": {"DisplayName": "g"}}
    )
    assert list(found) == expected[:1]
