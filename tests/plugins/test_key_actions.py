# SPDX-License-Identifier: Apache-2.0
"""Single access keys are parked, given back and deleted; the user's other key stays as it is."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers.key_retirement.user_keys import UserKeys
from c7n_iamusers_cli.main import main
from tests.plugins.deletions import delete, outcomes
from tests.plugins.keys import activate, deactivate, key_of, new_report, on_keys, retire, statuses, use_key
from tests.plugins.test_quarantine import FILLING, quarantine, release
from tests.policies import ACCOUNT

ROLE = ("--role", f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian")


def codes(rows: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {key: (row["status"], row["code"]) for key, row in rows.items()}


@pytest.fixture
def keys(org: LocalOrg) -> tuple[str, str]:
    """Of jane: one that is unused for a year, and one in use."""
    return key_of(org, "jane", 400, 365), key_of(org, "jane", 100, 1)


def test_the_unused_key_is_selected_with_its_evidence(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    (found,) = on_keys(tmp_path)
    known = found["c7n:IamUser"]
    assert (found["AccessKeyId"], found["UserName"], known["key"]["id"]) == (keys[0], "jane", keys[0])
    assert (known["key"]["service"], known["key"]["region"]) == ("s3", "eu-west-1")
    assert known["key"]["source"] == "the credential report"
    assert known["findings"][0]["id"] == "key-unused"
    assert keys[0] in known["findings"][0]["text"]


def test_a_parked_key_comes_back_or_goes(org: LocalOrg, keys: tuple[str, str], tmp_path: Path) -> None:
    unused, used = keys
    assert codes(deactivate(tmp_path)) == {unused: ("deactivated", "KeyComesBack")}
    assert statuses(org, "jane") == {unused: "Inactive", used: "Active"}
    assert codes(activate(tmp_path))[unused] == ("activated", "KeyWasParked")
    assert statuses(org, "jane") == {unused: "Active", used: "Active"}
    # what was given back is not taken again without a new announcement
    assert codes(deactivate(tmp_path)) == {unused: ("skipped", "KeyGivenBack")}
    assert statuses(org, "jane") == {unused: "Active", used: "Active"}


def test_a_parked_key_is_deleted_and_the_other_one_stays(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    unused, used = keys
    deactivate(tmp_path)
    assert codes(retire(org, tmp_path, 1)) == {unused: ("skipped", "KeyParkedTooShort")}
    assert codes(retire(org, tmp_path)) == {unused: ("retired", "KeyWasParked")}
    assert statuses(org, "jane") == {used: "Active"}
    assert codes(retire(org, tmp_path)) == {unused: ("retired", "KeyWasParked")}  # nothing is selected


def test_what_this_tool_did_not_park_is_left_as_it_is(org: LocalOrg, tmp_path: Path) -> None:
    inactive = key_of(org, "jane", 400, 365, active=False)
    assert codes(deactivate(tmp_path, status="inactive")) == {inactive: ("unchanged", "KeyInactiveBefore")}
    assert codes(activate(tmp_path)) == {inactive: ("failed", "KeyNotParked")}
    assert codes(retire(org, tmp_path)) == {inactive: ("skipped", "KeyNotParked")}
    assert statuses(org, "jane") == {inactive: "Inactive"}


def test_a_key_that_somebody_activated_is_told_not_fought(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    unused, _ = keys
    deactivate(tmp_path)
    org.client("iam", ACCOUNT).update_access_key(UserName="jane", AccessKeyId=unused, Status="Active")
    assert codes(deactivate(tmp_path)) == {unused: ("skipped", "KeyActivatedSince")}
    assert statuses(org, "jane")[unused] == "Active"


def test_a_key_that_was_used_when_or_after_it_was_parked_is_not_deleted(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    unused, _ = keys
    deactivate(tmp_path)
    use_key(org, unused, 0.1)
    assert codes(retire(org, tmp_path)) == {unused: ("skipped", "KeyUsedSinceParked")}
    assert codes(activate(tmp_path))[unused] == ("failed", "KeyUsedSinceParked")
    assert codes(activate(tmp_path, adopt=True))[unused] == ("activated", "KeyWasParked")


def test_a_use_since_the_credential_report_spares_the_key(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    unused, _ = keys
    on_keys(tmp_path)  # the report is of now
    use_key(org, unused, 0.01)
    assert codes(deactivate(tmp_path)) == {unused: ("skipped", "KeyNoLongerSelected")}
    assert statuses(org, "jane")[unused] == "Active"


@pytest.mark.parametrize(
    ("consent", "expected"), [(False, ("skipped", "LastKeyInUse")), (True, ("deactivated", "KeyComesBack"))]
)
def test_the_last_key_of_a_program_in_use_needs_consent(
    org: LocalOrg, tmp_path: Path, consent: bool, expected: tuple[str, str]
) -> None:
    old = key_of(org, "bot", 400, 40)
    rows = deactivate(tmp_path, **{"older-than": 365, "include-last": consent})
    assert codes(rows) == {old: expected}
    if consent:
        assert codes(retire(org, tmp_path)) == {old: ("skipped", "LastKeyInUse")}
        assert codes(retire(org, tmp_path, **{"include-last": True})) == {old: ("retired", "KeyWasParked")}


@pytest.mark.parametrize(
    ("newer_used", "superseded"), [(300, False), (80, False), (40, False), (39, True), (None, False)]
)
def test_a_key_is_superseded_by_a_newer_one_that_was_used_after_it(
    org: LocalOrg, tmp_path: Path, newer_used: float | None, superseded: bool
) -> None:
    older = key_of(org, "bot", 800, 40)
    key_of(org, "bot", 500, newer_used)
    found = on_keys(tmp_path, superseded=True)
    assert [each["AccessKeyId"] for each in found] == [older] * superseded
    assert codes(deactivate(tmp_path, superseded=True)) == (
        {older: ("deactivated", "KeyComesBack")} if superseded else {}
    )


def test_a_key_that_was_never_used_is_superseded_by_a_newer_one_in_use(org: LocalOrg, tmp_path: Path) -> None:
    older = key_of(org, "bot", 800)
    key_of(org, "bot", 500, 300)
    assert codes(deactivate(tmp_path, superseded=True)) == {older: ("deactivated", "KeyComesBack")}


def test_two_keys_of_a_user_are_judged_one_after_the_other(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = key_of(org, "bot", 800, 40), key_of(org, "bot", 500, 35)
    both, applied = threading.Barrier(2), UserKeys._applied

    def once_both_are_judged(self: UserKeys, *given: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return applied(self, *given)

    monkeypatch.setattr(UserKeys, "_applied", once_both_are_judged)
    rows = codes(deactivate(tmp_path, **{"older-than": 365}))
    assert sorted(rows.values()) == [("deactivated", "KeyComesBack"), ("skipped", "LastKeyInUse")]
    assert sorted(statuses(org, "bot").values()) == ["Active", "Inactive"]
    assert {*rows} == {one, other}


def test_an_exempt_user_keeps_its_keys(org: LocalOrg, keys: tuple[str, str], tmp_path: Path) -> None:
    exempt = [{"user": "jane", "reason": "a test", "expires": "2999-12-31"}]
    assert on_keys(tmp_path, exempt=exempt) == []
    assert deactivate(tmp_path, exempt=exempt) == {}


@pytest.mark.parametrize(
    ("options", "filling"),
    [
        pytest.param({}, False, id="inline"),
        pytest.param({}, True, id="aws-deny-all"),
        pytest.param({"credentials": "keep"}, False, id="kept"),
        pytest.param({"credentials": "keep", "deny": "AWSDenyAll"}, False, id="kept-aws-deny-all"),
    ],
)
def test_a_release_leaves_a_parked_key_parked(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, options: dict[str, Any], filling: bool
) -> None:
    unused, used = keys
    iam = org.client("iam", ACCOUNT)
    if filling:
        iam.put_user_policy(UserName="jane", PolicyName="filling", PolicyDocument=FILLING)
    deactivate(tmp_path, name="parking")
    quarantine(tmp_path, **options)
    assert statuses(org, "jane") == {unused: "Inactive", used: "Active" if options else "Inactive"}
    if "keep" in options.values():
        quarantine(tmp_path)  # which deactivates what is active, under the same Deny
    assert set(statuses(org, "jane").values()) == {"Inactive"}
    assert codes(activate(tmp_path))[unused] == ("failed", "KeyOfDeniedUser")
    assert codes(retire(org, tmp_path))[unused] == ("skipped", "KeyOfDeniedUser")
    release(tmp_path)
    assert statuses(org, "jane") == {unused: "Inactive", used: "Active"}
    assert codes(activate(tmp_path))[unused] == ("activated", "KeyWasParked")
    assert set(statuses(org, "jane").values()) == {"Active"}


def test_a_key_that_was_parked_and_given_back_is_deactivated_and_released_as_any_other(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    deactivate(tmp_path, name="parking")
    activate(tmp_path)
    quarantine(tmp_path)
    assert set(statuses(org, "jane").values()) == {"Inactive"}
    release(tmp_path)
    assert set(statuses(org, "jane").values()) == {"Active"}


def test_a_deletion_takes_a_parked_key_with_its_user_and_a_restored_user_has_none(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.put_user_policy(UserName="jane", PolicyName="own", PolicyDocument=FILLING)
    deactivate(tmp_path, name="parking")
    delete(tmp_path)
    assert outcomes(tmp_path)["jane"]["status"] == "deleted"
    done = CliRunner().invoke(
        main, ["restore", str(tmp_path / "under-test"), "--yes", "--user", "jane", *ROLE]
    )
    assert done.exit_code == 0, done.output
    assert statuses(org, "jane") == {}
    assert iam.list_user_policies(UserName="jane")["PolicyNames"] == ["own"]
    # what is on record of the old key is no hint on the new user
    new = key_of(org, "jane", 400, 365)
    new_report(org)
    assert codes(deactivate(tmp_path, name="parking"))[new] == ("deactivated", "KeyComesBack")


def test_a_key_of_a_user_in_quarantine_is_left_alone(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    quarantine(tmp_path, credentials="keep")
    assert codes(deactivate(tmp_path, name="parking")) == {keys[0]: ("skipped", "KeyOfDeniedUser")}
    assert set(statuses(org, "jane").values()) == {"Active"}
