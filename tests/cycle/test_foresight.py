# SPDX-License-Identifier: Apache-2.0
"""Whom a step would take, by what a dry run of its policies selected."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.cycle.foresight import (
    ANNOUNCED,
    BROWNED_OUT,
    DEACTIVATED,
    DELETED,
    DENIED,
    STAYS,
    foresee,
)
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.notices.notices import Notice, Notices

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
ACCOUNT = "111122223333"
ARN = f"arn:aws:iam::{ACCOUNT}:user/jane"


def resource(used: float | None = None, **known: Any) -> dict[str, Any]:
    """A user as a dry run leaves it. ``used``: days since its password was."""
    last = (NOW - timedelta(days=used)).isoformat() if used is not None else None
    return {
        "UserName": "jane",
        "UserId": "AIDA1",
        "Arn": ARN,
        "Path": "/",
        "PasswordLastUsed": last,
        "GroupList": [],
        "AttachedManagedPolicies": [],
        "UserPolicyList": [],
        "Tags": [],
        "c7n:IamUser": {"kind": "machine", "credentials": [], **known},
    }


def announced(days: float | None) -> Notices:
    if days is None:
        return Notices((), "notices")
    time = NOW - timedelta(days=days)
    user = Subject("jane", ARN, "AIDA1")
    day = time.date() + timedelta(days=30)
    return Notices(
        [Notice(ACCOUNT, "announced", time, day, ("o@example.com",), "p", "-", (user,))], "notices"
    )


def denied(kept: bool) -> dict[str, Any]:
    """A user that is in quarantine for a week, with its credentials kept or not."""
    sid = QuarantineRecord(NOW - timedelta(days=7), "", "", kept=kept).sids[0]
    return {
        **resource(),
        "UserPolicyList": [{"PolicyName": DENY_ALL_NAME, "PolicyDocument": deny_all_document(sid)}],
    }


ANNOUNCE = {"type": "notify-owners", "step": "announce"}
LISTEN = {"type": "quarantine", "credentials": "keep", "noticed": "16"}
QUARANTINE = {"type": "quarantine", "noticed": 23, "active-within": "30"}
BROWNOUT = {"type": "quarantine", "brownout": 15, "noticed": 9}
DELETE = {"type": "composite-delete", "noticed": 30, "quiet": "none-seen"}


@pytest.mark.parametrize(
    ("action", "user", "days", "outcome", "why"),
    [
        (ANNOUNCE, resource(), None, ANNOUNCED, ""),
        (ANNOUNCE, resource(), 3, STAYS, "it is announced for 2026-12-27"),
        ({**ANNOUNCE, "step": "remind"}, resource(), 3, STAYS, "announces nobody"),
        (LISTEN, resource(), 16, DENIED, ""),
        (LISTEN, resource(), 15.9, STAYS, "16"),
        (LISTEN, resource(), None, STAYS, "notices"),
        (LISTEN, resource(used=40), 16, DENIED, ""),
        (LISTEN, resource(used=10), 16, STAYS, "active within 30"),
        ({**LISTEN, "active-within": "none"}, resource(used=10), 16, DENIED, ""),
        (QUARANTINE, resource(), 23, DEACTIVATED, ""),
        (QUARANTINE, resource(used=29), 23, STAYS, "active within 30"),
        (BROWNOUT, resource(), 10, STAYS, "brownout"),
        (LISTEN, denied(kept=True), 30, STAYS, "it is in quarantine since 2026-11-23"),
        (LISTEN, denied(kept=False), 30, STAYS, "it is in quarantine since 2026-11-23"),
        (QUARANTINE, denied(kept=False), 30, STAYS, "it is in quarantine since 2026-11-23"),
        (QUARANTINE, denied(kept=True), 30, DEACTIVATED, ""),
        (DELETE, resource(attempts={"state": "quiet"}), 30, DELETED, ""),
        (DELETE, resource(attempts={"state": "attempted"}), 30, STAYS, "since"),
        (DELETE, resource(), 30, STAYS, "attempts"),
        (DELETE, resource(attempts={"state": "quiet"}), 29, STAYS, "30"),
        (
            {**DELETE, "quarantined-for": 14},
            resource(attempts={"state": "quiet"}),
            31,
            STAYS,
            "not in quarantine",
        ),
    ],
)
def test_what_becomes_of_a_user(
    action: dict[str, Any], user: dict[str, Any], days: float | None, outcome: str, why: str
) -> None:
    policy = {"name": "p", "actions": [action]}
    (found,) = foresee(policy, [user], announced(days), NOW)
    assert (found.outcome, found.account_id, found.user) == (outcome, ACCOUNT, "jane"), found
    assert why in found.why


def test_a_policy_that_takes_nobody_names_nobody() -> None:
    assert BROWNED_OUT
    policy = {"name": "p", "actions": ["tag", {"type": "notify"}]}
    assert not list(foresee(policy, [resource()], announced(1), NOW))
    assert not list(foresee(policy, [key(None)], announced(1), NOW))
    assert not list(foresee({"name": "p"}, [resource()], announced(1), NOW))


KEY = "AKIAIOSFODNN7EXAMPLE"
PARK = {"type": "deactivate", "noticed": 16, "active-within": "30"}


def key(used: float | None) -> dict[str, Any]:
    """The resource of a key that was last used so many days ago; None for never."""
    at = (NOW - timedelta(days=used)).isoformat() if used is not None else False
    user = {"UserName": "jane", "UserId": "AIDAJANE", "Arn": ARN}
    return {**user, "AccessKeyId": KEY, "Status": "Active", "c7n:IamUser": {"key": {"id": KEY, "used": at}}}


@pytest.mark.parametrize(
    ("action", "used", "days", "outcome", "why"),
    [
        (ANNOUNCE, None, None, ANNOUNCED, ""),
        (ANNOUNCE, None, 3, STAYS, "it is announced for"),
        (PARK, None, 16, DEACTIVATED, ""),
        (PARK, 40, 16, DEACTIVATED, ""),
        (PARK, 10, 16, STAYS, "active within 30"),
        (PARK, None, 15, STAYS, "16"),
        (PARK, None, None, STAYS, "notices"),
        ({"type": "retire", "noticed": 30}, None, 30, DELETED, ""),
        ({"type": "retire", "noticed": 30}, None, 29, STAYS, "30"),
        ({"type": "retire", "noticed": 30}, 10, 30, DELETED, ""),
        ({"type": "retire"}, None, None, DELETED, ""),
        (PARK, 10, None, STAYS, "notices"),
    ],
)
def test_what_becomes_of_a_key(
    action: dict[str, Any], used: float | None, days: float | None, outcome: str, why: str
) -> None:
    told = announced(days)
    about = [replace(each, users=(Subject("jane", ARN, KEY),)) for each in told.all]
    policy = {"name": "p", "actions": [action]}
    (found,) = foresee(policy, [key(used)], Notices(about, "the notices"), NOW)
    assert (found.outcome, found.account_id, found.user) == (outcome, ACCOUNT, f"jane {KEY}"), found
    assert why in found.why


@pytest.mark.parametrize("known", [None, {}, {"key": None}])
def test_a_key_of_which_no_use_is_known_is_not_active(known: dict[str, Any] | None) -> None:
    policy = {"name": "p", "actions": [{"type": "deactivate", "active-within": 30}]}
    (found,) = foresee(policy, [{**key(1), "c7n:IamUser": known}], announced(None), NOW)
    assert found.outcome == DEACTIVATED


@pytest.mark.parametrize("quarantined", [True, False])
def test_a_user_is_denied_for_some_minutes_on_its_day(quarantined: bool) -> None:
    (told,) = announced(10).all
    notices = Notices([replace(told, brownout=NOW.date())], "notices")
    user = denied(kept=True) if quarantined else resource()
    (found,) = foresee({"name": "p", "actions": [BROWNOUT]}, [user], notices, NOW)
    assert (found.outcome, found.why) == (BROWNED_OUT, "")
