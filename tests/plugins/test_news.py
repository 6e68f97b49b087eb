# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from c7n_iamusers import reasons
from c7n_iamusers.plugins.message_contents import reason_for_owners
from c7n_iamusers.plugins.news import is_new, news_of, was_skipped, was_stopped
from c7n_iamusers.plugins.subject_lines import of_news
from c7n_iamusers.reasons import Reason
from tests.records import said

DAY = date(2026, 12, 26)


USED = "its access key AKIA1 was used on 2026-12-01 10:00 UTC"
ACTIVE = reasons.ACTIVE(days=30, use=USED)
OTHER_USER = reasons.OTHER_USER(now="AIDA2", flagged="AIDA1")
NOT_IN_QUARANTINE = reasons.NOT_IN_QUARANTINE()


def outcome(status: str, reason: Reason = reasons.DONE) -> dict[str, Any]:
    return {"outcome": {"status": status, **reason.as_data()}}


def attempted(*times: str) -> dict[str, Any]:
    return {"attempts": {"state": "attempted", "attempts": [{"time": each} for each in times]}}


@pytest.mark.parametrize(
    ("known", "news"),
    [
        pytest.param(outcome("deleted"), "deleted", id="deleted"),
        pytest.param(outcome("failed", reasons.CALL_FAILED(why="denied")), "failed", id="failed"),
        pytest.param(outcome("skipped", ACTIVE), "skipped: Active", id="active"),
        pytest.param(outcome("skipped", OTHER_USER), "skipped: OtherUser", id="other-user"),
        pytest.param(outcome("skipped", said("active")), "skipped", id="without-a-code"),
        pytest.param(
            {**attempted("2026-12-01T10:00:00+00:00"), **outcome("deleted")}, "deleted", id="action"
        ),
        pytest.param({"provisioning": {"status": "provisioned"}}, "access", id="provisioned"),
        pytest.param({"provisioning": {"status": "unchanged"}}, "access", id="provisioned-before"),
        pytest.param(
            {"provisioning": {"status": "skipped", "reason": "<alice>: add a person"}},
            "skipped",
            id="to-be-added",
        ),
        pytest.param({"provisioning": {"status": "intended"}}, "intended", id="intended"),
        pytest.param({"identity-center": {"state": "used"}}, "access", id="used"),
        pytest.param({"identity-center": {"state": "pending"}}, "pending", id="pending"),
        pytest.param(
            {
                "identity-center": {"state": "provisioned"},
                **attempted("2026-12-02T10:00:00+00:00", "2026-12-01T10:00:00+00:00"),
            },
            "attempted: 2026-12-02T10:00:00+00:00",
            id="attempted",
        ),
        pytest.param({"attempts": {"state": "quiet"}, "kind": "human"}, "selected", id="nothing-else-known"),
    ],
)
def test_what_became_of_a_user(known: dict[str, Any], news: str) -> None:
    assert news_of({"UserName": "alice", "c7n:IamUser": known}) == news


@pytest.mark.parametrize(
    ("reason", "earlier", "told"),
    [
        pytest.param(NOT_IN_QUARANTINE, "", "it is not in quarantine", id="not-in-quarantine"),
        pytest.param(
            NOT_IN_QUARANTINE,
            ACTIVE.text,
            f"it was not put in quarantine: {ACTIVE.text}",
            id="and-an-earlier-outcome",
        ),
        pytest.param(ACTIVE, "exempt", ACTIVE.text, id="active"),
        pytest.param(
            reasons.ATTEMPTED(since="2026-11-01", call="ec2 RunInstances"),
            "",
            "calls since 2026-11-01: ec2 RunInstances",
            id="attempted",
        ),
        pytest.param(
            reasons.NOT_PROVEN_UNUSED(gaps="AWS does not report X"),
            "",
            "nothing proves that it is unused: AWS does not report X",
            id="not-proven",
        ),
        pytest.param(
            reasons.NOT_ANNOUNCED(place="/notices/1"), "", "its owners were not addressed", id="not-announced"
        ),
        pytest.param(
            reasons.USE_UNKNOWN(unread="AccessDenied"),
            "",
            "it is not known whether it is still in use",
            id="not-read",
        ),
        pytest.param(
            OTHER_USER,
            "",
            "the name now belongs to another user (AIDA2; AIDA1 was flagged)",
            id="another-user",
        ),
        pytest.param(
            reasons.EXEMPT(field="user", pattern="'a'", expires="2027-01-01", why="x: run by us"),
            "",
            "exempt by user 'a' until 2027-01-01: x: run by us",
            id="no-remedy-of-ours",
        ),
        pytest.param(
            reasons.LEFT_UNFINISHED(user="alice", begun="today", why=reasons.NOT_ANNOUNCED(place="x")),
            "",
            "alice: its deletion began today, and is left unfinished: its owners were not addressed",
            id="a-reason-within",
        ),
        pytest.param(
            OTHER_USER.and_also(reasons.MAYBE_DENIED(), reasons.QUARANTINE_AGAIN()),
            "",
            "the name now belongs to another user (AIDA2; AIDA1 was flagged); it is not known whether our Deny-all is "
            "on it",
            id="notes",
        ),
        pytest.param(said("gone: run again"), "", "gone: run again", id="without-a-code"),
        pytest.param(reasons.DONE, "", "", id="none"),
    ],
)
def test_a_reason_for_owners_leaves_out_what_operators_should_do(
    reason: Reason, earlier: str, told: str
) -> None:
    assert reason_for_owners({**reason.as_data(), "earlier": earlier}) == told


@pytest.mark.parametrize(
    ("news", "said", "new"),
    [
        pytest.param("deleted", None, True, id="first"),
        pytest.param("unchanged", None, True, id="first-unchanged"),
        pytest.param("failed", "failed", False, id="same"),
        pytest.param("deleted", "failed", True, id="other"),
        pytest.param("skipped: Active", "skipped: QuarantineUndone", True, id="other-reason"),
        pytest.param("unchanged", "quarantined", False, id="unchanged"),
        pytest.param("unchanged", "failed", True, id="it-had-not-failed"),
        pytest.param("unchanged", "skipped: Active", True, id="no-longer-left-alone"),
        pytest.param("failed", "skipped: NotInQuarantine", True, id="no-longer-for-its-quarantine"),
        pytest.param("attempted: 2026-12-02T10", "attempted: 2026-12-01T10", True, id="attempted-again"),
        pytest.param("attempted: 2026-12-01T10", "attempted: 2026-12-02T10", False, id="attempted-before"),
    ],
)
def test_what_is_new(news: str, said: str | None, new: bool) -> None:
    assert is_new(news, said) is new


def test_whom_an_action_left_alone() -> None:
    assert was_skipped({"c7n:IamUser": outcome("skipped")})
    assert not was_skipped({"c7n:IamUser": {"provisioning": {"status": "skipped"}}})


@pytest.mark.parametrize(
    ("news", "options", "subject"),
    [
        pytest.param(["deleted"] * 2, {}, "payments: 2 IAM users deleted on 2026-12-26", id="some"),
        pytest.param(["deleted"], {}, "payments: 1 IAM user deleted on 2026-12-26", id="one"),
        pytest.param(
            ["skipped: a", "deleted", "skipped: b", "failed", "deleted"],
            {},
            "payments: 2 IAM users deleted, 1 failed, 2 left alone on 2026-12-26",
            id="mixed",
        ),
        pytest.param(
            ["access"],
            {},
            "payments: 1 IAM user with access through IAM Identity Center on 2026-12-26",
            id="access",
        ),
        pytest.param(
            ["attempted: x"] * 2, {}, "payments: 2 IAM users still in use on 2026-12-26", id="attempted"
        ),
        pytest.param(["selected"], {}, "payments: 1 IAM user to look at on 2026-12-26", id="selected"),
        pytest.param(["left-behind"], {}, "payments: 1 IAM user left behind on 2026-12-26", id="no-words"),
        pytest.param(
            ["deleted", "failed"],
            {"counted": False},
            "payments: IAM users deleted, failed on 2026-12-26",
            id="users-differ",
        ),
        pytest.param(
            ["skipped: active", "activated", "deactivated", "retired", "failed"],
            {"noun": "access key"},
            "payments: 1 access key deleted, 1 made inactive, 1 given back, 1 failed, 1 left alone on 2026-12-26",
            id="keys",
        ),
    ],
)
def test_the_subject(news: list[str], options: dict[str, Any], subject: str) -> None:
    assert of_news("payments", news, DAY, **options) == subject


@pytest.mark.parametrize(("code", "stopped"), [("Stopped", True), ("AccessDenied", False), (None, False)])
def test_a_stop_file_is_no_news_of_a_user(code: str | None, stopped: bool) -> None:
    known = {"outcome": {"status": "failed", **({"code": code} if code else {})}}
    assert was_stopped({"UserName": "alice", "c7n:IamUser": known}) is stopped
    assert not was_stopped({"UserName": "alice"})
