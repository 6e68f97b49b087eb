# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME
from c7n_iamusers.lockout.journal_lines import history_of
from c7n_iamusers.snapshots.before_deny import OnRecord
from c7n_iamusers.snapshots.removed_by_deletion import (
    before_removals,
    removed_by_us,
    whole_snapshot,
    with_removed,
)
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.records import groups, user

pytestmark = pytest.mark.pure

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def policies(*arns: str) -> tuple[dict[str, str], ...]:
    return tuple({"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns)


def inline(name: str, document: Any) -> dict[str, Any]:
    return {"PolicyName": name, "PolicyDocument": document}


def keys(*ids: str) -> tuple[dict[str, str], ...]:
    return tuple({"AccessKeyId": each} for each in ids)


ALICE: dict[str, Any] = {
    "access_key": keys("AKIA1"),
    "group": groups("Developers"),
    "attached_policy": policies(READ_ONLY),
    "inline_policy": (inline("s3", {"Version": "january"}),),
    "mfa_device": ({"SerialNumber": "GAHT1"},),
}
#: The calls by which a run of ours takes each of these away.
KEY = ("DeleteAccessKey", {"AccessKeyId": "AKIA1"})
GROUP = ("RemoveUserFromGroup", {"GroupName": "Developers"})
POLICY = ("DetachUserPolicy", {"PolicyArn": READ_ONLY})
INLINE = ("DeleteUserPolicy", {"PolicyName": "s3"})
OUR_DENY = ("DeleteUserPolicy", {"PolicyName": DENY_ALL_NAME})
Call = tuple[str, dict[str, str]]


def taken(
    month: int, *gone: str, details: tuple[Any, ...] = (), whole: bool = False, **attachments: Any
) -> Snapshot:
    """Of the first of that month at noon: what Alice had, but for the kinds ``gone``; ``attachments`` instead.

    From February on, a deletion of hers had begun, unless the snapshot is ``whole``.
    """
    held = {kind: items for kind, items in ALICE.items() if kind not in gone}
    given, begun = user(**{**held, **attachments}), month > 1 and not whole
    time = f"2026-{month:02}-01T12:00:00+00:00"
    return Snapshot(given, time, "0" * 64, groups=details, deletion_begun=begun)


def done(time: str, *calls: Call, result: str | None = "done", who: str = "") -> list[dict[str, Any]]:
    """Lines of the journal for ``calls`` at ``time``, a month, day and minute; ``result`` None: no answer."""
    found: list[dict[str, Any]] = []
    for operation, given in calls:
        entry = {
            "arn": user().arn,
            "unique_id": who or user().unique_id,
            "time": f"2026-{time}:00+00:00",
            "operation": operation,
            "parameters": {"UserName": "alice", **given},
        }
        found.append({**entry, "phase": "before"})
        if result:
            found.append({**entry, "phase": "after", "result": result})
    return found


def history(*lines: list[dict[str, Any]]) -> CallHistory:
    return history_of(user().subject, [each for part in lines for each in part])


def held(of: IamUser) -> dict[str, tuple[Any, ...]]:
    return {kind.replace("-", "_"): items for kind, items in of.attachments.items() if items}


JANUARY, JUNE = taken(1), taken(6, "access_key", "group", "inline_policy")
AFTER_JANUARY, BEFORE_JUNE, AFTER_JUNE, BEFORE = "01-01T12:30", "06-01T11:59", "06-01T12:30", "01-01T11:00"
LEFT = held(JUNE.user)


def test_a_snapshot_of_a_user_that_was_adopted_does_not_hide_an_earlier_whole_one() -> None:
    adopted = replace(taken(6, "access_key", "group", whole=True), partial=True)
    removed = history(done(AFTER_JANUARY, KEY, GROUP))
    found = whole_snapshot([JANUARY, adopted], removed)
    assert held(found.user) == held(JANUARY.user)
    assert found.partial  # another output may have removed more
    # Where there is no other, the last one of a deletion that had not begun counts.
    assert held(whole_snapshot([replace(JANUARY, partial=True), adopted], removed).user) == held(adopted.user)


@pytest.mark.parametrize(
    ("journal", "more"),
    [
        pytest.param([], (), id="no-journal"),
        pytest.param(done(AFTER_JANUARY, KEY), ("access_key",), id="removed-by-us-between"),
        pytest.param(done(BEFORE_JUNE, KEY), ("access_key",), id="right-before-the-last"),
        pytest.param(
            done(AFTER_JANUARY, KEY, GROUP, INLINE), ("access_key", "group", "inline_policy"), id="all-three"
        ),
        pytest.param(done(AFTER_JANUARY, KEY, result=None), ("access_key",), id="killed-in-the-call"),
        pytest.param(done(AFTER_JANUARY, KEY, result="unknown"), ("access_key",), id="answer-lost"),
        pytest.param(done(AFTER_JANUARY, KEY, result="interrupted"), ("access_key",), id="interrupted"),
        pytest.param(done(AFTER_JANUARY, KEY, result="failed"), (), id="failed-and-removed-by-others"),
        pytest.param(done(AFTER_JANUARY, KEY, result="gone"), ("access_key",), id="gone-when-we-removed-it"),
        pytest.param(done(AFTER_JANUARY, KEY, who="AIDABOB"), (), id="by-us-from-another-user"),
        pytest.param(
            done(AFTER_JANUARY, ("DeleteAccessKey", {"AccessKeyId": "AKIA9"})), (), id="another-key"
        ),
        pytest.param(done(BEFORE, KEY), (), id="before-any-snapshot"),
        pytest.param(done(AFTER_JUNE, KEY), (), id="after-the-last-which-has-it-not"),
        pytest.param(done(AFTER_JANUARY, POLICY), (), id="removed-by-us-and-given-again"),
        pytest.param(done(AFTER_JANUARY, OUR_DENY), (), id="our-deny"),
        pytest.param(
            done(AFTER_JANUARY, ("UpdateAccessKey", {"AccessKeyId": "AKIA1", "Status": "Inactive"})),
            (),
            id="no-removal",
        ),
        pytest.param(
            [*done(AFTER_JANUARY, KEY, result="failed"), *done("01-02T12:30", KEY)],
            ("access_key",),
            id="at-the-second-try",
        ),
        pytest.param(
            [*done(AFTER_JANUARY, KEY), *done(AFTER_JUNE, POLICY)],
            ("access_key",),
            id="and-more-after-the-last",
        ),
    ],
)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in-order", "out-of-order"])
def test_the_last_comes_back_with_what_we_had_removed_before_it(
    journal: list[dict[str, Any]], more: tuple[str, ...], order: tuple[int, int]
) -> None:
    snapshots = [(JANUARY, JUNE)[each] for each in order]
    found = whole_snapshot(snapshots, history(journal))
    assert held(found.user) == {**LEFT, **{kind: ALICE[kind] for kind in more}}
    assert replace(found, user=JUNE.user) == replace(JUNE, deletion_begun=False, partial=found.partial)
    assert found.user.detail == JUNE.user.detail


def test_a_right_that_an_administrator_took_between_two_runs_stays_away() -> None:
    first = taken(1, attached_policy=policies(READ_ONLY, ADMIN))
    last = taken(6, "access_key", attached_policy=policies(READ_ONLY))
    found = whole_snapshot([first, last], history(done(AFTER_JANUARY, KEY)))
    assert held(found.user) == ALICE


def test_a_right_that_was_given_back_after_our_removal_and_taken_by_others_stays_away() -> None:
    first, again = taken(1, attached_policy=policies(ADMIN)), taken(3, attached_policy=policies(ADMIN))
    last = taken(6, "attached_policy")
    journal = history(done(AFTER_JANUARY, ("DetachUserPolicy", {"PolicyArn": ADMIN})))
    found = whole_snapshot([first, again, last], journal)
    assert found.user.attachments["attached-policy"] == ()


def test_what_a_deletion_removed_that_somebody_ended_stays_away() -> None:
    """June shows alice whole, after the deletion of January was undone; whoever did that left the key out."""
    june = taken(6, "access_key", whole=True)
    journal = history(done(AFTER_JANUARY, KEY, GROUP), done(AFTER_JUNE, POLICY))
    assert whole_snapshot([JANUARY, june], journal) == june
    assert held(removed_by_us([JANUARY, june], journal).user) == {"attached_policy": ALICE["attached_policy"]}
    assert before_removals([JANUARY, june], journal) is None
    later = taken(7, "access_key", "attached_policy")
    assert held(whole_snapshot([JANUARY, june, later], journal).user) == held(june.user)


def test_a_user_is_judged_with_all_that_its_deletion_has_removed_so_far() -> None:
    live = user(attached_policy=policies(DENY_ALL))
    journal = history(done(AFTER_JANUARY, KEY, GROUP), done(AFTER_JUNE, POLICY))
    found = with_removed(live, [JANUARY, taken(6, "access_key", "group")], journal)
    assert found.detail == live.detail
    assert held(found) == {
        "access_key": ALICE["access_key"],
        "group": ALICE["group"],
        "attached_policy": policies(DENY_ALL, READ_ONLY),
    }
    assert held(with_removed(live, [JANUARY, taken(6, "access_key", "group", whole=True)], journal)) == {
        "attached_policy": policies(DENY_ALL, READ_ONLY)
    }
    assert with_removed(live, [], journal) == live


def test_a_deny_that_a_stranger_attached_comes_back() -> None:
    last = taken(6, "access_key", attached_policy=policies(READ_ONLY, DENY_ALL))
    journal = history(
        done(AFTER_JANUARY, KEY), done(AFTER_JUNE, ("DetachUserPolicy", {"PolicyArn": DENY_ALL}))
    )
    found = whole_snapshot([JANUARY, last], journal)
    assert found.user.attachments["attached-policy"] == policies(READ_ONLY, DENY_ALL)
    assert found.user.attachments["access-key"] == keys("AKIA1")
    assert removed_by_us([JANUARY, last], journal).user.attachments["attached-policy"] == policies(DENY_ALL)


@pytest.mark.parametrize(
    ("when", "version"),
    [
        # the second shows it again: somebody gave it back, and took it away then
        pytest.param(AFTER_JANUARY, None, id="given-back-by-somebody"),
        pytest.param("03-01T12:30", "march", id="removed-after-the-second"),
    ],
)
def test_a_policy_is_restored_as_in_the_latest_snapshot_before_its_removal(
    when: str, version: str | None
) -> None:
    march = taken(3, inline_policy=(inline("s3", {"Version": "march"}),))
    found = removed_by_us([JANUARY, march, JUNE], history(done(when, INLINE)))
    expected = (inline("s3", {"Version": version}),) if version else ()
    assert found.user.attachments["inline-policy"] == expected


def test_a_policy_that_we_had_removed_comes_back_as_it_was_last() -> None:
    march = taken(3, inline_policy=(inline("s3", {"Version": "march"}),))
    found = whole_snapshot([JUNE, march, JANUARY], history(done("03-01T12:30", INLINE)))
    assert found.user.attachments["inline-policy"] == (inline("s3", {"Version": "march"}),)


def test_what_the_last_holds_itself_is_as_the_last_holds_it() -> None:
    last = taken(6, inline_policy=(inline("s3", {"Version": "june"}),))
    found = whole_snapshot([JANUARY, last], history(done(AFTER_JANUARY, INLINE)))
    assert found == replace(last, deletion_begun=False)


def test_a_group_is_restored_with_its_details() -> None:
    january = {"GroupName": "Developers", "Path": "/january/"}
    other = {"GroupName": "Admins", "Path": "/"}
    first = taken(1, details=(january,), group=groups("Developers"))
    last = taken(6, details=(other,), group=groups("Admins"))
    found = whole_snapshot([first, last], history(done(AFTER_JANUARY, GROUP)))
    assert found.user.groups == ("Admins", "Developers")
    assert found.groups == (other, january)
    assert whole_snapshot([first, last], history()).groups == (other,)
    assert removed_by_us([first, last], history(done(AFTER_JANUARY, GROUP))).groups == (january,)
    assert removed_by_us([first, last], history()).groups == ()


def test_one_snapshot_comes_back_as_it_is() -> None:
    assert whole_snapshot([JANUARY], history()) == JANUARY
    assert whole_snapshot([JANUARY], history(done(AFTER_JANUARY, KEY, GROUP, POLICY, INLINE))) == JANUARY


@pytest.mark.parametrize(
    ("journal", "kinds"),
    [
        pytest.param([], (), id="no-journal"),
        pytest.param(done(AFTER_JANUARY, KEY), ("access_key",), id="before-the-last"),
        pytest.param(done(AFTER_JUNE, POLICY), ("attached_policy",), id="after-the-last"),
        pytest.param(
            [*done(AFTER_JANUARY, KEY, GROUP), *done(AFTER_JUNE, POLICY)],
            ("access_key", "group", "attached_policy"),
            id="both",
        ),
        pytest.param(done(AFTER_JUNE, POLICY, result=None), ("attached_policy",), id="killed-in-the-call"),
        pytest.param(done(AFTER_JUNE, POLICY, result="unknown"), ("attached_policy",), id="answer-lost"),
        pytest.param(
            done(AFTER_JUNE, POLICY, result="gone"), ("attached_policy",), id="gone-when-we-removed-it"
        ),
        pytest.param(done(AFTER_JUNE, POLICY, result="failed"), (), id="failed"),
        pytest.param(done(AFTER_JUNE, POLICY, who="AIDABOB"), (), id="from-another-user"),
        pytest.param(done(BEFORE, POLICY), (), id="before-any-snapshot"),
        pytest.param(done(AFTER_JUNE, OUR_DENY), (), id="our-deny"),
        pytest.param(
            done(AFTER_JUNE, ("DeactivateMFADevice", {"SerialNumber": "GAHT1"})), ("mfa_device",), id="mfa"
        ),
    ],
)
def test_a_living_user_is_given_only_what_we_removed(
    journal: list[dict[str, Any]], kinds: tuple[str, ...]
) -> None:
    found = removed_by_us([JUNE, JANUARY], history(journal))
    assert held(found.user) == {kind: ALICE[kind] for kind in kinds}
    assert replace(found, user=JUNE.user) == replace(JUNE, deletion_begun=False)
    assert found.user.detail == JUNE.user.detail


#: A deletion that began in February, and put its Deny-all on.
PUT_ON = [
    {**line, "notes": {"for": "deletion"}}
    for line in done("02-10T09:00", ("AttachUserPolicy", {"PolicyArn": DENY_ALL}))
]


@pytest.mark.parametrize(
    ("lines", "month"),
    [
        pytest.param(PUT_ON, None, id="nothing-removed"),
        pytest.param(done("02-10T10:00", KEY), 2, id="removed-before-the-last"),
        pytest.param([*PUT_ON, *done("03-10T10:00", KEY)], None, id="removed-after-the-last"),
        pytest.param([*PUT_ON, *done("01-10T10:00", KEY)], None, id="by-a-deletion-that-ended-since"),
        pytest.param([*PUT_ON, *done("02-10T10:00", KEY, result="failed")], None, id="refused"),
        pytest.param(done("02-10T10:00", KEY, result="unknown"), 2, id="perhaps-removed"),
        pytest.param([], 2, id="no-journal"),
        pytest.param(done("03-10T10:00", KEY), 2, id="no-journal-of-the-time-before"),
    ],
)
def test_the_last_snapshot_before_the_first_removal(lines: list[dict[str, Any]], month: int | None) -> None:
    snapshots = [taken(1), taken(2, whole=True), taken(3)]
    assert before_removals(snapshots, history(lines)) == (snapshots[month - 1] if month else None)


@pytest.mark.parametrize(
    ("snapshots", "lines", "partial"),
    [
        pytest.param([JANUARY], [], False, id="whole"),
        pytest.param([JUNE], [], True, id="only-the-later-one"),
        pytest.param([JUNE], done(AFTER_JANUARY, KEY), True, id="no-snapshot-has-what-was-removed"),
        pytest.param([JANUARY, JUNE], [], True, id="both-without-a-journal"),
        pytest.param([JANUARY, JUNE], done(AFTER_JUNE, POLICY), True, id="journal-of-the-later-run"),
        pytest.param([JANUARY, JUNE], done(AFTER_JANUARY, KEY), False, id="both-with-the-journal"),
        pytest.param([JANUARY, taken(6, whole=True)], [], False, id="ended-in-between"),
    ],
)
def test_what_was_taken_in_a_deletion_is_partial_unless_the_journal_says_what_that_removed(
    snapshots: list[Snapshot], lines: list[dict[str, Any]], partial: bool
) -> None:
    assert whole_snapshot(snapshots, history(lines)).partial == partial


@pytest.mark.parametrize(
    ("proven", "unproven", "deciding"),
    [
        pytest.param((1, 3), (2, 4, 5), [3, 4, 5], id="later-unproven-ones-count"),
        pytest.param((1, 3), (2,), [3], id="an-earlier-unproven-one-does-not"),
        pytest.param((3,), (3,), [3], id="nor-one-of-the-same-moment"),
        pytest.param((1, 6), (4, 7), [1, 4], id="those-that-do-not-count"),
        pytest.param((), (2,), [], id="none-is-proven"),
    ],
)
def test_which_snapshots_decide(
    proven: tuple[int, ...], unproven: tuple[int, ...], deciding: list[int]
) -> None:
    on_record = OnRecord(tuple(map(taken, proven)), tuple(map(taken, unproven)))
    found = on_record.deciding(lambda each: str(each.taken) < "2026-06")
    assert found == [taken(month) for month in deciding]
