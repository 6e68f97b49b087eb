# SPDX-License-Identifier: Apache-2.0
"""Receipts of access keys that real runs deleted: what is on record, and what the journals contradict."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.cli.test_comparisons import read, write
from tests.plugins.deletions import acting
from tests.plugins.keys import deactivate, key_of, new_report, on_keys, retire
from tests.plugins.test_notify_owners import OWNER, action
from tests.plugins.test_quarantine import quarantine, release
from tests.policies import ACCOUNT

OUTPUT = Path("output/payments/us-east-1")
OTHER = "444455556666"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/CloudCustodian"
EXEMPT = {"user": "jane", "reason": "a test", "expires": "2999-12-31"}
Line = dict[str, Any]


@pytest.fixture
def keys(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Of jane: one that is unused for a year, and one in use; and the accounts file."""
    monkeypatch.chdir(tmp_path)
    account = {"name": "payments", "account_id": ACCOUNT, "vars": {"notices": "notices"}}
    Path("accounts.yml").write_text(json.dumps({"accounts": [account]}))
    return key_of(org, "jane", 400, 365), key_of(org, "jane", 100, 1)


@pytest.fixture
def deleted(org: LocalOrg, keys: tuple[str, str]) -> str:
    """The unused key was announced, made inactive and deleted."""
    announcing = action("notices", template="iam-keys-flagged.html", **{"quarantined-for": 14})
    on_keys(OUTPUT, announcing, name="announcing")
    deactivate(OUTPUT, name="parking")
    assert retire(org, OUTPUT)[keys[0]]["status"] == "retired"
    return keys[0]


def receipt(*arguments: str, source: str = "output") -> Result:
    return CliRunner().invoke(main, ["receipt", *arguments, "-s", source, "-c", "accounts.yml"])


def written(key_id: str, account: str = ACCOUNT) -> tuple[dict[str, Any], str]:
    (path,) = Path("receipts", account).glob(f"*.{key_id}.json")
    return json.loads(path.read_text()), path.with_suffix(".html").read_text()


def test_it_has_everything_that_is_on_record(deleted: str) -> None:
    result = receipt(deleted)
    assert result.exit_code == 0, result.output
    assert f"receipts/{ACCOUNT}/jane.{deleted}.html" in result.output
    data, page = written(deleted)
    user, parking, deletion = data["user"], data["parking"], data["deletion"]
    assert (data["key"], user["name"], user["account"]) == (deleted, "jane", ACCOUNT)
    assert user["unique_id"].startswith("AIDA")
    assert (data["announced"]["to"][0], data["announced"]["queue"]["state"]) == (OWNER, "unchecked")
    assert data["notices"] == [data["announced"]]
    assert (parking["policy"], parking["reason"], parking["by"]) == ("parking", "unused", CALLER)
    assert (parking["last_used"] < parking["time"], parking["days_until_deletion"]) == (True, 0.0)
    assert (deletion["policy"], deletion["by"], deletion["result"]) == ("retiring", CALLER, "done")
    assert [each["operation"] for each in data["calls"]] == ["UpdateAccessKey", "DeleteAccessKey"]
    requests = [each["request_id"] for each in data["calls"]]
    assert all(requests)
    assert [parking["request_id"], deletion["request_id"]] == requests
    said = [(each["what"], each["policy"], each["in_journal"]) for each in data["outcomes"]]
    assert said == [("deactivated", "parking", True), ("retired", "retiring", True)]
    assert (data["active_since"], data["contradictions"]) == ([], [])
    for text in (deleted, *requests, OWNER, "was deleted", data["announced"]["day"], "no run saw it active"):
        assert text in page
    assert "A deleted access key can&#39;t come back" in page
    assert "AC-2" not in page  # its account stays


def test_its_files_are_named_by_their_digests_and_it_is_private(deleted: str) -> None:
    assert receipt(deleted).exit_code == 0
    data, page = written(deleted)
    files = {each["file"]: each["sha256"] for each in data["files"]}
    names = [
        f"{OUTPUT}/{policy}/{name}"
        for policy in ("parking", "retiring")
        for name in ("journal.jsonl", "outcomes.json")
    ]
    assert sorted(files) == names
    assert all(sha256(Path(name).read_bytes()).hexdigest() == digest for name, digest in files.items())
    assert all(digest in page for digest in files.values())
    assert {each.stat().st_mode & 0o777 for each in Path("receipts", ACCOUNT).iterdir()} == {0o600}
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_all_are_written_beside_those_of_users(org: LocalOrg, deleted: str, keys: tuple[str, str]) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="bob")
    acting({"type": "composite-delete"}, OUTPUT, EXEMPT, name="deleting").run()
    result = receipt("--all")
    assert result.exit_code == 0, result.output
    names = sorted(each.name.partition(".")[0] for each in Path("receipts", ACCOUNT).glob("*.html"))
    assert names == ["bob", "jane"]
    written(deleted)
    result = receipt(keys[1])
    assert (result.exit_code, f"no deletion of an access key {keys[1]} is on record" in result.output) == (
        1,
        True,
    )


def test_what_is_not_on_record_is_said(deleted: str) -> None:
    rmtree(OUTPUT / "parking")
    rmtree("notices")
    Path("accounts.yml").write_text("accounts: []")
    result = receipt(deleted)
    assert (result.exit_code, "there is no directory notices" in result.output) == (1, True), result.output
    data, page = written(deleted)
    missing = ("announced", "notices", "parking", "active_since")
    assert [data[each] for each in missing] == [None] * 4
    assert data["deletion"]["result"] == "done"
    (against,) = data["contradictions"]
    assert "that no journal here has" in against
    assert page.count(">not on record<") == 4


def test_a_key_that_is_only_made_inactive_has_none(keys: tuple[str, str]) -> None:
    deactivate(OUTPUT, name="parking")
    assert receipt(keys[0]).exit_code == receipt("--all").exit_code == 1
    assert not Path("receipts").exists()


def rewritten(place: str, change: Callable[[Line], object]) -> None:
    """Each row of the outcomes is changed, and no line of the journal."""
    path = OUTPUT / place / "outcomes.json"
    rows = json.loads(path.read_text())
    for row in rows:
        change(row)
    path.write_text(json.dumps(rows))


def test_an_outcome_does_not_make_a_key_deleted(keys: tuple[str, str]) -> None:
    deactivate(OUTPUT, name="parking")
    rewritten("parking", lambda row: row.update(status="retired", reason="done"))
    assert receipt(keys[0]).exit_code == 0
    data, page = written(keys[0])
    assert (data["deletion"]["result"], data["deletion"]["by"], data["deletion"]["request_id"]) == (None,) * 3
    assert [each["in_journal"] for each in data["outcomes"]] == [False]
    assert "no journal that was read has a call that may have done it" in data["contradictions"][0]
    assert "is said to be deleted" in page
    assert "was deleted</h1>" not in page


def test_outcomes_do_not_hide_a_deletion_or_give_it_to_another_user(deleted: str) -> None:
    forged = {
        "status": "skipped",
        "reason": "in use",
        "user": "mallory",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/mallory",
    }
    for place in ("parking", "retiring"):
        rewritten(place, lambda row: row.update(forged))
    assert receipt("--all").exit_code == 0
    data, page = written(deleted)
    assert (data["user"]["name"], data["deletion"]["result"]) == ("jane", "done")
    assert {each["what"]: each["in_journal"] for each in data["outcomes"]}["skipped"] is False
    assert "was deleted</h1>" in page


def test_that_a_run_saw_it_active_contradicts_its_deletion(deleted: str) -> None:
    path = OUTPUT / "retiring" / "journal.jsonl"
    lines = read(path)
    before = next(each for each in lines if each["phase"] == "before")
    who = {name: before[name] for name in ("time", "user", "arn", "unique_id", "previous")}
    at = lines.index(before)
    write(path, [*lines[:at], {**who, "phase": "lapsed", "active": [deleted]}, *lines[at:]])
    assert receipt(deleted).exit_code == 0
    data, page = written(deleted)
    assert [each["what"] for each in data["active_since"]] == ["a run saw it active"]
    assert "after which the key was seen active" in data["contradictions"][0]
    assert 'class="verdict bad"' in page


def test_what_was_done_to_it_after_its_deletion_contradicts_it(deleted: str) -> None:
    path = OUTPUT / "retiring" / "journal.jsonl"
    lines = read(path)
    parking = [each for each in read(OUTPUT / "parking" / "journal.jsonl") if each["unique_id"] == deleted]
    later = [{**each, "time": lines[-1]["time"], "previous": ""} for each in parking]
    write(path, [*lines, *(each for each in later if each["phase"] != "outcome")])
    assert receipt(deleted).exit_code == 0
    data, _ = written(deleted)
    (against,) = data["contradictions"]
    assert f"the parking of access key {deleted}" in against
    assert against.endswith("is later than its deletion")
    assert data["parking"]["time"] == parking[1]["time"]


def test_what_a_quarantine_of_its_user_did_to_it_is_told(org: LocalOrg, keys: tuple[str, str]) -> None:
    unused, used = keys
    quarantine(OUTPUT)
    release(OUTPUT)
    deactivate(OUTPUT, name="parking")
    assert retire(org, OUTPUT)[unused]["status"] == "retired"
    assert receipt(unused).exit_code == 0
    data, page = written(unused)
    done = [(each["operation"], each["parameters"].get("Status")) for each in data["calls"]]
    switch = "UpdateAccessKey"
    assert done == [(switch, "Inactive"), (switch, "Active"), (switch, "Inactive"), ("DeleteAccessKey", None)]
    assert (data["active_since"], data["contradictions"]) == ([], [])
    assert used not in page


def test_another_account_s_part_tells_of_its_own_keys_alone(deleted: str) -> None:
    (row,) = json.loads((OUTPUT / "retiring" / "outcomes.json").read_text())
    lines = read(OUTPUT / "retiring" / "journal.jsonl")
    assert receipt(deleted).exit_code == 0
    before, _ = written(deleted)
    accounts = json.loads(Path("accounts.yml").read_text())["accounts"]
    accounts.append({"name": "research", "account_id": OTHER})
    Path("accounts.yml").write_text(json.dumps({"accounts": accounts}))
    # account's part: of jane, which is not believed; and of a key with her key's id of its own user mallory
    own = {"user": "mallory", "arn": f"arn:aws:iam::{OTHER}:user/mallory"}
    for name, told in (("of-jane", row), ("of-mallory", {**row, **own})):
        place = Path("output/research/us-east-1", name)
        place.mkdir(parents=True)
        (place / "outcomes.json").write_text(json.dumps([{**told, "reason": "forged"}]))
        write(place / "journal.jsonl", [each for each in lines if each["unique_id"] == deleted])
    result = receipt(deleted)
    assert (result.exit_code, "that is not believed" in result.output) == (1, True)
    data, _ = written(deleted)
    assert data["contradictions"] == [
        f"account {OTHER} tells of a key with this id, too: AWS gives no id twice"
    ]
    same = ("user", "deletion", "parking", "calls", "outcomes", "files", "outputs")
    assert [data[each] for each in same] == [before[each] for each in same]
    theirs, page = written(deleted, OTHER)
    assert (theirs["calls"], theirs["deletion"]["result"], theirs["user"]["name"]) == ([], None, "mallory")
    assert "is said to be deleted" in page
    assert receipt(deleted, "-a", "payments").exit_code == 0
    assert written(deleted)[0]["contradictions"] == []


@pytest.mark.parametrize(
    "written_by_others",
    [
        pytest.param({"notes": {"for": [], "since": [1], "used": {}, "user_id": {"a": 1}}}, id="notes"),
        pytest.param({"time": "never"}, id="time"),
        pytest.param({"parameters": {"AccessKeyId": ["x"], "Status": {}}}, id="parameters"),
        pytest.param({"parameters": {}}, id="no parameters"),
        pytest.param({"status": 7, "result": "", "operation": "<script>"}, id="result"),
    ],
)
def test_one_bad_key_hides_no_other(org: LocalOrg, deleted: str, written_by_others: Line) -> None:
    bad = key_of(org, "joe", 400, 365)
    key_of(org, "joe", 100, 1)
    new_report(org)
    deactivate(OUTPUT, name="parking")
    assert retire(org, OUTPUT)[bad]["status"] == "retired"
    path = OUTPUT / "retiring" / "journal.jsonl"
    lines = read(path)
    for line in (each for each in lines if each["unique_id"] == bad):
        line.update({name: value for name, value in written_by_others.items() if name in line})
    write(path, lines)
    result = receipt("--all")
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert written(deleted)[0]["deletion"]["result"] == "done"
    data, page = written(bad)
    assert data["contradictions"]
    assert 'class="verdict bad"' in page
    assert "<script" not in page


def test_a_journal_that_can_t_be_read_is_said(deleted: str) -> None:
    path = OUTPUT / "retiring" / "journal.jsonl"
    path.write_text(path.read_text().replace('"parameters": {', '"parameters": 1, "former": {'))
    result = receipt(deleted)
    assert (result.exit_code, "has a line that no run writes" in result.output) == (1, True), result.output
    data, page = written(deleted)
    assert data["deletion"]["result"] is None
    assert "is said to be deleted" in page


def test_in_a_bucket(org: LocalOrg, keys: tuple[str, str]) -> None:
    unused, _ = keys
    org.client("s3").create_bucket(Bucket="governance")
    place: Any = "s3://governance/runs/payments/us-east-1?region=us-east-1"
    parking = {"type": "deactivate", "reason": "unused", "active-within": "none", "noticed": "none"}
    retiring = {"type": "retire", "noticed": "none", "parked-for": 0.00000001}
    on_keys(place, parking, name="parking")
    new_report(org)
    on_keys(place, retiring, name="retiring", status="inactive")
    result = receipt(unused, source="s3://governance/runs?region=us-east-1")
    assert result.exit_code == 0, result.output
    data, _ = written(unused)
    assert (data["deletion"]["policy"], data["parking"]["policy"]) == ("retiring", "parking")
    assert data["contradictions"] == []
    kinds = sorted(each["kind"] for each in data["files"])
    assert kinds == ["journal", "journal", "outcomes", "outcomes"]
    assert all(unused in each["file"] for each in data["files"] if each["kind"] == "journal")
