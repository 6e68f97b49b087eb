# SPDX-License-Identifier: Apache-2.0
"""What an announcement says of its users is what the shipped steps decide on their days."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers import reasons
from c7n_iamusers.evidence.model import BEDROCK_API_KEY, KINDS, UNKNOWN
from c7n_iamusers.iam.attachments import ACCESS_KEY
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.lockout_state import quarantine_of
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from c7n_iamusers.plugins import composite_delete, quarantine
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards.forecast import (
    GOES,
    IN_USE,
    PEOPLE,
    REPLACE_FIRST,
    STAYS,
    Flagged,
    Forecast,
    Later,
    announced_now,
    forecast,
)
from c7n_iamusers.safeguards.reasons_to_spare import Before, Guards, refusal
from tests.records import ACCOUNT, user
from tests.test_policies import DATA, part

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/session"
FLAG = part(DATA["flag-and-notify"][0], "actions", "notify-owners")
LEAKED = ({"PolicyName": "AWSCompromisedKeyQuarantineV3", "PolicyArn": "arn:aws:iam::aws:policy/x"},)
#: Of the gates' reasons, those that an owner reads as one.
GROUPS = {
    reasons.ACTIVE.code: IN_USE,
    reasons.USED_IN_QUARANTINE.code: IN_USE,
    reasons.NO_ACCESS.code: REPLACE_FIRST,
    reasons.ACCESS_NOT_READ.code: REPLACE_FIRST,
    reasons.TRUSTED.code: REPLACE_FIRST,
    reasons.COMPROMISED.code: STAYS,
}


def trusting(arn: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    return {
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/r",
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }


def denied_since(found: IamUser, since: datetime) -> IamUser:
    """The user once listen.yml has put its Deny on."""
    sid = QuarantineRecord(since, "", "", kept=True).sids[0]
    deny = {"PolicyName": DENY_ALL_NAME, "PolicyDocument": deny_all_document(sid)}
    inline = (*found.attachments["inline-policy"], deny)
    return replace(
        found,
        detail={**found.detail, "UserPolicyList": list(inline)},
        attachments={**found.attachments, "inline-policy": inline},
    )


def random_user(number: int, chance: random.Random) -> Flagged:
    def used() -> datetime | None:
        return chance.choice([None, NOW - timedelta(days=chance.uniform(0, 60))])

    kind = chance.choice(KINDS)
    found = user(
        f"user-{number}",
        unique_id=f"AIDA{number:017}",
        tags={"Email": "a@example.com"} if kind in PEOPLE and chance.random() < 0.5 else {},
        attached_policy=LEAKED if chance.random() < 0.1 else (),
    )
    found = replace(found, detail={**found.detail, "PasswordLastUsed": used()})
    keys = tuple(KeyUse(str(each), used(), "s3", "us-east-1") for each in range(1, chance.randint(1, 3)))
    return Flagged(found, kind, keys)


def steps(kind: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The shipped actions listen and delete of the policies that select users of the kind."""
    for at in (0, 1):
        (listen, delete) = (DATA[name][at] for name in ("listen", "delete"))
        if kind in part(listen, "filters", "unnecessary")["kinds"]:
            yield part(listen, "actions", "quarantine"), part(delete, "actions", "composite-delete")


def decided(
    flagged: Flagged, announced: Notice, gates: dict[str, Any], now: datetime
) -> tuple[str, Any, Any]:
    """The group, the day of the Deny and that of the deletion, by the guards of the shipped actions at their times."""
    run: Any = SimpleNamespace(callers=(ROLE,))
    for listen, delete in steps(flagged.kind):

        def asked(guards: Guards, data: dict[str, Any]) -> Guards:
            missing = gates["missing"] if data.get("require") == "provisioned" else None
            notices = Notices([announced], "notices", readings=None)
            return replace(guards, trust=gates["trust"], missing=missing, notices=notices)

        quiet = timedelta(days=delete["quarantined-for"])
        due = datetime.combine(announced.day, now.timetz())
        found, stop, reason = flagged.user, max(now, due - quiet), None
        held = quarantine_of(found)
        if held is None:
            guards = asked(quarantine.Quarantine(listen)._guards(run), listen)
            reason = refusal(found.subject, found, guards, stop, flagged.keys)
            found = denied_since(found, stop)
        since = held.since if held else stop
        denied = None if reason or held else stop.date()
        if reason is None:
            guards = asked(composite_delete.CompositeDelete(delete)._guards(run), delete)
            end, before = max(now, due, since + quiet), Before(quarantine=quarantine_of(found))
            reason = refusal(found.subject, found, guards, end, flagged.keys, before)
            if reason is None:
                return GOES, denied, end.date()
        return GROUPS[reason.code], denied, None
    return REPLACE_FIRST, None, None  # no shipped policy selects it


@pytest.mark.parametrize("ahead", [30, 7], ids=["announced", "reminded"])
def test_what_is_said_of_a_thousand_users_is_what_the_steps_decide(ahead: int) -> None:
    chance = random.Random(26)
    users = [random_user(number, chance) for number in range(1_000)]
    if ahead < 30:  # some are denied already
        users = [
            replace(each, user=denied_since(each.user, NOW - timedelta(days=chance.choice([2, 7, 9]))))
            if each.kind != BEDROCK_API_KEY and chance.random() < 0.5
            else each
            for each in users
        ]
    lacks = reasons.NO_ACCESS(state="absent", why="nobody has that username")
    missing: dict[str, Reason | None] = {
        each.user.arn: chance.choice([None, lacks]) for each in users if chance.random() < 0.9
    }
    trust = TrustIndex([trusting(each.user.arn) for each in users if chance.random() < 0.1])
    day = NOW.date() + timedelta(days=ahead)
    later = Later(FLAG["active-within"], FLAG["quarantined-for"], trust, missing, ("Email",))
    subjects = tuple(each.user.subject for each in users)
    told = NOW - timedelta(days=30 - ahead)
    stop = day - timedelta(days=FLAG["quarantined-for"])
    announced = Notice(ACCOUNT, ANNOUNCED, told, day, ("o@example.com",), "m", "flag", subjects, stop=stop)
    recorded = Notices([announced], "notices", readings=None)
    notices = announced_now(subjects, day, stop, NOW) if ahead == 30 else recorded
    gates = {"trust": trust, "missing": missing}
    said, done = dict[str, Any](), dict[str, Any]()
    for each in users:
        fate = forecast(each, day, notices, later, NOW)
        said[each.user.name] = (fate.group, fate.denied, fate.deleted)
        done[each.user.name] = decided(each, announced, gates, NOW)
    assert {name: (fate, done[name]) for name, fate in said.items() if fate != done[name]} == {}
    counts = Counter(group for group, *_ in said.values())
    assert min(counts[group] for group in (GOES, IN_USE, REPLACE_FIRST, STAYS)) >= 20


def at(days: float) -> datetime:
    return NOW - timedelta(days=days)


KEPT = denied_since(user(), at(7))


@pytest.mark.parametrize(
    ("flagged", "expected"),
    [
        pytest.param(
            Flagged(user(), "machine"),
            "denied everything on 2026-12-10, deleted on 2026-12-24",
            id="goes",
        ),
        pytest.param(
            Flagged(user(), "machine", (KeyUse("1", at(3), "s3", "eu-west-1"),)),
            "in use: active within 30 days: its access key 1 was used for s3 in eu-west-1 on 2026-11-21 12:00 UTC",
            id="in-use",
        ),
        pytest.param(
            Flagged(user(), "human"),
            "needs a replacement first: its access through Identity Center was not read",
            id="person-of-whom-nobody-asked",
        ),
        pytest.param(
            Flagged(user(attached_policy=LEAKED), "machine"),
            "denied everything on 2026-12-10, left alone: AWS attached AWSCompromisedKeyQuarantineV3, so one of its "
            "keys leaked",
            id="compromised",
        ),
        pytest.param(
            Flagged(KEPT, "machine"), "denied everything since 2026-11-17, deleted on 2026-12-24", id="denied"
        ),
        pytest.param(
            Flagged(KEPT, "machine", (KeyUse("1", at(3)),)),
            "denied everything since 2026-11-17, in use: still in use in its quarantine since 2026-11-17 12:00 UTC: "
            "its access key 1 was used on 2026-11-21 12:00 UTC",
            id="denied-and-used",
        ),
    ],
)
def test_each_state_has_its_sentence(flagged: Flagged, expected: str) -> None:
    day = NOW.date() + timedelta(days=30)
    later = Later(30, 14, TrustIndex([]), {})
    stop = day - timedelta(days=14)
    notices = announced_now([flagged.user.subject], day, stop, NOW)
    assert forecast(flagged, day, notices, later, NOW).text == expected


def test_no_day_is_in_the_past() -> None:
    """Where fewer days are left than the quiet ones, the Deny is today's, and the deletion later."""
    day = NOW.date() + timedelta(days=3)
    flagged = Flagged(user(), "machine")
    notices = announced_now([flagged.user.subject], day, day - timedelta(days=14), NOW)
    found = forecast(flagged, day, notices, Later(30, 14), NOW)
    assert found == Forecast(GOES, None, NOW.date(), deleted=NOW.date() + timedelta(days=14))


def test_a_deny_that_does_not_say_since_when_puts_the_deletion_off_no_further() -> None:
    """Its deletion asks a journal for that."""
    deny = {"PolicyName": "AWSDenyAll", "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}
    held = user(attached_policy=(deny,))
    held = replace(held, detail={**held.detail, "AttachedManagedPolicies": [deny]})
    day = NOW.date() + timedelta(days=3)
    notices = announced_now([held.subject], day, None, NOW)
    found = forecast(Flagged(held, "machine"), day, notices, Later(30, 14), NOW)
    assert (found.held, found.since) == (True, None)
    assert found.deleted == day, found


def test_templates_read_what_a_forecast_has() -> None:
    text = "denied everything since 2026-11-17, deleted on 2026-12-24"
    held = Forecast(GOES, since=at(7), held=True, deleted=date(2026, 12, 24))
    assert held.as_data() == {"group": GOES, "text": text, "is-denied": True, "deleted": "2026-12-24"}
    later = Forecast(GOES, denied=date(2026, 12, 10), deleted=date(2026, 12, 24))
    assert later.as_data() == {
        "group": GOES,
        "text": text.replace("since 2026-11-17", "on 2026-12-10"),
        "denied": "2026-12-10",
        "deleted": "2026-12-24",
    }
    spared = Forecast(REPLACE_FIRST, reasons.TRUSTED(roles="r"))
    assert spared.as_data()["code"] == "TrustedByRole"


USED = "2026-11-21T12:00:00+00:00"
KEYS = [{"kind": "access-key", "title": f"access key {each}", "used": USED} for each in ("1", "2")]


@pytest.mark.parametrize(
    ("known", "kind", "keys"),
    [
        pytest.param({}, UNKNOWN, (), id="nothing-known"),
        pytest.param(
            {
                "kind": "machine",
                "credentials": [{"kind": "login-profile", "title": "password", "used": USED}, *KEYS],
                "last_activity": {"by": "access key 2", "service": "s3", "region": "eu-west-1"},
            },
            "machine",
            (KeyUse("1", at(3)), KeyUse("2", at(3), "s3", "eu-west-1")),
            id="the-last-use-is-of-one-key",
        ),
    ],
)
def test_a_flagged_user_is_what_its_annotation_says(
    known: dict[str, Any], kind: str, keys: tuple[KeyUse, ...]
) -> None:
    bare = replace(user(), attachments={}, detail={"PasswordLastUsed": USED})
    found = Flagged.of(bare, known)
    assert (found.kind, found.keys) == (kind, keys)
    assert found.user.detail["PasswordLastUsed"] == at(3)
    assert set(found.user.attachments.values()) == {()}


def test_without_a_quarantine_a_user_goes_on_the_announced_day() -> None:
    """Even if that is today."""
    today = NOW.date()
    told = announced_now([user().subject], today, None, NOW)
    for later in (Later(), Later(quarantined_for=0)):
        found = forecast(Flagged(user(), UNKNOWN), today, told, later, NOW)
        assert (found.group, found.deleted) == (GOES, today)


def test_whoever_has_a_naming_tag_needs_access_like_a_person() -> None:
    found = user(tags={"Email": "ada@example.com"})
    told = announced_now([found.subject], NOW.date(), None, NOW)
    missing = {found.arn: reasons.NO_ACCESS(state="missing", why="none")}
    groups = [
        forecast(
            Flagged(found, "machine"), NOW.date(), told, Later(missing=missing, naming_tags=naming), NOW
        ).group
        for naming in (("Email",), ("Mail",))
    ]
    assert groups == [REPLACE_FIRST, GOES]


def test_an_announcement_is_of_the_account_of_its_users() -> None:
    assert announced_now([user().subject], NOW.date(), None, NOW).all[0].account_id == ACCOUNT
    assert announced_now([], NOW.date(), None, NOW).all[0].account_id == ""


@pytest.mark.parametrize("denied", [None, NOW.date()])
def test_a_user_that_code_manages_is_denied_and_not_deleted(denied: date | None) -> None:
    reason = reasons.MANAGED_AS_CODE(what="Terraform manages it")
    said = Forecast(STAYS, reason, denied).text
    assert said.startswith("denied everything on 2026-11-24, not deleted: " if denied else "left alone: ")


@pytest.mark.parametrize(
    ("last", "service"),
    [
        (None, ""),
        ({"by": "another", "service": "s3"}, ""),
        ({"by": f"{ACCESS_KEY.title} AKIA", "service": "s3", "region": None}, "s3"),
    ],
)
def test_where_a_key_was_used_is_known_of_the_last_use_alone(last: Any, service: str) -> None:
    credential = {"kind": ACCESS_KEY.name, "title": f"{ACCESS_KEY.title} AKIA", "used": NOW.isoformat()}
    (key,) = Flagged.of(user(), {"credentials": [credential, {"kind": "x"}], "last_activity": last}).keys
    assert (key.key_id, key.service, key.region) == ("AKIA", service, "")
