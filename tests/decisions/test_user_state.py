# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.decisions.own_traces import quarantine_of, without_traces
from c7n_iamusers.decisions.quarantine import plan_quarantine
from c7n_iamusers.decisions.user_state import covers, fingerprint, state_of
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.snapshot import Snapshot
from tests.decisions.test_quarantine import CREDENTIALS, FULL_INLINE, apply
from tests.records import EVERYTHING, user

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
ALICE = user(tags={"Team": "a"}, **{**EVERYTHING, **CREDENTIALS})
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def holding(kind: str, *items: Any, of: IamUser = ALICE) -> IamUser:
    return replace(of, attachments={**of.attachments, kind: items})


def print_of(given: IamUser) -> str:
    quarantine = quarantine_of(given)
    return fingerprint(without_traces(given), quarantine.deactivated if quarantine else ())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda u: replace(u, detail={**u.detail, "UserId": "AIDAOTHER"}), id="identity"),
        pytest.param(lambda u: replace(u, detail={**u.detail, "Path": "/x/"}), id="path"),
        pytest.param(lambda u: holding("login-profile"), id="password-gone"),
        pytest.param(
            lambda u: holding("login-profile", {"UserName": "alice", "CreateDate": NOW}), id="password-anew"
        ),
        pytest.param(lambda u: holding("access-key"), id="key-gone"),
        pytest.param(
            lambda u: holding(
                "access-key", *({**k, "Status": "Inactive"} for k in u.attachments["access-key"])
            ),
            id="key-deactivated-by-others",
        ),
        pytest.param(lambda u: holding("group", {"GroupName": "Admins"}), id="group"),
        pytest.param(
            lambda u: holding("inline-policy", {"PolicyName": "s3", "PolicyDocument": {"Statement": [1]}}),
            id="inline-document",
        ),
        pytest.param(lambda u: holding("permissions-boundary"), id="boundary"),
        pytest.param(lambda u: holding("tag", {"Key": "Team", "Value": "b"}), id="tag"),
        pytest.param(
            lambda u: holding("mfa-device", *u.attachments["mfa-device"][1:]),
            id="mfa",
        ),
    ],
)
def test_what_changes_a_user_changes_its_fingerprint(change: Callable[[IamUser], IamUser]) -> None:
    assert print_of(change(ALICE)) != print_of(ALICE)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda u: replace(u, detail={**u.detail, "PasswordLastUsed": NOW}), id="last-use"),
        pytest.param(
            lambda u: holding("access-key", *reversed(u.attachments["access-key"])),
            id="order",
        ),
        pytest.param(
            lambda u: holding("access-key", *({**k, "LastUsed": 1} for k in u.attachments["access-key"])),
            id="other-members",
        ),
        pytest.param(
            lambda u: holding(
                "tag", {"Key": "Team", "Value": "a"}, {"Key": "c7n-iamusers-deletion", "Value": "x"}
            ),
            id="own-tag",
        ),
        pytest.param(lambda u: apply(u, plan_quarantine(u, NOW, "p", "r").plan), id="quarantine"),
    ],
)
def test_what_does_not_leaves_it(change: Callable[[IamUser], IamUser]) -> None:
    assert print_of(change(ALICE)) == print_of(ALICE)


def test_a_quarantine_by_the_aws_managed_policy_leaves_it_too() -> None:
    full = holding("inline-policy", *FULL_INLINE)
    held = apply(full, plan_quarantine(full, NOW, "p", "r").plan)
    assert held.attachments["attached-policy"] != full.attachments["attached-policy"]
    assert print_of(held) == print_of(full)


def test_a_snapshot_has_the_fingerprint_of_the_user() -> None:
    dated = holding("login-profile", {"UserName": "alice", "CreateDate": NOW})
    loaded = Snapshot.from_json(Snapshot(dated, NOW, print_of(dated)).as_json())
    assert fingerprint(loaded.user) == loaded.fingerprint == print_of(dated)


def test_a_state_covers_what_is_left_of_it() -> None:
    whole = state_of(ALICE.attachments)
    assert covers(whole, whole)
    assert covers(whole, state_of(user().attachments))
    assert not covers(state_of(user().attachments), whole)
    more = holding(
        "access-key", *ALICE.attachments["access-key"], {"AccessKeyId": "AKIA3", "Status": "Active"}
    )
    assert not covers(whole, state_of(more.attachments))


def test_partial_knowledge_has_no_state() -> None:
    with pytest.raises(KeyError):
        state_of({"access-key": ()})


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        pytest.param("attached-policy", {"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL}, id="attached"),
        pytest.param("permissions-boundary", {"PermissionsBoundaryArn": DENY_ALL}, id="boundary"),
    ],
)
def test_an_aws_deny_all_is_ours_only_if_it_was_not_there_before(kind: str, item: Any) -> None:
    before = dict(ALICE.attachments)
    held = holding(kind, item)
    assert without_traces(held).attachments[kind] == (item,)
    assert item not in without_traces(held, before).attachments[kind]
    assert without_traces(held, {**before, kind: (item,)}).attachments[kind] == (item,)
    if kind == "permissions-boundary":
        assert without_traces(held, before).attachments[kind] == before[kind]
