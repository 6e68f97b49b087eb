# SPDX-License-Identifier: Apache-2.0
"""What somebody else does to a parked key, or right before a call, spares the key and ends our claim on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from c7n_iamusers.execution import executor
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import JournalReader
from c7n_iamusers.execution.journaled_call import JournaledCall
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.key_retirement import key_history
from c7n_iamusers.key_retirement.user_keys import UserKeys
from c7n_iamusers.plugins import user_action
from c7n_iamusers.safeguards.gate_readings import Gates
from c7n_iamusers.snapshots import user_records
from tests.crashes import Crashes
from tests.fakes import client_error
from tests.key_retirement.test_crash import GIVING_BACK, PARKING, RETIREMENT, crashes, killed
from tests.plugins.keys import activate, deactivate, key_of, new_report, retire, statuses, use_key
from tests.plugins.test_key_actions import codes
from tests.plugins.test_quarantine import quarantine, release
from tests.policies import ACCOUNT

__all__ = ["crashes"]


@pytest.fixture
def key(org: LocalOrg) -> str:
    """Of jane, unused for a year. Her other key is in use."""
    key_of(org, "jane", 100, 1)
    return key_of(org, "jane", 400, 365)


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What IAM shows is never old."""
    monkeypatch.setattr(key_history, "SETTLED", timedelta(0))


def before_calls(monkeypatch: pytest.MonkeyPatch, before: Callable[[str, Any], None]) -> None:
    """``before`` is called with the operation and its parameters, and may raise."""
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def call(self: Any, operation: str, parameters: Any) -> Any:
        before(operation, parameters)
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


def faulty_after(monkeypatch: pytest.MonkeyPatch, operation: str, failing: str, code: str) -> None:
    """Once ``operation`` is answered, ``failing`` is refused with ``code``."""
    original, answered = BaseClient._make_api_call, list[str]()  # type: ignore[attr-defined]

    def call(self: Any, name: str, parameters: Any) -> Any:
        if answered and name == failing:
            raise client_error(code)
        answer = original(self, name, parameters)
        if name == operation:
            answered.append(name)
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


def switch(org: LocalOrg, key: str, status: str) -> None:
    """Somebody else sets the status of jane's key."""
    org.client("iam", ACCOUNT).update_access_key(UserName="jane", AccessKeyId=key, Status=status)


def test_a_key_that_a_run_saw_active_is_nobodys_to_give_or_delete(
    org: LocalOrg, key: str, tmp_path: Path
) -> None:
    deactivate(tmp_path)
    switch(org, key, "Active")
    new_report(org)
    assert codes(deactivate(tmp_path))[key] == ("skipped", "KeyActivatedSince")
    switch(org, key, "Inactive")
    assert codes(activate(tmp_path))[key] == ("failed", "KeySeenActive")
    assert codes(retire(org, tmp_path))[key] == ("skipped", "KeySeenActive")
    assert codes(deactivate(tmp_path, status="inactive"))[key] == ("unchanged", "KeyInactiveBefore")
    assert statuses(org, "jane")[key] == "Inactive"
    assert codes(activate(tmp_path, adopt=True))[key] == ("activated", "KeyWasParked")


@pytest.mark.parametrize("seen_by", ["deactivate", "activate", "retire"])
def test_each_run_records_that_a_parked_key_is_active(
    org: LocalOrg, key: str, tmp_path: Path, seen_by: str
) -> None:
    deactivate(tmp_path)
    switch(org, key, "Active")
    new_report(org)
    runs: dict[str, Callable[[Path], Any]] = {
        "deactivate": deactivate,
        "activate": activate,
        "retire": lambda output: retire(org, output, status="active", unused=9),
    }
    runs[seen_by](tmp_path)
    switch(org, key, "Inactive")
    assert codes(retire(org, tmp_path))[key] == ("skipped", "KeySeenActive")


def test_what_may_be_shown_late_is_not_recorded(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_history, "SETTLED", timedelta(minutes=15))
    deactivate(tmp_path)
    switch(org, key, "Active")
    new_report(org)
    deactivate(tmp_path)
    switch(org, key, "Inactive")
    assert codes(activate(tmp_path))[key] == ("activated", "KeyWasParked")


def test_a_killed_give_back_that_was_applied_ends_the_parking(
    org: LocalOrg, key: str, crashes: Crashes, tmp_path: Path
) -> None:
    deactivate(tmp_path)
    killed(crashes, 1, tmp_path, GIVING_BACK)
    assert statuses(org, "jane")[key] == "Active"
    activate(tmp_path)
    switch(org, key, "Inactive")
    assert codes(activate(tmp_path))[key] == ("failed", "KeyNotParked")
    assert statuses(org, "jane")[key] == "Inactive"


@pytest.mark.parametrize("applied", [True, False])
def test_a_key_whose_give_back_was_killed_is_not_deleted_and_comes_back(
    org: LocalOrg, key: str, crashes: Crashes, tmp_path: Path, applied: bool
) -> None:
    deactivate(tmp_path)
    killed(crashes, int(applied), tmp_path, GIVING_BACK)
    switch(org, key, "Inactive")
    assert codes(retire(org, tmp_path))[key] == ("skipped", "KeyGivenBack")
    assert codes(activate(tmp_path))[key] == ("activated", "KeyWasParked")


@pytest.mark.parametrize("change", ["activated", "used"])
def test_a_key_that_changes_while_its_deletion_is_tried_again_stays(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    deactivate(tmp_path)
    tries = list[str]()

    def meanwhile(operation: str, _: Any) -> None:
        if operation == "DeleteAccessKey":
            tries.append(operation)
            if change == "activated":
                switch(org, key, "Active")
            use_key(org, key, 0)
            raise client_error("Throttling")

    with monkeypatch.context() as patched:
        before_calls(patched, meanwhile)
        status, code = codes(retire(org, tmp_path))[key]
    assert (status, code) == (
        "skipped",
        "KeyActivatedSince" if change == "activated" else "KeyUsedSinceParked",
    )
    assert len(tries) == 1
    assert key in statuses(org, "jane")


def test_a_key_that_others_activate_again_and_again_ends_the_attempts(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(100))

    def meanwhile(operation: str, _: Any) -> None:
        if operation == "UpdateAccessKey":
            use_key(org, key, 300 - next(times))
            raise client_error("Throttling")

    with monkeypatch.context() as patched:
        before_calls(patched, meanwhile)
        assert codes(deactivate(tmp_path))[key][0] == "failed"
    assert next(times) == 3
    assert statuses(org, "jane")[key] == "Active"


@pytest.mark.parametrize("change", ["deactivate", "retire"])
def test_what_aws_did_not_show_at_once_is_settled_by_the_next_run(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    operation, done = {
        "deactivate": ("UpdateAccessKey", "deactivated"),
        "retire": ("DeleteAccessKey", "retired"),
    }[change]

    def run() -> Any:
        return deactivate(tmp_path) if change == "deactivate" else retire(org, tmp_path)

    if change == "retire":
        deactivate(tmp_path)
    with monkeypatch.context() as patched:
        faulty_after(patched, operation, "GetUser", "ExpiredToken")
        assert codes(run())[key][0] == "failed"
    new_report(org)
    assert codes(run())[key] == (done, "KeyShownLater")
    assert codes(run())[key] == (done, "KeyShownLater")


def test_a_key_of_a_renamed_user_is_not_told_as_deleted(
    org: LocalOrg, key: str, crashes: Crashes, tmp_path: Path
) -> None:
    deactivate(tmp_path)
    new_report(org)
    killed(crashes, 0, tmp_path, RETIREMENT)
    org.client("iam", ACCOUNT).update_user(UserName="jane", NewUserName="janet")
    rows = codes(retire(org, tmp_path, 5))
    assert rows[key][0] != "retired"
    assert key in statuses(org, "janet")


@pytest.mark.parametrize("answer", ["killed", "lost"])
def test_a_key_that_comes_back_after_a_parking_without_an_answer_is_not_parked_again(
    org: LocalOrg,
    key: str,
    crashes: Crashes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
) -> None:
    if answer == "killed":
        killed(crashes, 1, tmp_path, PARKING)
        assert codes(deactivate(tmp_path))[key] == ("deactivated", "KeyByStoppedRun")
    else:
        with monkeypatch.context() as patched:
            lost_after(patched, "UpdateAccessKey")
            assert codes(deactivate(tmp_path))[key][0] == "failed"
        new_report(org)
        assert codes(deactivate(tmp_path))[key] == ("deactivated", "KeyShownLater")
    switch(org, key, "Active")
    new_report(org)
    assert codes(deactivate(tmp_path))[key] == ("skipped", "KeyActivatedSince")
    assert statuses(org, "jane")[key] == "Active"


def lost_after(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """The answer of ``operation`` is lost, and from then on nothing can be read."""
    original, lost = BaseClient._make_api_call, list[str]()  # type: ignore[attr-defined]

    def call(self: Any, name: str, parameters: Any) -> Any:
        if lost:
            raise client_error("ExpiredToken")
        answer = original(self, name, parameters)
        if name == operation:
            lost.append(name)
            raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


@pytest.mark.parametrize("change", ["deactivate", "retire"])
def test_an_exemption_that_comes_with_a_lost_answer_counts(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The user changes too, so that it is judged again. The lost call may still be applied: no skipped key."""
    rules = tmp_path / "exemptions.csv"
    rules.write_text("user,reason,expires\nnobody,a test,2999-12-31\n")
    flagging = {"type": "unnecessary", "exempt-from": str(rules)}
    if change == "retire":
        deactivate(tmp_path)
    new_report(org)
    tries = list[str]()

    def meanwhile(operation: str, _: Any) -> None:
        if operation not in ("UpdateAccessKey", "DeleteAccessKey") or tries:
            return
        tries.append(operation)
        (other,) = (each for each in statuses(org, "jane") if each != key)
        switch(org, other, "Inactive")
        rules.write_text("user,reason,expires\njane,a test,2999-12-31\n")
        raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")

    monkeypatch.setattr(Gates, "_is_due", lambda *_: True)
    with monkeypatch.context() as patched:
        before_calls(patched, meanwhile)
        if change == "deactivate":
            found = deactivate(tmp_path, filters=[{**flagging, "unused": 90}])
        else:
            found = retire(org, tmp_path, filters=[{**flagging, "status": "inactive"}])
    assert tries
    assert codes(found)[key] == ("failed", "Exempt")
    assert statuses(org, "jane")[key] == ("Active" if change == "deactivate" else "Inactive")


def test_what_the_owner_does_after_a_refused_try_is_not_ours(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = list[str]()

    def meanwhile(operation: str, _: Any) -> None:
        if operation == "UpdateAccessKey" and not tries:
            tries.append(operation)
            switch(org, key, "Inactive")
            raise client_error("Throttling")

    with monkeypatch.context() as patched:
        before_calls(patched, meanwhile)
        assert codes(deactivate(tmp_path))[key] == ("unchanged", "KeyInactiveBefore")
    assert codes(activate(tmp_path))[key] == ("failed", "KeyNotParked")
    assert statuses(org, "jane")[key] == "Inactive"


def test_a_quarantine_that_found_a_parked_key_active_ends_its_parking(
    org: LocalOrg, key: str, tmp_path: Path
) -> None:
    deactivate(tmp_path, name="parking")
    switch(org, key, "Active")
    quarantine(tmp_path)
    release(tmp_path)
    assert statuses(org, "jane")[key] == "Active"
    switch(org, key, "Inactive")
    assert codes(retire(org, tmp_path))[key] == ("skipped", "KeySeenActive")
    assert codes(activate(tmp_path))[key] == ("failed", "KeySeenActive")


def test_a_quarantine_that_found_it_parked_leaves_its_record(org: LocalOrg, key: str, tmp_path: Path) -> None:
    deactivate(tmp_path, name="parking")
    quarantine(tmp_path)
    release(tmp_path)
    assert codes(activate(tmp_path))[key] == ("activated", "KeyWasParked")


def test_no_failure_is_settled_by_a_call_that_had_its_outcome(
    org: LocalOrg, key: str, tmp_path: Path
) -> None:
    deactivate(tmp_path)
    activate(tmp_path)
    switch(org, key, "Inactive")
    assert codes(activate(tmp_path))[key] == ("failed", "KeyNotParked")
    switch(org, key, "Active")
    found = activate(tmp_path)
    assert codes(found)[key] == ("unchanged", "KeyActive")
    assert "KeyShownLater" not in {each["code"] for each in found[key]["history"]}


def test_a_deletion_before_which_a_run_was_killed_is_not_told_by_another_users_lack_of_the_key(
    org: LocalOrg, key: str, crashes: Crashes, tmp_path: Path
) -> None:
    deactivate(tmp_path)
    new_report(org)
    killed(crashes, 0, tmp_path, RETIREMENT)
    iam = org.client("iam", ACCOUNT)
    iam.update_user(UserName="jane", NewUserName="janet")
    iam.create_user(UserName="jane")
    retire(org, tmp_path, 5)
    assert key in statuses(org, "janet")
    rows = json.loads((tmp_path / "retiring" / "outcomes.json").read_text())
    assert {each["status"] for each in rows} == {"failed", "skipped"}


def test_what_was_done_to_the_key_of_a_user_that_is_renamed_right_after_is_told(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deactivate(tmp_path)
    iam = org.client("iam", ACCOUNT)
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def renamed(self: Any, operation: str, parameters: Any) -> Any:
        answer = original(self, operation, parameters)
        if operation == "DeleteAccessKey":
            original(iam, "UpdateUser", {"UserName": "jane", "NewUserName": "janet"})
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", renamed)
        assert codes(retire(org, tmp_path))[key][0] == "failed"
    assert codes(retire(org, tmp_path))[key] == ("retired", "KeyShownLater")


def lost(monkeypatch: pytest.MonkeyPatch, before: Callable[[], object], *, applied: bool) -> None:
    """The answer to the first try of a change of a key is lost. Then ``before`` is called."""
    original, tries = BaseClient._make_api_call, list[str]()  # type: ignore[attr-defined]

    def call(self: Any, name: str, parameters: Any) -> Any:
        if name not in ("UpdateAccessKey", "DeleteAccessKey") or tries:
            return original(self, name, parameters)
        tries.append(name)
        if applied:
            original(self, name, parameters)
        before()
        raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


@pytest.mark.parametrize("applied", [True, False])
def test_after_a_lost_answer_nobody_knows_who_made_a_key_inactive(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    def by_others() -> None:
        if not applied:
            switch(org, key, "Inactive")

    with monkeypatch.context() as patched:
        lost(patched, by_others, applied=applied)
        assert codes(deactivate(tmp_path))[key] == ("deactivated", "KeyNotProvenOurs")
    assert codes(retire(org, tmp_path))[key] == ("skipped", "KeyNotProvenOurs")
    assert codes(activate(tmp_path))[key] == ("failed", "KeyNotProvenOurs")
    assert codes(activate(tmp_path, adopt=True))[key] == ("activated", "KeyWasParked")


def test_a_key_that_a_lost_call_may_have_changed_is_not_told_as_left_alone(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        lost(patched, lambda: use_key(org, key, 1), applied=False)
        assert codes(deactivate(tmp_path))[key] == ("failed", "KeyNoLongerSelected")


def test_a_key_whose_owner_deletes_it_after_a_refused_try_is_not_told_as_deleted_by_us(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deactivate(tmp_path)
    iam = org.client("iam", ACCOUNT)
    original, tries = BaseClient._make_api_call, list[str]()  # type: ignore[attr-defined]

    def call(self: Any, name: str, parameters: Any) -> Any:
        if name == "DeleteAccessKey" and not tries:
            tries.append(name)
            original(iam, name, parameters)
            raise client_error("Throttling")
        return original(self, name, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        assert codes(retire(org, tmp_path))[key] == ("skipped", "KeyGone")


def test_a_lost_call_before_a_refused_one_is_settled(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, tries = BaseClient._make_api_call, list[str]()  # type: ignore[attr-defined]

    def call(self: Any, name: str, parameters: Any) -> Any:
        if (
            name == "ListAccessKeys" and tries
        ):  # an old answer, twice: after the lost call, and for the second attempt
            answer = original(self, name, parameters)
            for each in answer["AccessKeyMetadata"]:
                each["Status"] = "Active"
            return answer
        if name == "UpdateAccessKey":
            tries.append(name)
            if len(tries) > 1:
                raise client_error("AccessDenied")
            original(self, name, parameters)
            use_key(org, key, 300)
            raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")
        return original(self, name, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        assert codes(deactivate(tmp_path))[key][0] == "failed"
    assert len(tries) == 2
    new_report(org)
    assert codes(deactivate(tmp_path))[key] == ("deactivated", "KeyShownLater")


def test_a_quarantine_that_was_killed_found_the_key_active(
    org: LocalOrg, key: str, crashes: Crashes, tmp_path: Path
) -> None:
    deactivate(tmp_path)
    switch(org, key, "Active")
    for each in statuses(org, "jane"):
        if each != key:
            org.client("iam", ACCOUNT).delete_access_key(UserName="jane", AccessKeyId=each)
    action = {"type": "quarantine", "reason": "unused", "active-within": "none", "noticed": "none"}
    data = {"name": "quarantining", "actions": [action]}
    killed(crashes, 2, tmp_path, {**data, "filters": [{"type": "unnecessary", "exempt": "none"}]})
    assert statuses(org, "jane")[key] == "Inactive"
    quarantine(tmp_path)
    release(tmp_path)
    new_report(org)
    assert codes(retire(org, tmp_path, **{"include-last": True}))[key] == ("skipped", "KeySeenActive")
    assert codes(activate(tmp_path))[key] == ("failed", "KeySeenActive")


def test_what_another_policy_does_during_a_run_is_seen(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its journal is read again. Here it gives the key back, and somebody else makes it inactive."""
    deactivate(tmp_path, name="parking")
    activate(tmp_path)
    switch(org, key, "Inactive")
    written = tmp_path / "giving-back"
    aside = written.rename(tmp_path.with_name(f"{tmp_path.name}-aside"))
    original, begun = UserKeys.retire, list[str]()

    def retiring(self: Any, *arguments: Any) -> Any:
        self.records.recent(arguments[0])
        begun.append(key)
        aside.rename(written)
        return original(self, *arguments)

    monkeypatch.setattr(UserKeys, "retire", retiring)
    monkeypatch.setattr(user_records, "RECENT", timedelta(0))
    assert codes(retire(org, tmp_path))[key] == ("skipped", "KeyNotParked")
    assert begun


def test_the_key_is_read_again_if_writing_the_line_took_long(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here its owner gives it back and uses it meanwhile."""
    deactivate(tmp_path)
    original = JournaledCall.begin

    def slow(self: Any, *arguments: Any) -> Any:
        found = original(self, *arguments)
        switch(org, key, "Active")
        use_key(org, key, 0)
        return found

    monkeypatch.setattr(JournaledCall, "begin", slow)
    monkeypatch.setattr(executor, "_SLOW", -1.0)
    assert codes(retire(org, tmp_path))[key][0] == "skipped"
    assert key in statuses(org, "jane")


@pytest.mark.parametrize("answer", ["answered", "lost"])
def test_a_key_whose_user_is_renamed_right_before_its_deletion_is_not_told_as_deleted(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    deactivate(tmp_path)
    iam = org.client("iam", ACCOUNT)
    original, tries = BaseClient._make_api_call, list[str]()  # type: ignore[attr-defined]

    def call(self: Any, name: str, parameters: Any) -> Any:
        if name == "DeleteAccessKey":
            tries.append(name)
            if answer == "lost" and len(tries) == 1:
                raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")
            original(iam, "UpdateUser", {"UserName": "jane", "NewUserName": "janet"})
        return original(self, name, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        assert codes(retire(org, tmp_path))[key] == ("failed", "Renamed")
    assert key in statuses(org, "janet")
    subject = Subject("jane", f"arn:aws:iam::{ACCOUNT}:user/jane", key)
    lines = JournalReader(lambda: [DirectoryStore(tmp_path / each) for each in ("under-test", "retiring")])
    assert key_history.key_history(subject, lines.of(subject)).deleted is None


def test_what_is_shown_much_later_is_not_by_the_lost_call(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        lost(patched, lambda: use_key(org, key, 1), applied=False)
        assert codes(deactivate(tmp_path))[key][0] == "failed"
    switch(org, key, "Inactive")
    new_report(org)
    monkeypatch.setattr(user_action, "_SETTLES_FOR", timedelta(0))
    deactivate(tmp_path)
    (row,) = json.loads((tmp_path / "under-test" / "outcomes.json").read_text())
    assert (row["status"], row["code"]) == ("failed", "KeyNoLongerSelected")


def test_a_quarantine_whose_call_was_refused_found_the_key_active(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deactivate(tmp_path)
    switch(org, key, "Active")

    def refused(operation: str, parameters: Any) -> None:
        if operation == "UpdateAccessKey" and parameters["AccessKeyId"] == key:
            raise client_error("AccessDenied")

    with monkeypatch.context() as patched:
        before_calls(patched, refused)
        with pytest.raises(PolicyExecutionError):
            quarantine(tmp_path)
    release(tmp_path)
    switch(org, key, "Inactive")
    assert codes(retire(org, tmp_path))[key] == ("skipped", "KeySeenActive")


def test_the_conditions_are_asked_again_before_a_key_is_deleted(
    org: LocalOrg, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here its successor is made inactive meanwhile."""
    deactivate(tmp_path)
    original = UserKeys.retire

    def retiring(self: Any, *arguments: Any) -> Any:
        (other,) = (each for each in statuses(org, "jane") if each != key)
        switch(org, other, "Inactive")
        return original(self, *arguments)

    monkeypatch.setattr(UserKeys, "retire", retiring)
    found = retire(org, tmp_path, superseded=True, **{"include-last": True})
    assert codes(found)[key] == ("skipped", "KeyNoLongerSelected")
