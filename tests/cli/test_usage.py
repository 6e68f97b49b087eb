# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers usage``: by files, by prefixes of a bucket, and by the event history of the local organization."""

from __future__ import annotations

import gzip
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.client import BaseClient
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg, scripted_events
from c7n_iamusers.key_usage import event_lookup
from c7n_iamusers_cli.key_accounts import NO_ACCOUNT_HAS_IT
from c7n_iamusers_cli.main import main
from tests.fakes import client_error
from tests.key_usage.test_event_files import ROW, as_csv, log_file
from tests.key_usage.test_tally import KEY, OTHER, event
from tests.plugins.keys import days_ago, key_of
from tests.policies import ACCOUNT
from tests.readme import ROOT

REGION = "us-east-1"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_lookup, "PER_SECOND", 100_000.0)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def key(org: LocalOrg, directory: Path) -> str:
    """Of jane; the checkout's accounts."""
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    (directory / "accounts.yml").write_text(yaml.safe_dump(accounts))
    return key_of(org, "jane", 400)


def usage(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["usage", *arguments])


def found(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = usage(*arguments, "--format", "json")
    assert result.exit_code == code, result.output
    read: dict[str, Any] = json.loads(result.stdout)
    return read


def of_accounts(*arguments: str, code: int = 0) -> dict[str, Any]:
    return found(*arguments, "-c", "accounts.yml", "-a", "payments", code=code)


def test_the_result_of_the_query(directory: Path) -> None:
    (directory / "result.csv").write_bytes(as_csv(ROW, {**ROW, "key_id": OTHER, "denied": "312"}))
    result = usage(KEY, "--from", "result.csv")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split() == [
        *(KEY, "192.0.2.4", "boto3", "1.34", "unknown", "s3", "eu-west-1", "2026-11-20", "308", "4")
    ]
    assert "1 key, 1 caller" in result.stderr
    read = found("--all", "--from", "result.csv")
    assert [each["key"] for each in read["keys"]] == [OTHER, KEY]
    assert read["keys"][0]["callers"][0]["denied"] == 312
    assert read["keys"][0]["sources"][0]["source"] == "calls in result.csv"


def test_a_directory_of_log_files(directory: Path) -> None:
    logs = directory / "AWSLogs" / "CloudTrail"
    logs.mkdir(parents=True)
    (logs / "one.json.gz").write_bytes(gzip.compress(log_file(event(eventID="1"), event(eventID="2"))))
    (logs / "two.json.gz").write_bytes(gzip.compress(log_file(event(eventID="2"), event(eventID="3"))))
    (logs / "x_CloudTrail-Digest_y.json.gz").write_bytes(b"no file of events")
    (logs / "notes.txt").write_text("mine")
    (key,) = found(KEY, "--from", "AWSLogs")["keys"]
    assert key["callers"][0]["calls"] == 3


def test_a_prefix_of_a_bucket(org: LocalOrg, directory: Path) -> None:
    s3 = org.client("s3")
    s3.create_bucket(Bucket="trail")
    s3.put_object(Bucket="trail", Key="logs/1.json", Body=log_file(event()))
    s3.put_object(Bucket="trail", Key="logs/deeper/2.csv", Body=as_csv(ROW))
    assert [each["calls"] for each in found(KEY, "--from", "s3://trail/logs/")["keys"][0]["callers"]] == [313]
    assert found(KEY, "--from", "s3://trail/logs/1.json")["keys"][0]["callers"][0]["calls"] == 1
    read = found(KEY, "--from", "s3://trail/nothing.json", code=1)
    assert "s3://trail/nothing.json: " in read["unread"][0]


def test_what_can_not_be_read_is_said_and_is_no_quiet_success(directory: Path) -> None:
    (directory / "good.json").write_bytes(log_file(event()))
    (directory / "cut.json").write_bytes(log_file(event(), event())[:-30])
    (directory / "empty").mkdir()
    result = usage(
        KEY, "--from", "cut.json", "--from", "missing.csv", "--from", "empty", "--from", "good.json"
    )
    assert result.exit_code == 1
    assert "not read: cut.json: line 1, after entry 1: " in result.stderr
    assert "not read: missing.csv: " in result.stderr
    assert "not read: empty/: there is no file below it" in result.stderr
    assert "at least 2" in result.stdout
    result = usage(OTHER, "--from", "missing.csv")
    assert f"{OTHER}: its calls are unknown" in result.stderr


def test_a_key_without_calls_is_said(directory: Path) -> None:
    (directory / "good.json").write_bytes(log_file(event()))
    result = usage(OTHER, "--from", "good.json")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        0,
        f"{OTHER}: no entry in calls in good.json",
    )


def test_names_of_networks(directory: Path) -> None:
    (directory / "result.csv").write_bytes(as_csv(ROW))
    (directory / "ranges.csv").write_text("cidr,name\n192.0.2.0/24,office\n")
    (key,) = found(KEY, "--from", "result.csv", "--ranges", "ranges.csv")["keys"]
    assert (key["callers"][0]["place"], key["callers"][0]["place_name"]) == ("range", "office")
    (directory / "ranges.csv").write_text("cidr,name\nhere,office\n")
    result = usage(KEY, "--from", "result.csv", "--ranges", "ranges.csv")
    assert result.exit_code == 1
    assert "--ranges ranges.csv: line 2: has no network" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "give a KEY_ID, a USER, or --all"),
        ([KEY, "--all", "--from", "x"], "give a KEY_ID, a USER, or --all"),
        (["--all"], "give --from PLACE"),
        ([KEY], "give --from PLACE"),
        (["jane", "--from", "x"], "jane is no id of an access key"),
        ([KEY, "--from", "x", "-r", REGION], "leave out --from"),
        ([KEY, "--from", "x", "--pages", "2"], "leave out --from"),
        ([KEY, "--from", "x", "--ranges", "f.txt"], "does not end with .csv"),
        (["--athena-query", "x;y"], "is no name of a table"),
        (["jane", "--athena-query", "t"], "the query does not know users"),
    ],
)
def test_usual_mistakes_are_refused(directory: Path, arguments: list[str], why: str) -> None:
    (directory / "f.txt").write_text("")
    result = usage(*arguments)
    assert result.exit_code != 0
    assert why in result.stderr


def test_the_query_for_athena(directory: Path, key: str) -> None:
    result = usage("--athena-query", "db.t", "-c", "accounts.yml", "-a", "payments", "--days", "30")
    assert result.exit_code == 0
    assert f"useridentity.accountid IN ('{ACCOUNT}')" in result.stdout
    assert result.stderr == ""
    assert "IN ('AKIAIOSFODNN7EXAMPLE')" in usage(KEY, "--athena-query", "t").stdout


def test_the_event_history_of_a_user(org: LocalOrg, key: str) -> None:
    for days in (3, 2):
        scripted_events.attempt(
            org,
            ACCOUNT,
            "jane",
            "ec2:DescribeInstances",
            region=REGION,
            time=days_ago(days).isoformat(),
            user_agent="Boto3/1.34.0 m/e",
        )
    (read,) = of_accounts("jane")["keys"]
    assert (read["key"], read["user"], read["data_plane_only"]) == (key, "jane", False)
    (caller,) = read["callers"]
    assert (caller["calls"], caller["tool"], caller["credentials"], caller["place"]) == (
        *(2, "boto3", "passed in code"),
        "outside",
    )
    assert read["sources"][0]["source"] == f"CloudTrail's event history in {REGION}"
    assert of_accounts(key)["keys"][0]["callers"] == [caller]
    assert of_accounts(key, "-r", "eu-west-1")["keys"][0]["callers"] == []


def test_further_pages_are_read_by_further_runs(org: LocalOrg, directory: Path, key: str) -> None:
    began = days_ago(3).replace(second=0, microsecond=0)
    for minutes in range(120):
        time = (began + timedelta(minutes=minutes)).isoformat()
        scripted_events.attempt(org, ACCOUNT, "jane", "ec2:DescribeInstances", region=REGION, time=time)
    asked = (key, "-c", "accounts.yml", "-a", "payments", "--resume", "kept.json")
    calls, told = [], []
    for _ in range(4):
        org.clear_calls()
        result = usage(*asked)
        assert result.exit_code == 0, result.output
        calls.append(result.stdout.splitlines()[1].split()[-2:])
        told.append((result.stderr, sum(call.operation == "LookupEvents" for call in org.calls)))
    assert calls == [["50", "0"], ["99", "0"], ["120", "0"], ["120", "0"]]
    assert [lookups for _, lookups in told] == [1, 1, 1, 0]
    back_to = f"{began + timedelta(minutes=70):%Y-%m-%d %H:%M} UTC"
    assert f"there are calls before {back_to}: the same command reads on" in told[0][0]
    assert told[2][0] == told[3][0] == "1 key, 1 caller\n"
    assert (directory / "kept.json").stat().st_mode & 0o777 == 0o600
    (read,) = of_accounts(key, "--pages", "10")["keys"]
    assert read["callers"][0]["calls"] == 120
    result = usage(key, "-c", "accounts.yml", "-a", "payments")
    assert f"before {back_to}: give more --pages, or --resume FILE" in result.stderr


def test_that_a_file_is_of_an_earlier_time_is_said(
    org: LocalOrg, directory: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_events.attempt(
        org, ACCOUNT, "jane", "ec2:DescribeInstances", region=REGION, time=days_ago(2).isoformat()
    )
    asked = (key, "-c", "accounts.yml", "-a", "payments", "--resume", "kept.json")
    assert "has no calls since" not in usage(*asked).stderr
    kept = json.loads((directory / "kept.json").read_text())
    kept["readings"][0]["as_of"] = "2026-01-01T12:30:00+00:00"
    (directory / "kept.json").write_text(json.dumps(kept))
    expected = "kept.json has no calls since 2026-01-01 12:30 UTC: give another file for these"
    assert expected in usage(*asked).stderr


@pytest.mark.parametrize("text", ["", "{}", "key_id,calls", '{"kind": "event-history", "version": 1}'])
def test_a_file_of_something_else_is_refused_and_kept(
    org: LocalOrg, directory: Path, key: str, text: str
) -> None:
    (directory / "mine.json").write_text(text)
    org.clear_calls()
    result = usage(key, "-c", "accounts.yml", "-a", "payments", "--resume", "mine.json")
    assert result.exit_code == 1
    assert "Error: --resume mine.json: " in result.stderr
    assert (directory / "mine.json").read_text() == text
    assert [call.operation for call in org.calls if call.service == "cloudtrail"] == []


def test_a_place_where_no_file_can_be_is_refused(org: LocalOrg, directory: Path, key: str) -> None:
    (directory / "file").write_text("")
    for place in ("file/kept.json", "."):
        result = usage(key, "-c", "accounts.yml", "-a", "payments", "--resume", place)
        assert result.exit_code == 1
        assert f"Error: --resume {place}" in result.stderr


def test_a_key_that_was_never_used_and_one_of_data_events(org: LocalOrg, key: str) -> None:
    result = usage(key, "-c", "accounts.yml", "-a", "payments")
    assert f"{key}: IAM knows of no use" in result.stderr
    scripted_events.attempt(org, ACCOUNT, "jane", "s3:GetObject", region=REGION, time=days_ago(2).isoformat())
    result = usage(key, "-c", "accounts.yml", "-a", "payments")
    assert f"{key}: data plane only: IAM says that it was last used on " in result.stderr
    assert of_accounts(key)["keys"][0]["data_plane_only"] is True


def test_a_key_of_no_account_and_a_history_that_is_denied(
    org: LocalOrg, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = of_accounts(OTHER, code=1)
    assert read["unread"] == [f"access key {OTHER} {NO_ACCOUNT_HAS_IT}"]
    scripted_events.attempt(
        org, ACCOUNT, "jane", "ec2:DescribeInstances", region=REGION, time=days_ago(2).isoformat()
    )
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    refused = {"LookupEvents"}

    def denied(self: Any, operation: str, parameters: Any) -> Any:
        if operation in refused:
            raise client_error("AccessDeniedException")
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", denied)
    result = usage(key, "-c", "accounts.yml", "-a", "payments")
    assert result.exit_code == 1
    assert f"{key}: its calls are unknown" in result.stderr
    assert "): cloudtrail:LookupEvents in us-east-1 is refused (AccessDenied" in result.stderr
    refused.clear()
    refused.add("DescribeNetworkInterfaces")
    read = of_accounts(key, code=1)
    assert "which addresses are its own: " in read["unread"][0]
    assert read["keys"][0]["callers"][0]["place"] == "unknown"


@pytest.mark.parametrize(
    "page",
    [
        pytest.param({"Events": [], "NextToken": "more"}, id="an-empty-page-with-more"),
        pytest.param({"Events": [{"CloudTrailEvent": "{"}]}, id="an-event-that-can-not-be-read"),
    ],
)
def test_events_that_were_not_read_are_not_no_calls(
    org: LocalOrg, key: str, monkeypatch: pytest.MonkeyPatch, page: dict[str, Any]
) -> None:
    scripted_events.attempt(
        org, ACCOUNT, "jane", "ec2:DescribeInstances", region=REGION, time=days_ago(2).isoformat()
    )
    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    monkeypatch.setattr(
        *(BaseClient, "_make_api_call"),
        lambda self, name, given: page if name == "LookupEvents" else original(self, name, given),
    )
    result = usage(key, "-c", "accounts.yml", "-a", "payments")
    assert f"{key}: its calls are unknown" in result.stderr
    assert result.exit_code == 1


def test_users_of_one_name_are_told_apart_by_their_accounts(org: LocalOrg, key: str) -> None:
    iam = org.client("iam", "444455556666")
    iam.create_user(UserName="jane")
    other = iam.create_access_key(UserName="jane")["AccessKey"]["AccessKeyId"]
    of_both = ("-c", "accounts.yml", "-a", "payments", "-a", "research")
    Path("result.csv").write_bytes(as_csv({**ROW, "key_id": key}, {**ROW, "key_id": other}))
    expected = {(key, ACCOUNT, "jane"), (other, "444455556666", "jane")}
    for asked in (("jane",), ("jane", "--from", "result.csv"), ("--all", "--from", "result.csv")):
        read = found(*asked, *of_both)["keys"]
        assert {(each["key"], each["account"], each["user"]) for each in read} == expected
    table = usage("jane", "--from", "result.csv", *of_both).stdout
    assert "payments" in table
    assert "research" in table


def of_result(directory: Path, key: str, *accounts: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """What is said of ``key`` by files, with ``accounts``: the key, and what was not read."""
    (directory / "accounts.yml").write_text(yaml.safe_dump({"accounts": accounts}))
    (directory / "result.csv").write_bytes(as_csv({**ROW, "key_id": key}))
    result = usage("--all", "--from", "result.csv", "-c", "accounts.yml", "--format", "json")
    assert isinstance(result.exception, SystemExit | None), result.exception
    read = json.loads(result.stdout)
    return read["keys"][0], read["unread"]


def test_whose_a_key_is_of_the_last_of_several_accounts(org: LocalOrg, directory: Path, key: str) -> None:
    accounts = yaml.safe_load((directory / "accounts.yml").read_text())["accounts"]
    accounts.sort(key=lambda each: each["account_id"] == ACCOUNT)
    assert accounts[0]["account_id"] != ACCOUNT
    of_key, unread = of_result(directory, key, *accounts)
    assert (of_key["user"], unread) == ("jane", [])


def test_an_account_that_can_not_be_reached_is_told_and_hides_no_other(
    org: LocalOrg, directory: Path, key: str
) -> None:
    accounts = yaml.safe_load((directory / "accounts.yml").read_text())["accounts"]
    lost = {**accounts[0], "name": "lost", "account_id": "999999999999"}
    lost["role"] = "arn:aws:iam::999999999999:role/none"
    of_key, unread = of_result(directory, key, lost, *accounts)
    assert of_key["user"] == "jane"
    assert len(unread) == 1
    assert "lost" in unread[0]


def test_a_user_that_can_not_be_looked_up_is_told(
    org: LocalOrg, directory: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = yaml.safe_load((directory / "accounts.yml").read_text())["accounts"]
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def failing(self: Any, operation: str, parameters: Any) -> Any:
        if operation == "GetAccessKeyLastUsed":
            raise client_error("ServiceFailure")
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", failing)
    of_key, unread = of_result(directory, key, *accounts[:1])
    assert of_key["user"] == ""
    assert f"whose key {key} is: " in unread[0]


def test_the_page_shows_what_the_command_prints(directory: Path) -> None:
    page = (ROOT / "docs" / "usage.md").read_text()
    (events,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (line,) = re.findall(r"c7n-iamusers usage (.* --from calls\.json)$", page, re.MULTILINE)
    (directory / "calls.json").write_text(events)
    result = usage(*line.split())
    assert (result.exit_code, result.stderr, result.stdout) == (0, "1 key, 1 caller\n", shown)
