# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers import reasons
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.notices.exempted import Exempted
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards.reasons_to_spare import (
    NONE_SEEN,
    PROVEN,
    Before,
    Guards,
    quarantine_status,
    refusal,
    seen_active,
    unquiet,
)
from tests.records import ACCOUNT, groups, text_of, user

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
TODAY = NOW.date()
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/session"
ALICE, STRIPPED = user(group=groups("Developers")), user()
AWS_DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
LEAKED = ({"PolicyName": "AWSCompromisedKeyQuarantineV3", "PolicyArn": "arn:aws:iam::aws:policy/x"},)


def rule(expires: date) -> ExemptionRule:
    return ExemptionRule("group", "Dev*", "still migrating", expires)


def ago(**by: float) -> datetime:
    return NOW - timedelta(**by)


def password_used(at: datetime) -> IamUser:
    return replace(ALICE, detail={**ALICE.detail, "PasswordLastUsed": at})


def quarantine(since: datetime, deny: str = "inline") -> QuarantineRecord:
    return QuarantineRecord(since, "", "", ("AKIA1",), deny)


def quarantined(since: datetime, **attachments: Any) -> IamUser:
    sid = quarantine(since).sids[0]
    held = {"PolicyName": DENY_ALL_NAME, "PolicyDocument": deny_all_document(sid)}
    return user(inline_policy=(held,), **attachments)


def bounded() -> IamUser:
    return user(permissions_boundary=({"PermissionsBoundaryArn": AWS_DENY_ALL},))


def attached() -> IamUser:
    return user(attached_policy=({"PolicyName": "AWSDenyAll", "PolicyArn": AWS_DENY_ALL},))


OF_PAYMENTS = ExemptionRule("user", "alice", "needed", date(2027, 1, 1), account="payments")
EXEMPT_BY_ACCOUNT = Notices(
    [Notice(ACCOUNT, ANNOUNCED, ago(days=30), TODAY, ("o@example.com",), "m", "announce", (ALICE.subject,))],
    "notices",
    [Exempted.by(OF_PAYMENTS, ALICE.subject, ago(days=20))],
)
KEY_USED = KeyUse("AKIA1", ago(days=3), "s3", "eu-west-1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({}, None, id="nothing-against-it"),
        pytest.param(
            {"callers": (ROLE.replace(ACCOUNT, "444455556666"),)}, "acts in 444455556666", id="other-account"
        ),
        pytest.param(
            {"evidence": replace(ALICE.subject, unique_id="AIDAOLD")},
            "another user .*AIDAOLD was flagged",
            id="name-of-another-user",
        ),
        pytest.param({"callers": (ALICE.arn,)}, "the run itself acts as this user", id="caller"),
        pytest.param(
            {"callers": (ROLE, ALICE.arn)}, "the run itself acts as this user", id="who-assumed-the-role"
        ),
        pytest.param(
            {"user": user(attached_policy=LEAKED)}, "AWSCompromisedKeyQuarantineV3", id="leaked-key"
        ),
        pytest.param(
            {"user": user(attached_policy=LEAKED), "include_compromised": True},
            None,
            id="leaked-key-included",
        ),
        pytest.param(
            {"rules": [rule(TODAY)]},
            "exempt by group 'Dev.' until 2026-11-24: still migrating",
            id="exempt-now",
        ),
        pytest.param({"rules": [rule(date(2026, 11, 23))]}, None, id="exemption-expired"),
        pytest.param({"user": STRIPPED, "rules": [rule(TODAY)]}, None, id="no-longer-in-the-group"),
        pytest.param(
            {"user": STRIPPED, "whole": ALICE, "rules": [rule(TODAY)]},
            "exempt by group",
            id="its-deletion-took-it-out-of-the-group",
        ),
        pytest.param(
            {"user": password_used(ago(days=1)), "active_within": 7},
            "active within 7 days: its password was used on 2026-11-23 12:00 UTC",
            id="password-used",
        ),
        pytest.param(
            {"user": password_used(ago(days=8)), "active_within": 7}, None, id="password-long-unused"
        ),
        pytest.param({"user": password_used(ago(days=1))}, None, id="activity-not-asked-for"),
        pytest.param(
            {"keys": [KEY_USED], "active_within": 7},
            "active within 7 days: its access key AKIA1 was used for s3 in eu-west-1 on 2026-11-21",
            id="key-used",
        ),
        pytest.param({"keys": [KeyUse("AKIA1", None)], "active_within": 7}, None, id="key-never-used"),
        pytest.param({"quarantined_for": 5}, "not in quarantine.*record-from", id="not-quarantined"),
        pytest.param({"quarantined_for": 5, "emptied": True}, None, id="emptied-by-an-earlier-run"),
        pytest.param(
            {"quarantined_for": 5, "emptied": True, "rules": [rule(TODAY)]},
            "exempt by group",
            id="emptied-and-exempt",
        ),
        pytest.param(
            {"quarantined_for": 5, "emptied": True, "evidence": replace(ALICE.subject, unique_id="AIDAOLD")},
            "another user",
            id="emptied-and-another-user",
        ),
        pytest.param({"user": quarantined(ago(days=9))}, None, id="quarantine-not-asked-for"),
        pytest.param(
            {"user": quarantined(ago(days=9)), "quarantined_for": 5},
            "not in quarantine",
            id="a-deny-alone-is-none",
        ),
        pytest.param(
            {"user": quarantined(ago(days=5)), "quarantine": quarantine(ago(days=5)), "quarantined_for": 5},
            None,
            id="quarantined-long-enough",
        ),
        pytest.param(
            {
                "user": quarantined(ago(days=5)),
                "quarantine": quarantine(ago(days=5) + timedelta(seconds=1)),
                "quarantined_for": 5,
            },
            "in quarantine for less than 5 days: since 2026-11-19 12:00 UTC",
            id="quarantined-a-second-too-shortly",
        ),
        pytest.param(
            {"user": quarantined(ago(days=4)), "quarantine": quarantine(ago(days=4)), "quarantined_for": 5},
            "in quarantine for less than 5 days: since 2026-11-20 12:00 UTC",
            id="quarantined-too-shortly",
        ),
        pytest.param(
            {
                "user": quarantined(ago(days=9), access_key=({"AccessKeyId": "AKIA1", "Status": "Active"},)),
                "quarantine": quarantine(ago(days=9)),
                "quarantined_for": 5,
            },
            "no longer holds .access key AKIA1 is active.",
            id="quarantine-undone",
        ),
        pytest.param(
            {
                "user": quarantined(ago(days=9), access_key=({"AccessKeyId": "AKIA1", "Status": "Active"},)),
                "quarantine": replace(quarantine(ago(days=9)), kept=True),
                "quarantined_for": 5,
            },
            None,
            id="credentials-kept-active",
        ),
        pytest.param(
            {"user": ALICE, "broken": quarantine(ago(days=9)), "quarantined_for": 5, "active_within": 30},
            "^its quarantine of 2026-11-15 12:00 UTC no longer holds .its Deny-all is gone.",
            id="deny-removed-by-somebody",
        ),
        pytest.param(
            {"user": ALICE, "quarantine": quarantine(ago(days=9)), "quarantined_for": 5},
            "no longer holds .its Deny-all is gone.",
            id="deny-removed",
        ),
        pytest.param(
            {"user": bounded(), "quarantine": quarantine(ago(days=9), "boundary"), "quarantined_for": 5},
            None,
            id="quarantined-by-boundary",
        ),
        pytest.param(
            {"user": attached(), "quarantine": quarantine(ago(days=9), "boundary"), "quarantined_for": 5},
            "no longer holds .its Deny-all is gone.",
            id="its-boundary-removed",
        ),
        pytest.param(
            {"user": attached(), "quarantine": quarantine(ago(days=9), "attached"), "quarantined_for": 5},
            None,
            id="quarantined-by-attachment",
        ),
        pytest.param(
            {"user": attached(), "quarantine": quarantine(ago(days=9)), "quarantined_for": 5},
            "no longer holds .its Deny-all is gone.",
            id="its-inline-deny-removed",
        ),
        pytest.param(
            {
                "user": quarantined(ago(days=9)),
                "quarantine": quarantine(ago(days=9)),
                "keys": [KEY_USED],
                "quarantined_for": 5,
            },
            "still in use in its quarantine .*AKIA1",
            id="used-in-quarantine",
        ),
        pytest.param(
            {
                "user": quarantined(ago(days=2.5)),
                "quarantine": quarantine(ago(days=2.5)),
                "keys": [KEY_USED],
                "quarantined_for": 2,
            },
            None,
            id="used-before-quarantine",
        ),
        pytest.param(
            {"noticed": 0, "notices": EXEMPT_BY_ACCOUNT},
            "exempt on 2026-11-04 by user 'alice', and was not announced since: to keep it, restore its name or",
            id="exempt-since-its-announcement",
        ),
        pytest.param({"broken": quarantine(ago(days=9))}, None, id="broken-and-none-asked-for"),
        pytest.param(
            {
                "user": quarantined(ago(days=9)),
                "quarantine": quarantine(ago(days=9)),
                "keys": [KeyUse("AKIA1", ago(days=9))],
                "quarantined_for": 5,
            },
            None,
            id="used-when-its-quarantine-began",
        ),
        pytest.param({"missing": {ALICE.arn: None}}, None, id="access"),
        pytest.param(
            {"missing": {ALICE.arn: reasons.NO_ACCESS(state="pending", why="x")}},
            "is pending",
            id="no-access",
        ),
        pytest.param({"missing": {}}, "was not read", id="access-unread"),
        *(
            pytest.param(
                {
                    "user": quarantined(ago(days=9)),
                    "quarantine": quarantine(ago(days=9)),
                    "quarantined_for": 5,
                    "listened": listened,
                    **more,
                },
                reason,
                id=name,
            )
            for name, listened, reason, more in (
                ("listened-since-the-quarantine", {ALICE.unique_id: ago(days=9)}, None, {}),
                ("listened-for-longer", {ALICE.unique_id: ago(days=30)}, None, {}),
                (
                    "listened-later",
                    {ALICE.unique_id: ago(days=1)},
                    "covers calls since 2026-11-23 .* began on 2026-11-15 12:00 UTC: run again",
                    {},
                ),
                ("listened-since-unknown", {ALICE.unique_id: None}, "since an unknown time", {}),
                ("not-listened", {}, "since an unknown time", {}),
                ("emptied-and-not-listened", {}, None, {"emptied": True}),
            )
        ),
    ],
)
def test_refusal(change: dict[str, Any], reason: str | None) -> None:
    given: dict[str, Any] = {"evidence": ALICE.subject, "user": ALICE, "keys": [], **change}
    state = {key: given.pop(key) for key in ("quarantine", "broken", "emptied", "whole") if key in given}
    settings = {key: given.pop(key) for key in list(given) if key not in ("evidence", "user", "keys")}
    guards = Guards(**{"callers": (ROLE,), **settings})
    found = refusal(given["evidence"], given["user"], guards, NOW, given["keys"], Before(**state))
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(reason, found.text)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        pytest.param(
            refusal(
                ALICE.subject,
                quarantined(ago(days=20)),
                Guards((ROLE,), quarantined_for=14),
                NOW,
                (KEY_USED,),
                Before(quarantine=quarantine(ago(days=20))),
            ),
            "in use",
            id="in-use-at-its-deletion",
        ),
        pytest.param(
            refusal(
                ALICE.subject,
                ALICE,
                Guards((ROLE,), quarantined_for=14),
                NOW,
                before=Before(quarantine=quarantine(ago(days=20))),
            ),
            "broken",
            id="broken",
        ),
        pytest.param(
            quarantine_status(ALICE, ago(days=20), (KEY_USED,)), "in use", id="in-use-at-a-second-quarantine"
        ),
        pytest.param(quarantine_status(ALICE, ago(days=20), ()), "", id="quiet"),
        pytest.param(reasons.NOTHING_TO_RELEASE(), "", id="none"),
        pytest.param(None, "", id="no-reason"),
    ],
)
def test_what_a_reason_says_of_a_quarantine(reason: Reason | None, told: str) -> None:
    assert (reason or reasons.DONE).trouble == told


ATTEMPTED = {
    "state": "attempted",
    "since": "2026-11-01T00:00:00+00:00",
    "attempts": [
        {
            "source": "cloudtrail",
            "time": "2026-11-02T00:00:00+00:00",
            "service": "s3",
            "action": "ListBuckets",
        }
    ],
    "unread": ["CloudTrail was not read in eu-west-1"],
}
UNOBSERVABLE = {
    "state": "unobservable",
    "not_recorded": ["AWS does not report the use of its 1 SSH keys"],
    "unread": [],
}


@pytest.mark.parametrize(
    ("activity", "days", "reason"),
    [
        pytest.param(
            {"time": "2026-11-24T12:01:00+00:00", "by": "access key 1"},
            1,
            "active within 1 days: its access key 1 was used on 2026-11-24 12:01 UTC",
            id="used",
        ),
        pytest.param({"time": "2026-11-24T12:00:00+00:00", "by": "password"}, 1, None, id="before"),
        pytest.param({"time": "2026-11-25T12:00:00+00:00", "by": "password"}, None, None, id="not-asked"),
        pytest.param({"time": None, "by": ""}, 1, None, id="never"),
        pytest.param(None, 1, None, id="unknown"),
    ],
)
def test_a_use_that_the_annotation_has(activity: Any, days: float | None, reason: str | None) -> None:
    found = seen_active(activity, days, datetime(2026, 11, 25, 12, tzinfo=timezone.utc))
    assert text_of(found) == (reason or "")


@pytest.mark.parametrize(
    ("attempts", "accepted", "reason"),
    [
        pytest.param({"state": "quiet", "unread": []}, PROVEN, None, id="quiet"),
        pytest.param(
            ATTEMPTED,
            NONE_SEEN,
            "calls since 2026-11-01.*: s3 ListBuckets on .* release it; once",
            id="attempted",
        ),
        pytest.param(
            UNOBSERVABLE,
            PROVEN,
            "nothing proves that it is unused: .*SSH keys; quiet: none-seen",
            id="unobservable",
        ),
        pytest.param(UNOBSERVABLE, NONE_SEEN, None, id="unobservable-accepted"),
        pytest.param(
            {**UNOBSERVABLE, "unread": ["x"]}, NONE_SEEN, "unknown whether it is still in use: x", id="unread"
        ),
        pytest.param(
            {**UNOBSERVABLE, "unread": ["x"], "codes": ["NotInQuarantine"]},
            NONE_SEEN,
            "^not in quarantine: ",
            id="not-quarantined",
        ),
        pytest.param(None, NONE_SEEN, "did not say", id="not-asked"),
        pytest.param({}, PROVEN, "did not say", id="empty"),
        pytest.param({}, NONE_SEEN, "did not say", id="empty-none-seen"),
        pytest.param({"state": "silent", "unread": []}, NONE_SEEN, "did not say", id="unknown-state"),
    ],
)
def test_who_counts_as_quiet(attempts: Any, accepted: str, reason: str | None) -> None:
    found = unquiet(attempts, accepted)
    assert found is None if reason is None else re.search(reason, text_of(found))
    assert (found or reasons.DONE).trouble == ("in use" if attempts is ATTEMPTED else "")


@pytest.mark.parametrize(
    ("guards", "asked"),
    [
        pytest.param(Guards(()), False, id="neither"),
        pytest.param(Guards((), active_within=0), True, id="active-within"),
        pytest.param(Guards((), quarantined_for=0), True, id="quarantined-for"),
        pytest.param(Guards((), noticed=14), False, id="noticed"),
    ],
)
def test_key_use_is_read_for_the_guards_that_need_it(guards: Guards, asked: bool) -> None:
    assert guards.ask_key_use is asked
