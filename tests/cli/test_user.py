# SPDX-License-Identifier: Apache-2.0
"""One user, by outputs and notices of real runs: what was done, by whom, what comes next; and giving it back."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from shutil import copy, copytree, rmtree
from typing import Any

import pytest
import yaml
from c7n.exceptions import PolicyExecutionError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.exemptions import parse_list
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.notices import ANNOUNCED, Notice
from c7n_iamusers_cli.main import main
from tests.full_users import create_full_user
from tests.interference import deny
from tests.plugins.deletions import acting
from tests.plugins.keys import deactivate, key_of, on_keys
from tests.plugins.test_notify_owners import action
from tests.policies import ACCOUNT
from tests.readme import ROOT

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"
BUCKET = "governance"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/"


@pytest.fixture
def iam(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """alice and bob; the checkout's accounts and its policy that releases."""
    monkeypatch.chdir(tmp_path)
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    (tmp_path / "accounts.yml").write_text(yaml.safe_dump(accounts))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "release.yml").write_bytes((ROOT / "policies" / "release.yml").read_bytes())
    client = create_full_user(org, "alice", "/team/")
    client.create_user(UserName="bob")
    return client


def user(name: str, *arguments: str, output: str = "output", accounts: bool = True) -> Result:
    file = ["-c", "accounts.yml"] if accounts else []
    return CliRunner().invoke(main, ["user", name, "-s", output, *file, *arguments])


def run(action: dict[str, Any], output: str | Path = "output") -> None:
    """As c7n-org runs it in the account that accounts.yml names payments."""
    place = (
        "/payments/us-east-1?".join(str(output).split("?"))
        if "?" in str(output)
        else f"{output}/payments/us-east-1"
    )
    where: Any = place if place.startswith("s3://") else Path(place)
    acting(action, where, name=f"iam-users-{action['type']}").run()


def subject(iam: Any, name: str) -> Subject:
    found = iam.get_user(UserName=name)["User"]
    return Subject(name, found["Arn"], found["UserId"])


def announce(iam: Any, *names: str, days: int = 20) -> Notice:
    """Their owner was addressed so many days ago, for a day thirty days later."""
    time = utc_now() - timedelta(days=days)
    day = time.date() + timedelta(days=30)
    subjects = tuple(subject(iam, name) for name in names)
    notice = Notice(
        ACCOUNT, ANNOUNCED, time, day, ("payments-owner@example.com",), "1", "iam-users-flag", subjects
    )
    store = DirectoryStore(Path("notices"))
    store.create(exempted.place_of(ACCOUNT, time), exempted.as_json(ACCOUNT, time, ()))
    store.create(notice.name, notice.as_json())
    return notice


def state(iam: Any, name: str = "alice") -> Any:
    """What the user can do and with what: its policies, and the status of its keys."""
    return (
        iam.list_user_policies(UserName=name)["PolicyNames"],
        [each["Status"] for each in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]],
        [each["GroupName"] for each in iam.list_groups_for_user(UserName=name)["Groups"]],
    )


def messages(org: LocalOrg) -> list[dict[str, Any]]:
    found = org.client("sqs").receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(zlib.decompress(base64.b64decode(each["Body"]))) for each in found]


def names_of(found: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["what"], each["policy"]) for each in found]


def test_it_says_what_was_done_by_whom_and_what_comes_next(iam: Any) -> None:
    notice = announce(iam, "alice", "bob")
    run({"type": "quarantine"})
    result = user("ALICE", "--format", "json")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.output)["users"]
    assert (found["user"], found["account"], found["account_name"]) == ("alice", ACCOUNT, "payments")
    assert found["state"] == "quarantined"
    told, done = found["events"]
    assert (told["what"], told["to"]) == ("announced", ["payments-owner@example.com"])
    assert (done["what"], done["policy"]) == ("quarantined", "iam-users-quarantine")
    assert done["by"].startswith(CALLER)
    assert done["place"] == "output/payments/us-east-1/iam-users-quarantine"
    # the quarantine began today, and lasts fourteen days
    day = max(notice.day, utc_now().date() + timedelta(days=14))
    assert f"deleted on {day} at the earliest" in found["next"][0]
    text = user("alice").output
    assert f"user alice of account {ACCOUNT} (payments): quarantined" in text
    assert f"by {CALLER}" in text
    assert "next: it is deleted on" in text


def test_the_next_step_of_a_user_that_nothing_was_done_to(iam: Any) -> None:
    notice = announce(iam, "alice")
    Path("output").mkdir()
    run({"type": "quarantine", "noticed": 99, "notices": "notices"})
    result = user("alice", "-a", "payments")
    assert f"deleted on {notice.day} at the earliest" in result.output
    assert "skipped: announced less than 99 days ago" in result.output
    Path("notices", ACCOUNT, "STOP").touch()
    assert "STOP stops every policy" in user("alice", "-a", ACCOUNT).output
    assert "give -c, or --notices" in user("alice", accounts=False).output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["nobody"], "no user nobody is on record in output", id="name"),
        pytest.param(
            ["alice", "-a", "research"], "no user alice in research is on record", id="other-account"
        ),
        pytest.param(["alice", "-a", "typo"], "has no account typo", id="no-account"),
        pytest.param(["alice", "-s", "nowhere"], "nowhere is no directory", id="no-output"),
        pytest.param(["ali*"], "no user ali* is on record", id="glob"),
    ],
)
def test_who_is_not_on_record_is_no_quiet_success(iam: Any, arguments: list[str], told: str) -> None:
    run({"type": "quarantine"})
    result = user(*arguments)
    assert result.exit_code == 1
    assert told in result.output


def test_what_was_done_to_single_keys_is_not_done_to_their_user(org: LocalOrg, iam: Any) -> None:
    unused = key_of(org, "jane", 400, 365)
    key_of(org, "jane", 100, 1)
    output = Path("output/payments/us-east-1")
    on_keys(output, action("notices", template="iam-keys-flagged.html"), name="announcing")
    deactivate(output, name="parking")
    told = f"access key {unused} of a user jane of account {ACCOUNT}: see c7n-iamusers key {unused}"
    result = user("jane")
    assert (result.exit_code, told in result.output) == (1, True)
    assert "no user jane is on record in output, but for its access keys" in result.output
    assert json.loads(user("jane", "--format", "json").stdout)["keys"] == [
        {"account": ACCOUNT, "key": unused}
    ]
    rmtree("notices")  # the outcomes tell of it, too
    assert json.loads(user("jane", "--format", "json").stdout)["keys"] == [
        {"account": ACCOUNT, "key": unused}
    ]
    notice = announce(iam, "alice")
    (alice,) = json.loads(user("alice", "--format", "json").stdout)["users"]
    assert (alice["unique_id"], alice["state"]) == (notice.users[0].unique_id, "announced")


def test_what_cannot_be_read_is_named_and_is_an_error(iam: Any) -> None:
    run({"type": "quarantine"})
    Path("output/payments/us-east-1/iam-users-quarantine/resources.json").write_text("[")
    Path("notices", ACCOUNT).mkdir(parents=True)
    Path("notices", ACCOUNT, "20261101T000000Z-announced-0.json").write_text("{}")
    result = user("alice")
    assert result.exit_code == 1
    assert "user alice of account" in result.output
    assert result.output.count("can't be read: ") == 2


def test_a_quarantined_user_is_given_back_and_its_owner_told(org: LocalOrg, iam: Any) -> None:
    before = state(iam)
    run({"type": "quarantine"})
    assert state(iam) != before
    result = user("alice", "-a", "payments", "--give-back")
    assert result.exit_code == 0, result.output
    assert state(iam) == before
    assert state(iam, "bob")[0]  # still in quarantine
    (message,) = messages(org)
    assert message["action"]["to"] == ["payments-owner@example.com"]
    assert message["action"]["subject"].startswith("payments: 1 IAM user released from quarantine on ")
    assert "owner payments-owner@example.com gets a mail" in result.output
    assert f'{ACCOUNT},"alice",,"REASON",payments-owner@example.com' in result.output
    (found,) = json.loads(user("alice", "--format", "json").output)["users"]
    assert found["state"] == "released"
    assert names_of(found["events"])[-2:] == [
        ("released", "iam-users-release"),
        ("informed", "iam-users-release"),
    ]


@pytest.mark.parametrize("action", ["quarantine", "composite-delete"])
def test_the_page_for_an_emergency_gives_the_user_back(org: LocalOrg, iam: Any, action: str) -> None:
    page = (
        (ROOT / "docs" / "one-user.md").read_text().partition("## Somebody calls\n")[2].partition("\n## ")[0]
    )
    look, give = re.findall(r"^ +deploy/as OnCall c7n-iamusers (user .*)$", page, re.MULTILINE)
    Path("accounts-restore.yml").write_bytes(Path("accounts.yml").read_bytes())
    before = state(iam)
    run({"type": action})
    for line in (look, give):
        words = [*line.replace("jane.doe", "alice").split(), *(["--yes"] if line == give else [])]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        (shown, *_) = re.findall(r"^user alice .*: ([a-z]+)$", result.output, re.MULTILINE)
        assert f"`{shown}`" in page
    assert state(iam)[2] == before[2]
    assert len(messages(org)) == 1
    # the row that it prints, once it has a reason and a day
    (row,) = re.findall(rf"{ACCOUNT},.*", result.output)
    row = row.replace("REASON", "needed").replace("YYYY-MM-DD", "2999-12-31")
    (*_, rule) = parse_list((ROOT / "policies" / "exemptions.csv").read_text() + row, "csv", "list")
    assert (rule.pattern, rule.account) == ("alice", ACCOUNT)


def test_a_second_release_is_news_too(org: LocalOrg, iam: Any) -> None:
    for _ in range(2):
        run({"type": "quarantine"})
        assert user("alice", "--give-back").exit_code == 0
    assert len(messages(org)) == 2


def test_a_user_that_is_free_is_not_given_back(iam: Any) -> None:
    run({"type": "quarantine"})
    assert user("alice", "--give-back").exit_code == 0
    again = user("alice", "--give-back")
    assert again.exit_code == 1
    assert "was not released" in again.output
    assert "not in quarantine" in again.output


def test_a_deleted_user_is_restored_and_its_owner_told(org: LocalOrg, iam: Any) -> None:
    groups = state(iam)[2]
    run({"type": "composite-delete"})
    shown = user("alice").output
    assert "deleted" in shown
    assert "--give-back restores it" in shown
    result = user("alice", "--give-back", "--yes")
    assert result.exit_code == 0, result.output
    assert state(iam)[2] == groups
    (message,) = messages(org)
    (told,) = message["resources"]
    assert (told["UserName"], told["UserId"]) == ("alice", subject(iam, "alice").unique_id)
    assert message["action"]["subject"].startswith("payments: 1 IAM user restored on ")
    *_, found = json.loads(user("alice", "--format", "json").output)["users"]
    assert found["state"] == "restored"
    assert (found["events"][-1]["what"], found["events"][-1]["by"][: len(CALLER)]) == ("restored", CALLER)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="bob")


def document(action: str) -> str:
    allow = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})


def widen(iam: Any) -> None:
    iam.put_group_policy(GroupName="group-0", PolicyName="more", PolicyDocument=document("iam:*"))


@pytest.mark.parametrize(
    ("change", "arguments", "told"),
    [
        pytest.param(widen, ["--yes"], "give --accept-wider alice", id="wider-rights"),
        pytest.param(
            lambda iam: None,
            ["-u", "elsewhere.yml", "--yes"],
            "elsewhere.yml: nothing was done",
            id="no-policy-that-releases",
        ),
    ],
)
def test_a_restoration_refuses_as_the_command_restore_does(
    org: LocalOrg, iam: Any, change: Callable[[Any], None], arguments: list[str], told: str
) -> None:
    run({"type": "composite-delete"})
    change(iam)
    result = user("alice", "--give-back", *arguments)
    assert result.exit_code == 1
    assert told in result.output
    assert messages(org) == []
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="alice")


def test_a_mail_that_is_not_queued_is_an_error_although_the_user_is_back(org: LocalOrg, iam: Any) -> None:
    run({"type": "quarantine"})
    org.client("sqs").delete_queue(QueueUrl=QUEUE)
    result = user("alice", "--give-back")
    assert result.exit_code == 1
    assert "was given back, but its owner may not know it" in result.output
    assert state(iam)[0] == ["inline-0"]
    org.client("sqs").create_queue(QueueName=QUEUE.rpartition("/")[2])
    again = user("alice", "--give-back")
    assert again.exit_code == 0, again.output
    assert "owner payments-owner@example.com gets a mail" in again.output
    (message,) = messages(org)
    assert message["action"]["subject"].startswith("payments: 1 IAM user released from quarantine on ")


def test_a_restoration_whose_mail_is_not_queued_is_owed_until_it_is_told(org: LocalOrg, iam: Any) -> None:
    run({"type": "composite-delete"})
    org.client("sqs").delete_queue(QueueUrl=QUEUE)
    refused = user("alice", "--give-back", "--yes")
    assert refused.exit_code == 1
    assert "was given back, but its owner may not know it" in refused.output
    org.client("sqs").create_queue(QueueName=QUEUE.rpartition("/")[2])
    again = user("alice", "--give-back", "--yes")
    assert again.exit_code == 0, again.output
    assert "owner payments-owner@example.com gets a mail" in again.output
    (message,) = messages(org)
    assert message["action"]["subject"].startswith("payments: 1 IAM user restored on ")
    third = user("alice", "--give-back", "--yes")
    assert (third.exit_code, messages(org)) == (1, [])
    assert "nothing was done" in third.output


@contextmanager
def refusing(operation: str) -> Iterator[None]:
    """AWS refuses an operation meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        deny(patch, operation)
        yield


@pytest.mark.parametrize(
    ("quarantine", "operation", "what"),
    [
        pytest.param(None, "DetachUserPolicy", "restored", id="free"),
        pytest.param({}, "DetachUserPolicy", "released from quarantine", id="in-quarantine"),
        pytest.param(
            {"credentials": "keep"}, "DeleteUser", "released from quarantine", id="credentials-kept"
        ),
    ],
)
def test_a_user_that_a_deletion_began_with_is_free_afterwards(
    org: LocalOrg, iam: Any, quarantine: dict[str, Any] | None, operation: str, what: str
) -> None:
    policies, _, groups = state(iam)
    if quarantine is not None:
        run({"type": "quarantine", **quarantine})
    with refusing(operation), pytest.raises(PolicyExecutionError):
        run({"type": "composite-delete"})
    result = user("alice", "-a", "payments", "--give-back", "--yes")
    assert result.exit_code == 0, result.output
    assert (state(iam)[0], state(iam)[2]) == (policies, groups)
    (message,) = messages(org)
    assert message["action"]["subject"].startswith(f"payments: 1 IAM user {what} on ")
    (found,) = json.loads(user("alice", "--format", "json").output)["users"]
    assert found["state"] == what.split()[0]
    assert not any("another user for AWS" in each for each in found["next"])
    again = user("alice", "-a", "payments", "--give-back", "--yes")
    assert again.exit_code == 1
    assert ("nothing was restored" if what == "restored" else "was not released") in again.output


@pytest.mark.parametrize("whole", [True, False])
def test_who_was_taken_again_while_its_owner_was_owed_a_mail_is_restored_again(
    org: LocalOrg, iam: Any, whole: bool
) -> None:
    """Both restorations are told, and the user is not left half deleted."""
    policies, _, groups = state(iam)
    with nullcontext() if whole else refusing("DetachUserPolicy"), suppress(PolicyExecutionError):
        run({"type": "composite-delete"})
    org.client("sqs").delete_queue(QueueUrl=QUEUE)
    assert user("alice", "--give-back", "--yes").exit_code == 1
    org.client("sqs").create_queue(QueueName=QUEUE.rpartition("/")[2])
    with refusing("DetachUserPolicy"), pytest.raises(PolicyExecutionError):
        run({"type": "composite-delete"})
    result = user("alice", "-a", "payments", "--give-back", "--yes")
    assert result.exit_code == 0, result.output
    assert (state(iam)[0], state(iam)[2]) == (policies, groups)
    assert messages(org)


def test_a_release_that_fails_after_a_restoration_is_no_success(iam: Any) -> None:
    run({"type": "quarantine"})
    with refusing("DetachUserPolicy"), pytest.raises(PolicyExecutionError):
        run({"type": "composite-delete"})
    with refusing("DeleteUserPolicy"):
        refused = user("alice", "-a", "payments", "--give-back", "--yes")
    assert refused.exit_code == 1
    assert "was not released" in refused.output
    assert "user alice of account 111122223333 (payments): quarantined" in user("alice").output
    assert user("alice", "-a", "payments", "--give-back", "--yes").exit_code == 0
    assert state(iam)[0] == ["inline-0"]


@pytest.mark.parametrize("operation", ["PutUserPolicy", "PutUserPermissionsBoundary"])
def test_a_restoration_that_stopped_is_carried_on(org: LocalOrg, iam: Any, operation: str) -> None:
    policies, _, groups = state(iam)
    run({"type": "composite-delete"})
    with refusing(operation):
        assert user("alice", "-a", "payments", "--give-back", "--yes").exit_code == 1
    # a policy meets it meanwhile
    with pytest.raises(PolicyExecutionError):
        run({"type": "composite-delete"})
    shown = user("alice", "-a", "payments").output
    assert "next: its restoration is not done: --give-back carries it on" in shown
    assert len(re.findall("^user alice ", shown, re.MULTILINE)) == 1
    result = user("alice", "-a", "payments", "--give-back", "--yes")
    assert result.exit_code == 0, result.output
    assert (state(iam)[0], state(iam)[2]) == (policies, groups)
    (message,) = messages(org)
    assert message["action"]["subject"].startswith("payments: 1 IAM user restored on ")


def test_what_is_denied_as_in_its_snapshot_is_not_given_back(org: LocalOrg, iam: Any) -> None:
    iam.attach_user_policy(UserName="bob", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    run({"type": "composite-delete", "adopt": True})
    result = user("bob", "-a", "payments", "--give-back", "--yes")
    assert result.exit_code == 1
    assert "and denied everything, as in its snapshot" in result.output
    assert messages(org) == []


def test_machines_add_to_the_journal_in_the_bucket(
    org: LocalOrg, iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=document("s3:Get*"))
    org.client("s3").create_bucket(Bucket=BUCKET)
    run({"type": "composite-delete"}, f"s3://{BUCKET}/runs?region=us-east-1")

    def give_back(machine: str, name: str) -> int:
        place = tmp_path / machine
        if not place.exists():
            copytree(tmp_path / "policies", place / "policies")
            copy(tmp_path / "accounts.yml", place)
        monkeypatch.chdir(place)
        output = f"s3://{BUCKET}/runs?region=us-east-1"
        return user(name, "-a", "payments", "--give-back", "--yes", output=output).exit_code

    assert give_back("first", "alice") == 0
    with refusing("PutUserPolicy"):
        assert give_back("second", "bob") == 1
    # the first one has a copy of the journal from before
    assert give_back("first", "bob") == 0
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == ["own"]
    assert "PermissionsBoundary" not in iam.get_user(UserName="bob")["User"]
    (key,) = [
        each["Key"]
        for each in org.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
        if each["Key"].endswith("restore-journal.jsonl")
    ]
    content = org.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    assert {json.loads(line)["user"] for line in content.splitlines()} == {"alice", "bob"}


@pytest.mark.parametrize("action", ["quarantine", "composite-delete"])
def test_output_in_a_bucket_serves_too(org: LocalOrg, iam: Any, action: str) -> None:
    org.client("s3").create_bucket(Bucket=BUCKET)
    before, output = state(iam)[2], f"s3://{BUCKET}/runs?region=us-east-1"
    acting(
        {"type": action},
        f"s3://{BUCKET}/runs/payments/us-east-1?region=us-east-1",  # type: ignore[arg-type]
        name=f"iam-users-{action}",
    ).run()
    result = user("alice", "-a", "payments", "--give-back", "--yes", output=output)
    assert result.exit_code == 0, result.output
    assert state(iam)[2] == before
    assert len(messages(org)) == 1
    shown = json.loads(user("alice", "--format", "json", output=output).output)["users"]
    assert {"quarantine": "released", "composite-delete": "restored"}[action] in {
        each["state"] for each in shown
    }
