# SPDX-License-Identifier: Apache-2.0
"""What the lines about an access key, and the notices of it, say of each other: what runs leave contradicts nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.exemptions import parse_rules
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.key_retirement import key_history
from c7n_iamusers.lockout.journal_lines import GIVING_BACK, PARKING, RETIREMENT
from c7n_iamusers.notices.exempted import Exempted
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.key_lines import KeyRecords
from c7n_iamusers.report.key_notices import announcement_of, key_notice_faults
from c7n_iamusers.report.line_checks import Lines
from c7n_iamusers.report.outputs import RAN, Mail, PolicyOutput

pytestmark = [pytest.mark.pure, pytest.mark.whole]
ACCOUNT, KEY = "111122223333", "AKIA1"
ARN = f"arn:aws:iam::{ACCOUNT}:user/jane"
WHO = {"user": "jane", "arn": ARN, "unique_id": KEY}
USED = "2025-01-01T00:00:00+00:00"
Line = dict[str, Any]


def at(day: int, hour: int = 10) -> str:
    return f"2026-11-{day:02}T{hour:02}:00:00.250000+00:00"


def line(day: int, phase: str, **more: Any) -> Line:
    return {"time": at(day), **WHO, "phase": phase, **more}


def call(day: int, what: str, result: str | None = "done", **notes: Any) -> list[Line]:
    """Without ``result``, the run was killed before AWS answered."""
    status = {"parking": "Inactive", "giving-back": "Active"}.get(what)
    parameters = {"UserName": "jane", "AccessKeyId": KEY, **({"Status": status} if status else {})}
    operation = "UpdateAccessKey" if status else "DeleteAccessKey"
    made = {"service": "iam", "operation": operation, "parameters": parameters}
    before = line(day, "before", **made, notes={"for": what, **notes})
    return [before, line(day, "after", **made, result=result)] if result else [before]


def park(day: int, result: str | None = "done", **notes: Any) -> list[Line]:
    return call(day, "parking", result, **{"policy": "p", "reason": "", "used": USED, **notes})


def retire(day: int, since: int, result: str | None = "done", **notes: Any) -> list[Line]:
    since_text = at(since).replace(".250000", "")
    return call(day, "retirement", result, **{"since": since_text, "used": USED, **notes})


def give_back(day: int, result: str | None = "done") -> list[Line]:
    return call(day, "giving-back", result)


def outcome(day: int, status: str, calls: int = 1, **more: Any) -> Line:
    return line(day, "outcome", status=status, calls=calls, **more)


SEEN = "lapsed"
GONE: Line = {"code": "GoneMeanwhile"}
NO_ANSWER: Line = {"code": "CallFailed", "call": "iam:UpdateAccessKey"}


def with_members_of_an_outcome(lines: list[Line]) -> list[Line]:
    return [{**each, "calls": 0, "status": "retired", "rests_on": at(1)} for each in lines]


def of(lines: list[Line], **more: Any) -> list[Line]:
    """``lines``, with other members of their calls' parameters."""
    return [{**each, "parameters": {**each["parameters"], **more}} for each in lines]


def without_note(lines: list[Line], name: str) -> list[Line]:
    before, after = lines
    return [{**before, "notes": {key: note for key, note in before["notes"].items() if key != name}}, after]


def in_the_same_second(lines: list[Line]) -> list[Line]:
    """Before what ``at`` names."""
    return [{**each, "time": each["time"].replace(".250000", ".100000")} for each in lines]


SHOWN_LATER = outcome(2, "deactivated", 0, code="KeyShownLater", rests_on=at(1))


def faults(lines: list[Line]) -> list[str]:
    """Of the lines of one output, and of what they rest on."""
    checks, records = Lines(), KeyRecords()
    found = list[str]()
    for each in lines:
        found += [checks.fault(each)]
        records.read("p/journal.jsonl", "p", each)
    return [*filter(None, found), *(why for *_, why in records.faults())]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([*park(1), outcome(1, "deactivated")], id="parked"),
        pytest.param([*park(1, "unknown"), outcome(1, "failed", **NO_ANSWER)], id="no-answer"),
        pytest.param([*park(1, None), *park(1), outcome(1, "deactivated", 2)], id="killed-and-parked"),
        pytest.param(
            [*park(1, None), outcome(2, "deactivated", code="KeyByStoppedRun")], id="killed-and-seen-parked"
        ),
        pytest.param([*park(1, "failed"), outcome(1, "failed", **NO_ANSWER)], id="refused"),
        pytest.param(
            [*park(1, "unknown"), outcome(1, "skipped", code="NotAnnounced")], id="skipped-after-it"
        ),
        pytest.param([*park(1), outcome(1, "skipped", **GONE)], id="gone-meanwhile"),
        pytest.param([*park(1), outcome(1, "failed", code="KeyChangeNotShown")], id="not-shown"),
        pytest.param(
            [*park(1, "unknown"), outcome(1, "failed", **NO_ANSWER), SHOWN_LATER],
            id="shown-later",
        ),
        pytest.param([*park(1), *retire(9, 1)], id="retired"),
        pytest.param(
            [*park(1), outcome(1, "deactivated"), *retire(9, 1, "gone"), outcome(9, "retired")],
            id="gone-as-it-was-deleted",
        ),
        pytest.param([*park(1), *give_back(2), outcome(2, "activated", 2)], id="given-back"),
        pytest.param([*park(1, "unknown"), *give_back(2)], id="adopted"),
        pytest.param([*park(1), *give_back(2, "unknown"), *give_back(3)], id="given-back-after-no-answer"),
        pytest.param([*park(1), *give_back(2), *park(3), *retire(9, 3)], id="parked-again"),
        pytest.param([*park(1), *give_back(2, "failed"), *retire(9, 1)], id="giving-back-was-refused"),
        pytest.param([*park(1), line(2, SEEN, active=[KEY])], id="seen-active"),
        pytest.param([*park(1), *retire(8, 1, "unknown"), *retire(9, 1)], id="tried-twice"),
        pytest.param([*park(1, used=None), *retire(9, 1, used=None)], id="never-used"),
        pytest.param([*with_members_of_an_outcome(park(1)), *retire(9, 1)], id="a-call-like-an-outcome"),
    ],
)
def test_what_runs_leave_contradicts_nothing(lines: list[Line]) -> None:
    assert faults(lines) == []


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        pytest.param(retire(9, 1), "no journal here has", id="never-parked"),
        pytest.param([*park(1), *retire(9, 2)], "no journal here has", id="another-time"),
        pytest.param([*park(1, "failed"), *retire(9, 1)], "no journal here has", id="parking-was-refused"),
        pytest.param([*park(1, None), *retire(9, 1)], "did not answer", id="killed"),
        pytest.param([*park(1, "unknown"), *retire(9, 1)], "did not answer", id="no-answer"),
        pytest.param([*park(1, used=None), *retire(9, 1)], "last used at", id="another-use"),
        pytest.param(
            [*park(1), *give_back(2), *retire(9, 1)], "another call, for giving-back", id="given-back"
        ),
        pytest.param(
            [*park(1), *give_back(2, "unknown"), *retire(9, 1)], "for giving-back", id="perhaps-given-back"
        ),
        pytest.param([*park(1), *park(2, None), *retire(9, 1)], "for parking", id="perhaps-parked-again"),
        pytest.param([*park(1), line(2, SEEN, active=[KEY]), *retire(9, 1)], "seen active", id="seen-active"),
        pytest.param(give_back(2), "no parking that a journal has", id="given-back-unparked"),
        pytest.param([*park(1), *give_back(2), *give_back(3)], "no parking", id="given-back-twice"),
        pytest.param([outcome(2, "deactivated", 0)], "rests on no line", id="rests-on-nothing"),
        pytest.param(
            [outcome(2, "retired", 0, rests_on=at(1))], "no journal here has", id="rests-on-no-line"
        ),
        pytest.param(
            [*park(1), outcome(1, "deactivated"), outcome(2, "activated", 0, rests_on=at(1))],
            "no journal here has",
            id="rests-on-another-call",
        ),
        pytest.param(
            [
                *park(1, "failed"),
                outcome(1, "failed", **NO_ANSWER),
                outcome(2, "deactivated", 0, rests_on=at(1)),
            ],
            "no journal here has",
            id="rests-on-a-refused-call",
        ),
        pytest.param([line(2, SEEN, active=["AKIA2"])], "is about the key AKIA1", id="sees-another-key"),
        pytest.param([line(2, SEEN, active=[KEY], gone=["inline"])], "is about the key", id="sees-more"),
        pytest.param([line(2, "quarantine", record={})], "no run writes such", id="quarantined"),
        pytest.param([line(2, "snapshot")], "no run writes such", id="snapshot"),
        pytest.param([*park(1), outcome(1, "quarantined")], "no run writes the status", id="a-users-status"),
        pytest.param([*park(1), outcome(1, "unchanged", code="KeyActive")], "unchanged", id="unchanged"),
        pytest.param([*park(1, "failed"), outcome(1, "deactivated")], "deactivated", id="refused-and-parked"),
        pytest.param([*park(1, "gone"), outcome(1, "deactivated")], "deactivated", id="gone-and-parked"),
        pytest.param(
            [*park(1), outcome(1, "deactivated", code="KeyGone")], "with the code", id="no-such-code"
        ),
        pytest.param([outcome(1, "skipped", 0)], "without a call", id="skipped-without-a-call"),
        pytest.param(of(park(1), AccessKeyId="AKIA2")[:1], "of the key AKIA2", id="of-another-key"),
        pytest.param(of(park(1), Status="Gone")[:1], "no run makes such a call", id="no-such-call"),
        pytest.param(park(1, **{"for": "retirement"}), "does the parking", id="for-something-else"),
        pytest.param([{**park(1)[0], "notes": "parking"}], "is for nothing", id="for-nothing"),
        pytest.param(without_note(park(1), "policy"), "its notes lack policy", id="of-no-policy"),
        pytest.param(without_note(park(1), "used"), "its notes lack used", id="of-no-use"),
        pytest.param(
            [*park(1, "gone"), outcome(1, "skipped", **GONE), *retire(9, 1)],
            "no journal here has",
            id="gone-as-it-was-parked",
        ),
        pytest.param(retire(9, 1, "gone"), "no journal here has", id="never-parked-and-gone"),
        pytest.param(
            [*park(1), *in_the_same_second(retire(1, 1))], "no journal here has", id="deleted-right-before"
        ),
    ],
)
def test_what_no_run_leaves(lines: list[Line], told: str) -> None:
    (fault,) = faults(lines)
    assert told in fault


@pytest.mark.parametrize(
    ("since", "told"),
    [
        pytest.param("2026-11-09T10:00:00+00:00", "", id="in-the-same-second"),
        pytest.param("2026-11-09T10:00:01+00:00", "which is no time before it", id="later"),
        pytest.param("lately", "which is no time before it", id="no-time"),
    ],
)
def test_a_key_was_parked_before_it_is_deleted(since: str, told: str) -> None:
    fault = Lines().fault(call(9, "retirement", since=since, used=USED)[0])
    assert told in fault
    assert bool(fault) is bool(told)


def test_an_answer_without_its_call_and_a_line_of_no_time_are_no_calls() -> None:
    assert levels(park(5)[1:], [], output()) == []
    assert levels([{**park(5)[0], "time": "lately"}], [], output()) == []


def test_another_accounts_journal_proves_nothing_on_a_key() -> None:
    of_another = [{**each, "arn": ARN.replace(ACCOUNT, "444455556666")} for each in park(1)]
    (fault,) = faults([*of_another, *retire(9, 1)])
    assert "no journal here has" in fault


def test_purposes_are_those_that_runs_write() -> None:
    assert (PARKING, GIVING_BACK, RETIREMENT) == ("parking", "giving-back", "retirement")
    plans = (
        key_history.park(JANE, KeyUse(KEY, None), "p", "r"),
        key_history.give_back(JANE, KEY),
        key_history.retire(
            JANE, KEY, key_history.Parking(datetime.fromisoformat(at(1)), "p", "r", None, True)
        ),
    )
    assert [plan.calls[0].notes["for"] for plan in plans] == [PARKING, GIVING_BACK, RETIREMENT]


def test_a_user_has_no_status_of_keys() -> None:
    user = {"unique_id": "AIDA1", "rests_on": at(1)}
    (fault,) = faults([outcome(2, "retired", 0, **user)])
    assert "no run writes the status retired" in fault


JANE = Subject("jane", ARN, KEY)


def notice(sent: int, day: int, stop: int | None = None, **more: Any) -> Notice:
    """Sent on a day of October, for days of November."""
    time = datetime(2026, 10, sent, tzinfo=timezone.utc)
    stops = date(2026, 11, stop) if stop else None
    users = more.pop("users", (JANE,))
    return Notice(
        ACCOUNT, ANNOUNCED, time, date(2026, 11, day), ("o@x",), "m", "a", users, stop=stops, **more
    )


def output(
    noticed: bool = True, parked_for: float | None = None, day: int = 1, place: str = "p"
) -> PolicyOutput:
    """A run on this day of November, or before its calls."""
    time = datetime(2026, 11, day, tzinfo=timezone.utc)
    given = ("", "keys", ACCOUNT, "", "", time, RAN, "", False, None, (), (), "", False, None)
    mails = (Mail("notices", rests=True),) if noticed else ()
    return PolicyOutput(place, *given, mails=mails, on_keys=True, parked_for=parked_for)


def levels(
    lines: list[Line], notices: list[Notice] | None, *outputs: PolicyOutput, exempted: Any = ()
) -> list[tuple[str, str]]:
    records = KeyRecords()
    for each in lines:
        records.read("p/journal.jsonl", "p", each)
    its = {} if notices is None else {ACCOUNT: Notices(notices, "notices", exempted)}
    return [(level, why) for _, level, why in key_notice_faults(records, outputs, its)]


LATER = 20
#: Lines, notices, outputs -> the level and words of what is found, or nothing.
CASES: dict[str, tuple[list[Line], list[Notice] | None, list[PolicyOutput], str, str]] = {
    "as announced": ([*park(5), *retire(19, 5)], [notice(1, 19, 5)], [output(parked_for=14)], "", ""),
    "announced without a stop": ([*park(5), *retire(19, 5)], [notice(1, 19)], [output()], "", ""),
    "parked before its day": (park(4), [notice(1, 19, 5)], [output()], BLOCKING, "before the day"),
    "deleted before its day": (
        [*park(5), *retire(18, 5)],
        [notice(1, 19)],
        [output()],
        BLOCKING,
        "before the day that was announced for it: 2026-11-19",
    ),
    "not announced": (park(5), [], [output()], BLOCKING, "its policy asks for one"),
    "another key was": (
        park(5),
        [notice(1, 19, users=(JANE.key("AKIA2"),))],
        [output()],
        BLOCKING,
        "its policy asks for one",
    ),
    "its user was": (
        park(5),
        [notice(1, 19, users=(replace(JANE, unique_id="AIDA1"),))],
        [output()],
        BLOCKING,
        "its policy asks for one",
    ),
    "told later": (
        park(1),
        [replace(notice(1, 19), time=datetime(2026, 11, 2, tzinfo=timezone.utc))],
        [output()],
        BLOCKING,
        "its policy asks for one",
    ),
    "held and never sent": (park(5), [notice(1, 19, held="x")], [output()], BLOCKING, "asks for one"),
    "not announced, and nobody asks": (park(5), [], [output(noticed=False)], "", ""),
    "not announced, and a later run asks": (park(5), [], [output(day=LATER)], ATTENTION, "asks for one"),
    "not announced, and no output": (park(5), [], [], ATTENTION, "what its policy asks is not known"),
    "announced, and no output": (park(5), [notice(1, 19, 5)], [], "", ""),
    "notices are not read": (park(5), None, [output()], ATTENTION, "give --notices"),
    "nobody asks for notices": (park(5), None, [output(noticed=False)], "", ""),
    "too short by both": (
        [*park(8), *retire(19, 8)],
        [notice(1, 19, 5)],
        [output(parked_for=14)],
        BLOCKING,
        "11 days after it was made inactive, and 14 days are announced and 14 days are asked for",
    ),
    "too short by the policy": (
        [*park(8), *retire(19, 8)],
        [notice(1, 19)],
        [output(parked_for=14)],
        BLOCKING,
        "11 days after",
    ),
    "too short by a later run": (
        [*park(8), *retire(19, 8)],
        [notice(1, 19)],
        [output(parked_for=14, day=LATER)],
        ATTENTION,
        "11 days after",
    ),
    "too short by the announcement": (
        [*park(8), *retire(19, 8)],
        [notice(1, 19, 5)],
        [output(parked_for=7)],
        ATTENTION,
        "14 days are announced and 7 days are asked for",
    ),
    "too short, and no output": ([*park(8), *retire(19, 8)], [notice(1, 19, 5)], [], BLOCKING, "11 days"),
    "too short, and nobody asks": (
        [*park(8), *retire(19, 8)],
        [],
        [output(noticed=False, parked_for=14)],
        BLOCKING,
        "11 days after",
    ),
    "parked again unannounced": (
        [*park(1), *give_back(2), *park(3)],
        [notice(1, 19)],
        [output()],
        BLOCKING,
        "no announcement on record since a run changed the key",
    ),
    "parked again, and nobody asks": (
        [*park(1), *give_back(2), *park(3)],
        [],
        [output(noticed=False)],
        BLOCKING,
        "no announcement on record since",
    ),
    "refused calls need none": ([*park(5, "failed")], [], [output()], "", ""),
    "in a bucket": (park(5), [], [output(place="p/2026/11/01/00")], BLOCKING, "asks for one"),
    "of a run that began with it": (
        park(5),
        [],
        [output(noticed=False), replace(output(), time=datetime.fromisoformat(at(5)))],
        BLOCKING,
        "asks for one",
    ),
    "only outcomes are left": (park(5), [], [replace(output(), state="")], ATTENTION, "is not known"),
    "of another policy": (park(5), [], [output(place="p2")], ATTENTION, "is not known"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_announced(case: str) -> None:
    lines, notices, outputs, level, told = CASES[case]
    found = levels(lines, notices, *outputs)
    assert [each for each, _ in found] == ([level] if level else [])
    assert all(told in why for _, why in found), found


def test_a_key_that_was_announced_anew_is_parked_again() -> None:
    anew = replace(notice(1, 29), time=datetime(2026, 11, 2, 12, tzinfo=timezone.utc))
    assert levels([*park(1), *give_back(2), *park(3)], [notice(1, 19), anew], output()) == []


def test_an_exemption_ends_an_announcement() -> None:
    (rule,) = parse_rules([{"user": "jane", "reason": "x", "expires": "2099-01-01"}], "here")
    lost = Exempted.by(rule, JANE, datetime(2026, 11, 3, tzinfo=timezone.utc))
    found = levels(park(5), [notice(1, 19)], output(), exempted=[lost])
    assert [level for level, _ in found] == [BLOCKING]
    assert levels(park(2), [notice(1, 19)], output(), exempted=[lost]) == []


@pytest.mark.parametrize(("later", "counts"), [(0, False), (1, True)])
def test_an_announcement_counts_if_it_is_later_than_the_exemption(later: int, counts: bool) -> None:
    """As the gate has it, see ``Notices.announcement``."""
    (rule,) = parse_rules([{"user": "jane", "reason": "x", "expires": "2099-01-01"}], "here")
    told = notice(3, 19)
    lost = Exempted.by(rule, JANE, told.time - timedelta(seconds=later))
    its, now = Notices([told], "notices", [lost]), datetime(2026, 11, 1, tzinfo=timezone.utc)
    assert (announcement_of(its, KEY, now) is told) is counts
    assert (its.announcement(KEY, now) is told) is counts


def test_an_announcement_lapses() -> None:
    its = Notices([notice(1, 19)], "notices")
    in_time, late = (datetime(*each, tzinfo=timezone.utc) for each in ((2027, 2, 17), (2027, 2, 18)))
    assert announcement_of(its, KEY, in_time) is not None
    assert announcement_of(its, KEY, late) is None
