# SPDX-License-Identifier: Apache-2.0
"""``digest: true``: the action holds its message, ``c7n-iamusers digest`` sends it, and nothing counts until then."""

from __future__ import annotations

import json
import logging
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n_mailer.utils import get_message_subject, get_rendered_jinja
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices.held import HeldMessage
from c7n_iamusers.notices.notices import Notices
from c7n_iamusers.organization.preflight_checks import Probes
from c7n_iamusers.organization.readiness import Target
from c7n_iamusers.reasons import DONE
from c7n_iamusers_cli.mail_templates import SHIPPED
from c7n_iamusers_cli.main import main
from tests.plugins.deletions import delete, outcomes, user_names
from tests.plugins.test_notify_owners import EVERYBODY, OWNER, QUEUE, action, records, sent
from tests.policies import ACCOUNT, policy
from tests.report.fleet_outputs import Outputs
from tests.test_slack_messages import faults, posted, told_of

DAY = (utc_now() + timedelta(days=30)).date()
pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(autouse=True)
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    Outputs(Path("output")).leave(name="payments", account=ACCOUNT, policy="act")
    accounts_file()
    client = org.client("iam", account_id=ACCOUNT)
    client.create_user(UserName="alice")
    client.create_user(UserName="bob")
    client.create_login_profile(UserName="bob", Password="Long-enough-1!")
    return client


def accounts_file(**variables: Any) -> None:
    known = {
        "notices": "notices",
        "queue_url": QUEUE,
        "owner": OWNER,
        "contact": "ask@example.com",
        **variables,
    }
    account = {
        "name": "payments",
        "account_id": ACCOUNT,
        "role": f"arn:aws:iam::{ACCOUNT}:role/r",
        "regions": ["us-east-1"],
        "vars": known,
    }
    Path("accounts.yml").write_text(yaml.safe_dump({"accounts": [account]}))


def hold(**options: Any) -> Any:
    """A run of the policy, with what its source does first."""
    given = {"digest": True, "subject": None, "to": [OWNER], "account-name": "payments", **options}
    found = policy({"name": "flag", "filters": EVERYBODY, "actions": [action("notices", **given)]})
    found.resource_manager.actions[0].send_owed()
    return found.run()


def digest(*options: str) -> Result:
    return CliRunner().invoke(main, ["digest", "-s", "output", "-c", "accounts.yml", *options])


def later(hours: float) -> None:
    """As if what was recorded had been recorded earlier."""
    for path in Path("notices", ACCOUNT).glob("*.json"):
        data = json.loads(path.read_text())
        data["time"] = (datetime.fromisoformat(data["time"]) - timedelta(hours=hours)).isoformat()
        path.write_text(json.dumps(data))


def told(message: dict[str, Any]) -> dict[str, str]:
    return {each["UserName"]: each["c7n:IamUser"]["digest"]["text"] for each in message["resources"]}


def steps() -> list[str]:
    return [each["step"] for each in records(Path("notices"))]


def test_what_is_held_counts_once_a_digest_has_told_it(
    org: LocalOrg, fleet: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    resources = hold(days=0)
    assert sent(org) == []
    assert (
        "held: c7n-iamusers digest must send this message about 2 users to owner@example.com" in caplog.text
    )
    assert "alice of account 111122223333: announced: " in caplog.text
    assert f"held for {OWNER}" in caplog.text
    assert {each["c7n:IamUser"]["sent-by"] for each in resources} == {"c7n-iamusers digest"}
    output = tmp_path / "out"
    gate = {"noticed": 0, "notices": str(tmp_path / "notices")}
    delete(output, **gate)
    (reason,) = {each["reason"] for each in outcomes(output).values()}
    assert reason.startswith("its message may still be in the queue")
    assert "it is held for a digest, and nobody was told yet: run c7n-iamusers digest" in reason
    assert digest().exit_code == 0
    assert steps() == ["announced", "digest"]
    delete(output, **gate)
    assert user_names(fleet) == []


def test_a_digest_says_what_the_announcements_would_have_said(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts_file(slack="slack://#payments")
    hold(**{"quarantined-for": 14})
    result = digest()
    assert (result.exit_code, "1 messages sent to 1 owners" in result.stderr) == (0, True)
    (message,) = sent(org)
    assert message["action"]["to"] == [OWNER, "slack://#payments"]
    assert get_message_subject(message) == "payments: IAM users, 1 to be deleted, 1 without a replacement"
    stop = DAY - timedelta(days=14)
    said = told(message)
    assert said["alice"] == f"denied everything on {stop}, deleted on {DAY}"
    assert said["bob"].startswith("needs a replacement first: ")
    folders, log = [str(SHIPPED)], logging.getLogger("mailer")
    mail = get_rendered_jinja([OWNER], message, message["resources"], log, "template", "default", folders)
    text = re.sub(r"<[^>]*>", "", mail)
    for shown in (
        f"to be denied everything on {stop} and deleted on {DAY}",
        "a replacement first",
        f"Ask for it to stay by the link in its row, by {stop}.",
        "It must stay: ask",
        "Person; replacement: a user in IAM Identity Center",
    ):
        assert shown in text
    assert "announces nothing" not in text
    _, payload = posted(monkeypatch, message)
    assert faults(payload) == []
    assert "1* is to be *denied everything* on" in str(payload["blocks"])
    assert told_of(payload)["alice"].startswith(said["alice"])


def test_a_long_list_comes_last_and_without_links(org: LocalOrg) -> None:
    """Gmail cuts a mail off after 102 KB."""
    hold()
    digest()
    (message,) = sent(org)
    (first, *_) = message["resources"]
    log = logging.getLogger("mailer")
    for number, last in ((2, False), (61, True)):
        rows = [first] * number
        text = get_rendered_jinja(
            [OWNER], {**message, "resources": rows}, rows, log, "template", "x", [str(SHIPPED)]
        )
        assert (text.index("How to move") < text.index("What comes next")) == last
        assert ("It must stay: ask" in text) != last


def test_what_was_told_is_not_told_again(org: LocalOrg) -> None:
    hold()
    hold()
    assert steps() == ["announced"]  # the second run finds it
    digest()
    sent(org)
    hold(step="remind", days=40)
    hold(step="remind", days=40)
    assert digest().exit_code == 0
    assert [name.rpartition("-")[0] for name in steps() if name.startswith("reminded")] == ["reminded"]
    digest()
    assert steps().count("digest") == 2  # the third had nothing that was held


def test_what_is_held_for_too_long_is_said_by_the_next_commands(org: LocalOrg) -> None:
    hold()
    later(13)
    result = digest()
    assert result.exit_code == 1
    assert "nobody was told of alice, bob: what policy flag held since " in result.stderr
    assert sent(org) == []
    with pytest.raises(
        PolicyExecutionError, match=r"nobody was told of alice, bob: .*not sent within twelve hours"
    ):
        hold()
    assert steps() == ["announced", "announced"]  # held anew
    assert digest().exit_code == 0
    (message,) = sent(org)
    assert [*told(message)] == ["alice", "bob"]
    hold()  # says nothing any more


@pytest.mark.parametrize(
    ("hours", "status", "said"),
    [
        pytest.param(0, "ok", "1 are held now", id="just-held"),
        pytest.param(13, "hole", "was not sent within twelve hours", id="too-long"),
    ],
)
def test_preflight_says_whether_a_digest_sends_what_is_held(hours: float, status: str, said: str) -> None:
    hold()
    later(hours)
    policies = [{"actions": [action("{notices}", digest=True)]}]
    target = Target(ACCOUNT, "payments", (), "", "", ("us-east-1",), {"notices": "notices"})
    probes = Probes(None, "arn", Backoff())
    (check,) = probes.held([target], policies, utc_now())
    assert (check.name, check.status) == ("digest", status)
    assert said in check.text
    assert [*probes.held([target], [{"actions": [action("{notices}")]}], utc_now())] == []


def test_a_run_that_selects_nobody_says_it_too(fleet: Any) -> None:
    hold()
    later(13)
    fleet.delete_login_profile(UserName="bob")
    for name in ("alice", "bob"):
        fleet.delete_user(UserName=name)
    with pytest.raises(PolicyExecutionError, match="nobody was told of alice, bob"):
        hold()


def test_the_news_of_a_run_are_held_too(org: LocalOrg, tmp_path: Path) -> None:
    alice = org.client("iam", account_id=ACCOUNT).get_user(UserName="alice")["User"]
    row = {
        "user": "alice",
        "arn": alice["Arn"],
        "unique_id": alice["UserId"],
        "status": "deleted",
        **DONE.as_data(),
        "calls": 3,
        "time": utc_now().isoformat(),
    }
    Outputs(Path("output")).leave(name="payments", account=ACCOUNT, policy="act", outcomes=[row])
    (written,) = Path("output").rglob("outcomes.json")
    shutil.copytree(written.parent, tmp_path / "out" / "act")
    given = action("notices", digest=True, step="inform", days=None, of=["act"], to=[OWNER], subject=None)
    nobody = [{"UserName": "absent"}, *EVERYBODY]
    data = {"name": "told", "filters": nobody, "actions": [given]}
    policy(data, tmp_path / "out").run()
    assert sent(org) == []
    assert digest().exit_code == 0
    (message,) = sent(org)
    assert get_message_subject(message).startswith("payments: IAM users, ")
    assert told(message) == {"alice": "deleted"}


NEWS: dict[str, dict[str, Any]] = {
    "inform": {"outcome": {"status": "skipped", "reason": "a role trusts it"}},
    "denied": {"outcome": {"status": "browned-out", "reason": "denied until 10:15 UTC"}, "notice": {}},
}


@pytest.mark.parametrize(
    ("step", "known", "text", "word"),
    [
        pytest.param("inform", NEWS["inform"], "left alone: a role trusts it", "left alone", id="left-alone"),
        pytest.param(
            "denied",
            NEWS["denied"],
            "browned out: denied until 10:15 UTC",
            "denied everything for some minutes",
            id="brownout",
        ),
        pytest.param(
            "denied",
            {
                "outcome": {"status": "quarantined"},
                "notice": {"denied-since": "2026-12-10", "day": "2026-12-24"},
            },
            "denied everything since 2026-12-10, to be deleted on 2026-12-24 or later",
            "denied everything",
            id="denied",
        ),
        pytest.param(
            "inform",
            {"provisioning": {"status": "provisioned", "username": "b@example.com", "permission-set": "R"}},
            "provisioned: user b@example.com, permission set R",
            "with news",
            id="access",
        ),
        pytest.param(
            "inform",
            {
                "attempts": {
                    "attempts": [{"service": "s3", "action": "ListBuckets", "time": "2026-11-25T09:30:00"}]
                }
            },
            "still in use: s3 ListBuckets on 2026-11-25 09:30 UTC",
            "with news",
            id="attempted",
        ),
        pytest.param(
            "overdue",
            {"notice": {"day": "2026-11-01", "overdue": 3, "group": "in-use", "text": "in use: its key"}},
            "overdue, message 3: in use: its key",
            "in use",
            id="overdue",
        ),
    ],
)
def test_a_digest_says_what_each_step_would_have_said(
    org: LocalOrg, step: str, known: dict[str, Any], text: str, word: str
) -> None:
    hold()
    (notice,) = Notices.read(DirectoryStore(Path("notices")), ACCOUNT, utc_now()).all
    user = notice.users[0]
    message = HeldMessage(
        ACCOUNT,
        step,
        (OWNER,),
        {},
        ({"UserName": user.name, "UserId": user.unique_id, "c7n:IamUser": known},),
    )
    store = DirectoryStore(Path("notices"))
    store.replace(notice.held, message.as_json())
    assert digest().exit_code == 0
    (sent_one,) = sent(org)
    assert told(sent_one)[user.name] == text
    assert f"1 {word}" in get_message_subject(sent_one)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(lambda path: path.write_text("{"), id="broken"),
        pytest.param(lambda path: path.write_text('{"account": "444455556666"}'), id="of-another-account"),
        pytest.param(lambda path: path.write_text(path.read_text().replace(OWNER, "x")), id="nobody"),
        pytest.param(lambda path: path.write_text(path.read_text().replace("UserId", "Id")), id="no-user"),
    ],
)
def test_a_held_message_that_cannot_be_read_writes_to_nobody(org: LocalOrg, spoil: Any) -> None:
    hold()
    (path,) = Path("notices", "held", ACCOUNT).iterdir()
    spoil(path)
    result = digest()
    assert (result.exit_code, sent(org)) == (1, [])
    assert "which is held for a digest" in result.stderr


def test_a_digest_to_another_queue_than_that_of_the_policy_is_refused(org: LocalOrg) -> None:
    hold(delivery=None)
    result = digest("--queue", f"{QUEUE}-2")
    assert (result.exit_code, sent(org)) == (1, [])
    assert f"hold messages for {QUEUE}, and the digest would go to {QUEUE}-2" in result.stderr


def test_a_digest_that_cannot_be_recorded_counts_for_nothing(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold()

    def full(*_: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(DirectoryStore, "create", full)
        result = digest()
    assert result.exit_code == 1
    assert "no announcement in it counts" in result.stderr
    assert len(sent(org)) == 1
    (notice,) = Notices.read(DirectoryStore(Path("notices")), ACCOUNT, utc_now()).held(utc_now())
    assert notice.step == "announced"


def test_nothing_is_recorded_where_a_message_cannot_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    real = DirectoryStore.create

    def refusing(store: DirectoryStore, name: str, content: bytes) -> None:
        if name.startswith("held/"):
            raise OSError("disk full")
        real(store, name, content)

    monkeypatch.setattr(DirectoryStore, "create", refusing)
    with pytest.raises(PolicyExecutionError, match="nothing is held and nobody is told: disk full"):
        hold()
    assert "announced" not in steps()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        pytest.param({"step": "created", "days": 2}, "is told at once", id="at-once"),
        pytest.param({"to": [OWNER, "account-emails"]}, "remove account-emails", id="by-the-mailer"),
        pytest.param(
            {"to": [OWNER, "resource-owner"], "email-domains": ["example.com"]},
            "remove resource-owner",
            id="by-tags",
        ),
        pytest.param({"cc": ["x@example.com"]}, "remove cc", id="copies"),
    ],
)
def test_what_a_digest_cannot_send_is_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(PolicyValidationError, match=fault):
        hold(**options)


@pytest.mark.parametrize("channel", ["#payments", "payments", "slack://tag/Owner", "https://example.com/"])
def test_a_channel_that_is_none_writes_to_nobody(org: LocalOrg, channel: str) -> None:
    accounts_file(slack=channel)
    result = digest()
    assert (result.exit_code, sent(org)) == (1, [])
