# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.exclusive import exclusive
from c7n_iamusers.fleet.run_directory import RunDirectory, read_result, unfinished

TIMES = [datetime(2026, 11, 24, hour, tzinfo=timezone.utc) for hour in (8, 9, 10)]


def test_a_killed_run_is_carried_on_once(tmp_path: Path) -> None:
    killed = RunDirectory.begin(tmp_path, TIMES[0])
    killed.journal.write_text('{"operation": "CreateUser"}\n{"operation": "Crea')
    assert unfinished(tmp_path) == [killed.journal]
    second = RunDirectory.begin(tmp_path, TIMES[1])
    second.journal.write_text('{"operation": "CreateGroup"}\n')
    assert [line["operation"] for line in second.lines()] == ["CreateUser", "CreateGroup"]
    second.finish({"schema": 1, "created": []})
    assert unfinished(tmp_path) == []
    assert RunDirectory.begin(tmp_path, TIMES[2]).resumed == ()
    assert read_result(second.result, 1)["resumes"] == [killed.path.name]


def test_two_killed_runs_are_both_carried_on(tmp_path: Path) -> None:
    journals = []
    for time in TIMES[:2]:
        run = RunDirectory.begin(tmp_path, time)
        run.journal.write_text("")
        journals.append(run.journal)
    assert list(RunDirectory.begin(tmp_path, TIMES[2]).resumed) == journals


def test_nothing_yet(tmp_path: Path) -> None:
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"schema": 1}', '{"schema": 2, "created": []}'],
    ids=["empty", "list", "account", "later"],
)
def test_what_is_no_result_of_a_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(IdentityCenterError, match=str(path)):
        read_result(path, 1)


def test_a_place_where_no_lock_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IdentityCenterError, match="no lock can be made there"), exclusive(tmp_path / "file"):
        pass
