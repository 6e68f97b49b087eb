# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from c7n_iamusers.aws.convergence import converge
from c7n_iamusers.aws.executor import Applied, CallFailed, Executor
from c7n_iamusers.aws.journal import Journal
from c7n_iamusers.model.calls import ApiCall
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.identity_center import subject

CREATE = ApiCall("identitystore", "CreateGroup", {"DisplayName": "g"}, save={"group": ("GroupId",)})


def run(tmp_path: Path, answers: list[object], states: list[bool], sleeps: Sleeps) -> tuple[bool, Applied]:
    """Converges on a group that the first reading lacks; ``states``: whether it is there at each later one."""
    client, applied, rest = ScriptedClient(create_group=answers), Applied(), iter(states)
    with Journal(tmp_path / "journal.jsonl") as journal:
        executor = Executor({"identitystore": client}, journal, sleeps.backoff())
        state = converge(
            executor,
            sleeps.backoff(),
            subject(),
            applied,
            False,
            lambda: next(rest),
            lambda present: () if present else (CREATE,),
        )
    return state, applied


def test_no_race_no_second_reading(tmp_path: Path) -> None:
    state, applied = run(tmp_path, [{"GroupId": "1"}], [], Sleeps())
    assert (state, applied.values, applied.calls) == (False, {"group": "1"}, 1)


def test_a_lost_response_is_judged_by_what_is_there_now(tmp_path: Path) -> None:
    sleeps = Sleeps()
    conflict = client_error("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION")
    state, applied = run(tmp_path, [conflict], [True], sleeps)
    assert (state, applied.values, len(sleeps)) == (True, {}, 1)


def test_a_write_that_has_not_spread_is_tried_again(tmp_path: Path) -> None:
    sleeps = Sleeps()
    answers = [client_error("ConflictException"), client_error("ResourceNotFoundException"), {"GroupId": "1"}]
    state, applied = run(tmp_path, answers, [False, False], sleeps)
    assert (state, applied.values, list(sleeps)) == (False, {"group": "1"}, [1.0, 2.0])


def test_other_failures_are_not_races(tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="AccessDeniedException"):
        run(tmp_path, [client_error("AccessDeniedException")], [], Sleeps())


def test_a_race_without_end_fails(tmp_path: Path) -> None:
    sleeps = Sleeps()
    with pytest.raises(CallFailed, match="ConflictException"):
        run(tmp_path, [client_error("ConflictException")] * 50, [False] * 50, sleeps)
    assert 60 <= sum(sleeps) <= 70
