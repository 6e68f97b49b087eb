# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan, PlannedDeletion, load_plan, review_refusal
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import deny_all_document
from c7n_iamusers.lockout.lockout_state import NOTHING_KNOWN, without_own_changes
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.quarantine.plan import plan_brownout
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint
from tests.records import ACCOUNT, EVERYTHING, said, text_of, user

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
ALICE = user(**EVERYTHING)
LEFT = replace(ALICE, attachments={**ALICE.attachments, "access-key": (), "login-profile": ()})
GAINED = replace(LEFT, attachments={**LEFT.attachments, "access-key": ({"AccessKeyId": "AKIANEW"},)})


def snapshot(of: IamUser) -> Snapshot:
    return Snapshot(of, "2026-11-24T00:00:00+00:00", fingerprint(of))


def reviewed(
    *refused: str, made: datetime = NOW, quarantine: QuarantineRecord | None = None
) -> PlannedDeletion:
    calls = plan_deletion(
        ALICE, made, quarantine=quarantine, refused=dict.fromkeys(refused, "AccessDenied")
    ).calls
    return PlannedDeletion(ALICE.subject, fingerprint(ALICE), calls)


REVIEWED = reviewed()
REBORN = replace(ALICE, detail={**ALICE.detail, "Path": "/moved/"})


@pytest.mark.parametrize(
    ("given", "now", "earlier", "reason"),
    [
        pytest.param(REVIEWED, ALICE, [], None, id="as-reviewed"),
        pytest.param(reviewed("inline"), ALICE, [], None, id="attached-was-reviewed"),
        pytest.param(reviewed("inline", "attached"), ALICE, [], None, id="boundary-was-reviewed"),
        pytest.param(reviewed(made=NOW - timedelta(days=9)), ALICE, [], None, id="at-another-time"),
        pytest.param(
            reviewed(quarantine=QuarantineRecord(NOW, "park", "unused", ("AKIA1",))),
            ALICE,
            [],
            None,
            id="with-a-quarantine's-record",
        ),
        pytest.param(
            replace(REVIEWED, calls=REVIEWED.calls[1:]), ALICE, [], None, id="no-deny-all-was-reviewed"
        ),
        pytest.param(
            replace(
                REVIEWED, calls=tuple(call for call in REVIEWED.calls if call.operation != "DetachUserPolicy")
            ),
            ALICE,
            [],
            "DetachUserPolicy would be called now",
            id="another-policy-is-no-deny-all",
        ),
        pytest.param(REVIEWED, REBORN, [ALICE], "has changed since", id="moved-to-another-path"),
        pytest.param(REVIEWED, LEFT, [GAINED, ALICE], None, id="one-of-several-is-as-reviewed"),
        pytest.param(None, ALICE, [], "not in the reviewed plan", id="not-planned"),
        pytest.param(
            PlannedDeletion(ALICE.subject, skipped=said("exempt")),
            ALICE,
            [],
            "the reviewed plan skips it: exempt",
            id="spared",
        ),
        pytest.param(REVIEWED, LEFT, [], "has changed since", id="changed"),
        pytest.param(REVIEWED, LEFT, [ALICE], None, id="begun-by-an-earlier-run"),
        pytest.param(REVIEWED, GAINED, [ALICE], "has changed since", id="begun-and-changed"),
        pytest.param(REVIEWED, LEFT, [LEFT], "has changed since", id="another-state-was-begun"),
        pytest.param(
            replace(REVIEWED, calls=REVIEWED.calls[2:]),
            ALICE,
            [],
            "DeleteLoginProfile would be called now",
            id="further-call",
        ),
    ],
)
def test_review(given: Any, now: IamUser, earlier: list[IamUser], reason: str | None) -> None:
    found = review_refusal(given, snapshot(now), plan_deletion(now, NOW), map(snapshot, earlier))
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(reason, found.text)


def test_a_brownout_that_came_since_the_review_changes_nothing() -> None:
    dark = plan_brownout(ALICE, NOW, 15).plan.calls[0].parameters
    policy = {name: dark[name] for name in ("PolicyName", "PolicyDocument")}
    others = ALICE.attachments["inline-policy"]
    now = replace(ALICE, attachments={**ALICE.attachments, "inline-policy": (*others, policy)})
    taken = snapshot(without_own_changes(now, NOTHING_KNOWN))
    assert review_refusal(REVIEWED, taken, plan_deletion(now, NOW), ()) is None


def plan_with(*first: ApiCall) -> str:
    planned = replace(REVIEWED, calls=(*first, *REVIEWED.calls))
    return DeletionPlan(ACCOUNT, "p", "2026-11-24T00:00:00+00:00", (planned,)).as_json()


ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        pytest.param("AttachUserPolicy", {"PolicyArn": ADMIN}, id="attached"),
        pytest.param("PutUserPermissionsBoundary", {"PermissionsBoundary": ADMIN}, id="boundary"),
        pytest.param("PutUserPolicy", {"PolicyName": "s3", "PolicyDocument": ALLOW}, id="inline"),
        pytest.param(
            "PutUserPolicy", {"PolicyName": "s3", "PolicyDocument": deny_all_document()}, id="deny-elsewhere"
        ),
        pytest.param(
            "AttachUserPolicy", {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/AWSDenyAll"}, id="homonym"
        ),
        pytest.param(
            "PutUserPolicy", {"PolicyName": "c7n-iamusers-deny-all", "PolicyDocument": ALLOW}, id="our-name"
        ),
    ],
)
def test_a_plan_that_puts_more_than_the_deny_all_on_a_user_is_refused(
    operation: str, given: dict[str, str]
) -> None:
    assert load_plan(plan_with()).account_id == ACCOUNT
    with pytest.raises(PlanInvalid, match=rf"user alice of account {ACCOUNT}: {operation} of .*but a Deny"):
        load_plan(plan_with(ApiCall("iam", operation, {"UserName": "alice", **given})))


def test_control_characters_of_a_plan_are_escaped() -> None:
    spared = PlannedDeletion(ALICE.subject, skipped=said("exempt\x1b[1A\u202e"))
    found = review_refusal(spared, snapshot(ALICE), plan_deletion(ALICE, NOW), ())
    assert text_of(found) == ("the reviewed plan skips it: exempt\\u001b[1A\\u202e")
