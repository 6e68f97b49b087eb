# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.exceptions import PolicyValidationError
from c7n.utils import reset_session_cache
from c7n_org.cli import run_account
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices.notices import Notice
from c7n_iamusers_cli.main import main
from tests.report.fleet_outputs import (
    ACCOUNT,
    DELETE,
    FLAG,
    OTHER_ACCOUNT,
    Outputs,
    metadata,
    outcome,
    seen,
    seen_user,
)

ACCOUNTS = f"""
accounts:
  - {{name: payments, account_id: "{ACCOUNT}", tags: [wave:1, prod]}}
  - {{name: research, account_id: "{OTHER_ACCOUNT}", tags: [wave:2]}}
"""


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outputs:
    monkeypatch.chdir(tmp_path)
    Path("accounts.yml").write_text(ACCOUNTS)
    return Outputs(tmp_path / "output")


def report(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["report", *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def test_a_page_for_its_owner_alone_in_the_working_directory(left: Outputs) -> None:
    left.leave("alice", outcomes=[outcome("alice", "deleted")])
    found = report("-s", "output")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith(
        "report.html: 1 user seen in 1 account: 1 deleted, 0 deleted by others, 0 still there"
    )
    path = Path("report.html")
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("output_format", "begins"), [("json", "{"), ("csv", "account,")])
def test_other_formats_and_places(left: Outputs, output_format: str, begins: str) -> None:
    left.leave("alice")
    assert report("-s", "output", "--format", output_format).exit_code == 0
    assert Path(f"report.{output_format}").read_text().startswith(begins)
    assert report("-s", "output", "--format", output_format, "--output", "sub/there").exit_code == 0
    assert Path("sub/there").read_text().startswith(begins)


def test_a_report_is_replaced(left: Outputs) -> None:
    left.leave("alice")
    Path("report.html").write_text("old")
    assert report("-s", "output").exit_code == 0
    assert "old" not in Path("report.html").read_text()[:10]


def test_exemptions_that_ended_or_match_nobody_are_named(left: Outputs) -> None:
    left.leave("alice", seen=seen(seen_user("alice")))
    assert report("-s", "output").stdout.splitlines()[2:] == [
        "exemption by user 'git-*' until 2999-06-30: matches nobody"
    ]


def test_several_outputs_are_one_fleet_and_none_counts_twice(left: Outputs) -> None:
    left.leave("alice", run="first", days=9)
    left.leave("alice", run="second", policy=DELETE, outcomes=[outcome("alice", "deleted")])
    assert (
        report(
            "-s", "output/first", "-s", "output/second", "-s", "output/second", "--format", "json"
        ).exit_code
        == 0
    )
    found = json.loads(Path("report.json").read_text())
    assert [each["policy"] for each in found["runs"]] == ["iam-users-flag", DELETE]
    assert found["totals"]["deleted"] == 1
    assert found["outputs"] == ["output/first", "output/second", "output/second"]


def test_check_names_what_halts_a_wave_and_ends_with_1(left: Outputs) -> None:
    rows = [outcome("alice", "failed", "iam:DeleteUser was denied"), outcome("bob", "deleted")]
    left.leave("alice", "bob", policy=DELETE, outcomes=rows)
    assert report("-s", "output", "-c", "accounts.yml").exit_code == 0
    found = report("-s", "output", "-c", "accounts.yml", "--check")
    assert found.exit_code == 1
    assert found.stderr.splitlines() == [
        f"account {OTHER_ACCOUNT} (research): never ran: no run of a policy left a resources.json for it",
        f"user alice of account {ACCOUNT} (payments): {DELETE} failed: iam:DeleteUser was denied",
    ]
    assert Path("report.html").exists()


def test_the_numbers_for_shards_are_written_where_nothing_blocks(left: Outputs) -> None:
    """Otherwise a shard that is to run again would have other accounts."""
    left.leave("alice", "bob")
    asked = ("-s", "output", "-c", "accounts.yml", "--users-output", "users.json")
    assert report(*asked, "--check").exit_code == 1
    assert report(*asked).exit_code == 0
    assert not Path("users.json").exists()
    assert report(*asked, "-t", "wave:1", "--check").exit_code == 0
    assert json.loads(Path("users.json").read_text()) == {ACCOUNT: 2}


def test_check_of_a_wave_is_of_its_accounts_only(left: Outputs) -> None:
    left.leave("alice")
    left.leave(
        name="other", account="999999999999", metrics=["PolicyException"], files={"resources.json": None}
    )
    assert report("-s", "output", "-c", "accounts.yml", "--check").exit_code == 1
    assert report("-s", "output", "-c", "accounts.yml", "-t", "wave:1", "--check").exit_code == 0
    assert (
        report("-s", "output", "-c", "accounts.yml", "-t", "wave:1", "-t", "prod", "--check").exit_code == 0
    )
    assert report("-s", "output", "-c", "accounts.yml", "-t", "wave:2", "--check").exit_code == 1


POLICIES = f"policies: [{{name: {DELETE}, resource: aws.iam-user}}, {{name: of-buckets, resource: s3}}]"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param(["-u", "delete.yml"], 1, id="policies"),
        pytest.param(["-u", f"delete.yml#{DELETE}"], 1, id="one-policy"),
        pytest.param(["-u", "delete.yml#of-buckets"], 0, id="a-policy-on-other-resources"),
        pytest.param(["--since", "2026-11-25T12:00:00Z"], 0, id="since-its-start"),
        pytest.param(["--since", "2026-11-25T12:00:01Z"], 1, id="since-later"),
        pytest.param(["--since", "0m"], 1, id="since-an-age"),
    ],
)
def test_check_of_a_run_asks_for_its_results(left: Outputs, arguments: list[str], lines: int) -> None:
    left.leave("alice")
    Path("delete.yml").write_text(POLICIES)
    found = report("-s", "output", "-c", "accounts.yml", "-t", "wave:1", "--check", *arguments)
    assert (found.exit_code, len(found.stderr.splitlines())) == (min(lines, 1), lines), found.output
    assert all(
        line.startswith(f"account {ACCOUNT} (payments): did not run: iam-users-")
        for line in found.stderr.splitlines()
    )


def test_check_after_the_deployment_of_functions(left: Outputs) -> None:
    mode = {"mode": {"type": "cloudtrail"}}
    data = json.dumps(metadata("iam-users-realtime", ACCOUNT, 0, (), **mode))
    left.leave(policy="iam-users-realtime", files={"metadata.json": data, "resources.json": None})
    Path("realtime.yml").write_text(
        json.dumps({"policies": [{"name": "iam-users-realtime", "resource": "aws.iam-user", **mode}]})
    )
    check = ("-s", "output", "-c", "accounts.yml", "-u", "realtime.yml", "--check")
    found = report(*check, "-t", "wave:1")
    assert found.exit_code == 0, found.output
    assert "iam-users-realtime, 2026-11-25 12:00 UTC: deployed in 1 account\n" in found.stdout
    # an account in which it was not deployed is still named
    assert report(*check, "-t", "wave:2").exit_code == 1


@pytest.mark.usefixtures("same_logging")
def test_runs_that_did_not_happen_over_the_output_of_the_run_before(org: LocalOrg, left: Outputs) -> None:
    """c7n-org leaves the result of the run before: of a denied role, and of a list of exemptions with a bad date."""
    Path("exempt.csv").write_text("user,reason,expires\nbob,a test,2999-01-01\n")
    Path("flag.yml").write_text(
        "policies: [{name: iam-users-flag, resource: aws.iam-user, source: authorization-details, filters: [{type: "
        "unnecessary, exempt-from: exempt.csv}]}]"
    )
    for account in (ACCOUNT, OTHER_ACCOUNT):
        org.client("iam", account).create_user(UserName="alice")
        org.client("iam", account).create_user(UserName="bob")

    def run(name: str, account: str, role: str = "CloudCustodian") -> bool:
        reset_session_cache()  # c7n would take the session of an earlier test
        entry = {"account_id": account, "name": name, "role": f"arn:aws:iam::{account}:role/{role}"}
        policies = yaml.safe_load(Path("flag.yml").read_text())
        ended: bool = run_account(
            entry, "us-east-1", policies, "output", 0, str(left.root), False, False, False
        )[1]
        return ended

    check = ("-s", "output", "-c", "accounts.yml", "-u", "flag.yml", "--check", "--since")
    began = datetime.now(timezone.utc).isoformat()
    assert run("payments", ACCOUNT)
    assert run("research", OTHER_ACCOUNT)
    assert report(*check, began).exit_code == 0
    began = datetime.now(timezone.utc).isoformat()
    assert not run("payments", ACCOUNT, "no-such-role")
    Path("exempt.csv").write_text("user,reason,expires\nbob,a test,2999-02-30\n")
    with pytest.raises(PolicyValidationError):
        run("research", OTHER_ACCOUNT)
    assert report(*check[:-1]).exit_code == 0
    found = report(*check, began)
    assert [line.partition(": iam-users-flag")[0] for line in found.stderr.splitlines()] == [
        f"account {ACCOUNT} (payments): did not run",
        f"account {OTHER_ACCOUNT} (research): did not run",
    ]


def test_an_unreadable_file_is_named_and_fails_the_check(left: Outputs) -> None:
    left.leave("alice")
    left.leave(name="research", account=OTHER_ACCOUNT, files={"resources.json": '[{"UserName"'})
    found = report("-s", "output", "--check")
    assert found.exit_code == 1
    assert f"account {OTHER_ACCOUNT} (research): unreadable" in found.stderr
    assert "output/research/us-east-1/iam-users-flag: resources.json is no JSON" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param([], 2, "Missing option '-s'", id="no-output"),
        pytest.param(["-s", "nowhere"], 1, "nowhere is no directory: give -s", id="no-directory"),
        pytest.param(["-s", "other"], 1, "other holds no output of a run", id="other-directory"),
        pytest.param(["-s", "output", "-t", "wave:1"], 2, "give -c FILE too", id="tags-alone"),
        pytest.param(
            ["-s", "output", "-c", "accounts.yml", "-t", "wave:9"],
            1,
            "no account with the tags wave:9",
            id="no-tag",
        ),
        pytest.param(
            ["-s", "output", "-c", "torn.yml"], 1, "torn.yml: can't be read as c7n-org's", id="torn-accounts"
        ),
        pytest.param(
            ["-s", "output", "-c", "list.yml"], 1, "list.yml: can't be read as c7n-org's", id="no-accounts"
        ),
        pytest.param(["-s", "output", "-c", "empty.yml"], 1, "empty.yml has no account at all", id="none"),
        pytest.param(
            ["-s", "output", "-u", "list.yml"], 1, "list.yml can't be read as policies", id="no-policies"
        ),
        pytest.param(
            ["-s", "output", "-u", "none.yml"], 1, "none.yml can't be read", id="no-file-of-policies"
        ),
        pytest.param(
            ["-s", "output", "-u", "flag.yml#flog"], 1, "flag.yml has no policy flog", id="no-such-policy"
        ),
        pytest.param(["-s", "output", "--since", ""], 2, "is not a past time", id="no-time"),
        pytest.param(
            ["-s", "output", "--since", "2999-01-01"], 2, "such as 30m, 2h or 1d", id="time-to-come"
        ),
        pytest.param(["-s", "output", "--output", "/proc/x/y"], 1, "can't be written", id="unwritable"),
        pytest.param(["-s", "output", "--output", "other"], 1, "can't be written", id="a-directory"),
        pytest.param(["-s", "output", "--output", "s3://bucket"], 2, "names no object", id="a-bucket"),
    ],
)
def test_errors_say_what_to_do(left: Outputs, arguments: list[str], code: int, told: str) -> None:
    left.leave("alice")
    Path("other").mkdir()
    Path("torn.yml").write_text("accounts: [")
    Path("list.yml").write_text("- one")
    Path("empty.yml").write_text("accounts: []")
    Path("flag.yml").write_text("policies: [{name: flag, resource: aws.iam-user}]")
    found = report(*arguments)
    assert found.exit_code == code
    assert told in found.output


def test_it_says_what_the_latest_run_of_each_policy_did(left: Outputs) -> None:
    rows = [
        outcome("alice", "quarantined"),
        outcome("bob", "skipped", reasons.ACTIVE(days=30, use="its password was used")),
    ]
    left.leave("alice", "bob", policy="iam-users-quarantine", outcomes=rows)
    left.leave("alice", days=1)
    assert report("-s", "output").stdout.splitlines()[1:3] == [
        "iam-users-flag, 2026-11-24 12:00 UTC: 1 selected",
        "iam-users-quarantine, 2026-11-25 12:00 UTC: 2 selected, 1 quarantined, 1 skipped (1 active)",
    ]


def test_in_a_workspace_its_output_is_read(left: Outputs) -> None:
    left.leave("alice")
    assert "Missing option '-s'" in report().output
    Path("iam-users.yml").write_text("output: output\n")
    found = report()
    assert found.exit_code == 0, found.output
    assert "1 user seen" in found.output
    Path("iam-users.yml").write_text("outputs: output\n")
    assert (report().exit_code, "iam-users.yml: line 1" in report().output) == (2, True)


def test_check_names_a_stop_once(left: Outputs) -> None:
    left.leave("alice", policy=DELETE, outcomes=[outcome("alice", "failed", reasons.STOPPED(file="x/STOP"))])
    found = report("-s", "output", "--check")
    assert found.stderr.startswith("account 111122223333 (payments): stopped: 1 user: the file x/STOP stops ")


def test_names_can_not_move_the_cursor(left: Outputs) -> None:
    left.leave("alice", policy=DELETE, outcomes=[outcome("alice", "failed", "first\n\x1b[2Jsecond")])
    found = report("-s", "output", "--check")
    assert "first\\u000a\\u001b[2Jsecond" in found.stderr


def test_an_output_in_a_bucket(org: LocalOrg, left: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    left.leave("alice", policy=f"{DELETE}/2026/11/25/10")
    left.compress()
    s3 = org.client("s3")
    s3.create_bucket(Bucket="outputs")
    for path in left.root.rglob("*.gz"):
        s3.put_object(Bucket="outputs", Key=f"run/{path.relative_to(left.root)}", Body=path.read_bytes())
    found = report("-s", "s3://outputs/run?region=us-east-1", "-c", "accounts.yml", "-t", "wave:1", "--check")
    assert found.exit_code == 0, found.output
    written = report("-s", "output", "--output", "s3://outputs/run/report.html?region=us-east-1")
    assert written.exit_code == 0, written.output
    page = s3.get_object(Bucket="outputs", Key="run/report.html")["Body"].read()
    assert page.startswith(b"<!DOCTYPE html>")
    empty = report("-s", "s3://outputs/nothing?region=us-east-1")
    assert "s3://outputs/nothing holds no output of a run" in empty.output
    missing = report("-s", "s3://no-such-bucket/x?region=us-east-1")
    assert missing.exit_code == 1
    assert "NoSuchBucket" in missing.output


def queued(path: Path, ago: timedelta) -> Notice:
    """An announcement to the owner of alice, of which nothing says that it left the queue."""
    now = datetime.now(timezone.utc)
    alice = Subject("alice", f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDAALICE")
    day, to = (now + timedelta(days=30)).date(), ("owner@example.com",)
    notice = Notice(ACCOUNT, "announced", now - ago, day, to, "m-1", FLAG, (alice,), queue="https://sqs/1/q")
    store = DirectoryStore(path)
    store.create(notice.name, notice.as_json())
    return notice


def ran(left: Outputs, policy: str, step: str, *users: str, **more: Any) -> None:
    """As the policy ran a moment ago, with an action that mails."""
    acted(left, policy, {"type": "notify-owners", "step": step}, *users, **more)


def acted(left: Outputs, policy: str, action: dict[str, Any], *users: str, **more: Any) -> None:
    """As the policy ran a moment ago with an action that has notices."""
    action = {"notices": "notices", **action}
    found = metadata(policy, ACCOUNT, 0, ["ResourceCount"], actions=[action])
    found["execution"]["start"] = datetime.now(timezone.utc).timestamp()
    left.leave(*users, policy=policy, files={"metadata.json": json.dumps(found)}, **more)


def test_check_waits_a_day_for_mails_to_leave_the_queue(left: Outputs) -> None:
    ran(left, FLAG, "announce", "alice")
    queued(Path("notices"), timedelta(hours=23))
    found = report("-s", "output", "--check")
    assert found.exit_code == 0, found.output
    assert "on their way: 1 mail about 1 user of payments, since " in found.stdout
    # nothing is wrong yet, and nothing is to be done
    assert "look whether" not in found.stdout
    assert "that counts as a problem from " in found.stdout
    queued(Path("elsewhere"), timedelta(hours=25))
    found = report("-s", "output", "--check", "--notices", "elsewhere")
    assert found.exit_code == 1
    told = f"account {ACCOUNT} (payments): not known to have left the queue: 1 mail about 1 user of payments"
    assert found.stderr.startswith(told)
    assert "run the policy with the action notify-owners daily" in found.stderr
    assert report("-s", "output").exit_code == 0
    assert "Mails that may not have been sent" not in Path("report.html").read_text()
    report("-s", "output", "--notices", "elsewhere")
    assert "Mails that may not have been sent" in Path("report.html").read_text()


@pytest.mark.parametrize("days", [15, 40], ids=["just-expired", "long-ago"])
def test_check_names_an_announcement_that_may_have_expired_where_nobody_notifies(
    left: Outputs, days: int
) -> None:
    skipped = outcome("alice", "skipped", "its message may have expired unread", days=0)
    acted(left, "iam-users-park", {"type": "quarantine", "noticed": 16}, "alice", outcomes=[skipped])
    assert "there is no directory notices" in report("-s", "output", "--check").stderr
    queued(Path("notices"), timedelta(days=days))
    found = report("-s", "output", "--check")
    assert (found.exit_code, "may have expired unread since" in found.stderr) == (1, True)
    deleted = outcome("alice", "deleted", time=datetime.now(timezone.utc).isoformat())
    acted(left, DELETE, {"type": "composite-delete"}, outcomes=[deleted])
    found = report("-s", "output", "--check")
    assert (found.exit_code, found.stderr) == (0, "")


def test_check_counts_what_owners_are_owed(left: Outputs) -> None:
    now = datetime.now(timezone.utc).isoformat()
    Path("notices").mkdir()
    ran(left, DELETE, "inform", outcomes=[outcome("alice", "deleted", time=now)])
    found = report("-s", "output", "--check")
    assert found.exit_code == 1
    assert f"(payments): owners not told: 1 users that {DELETE} changed since " in found.stderr
    assert f"alice (deleted): run {DELETE} again with the same output" in found.stderr


def test_check_names_notices_that_are_not_there(left: Outputs) -> None:
    ran(left, FLAG, "announce", "alice")
    found = report("-s", "output", "--check")
    assert found.exit_code == 1
    assert (
        "there is no directory notices: run this command where c7n-org ran, or give --notices" in found.stderr
    )
    queued(Path("notices"), timedelta(hours=1))
    Path("notices", ACCOUNT, "broken.json").write_text("{")
    found = report("-s", "output", "--check")
    assert (found.exit_code, "is no notice" in found.stderr) == (1, True)


@pytest.mark.usefixtures("org")
def test_check_names_a_bucket_of_notices_that_can_not_be_read(left: Outputs) -> None:
    ran(left, FLAG, "announce", "alice")
    found = report("-s", "output", "--check", "--notices", "s3://nobodys-bucket/n?region=us-east-1")
    assert found.exit_code == 1
    assert "what owners were told is not known: the notices in s3://nobodys-bucket/n" in found.stderr


@pytest.mark.usefixtures("org")
@pytest.mark.parametrize(
    "place", ["s3://b?region=../x", "s3://[x/y", "x" * 5_000, "\x00", "s3://", "s3://b/k?region=us-east-1&x"]
)
def test_any_place_of_notices_in_metadata_is_a_fault_of_that_account_alone(left: Outputs, place: str) -> None:
    """Each account writes its own metadata.json."""
    ran(left, FLAG, "announce", "alice")
    (written,) = Path("output").rglob("metadata.json")
    data = json.loads(written.read_text())
    for action in data["policy"]["actions"]:
        action["notices"] = place
    written.write_text(json.dumps(data))
    found = report("-s", "output", "--check")
    assert found.exit_code == 1
    assert not isinstance(found.exception, Exception) or isinstance(found.exception, SystemExit)
    assert f"({ACCOUNT}): " in found.stderr or "(payments): " in found.stderr, found.stderr


@pytest.mark.parametrize("bucket", ["somebodys", "payments"])
def test_a_run_names_notices_only_in_buckets_that_the_accounts_file_knows(left: Outputs, bucket: str) -> None:
    """Another one may be anybody's, and may never answer. The name of an account is no bucket."""
    ran(left, FLAG, "announce", "alice")
    (written,) = Path("output").rglob("metadata.json")
    data = json.loads(written.read_text())
    for action in data["policy"]["actions"]:
        action["notices"] = f"s3://{bucket}/x?region=us-east-1"
    written.write_text(json.dumps(data))
    found = report("-s", "output", "-c", "accounts.yml", "--check")
    assert found.exit_code == 1
    assert "the accounts file no such bucket: find out who wrote metadata.json" in found.stderr


def test_a_run_of_the_future_is_a_fault(left: Outputs) -> None:
    """It would count as the last one, and so hide that the account's runs fail."""
    ran(left, FLAG, "announce", "alice")
    (written,) = Path("output").rglob("metadata.json")
    data = json.loads(written.read_text())
    data["execution"]["start"] = 4_102_444_800.0
    written.write_text(json.dumps(data))
    found = report("-s", "output", "--check")
    assert found.exit_code == 1
    assert "says that its run began at 2100-01-01 00:00:00 UTC, which is in the future" in found.stderr


def test_check_of_other_accounts_leaves_mails_out(left: Outputs) -> None:
    ran(left, FLAG, "announce", "alice")
    left.leave("bob", name="research", account=OTHER_ACCOUNT)
    queued(Path("notices"), timedelta(hours=25))
    assert report("-s", "output", "-c", "accounts.yml", "-t", "wave:1", "--check").exit_code == 1
    assert report("-s", "output", "-c", "accounts.yml", "-t", "wave:2", "--check").exit_code == 0


def announced(*names: str, to: str = "owner@example.com", days: int = 10) -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    users = tuple(
        Subject(each, f"arn:aws:iam::{ACCOUNT}:user/{each}", f"AIDA{each.upper()}") for each in names
    )
    notice = Notice(
        ACCOUNT, "announced", now, now.date() + timedelta(days=days), (to,), names[0], FLAG, users
    )
    DirectoryStore(Path("notices")).create(notice.name, notice.as_json())


def test_a_page_for_each_owner_with_its_users_alone_beside_the_page(left: Outputs) -> None:
    ran(left, FLAG, "announce", "alice", "bob", "carol")
    announced("alice", to="alice@example.com")
    announced("bob", to="Bob@example.com")
    found = report("-s", "output", "--output", "sub/all.html", "--split", "owner")
    assert found.exit_code == 0, found.output
    assert "sub/all-owners/: a page for each of 2 owners" in found.stdout
    assert "1 users are on no owner's page: no announcement of them is on record" in found.stdout
    pages = {path.name: path.read_text() for path in Path("sub/all-owners").iterdir()}
    bobs, alices = sorted(pages)[1], "alice@example.com.html"
    assert sorted(pages)[0] == alices
    assert bobs.startswith("bob@example.com-")
    assert "<title>IAM users of alice@example.com," in pages[alices]
    for name, others in ((alices, ("bob", "carol", "output")), (bobs, ("alice", "carol", "output"))):
        users = pages[name].partition('id="data">')[2].partition("</script>")[0]
        assert not [each for each in others if each in users]
    assert stat.S_IMODE(Path("sub/all-owners", alices).stat().st_mode) == 0o600
    refused = report("-s", "output", "--format", "json", "--split", "owner")
    assert refused.exit_code == 2
    assert "--split owner writes pages" in refused.output


@pytest.mark.parametrize("output_format", ["html", "json"])
def test_what_changed_counts_from_the_report_that_is_replaced(left: Outputs, output_format: str) -> None:
    def changed() -> tuple[str, dict[str, int]]:
        assert report("-s", "output", "--format", "json", "--output", f"other.{output_format}").exit_code == 0
        found = json.loads(Path(f"other.{output_format}").read_text())["progress"]
        return found["since"], found["changed"]

    ran(left, FLAG, "announce", "alice")
    announced("alice")
    since, first = changed()
    assert first == {"announced": 1, "new": 1}
    assert datetime.now(timezone.utc) - datetime.fromisoformat(since) > timedelta(days=6)
    made = (datetime.now(timezone.utc) + timedelta(seconds=-1)).isoformat(timespec="seconds")
    head = (
        f'<meta name="generated" content="{made}">' if output_format == "html" else f'{{"generated": "{made}"'
    )
    Path(f"other.{output_format}").write_text(head)
    assert changed()[0] == made


def test_owners_and_units_come_from_the_accounts_file(left: Outputs) -> None:
    entries = [
        {
            **{"name": "payments", "account_id": ACCOUNT, "vars": {"owner": "pay@example.com"}},
            "tags": ["path:/workloads", "path:/workloads/prod", "wave:1"],
        },
        {"name": "research", "account_id": OTHER_ACCOUNT, "vars": {"ou": "Sandbox"}, "tags": ["path:/x"]},
    ]
    Path("accounts.yml").write_text(
        yaml.safe_dump({"vars": {"owner": "all@example.com"}, "accounts": entries})
    )
    left.leave("alice")
    left.leave("bob", name="research", account=OTHER_ACCOUNT)
    assert report("-s", "output", "-c", "accounts.yml", "--format", "json").exit_code == 0
    found = json.loads(Path("report.json").read_text())["users"]
    assert [(each["user"], each["owner"], each["ou"]) for each in found] == [
        ("alice", "pay@example.com", "/workloads/prod"),
        ("bob", "all@example.com", "Sandbox"),
    ]


def test_a_run_names_notices_only_in_regions_that_the_accounts_file_knows(left: Outputs) -> None:
    """A host of another Region may never answer."""
    ran(left, FLAG, "announce", "alice")
    accounts = Path("accounts.yml")
    accounts.write_text("vars: {notices: 's3://known/notices'}\n" + accounts.read_text())
    (written,) = Path("output").rglob("metadata.json")
    data = json.loads(written.read_text())
    for action in data["policy"]["actions"]:
        action["notices"] = "s3://known/notices?region=us-iso-east-1"
    written.write_text(json.dumps(data))
    found = report("-s", "output", "-c", "accounts.yml", "--check")
    assert found.exit_code == 1
    assert "the accounts file no such Region" in found.stderr


def test_a_run_does_not_name_notices_where_an_account_writes(left: Outputs) -> None:
    """It could forge messages there."""
    ran(left, FLAG, "announce", "alice")
    (written,) = Path("output").rglob("metadata.json")
    own = written.parent / "n"
    own.mkdir()
    data = json.loads(written.read_text())
    for action in data["policy"]["actions"]:
        action["notices"] = str(own)
    written.write_text(json.dumps(data))
    found = report("-s", "output", "-c", "accounts.yml", "--check")
    assert found.exit_code == 1
    assert "writes its own output: find out who wrote metadata.json" in found.stderr


def test_a_run_names_notices_in_few_places(left: Outputs) -> None:
    """Each may take as long as a bucket does to answer."""
    ran(left, FLAG, "announce", "alice")
    ran(left, FLAG, "announce", "bob", name="research", account=OTHER_ACCOUNT)
    (written,) = Path("output/payments").rglob("metadata.json")
    data = json.loads(written.read_text())
    (action,) = data["policy"]["actions"]
    data["policy"]["actions"] = [{**action, "notices": f"places/{number}"} for number in range(20)]
    written.write_text(json.dumps(data))
    found = report("-s", "output", "-c", "accounts.yml", "--check")
    told = [line for line in found.stderr.splitlines() if "notices" in line or "places/" in line]
    assert len([line for line in told if "there is no directory places/" in line]) == 8
    assert len([line for line in told if "its runs name notices in more than 8 places" in line]) == 1
    assert all("(payments)" in line for line in told)
