# SPDX-License-Identifier: Apache-2.0
"""What real runs left, verified: as it is, after what a kill leaves, and after what somebody did to it."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from aws_local_org.cloudtrail import HISTORY
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import Journal, utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.notices import ANNOUNCED, Notice
from c7n_iamusers.report.trail_matching import TrailEvent, event_of
from c7n_iamusers_cli.main import main
from tests.full_users import create_full_user
from tests.plugins.deletions import acting
from tests.policies import ACCOUNT
from tests.unreadable import UNREADABLE, Lose

DELETE = Path("output/delete")
PARK = Path("output/park")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"


def run(action: dict[str, Any], name: str, output: str = "output") -> None:
    acting(action, Path(output) if "://" not in output else output, name=name).run()  # type: ignore[arg-type]


def verify(*arguments: str, place: str = "output") -> Result:
    return CliRunner().invoke(main, ["verify", place, *arguments])


def announce(iam: Any, name: str) -> Notice:
    """Its owner was addressed 40 days ago, for a day that has come."""
    user, time = iam.get_user(UserName=name)["User"], utc_now() - timedelta(days=40)
    subject = Subject(name, user["Arn"], user["UserId"])
    day = time.date() + timedelta(days=30)
    notice = Notice(ACCOUNT, ANNOUNCED, time, day, ("o@example.com",), f"to-{name}", "flag", (subject,))
    store = DirectoryStore(Path("notices"))
    store.create(exempted.place_of(ACCOUNT, time), exempted.as_json(ACCOUNT, time, ()))
    store.create(notice.name, notice.as_json())
    return notice


@pytest.fixture
def notice(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notice:
    """alice was announced, quarantined and deleted by a reviewed plan."""
    monkeypatch.chdir(tmp_path)
    iam = create_full_user(org, "alice")
    iam.create_user(UserName="bob")
    found = announce(iam, "alice")
    HISTORY.clear()  # who created her does not count
    told = {"noticed": 30, "notices": "notices"}
    only = {"type": "composite-delete", **told}
    run({"type": "quarantine", **told}, "park")
    run({**only, "plan-only": True}, "plan")
    (tmp_path / "reviewed.json").write_bytes(Path("output/plan/deletion-plan.json").read_bytes())
    run({**only, "plan": "reviewed.json"}, "delete")
    return found


@contextmanager
def put_back() -> Iterator[None]:
    """Everything is as it was, afterwards."""
    with TemporaryDirectory() as kept:
        copytree(".", kept, dirs_exist_ok=True)
        yield
        rmtree(".", ignore_errors=True)
        copytree(kept, ".", dirs_exist_ok=True)


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def edited(path: Path, edit: Callable[[bytes], bytes]) -> Callable[[], object]:
    return lambda: path.write_bytes(edit(path.read_bytes()))


def removed(*paths: Path) -> Callable[[], object]:
    def remove() -> None:
        for path in paths:
            path.unlink()

    return remove


def snapshot() -> Path:
    (path,) = (DELETE / "snapshots").iterdir()
    return path


def of_bob_too(content: bytes) -> bytes:
    rows = json.loads(content)
    deleted = next(row for row in rows if row["status"] == "deleted")
    return json.dumps([*rows, {**deleted, "unique_id": "AIDABOB"}]).encode()


#: What is done to the outputs -> the exit code, and what is said of it.
TAMPERING: dict[str, tuple[Callable[[], object], int, str]] = {
    "a line changed": (
        edited(DELETE / "journal.jsonl", lambda text: text.replace(b'"rules": 0', b'"rules": 9')),
        1,
        "delete/journal.jsonl: line 3: it does not follow the line before it",
    ),
    "a line removed": (
        edited(
            DELETE / "journal.jsonl",
            lambda text: b"".join(text.splitlines(True)[:4] + text.splitlines(True)[5:]),
        ),
        1,
        "delete/journal.jsonl: line 5: it does not follow",
    ),
    "the beginning removed": (
        edited(DELETE / "journal.jsonl", lambda text: b"".join(text.splitlines(True)[4:])),
        1,
        "its first line follows one that is not there",
    ),
    "the end cut off": (
        edited(DELETE / "journal.jsonl", lambda text: b"".join(text.splitlines(True)[:-1])),
        1,
        "delete/outcomes.json: no line of its journal has deleted of",
    ),
    "cut off in a line": (
        edited(PARK / "journal.jsonl", lambda text: text[:-30]),
        1,
        "its last line is incomplete",
    ),
    "no line a run writes": (
        edited(DELETE / "journal.jsonl", lambda text: text + b'{"phase": "after"}\n'),
        1,
        "it lacks time",
    ),
    "the journal removed": (
        removed(DELETE / "journal.jsonl"),
        1,
        "no line of a journal here has its SHA-256",
    ),
    "a snapshot changed": (
        lambda: snapshot().write_bytes(snapshot().read_bytes().replace(b"alice", b"mallo")),
        1,
        "and its journal says",
    ),
    "a snapshot removed": (lambda: snapshot().unlink(), 1, "is gone: its journal names it"),
    "outcomes changed": (
        edited(DELETE / "outcomes.json", of_bob_too),
        1,
        "the journal was cut off, or this was changed",
    ),
    "outcomes cut off": (
        edited(DELETE / "outcomes.json", lambda text: text[:-30]),
        1,
        "is not a file of outcomes",
    ),
    "a plan cut off": (
        edited(Path("output/plan/deletion-plan.json"), lambda text: text[:-30]),
        1,
        "not a plan of deletions",
    ),
    "the plan is elsewhere": (
        removed(Path("reviewed.json"), Path("output/plan/deletion-plan.json")),
        3,
        "the plan that 1 user was deleted by is not here: give --plan FILE",
    ),
    "a notice changed": (
        edited(Path("notices"), lambda text: text),
        1,
        "when arn:aws:iam::111122223333:user/alice was deleted on the strength of it",
    ),
    "a notice cut off": (
        lambda: Path("notices", ACCOUNT, "20260101T000000Z-announced-0.json").write_text("{"),
        1,
        "20260101T000000Z-announced-0.json is no notice",
    ),
    "the notices are elsewhere": (
        lambda: rmtree("notices"),
        1,
        "is gone: arn:aws:iam::111122223333:user/alice",
    ),
    "a killed run": (
        edited(DELETE / "journal.jsonl", lambda text: text + _begun(text)),
        3,
        "1 call without an answer: a run was stopped there",
    ),
}


def _begun(content: bytes) -> bytes:
    """The lines of a decision and before a call, as a killed run leaves them."""
    from c7n_iamusers.execution.journal_format import line_digest

    whole = content.splitlines()
    for phase in (b'"decision"', b'"before"'):
        line = next(json.loads(each) for each in whole if phase in each)
        line |= {"time": utc_now().isoformat(), "previous": line_digest(whole[-1])}
        whole.append(json.dumps(line).encode())
    return b"".join(each + b"\n" for each in whole[-2:])


def test_what_runs_leave_is_as_they_wrote_it_and_nothing_is_done_to_it_unseen(notice: Notice) -> None:
    clean = verify()
    assert clean.exit_code == 0, clean.output
    assert "2 journals" in clean.output
    assert "2 snapshots" in clean.output
    assert "1 notice;" in clean.output
    assert "0 wrong, 0 to look at" in clean.output
    path = Path("notices", notice.name)
    changed = edited(path, lambda text: text.replace(b"o@example.com", b"p@example.com"))
    TAMPERING["a notice changed"] = (changed, *TAMPERING["a notice changed"][1:])
    for name, (tamper, code, expected) in TAMPERING.items():
        with put_back():
            tamper()
            result = verify()
        assert (result.exit_code, expected in result.output) == (code, True), f"{name}: {result.output}"
        assert not isinstance(result.exception, (KeyError, ValueError, TypeError))
    assert verify().exit_code == 0


def packed(path: Path, content: bytes | None = None) -> None:
    with gzip.open(f"{path}.gz", "wb") as file:
        file.write(path.read_bytes() if content is None else content)
    path.unlink(missing_ok=True)


def rewritten(path: Path, *rows: dict[str, Any], **more: Any) -> None:
    """Each row says ``more``; ``rows`` are added."""
    path.write_text(json.dumps([{**row, **more} for row in json.loads(path.read_bytes())] + list(rows)))


EVE = {"user": "eve", "arn": f"arn:aws:iam::{ACCOUNT}:user/eve", "unique_id": "AIDAEVE", "calls": 0}
EVE |= {"status": "deleted", "code": "", "reason": "approved by audit", "time": "2026-11-29T00:00:00+00:00"}
OUTCOMES = DELETE / "outcomes.json"
PROVISIONED = Path("output/delete/identity-center-result.json")


def journal_of_eve(path: Path) -> bytes:
    """A whole chain."""
    path.parent.mkdir(exist_ok=True)
    with Journal(path) as journal:
        journal.write(Subject("eve", str(EVE["arn"]), "AIDAEVE"), "outcome", status="deleted")
    return path.read_bytes()


#: What reports read is forged: how, and what is said of it.
FORGED: dict[str, tuple[Callable[[], object], str]] = {
    "outcomes packed": (lambda: packed(OUTCOMES, json.dumps([EVE]).encode()), "no run packs it"),
    "outcomes packed under their own name": (
        lambda: OUTCOMES.write_bytes(gzip.compress(OUTCOMES.read_bytes())),
        "no run packs it",
    ),
    "a journal packed": (
        lambda: packed(PARK / "journal.jsonl"),
        "park/journal.jsonl.gz: is packed",
    ),
    "a journal of its own packed": (
        lambda: packed(Path("output/journal.jsonl"), journal_of_eve(Path("output/journal.jsonl"))),
        "output/journal.jsonl.gz: is packed",
    ),
    "an object of another name": (
        lambda: journal_of_eve(DELETE / "journal/readme.txt"),
        "no run writes an object of this name",
    ),
    "a row without calls": (lambda: rewritten(OUTCOMES, EVE), "no line of its journal has deleted of arn"),
    "deleted becomes skipped": (
        lambda: rewritten(OUTCOMES, status="skipped", calls=0, history=[]),
        "in other words: this was changed",
    ),
    "and later": (
        lambda: rewritten(OUTCOMES, status="skipped", calls=0, history=[], time="2036-11-29T00:00:00+00:00"),
        "and this says something else of then",
    ),
    "another reason": (lambda: rewritten(OUTCOMES, reason="approved by audit"), "in other words"),
    "provisioning deletes": (
        lambda: PROVISIONED.write_text(json.dumps({"users": [EVE]})),
        "is not a result of provisioning that a run leaves: it says that",
    ),
    "provisioning deleted before": (
        lambda: PROVISIONED.write_text(
            json.dumps({"users": [{**EVE, "status": "failed", "history": [EVE]}]})
        ),
        "is not a result of provisioning that a run leaves: it has earlier outcomes",
    ),
}


def test_what_reports_read_is_forged_in_no_form_unseen(notice: Notice) -> None:
    unseen = {}
    for name, (forge, expected) in FORGED.items():
        with put_back():
            forge()
            result = verify()
        if result.exit_code != 1 or expected not in result.output:
            unseen[name] = result.output
    assert unseen == {}


def test_what_cloud_custodian_packs_only_in_a_bucket_is_to_be_looked_at(notice: Notice) -> None:
    kept = Path("output/copy/2026/11/30/12")
    kept.mkdir(parents=True)
    (kept / "resources.json").write_text("[]")
    packed(kept / "resources.json")
    assert verify().exit_code == 0
    packed(DELETE / "resources.json")
    assert "Cloud Custodian packs it in a bucket alone" in verify().output
    assert verify().exit_code == 3


@pytest.mark.parametrize("account", ["../..", "/etc", "", "*"])
def test_what_names_no_account_is_no_place_of_notices(notice: Notice, account: str) -> None:
    def elsewhere(line: dict[str, Any]) -> None:
        if line.get("phase") == "decision":
            line["arn"] = line["arn"].replace(ACCOUNT, account)

    rechained(DELETE / "journal.jsonl", elsewhere)
    metadata = DELETE / "metadata.json"
    whole = json.loads(metadata.read_bytes())
    whole["config"]["account_id"] = account
    metadata.write_text(json.dumps(whole))
    result = verify("--notices", "notices")
    assert result.exit_code == 1
    assert "arn is no ARN of an account" in result.output
    assert f"notices/{account}/" not in result.output


@pytest.mark.parametrize(
    "place", ["s3://[x", "s3://b/p?region=../x", "s3://b/p?region=us-iso-east-1", "s3:///"]
)
def test_a_place_of_notices_that_is_none_is_found(notice: Notice, place: str) -> None:
    """Whoever writes an account's part names it; another one's users are judged all the same."""
    Path("accounts.yml").write_text(f"accounts: [{{name: payments, account_id: '{ACCOUNT}'}}]")
    (DELETE / "outcomes.json").write_text("[]")
    metadata = DELETE / "metadata.json"
    data = json.loads(metadata.read_bytes())
    for action in data["policy"]["actions"]:
        action["notices"] = place
    metadata.write_text(json.dumps(data))
    result = verify("-c", "accounts.yml")
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert f"account {ACCOUNT}: its run names notices in '{place}'" in result.output
    assert f"{DELETE}" in result.output


def test_one_accounts_part_tells_of_no_other_accounts_users(notice: Notice) -> None:
    """What it says of them is found, and decides nothing on them."""
    part = Path("output/444455556666/us-east-1/iam-users-delete")
    part.mkdir(parents=True)
    shutil.copy(DELETE / "journal.jsonl", part)
    result = verify()
    assert result.exit_code == 1
    found = [line for line in result.output.splitlines() if str(part) in line]
    assert found
    assert all("where account 444455556666 writes: that is not believed" in line for line in found)
    assert f"{DELETE}/" not in result.output.replace(str(part), "")


def test_as_json(notice: Notice) -> None:
    found = json.loads(verify("--format", "json").output)
    assert found["counts"]["snapshots"] == 2
    assert found["found"] == []
    assert found["cloudtrail"] == {}


def test_a_reviewed_plan_that_lies_elsewhere_is_given(notice: Notice, tmp_path: Path) -> None:
    away = tmp_path / "away.json"
    (tmp_path / "reviewed.json").rename(away)
    (tmp_path / "output" / "plan" / "deletion-plan.json").unlink()
    assert verify().exit_code == 3
    assert verify("--plan", str(away)).exit_code == 0


def test_a_notice_without_a_digest_is_told_and_no_fault(notice: Notice, org: LocalOrg) -> None:
    announce(org.client("iam", ACCOUNT), "bob")
    result = verify()
    assert result.exit_code == 0
    assert (
        f"notices/{ACCOUNT}: no digest of 1 announcement is on record: no deletion here rests on them"
        in result.output
    )
    assert "2 notices" in result.output
    # nor can one be checked whose place nobody knows
    for path in Path("output").rglob("metadata.json"):
        path.unlink()
    result = verify()
    assert result.exit_code == 3
    assert "deletions rest on 1 notice whose place is not known: give --notices PLACE" in result.output
    assert verify("--notices", "notices").exit_code == 0


def test_a_place_without_a_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "custodian-run.log").touch()
    result = verify(place=str(tmp_path))
    assert result.exit_code == 1
    assert "no journal lies there" in result.output
    assert verify(place=str(tmp_path / "missing")).exit_code == 1
    assert verify("--role", ROLE, place=str(tmp_path)).exit_code == 2


@pytest.mark.parametrize(("lose", "told"), UNREADABLE)
def test_what_can_not_be_read_is_no_quiet_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Lose, told: str
) -> None:
    for policy in ("flag", "delete"):
        DirectoryStore(tmp_path / "output" / policy).create("journal.jsonl", b"")
    lose(monkeypatch, tmp_path / "output" / "delete")
    result = verify(place=str(tmp_path / "output"))
    assert result.exit_code == 1
    assert told in result.output


def trail(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, what became of the account's calls, and all that is said."""
    entry = {"account_id": ACCOUNT, "name": "payments", "role": ROLE, "regions": ["us-east-1"]}
    Path("accounts.json").write_text(json.dumps({"accounts": [entry]}))
    every = ("--role", ROLE.replace(ACCOUNT, "{account_id}"), "-c", "accounts.json")
    result = verify("--cloudtrail", *every, "--format", "json", *arguments)
    try:
        data = json.loads(result.stdout)
    except ValueError:
        raise AssertionError(result.output) from None
    said = " ".join(each["why"] for each in data["found"])
    return result.exit_code, data["cloudtrail"].get(ACCOUNT, {}), said


def test_awss_own_events_are_those_of_the_journals(notice: Notice, org: LocalOrg) -> None:
    code, found, said = trail()
    assert (code, found["missing"], found["unjournaled"]) == (0, 0, 0), said
    assert found["matched"]["request id"] == found["calls"] > 20
    # somebody acts by our role, and no journal says so
    org.client("iam", ACCOUNT).tag_user(UserName="bob", Tags=[{"Key": "a", "Value": "b"}])
    assert trail()[0] == 0  # bob is in no journal
    Path("kept").mkdir()
    (DELETE / "journal.jsonl").rename("kept/journal.jsonl")
    whole = lines(Path("kept/journal.jsonl"))
    (DELETE / "journal.jsonl").write_bytes(b"".join(whole[:-3]))  # DeleteUser and the outcome
    code, found, said = trail()
    assert (code, found["unjournaled"]) == (1, 1)
    assert "no journal here has the call of AWS's event" in said
    assert "DeleteUser of alice" in said


def test_a_call_that_aws_has_no_event_of(notice: Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    late = "c7n_iamusers.report.trail_matching.DELIVERY"
    HISTORY.clear()
    code, found, said = trail()
    assert (code, found["late"]) == (3, found["calls"])
    assert "run again later" in said
    monkeypatch.setattr(late, timedelta(0))
    code, found, said = trail()
    assert code == 1
    assert found["missing"] > 20
    assert "AWS has no event of DeleteUser of alice" in said or "more like these" in said


def rechained(path: Path, change: Callable[[dict[str, Any]], object], but: str = "") -> None:
    """Its lines, each changed, without those of the user ``but``, in a new chain; its outcomes to match."""
    from c7n_iamusers.execution.journal_format import line_digest

    previous, texts = "", []
    for text in lines(path):
        change(line := json.loads(text))
        if line["user"] != but:
            texts.append(json.dumps({**line, "previous": previous}).encode() + b"\n")
            previous = line_digest(texts[-1])
    path.write_bytes(b"".join(texts))
    rows = json.loads((place := path.with_name("outcomes.json")).read_bytes())
    for row in rows:
        change(row)
    place.write_text(json.dumps([row for row in rows if row["user"] != but]))
    for file in path.parent.glob(f"snapshots/{but}.*") if but else ():
        file.unlink()


def a_month_earlier(line: dict[str, Any]) -> None:
    line["time"] = (datetime.fromisoformat(line["time"]) - timedelta(days=30)).isoformat()


def by_mallory(line: dict[str, Any]) -> None:
    if line.get("caller"):
        line["caller"] = f"{line['caller'].rpartition('/')[0]}/mallory"


def of_another_policy(line: dict[str, Any]) -> None:
    if "PolicyArn" in line.get("parameters", {}):
        line["parameters"]["PolicyArn"] = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def of_another_key(line: dict[str, Any]) -> None:
    if "AccessKeyId" in line.get("parameters", {}):
        line["parameters"]["AccessKeyId"] = "AKIAOTHER"


def test_who_writes_a_journal_anew_keeps_more_than_its_request_ids(notice: Notice) -> None:
    unseen = {}
    for forge in (a_month_earlier, by_mallory, of_another_policy, of_another_key):
        with put_back():
            for path in (PARK, DELETE):
                rechained(path / "journal.jsonl", forge)
            # nothing here is signed, but snapshots have times, and a quarantine's record the ids of its keys
            assert (verify().exit_code == 0) is (forge in (by_mallory, of_another_policy))
            code, found, _ = trail()
        if code != 1 or not found["unjournaled"]:
            unseen[forge.__name__] = found
    assert unseen == {}


def test_a_user_that_is_taken_out_whole_is_told_by_the_role(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("alice", "carol"):
        org.client("iam", ACCOUNT).create_user(UserName=name)
    HISTORY.clear()
    run({"type": "composite-delete"}, "delete")
    assert trail()[0] == 0
    rechained(DELETE / "journal.jsonl", by_mallory, "alice")
    code, found, said = trail()
    assert (code, found["strangers"] > 0) == (1, True), said
    assert "are of users in no journal here (alice)" in said


def test_without_request_ids_the_session_says_it(notice: Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_ids_of_its_own(record: Mapping[str, Any]) -> TrailEvent | None:
        return event_of({**record, "requestID": f"of-{record.get('eventID')}"})

    monkeypatch.setattr("c7n_iamusers.report.trail_reader.event_of", with_ids_of_its_own)
    _, found, _ = trail()
    assert found["matched"] == {"request id": 0, "session, operation, user and time": found["calls"]}
    for path in (PARK / "journal.jsonl", DELETE / "journal.jsonl"):
        path.write_bytes(path.read_bytes().replace(b'"request_id"', b'"other_id"'))
    code, found, said = trail()
    assert (code, sum(found["matched"].values())) == (1, 0)
    assert "its result is done, with no code, and no run writes that" in said


@pytest.mark.parametrize("account", ["999988887777", "1/../x"])
def test_no_role_is_assumed_in_an_account_that_only_a_journal_names(
    notice: Notice, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    asked, call = list[str](), BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(self: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        asked.extend([given["RoleArn"]] if operation == "AssumeRole" else [])
        return call(self, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    with Journal(Path("output/journal.jsonl")) as journal:
        who = Subject("eve", f"arn:aws:iam::{account}:user/eve", "AIDAEVE")
        for phase in ("before", "after"):
            journal.write(who, phase, service="iam", operation="TagUser", parameters={}, result="done")
    code, _, said = trail("--external-id", "of-ours")
    assert (code, asked) == (1, [ROLE])
    expected = "its 1 calls are not compared: the accounts file lacks it"
    assert (expected if account.isdigit() else "arn is no ARN of an account") in said
    result = verify("--cloudtrail", "--role", ROLE.replace(ACCOUNT, "{account_id}"))
    assert result.exit_code == 2
    assert "give -c accounts.yml" in result.output


@pytest.mark.parametrize("role", [None, "arn:aws:iam::111122223333:role/Missing"])
def test_an_account_that_cloudtrail_is_not_read_of_is_named(notice: Notice, role: str | None) -> None:
    result = verify("--cloudtrail", *(["--role", role] if role else []))
    assert result.exit_code == 1
    assert f"account {ACCOUNT}: its " in result.output
    assert "calls are not compared" in result.output


def test_denied(notice: Notice, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "LookupEvents")

    monkeypatch.setattr("c7n_iamusers.report.trail_reader.pages", denied)
    code, found, said = trail()
    assert (code, found) == (1, {})
    assert "AccessDeniedException" in said
    assert "Allow cloudtrail:LookupEvents there" in said


def test_what_lies_in_a_bucket(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    s3 = org.client("s3")
    s3.create_bucket(Bucket="governance")
    create_full_user(org, "alice")
    place = "s3://governance/out?region=us-east-1"
    run({"type": "quarantine"}, "same", place)
    run({"type": "composite-delete"}, "same", place)
    result = verify(place=place)
    assert result.exit_code == 0, result.output
    assert "2 journals" in result.output
    found = s3.list_objects_v2(Bucket="governance", Prefix="out/")["Contents"]
    keys = [each["Key"] for each in found if each["Key"].endswith(".jsonl")]
    (first,) = (
        key
        for key in keys
        if b'"phase": "quarantine"' in s3.get_object(Bucket="governance", Key=key)["Body"].read()
    )
    s3.delete_object(Bucket="governance", Key=first)
    result = verify(place=place)
    assert result.exit_code == 1
    assert "its first line follows one that is not there" in result.output
