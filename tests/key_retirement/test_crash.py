# SPDX-License-Identifier: Apache-2.0
"""A run on keys that is killed before or after its call, or gets no answer: the same command again ends it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from aws_local_org import LocalOrg
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import Run
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.outcomes import Outcome, outcome_of
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.key_retirement.user_keys import UserKeys
from c7n_iamusers.safeguards.reasons_to_spare import Guards
from tests.crashes import Crashes
from tests.plugins.keys import (
    WAIVED,
    activate,
    deactivate,
    key_of,
    key_policy,
    new_report,
    outcomes_of_keys,
    retire,
    statuses,
)
from tests.plugins.test_key_actions import codes
from tests.policies import ACCOUNT
from tests.quarantine.test_user_quarantine import _records, running

UNUSED = {"type": "unnecessary", "exempt": "none", "unused": 90}
INACTIVE = {"type": "unnecessary", "exempt": "none", "status": "inactive"}
PARKING = key_policy("under-test", {"type": "deactivate", "reason": "unused", **WAIVED}, filters=[UNUSED])
GIVING_BACK = key_policy("giving-back", {"type": "activate"}, filters=[])
RETIREMENT = key_policy(
    "retiring", {"type": "retire", "noticed": "none", "parked-for": 0.00000001}, filters=[INACTIVE]
)


@pytest.fixture(scope="module")
def crashes(local_org: LocalOrg) -> Iterator[Crashes]:
    found = Crashes(local_org.environment())
    yield found
    found.close()


@pytest.fixture
def keys(org: LocalOrg) -> tuple[str, str]:
    """Of jane: one that is unused for a year, and one in use."""
    return key_of(org, "jane", 400, 365), key_of(org, "jane", 100, 1)


def killed(crashes: Crashes, calls: int, output: Path, data: dict[str, Any]) -> None:
    assert crashes.run(calls, output, data) == -signal.SIGKILL


def phases(output: Path, name: str) -> list[tuple[str, str]]:
    lines = (output / name / "journal.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [(line["phase"], line["operation"]) for line in found if line["phase"] in ("before", "after")]


def test_parking_that_was_killed_before_its_call_is_made_by_the_next_run(
    org: LocalOrg, keys: tuple[str, str], crashes: Crashes, tmp_path: Path
) -> None:
    unused, used = keys
    killed(crashes, 0, tmp_path, PARKING)
    assert statuses(org, "jane") == {unused: "Active", used: "Active"}
    # the record was durable before the call
    assert phases(tmp_path, "under-test") == [("before", "UpdateAccessKey")]
    assert codes(deactivate(tmp_path)) == {unused: ("deactivated", "KeyComesBack")}
    assert statuses(org, "jane") == {unused: "Inactive", used: "Active"}
    assert codes(activate(tmp_path))[unused] == ("activated", "KeyWasParked")


def test_parking_that_was_killed_after_its_call_is_told_by_the_next_run(
    org: LocalOrg, keys: tuple[str, str], crashes: Crashes, tmp_path: Path
) -> None:
    unused, used = keys
    killed(crashes, 1, tmp_path, PARKING)
    for _ in range(2):
        assert codes(deactivate(tmp_path)) == {unused: ("deactivated", "KeyByStoppedRun")}
    assert statuses(org, "jane") == {unused: "Inactive", used: "Active"}
    # nobody proves that it was this tool's call: it is not deleted, and given back only with consent
    assert codes(retire(org, tmp_path)) == {unused: ("skipped", "KeyNotProvenOurs")}
    assert codes(activate(tmp_path))[unused] == ("failed", "KeyNotProvenOurs")
    assert codes(activate(tmp_path, adopt=True))[unused] == ("activated", "KeyWasParked")
    assert statuses(org, "jane") == {unused: "Active", used: "Active"}


@pytest.mark.parametrize("calls", [0, 1])
def test_giving_back_that_was_killed_is_ended_by_the_next_run(
    org: LocalOrg, keys: tuple[str, str], crashes: Crashes, tmp_path: Path, calls: int
) -> None:
    unused, used = keys
    deactivate(tmp_path)
    killed(crashes, calls, tmp_path, GIVING_BACK)
    expected = ("unchanged", "KeyActive") if calls else ("activated", "KeyWasParked")
    assert codes(activate(tmp_path))[unused] == expected
    if calls:
        (row,) = (each for each in outcomes_of_keys(tmp_path, "giving-back").values() if "history" in each)
        assert [(each["status"], each["code"]) for each in row["history"]] == [
            ("activated", "KeyByStoppedRun")
        ]
    assert statuses(org, "jane") == {unused: "Active", used: "Active"}
    assert codes(deactivate(tmp_path)) == {unused: ("skipped", "KeyGivenBack")}


@pytest.mark.parametrize("calls", [0, 1])
def test_retirement_that_was_killed_is_ended_by_the_next_run(
    org: LocalOrg, keys: tuple[str, str], crashes: Crashes, tmp_path: Path, calls: int
) -> None:
    unused, used = keys
    deactivate(tmp_path)
    new_report(org)
    killed(crashes, calls, tmp_path, RETIREMENT)
    expected = ("retired", "KeyByStoppedRun") if calls else ("retired", "KeyWasParked")
    assert codes(retire(org, tmp_path)) == {unused: expected}
    assert statuses(org, "jane") == {used: "Active"}


def test_what_somebody_did_after_a_killed_run_is_told_as_it_is(
    org: LocalOrg, keys: tuple[str, str], crashes: Crashes, tmp_path: Path
) -> None:
    unused, _ = keys
    killed(crashes, 1, tmp_path, PARKING)
    org.client("iam", ACCOUNT).delete_access_key(UserName="jane", AccessKeyId=unused)
    rows = deactivate(tmp_path)
    assert rows[unused]["status"] == "failed"
    assert rows[unused]["code"] == "RunStopped"


#: An answer of AWS.
ACCEPTED = {"ResponseMetadata": {"RequestId": "0b1c2d3e", "HTTPStatusCode": 200}}


class Answers:
    """The answers to ``operation`` that are lost: the first ``times``, before or after AWS ``applied`` the call."""

    def __init__(self, iam: Any, operation: str, applied: bool, times: int) -> None:
        self.left, self._applied, self._times = times, applied, times
        self._method = getattr(iam, operation)

    def __call__(self, **parameters: Any) -> Any:
        if not self.left:
            return self._method(**parameters)
        first = self.left == self._times
        self.left -= 1
        if self._applied and first:
            self._method(**parameters)
        raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")


ACTIONS: dict[str, tuple[str, Callable[[UserKeys], Any], str, str]] = {
    "deactivate": ("update_access_key", lambda keys: keys.deactivate, "deactivated", "Inactive"),
    "activate": ("update_access_key", lambda keys: keys.activate, "activated", "Active"),
    "retire": ("delete_access_key", lambda keys: keys.retire, "retired", ""),
}


def once(
    org: LocalOrg, output: Path, key_id: str, action: str, lose: Callable[[Any], Any] | None = None
) -> Outcome:
    """One run of ``action`` on the key, whose answers ``lose`` loses."""
    with running(org, output) as run:
        return _outcome(run, key_id, action, lose)


def _outcome(run: Run, key_id: str, action: str, lose: Callable[[Any], Any] | None) -> Outcome:
    operation, work, *_ = ACTIONS[action]
    found = LiveUsers(run.client, 1, run.backoff).read_fully("jane")
    assert found
    user: Subject = found.subject
    made = UserKeys(run, _records(run), {key_id: user}, lambda: Guards(run.callers), "park", "unused")
    with pytest.MonkeyPatch.context() as patch:
        if lose:  # the client is that of other tests, too
            patch.setattr(run.client, operation, lose(run.client))
        return outcome_of(user.key(key_id), work(made), Interruption())


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
@pytest.mark.parametrize("action", ACTIONS)
def test_one_answer_that_is_lost(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, action: str, applied: bool
) -> None:
    unused, used = keys
    if action != "deactivate":
        assert once(org, tmp_path, unused, "deactivate").status == "deactivated"
    operation, _, status, state = ACTIONS[action]
    outcome = once(org, tmp_path, unused, action, lambda iam: Answers(iam, operation, applied, 1))
    assert outcome.status == status
    assert statuses(org, "jane").get(unused, "") == state
    assert statuses(org, "jane")[used] == "Active"


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
@pytest.mark.parametrize("action", ACTIONS)
def test_answers_that_are_all_lost_are_a_failure_and_the_next_run_ends_it(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, action: str, applied: bool
) -> None:
    unused, used = keys
    if action != "deactivate":
        once(org, tmp_path, unused, "deactivate")
    operation, _, status, state = ACTIONS[action]
    outcome = once(org, tmp_path, unused, action, lambda iam: Answers(iam, operation, applied, 99))
    assert outcome.status == "failed"
    again = once(org, tmp_path, unused, action)
    ended = {"deactivate": "unchanged", "activate": "unchanged", "retire": "skipped"}
    assert again.status == (ended[action] if applied else status)
    assert statuses(org, "jane").get(unused, "") == state
    assert statuses(org, "jane")[used] == "Active"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_change_that_aws_accepts_and_never_shows_is_a_failure(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, action: str
) -> None:
    if action != "deactivate":
        once(org, tmp_path, keys[0], "deactivate")
    outcome = once(org, tmp_path, keys[0], action, lambda _: lambda **_: ACCEPTED)
    assert (outcome.status, outcome.reason.code) == ("failed", "KeyChangeNotShown")
