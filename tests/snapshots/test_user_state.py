# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.execution.calls import Plan
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.lockout.applied_calls import AppliedCall, CallHistory
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.lockout_state import NOTHING_KNOWN, quarantine_of, without_own_changes
from c7n_iamusers.quarantine.plan import plan_quarantine
from c7n_iamusers.snapshots.snapshot import Snapshot, covers, fingerprint, is_covered, state_of, tampering
from tests.quarantine.test_plan import CREDENTIALS, NO_ROOM, apply, in_quarantine
from tests.records import EVERYTHING, user

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
ALICE = user(tags={"Team": "a"}, **{**EVERYTHING, **CREDENTIALS})
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
DENY_ALL_ITEM = {"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL}


def holding(kind: str, *items: Any, of: IamUser = ALICE) -> IamUser:
    return replace(of, attachments={**of.attachments, kind: items})


def print_of(
    given: IamUser, history: CallHistory = NOTHING_KNOWN, former: tuple[Item, ...] | None = None
) -> str:
    quarantine = quarantine_of(given, history)
    plain = without_own_changes(given, history, former)
    return fingerprint(plain, quarantine.deactivated if quarantine else ())


def deed(operation: str, **parameters: str) -> AppliedCall:
    return AppliedCall(NOW, operation, {"UserName": "alice", **parameters}, {})


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
        pytest.param(
            lambda u: holding(
                "inline-policy",
                *u.attachments["inline-policy"],
                {"PolicyName": DENY_ALL_NAME, "PolicyDocument": {"Statement": []}},
            ),
            id="policy-of-our-name-that-denies-nothing",
        ),
        pytest.param(
            lambda u: holding("attached-policy", *u.attachments["attached-policy"], DENY_ALL_ITEM),
            id="deny-all-attached-by-others",
        ),
        pytest.param(
            lambda u: holding("permissions-boundary", {"PermissionsBoundaryArn": DENY_ALL}),
            id="bounded-by-others",
        ),
        pytest.param(
            lambda u: holding("tag", *u.attachments["tag"], {"Key": "c7n-other", "Value": "x"}),
            id="other-tag",
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
        pytest.param(lambda u: apply(u, Plan(u.subject, plan_deletion(u, NOW).calls[:1])), id="deletion"),
        pytest.param(
            lambda u: holding(
                "inline-policy",
                *u.attachments["inline-policy"],
                {"PolicyName": DENY_ALL_NAME, "PolicyDocument": deny_all_document()},
            ),
            id="deletion-of-the-version-before",
        ),
    ],
)
def test_what_does_not_leaves_it(change: Callable[[IamUser], IamUser]) -> None:
    assert print_of(change(ALICE)) == print_of(ALICE)


BOUNDARY = ALICE.attachments["permissions-boundary"]


@pytest.mark.parametrize(
    ("refused", "kind", "former"),
    [
        pytest.param(("inline",), "attached-policy", None, id="attached"),
        pytest.param(("inline", "attached"), "permissions-boundary", BOUNDARY, id="boundary"),
    ],
)
def test_a_quarantine_by_the_aws_managed_policy_leaves_it_too(
    refused: tuple[str, ...], kind: str, former: tuple[Item, ...] | None
) -> None:
    held, history = in_quarantine(ALICE, refused)
    assert held.attachments[kind] != ALICE.attachments[kind]
    assert print_of(held, history, former) == print_of(ALICE)
    assert print_of(held) != print_of(ALICE)


def test_where_nobody_knows_the_former_boundary_ours_stays_in_the_state() -> None:
    full = user(**{**EVERYTHING, **CREDENTIALS, **NO_ROOM})
    held, history = in_quarantine(full)
    assert without_own_changes(held, history).attachments["permissions-boundary"] == (
        {"PermissionsBoundaryArn": DENY_ALL},
    )
    assert print_of(held, history) != print_of(full)
    assert print_of(held, history, full.attachments["permissions-boundary"]) == print_of(full)


def test_a_snapshot_has_the_fingerprint_of_the_user() -> None:
    dated = holding("login-profile", {"UserName": "alice", "CreateDate": NOW})
    loaded = Snapshot.from_json(Snapshot(dated, NOW, print_of(dated)).as_json())
    assert fingerprint(loaded.user) == loaded.fingerprint == print_of(dated)
    assert tampering(loaded) is None


SNAPSHOT = Snapshot(ALICE, NOW, print_of(ALICE))
RECORD: dict[str, object] = {"since": NOW.isoformat(), "deactivated": ["AKIA2"]}
IN_QUARANTINE = Snapshot(ALICE, NOW, fingerprint(ALICE, ["AKIA2"]), quarantine=RECORD)
ELSEWHERE = replace(ALICE, detail={**ALICE.detail, "Arn": ALICE.arn + "-2"})
A_ROLE = replace(ALICE, detail={**ALICE.detail, "Arn": ALICE.arn.replace(":user/", ":role/")})


@pytest.mark.parametrize(
    ("snapshot", "message"),
    [
        pytest.param(SNAPSHOT, None, id="as-taken"),
        pytest.param(IN_QUARANTINE, None, id="as-taken-in-quarantine"),
        pytest.param(
            replace(SNAPSHOT, user=holding("group", {"GroupName": "Admins"})),
            "does not match its fingerprint",
            id="group-more",
        ),
        pytest.param(replace(SNAPSHOT, fingerprint="0" * 64), "does not match its fingerprint", id="print"),
        pytest.param(
            replace(IN_QUARANTINE, quarantine={**RECORD, "deactivated": []}),
            "does not match its fingerprint",
            id="quarantine",
        ),
        pytest.param(
            Snapshot(ELSEWHERE, NOW, fingerprint(ELSEWHERE)), "not one of a user alice", id="arn-of-another"
        ),
        pytest.param(
            Snapshot(A_ROLE, NOW, fingerprint(A_ROLE)), "not one of a user alice", id="arn-of-a-role"
        ),
    ],
)
def test_a_snapshot_that_was_changed_is_found_out(snapshot: Snapshot, message: str | None) -> None:
    found = tampering(snapshot)
    assert (found is None) if message is None else (message in str(found))


LEFT = holding("access-key")
MOVED = replace(LEFT, detail={**LEFT.detail, "Path": "/x/"})
OTHER = holding("group", {"GroupName": "Admins"})


@pytest.mark.parametrize(
    ("given", "earlier", "covered"),
    [
        pytest.param(ALICE, [ALICE], True, id="the-same"),
        pytest.param(LEFT, [ALICE], True, id="less"),
        pytest.param(LEFT, [OTHER, ALICE], True, id="one-of-several"),
        pytest.param(ALICE, [LEFT], False, id="more"),
        pytest.param(LEFT, [], False, id="of-none"),
        pytest.param(LEFT, [OTHER], False, id="of-another-state"),
        pytest.param(MOVED, [ALICE], False, id="of-another-path"),
        pytest.param(ALICE, [LEFT, holding("group")], False, id="of-several-only-together"),
    ],
)
def test_what_is_left_is_covered_by_one_earlier_snapshot(
    given: IamUser, earlier: list[IamUser], covered: bool
) -> None:
    snapshots = [Snapshot(each, NOW, print_of(each)) for each in earlier]
    assert is_covered(Snapshot(given, NOW, print_of(given)), snapshots) is covered


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


ATTACHED = deed("AttachUserPolicy", PolicyArn=DENY_ALL)
BOUND = deed("PutUserPermissionsBoundary", PermissionsBoundary=DENY_ALL)
BOUND_OTHERWISE = deed("PutUserPermissionsBoundary", PermissionsBoundary="arn:aws:iam::aws:policy/X")


@pytest.mark.parametrize(
    ("kind", "item", "deeds", "ours"),
    [
        pytest.param("attached-policy", DENY_ALL_ITEM, (), False, id="attached-by-others"),
        pytest.param("attached-policy", DENY_ALL_ITEM, (ATTACHED,), True, id="attached-by-us"),
        pytest.param("attached-policy", DENY_ALL_ITEM, (BOUND,), False, id="only-bounded-by-us"),
        pytest.param(
            "attached-policy",
            DENY_ALL_ITEM,
            (ATTACHED, deed("DetachUserPolicy", PolicyArn=DENY_ALL)),
            False,
            id="detached-by-us-since",
        ),
        pytest.param(
            "attached-policy",
            DENY_ALL_ITEM,
            (deed("AttachUserPolicy", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"),),
            False,
            id="another-policy-attached-by-us",
        ),
        pytest.param(
            "permissions-boundary", {"PermissionsBoundaryArn": DENY_ALL}, (), False, id="bounded-by-others"
        ),
        pytest.param(
            "permissions-boundary", {"PermissionsBoundaryArn": DENY_ALL}, (BOUND,), True, id="bounded-by-us"
        ),
        pytest.param(
            "permissions-boundary",
            {"PermissionsBoundaryArn": DENY_ALL},
            (BOUND, BOUND_OTHERWISE),
            False,
            id="unbound-by-us-since",
        ),
        pytest.param(
            "permissions-boundary",
            {"PermissionsBoundaryArn": DENY_ALL},
            (BOUND, deed("DeleteUserPermissionsBoundary")),
            False,
            id="taken-off-by-us-since",
        ),
        pytest.param(
            "permissions-boundary",
            {"PermissionsBoundaryArn": DENY_ALL},
            (ATTACHED,),
            False,
            id="only-attached-by-us",
        ),
    ],
)
def test_an_aws_deny_all_is_ours_only_if_the_journal_shows_it(
    kind: str, item: Any, deeds: tuple[AppliedCall, ...], ours: bool
) -> None:
    held = holding(kind, item)
    plain = without_own_changes(held, CallHistory(deeds), BOUNDARY)
    assert (item in plain.attachments[kind]) is not ours
    if kind == "permissions-boundary":
        assert plain.attachments[kind] == (BOUNDARY if ours else (item,))
        assert without_own_changes(held, CallHistory(deeds), ()).attachments[kind] == (
            () if ours else (item,)
        )
        assert without_own_changes(held, CallHistory(deeds)).attachments[kind] == (item,)
