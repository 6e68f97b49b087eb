# SPDX-License-Identifier: Apache-2.0
"""An announcement and a reminder say what will become of each user; a mail on the day says whose access has stopped."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.policy import Policy

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import set_access_key_last_used, set_password_last_used
from c7n_iamusers.execution.journal import utc_now
from tests.interference import deny
from tests.plugins.deletions import outcomes
from tests.plugins.test_notify_owners import EVERYBODY, action, age, notify, records, sent, trust
from tests.policies import ACCOUNT, policy

QUIET = {"quarantined-for": 14}


def day(days: int) -> str:
    return (utc_now().date() + timedelta(days=days)).isoformat()


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """alice has nothing; bot has a key that was just used; jane signs in with a password."""
    client = org.client("iam", account_id=ACCOUNT)
    for name in ("alice", "bot", "jane"):
        client.create_user(UserName=name)
    client.create_access_key(UserName="bot")
    backend = org.backend("iam", ACCOUNT)
    (key,) = backend.get_user("bot").access_keys
    set_access_key_last_used(key, utc_now() - timedelta(days=2), service="s3", region="eu-west-1")
    client.create_login_profile(UserName="jane", Password="Correct-Horse-1")
    return client


def fates(message: dict[str, Any]) -> dict[str, str]:
    return {each["UserName"]: each["c7n:IamUser"]["notice"]["text"] for each in message["resources"]}


def test_an_announcement_has_three_groups(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path, subject=None, **{**QUIET, "account-name": "payments"})
    (message,) = sent(org)
    found = fates(message)
    assert found["alice"] == f"denied everything on {day(16)}, deleted on {day(30)}"
    assert found["bot"].startswith("in use: active within 30 days: its access key 1 was used")
    assert found["jane"] == "needs a replacement first: its access through Identity Center was not read"
    assert [each["UserName"] for each in message["resources"]] == ["alice", "bot", "jane"]
    assert message["action"]["subject"] == (
        f"payments: 1 IAM user is to be denied everything on {day(16)} and deleted on {day(30)}, 1 other in use, "
        "1 without a replacement"
    )
    # the record is of all of them: who is spared today is announced all the same
    (record,) = records(tmp_path)
    assert sorted(each["user"] for each in record["users"]) == ["alice", "bot", "jane"]


@pytest.mark.parametrize(
    ("options", "name", "said"),
    [
        pytest.param({"active-within": "none"}, "bot", "denied everything on", id="use-spares-nobody"),
        pytest.param({"active-within": 1}, "bot", "denied everything on", id="used-long-enough-ago"),
        pytest.param({"require": "none"}, "jane", "denied everything on", id="access-is-not-asked"),
        pytest.param({}, "alice", "needs a replacement first: a role trusts it", id="a-role-trusts-it"),
        pytest.param({"trusted-by-role": True}, "alice", "denied everything on", id="trust-spares-nobody"),
    ],
)
def test_the_groups_are_by_what_the_later_steps_ask(
    org: LocalOrg, iam: Any, tmp_path: Path, options: dict[str, Any], name: str, said: str
) -> None:
    trust(iam, "alice", 1)
    notify(tmp_path, **{**QUIET, **options})
    (message,) = sent(org)
    assert fates(message)[name].startswith(said)


@pytest.mark.parametrize("option", [{"active-within": 30}, {"require": "none"}, {"brownout-after": 9}])
def test_what_announces_nothing_has_no_options_of_later_steps(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(PolicyValidationError, match="has no meaning with step: inform"):
        policy({"filters": EVERYBODY, "actions": [action(tmp_path, step="inform", days=None, **option)]})


def test_a_brownout_after_the_deny_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyValidationError, match="a brownout after 20 days has no effect"):
        policy({"filters": EVERYBODY, "actions": [action(tmp_path, **{**QUIET, "brownout-after": 20})]})


def denying(notices: Path, output: Path, **options: Any) -> Policy:
    act: dict[str, Any] = {
        "type": "quarantine",
        "noticed": 0,
        "notices": str(notices),
        "delivery": "unchecked",
        "active-within": 30,
    }
    quiet = {} if "brownout" in options else QUIET
    act |= options
    told = action(
        notices,
        step="denied",
        days=None,
        subject=None,
        template="iam-users-denied.html",
        **quiet,
        **{"account-name": "p"},
    )
    return policy({"filters": EVERYBODY, "actions": [act, told]}, output)


def test_the_owner_hears_on_the_day_whose_access_has_stopped(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notices, output = tmp_path / "notices", tmp_path / "output"
    notify(notices, **QUIET)
    sent(org)
    age(notices / ACCOUNT, 17)
    denying(notices, output, credentials="keep").run()
    (message,) = sent(org)
    jane, alice = message["resources"]  # by their risk; the key of bot is in use
    assert (alice["UserName"], jane["UserName"]) == ("alice", "jane")
    # thirteen days after the announced Deny, and not before its two quiet weeks are over
    assert alice["c7n:IamUser"]["notice"] == {"denied-since": day(0), "day": day(14)}
    assert message["action"]["subject"] == f"p: 2 IAM users denied everything on {day(0)}"
    denying(notices, output, credentials="keep").run()
    assert sent(org) == []  # nothing new
    told = [each for each in records(notices) if each["step"] == "informed"]
    assert [[user["what"] for user in each["users"]] for each in told] == [["quarantined", "quarantined"]]
    assert all("credentials-stop" not in each for each in told)


def test_who_is_denied_already_is_told_since_when(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notices = tmp_path / "notices"
    notify(notices, **QUIET)
    age(notices / ACCOUNT, 17)
    denying(notices, tmp_path / "output", credentials="keep").run()
    sent(org)
    notify(notices, step="remind", days=30, **QUIET)
    (message,) = sent(org)
    assert fates(message)["alice"] == f"denied everything since {day(0)}, deleted on {day(14)}"
    assert fates(message)["bot"].startswith("in use: ")


def test_a_brownout_is_told_when_it_begins(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notices, output = tmp_path / "notices", tmp_path / "output"
    notify(notices, **{**QUIET, "brownout-after": 0})
    (announced,) = sent(org)
    assert announced["resources"][0]["c7n:IamUser"]["notice"]["brownout"] == day(0)
    denying(notices, output, brownout=15).run()
    (message,) = sent(org)
    assert message["action"]["subject"] == f"p: 2 IAM users denied everything for some minutes on {day(0)}"
    assert message["resources"][0]["c7n:IamUser"]["outcome"]["reason"].startswith("until ")


def test_what_was_stopped_and_not_told_is_told_by_the_next_run(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "output"
    notify(notices)
    sent(org)
    with monkeypatch.context() as patched:
        deny(patched, "SendMessage")
        with pytest.raises(
            PolicyExecutionError, match=r"Nobody was told of: jane \(quarantined\), alice \(quarantined\)$"
        ):
            denying(notices, output).run()
    assert {row["status"] for row in outcomes(output).values()} == {"quarantined", "skipped"}
    denying(notices, output).run()
    (message,) = sent(org)
    assert sorted(each["UserName"] for each in message["resources"]) == ["alice", "jane"]
    assert message["resources"][0]["c7n:IamUser"]["outcome"]["status"] == "quarantined"


def test_the_evidence_is_that_of_the_announcement(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    """The tool's own Deny and tag are no findings, and what is seen later stands beside what was announced."""
    notices = tmp_path / "notices"
    notify(notices, **QUIET)
    (record,) = records(notices)
    (frozen,) = (user["evidence"] for user in record["users"] if user["user"] == "jane")
    assert frozen["kind"] == "human"
    assert (frozen["group"], frozen["told"].partition(":")[0]) == (
        "replace-first",
        "needs a replacement first",
    )
    assert frozen["attachments"]["login-profile"] == 1
    assert {"console-without-mfa", "password-never-used"} <= {each["id"] for each in frozen["findings"]}
    age(notices / ACCOUNT, 17)
    denying(notices, tmp_path / "output").run()
    with org.lock:
        set_password_last_used(org.backend("iam", ACCOUNT).get_user("jane"), utc_now())
    sent(org)
    notify(notices, step="remind", days=30, **QUIET)
    (message,) = sent(org)
    (jane,) = (each["c7n:IamUser"] for each in message["resources"] if each["UserName"] == "jane")
    assert jane["notice"]["evidence"] == frozen
    assert jane["last_activity"]["time"].startswith(day(0))
    assert "last_activity" not in frozen or not frozen["last_activity"]["time"]
    assert {"inline-policies", "directly-attached-policies"}.isdisjoint(
        each["id"] for each in jane["findings"]
    )
    assert jane["attachments"].get("inline-policy", 0) == jane["attachments"].get("tag", 0) == 0


def test_who_was_given_back_meanwhile_is_not_told_to_be_denied(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "output"
    notify(notices)
    with monkeypatch.context() as patched:
        deny(patched, "SendMessage")
        with pytest.raises(PolicyExecutionError, match="Nobody was told of"):
            denying(notices, output).run()
    sent(org)
    inform = action(notices, step="inform", days=None, template="iam-users-deleted.html")
    one = [*EVERYBODY, {"type": "value", "key": "UserName", "value": "alice"}]
    data = {"name": "release", "filters": one, "actions": [{"type": "release"}, inform]}
    policy(data, output).run()
    (released,) = sent(org)
    assert [each["c7n:IamUser"]["outcome"]["status"] for each in released["resources"]] == ["released"]
    nobody = [*EVERYBODY, {"type": "value", "key": "UserName", "value": "nobody"}]
    policy({"filters": nobody, "actions": denying(notices, output).data["actions"]}, output).run()
    (message,) = sent(org)
    assert [each["UserName"] for each in message["resources"]] == ["jane"]
