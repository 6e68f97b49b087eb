# SPDX-License-Identifier: Apache-2.0
"""Each member of each line and row that real runs left gets another value: ``verify`` finds what its table says."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aws_local_org import LocalOrg
from aws_local_org.cloudtrail import HISTORY
from c7n_iamusers.execution.calls import Subject, is_key_id
from c7n_iamusers.execution.journal import Journal, utc_now
from c7n_iamusers.execution.journal_format import line_digest
from c7n_iamusers.execution.outcomes import STATUSES
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.applying.run_records import RunDirectory
from c7n_iamusers.report import comparisons
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.grounds import verify_elsewhere, verify_notices, verify_plans
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.trail_matching import TrailEvent, match
from c7n_iamusers.report.trail_reader import read_trail
from c7n_iamusers.report.verification import Verified, verify_outputs
from c7n_iamusers_cli.main import main
from tests import comparison_table
from tests.cli.test_verify import ROLE, announce, run
from tests.conftest import is_sampled
from tests.plugins.deletions import acting
from tests.plugins.keys import deactivate, key_of, new_report, retire
from tests.policies import ACCOUNT, policy

OUTPUT = Path("output")
Line = dict[str, Any]
#: The kinds of lines by their phase, and of those of restorations and provisioning.
KINDS = {
    **dict.fromkeys(("before",), comparisons.BEFORE),
    **dict.fromkeys(("after", "tried"), comparisons.AFTER),
    **{each: each for each in ("snapshot", "quarantine", "decision", "outcome", "lapsed", "given-up")},
}
#: Objects whose members have rows of their own.
PARTED = {"record", "exemptions", "announcement", "plan"}
#: What differs from call to call.
OF_CALLS = ("operation", "parameters", "result", "saved", "notes")
MONTH = timedelta(days=31)


#: Where what the runs left is kept, and AWS's events: each test gets a copy.
KEPT: list[tuple[Path, list[TrailEvent]]] = []
#: What the policies asked.
ASKED: list[PolicyOutput] = []


@pytest.fixture
def left(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> list[TrailEvent]:
    """What runs left of users that are quarantined, released, deleted by a reviewed plan, restored; AWS's events."""
    if not KEPT:
        kept = tmp_path_factory.mktemp("kept")
        monkeypatch.chdir(kept)
        KEPT.append((kept, runs(request.getfixturevalue("org"))))
    kept, events = KEPT[0]
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return events


def runs(org: LocalOrg) -> list[TrailEvent]:
    iam = org.client("iam", ACCOUNT)
    for name in ("carol", "dave", "erin"):
        iam.create_user(UserName=name)
        iam.create_access_key(UserName=name)
        iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
        announce(iam, name)
    key = iam.create_access_key(UserName="carol")["AccessKey"]["AccessKeyId"]
    iam.update_access_key(UserName="carol", AccessKeyId=key, Status="Inactive")
    HISTORY.clear()
    told, stays = (
        {"noticed": 30, "notices": "notices"},
        {"user": "dave", "reason": "x", "expires": "2099-01-01"},
    )
    run({"type": "quarantine", "credentials": "keep", **told}, "listen")
    run({"type": "quarantine", **told}, "park")
    policy({"name": "freeing", "filters": [{"UserName": "dave"}], "actions": ["release"]}, OUTPUT).run()
    deletes = {"type": "composite-delete", **told}
    acting({**deletes, "plan-only": True}, OUTPUT, stays, name="plan").run()
    (OUTPUT / "plan" / "deletion-plan.json").rename("reviewed.json")
    acting({**deletes, "plan": "reviewed.json"}, OUTPUT, stays, name="delete").run()
    done = CliRunner().invoke(main, ["restore", "output", "--user", "erin", "--role", ROLE, "--yes"])
    assert done.exit_code == 0, done.output
    keys(org)
    provisioning()
    ASKED[:] = read_outputs(DirectoryStore(OUTPUT))
    calls = found().calls
    client = org.client("cloudtrail", ACCOUNT)
    return list(read_trail(client, calls, Backoff(), utc_now()).events)


def keys(org: LocalOrg) -> None:
    """Of frank, a key is parked and deleted."""
    key_of(org, "frank", 400, 365)
    key_of(org, "frank", 100, 1)
    new_report(org)
    deactivate(OUTPUT, name="parking")
    (row,) = retire(org, OUTPUT).values()
    assert row["status"] == "retired"


def provisioning() -> None:
    """A run of it, and two lines that runs seldom write."""
    provisioned = RunDirectory.begin(DirectoryStore(OUTPUT / "provision"), utc_now())
    who = Subject("carol", f"arn:aws:iam::{ACCOUNT}:user/carol", "AIDA")
    with provisioned.journal() as journal:
        call = {"service": "identitystore", "operation": "CreateGroup", "parameters": {"DisplayName": "g"}}
        journal.write(who, "before", **call, notes={"of": "x"})
        journal.write(
            who, "after", **call, result="done", request_id="r", caller="arn:aws:sts::1:x", saved={"a": "b"}
        )
    provisioned.finish({"instance": "arn:aws:sso:::instance/x"})
    with Journal(OUTPUT / "freeing" / "journal.jsonl") as written:
        written.write(who, "lapsed", gone=["inline"], active=["AKIA"])
        written.write(who, "given-up", snapshot="snapshots/x.json", by="somebody")


def found(events: list[TrailEvent] | None = None) -> Verified:
    """What ``verify`` finds, with AWS's ``events`` if given."""
    verified = Verified(keeps_calls=True)
    verify_outputs(DirectoryStore(OUTPUT), lambda _: "", verified)
    verify_elsewhere(verified)
    verify_plans(verified, {*verified.plans, digest(Path("reviewed.json"))})
    verify_notices(verified, {ACCOUNT: DirectoryStore(Path("notices"))}, utc_now(), ASKED)
    if events is not None:
        now = utc_now() + timedelta(hours=1)
        matching = match([each for each in verified.calls if each.service == "iam"], events, now)
        for each in (*matching.unjournaled, *matching.missing):
            verified.add(BLOCKING, "CloudTrail", str(each))
        for call, why in matching.unproven:
            verified.add(ATTENTION, "CloudTrail", f"{call}: {why}")
    return verified


def digest(path: Path) -> str:
    from hashlib import sha256

    return sha256(path.read_bytes()).hexdigest()


def read(path: Path) -> list[Line]:
    return [json.loads(each) for each in path.read_bytes().splitlines()]


def write(path: Path, lines: list[Line]) -> None:
    """In a new chain."""
    previous, texts = "", []
    for line in lines:
        texts.append(json.dumps({**line, "previous": previous}).encode() + b"\n")
        previous = line_digest(texts[-1])
    path.write_bytes(b"".join(texts))


def kind_of(path: Path, line: Line) -> str:
    if "identity-center-runs" in path.parts:
        return comparisons.RESULT if line["phase"] == "result" else comparisons.PROVISIONING
    if path.name.startswith("restore") and line["phase"] == "outcome":
        return comparisons.RESTORATION
    if is_key_id(line["unique_id"]) and line["phase"] == "before":
        return comparisons.BEFORE_KEY
    return KINDS[line["phase"]]


def journal_of(path: Path) -> tuple[str, bool]:
    """What the lines of a journal are about: runs or restorations; or provisioning."""
    return path.name, "identity-center-runs" in path.parts


def others(name: str, value: Any) -> list[Any]:
    """Plausible other values of a member."""
    eve = f"arn:aws:iam::{ACCOUNT}:user/eve"
    known: dict[str, list[Any]] = {
        "user": ["eve"],
        "arn": [eve],
        "unique_id": ["AIDAEVE"],
        "phase": ["lapsed" if value != "lapsed" else "snapshot"],
        "service": ["sso-admin" if value == "iam" else "iam"],
        "operation": ["TagUser" if value != "TagUser" else "UntagUser"],
        "result": ["failed" if value == "done" else "done", "unknown"],
        "status": ["released" if value != "released" else "quarantined"] if isinstance(value, str) else [500],
        "caller": [f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/mallory"],
        "made": [["AIDAEVE"], []],
        "history": [[]],
    }
    if name in known:
        return known[name]
    if name in ("time", "since", "rests_on", "listened_since"):
        time = datetime.fromisoformat(value)
        return [(time + sign * MONTH).isoformat() for sign in (1, -1)]
    if isinstance(value, dict):
        return [
            {each: (f"{of}x" if isinstance(of, str) else of) for each, of in value.items()} | {"More": "x"}
        ]
    if isinstance(value, list):
        return [[*value, "AKIAOTHER"], *([[]] if value else [])]
    return (
        [not value]
        if isinstance(value, bool)
        else [value + 1]
        if isinstance(value, int | float)
        else [f"{value}x"]
    )


class Removed:
    """In place of another value: the member is not there."""

    def __repr__(self) -> str:
        return "removed"


REMOVED = Removed()


def setter(name: str, inner: str = "") -> Callable[[Line, Any], Line]:
    def put(whole: Line, key: str, new: Any) -> Line:
        return (
            {each: of for each, of in whole.items() if each != key} if new is REMOVED else {**whole, key: new}
        )

    return lambda whole, new: put(whole, name, put(whole[name], inner, new) if inner else new)


def members(line: Line) -> Iterator[tuple[str, Any, Callable[[Line, Any], Line]]]:
    """Each member, its value, and how it is set."""
    for name, value in line.items():
        if name in PARTED or (name == "notes" and is_key_id(line["unique_id"])):
            yield from ((f"{name}.{inner}", of, setter(name, inner)) for inner, of in value.items())
        elif name != "previous":
            yield name, value, setter(name)


def shows(verified: Verified) -> str:
    levels = {each.level for each in verified.found}
    return "wrong" if BLOCKING in levels else "to look at" if ATTENTION in levels else "nothing"


def removed(kind: str, name: str) -> list[Removed]:
    """That the member is not there, of each that all runs write."""
    said = comparisons.comparison_of(kind, name)
    return [REMOVED] if said and name not in said.optional else []


def is_as_said(
    said: comparisons.Compared | None, alone: str, trail: Callable[[], str], lacks: bool = False
) -> bool:
    """Whether what shows is what the table says. ``alone``: without AWS's events. ``trail``: with them.

    ``lacks``: a member was removed that each run writes.
    """
    if said is None:
        return False
    if lacks:
        return alone == "wrong"
    if said.shows == comparisons.WRONG:
        return alone == "wrong"
    if said.shows == comparisons.WRONG_BY_CLOUDTRAIL:
        return "wrong" in (alone, trail())
    return trail() != "nothing"


def changes() -> Iterator[tuple[str, str, str, bool]]:
    """Each line with another value of one member, or without it: its kind, the member, words, and whether it lacks it
    though each run writes it. Afterwards all is as it was.

    But by ``make soak``, of alike lines the first one is tried: of each call, what says that it is this one. Of
    these each commit tries a fifth, and something of each kind.
    """
    tried, lacked, kinds = set[tuple[object, ...]](), set[tuple[str, ...]](), set[str]()
    for path in sorted(OUTPUT.rglob("*journal*.jsonl")) + sorted(OUTPUT.rglob("journal/*/*.jsonl")):
        lines, whole = read(path), path.read_bytes()
        for number, line in enumerate(lines):
            kind = kind_of(path, line)
            for name, value, put in members(line):
                call = line.get("operation") if name in OF_CALLS else None
                key = journal_of(path), kind, line["phase"], line.get("status"), call, name
                if key in tried and "SOAK_PAIRS" not in os.environ:
                    continue
                tried.add(key)
                once = () if (kind, line["phase"], name) in lacked else removed(kind, name)
                lacked.add((kind, line["phase"], name))
                for which, new in enumerate((*others(name.rpartition(".")[2], value), *once)):
                    if kind in kinds and not is_sampled(f"{kind} {line['phase']} {call} {name} {which}"):
                        continue
                    kinds.add(kind)
                    write(path, [*lines[:number], put(line, new), *lines[number + 1 :]])
                    said = comparisons.comparison_of(kind, name)
                    lacks = new is REMOVED and said is not None and name not in said.optional
                    yield kind, name, f"{kind} {name} of {path.parent.name} {number}: {str(new)[:60]}", lacks
        path.write_bytes(whole)


def test_each_member_of_each_line_is_compared_as_the_table_says(left: list[TrailEvent]) -> None:
    assert [each for each in found(left).found if each.level in (BLOCKING, ATTENTION)] == []
    unlike, kinds = dict[str, str](), set[str]()
    for kind, name, told, lacks in changes():
        kinds.add(kind)
        said = comparisons.comparison_of(kind, name)
        if said and said.shows == comparisons.ALONE and not lacks:
            continue
        if not is_as_said(said, alone := shows(found()), lambda: shows(found(left)), lacks):
            unlike[told] = alone
    assert kinds == {each.kind for each in comparisons.COMPARED} - {comparisons.EACH, comparisons.ROW}
    assert unlike == {}


@pytest.mark.usefixtures("left")
def test_each_member_of_each_row_is_that_of_its_line() -> None:
    unlike, tried = {}, set[tuple[str, str]]()
    for path in OUTPUT.rglob("outcomes.json"):
        rows, whole = json.loads(path.read_bytes()), path.read_bytes()
        for number, row in enumerate(rows):
            for name, value, put in members(row):
                if (row["status"], name) in tried and "SOAK_PAIRS" not in os.environ:
                    continue
                tried.add((row["status"], name))
                for which, new in enumerate((*others(name, value), *removed(comparisons.ROW, name))):
                    if not is_sampled(f"{row['status']} {name} {which}"):
                        continue
                    path.write_text(json.dumps([*rows[:number], put(row, new), *rows[number + 1 :]]))
                    said = comparisons.comparison_of(comparisons.ROW, name)
                    if not is_as_said(said, shows(found()), str):
                        unlike[f"{name} of {path.parent.name} {number}: {str(new)[:60]}"] = value
        path.write_bytes(whole)
    assert unlike == {}


def of_carol(change: Callable[[Line], object], *phases: str) -> None:
    """What is changed of the lines of her deletion in these phases, and of her row, in a new chain."""
    path = OUTPUT / "delete" / "journal.jsonl"
    lines, rows = read(path), json.loads(path.with_name("outcomes.json").read_bytes())
    for each in (*lines, *(rows if "outcome" in phases else ())):
        if each["user"] == "carol" and each.get("phase", "outcome") in phases:
            change(each)
    write(path, lines)
    path.with_name("outcomes.json").write_text(json.dumps(rows))


def of_eve(line: Line) -> None:
    line |= {"user": "eve", "arn": line["arn"].replace("carol", "eve")}


def of_another_policy(line: Line) -> None:
    if "PolicyArn" in line["parameters"]:
        line["parameters"]["PolicyArn"] = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def a_month_later(line: Line) -> None:
    line["time"] = (datetime.fromisoformat(line["time"]) + MONTH).isoformat()


def without_calls(line: Line) -> None:
    line["calls"] = 0


def at_rest(line: Line) -> None:
    line |= {"calls": 0, "rests_on": line["time"]}


def released(line: Line) -> None:
    line["status"] = "released"


def skipped(line: Line) -> None:
    line["status"] = "skipped"


def by_audit(line: Line) -> None:
    line["reason"] = "by audit"


def without_announcement(line: Line) -> None:
    del line["announcement"]


def put_of_deny(line: Line) -> None:
    if line["operation"] == "DeleteUser":
        line["operation"] = "TagUser"


EVERY = ("snapshot", "decision", "before", "after", "outcome")
CALLS, WITH_ROW = ("before", "after"), ("outcome",)


#: What is changed, in which phases -> what shows, and what shows with AWS's events.
SEVERAL: dict[str, tuple[Callable[[Line], object], tuple[str, ...], str, str]] = {
    "parameters of a call": (of_another_policy, CALLS, "nothing", "wrong"),
    "operation of the deletion": (put_of_deny, CALLS, "wrong", "wrong"),
    "calls of eve": (of_eve, CALLS, "wrong", "wrong"),
    "all of eve but the snapshot": (of_eve, EVERY, "wrong", "wrong"),
    "an outcome of eve": (of_eve, WITH_ROW, "wrong", "wrong"),
    "no calls": (without_calls, WITH_ROW, "wrong", "wrong"),
    "rests on nothing": (at_rest, WITH_ROW, "wrong", "wrong"),
    "released": (released, WITH_ROW, "wrong", "wrong"),
    "skipped": (skipped, WITH_ROW, "wrong", "wrong"),
    "an outcome a month later": (a_month_later, WITH_ROW, "wrong", "wrong"),
    "calls a month later": (a_month_later, CALLS, "wrong", "wrong"),
    # as the table says: in both, by the journal alone
    "the words": (by_audit, WITH_ROW, "nothing", "nothing"),
    "no announcement": (without_announcement, ("decision",), "wrong", "wrong"),
}


def test_who_changes_several_lines_that_agree(left: list[TrailEvent]) -> None:
    unlike, place = {}, OUTPUT / "delete"
    whole = {path: path.read_bytes() for path in (place / "journal.jsonl", place / "outcomes.json")}
    for name, (change, phases, *expected) in SEVERAL.items():
        of_carol(change, *phases)
        if (shown := [shows(found()), shows(found(left))]) != expected:
            unlike[name] = shown
        for path, content in whole.items():
            path.write_bytes(content)
    assert unlike == {}


@pytest.mark.usefixtures("left")
def test_a_line_and_its_row_with_another_status_are_wrong() -> None:
    unlike = []
    for path in OUTPUT.rglob("outcomes.json"):
        rows, lines = json.loads(path.read_bytes()), read(path.with_name("journal.jsonl"))
        whole = {each: each.read_bytes() for each in (path, path.with_name("journal.jsonl"))}
        for number, line in enumerate(lines):
            if line["phase"] != "outcome":
                continue
            for status in sorted({*STATUSES, "quar\u00e4ntined"} - {line["status"]}):
                if not is_sampled(f"{number} {line['status']} {status}"):
                    continue
                write(
                    path.with_name("journal.jsonl"),
                    [*lines[:number], {**line, "status": status}, *lines[number + 1 :]],
                )
                of_line = [
                    {**row, "status": status}
                    if (row["unique_id"], row["time"]) == (line["unique_id"], line["time"])
                    else row
                    for row in rows
                ]
                path.write_text(json.dumps(of_line))
                if shows(found()) != "wrong":
                    unlike.append(f"{line['status']} of {line['user']} is {status}")
        for each, content in whole.items():
            each.write_bytes(content)
    assert unlike == []


@pytest.mark.usefixtures("left")
def test_a_journal_of_one_outcome_and_its_row_prove_nothing() -> None:
    place = OUTPUT / "zz"
    place.mkdir()
    row = next(each for each in json.loads((OUTPUT / "delete" / "outcomes.json").read_bytes()))
    row |= {"user": "eve", "arn": f"arn:aws:iam::{ACCOUNT}:user/eve", "unique_id": "AIDAEVE"}
    write(place / "journal.jsonl", [{**row, "phase": "outcome"}])
    (place / "outcomes.json").write_text(json.dumps([row]))
    assert shows(found()) == "wrong"
    (place / "journal.jsonl").unlink()
    assert shows(found()) == "wrong"


def test_the_table_in_the_docs_is_that_of_the_code() -> None:
    page = comparison_table.PAGE.read_text(encoding="utf-8")
    assert comparison_table.written(page) == page, "run: make docs"


def test_what_readers_show_alone_is_in_the_table() -> None:
    names = {name for each in comparisons.COMPARED for name in each.names}
    assert names >= comparisons.SHOWN_ALONE
