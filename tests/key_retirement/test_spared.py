# SPDX-License-Identifier: Apache-2.0
"""Which keys are left alone, and what is told of keys whose users change meanwhile; without a policy around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError

from aws_local_org import LocalOrg
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import Outcome, outcome_of
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.key_retirement.key_forecast import KeyForecast, forecast_key
from c7n_iamusers.key_retirement.user_keys import UserKeys
from c7n_iamusers.safeguards.reasons_to_spare import Guards
from tests.fakes import client_error
from tests.key_retirement.test_changed_by_others import before_calls, switch
from tests.key_retirement.test_crash import ACTIONS
from tests.plugins.keys import key_of, statuses, use_key
from tests.policies import ACCOUNT
from tests.quarantine.test_user_quarantine import _records, running

ARN = f"arn:aws:iam::{ACCOUNT}:user/jane"
EXEMPT = ExemptionRule("user", "jane", "needed", date(2999, 12, 31))


@pytest.fixture
def keys(org: LocalOrg) -> tuple[str, str]:
    """Of jane: one that is unused for a year, and one in use."""
    return key_of(org, "jane", 400, 365), key_of(org, "jane", 100, 1)


def subject(org: LocalOrg) -> Subject:
    return Subject("jane", ARN, org.client("iam", ACCOUNT).get_user(UserName="jane")["User"]["UserId"])


def once(
    org: LocalOrg,
    output: Path,
    action: str,
    key_id: str,
    user: Subject | None = None,
    guards: Callable[[Guards], Guards] = lambda given: given,
    policy: str = "park",
    **options: Any,
) -> Outcome:
    """One run of ``action`` on the key of ``user``, who is jane."""
    known = user or subject(org)
    with running(org, output) as run:
        asked = lambda: guards(Guards(run.callers))  # noqa: E731
        made = UserKeys(run, _records(run), {key_id: known}, asked, policy, "unused", **options)
        return outcome_of(known.key(key_id), ACTIONS[action][1](made), Interruption())


def told(outcome: Outcome) -> tuple[str, str]:
    return outcome.status, outcome.reason.code


@pytest.mark.parametrize("action", ACTIONS)
def test_a_key_of_another_user_than_the_flagged_one_is_left_alone(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, action: str
) -> None:
    if action != "deactivate":
        once(org, tmp_path, "deactivate", keys[0])
    before = statuses(org, "jane")
    other = replace(subject(org), unique_id="AIDAOTHER")
    assert once(org, tmp_path, action, keys[0], other).status == "skipped"
    assert statuses(org, "jane") == before


@pytest.mark.parametrize("action", ACTIONS)
def test_the_key_of_a_user_that_is_gone_is_told_as_such(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, action: str
) -> None:
    user, iam = subject(org), org.client("iam", ACCOUNT)
    for key in keys:
        iam.delete_access_key(UserName="jane", AccessKeyId=key)
    assert told(once(org, tmp_path, action, keys[0])) == ("skipped", "KeyGone")
    iam.delete_user(UserName="jane")
    assert told(once(org, tmp_path, action, keys[0], user)) == ("skipped", "AlreadyGone")


@pytest.mark.parametrize("action", ["deactivate", "retire"])
def test_another_user_that_takes_the_name_right_before_the_call_is_told(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    if action == "retire":
        once(org, tmp_path, "deactivate", keys[0])
    user, iam, before = subject(org), org.client("iam", ACCOUNT), statuses(org, "jane")

    def meanwhile(operation: str, _: Any) -> None:
        if operation in ("UpdateAccessKey", "DeleteAccessKey"):
            iam.update_user(UserName="jane", NewUserName="janet")
            iam.create_user(UserName="jane")
            raise client_error("Throttling")

    with monkeypatch.context() as patched:
        before_calls(patched, meanwhile)
        assert told(once(org, tmp_path, action, keys[0], user)) == ("failed", "UserReplaced")
    assert statuses(org, "janet") == before


@pytest.mark.parametrize("used", [29, 31])
@pytest.mark.parametrize("action", ["deactivate", "retire"])
def test_a_key_in_use_is_left_alone(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, action: str, used: int
) -> None:
    use_key(org, keys[0], used)
    if action == "retire":
        once(org, tmp_path, "deactivate", keys[0])
    outcome = once(org, tmp_path, action, keys[0], guards=lambda given: replace(given, active_within=30))
    assert told(outcome)[0] == ("skipped" if used == 29 else ACTIONS[action][2])
    if used == 29:
        assert outcome.reason.code == "Active"
        assert "for s3 in eu-west-1" in outcome.reason.text


@pytest.mark.parametrize("action", ["deactivate", "retire"])
def test_an_exemption_right_before_the_call_spares_the_key_and_is_noted(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    if action == "retire":
        once(org, tmp_path, "deactivate", keys[0])
    before, rules, noted = statuses(org, "jane"), list[ExemptionRule](), list[Any]()
    apply = UserKeys._applied

    def once_it_is_judged(self: UserKeys, *given: Any) -> Any:
        rules.append(EXEMPT)
        return apply(self, *given)

    monkeypatch.setattr(UserKeys, "_applied", once_it_is_judged)
    outcome = once(
        *(org, tmp_path, action, keys[0]),
        guards=lambda given: replace(given, rules=tuple(rules)),
        note_exempt=noted.extend,
    )
    assert told(outcome) == ("skipped", "Exempt")
    assert noted == [(subject(org).key(keys[0]), EXEMPT)]
    assert statuses(org, "jane") == before


@pytest.mark.parametrize("action", ACTIONS)
def test_a_call_whose_answer_is_lost_and_which_is_shown_late_is_done(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Meanwhile somebody changes the user's other key, so that the user is read again."""
    if action != "deactivate":
        once(org, tmp_path, "deactivate", keys[0])
    original, late, shows = BaseClient._make_api_call, list[str](), UserKeys._shows  # type: ignore[attr-defined]

    def call(self: Any, operation: str, parameters: Any) -> Any:
        answer = original(self, operation, parameters)
        if operation in ("UpdateAccessKey", "DeleteAccessKey") and not late:
            late.append(operation)
            switch(org, keys[1], "Inactive")
            raise ReadTimeoutError(endpoint_url="https://iam.amazonaws.com")
        return answer

    def shown(self: UserKeys, *given: Any) -> bool:
        return not late and shows(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        patched.setattr(UserKeys, "_shows", shown)
        outcome = once(org, tmp_path, action, keys[0])
    assert outcome.status == ACTIONS[action][2]
    assert statuses(org, "jane").get(keys[0], "") == ACTIONS[action][3]


def test_a_compromised_key_is_given_back_only_with_consent(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path
) -> None:
    once(org, tmp_path, "deactivate", keys[0])
    iam, name = org.client("iam", ACCOUNT), "AWSCompromisedKeyQuarantineV3"
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}'
    made = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]
    iam.attach_user_policy(UserName="jane", PolicyArn=made["Arn"])
    for action in ("activate", "retire"):
        assert told(once(org, tmp_path, action, keys[0])) == ("skipped", "Compromised")
    assert told(once(org, tmp_path, "deactivate", keys[1])) == ("skipped", "Compromised")
    consent = once(org, tmp_path, "activate", keys[0], include_compromised=True)
    assert told(consent) == ("activated", "KeyWasParked")


@pytest.mark.parametrize("action", ["activate", "retire"])
@pytest.mark.parametrize(("policy", "named"), [("park", "by policy park"), ("", "by policy -")])
def test_the_policy_that_parked_the_key_is_named(
    org: LocalOrg, keys: tuple[str, str], tmp_path: Path, action: str, policy: str, named: str
) -> None:
    once(org, tmp_path, "deactivate", keys[0], policy=policy)
    assert named in once(org, tmp_path, action, keys[0]).reason.text


def test_the_last_key_that_was_in_use_when_it_was_parked_is_not_deleted_later_either(
    org: LocalOrg, tmp_path: Path
) -> None:
    key = key_of(org, "jane", 400, 40)
    assert once(org, tmp_path, "deactivate", key, include_last=True).status == "deactivated"
    later = utc_now() + timedelta(days=400)
    assert told(once(org, tmp_path, "retire", key, now=lambda: later)) == ("skipped", "LastKeyInUse")
    retired = once(org, tmp_path, "retire", key, now=lambda: later, include_last=True)
    assert told(retired) == ("retired", "KeyWasParked")


NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
DAY, STOP = date(2026, 12, 24), date(2026, 12, 10)


@pytest.mark.parametrize(
    ("key", "within", "stop", "group", "text"),
    [
        pytest.param({}, None, STOP, "goes", "inactive on 2026-12-10, deleted on 2026-12-24", id="goes"),
        pytest.param({}, None, None, "goes", "deleted on 2026-12-24", id="not-made-inactive-before"),
        pytest.param(
            {"status": "Inactive", "used": "2026-12-09"},
            30,
            STOP,
            "goes",
            "inactive already, deleted on 2026-12-24 or later",
            id="inactive-already",
        ),
        pytest.param({"used": "2026-11-11"}, 30, STOP, "in-use", "in use: ", id="used-within"),
        pytest.param({"used": "2026-11-10"}, 30, STOP, "goes", "inactive on", id="used-before"),
        pytest.param({"used": "2026-11-11"}, None, STOP, "goes", "inactive on", id="use-spares-nothing"),
        pytest.param(
            {"used": "2026-11-10", "only-active": True},
            30,
            STOP,
            "stays",
            "left alone: ",
            id="the-last-in-use",
        ),
        pytest.param(
            {"used": "2026-09-11", "only-active": True}, 30, STOP, "goes", "inactive on", id="the-last-unused"
        ),
        pytest.param({"used": False, "only-active": True}, 30, STOP, "goes", "inactive on", id="never-used"),
        pytest.param(
            {"used": "2026-11-23", "only-active": True},
            30,
            None,
            "stays",
            "left alone: ",
            id="until-its-deletion",
        ),
    ],
)
def test_what_is_foretold_of_a_key(
    key: dict[str, Any], within: float | None, stop: date | None, group: str, text: str
) -> None:
    found = forecast_key({"key": {"status": "Active", **key}}, DAY, stop, within, NOW)
    assert found.group == group
    assert found.text.startswith(text)


def test_a_key_is_not_deleted_in_the_past() -> None:
    found = forecast_key({}, NOW.date() - timedelta(days=1), None, None, NOW)
    assert found == KeyForecast("goes", deleted=NOW.date())


@pytest.mark.parametrize(("action", "snapshots"), [("deactivate", 1), ("activate", 2), ("retire", 2)])
def test_a_user_is_recorded_before_its_key_is_changed(
    org: LocalOrg,
    keys: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    snapshots: int,
) -> None:
    if action != "deactivate":
        once(org, tmp_path, "deactivate", keys[0])
    seen = list[int]()

    def count(operation: str, _: Any) -> None:
        if operation in ("UpdateAccessKey", "DeleteAccessKey"):
            seen.append(len([*(tmp_path / "snapshots").glob("jane.*.json")]))

    before_calls(monkeypatch, count)
    assert once(org, tmp_path, action, keys[0]).status == ACTIONS[action][2]
    assert seen == [snapshots]
