# SPDX-License-Identifier: Apache-2.0
"""The bounded form of ``make explore``: a trace of each flow, and what the explorer found on the way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.explorer.judge import Judge
from tests.explorer.mutants import MUTANTS
from tests.explorer.rights import rights

#: Of tests.explorer.flows, which loads the package: a test here starts processes of its own.
FLOWS = (
    "composite-delete",
    "quarantine",
    "quarantine-keep",
    "brownout",
    "release",
    "release-kept",
    "release-boundary",
    "delete-quarantined",
    "delete-resumed",
    "release-resumed",
    "delete-untold",
    "delete-attached",
    "delete-boundary",
    "park",
    "park-again",
    "give-back",
    "retire",
    "announce",
    "provision",
    "undo",
    "prune",
    "restore",
    "restore-half",
    "restore-undone",
)
#: A trace of each of these is tried too; the others are the same calls after something else. ``make explore`` has all.
DISTURBED = {
    "composite-delete",
    "quarantine",
    "release",
    "announce",
    "provision",
    "undo",
    "prune",
    "restore",
}
TREE = Path(__file__).parents[2]
COMMAND = (sys.executable, "-W", "ignore", "-m", "tests.explorer")
#: Runs one trace; what it breaks.
Explore = Callable[[str], tuple[str, ...]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[[str], dict[str, Any]]]:
    """Another process, which answers a line with a line."""
    with subprocess.Popen(
        [*COMMAND, "--serve"], cwd=TREE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def asked(line: str) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            found: dict[str, Any] = json.loads(process.stdout.readline())
            return found

        yield asked


@pytest.fixture
def explore(ask: Callable[[str], dict[str, Any]]) -> Explore:
    def explored(trace: str) -> tuple[str, ...]:
        found = ask(trace)
        assert found["missed"] == "", "the run makes no such call any more"
        return tuple(found["broken"])

    return explored


@pytest.mark.parametrize("flow", FLOWS)
def test_a_sample_of_traces_holds(flow: str, ask: Callable[[str], dict[str, Any]]) -> None:
    assert ask(f"sample {flow} {int(flow in DISTURBED)}") == {"broken": [], "missed": ""}


def test_every_flow_is_sampled() -> None:
    source = Path(__file__).with_name("flows.py").read_text()
    assert re.findall(r'\bFlow\(\s*"([^"]+)"', source) == [*FLOWS]


def test_a_clock_set_back_in_a_deletion(explore: Explore) -> None:
    # told: run 2: its outcome is failed, and the run ended as if all were well
    assert explore("composite-delete: clock-back@DetachUserPolicy") == ()


def test_a_restoration_whose_journal_is_removed(explore: Explore) -> None:
    # journal: run 1, iam:CreateUser: no line announces it
    assert explore("restore: output-removed@GetGroup") == ()


def test_an_output_removed_while_the_user_is_looked_at_for_the_last_time(explore: Explore) -> None:
    # journal: run 1, iam:PutUserPolicy: no line announces it
    assert explore("quarantine: output-removed@GetUser#2") == ()


def test_release_boundary_deny_imitated_getqueueattributes(explore: Explore) -> None:
    # the credentials stayed inactive: an imitated Deny of an earlier time hid the record of the quarantine
    assert explore("release-boundary: deny-imitated@GetQueueAttributes") == ()


def test_a_journal_removed_before_the_deny_is_put_back(explore: Explore) -> None:
    # journal: run 1, iam:PutUserPolicy#2: no line announces it
    assert explore("composite-delete: journal-removed@DeleteUserPolicy#2") == ()


def test_a_run_that_fails_for_a_notice_of_tomorrow_reaches_no_goal(explore: Explore) -> None:
    # converges: run 2: she may
    assert explore("quarantine: clock-forward@ListSSHPublicKeys, throttled-on@GetUser") == ()


def test_parking_that_is_killed_before_its_call(explore: Explore) -> None:
    # converges: run 2: the key is active
    assert explore("park: killed@UpdateAccessKey") == ()


@pytest.mark.sampled
@pytest.mark.parametrize(
    "name",
    [
        "what-is-given-back-hides-what-was-removed",
        "identity-not-compared",
        "a-lost-answer-is-a-refusal",
        "an-untold-owner-is-no-failure",
    ],
)
def test_a_seeded_defect_is_found(name: str) -> None:
    done = subprocess.run(
        [*COMMAND, "--mutant", name, "--replay", MUTANTS[name].trace],
        cwd=TREE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    kinds = ("never wider: run 1", "untouched: run 1", "journal: run 1", "told: run 1", "converges: run 2")
    assert any(kind in done.stdout for kind in kinds)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_seeded_defect_changes_one_place(name: str) -> None:
    mutant = MUTANTS[name]
    assert (TREE / mutant.file).read_text().count(mutant.before) == 1
    assert mutant.before != mutant.after


def text(*statements: dict[str, Any]) -> str:
    return json.dumps({"Statement": list(statements)})


ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY = {**ALL, "Effect": "Deny"}
PAST, FUTURE = ({"DateLessThan": {"aws:CurrentTime": f"{year}-01-01T00:00:00Z"}} for year in (2020, 2040))


@pytest.mark.parametrize(
    ("operation", "inline", "broken"),
    [
        pytest.param("DeleteAccessKey", [ALL], 1, id="allowed"),
        pytest.param("DeleteAccessKey", [ALL, DENY], 0, id="denied"),
        pytest.param("DeleteUser", [ALL], 0, id="nothing-is-left-to-take"),
        pytest.param("PutUserPolicy", [ALL], 0, id="takes-nothing"),
    ],
)
def test_a_deletion_takes_something_under_a_deny_only(
    operation: str, inline: list[dict[str, Any]], broken: int
) -> None:
    alice = {"name": "alice", "inline": {"own": text(*inline)}, "attached": {}, "groups": {}, "boundary": ""}
    facts = {"users": {"1/AIDA": alice}, "policies": {}, "groups": {}}
    judge = Judge("1/AIDA", facts, facts, {})
    judge.removes(operation, {"UserName": "alice"}, facts, datetime(2030, 1, 1, tzinfo=timezone.utc), "run 1")
    assert len(judge.broken) == broken


@pytest.mark.parametrize(
    ("inline", "boundary", "may"),
    [
        pytest.param([ALL], "", True, id="allowed"),
        pytest.param([], "", False, id="nothing"),
        pytest.param([ALL, DENY], "", False, id="denied"),
        pytest.param([{**ALL, "Action": "S3:get*"}], "", True, id="in-any-case"),
        pytest.param([{**ALL, "Action": "s3:Put*"}], "", False, id="another-action"),
        pytest.param([ALL, {**DENY, "Resource": "arn:aws:s3:::other/*"}], "", True, id="denied-elsewhere"),
        pytest.param([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "", True, id="not-action"),
        pytest.param([ALL, {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}], "", False, id="deny-not-action"),
        pytest.param([ALL, {**DENY, "Condition": PAST}], "", True, id="a-brownout-that-is-over"),
        pytest.param([ALL, {**DENY, "Condition": FUTURE}], "", False, id="a-brownout"),
        pytest.param([ALL], "reading", True, id="within-the-boundary"),
        pytest.param([ALL], "nothing", False, id="beyond-the-boundary"),
        pytest.param([ALL], "gone", False, id="a-boundary-that-is-gone"),
    ],
)  # fmt: skip
def test_what_a_user_may_do(inline: list[dict[str, Any]], boundary: str, may: bool) -> None:
    user = {"inline": {"own": text(*inline)}, "attached": {}, "groups": {}, "boundary": boundary}
    policies = {"reading": text({**ALL, "Action": "s3:Get*"}), "nothing": text(DENY)}
    found = rights(user, policies, {}, datetime(2030, 1, 1, tzinfo=timezone.utc))
    asked = ("s3:GetObject", "arn:aws:s3:::data/report")
    assert ((*asked, True) in found, (*asked, False) in found) == (may, may)


def test_a_condition_that_is_not_known_may_hold_or_not() -> None:
    document = text({**ALL, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}})
    user = {"inline": {"own": document}, "attached": {}, "groups": {}, "boundary": ""}
    found = rights(user, {}, {}, datetime(2030, 1, 1, tzinfo=timezone.utc))
    assert {holds for action, _, holds in found if action == "s3:GetObject"} == {True}
