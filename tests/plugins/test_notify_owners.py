# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import hashlib
import json
import zlib
from contextlib import nullcontext
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n_mailer.utils import get_message_subject

from aws_local_org import LocalOrg
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices.stop import STOP
from c7n_iamusers.plugins.notify_owners import NotifyOwners
from tests.gateway import FEW_FORMS, Gateway, operation
from tests.interference import deny
from tests.plugins.deletions import delete, outcomes, user_names
from tests.policies import ACCOUNT, policy

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"
OWNER = "owner@example.com"
EVERYBODY = [{"type": "unnecessary", "exempt": "none"}]


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    client = org.client("iam", account_id=ACCOUNT)
    for name in ("alice", "bob"):
        client.create_user(UserName=name)
    return client


def action(notices: Path | str, **options: Any) -> dict[str, Any]:
    found = {
        "type": "notify-owners",
        "notices": str(notices),
        "step": "announce",
        "days": 30,
        "template": "iam-users-flagged.html",
        "subject": "IAM users are to be deleted",
        "to": [OWNER, "account-emails"],
        "transport": {"type": "sqs", "queue": QUEUE},
        "assume_role": False,
        # tests/plugins/test_delivery.py is about messages in the queue
        "delivery": "unchecked",
        **options,
    }
    return {key: value for key, value in found.items() if value is not None}


def notify(notices: Path | str, *more: dict[str, Any], **options: Any) -> Any:
    return policy({"filters": [*EVERYBODY, *more], "actions": [action(notices, **options)]}).run()


def sent(org: LocalOrg) -> list[dict[str, Any]]:
    queue = org.client("sqs")
    found = queue.receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(zlib.decompress(base64.b64decode(each["Body"]))) for each in found]


def records(notices: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((notices / ACCOUNT).glob("*.json"))]


def age(notices: Path, days: int) -> None:
    """As if what was recorded had been recorded that many days earlier."""
    for path in notices.glob("*.json"):
        data = json.loads(path.read_text())
        for key in {"time", "day", "credentials-stop", "brownout"} & data.keys():
            text = data[key]
            data[key] = (date.fromisoformat(text[:10]) - timedelta(days=days)).isoformat() + text[10:]
        path.write_text(json.dumps(data))


def test_who_was_addressed_is_on_record(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path)
    (message,), (record,) = sent(org), records(tmp_path)
    day = (utc_now().date() + timedelta(days=30)).isoformat()
    assert record["addresses"] == [OWNER]
    assert record["message-id"]
    assert (record["account"], record["step"], record["day"]) == (ACCOUNT, "announced", day)
    ids = {each["UserName"]: each["UserId"] for each in iam.list_users()["Users"]}
    assert {each["user"]: each["unique-id"] for each in record["users"]} == ids
    assert {each["c7n:IamUser"]["notice"]["day"] for each in message["resources"]} == {day}


@pytest.mark.parametrize("form", FEW_FORMS)
def test_a_message_of_which_the_queue_says_nothing_is_sent_again(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with monkeypatch.context() as patched:
        Gateway(form, operation("SendMessage")).install(patched)
        with pytest.raises(PolicyExecutionError, match="no answer says whether the message was sent"):
            notify(tmp_path)
    assert records(tmp_path) == []
    notify(tmp_path)
    (record,) = records(tmp_path)
    assert len(record["users"]) == 2
    assert len(sent(org)) == 2  # one more than needed is better than one too few


def test_a_message_that_the_queue_refused_was_not_sent(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deny(monkeypatch, "SendMessage")
    with pytest.raises(PolicyExecutionError, match=r"the message was not sent.*AccessDenied"):
        notify(tmp_path)
    assert (records(tmp_path), sent(org)) == ([], [])


def test_the_subject_names_account_users_and_day(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path, subject=None, **{"account-name": "payments"})
    (message,) = sent(org)
    day = utc_now().date() + timedelta(days=30)
    assert get_message_subject(message) == f"payments: 2 IAM users are to be deleted on {day}"


def test_a_message_that_is_too_large_is_split(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(58):
        iam.create_user(UserName=f"user-{number}")
    monkeypatch.setattr(NotifyOwners, "buffer_max_size", 2_200)
    notify(tmp_path, subject=None)
    messages = sorted(sent(org), key=lambda each: each["action"]["part"])
    assert len(messages) > 1
    assert [each["action"]["part"] for each in messages] == list(range(1, len(messages) + 1))
    assert {each["action"]["users"] for each in messages} == {60}
    assert {each["action"]["parts"] for each in messages} == {len(messages)}
    subjects = {each["action"]["subject"] for each in messages}
    assert all(": 60 IAM users are to be deleted on " in each for each in subjects)
    ends = {f"(part {number} of {len(messages)})" for number in range(1, len(messages) + 1)}
    assert {each[each.index("(") :] for each in subjects} == ends
    named = [resource["UserName"] for each in messages for resource in each["resources"]]
    recorded = [user["user"] for record in records(tmp_path) for user in record["users"]]
    assert sorted(named) == sorted(recorded) == sorted(user_names(iam))


def test_a_user_that_fits_no_message_is_named(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifyOwners, "buffer_max_size", 500)
    with pytest.raises(PolicyExecutionError, match=r"alice, bob does not fit a message.*were not addressed"):
        notify(tmp_path)
    assert records(tmp_path) == sent(org) == []


def trust(iam: Any, name: str, roles: int) -> None:
    """Roles with long and random paths that trust the user, so that a message can't be made small by compression."""
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"}}
    document = {"Version": "2012-10-17", "Statement": [{**statement, "Action": "sts:AssumeRole"}]}
    for number in range(roles):
        digests = (hashlib.sha256(f"{number} {part}".encode()).hexdigest() for part in range(7))
        path = f"/{''.join(digests)}/"
        iam.create_role(RoleName=f"r{number}", Path=path, AssumeRolePolicyDocument=json.dumps(document))


@pytest.mark.parametrize(
    ("size", "told"),
    [
        pytest.param(12_000, ["alice", "bob", "mallory"], id="shortened"),
        pytest.param(2_600, ["alice", "bob"], id="left-out"),
    ],
)
def test_a_user_that_is_too_large_keeps_nobody_from_being_addressed(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, told: list[str]
) -> None:
    iam.create_user(UserName="mallory")
    trust(iam, "mallory", 60)
    monkeypatch.setattr(NotifyOwners, "buffer_max_size", size)
    left_out = pytest.raises(PolicyExecutionError, match="mallory does not fit a message")
    with nullcontext() if "mallory" in told else left_out:
        notify(tmp_path, template="mine.html")
    messages = sent(org)
    found = {each["UserName"]: each["c7n:IamUser"] for message in messages for each in message["resources"]}
    assert sorted(found) == told
    assert sorted(user["user"] for record in records(tmp_path) for user in record["users"]) == told
    shortened = {name for name, known in found.items() if known["findings"][-1]["id"] == "shortened"}
    assert shortened == set(told) - {"alice", "bob"}


def test_who_was_addressed_is_not_addressed_again(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path)
    iam.create_user(UserName="carol")
    notify(tmp_path)
    notify(tmp_path)
    assert sorted([each["user"] for each in record["users"]] for record in records(tmp_path)) == [
        ["alice", "bob"],
        ["carol"],
    ]
    assert len(sent(org)) == 2


def test_a_user_that_came_back_is_announced_anew(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path)
    iam.delete_user(UserName="bob")
    iam.create_user(UserName="bob")
    notify(tmp_path)
    assert sorted(len(each["users"]) for each in records(tmp_path)) == [1, 2]
    said = [
        user["c7n:IamUser"]["notice"].get("came-back") for each in sent(org) for user in each["resources"]
    ]
    (back,) = filter(None, said)
    assert back.startswith("came back or was restored: a user of this name was announced on 20")
    assert len(said) == 3


def test_reminders(iam: Any, tmp_path: Path) -> None:
    notify(tmp_path)
    notify(tmp_path, step="remind", days=7)
    assert len(records(tmp_path)) == 1
    age(tmp_path / ACCOUNT, 23)
    for _ in range(2):
        notify(tmp_path, step="remind", days=7)
    assert [each["step"] for each in records(tmp_path)] == ["announced", "reminded-7"]
    assert records(tmp_path)[0]["day"] == records(tmp_path)[1]["day"]


def test_both_reminders_are_one_message(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    """Alice's day is tomorrow, and nobody sent her first reminder; bob's is in five days, and comes later."""
    both = {"step": "remind", "days": 7, "again": 1}
    notify(tmp_path, {"UserName": "alice"}, days=1)
    notify(tmp_path, {"UserName": "bob"}, days=5)
    sent(org)
    for _ in range(2):
        notify(tmp_path, **both)
    (message,) = sent(org)
    assert {each["UserName"] for each in message["resources"]} == {"alice", "bob"}
    assert reminded(tmp_path) == {"reminded-1": ["alice"], "reminded-7": ["bob"]}
    age(tmp_path / ACCOUNT, 4)
    notify(tmp_path, **both)
    assert reminded(tmp_path) == {"reminded-1": ["alice", "bob"], "reminded-7": ["bob"]}


def reminded(notices: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in records(notices):
        if each["step"].startswith("reminded"):
            found.setdefault(each["step"], []).extend(user["user"] for user in each["users"])
    return {step: sorted(names) for step, names in found.items()}


def test_a_second_reminder_before_the_first_is_refused(org: LocalOrg, tmp_path: Path) -> None:
    with pytest.raises(PolicyValidationError, match="again: 7 is not after the reminder 7 days before"):
        policy({"filters": EVERYBODY, "actions": [action(tmp_path, step="remind", days=7, again=7)]})


def test_users_of_several_days_are_reminded_in_one_message(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path, {"UserName": "alice"}, days=5)
    notify(tmp_path, {"UserName": "bob"}, days=6)
    sent(org)
    notify(tmp_path, step="remind", days=7)
    reminded = [each for each in records(tmp_path) if each["step"] == "reminded-7"]
    assert len(sent(org)) == 1
    assert sorted(each["users"][0]["user"] for each in reminded) == ["alice", "bob"]
    assert len({each["message-id"] for each in reminded}) == 1


@pytest.mark.parametrize("to", [["account-emails"], ["resource-owner"], [""], ["owner"], ["{owner}"]])
def test_nobody_to_address(org: LocalOrg, iam: Any, tmp_path: Path, to: list[str]) -> None:
    with pytest.raises(
        (PolicyExecutionError, PolicyValidationError), match=r"no e-mail address|undefined variables: owner"
    ):
        notify(tmp_path, to=to)
    assert records(tmp_path) == sent(org) == []


def test_owners_in_tags_get_mail_at_the_given_domains_only(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    with pytest.raises(PolicyValidationError, match="limit them by email-domains"):
        notify(tmp_path, to=[OWNER, "resource-owner"])
    for name, tags in (
        ("alice", {"Owner": "a@example.com", "Team": "x"}),
        ("bob", {"Owner": "b@evil.example", "Contact": "c@evil.example:d@example.com"}),
    ):
        iam.tag_user(UserName=name, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    notify(tmp_path, to=[OWNER, "resource-owner"], subject=None, **{"email-domains": ["example.com"]})
    (message,) = sent(org)
    found = {each["UserName"]: {tag["Key"] for tag in each["Tags"]} for each in message["resources"]}
    assert found == {"alice": {"Owner", "Team"}, "bob": set()}
    assert ": IAM users are to be deleted on " in message["action"]["subject"]


def inform(place: Path, output: Path, delete: dict[str, Any], **options: Any) -> None:
    """Delete everybody, and say what became of whom."""
    known = {"step": "inform", "days": None, "subject": None, "account-name": "payments", **options}
    actions = [{"type": "composite-delete", **delete}, action(place, **known)]
    policy({"filters": EVERYBODY, "actions": actions}, output).run()


def test_owners_are_told_once_what_became_of_each_user(
    org: LocalOrg, iam: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the deletion of another user failed. Nobody is told that an announced user is still there."""
    notices, today = tmp_path / "notices", utc_now().date()
    caplog.set_level("INFO")
    notify(notices)
    iam.create_user(UserName="carol")
    sent(org)
    inform(notices, tmp_path / "output", noticed(notices))
    (message,) = sent(org)
    assert get_message_subject(message) == f"payments: 1 IAM user left alone on {today}"
    age(notices / ACCOUNT, 30)
    with pytest.MonkeyPatch.context() as patched:
        deny(patched, "DeleteUser", "bob")
        with pytest.raises(PolicyExecutionError, match=r"composite-delete failed for 1 users: .*bob"):
            inform(notices, tmp_path / "output", noticed(notices))
        (message,) = sent(org)
        assert get_message_subject(message) == f"payments: 1 IAM user deleted, 1 failed on {today}"
        with pytest.raises(PolicyExecutionError, match="failed for 1 users"):
            inform(notices, tmp_path / "output", noticed(notices))
    assert sent(org) == []
    assert "nothing new, no message is sent" in caplog.text
    informed = [each for each in records(notices) if each["step"] == "informed"]
    assert all(each["addresses"] == [OWNER] and each["message-id"] for each in informed)
    assert {user["user"]: user["what"] for each in informed for user in each["users"]} == {
        "alice": "deleted",
        "bob": "failed",
        "carol": "skipped: NotAnnounced",
    }


def test_a_release_is_told_once_however_often_it_runs(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    known = {"step": "inform", "days": None, "subject": None, "account-name": "payments"}
    release = ["release", action(tmp_path / "notices", **known)]
    for name, actions in (("hold", ["quarantine"]), *[("give-back", release)] * 3):
        policy({"name": name, "filters": EVERYBODY, "actions": actions}, tmp_path / "output").run()
    (message,) = sent(org)
    assert "2 IAM users released from quarantine" in get_message_subject(message)


@pytest.mark.parametrize(
    ("place", "options", "reason"),
    [
        pytest.param("file", {}, "notices can't be read and written", id="notices"),
        pytest.param(
            "notices", {"to": None, "to_from": {"url": "file:nobody.json"}}, "no e-mail address", id="nobody"
        ),
    ],
)
def test_what_was_done_stays_done_where_nobody_can_be_told(
    org: LocalOrg,
    iam: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    options: dict[str, Any],
    reason: str,
) -> None:
    """Both errors end the policy, and name their users."""
    deny(monkeypatch, "DeleteUser", "bob")
    (tmp_path / "file").touch()
    (tmp_path / "nobody.json").write_text("[]")
    told = rf"composite-delete failed.*notify-owners: .*{reason}.*Nobody was told of: alice \(deleted\), bob"
    with pytest.raises(PolicyExecutionError, match=told):
        inform(tmp_path / place, tmp_path / "output", {}, **options)
    assert user_names(iam) == ["bob"]
    assert sent(org) == []


def test_a_message_that_is_sent_after_midnight_has_a_record_that_can_be_read(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run begins the day before. No record has a day before its time: such a file is forged."""
    midnight = utc_now().replace(hour=0, minute=0, second=1)
    times = iter([midnight - timedelta(seconds=3), midnight - timedelta(seconds=2)])
    monkeypatch.setattr("c7n_iamusers.plugins.notify_owners.utc_now", lambda: next(times, midnight))
    for _ in range(2):
        notify(tmp_path, step="inform", days=None)
    (record,) = records(tmp_path)
    assert record["day"] == midnight.date().isoformat()


def test_what_has_become_of_users_has_no_day(org: LocalOrg, tmp_path: Path) -> None:
    with pytest.raises(PolicyValidationError, match="step: inform has no day: remove days"):
        policy({"filters": EVERYBODY, "actions": [action(tmp_path, step="inform")]})


def test_a_policy_that_spares_nobody_by_word_is_refused(org: LocalOrg, tmp_path: Path) -> None:
    with pytest.raises(PolicyValidationError, match="needs exemptions"):
        policy({"filters": ["unnecessary"], "actions": [action(tmp_path)]})


def test_notices_that_cannot_be_written(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    (tmp_path / "notices").write_text("a file")
    with pytest.raises(PolicyExecutionError, match="Nobody was addressed"):
        notify(tmp_path / "notices")
    assert sent(org) == []


def test_who_is_exempt_cannot_be_recorded(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.tag_user(UserName="bob", Tags=[{"Key": "Purpose", "Value": "break-glass"}])
    (tmp_path / "exempt").write_text("a file")
    filters = [{"type": "unnecessary", "exempt": [BREAK_GLASS]}]
    with pytest.raises(PolicyExecutionError, match="Nobody was addressed"):
        policy({"filters": filters, "actions": [action(tmp_path)]}).run()
    assert sent(org) == records(tmp_path) == []


def test_a_record_that_cannot_be_written_is_named(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = DirectoryStore.create

    def full(store: DirectoryStore, name: str, content: bytes) -> None:
        if name.startswith(ACCOUNT):
            raise OSError("No space left on device")
        create(store, name, content)

    monkeypatch.setattr(DirectoryStore, "create", full)
    with pytest.raises(
        PolicyExecutionError, match=r"about alice, bob was sent to owner@example.com .*No space left"
    ):
        notify(tmp_path)


def test_notices_in_a_bucket(org: LocalOrg, iam: Any) -> None:
    s3 = org.client("s3")
    s3.create_bucket(Bucket="governance")
    for _ in range(2):
        notify("s3://governance/iam-users?region=us-east-1")
    found = s3.list_objects_v2(Bucket="governance", Prefix=f"iam-users/{ACCOUNT}/2")["Contents"]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param({"credentials": "keep"}, "skipped", id="listen"),
        pytest.param({}, "skipped", id="quarantine"),
        pytest.param({"brownout": 15, "told": 0}, "browned-out", id="brownout"),
        pytest.param({"brownout": 15, "told": 9}, "skipped", id="brownout-before-its-day"),
        pytest.param({"brownout": 15}, "skipped", id="brownout-of-which-nobody-was-told"),
    ],
)
def test_credentials_do_not_stop_working_before_the_day_in_the_mail(
    iam: Any, tmp_path: Path, options: dict[str, Any], status: str
) -> None:
    told = options.pop("told", None)
    notify(tmp_path / "notices", **{"quarantined-for": 14, "brownout-after": told})
    act = {"type": "quarantine", "noticed": 0, "notices": str(tmp_path / "notices"), **options}
    policy({"filters": EVERYBODY, "actions": [act]}, tmp_path / "output").run()
    assert {row["status"] for row in outcomes(tmp_path / "output").values()} == {status}


BREAK_GLASS = {"tag": "Purpose=break-glass", "reason": "break-glass", "expires": "2999-12-31"}


@pytest.mark.parametrize("kind", ["composite-delete", "quarantine"])
def test_who_lost_the_tag_of_its_exemption_stays_until_it_is_announced_again(
    org: LocalOrg, iam: Any, tmp_path: Path, kind: str
) -> None:
    notices, output = tmp_path / "notices", tmp_path / "output"
    # one of the rules that protect her is removed in the end, and the other one stays
    second = {"user": "alice", "reason": "needed until the migration", "expires": "2999-12-31"}

    def run(step: dict[str, Any], *more: dict[str, Any]) -> None:
        filters = [{"type": "unnecessary", "exempt": [BREAK_GLASS, *more]}]
        policy({"filters": filters, "actions": [step]}, output).run()

    run(action(notices))
    for name in ("alice", "bob"):  # nobody is left, so c7n calls no action
        iam.tag_user(UserName=name, Tags=[{"Key": "Purpose", "Value": "break-glass"}])
    for _ in range(2):
        run(action(notices), second)
    # that nobody was exempt, before the announcement; and that both are
    assert len(list((notices / "exempt" / ACCOUNT).iterdir())) == 2
    iam.untag_user(UserName="alice", TagKeys=["Purpose"])
    age(notices / ACCOUNT, 30)
    age(notices / "exempt" / ACCOUNT, 25)
    sent(org)
    run({"type": kind, **noticed(notices)})
    (row,) = outcomes(output).values()
    assert row["status"] == "skipped"
    assert (
        "by tag 'Purpose=break-glass', and was not announced since: to keep it, restore its tag"
        in row["reason"]
    )
    run(action(notices))
    (message,) = sent(org)
    (named,) = message["resources"]
    assert named["UserName"] == "alice"
    assert named["c7n:IamUser"]["notice"]["was-exempt"].endswith("by tag 'Purpose=break-glass'")
    run({"type": kind, **noticed(notices)})
    assert "announced less than 30 days ago" in outcomes(output)["alice"]["reason"]


def changes(org: LocalOrg) -> set[str]:
    """The calls that changed something but for the users' creation."""
    names = {each.operation for each in org.calls if each.service == "iam"}
    return {each for each in names if not each.startswith(("Get", "List", "Create", "Generate"))}


def noticed(notices: Path) -> dict[str, Any]:
    return {"noticed": 30, "notices": str(notices)}


@pytest.mark.parametrize(
    ("days", "reason"),
    [(None, "were not addressed"), (29, "announced less than 30 days ago"), (30, None)],
    ids=["unannounced", "too-early", "the-day"],
)
def test_a_user_goes_only_with_a_notice(
    iam: Any, tmp_path: Path, days: int | None, reason: str | None
) -> None:
    if days is not None:
        notify(tmp_path / "notices")
        age(tmp_path / "notices" / ACCOUNT, days)
    delete(tmp_path / "output", **noticed(tmp_path / "notices"))
    rows = outcomes(tmp_path / "output")
    assert {row["status"] for row in rows.values()} == {"skipped" if reason else "deleted"}
    assert all(reason in row["reason"] for row in rows.values() if reason)
    assert user_names(iam) == (["alice", "bob"] if reason else [])


@pytest.mark.parametrize(("days", "status"), [(15, "skipped"), (16, "quarantined")])
def test_a_quarantine_counts_from_the_announcement(iam: Any, tmp_path: Path, days: int, status: str) -> None:
    """The announced day is that of the deletion, so a quarantine need not wait for it."""
    notify(tmp_path / "notices")
    age(tmp_path / "notices" / ACCOUNT, days)
    options = {"noticed": 16, "notices": str(tmp_path / "notices")}
    policy({"filters": EVERYBODY, "actions": [{"type": "quarantine", **options}]}, tmp_path / "output").run()
    assert {row["status"] for row in outcomes(tmp_path / "output").values()} == {status}


def test_a_forged_mark_changes_nothing(iam: Any, tmp_path: Path) -> None:
    """Whoever holds iam:TagUser writes tags; the record decides."""
    mark = "c7n-iamusers-deletion"
    iam.tag_user(UserName="alice", Tags=[{"Key": mark, "Value": "gone: composite-delete@2020/01/01"}])
    iam.tag_user(UserName="bob", Tags=[{"Key": mark, "Value": "gone: composite-delete@2999/01/01"}])
    delete(tmp_path / "early", **noticed(tmp_path / "notices"))
    assert user_names(iam) == ["alice", "bob"]
    notify(tmp_path / "notices")
    age(tmp_path / "notices" / ACCOUNT, 30)
    delete(tmp_path / "output", **noticed(tmp_path / "notices"))
    assert user_names(iam) == []


def test_a_notice_that_was_tampered_with_touches_nobody(iam: Any, tmp_path: Path) -> None:
    notify(tmp_path / "notices")
    (path,) = (tmp_path / "notices" / ACCOUNT).glob("*.json")
    path.write_text(path.read_text().replace("20", "29", 1))
    with pytest.raises(PolicyExecutionError, match="is no notice"):
        delete(tmp_path / "output", **noticed(tmp_path / "notices"))
    assert user_names(iam) == ["alice", "bob"]


@pytest.mark.parametrize("kind", ["composite-delete", "quarantine"])
def test_stop(org: LocalOrg, iam: Any, tmp_path: Path, kind: str) -> None:
    notify(tmp_path / "notices")
    age(tmp_path / "notices" / ACCOUNT, 30)
    (tmp_path / "notices" / STOP).touch()
    data = {"filters": EVERYBODY, "actions": [{"type": kind, **noticed(tmp_path / "notices")}]}
    with pytest.raises(PolicyExecutionError, match="stops every destructive action"):
        policy(data, tmp_path / "output").run()
    assert changes(org) == set()
    (tmp_path / "notices" / STOP).unlink()
    policy(data, tmp_path / "output").run()
    assert changes(org) & {"PutUserPolicy", "DeleteUser"}


@pytest.mark.parametrize("kind", ["composite-delete", "quarantine"])
def test_days_need_a_place(org: LocalOrg, kind: str) -> None:
    with pytest.raises(PolicyValidationError, match="give both"):
        policy({"filters": EVERYBODY, "actions": [{"type": kind, "noticed": 30}]})


def test_notices_that_cannot_be_read_touch_nobody(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.client("s3").create_bucket(Bucket="governance")
    notify("s3://governance/iam-users?region=us-east-1")
    deny(monkeypatch, "GetObject")
    with pytest.raises(PolicyExecutionError, match=r"can't be read.*Nothing was touched"):
        delete(tmp_path, noticed=0, notices="s3://governance/iam-users?region=us-east-1")
    assert user_names(iam) == ["alice", "bob"]


def test_a_page_in_place_of_the_accounts_alias_ends_the_policy_in_words(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_: object) -> str:
        raise KeyError("ListAccountAliasesResult")  # as botocore does for a page with status 200

    with monkeypatch.context() as patch:
        patch.setattr("c7n.utils.get_account_alias_from_sts", answer)
        with pytest.raises(
            PolicyExecutionError, match=r"KeyError: 'ListAccountAliasesResult'.*the next run sends it"
        ):
            notify(tmp_path)
    assert (sent(org), records(tmp_path)) == ([], [])
    notify(tmp_path)
    assert len(sent(org)) == len(records(tmp_path)) == 1
