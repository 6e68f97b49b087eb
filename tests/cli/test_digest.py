# SPDX-License-Identifier: Apache-2.0
"""One summary for each owner over all its accounts, by real notices and outputs."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n_mailer.utils import get_message_subject, get_rendered_jinja
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import OUTCOME, Journal, utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.held import HeldMessage
from c7n_iamusers.notices.notices import ANNOUNCED, Notice
from c7n_iamusers.notices.stock_rows import ANNOTATION
from c7n_iamusers.reasons import DONE
from c7n_iamusers_cli import digest as digest_module
from c7n_iamusers_cli.mail_templates import SHIPPED
from c7n_iamusers_cli.main import main
from tests.plugins.test_notify_owners import sent
from tests.policies import ACCOUNT
from tests.report.fleet_outputs import Outputs

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"
OTHER, THIRD = "444455556666", "777788889999"
OWNER, ELSE = "both@example.com", "else@example.com"
OWNERS = {ACCOUNT: ("payments", OWNER), OTHER: ("research", OWNER), THIRD: ("platform", ELSE)}


def subject(name: str, account: str) -> Subject:
    return Subject(name, f"arn:aws:iam::{account}:user/team/{name}", f"AIDA{name.upper()}")


def announced(account: str, *names: str, ahead: int = 20, **evidence: str) -> None:
    time = utc_now() - timedelta(days=10)
    users = tuple(subject(name, account) for name in names)
    day = utc_now().date() + timedelta(days=ahead)
    stop = day - timedelta(days=14)
    notice = Notice(account, ANNOUNCED, time, day, ("owner@example.com",), "m", "flag", users, stop=stop)
    notice = replace(notice, evidence={each.unique_id: evidence for each in users if evidence})
    store = DirectoryStore(Path("notices"))
    store.create(exempted.place_of(account, time), exempted.as_json(account, time, ()))
    store.create(notice.name, notice.as_json())


def outcome(name: str, account: str, status: str, days: float) -> dict[str, Any]:
    time = (utc_now() - timedelta(days=days)).isoformat()
    user = subject(name, account)
    who = {"user": user.name, "arn": user.arn, "unique_id": user.unique_id}
    return {**who, "status": status, **DONE.as_data(), "calls": 3, "time": time}


@pytest.fixture(autouse=True)
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    accounts_file()
    announced(ACCOUNT, "alice", "bob", "gone")
    announced(OTHER, "carol", ahead=-1)
    announced(THIRD, "dave")
    rows = [outcome("bob", ACCOUNT, "quarantined", 2), outcome("gone", ACCOUNT, "deleted", 1)]
    rows.append(outcome("long-ago", ACCOUNT, "deleted", 40))
    Outputs(Path("output")).leave(name="payments", account=ACCOUNT, policy="act", outcomes=rows)
    Outputs(Path("output")).leave(name="platform", account=THIRD, policy="act")
    return tmp_path


def accounts_file(**variables: Any) -> None:
    rows = [
        {
            "name": name,
            "account_id": account,
            "role": f"arn:aws:iam::{account}:role/r",
            "regions": ["us-east-1"],
            "vars": {"owner": owner, **(variables if account == OTHER else {})},
        }
        for account, (name, owner) in OWNERS.items()
    ]
    known = {
        "queue_url": QUEUE,
        "notices": "notices",
        "contact": "ask@example.com",
        "quarantined_for_days": 14,
    }
    Path("accounts.yml").write_text(yaml.safe_dump({"vars": known, "accounts": rows}))


def digest(*options: str) -> Result:
    return CliRunner().invoke(main, ["digest", "-s", "output", "-c", "accounts.yml", *options])


def main_of(command: str, *words: str) -> Result:
    where = ["output"] if command == "verify" else ["-s", "output"]
    return CliRunner().invoke(main, [command, *words, *where, "-c", "accounts.yml"])


def told(message: dict[str, Any]) -> dict[str, str]:
    return {each["UserName"]: each["c7n:IamUser"]["digest"]["text"] for each in message["resources"]}


def test_each_owner_gets_one_message_over_all_its_accounts(org: LocalOrg) -> None:
    found = digest()
    assert found.exit_code == 0, found.output
    both, other = sorted(sent(org), key=lambda each: str(each["action"]["to"]))
    assert (both["action"]["to"], other["action"]["to"]) == ([OWNER], [ELSE])
    assert get_message_subject(both) == (
        "2 AWS accounts: IAM users, 1 deleted, 1 denied everything, 2 announced"
    )
    today = utc_now().date()
    day, stop = today + timedelta(days=20), today + timedelta(days=6)
    yesterday = today - timedelta(days=1)
    assert told(both) == {
        "bob": f"denied everything since {today - timedelta(days=2)}, to be deleted on {day} or later",
        "gone": f"deleted on {yesterday}",
        "carol": "its announced day has come, and it is still there: it is deleted once nothing keeps it",
        "alice": f"to be denied everything on {stop} and deleted on {day} or later, unless it is in use or lacks a "
        "replacement",
    }
    assert [*told(both)] == ["bob", "gone", "carol", "alice"]  # what was done comes first
    assert [*told(other)] == ["dave"]
    folders, log = [str(SHIPPED)], logging.getLogger("mailer")
    text = get_rendered_jinja([OWNER], both, both["resources"], log, "template", "default", folders)
    for shown in (
        "2 AWS accounts",
        "What was done",
        "alice",
        "research",
        "ask@example.com",
        "announces nothing",
    ):
        assert shown in text


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        pytest.param(20, "to be moved by {day}", id="before-its-day"),
        pytest.param(-1, "its day has come, and it is still there", id="after-its-day"),
    ],
)
def test_who_was_announced_as_in_use_is_not_said_to_be_deleted(org: LocalOrg, ahead: int, said: str) -> None:
    for path in (*Path("notices", THIRD).glob("*"), *Path("notices", "exempt", THIRD).glob("*")):
        path.unlink()
    announced(THIRD, "erin", ahead=ahead, group="in-use", code="Active", told="in use: its key 1 was used")
    assert digest("--owner", ELSE).exit_code == 0
    (message,) = sent(org)
    assert message["action"]["subject"] == "platform: IAM users, 1 in use"
    on, day = utc_now().date() - timedelta(days=10), utc_now().date() + timedelta(days=ahead)
    assert told(message)["erin"] == (
        f"when it was announced, on {on}: in use: its key 1 was used; {said.format(day=day)}"
    )


def test_a_digest_is_no_announcement() -> None:
    before = sorted(map(str, Path("notices").rglob("*")))
    digest()
    assert sorted(map(str, Path("notices").rglob("*"))) == before


def test_a_dry_run_prints_who_would_get_what(org: LocalOrg) -> None:
    found = digest("--dry-run", "--owner", OWNER)
    assert sent(org) == []
    assert (found.exit_code, OWNER in found.stdout, ELSE in found.stdout) == (0, True, False)
    assert "2 AWS accounts: IAM users, 1 deleted" in found.stdout
    assert "1 messages would be sent to 1 owners" in found.stderr


@pytest.mark.parametrize(
    ("variables", "options", "why"),
    [
        pytest.param({"owner": "nobody"}, [], "has no owner that is an e-mail address", id="no-owner"),
        pytest.param({"queue_url": f"{QUEUE}-2"}, [], "have 2 different queue_url", id="two-queues"),
        pytest.param({}, ["--owner", "who@example.com"], "has no account whose owner is", id="no-such-owner"),
        pytest.param({}, ["--queue", "c7n-mailer"], "is not the URL of a queue", id="no-queue"),
    ],
)
def test_nobody_is_written_to(org: LocalOrg, variables: dict[str, Any], options: list[str], why: str) -> None:
    accounts_file(**variables)
    found = digest(*options)
    assert found.exit_code != 0
    assert why in found.stderr
    assert sent(org) == []


def only_else_is_written_to(org: LocalOrg, *told: str) -> None:
    found = digest()
    assert found.exit_code == 1
    assert isinstance(found.exception, SystemExit)
    assert [each["action"]["to"] for each in sent(org)] == [[ELSE]]
    for text in (*told, f"{OWNER} was not written to: make "):
        assert text in found.stderr


def test_notices_that_cannot_be_read_stop_the_digest_of_their_owner_alone(org: LocalOrg) -> None:
    (broken,) = Path("notices", ACCOUNT).glob("*-announced-*.json")
    broken.write_text("{")
    only_else_is_written_to(org, str(broken), f"payments ({ACCOUNT})")


def test_without_notices_the_owner_is_not_written_to(org: LocalOrg) -> None:
    accounts_file(notices="")
    only_else_is_written_to(org, "there are no notices of research", f"research ({OTHER})")


def test_what_is_of_no_known_account_stops_every_digest(org: LocalOrg) -> None:
    Outputs(Path("output")).leave(name="", files={"metadata.json": "{", "resources.json": None})
    found = digest()
    assert (found.exit_code, sent(org)) == (1, [])
    assert "nobody was written to" in found.stderr


def hold(account: str, to: tuple[str, ...], *names: str, known: Any = None, **more: Any) -> str:
    """A message that is held since an hour; the place of its file."""
    time, store = utc_now() - timedelta(hours=1), DirectoryStore(Path("notices"))
    users = [{"UserName": name, "UserId": f"AIDA{name.upper()}", ANNOTATION: known, **more} for name in names]
    message = HeldMessage(account, "announce", to, {}, tuple(users))
    place, day = message.place(time), time.date() + timedelta(days=20)
    store.create(place, message.as_json())
    subjects = tuple(subject(name, account) for name in names)
    notice = Notice(account, ANNOUNCED, time, day, (OWNER,), "", "flag", subjects, queue=QUEUE, held=place)
    store.create(notice.name, notice.as_json())
    return place


def test_who_is_chosen_in_an_account_reads_of_the_users_of_its_message_alone(org: LocalOrg) -> None:
    """Whoever may tag a user there chooses the recipients of what policies say of it."""
    accounts_file(slack="slack://#research")
    hold(OTHER, (OWNER, "boss@example.com"), "eve", known={"notice": {"day": "2999-01-31"}})
    found = digest()
    assert found.exit_code == 0, found.output
    messages = sent(org)
    assert {each["action"]["owner"] for each in messages} == {OWNER, ELSE}
    assert {tuple(each["action"]["to"]): {*told(each)} for each in messages} == {
        (OWNER,): {"alice", "bob", "carol", "eve", "gone"},
        ("slack://#research",): {"carol", "eve"},
        ("boss@example.com",): {"eve"},
        (ELSE,): {"dave"},
    }
    (record,) = Path("notices", OTHER).glob("*-digest-*.json")
    assert len(json.loads(record.read_text())["message-ids"]) == 3


@pytest.mark.parametrize(
    ("known", "more"),
    [
        pytest.param({"notice": "x"}, {}, id="notice"),
        pytest.param({"notice": {"day": "x"}}, {}, id="no-day"),
        pytest.param({"notice": {"day": "2026-99-99"}}, {}, id="no-such-day"),
        pytest.param({"notice": {"group": ["x"]}}, {}, id="group"),
        pytest.param({"outcome": "x"}, {}, id="outcome"),
        pytest.param({"outcome": {"status": ["x"]}}, {}, id="status"),
        pytest.param({"findings": ["x"]}, {}, id="findings"),
        pytest.param({"attempts": {"attempts": ["x"]}}, {}, id="attempts"),
        pytest.param(["x"], {}, id="list"),
        pytest.param("x", {}, id="text"),
        pytest.param({}, {"Arn": f"arn:aws:iam::{ACCOUNT}:user/eve"}, id="user-of-another-account"),
    ],
)
def test_a_held_file_of_another_shape_is_named_and_stops_the_digest_of_its_owner_alone(
    org: LocalOrg, known: Any, more: dict[str, Any]
) -> None:
    place = hold(OTHER, (OWNER,), "eve", known=known, **more)
    only_else_is_written_to(org, place, f"research ({OTHER})")


def test_the_held_messages_of_one_account_have_a_bound(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest_module, "_MOST_HELD", 1_000)
    place = hold(OTHER, (OWNER,), *(f"eve-{number}" for number in range(20)), known={})
    only_else_is_written_to(org, place, f"research ({OTHER})")


def test_what_one_account_holds_is_no_link_in_the_mail(org: LocalOrg) -> None:
    link = "https://evil.example/login"
    hold(ACCOUNT, (OWNER,), "alice", known={"kind": link, "replacement": [link]})
    assert digest().exit_code == 0
    folders, log = [str(SHIPPED)], logging.getLogger("mailer")
    pages = [
        get_rendered_jinja([OWNER], each, each["resources"], log, "template", "default", folders)
        for each in sent(org)
    ]
    assert any("evil" in page for page in pages)
    assert not any(link in page for page in pages)


@pytest.mark.parametrize("account", [ACCOUNT, OTHER])
def test_what_an_account_writes_of_another_s_user_is_believed_by_no_command(
    org: LocalOrg, account: str
) -> None:
    """Its own part of the output says that alice of payments was deleted: by her ARN, or by her unique id."""
    row = {**outcome("alice", account, "deleted", 0.1), "unique_id": "AIDAALICE"}
    files = {"outcomes.json": json.dumps([row])}
    place = Outputs(Path("output")).leave(name="research", account=OTHER, policy="realtime", files=files)
    with Journal(place / "journal.jsonl") as journal:
        journal.write(
            subject("alice", account), OUTCOME, **{key: row[key] for key in ("status", "reason", "code")}
        )
    assert f"user alice of account {ACCOUNT}: announced\n" in main_of("user", "alice").stdout
    main_of("receipt", "alice")
    assert not [*Path("receipts").rglob(f"{ACCOUNT}/*")]
    digest()
    told_of = {name for message in sent(org) for name in told(message)}
    report = main_of("report", "--format", "json", "--check")
    fleet = {each["arn"]: each["status"] for each in json.loads(Path("report.json").read_text())["users"]}
    assert f"arn:aws:iam::{ACCOUNT}:user/team/alice" not in fleet
    if account == OTHER:  # a user of its own
        assert "alice" in told_of
        return
    assert told_of == {"dave"}
    for each in (report, main_of("verify")):
        assert each.exit_code == 1
        assert f"tells of {row['arn']!r}, and it lies where account {OTHER} writes" in each.stderr


def test_a_queue_that_refuses_is_named() -> None:
    found = digest("--queue", f"{QUEUE}-2")
    assert found.exit_code == 1
    assert f"{OWNER}: not all was sent" in found.stderr
