# SPDX-License-Identifier: Apache-2.0
"""What several policies of a run did is told in one message at its end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from aws_local_org import LocalOrg
from aws_local_org.demo.state import let_days_pass
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.plugins import run_news
from c7n_iamusers.plugins.notice_steps import Inform
from tests.plugins.deletions import user_names
from tests.plugins.test_delivery import DAY, later, mailer, outcomes_later, refuse, told
from tests.plugins.test_notify_owners import EVERYBODY, OWNER, action
from tests.policies import ACCOUNT, policy

NAMES = {"machines": ["bot", "cron"], "people": ["alice"]}


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    client = org.client("iam", account_id=ACCOUNT)
    for names in NAMES.values():
        for name in names:
            client.create_user(UserName=name)
    return client


def change(what: str, output: Path | None, **options: Any) -> None:
    """By two policies, which tell nobody."""
    for name, users in NAMES.items():
        chosen = {"type": "value", "key": "UserName", "op": "in", "value": users}
        given = {"type": what, **options.get(name, {})}
        data = {"name": name, "filters": [chosen, *EVERYBODY], "actions": [given]}
        run(data, output)


def run(data: dict[str, Any], output: Path | None) -> None:
    found = policy(data, output)
    if output is None:
        found.options["output_dir"] = "s3://out/all?region=us-east-1"
        found.ctx.initialize()
    found.run()


def tell(notices: Path, output: Path | None, name: str = "told", **options: Any) -> None:
    """By a policy that selects nobody."""
    given = {"step": "inform", "of": [*NAMES], "days": None, "subject": None, "delivery": None, **options}
    shown = {"account-name": "payments", "template": "iam-users-deleted.html"}
    acting = action(notices, **{**shown, **given})
    run({"name": name, "filters": [{"UserName": "absent"}, *EVERYBODY], "actions": [acting]}, output)


def said(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["UserName"], each["c7n:IamUser"]["outcome"]["status"]) for each in message["resources"]]


@pytest.mark.parametrize("bucket", [False, True], ids=["directory", "bucket"])
def test_one_message_tells_what_two_policies_did(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: bool
) -> None:
    notices, output = tmp_path / "notices", None if bucket else tmp_path / "out"
    org.client("s3").create_bucket(Bucket="out")
    asked = {"noticed": 0, "notices": str(notices), "delivery": "unchecked"}
    change("composite-delete", output, machines=asked)  # nobody was announced
    change("composite-delete", output, people=asked)
    assert user_names(iam) == []
    tell(notices, output)
    (message,) = mailer(org)
    assert sorted(said(message)) == [("alice", "deleted"), ("bot", "deleted"), ("cron", "deleted")]
    assert message["action"]["subject"].startswith("payments: 3 IAM users deleted on ")
    (record,) = told(notices, "informed")
    assert record["policy"] == "told"
    tell(notices, output)
    assert mailer(org) == []


def test_what_was_done_comes_before_what_is_still_there(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    change(
        "composite-delete", output, machines={"noticed": 0, "notices": str(notices), "delivery": "unchecked"}
    )
    assert user_names(iam) == ["bot", "cron"]
    tell(notices, output)
    (message,) = mailer(org)
    assert said(message) == [("alice", "deleted"), ("bot", "skipped"), ("cron", "skipped")]
    change(
        "composite-delete", output, machines={"noticed": 0, "notices": str(notices), "delivery": "unchecked"}
    )
    tell(notices, output)
    assert mailer(org) == []  # it is as it was


def test_who_is_in_no_quarantine_is_told_why(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    parking = {"type": "quarantine", "noticed": 0, "notices": str(notices), "delivery": "unchecked"}
    run({"name": "parked", "filters": EVERYBODY, "actions": [parking]}, output)  # nobody was announced
    given = {"quarantined-for": 14, "noticed": "none"}
    change("composite-delete", output, machines=given, people=given)
    tell(notices, output)
    (message,) = mailer(org)
    assert {each["c7n:IamUser"]["outcome"]["reason"] for each in message["resources"]} == {
        "it was not put in quarantine: its owners were not addressed"
    }


def test_what_the_queue_refuses_stays_owed(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    change("composite-delete", output)
    with monkeypatch.context() as patched:
        refuse(patched, lambda _: True)
        with pytest.raises(PolicyExecutionError, match="owners can't be told what they are owed"):
            tell(notices, output)
    assert told(notices, "informed") == []
    tell(notices, output)
    assert len(mailer(org)[0]["resources"]) == 3


def test_one_message_tells_whose_access_two_policies_stopped(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notices, output = tmp_path / "notices", tmp_path / "out"
    run(
        {"name": "flag", "filters": EVERYBODY, "actions": [action(notices, days=30, delivery=None)]},
        output,
    )
    mailer(org)
    change("quarantine", output)
    options: dict[str, Any] = {"step": "denied", "template": "iam-users-denied.html", "quarantined-for": 14}
    tell(notices, output, **options)
    (message,) = mailer(org)
    (day,) = {each["day"] for each in told(notices)}
    known = [each["c7n:IamUser"] for each in message["resources"]]
    assert [each["notice"]["day"] for each in known] == [day] * 3
    assert all(each["notice"]["denied-since"] and each["kind"] for each in known)
    change("release", output)
    later(org, notices)
    outcomes_later(output)
    change("quarantine", output)
    tell(notices, output, **options)
    assert len(mailer(org)[0]["resources"]) == 3  # it was done again


def test_who_was_denied_already_is_told_since_when_and_keeps_its_day(
    org: LocalOrg, iam: Any, tmp_path: Path
) -> None:
    """A quarantine that deactivates, a week after the Deny, neither begins its days anew nor promises later ones."""
    notices, output = tmp_path / "notices", tmp_path / "out"
    run({"name": "flag", "filters": EVERYBODY, "actions": [action(notices, days=30)]}, output)
    mailer(org)
    iam.create_access_key(UserName="bot")
    let_days_pass(org, notices, output, 16)
    change("quarantine", output, machines={"credentials": "keep"}, people={"credentials": "keep"})
    options: dict[str, Any] = {"step": "denied", "template": "iam-users-denied.html", "quarantined-for": 14}
    tell(notices, output, **options)
    mailer(org)
    let_days_pass(org, notices, output, 7)
    change("quarantine", output)
    tell(notices, output, "told-later", **options)
    (message,) = mailer(org)
    today = utc_now().date()
    week_ago, in_a_week = (today - timedelta(days=7)).isoformat(), (today + timedelta(days=7)).isoformat()
    known = {each["UserName"]: each["c7n:IamUser"]["notice"] for each in message["resources"]}
    assert known == {
        name: {"denied-since": week_ago, "deactivated": today.isoformat(), "day": in_a_week}
        for name in ("alice", "bot", "cron")
    }
    assert message["action"]["subject"] == f"payments: 3 IAM users with credentials deactivated on {today}"


def test_a_policy_that_did_not_run_is_named(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    change("composite-delete", tmp_path / "out")
    with pytest.raises(PolicyExecutionError, match="no output of policy misspelt beside"):
        tell(tmp_path / "notices", tmp_path / "out", of=["misspelt"])
    assert mailer(org) == []


def test_a_policy_that_has_left_nothing_in_a_bucket_is_named(
    org: LocalOrg, iam: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    org.client("s3").create_bucket(Bucket="out")
    change("quarantine", None)
    tell(tmp_path / "notices", None, step="denied", of=[*NAMES, "misspelt"])
    assert len(mailer(org)) == 1
    said = [each for each in caplog.messages if "has left nothing in this output" in each]
    assert len(said) == 1
    assert "policy misspelt has left nothing in this output" in said[0]


def test_evidence_is_looked_up_in_one_pass_over_the_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(Notices):
        passes = 0

        @property
        def all(self) -> list[Notice]:
            Counted.passes += 1
            return self._all

        @all.setter
        def all(self, found: list[Notice]) -> None:
            self._all = found

    names = [f"user-{number}" for number in range(50)]
    users = tuple(Subject(each, f"arn:aws:iam::{ACCOUNT}:user/{each}", f"AIDA{each}") for each in names)
    now = utc_now()
    head = (ACCOUNT, ANNOUNCED, now - DAY, now.date(), (OWNER,), "m", "flag", users)
    kinds = {each.unique_id: {"kind": "machine"} for each in users}
    notices = Counted([Notice(*head, evidence=kinds)], "notices", readings=None)
    rows = [
        {"arn": each.arn, "unique_id": each.unique_id, "status": "deleted", "time": now.isoformat()}
        for each in users
    ]
    monkeypatch.setattr(run_news, "run_store", lambda _: SimpleNamespace(store=None))
    monkeypatch.setattr(run_news, "load_outcomes", lambda _: rows)
    Counted.passes = 0
    found = run_news.news_on_record(None, (), notices, Inform("told"), now)
    assert {each.resource["c7n:IamUser"]["kind"] for each in found} == {"machine"}
    assert (len(found), Counted.passes) == (50, 1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        pytest.param({"of": ["told"]}, "of names the policy itself", id="itself"),
        pytest.param({"to": ["resource-owner", "a@example.com"]}, "outcomes have no tags", id="tags"),
        pytest.param({"step": "announce", "days": 3}, "of has no meaning with step: announce", id="step"),
    ],
)
def test_what_cannot_be_told_of_others(
    org: LocalOrg, tmp_path: Path, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(PolicyValidationError, match=why):
        tell(tmp_path, tmp_path / "out", **{"email-domains": ["example.com"], **options})
