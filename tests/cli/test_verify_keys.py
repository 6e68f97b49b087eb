# SPDX-License-Identifier: Apache-2.0
"""What real runs left of access keys, verified: as it is, and after what somebody did to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.cloudtrail import HISTORY
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.notices import ANNOUNCED, Notice
from tests.cli.test_comparisons import read, write
from tests.cli.test_verify import put_back, trail, verify
from tests.plugins.keys import activate, key_of, on_keys, outcomes_of_keys, retire
from tests.policies import ACCOUNT

OUTPUT = Path("output")
TOLD: dict[str, Any] = {"noticed": 30, "notices": "notices"}
PARKING = {"type": "deactivate", "reason": "unused", "active-within": "none", **TOLD}
Line = dict[str, Any]


def announce(org: LocalOrg, name: str, key: str, ago: float = 40, lead: int = 30) -> Notice:
    """The owner of a key was addressed so many days ago, for a day ``lead`` days later."""
    user, time = org.client("iam", ACCOUNT).get_user(UserName=name)["User"], utc_now() - timedelta(days=ago)
    told, day = Subject(name, user["Arn"], key), time.date() + timedelta(days=lead)
    notice = Notice(
        ACCOUNT, ANNOUNCED, time, day, ("o@example.com",), f"{key}-{ago}", "iam-keys-announce", (told,)
    )
    store = DirectoryStore(Path("notices"))
    store.create(exempted.place_of(ACCOUNT, time), exempted.as_json(ACCOUNT, time, ()))
    store.create(notice.name, notice.as_json())
    return notice


@pytest.fixture
def notice(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notice:
    """Of jane, a key was announced, parked and deleted; of joe, one was announced, parked and given back."""
    monkeypatch.chdir(tmp_path)
    unused = {name: key_of(org, name, 400, 365) for name in ("jane", "joe")}
    for name in unused:
        key_of(org, name, 100, 1)
    found = announce(org, "jane", unused["jane"])
    announce(org, "joe", unused["joe"])
    HISTORY.clear()  # who created them does not count
    on_keys(OUTPUT, PARKING, name="parking")
    activate(OUTPUT, filters=[{"AccessKeyId": unused["joe"]}])
    retire(org, OUTPUT, **TOLD)
    said = [
        sorted(each["status"] for each in outcomes_of_keys(OUTPUT, name).values())
        for name in ("parking", "giving-back", "retiring")
    ]
    assert said == [["deactivated", "deactivated"], ["activated"], ["retired"]]
    return found


def rewrite(name: str, change: Callable[[Line], object], *phases: str) -> Callable[[], None]:
    """Lines of these phases about keys are changed, in a chain of their own, and their rows with them."""

    def forge() -> None:
        path = OUTPUT / name / "journal.jsonl"
        lines = read(path)
        changed = [each for each in lines if each["phase"] in phases and each["unique_id"].startswith("AKIA")]
        for each in changed:
            change(each)
        write(path, lines)
        if "outcome" in phases:
            rows = json.loads((OUTPUT / name / "outcomes.json").read_bytes())
            for row in rows:
                change(row)
            (OUTPUT / name / "outcomes.json").write_text(json.dumps(rows))

    return forge


def says(**more: Any) -> Callable[[Line], object]:
    return lambda line: line.update(more)


def notes(**more: Any) -> Callable[[Line], object]:
    return lambda line: line.update(notes={**line["notes"], **more})


def of_another_key(line: Line) -> None:
    line["parameters"] = {**line["parameters"], "AccessKeyId": "AKIAOTHER"}


def of_the_other_operation(line: Line) -> None:
    line["operation"] = "DeleteAccessKey"
    line["parameters"] = {name: of for name, of in line["parameters"].items() if name != "Status"}


def seen_active() -> None:
    """A run saw the key active between its parking and its deletion."""
    path = OUTPUT / "retiring" / "journal.jsonl"
    lines = read(path)
    before = next(each for each in lines if each["phase"] == "before")
    who = {name: before[name] for name in ("time", "user", "arn", "unique_id", "previous")}
    seen = {**who, "phase": "lapsed", "active": [before["unique_id"]]}
    at = lines.index(before)
    write(path, [*lines[:at], seen, *lines[at:]])


def decided() -> None:
    path = OUTPUT / "retiring" / "journal.jsonl"
    lines = read(path)
    write(path, [*lines, {**lines[-1], "phase": "decision", "exemptions": {"rules": 0, "sha256": "0"}}])


def announced_for_later() -> None:
    for path in Path("notices", ACCOUNT).glob("*.json"):
        text = json.loads(path.read_bytes())
        day = utc_now().date() + timedelta(days=9)
        path.write_text(json.dumps({**text, "day": day.isoformat()}))


def asked_for_days() -> None:
    path = OUTPUT / "retiring" / "metadata.json"
    whole = json.loads(path.read_bytes())
    whole["policy"]["actions"][0]["parked-for"] = 14
    path.write_text(json.dumps(whole))


CALLS = ("before", "after")
#: What is done to the outputs -> what is said of it.
FORGED: dict[str, tuple[Callable[[], object], str]] = {
    "not announced": (lambda: rmtree(Path("notices", ACCOUNT)), "and its policy asks for one"),
    "before its day": (announced_for_later, "was before the day that was announced for it"),
    "parked for too short": (asked_for_days, "0 days after it was made inactive, and 14 days are asked for"),
    "never parked": (lambda: rmtree(OUTPUT / "parking"), "that no journal here has: give all outputs"),
    "parked at another time": (
        rewrite("retiring", notes(since="2026-01-01T00:00:00+00:00"), "before"),
        "rests on a parking at 2026-01-01 00:00:00+00:00 that no journal here has",
    ),
    "deleted before it was parked": (
        rewrite("retiring", notes(since="2099-01-01T00:00:00+00:00"), "before"),
        "which is no time before it",
    ),
    "used since": (
        rewrite("retiring", notes(used=None), "before"),
        "says that the key was last used at None when it was parked, and that says",
    ),
    "seen active meanwhile": (seen_active, "a parking after which the key was seen active"),
    "parked without an answer": (
        rewrite("parking", says(result="unknown", code="ServiceUnavailable", request_id=""), "after"),
        "rests on a parking that AWS did not answer",
    ),
    "calls of another key": (rewrite("retiring", of_another_key, *CALLS), "its call is of the key AKIAOTHER"),
    "lines of another key": (
        rewrite("retiring", says(unique_id="AKIAOTHER"), *CALLS, "outcome"),
        "and it is about AKIAOTHER",
    ),
    "parking becomes deletion": (
        rewrite("parking", of_the_other_operation, *CALLS),
        "its call is for parking by its notes, and does the retirement",
    ),
    "notes removed": (rewrite("parking", says(notes={}), "before"), "and does the parking"),
    "notes cut": (rewrite("retiring", says(notes={"for": "retirement"}), "before"), "its notes lack since"),
    "retired becomes skipped": (
        rewrite("retiring", says(status="skipped", code="KeyGone"), "outcome"),
        "it says skipped, and its journal has no line or no call of that",
    ),
    "retired becomes parked": (
        rewrite("retiring", says(status="deactivated"), "outcome"),
        "it says deactivated, and its journal has no line or no call of that",
    ),
    "parked becomes given back": (rewrite("parking", says(status="activated"), "outcome"), "says activated"),
    "a key is a user": (
        rewrite("retiring", says(status="deleted"), "outcome"),
        "no run writes the status deleted",
    ),
    "without its calls": (
        rewrite("retiring", says(calls=0), "outcome"),
        "it says 0 calls, and its journal has 1",
    ),
    "a decision on a key": (decided, "no run writes such a line about an access key"),
}


def test_honest_outputs_are_right_and_nothing_is_done_to_them_unseen(notice: Notice) -> None:
    clean = verify()
    assert clean.exit_code == 0, clean.output
    assert "0 wrong, 0 to look at" in clean.output
    assert "no digest of 2 announcements of access keys is on record: their days are compared" in clean.output
    unseen = {}
    for name, (forge, expected) in FORGED.items():
        with put_back():
            forge()
            result = verify()
        if result.exit_code != 1 or expected not in result.output:
            unseen[name] = result.output
    assert unseen == {}
    assert verify().exit_code == 0


def test_a_failure_that_the_run_saw_alone_is_to_be_looked_at(notice: Notice) -> None:
    with put_back():
        rewrite("retiring", says(status="failed", code="KeyChangeNotShown"), "outcome")()
        result = verify()
    assert (result.exit_code, "rests on what the run saw alone" in result.output) == (3, True), result.output


def test_notices_whose_place_nobody_knows_are_asked_for(notice: Notice) -> None:
    for path in OUTPUT.rglob("metadata.json"):
        path.unlink()
    result = verify()
    assert result.exit_code == 3
    assert "rests on an announcement whose place is not known: give --notices PLACE" in result.output
    assert verify("--notices", "notices").exit_code == 0
    rmtree(Path("notices", ACCOUNT))
    again = verify("--notices", "notices")
    assert again.exit_code == 3
    assert "has no announcement on record, and what its policy asks is not known" in again.output


def test_policies_that_ask_for_no_announcement_need_none(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key_of(org, "jane", 400, 365)
    key_of(org, "jane", 100, 1)
    on_keys(
        OUTPUT, {"type": "deactivate", "reason": "x", "active-within": "none", "noticed": "none"}, name="p"
    )
    assert [each["status"] for each in retire(org, OUTPUT).values()] == ["retired"]
    result = verify()
    assert (result.exit_code, "0 wrong, 0 to look at" in result.output) == (0, True), result.output


def test_awss_own_events_are_those_of_the_journals(notice: Notice, org: LocalOrg) -> None:
    code, found, said = trail()
    assert (code, found["calls"], found["missing"], found["unjournaled"]) == (0, 4, 0, 0), said
    rmtree(OUTPUT / "retiring")
    code, found, said = trail()
    assert (code, found["unjournaled"]) == (1, 1), said
