# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.exceptions import RestorationRefused
from c7n_iamusers.execution.calls import ApiCall, Plan, Ref
from c7n_iamusers.execution.journal import CREATED
from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.applied_calls import AppliedCall, CallHistory
from c7n_iamusers.lockout.deny_all import (
    DENY_ALL_NAME,
    INLINE_QUOTA,
    deny_all_document,
    inline_fits,
    is_denial,
)
from c7n_iamusers.lockout.lockout_state import NOTHING_KNOWN, deletion_begun, quarantine_of
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.quarantine.release_plan import plan_release
from c7n_iamusers.restoration import cannot_come_back
from c7n_iamusers.restoration.cannot_come_back import CurrentState, administrative
from c7n_iamusers.restoration.deny import OwnDeny
from c7n_iamusers.restoration.plan import Recorded, Restoration, plan_restoration
from c7n_iamusers.restoration.rights import CurrentRights
from c7n_iamusers.snapshots.removed_by_deletion import with_removed
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.quarantine.test_plan import FULL_INLINE, LATER, apply, attached, in_quarantine
from tests.records import ACCOUNT, EVERYTHING, groups, user

BOUNDARY = "arn:aws:iam::aws:policy/PowerUserAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
POLICIES, GROUPS = frozenset({BOUNDARY, READ_ONLY}), frozenset({"Developers"})
PUBLIC: dict[str, Any] = {
    "signing_certificate": (
        {"CertificateId": "CERT1", "CertificateBody": "PEM 1\n", "Status": "Active"},
        {"CertificateId": "CERT2", "CertificateBody": "PEM 2\n", "Status": "Inactive"},
    ),
    "ssh_public_key": (
        {
            "SSHPublicKeyId": "APKA1",
            "SSHPublicKeyBody": "ssh-rsa 1",
            "Fingerprint": "f1",
            "Status": "Inactive",
        },
    ),
}
ALICE = user(path="/a/", tags={"Team": "a", "aws:made-by": "x"}, **{**EVERYTHING, **PUBLIC})
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"
GROUP = {
    "GroupName": "Developers",
    "GroupId": "AGPADEVELOPERS",
    "Path": "/teams/",
    "GroupPolicyList": [{"PolicyName": "s3", "PolicyDocument": {"Statement": []}}],
    "AttachedManagedPolicies": [
        {"PolicyName": "a", "PolicyArn": READ_ONLY},
        {"PolicyName": "b", "PolicyArn": "gone"},
    ],
}
SNAPSHOT = Snapshot(ALICE, "2026-11-24T00:00:00+00:00", "0" * 64, trusted_by=(ROLE,), groups=(GROUP,))
NEW_PUBLIC: dict[str, Any] = {
    "signing_certificate": (
        {"CertificateId": "CERT3", "CertificateBody": "PEM 1", "Status": "Active"},
        {"CertificateId": "CERT4", "CertificateBody": "PEM 2", "Status": "Inactive"},
    ),
    "ssh_public_key": ({"SSHPublicKeyId": "APKA9", "Fingerprint": "f1", "Status": "Inactive"},),
}
KEPT = ("group", "attached_policy", "inline_policy", "permissions_boundary")
TOKEN = f"{ALICE.unique_id} 0123456789abcdef"
MARK = {"c7n-iamusers-restored-from": TOKEN}
RESTORED = user(
    path="/a/",
    tags={"Team": "a", **MARK},
    unique_id="AIDANEW",
    **{k: EVERYTHING[k] for k in KEPT},
    **NEW_PUBLIC,
)


def holding(of: IamUser, **attachments: Any) -> IamUser:
    changed = {kind.replace("_", "-"): tuple(items) for kind, items in attachments.items()}
    return replace(of, attachments={**of.attachments, **changed})


def tagged(of: IamUser, **tags: str) -> IamUser:
    """``of`` with these tags, and the mark of a restoration if ``tags`` has one, only."""
    items = [{"Key": key, "Value": value} for key, value in tags.items()]
    return replace(
        of, detail={**of.detail, "Tags": items}, attachments={**of.attachments, "tag": tuple(items)}
    )


#: As a restoration leaves it before its last call.
UNFINISHED = holding(RESTORED, permissions_boundary=({"PermissionsBoundaryArn": DENY_ALL},))
MADE = frozenset({"AIDANEW"})


def state_with(
    now: IamUser | None,
    policies: frozenset[str] = POLICIES,
    groups: frozenset[str] = GROUPS,
    memberless: Mapping[str, frozenset[str]] | None = None,
    **given: Any,
) -> CurrentState:
    """With all policies and groups; a user that is there was made by a restoration, by its journal.

    ``memberless``: groups without a member -> the names and ARNs of their policies.
    """
    details = {name: {**GROUP, **_holding(held)} for name, held in (memberless or {}).items()}
    rights = CurrentRights(
        {arn: PolicyVersion(arn, "v1", EMPTY) for arn in policies},
        {**dict.fromkeys(groups, GROUP), **details},
    )
    known: dict[str, Any] = {"restored_ids": MADE if now else frozenset(), **given}
    return CurrentState(now, rights=rights, memberless=frozenset(details), **known)


EMPTY = '{"Statement":[],"Version":"2012-10-17"}'


def _holding(names: frozenset[str]) -> dict[str, Any]:
    """The members of a group with the policies called ``names``."""
    return {
        "GroupPolicyList": [{"PolicyName": n, "PolicyDocument": EMPTY} for n in names if ":" not in n],
        "AttachedManagedPolicies": [{"PolicyArn": name} for name in names if ":" in name],
    }


def restore(
    now: IamUser | None, snapshot: Snapshot = SNAPSHOT, recreate_groups: bool = False, **current: Any
) -> Restoration:
    return plan_restoration(Recorded((snapshot,)), state_with(now, **current), TOKEN, recreate_groups)


def operations(found: Restoration) -> list[str]:
    return [call.operation for call in found.plan.calls]


def test_a_user_comes_back_under_aws_deny_all_and_its_own_boundary_is_the_last_call() -> None:
    found = restore(None)
    assert operations(found) == [
        "CreateUser",
        "UploadSigningCertificate",
        "UpdateSigningCertificate",
        "UploadSigningCertificate",
        "UploadSSHPublicKey",
        "UpdateSSHPublicKey",
        "AddUserToGroup",
        "AttachUserPolicy",
        "PutUserPolicy",
        "PutUserPermissionsBoundary",
    ]
    created, inline = found.plan.calls[0], found.plan.calls[-2]
    assert found.lifting == found.plan.calls[-1:]
    assert found.lifting[0].parameters == {"UserName": "alice", "PermissionsBoundary": BOUNDARY}
    assert created.parameters == {
        "UserName": "alice",
        "Path": "/a/",
        "Tags": [
            {"Key": "Team", "Value": "a"},
            {"Key": "c7n-iamusers-restored-from", "Value": TOKEN},
        ],
        "PermissionsBoundary": DENY_ALL,
    }
    assert created.notes == {"replaces": ALICE.unique_id, "token": TOKEN}
    assert created.save == {CREATED: ("User", "UserId")}
    assert (found.user_exists, found.missing_groups) == (False, ())
    assert json.loads(inline.parameters["PolicyDocument"]) == {"Version": "2012-10-17", "Statement": []}
    upload, switch = found.plan.calls[4:6]
    ref = switch.parameters["SSHPublicKeyId"]
    assert isinstance(ref, Ref)
    assert upload.save == {ref.name: ("SSHPublicKey", "SSHPublicKeyId")}


def test_a_user_without_a_boundary_loses_aws_deny_all_last() -> None:
    found = restore(None, replace(SNAPSHOT, user=holding(ALICE, permissions_boundary=())))
    assert found.plan.calls[0].parameters["PermissionsBoundary"] == DENY_ALL
    assert operations(found)[-1] == "DeleteUserPermissionsBoundary"


def test_a_user_whose_own_boundary_is_aws_deny_all_keeps_it() -> None:
    bounded = holding(ALICE, permissions_boundary=({"PermissionsBoundaryArn": DENY_ALL},))
    found = restore(None, replace(SNAPSHOT, user=bounded), policies=POLICIES | {DENY_ALL})
    assert (found.lifting, operations(found)[-1]) == ((), "PutUserPolicy")
    (told,) = [note for note in found.notes if "its permissions boundary is AWSDenyAll" in note]
    assert "it can do nothing" in told
    assert not [note for note in restore(None).notes if "its permissions boundary is" in note]


def test_a_new_password_has_to_get_the_duration_of_sign_ins_of_the_lost_one() -> None:
    (profile,) = ALICE.attachments["login-profile"]
    long = {**profile, "MaxSigninSessionDuration": 7_776_000}
    attachments = {**ALICE.attachments, "login-profile": (long,)}
    kept = Snapshot.from_json(replace(SNAPSHOT, user=replace(ALICE, attachments=attachments)).as_json())
    (said,) = (line for line in cannot_come_back.lost(kept) if line.startswith("console password"))
    assert said == "console password: IAM never returns a password; it had MaxSigninSessionDuration 7776000"


def test_what_cannot_come_back_is_listed() -> None:
    found = restore(None)
    for word in (
        "AIDAALICE",
        "console password",
        "AKIA1",
        "AKIA2",
        "ACCA1",
        "mfa/alice",
        "GAHT",
        "aws:made-by",
    ):
        assert [line for line in found.lost if word in line], word
    assert not [line for line in found.lost if "certificate" in line]
    assert [note for note in found.notes if ROLE in note]


def test_a_restored_user_needs_nothing_more() -> None:
    assert restore(RESTORED).plan.calls == ()


def test_a_restored_user_that_has_moved_on_is_left_as_it_is() -> None:
    moved = holding(RESTORED, access_key=[{"AccessKeyId": "AKIANEW", "Status": "Active"}])
    found = restore(moved)
    assert found.plan.calls == ()
    assert [note for note in found.notes if "AKIANEW" in note]


@pytest.mark.parametrize(
    ("now", "calls"),
    [
        pytest.param(holding(RESTORED, permissions_boundary=()), [], id="boundary-removed-by-others"),
        pytest.param(UNFINISHED, [], id="all-but-the-boundary"),
        pytest.param(holding(UNFINISHED, group=()), ["AddUserToGroup"], id="group"),
        pytest.param(tagged(UNFINISHED, **MARK), ["TagUser"], id="tags"),
        pytest.param(
            holding(UNFINISHED, ssh_public_key=[{**NEW_PUBLIC["ssh_public_key"][0], "Status": "Active"}]),
            ["UpdateSSHPublicKey"],
            id="status",
        ),
        pytest.param(
            holding(UNFINISHED, signing_certificate=NEW_PUBLIC["signing_certificate"][:1]),
            ["UploadSigningCertificate", "UpdateSigningCertificate"],
            id="certificate",
        ),
    ],
)
def test_a_stopped_restoration_continues_and_lifts_the_deny_last(now: IamUser, calls: list[str]) -> None:
    assert operations(restore(now)) == [*calls, "PutUserPermissionsBoundary"]


def test_a_restored_user_without_the_deny_gets_it_before_anything_else() -> None:
    found = restore(holding(RESTORED, group=()))
    assert operations(found) == [*DENIED, "AddUserToGroup", "PutUserPermissionsBoundary"]
    assert [call.parameters["PermissionsBoundary"] for call in found.plan.calls[::2]] == [DENY_ALL, BOUNDARY]


#: The call that puts AWSDenyAll on a restored user again.
DENIED = ["PutUserPermissionsBoundary"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda u: holding(u, access_key=[{"AccessKeyId": "AKIA9"}]), "access key AKIA9", id="key"
        ),
        pytest.param(
            lambda u: holding(u, login_profile=[{"UserName": "alice"}]), "console password", id="password"
        ),
        pytest.param(lambda u: holding(u, group=groups("Admins")), "group membership Admins", id="group"),
        pytest.param(
            lambda u: holding(u, permissions_boundary=[{"PermissionsBoundaryArn": READ_ONLY}]),
            "permissions boundary .*ReadOnlyAccess",
            id="boundary",
        ),
        pytest.param(lambda u: replace(u, detail={**u.detail, "Path": "/x/"}), "the path /x/", id="path"),
    ],
)
def test_a_stranger_of_the_same_name_is_given_nothing(
    change: Callable[[IamUser], IamUser], message: str
) -> None:
    stranger = change(holding(RESTORED, inline_policy=()))
    with pytest.raises(
        RestorationRefused, match=rf"user alice of account {ACCOUNT}: not restored: .*{message}"
    ):
        restore(stranger)


@pytest.mark.parametrize(
    ("now", "known"),
    [
        pytest.param(user(path="/a/", unique_id="AIDANEW"), {}, id="bare"),
        pytest.param(user(path="/a/", unique_id="AIDANEW", tags={"Team": "a"}), {}, id="same-tags"),
        pytest.param(RESTORED, {}, id="forged-mark"),
        pytest.param(
            tagged(RESTORED, **dict.fromkeys(MARK, ALICE.unique_id)), {}, id="mark-of-the-version-before"
        ),
        pytest.param(RESTORED, {"restored_ids": frozenset({"AIDAELSE"})}, id="another-was-made"),
        pytest.param(
            RESTORED, {"tokens": frozenset({f"{ALICE.unique_id} fedcba9876543210"})}, id="another-token"
        ),
        pytest.param(tagged(RESTORED, Team="a"), {"tokens": frozenset({TOKEN})}, id="token-that-it-has-not"),
        pytest.param(RESTORED, {"finished_ids": MADE}, id="finished-but-not-made"),
    ],
)
def test_a_user_that_no_restoration_created_is_refused(now: IamUser, known: dict[str, Any]) -> None:
    with pytest.raises(RestorationRefused, match="no journal of a restoration has it: it is another one"):
        restore(now, **{"restored_ids": frozenset(), **known})


@pytest.mark.parametrize(
    ("now", "known"),
    [
        pytest.param(RESTORED, {"restored_ids": MADE}, id="made"),
        pytest.param(tagged(RESTORED, Team="a"), {"restored_ids": MADE}, id="made-and-no-longer-marked"),
        pytest.param(RESTORED, {"tokens": frozenset({TOKEN})}, id="answer-of-the-creation-lost"),
    ],
)
def test_a_user_that_a_restoration_created_is_continued(now: IamUser, known: dict[str, Any]) -> None:
    given = {"restored_ids": frozenset(), **known}
    lacking = holding(now, group=(), permissions_boundary=UNFINISHED.attachments["permissions-boundary"])
    assert operations(restore(lacking, **given)) == ["AddUserToGroup", "PutUserPermissionsBoundary"]
    assert operations(restore(now, **given)) == []


FINISHED: dict[str, Any] = {"finished_ids": MADE}


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(holding(RESTORED, group=()), id="group"),
        pytest.param(holding(RESTORED, attached_policy=()), id="policy"),
        pytest.param(holding(RESTORED, inline_policy=(), ssh_public_key=()), id="inline-and-key"),
        pytest.param(holding(RESTORED, permissions_boundary=()), id="boundary"),
        pytest.param(
            holding(RESTORED, ssh_public_key=[{**NEW_PUBLIC["ssh_public_key"][0], "Status": "Active"}]),
            id="key-active-again",
        ),
    ],
)
def test_what_somebody_took_from_a_user_since_it_was_restored_stays_away(now: IamUser) -> None:
    assert operations(restore(now)) != []
    for recreate in (False, True):
        assert operations(restore(now, recreate_groups=recreate, **FINISHED)) == []


@pytest.mark.parametrize(
    ("awaited", "recreate", "present", "calls"),
    [
        pytest.param({"Developers"}, True, frozenset(), ["CreateGroup", "PutGroupPolicy"], id="made-again"),
        pytest.param({"Developers"}, True, GROUPS, [], id="there-again"),
        pytest.param({"Developers"}, False, GROUPS, None, id="not-asked-for"),
        pytest.param({"Admins"}, True, GROUPS, None, id="another-was-missing"),
        pytest.param((), True, frozenset(), None, id="none-was-missing"),
    ],
)
def test_a_group_that_was_missing_when_a_restoration_ended_is_joined_once_it_is_made_again(
    awaited: Any, recreate: bool, present: frozenset[str], calls: list[str] | None
) -> None:
    lacking = holding(RESTORED, group=(), inline_policy=())
    found = restore(
        lacking, recreate_groups=recreate, groups=present, awaited_groups=frozenset(awaited), **FINISHED
    )
    made = operations(found)
    if calls is None:
        assert made == []
    else:
        given = [*calls, *(["AttachGroupPolicy"] if calls else []), "AddUserToGroup"]
        assert made == ["PutUserPolicy", *given, "DeleteUserPolicy"]
        assert [call.operation for call in found.lifting] == ["DeleteUserPolicy"]


@pytest.mark.parametrize(("count", "marked"), [(49, True), (50, False)])
def test_a_mark_takes_the_room_of_no_tag(count: int, marked: bool) -> None:
    tags = {f"t{number}": "x" for number in range(count)}
    found = restore(None, replace(SNAPSHOT, user=user(tags=tags)))
    given = {tag["Key"] for tag in found.plan.calls[0].parameters["Tags"]}
    assert (given - set(tags) == set(MARK), tags.keys() <= given) == (marked, True)
    assert any("it has no room for the tag" in note for note in found.notes) is not marked


@pytest.mark.parametrize(
    ("memberless", "calls"),
    [
        pytest.param({}, [], id="it-has-members"),
        pytest.param({"Developers": {"s3", READ_ONLY}}, [], id="nothing-is-missing"),
        pytest.param({"Developers": set()}, ["PutGroupPolicy", "AttachGroupPolicy"], id="bare"),
        pytest.param({"Developers": {"s3"}}, ["AttachGroupPolicy"], id="half"),
    ],
)
def test_a_group_that_a_stopped_restoration_began_is_finished(
    memberless: dict[str, set[str]], calls: list[str]
) -> None:
    lacking = {name: frozenset(held) for name, held in memberless.items()}
    bare = holding(UNFINISHED, group=())
    found = restore(bare, recreate_groups=True, memberless=lacking, own_groups=frozenset(lacking))
    assert operations(found) == [*calls, "AddUserToGroup", "PutUserPermissionsBoundary"]
    of_others = restore(bare, recreate_groups=True, memberless=lacking)
    assert operations(of_others) == ["AddUserToGroup", "PutUserPermissionsBoundary"]
    assert any("lacks policies" in note for note in found.notes) is bool(calls)
    assert any("policy gone of group Developers no longer exists" in note for note in found.notes) is bool(
        calls
    )


def test_a_user_whose_boundary_is_gone_is_refused() -> None:
    with pytest.raises(RestorationRefused, match=r"its permissions boundary .* no longer exists"):
        restore(None, policies=frozenset({READ_ONLY}))


def test_a_policy_that_is_gone_is_said_and_the_rest_comes_back() -> None:
    found = restore(None, policies=frozenset({BOUNDARY}))
    assert "AttachUserPolicy" not in operations(found)
    assert [note for note in found.notes if READ_ONLY in note]


def test_a_vanished_group_is_made_again_on_request_only() -> None:
    without = restore(None, groups=frozenset())
    assert not {"CreateGroup", "AddUserToGroup"} & set(operations(without))
    assert [note for note in without.notes if "--recreate-groups" in note]
    assert without.missing_groups == ("Developers",)
    found = restore(None, groups=frozenset(), recreate_groups=True)
    assert found.missing_groups == ()
    made = [(c.operation, dict(c.parameters)) for c in found.plan.calls if "Group" in c.operation]
    assert made == [
        ("CreateGroup", {"GroupName": "Developers", "Path": "/teams/"}),
        (
            "PutGroupPolicy",
            {"GroupName": "Developers", "PolicyName": "s3", "PolicyDocument": '{"Statement":[]}'},
        ),
        ("AttachGroupPolicy", {"GroupName": "Developers", "PolicyArn": READ_ONLY}),
        ("AddUserToGroup", {"UserName": "alice", "GroupName": "Developers"}),
    ]


@pytest.mark.parametrize(
    ("team", "written"),
    [
        pytest.param("a", "a", id="ascii"),
        pytest.param("\u00e4\u00ff", "\u00e4\u00ff", id="latin-1"),
        pytest.param("\u0100", "\\u0100", id="the-first-beyond"),
        pytest.param("\u6f22", "\\u6f22", id="cjk"),
        pytest.param("\U0001f600", "\\ud83d\\ude00", id="emoji"),
        pytest.param("\x1f", "\\u001f", id="control"),
        pytest.param('"\\', '\\"\\\\', id="quoted"),
    ],
)
@pytest.mark.parametrize("as_text", [False, True], ids=["data", "text"])
def test_documents_are_written_as_iam_takes_them(team: str, written: str, as_text: bool) -> None:
    data = {"Statement": [{"Effect": "Deny", "Resource": team}]}
    document = json.dumps(data, ensure_ascii=False, separators=(",", ":")) if as_text else data
    policy = {"PolicyName": "odd", "PolicyDocument": document}
    held = replace(
        SNAPSHOT,
        user=user(**{**EVERYTHING, **PUBLIC, "inline_policy": (policy,)}),
        groups=({**GROUP, "GroupPolicyList": [policy]},),
    )
    calls = restore(None, held, groups=frozenset(), recreate_groups=True).plan.calls
    found = [call.parameters["PolicyDocument"] for call in calls if "PolicyDocument" in call.parameters]
    assert found == [f'{{"Statement":[{{"Effect":"Deny","Resource":"{written}"}}]}}'] * 2
    # PutUserPolicy, PutGroupPolicy, IAM API reference
    assert all(re.fullmatch("[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", each) for each in found)


def test_what_a_quarantine_had_switched_off_comes_back_active() -> None:
    quarantined = replace(
        SNAPSHOT, quarantine={"since": "2026-11-01T00:00:00+00:00", "deactivated": ["APKA1"]}
    )
    found = restore(None, quarantined)
    assert "UpdateSSHPublicKey" not in operations(found)
    assert [note for note in found.notes if "in quarantine since 2026-11-01" in note]


def test_what_a_stopped_run_had_removed_before_the_last_snapshot_comes_back_too() -> None:
    first = replace(SNAPSHOT, taken="2026-11-01T00:00:00+00:00")
    left = holding(ALICE, group=(), ssh_public_key=())
    last = replace(SNAPSHOT, user=left, groups=(), deletion_begun=True)
    ours = AppliedCall(datetime(2026, 11, 2, tzinfo=timezone.utc), "RemoveUserFromGroup", IN_GROUP, {})
    found = plan_restoration(Recorded((first, last), CallHistory((ours,))), state_with(None), TOKEN)
    assert [operation for operation in operations(found) if "Certificate" not in operation] == [
        "CreateUser",
        "AddUserToGroup",
        "AttachUserPolicy",
        "PutUserPolicy",
        "PutUserPermissionsBoundary",
    ]
    without = plan_restoration(Recorded((first, last)), state_with(None), TOKEN)
    assert "AddUserToGroup" not in operations(without)


IN_GROUP = {"UserName": "alice", "GroupName": "Developers"}
OUR_DENY = {"PolicyName": DENY_ALL_NAME, "PolicyDocument": json.loads(deny_all_document())}
BEGUN = datetime(2026, 11, 24, 1, tzinfo=timezone.utc)


def stopped_after(
    count: int,
    was: IamUser = ALICE,
    before: IamUser | None = None,
    refused: tuple[str, ...] = (),
    at: datetime = BEGUN,
    **known: Any,
) -> tuple[IamUser, CallHistory]:
    """``was``, or what a quarantine made of it (``before``), after ``count`` calls of its deletion; the journal."""
    given, history = before or was, known.get("history", NOTHING_KNOWN)
    record = quarantine_of(given, history)
    calls = plan_deletion(given, at, quarantine=record, refused=dict.fromkeys(refused, "AccessDenied")).calls[
        :count
    ]
    now = apply(given, Plan(was.subject, tuple(c for c in calls if is_denial(c) or c.operation in _KNOWN)))
    for call in calls:
        kind = _EMPTIED.get(call.operation)
        now = holding(now, **{kind: ()}) if kind else now
    return now, history.with_calls([(call, "done") for call in calls], at)


_KNOWN = ("DeleteUserPolicy", "DetachUserPolicy")
_EMPTIED = {
    "RemoveUserFromGroup": "group",
    "DeleteLoginProfile": "login_profile",
    "DeleteAccessKey": "access_key",
    "DeleteSigningCertificate": "signing_certificate",
    "DeleteSSHPublicKey": "ssh_public_key",
    "DeleteServiceSpecificCredential": "service_specific_credential",
    "DeactivateMFADevice": "mfa_device",
}
FULL = holding(ALICE, inline_policy=FULL_INLINE)
NO_ROOM = holding(FULL, attached_policy=attached(10))


def revive(
    was: IamUser, now: IamUser, history: CallHistory, policies: frozenset[str] = POLICIES, **current: Any
) -> Restoration:
    given = state_with(now, restored_ids=frozenset(), policies=policies | {DENY_ALL}, **current)
    return plan_restoration(Recorded((replace(SNAPSHOT, user=was),), history), given, TOKEN)


@pytest.mark.parametrize(
    ("was", "refused", "calls"),
    [
        pytest.param(ALICE, (), ["AddUserToGroup", "PutUserPolicy", "DeleteUserPolicy"], id="inline"),
        pytest.param(
            ALICE,
            ("inline",),
            ["AddUserToGroup", "PutUserPolicy", "DetachUserPolicy"],
            id="attached-by-permission",
        ),
        pytest.param(FULL, (), ["AddUserToGroup", "DetachUserPolicy"], id="attached-for-room"),
        pytest.param(
            ALICE,
            ("inline", "attached"),
            ["AddUserToGroup", "PutUserPolicy", "PutUserPermissionsBoundary"],
            id="boundary-by-permission",
        ),
        pytest.param(NO_ROOM, (), ["AddUserToGroup", "PutUserPermissionsBoundary"], id="boundary-for-room"),
        pytest.param(
            holding(NO_ROOM, permissions_boundary=()),
            (),
            ["AddUserToGroup", "DeleteUserPermissionsBoundary"],
            id="boundary-and-none-before",
        ),
    ],
)
def test_a_living_user_gets_back_what_was_removed_and_the_deny_is_lifted_last(
    was: IamUser, refused: tuple[str, ...], calls: list[str]
) -> None:
    removals = [
        call.operation
        for call in plan_deletion(was, BEGUN, refused=dict.fromkeys(refused, "AccessDenied")).calls
    ]
    now, history = stopped_after(removals.index("RemoveUserFromGroup") + 1, was, refused=refused)
    found = revive(was, now, history)
    upload = {
        "UploadSSHPublicKey",
        "UpdateSSHPublicKey",
        "UploadSigningCertificate",
        "UpdateSigningCertificate",
    }
    made = [call.operation for call in found.plan.calls if call.operation not in upload]
    assert made == calls
    assert operations(found)[-1] == calls[-1]
    assert operations(found).count("UploadSSHPublicKey") == 1
    assert found.user_exists
    lifted = found.plan.calls[-1].parameters
    if calls[-1] == "PutUserPermissionsBoundary":
        assert lifted["PermissionsBoundary"] == BOUNDARY
    if calls[-1].startswith("De"):
        assert is_denial(found.plan.calls[-1]) or "Boundary" in calls[-1]
    for word in ("console password", "AKIA1", "AKIA2"):
        assert [line for line in found.lost if word in line], word
    assert not [line for line in found.lost if "unique id" in line]


@pytest.mark.parametrize("quarantined", [False, True], ids=["", "in-quarantine"])
@pytest.mark.parametrize(
    ("was", "refused"),
    [
        pytest.param(ALICE, (), id="inline"),
        pytest.param(FULL, (), id="attached"),
        pytest.param(NO_ROOM, (), id="boundary"),
    ],
)
def test_a_deletion_is_known_as_unfinished_after_each_of_its_calls(
    was: IamUser, refused: tuple[str, ...], quarantined: bool
) -> None:
    """By the Deny that is on the user, or by the journal once that is lifted; with all that it removed so far."""
    before, known = in_quarantine(was, refused) if quarantined else (was, NOTHING_KNOWN)
    snapshot = replace(SNAPSHOT, user=was, taken=LATER)
    calls = plan_deletion(before, LATER, quarantine=quarantine_of(before, known)).calls
    for count in range(1, len(calls)):
        now, history = stopped_after(count, was, before, at=LATER, history=known)
        assert deletion_begun(now, history), calls[count - 1]
        whole = with_removed(now, [snapshot], history).attachments
        for kind in ("group", "attached-policy", "inline-policy"):
            assert not [item for item in was.attachments[kind] if item not in whole[kind]], calls[count - 1]


@pytest.mark.parametrize(
    ("refused", "lifted"),
    [
        pytest.param((), ["DeleteUserPolicy"], id="inline"),
        pytest.param(("inline",), ["DetachUserPolicy"], id="attached"),
        pytest.param(("inline", "attached"), ["PutUserPermissionsBoundary"], id="boundary"),
    ],
)
def test_a_deny_from_which_nothing_followed_is_lifted(refused: tuple[str, ...], lifted: list[str]) -> None:
    now, history = stopped_after(1, refused=refused)
    found = revive(ALICE, now, history)
    assert operations(found) == lifted
    assert found.lost == ()
    assert operations(revive(ALICE, now, NOTHING_KNOWN)) == []


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(ALICE, id="untouched"),
        pytest.param(holding(ALICE, group=(), attached_policy=()), id="others-took-rights-away"),
        pytest.param(holding(ALICE, permissions_boundary=()), id="others-took-the-boundary-away"),
        pytest.param(holding(ALICE, access_key=(), login_profile=()), id="others-took-credentials-away"),
        pytest.param(tagged(ALICE), id="others-took-tags-away"),
        pytest.param(
            holding(
                ALICE,
                attached_policy=(
                    *ALICE.attachments["attached-policy"],
                    {"PolicyName": "d", "PolicyArn": DENY_ALL},
                ),
            ),
            id="parked-by-others",
        ),
        pytest.param(
            holding(ALICE, permissions_boundary=({"PermissionsBoundaryArn": DENY_ALL},)),
            id="bounded-by-others",
        ),
        pytest.param(
            holding(ALICE, inline_policy=(*ALICE.attachments["inline-policy"], OUR_DENY)),
            id="deny-of-another-output",
        ),
    ],
)
def test_a_living_user_from_which_we_removed_nothing_is_given_nothing(now: IamUser) -> None:
    found = revive(ALICE, now, NOTHING_KNOWN)
    assert (found.plan.calls, found.lost, found.notes, found.user_exists) == ((), (), (), True)


def test_a_living_user_gets_nothing_that_others_took_beside_what_we_removed() -> None:
    ours = CallHistory((AppliedCall(BEGUN, "RemoveUserFromGroup", IN_GROUP, {}),))
    now = holding(ALICE, group=(), attached_policy=(), inline_policy=(), permissions_boundary=())
    assert operations(revive(ALICE, now, ours)) == ["PutUserPolicy", "AddUserToGroup", "DeleteUserPolicy"]
    assert operations(revive(ALICE, holding(now, group=groups("Developers")), ours)) == []


@pytest.mark.parametrize(
    ("own", "later", "lifted"),
    [
        pytest.param(OwnDeny("boundary", former=READ_ONLY), (), ["PutUserPermissionsBoundary"], id="ours"),
        pytest.param(OwnDeny("boundary"), (), ["DeleteUserPermissionsBoundary"], id="ours-there-was-none"),
        pytest.param(OwnDeny("attached"), (), [], id="another-form"),
        pytest.param(None, (), [], id="of-others"),
        pytest.param(OwnDeny("boundary", former=READ_ONLY), ("quarantine",), [], id="a-quarantine-since"),
    ],
)
def test_of_a_living_user_only_the_deny_of_a_restoration_is_lifted(
    own: OwnDeny | None, later: tuple[str, ...], lifted: list[str]
) -> None:
    given = {"UserName": "alice", "PermissionsBoundary": DENY_ALL}
    put = [
        AppliedCall(LATER, "PutUserPermissionsBoundary", given, {"for": why, "former-boundary": READ_ONLY})
        for why in later
    ]
    record = QuarantineRecord(LATER, "p", "r", deny="boundary") if later else None
    history = CallHistory((AppliedCall(BEGUN, "RemoveUserFromGroup", IN_GROUP, {}), *put), record)
    now = holding(ALICE, group=(), permissions_boundary=[{"PermissionsBoundaryArn": DENY_ALL}])
    found = revive(ALICE, now, history, own_deny=own)
    assert operations(found) == ["AddUserToGroup", *lifted]
    assert [call.operation for call in found.lifting] == lifted


def test_of_a_living_user_no_vanished_group_is_made_again() -> None:
    ours = CallHistory((AppliedCall(BEGUN, "RemoveUserFromGroup", IN_GROUP, {}),))
    found = revive(ALICE, holding(ALICE, group=()), ours, groups=frozenset())
    assert found.plan.calls == ()


QUARANTINE = "Quarantined20261124T180005Z"


@pytest.mark.parametrize(
    ("count", "calls"),
    [
        pytest.param(0, [], id="only-in-quarantine"),
        pytest.param(1, ["PutUserPolicy"], id="deletion-begun"),
        pytest.param(-1, ["PutUserPolicy"], id="keys-removed"),
    ],
)
def test_the_deny_of_a_quarantine_is_put_again_and_stays(count: int, calls: list[str]) -> None:
    held, known = in_quarantine(ALICE)
    removals = [call.operation for call in plan_deletion(held, BEGUN, quarantine=quarantine_of(held)).calls]
    reached = removals.index("DeleteAccessKey") + 1 if count < 0 else count
    now, history = stopped_after(reached, before=held, history=known)
    found = revive(ALICE, now, history)
    assert operations(found) == calls
    after = apply(now, found.plan)
    assert quarantine_of(after) == quarantine_of(held)
    if calls:
        document = json.loads(found.plan.calls[-1].parameters["PolicyDocument"])
        sid = document["Statement"][0]["Sid"]
        assert sid.startswith(QUARANTINE)
        assert "Deletion" not in sid
        assert [note for note in found.notes if "the action release ends that" in note]


def test_the_deny_of_a_quarantine_that_is_put_again_leaves_room_for_what_is_given() -> None:
    policy = {"PolicyName": "big", "PolicyDocument": {"Sid": "x" * (INLINE_QUOTA - 190)}}
    keys = [{"AccessKeyId": f"AKIA{number:016}", "Status": "Active"} for number in range(5)]
    was = holding(ALICE, inline_policy=(policy,), access_key=keys)
    held, known = in_quarantine(was)
    assert "Journaled" in str(held.attachments["inline-policy"])  # there is no room for ids
    removed = holding(held, inline_policy=held.attachments["inline-policy"][1:])
    given = {"UserName": "alice", "PolicyName": "big"}
    gone = [ApiCall("iam", "DeleteUserPolicy", given)]
    deletion = plan_deletion(removed, BEGUN, quarantine=quarantine_of(held, known)).calls[0]
    history = known.with_calls([(each, "done") for each in (*gone, deletion)], LATER + timedelta(1))
    found = revive(held, apply(removed, Plan(ALICE.subject, (deletion,))), history)
    after = apply(removed, found.plan)
    (document,) = [
        json.dumps(each["PolicyDocument"], separators=(",", ":"))
        for each in after.attachments["inline-policy"]
        if each["PolicyName"] == DENY_ALL_NAME
    ]
    assert inline_fits(was, document)


@pytest.mark.parametrize(
    "refused", [pytest.param(("inline",), id="attached"), pytest.param(("inline", "attached"), id="boundary")]
)
def test_a_quarantine_by_the_aws_managed_policy_is_not_lifted(refused: tuple[str, ...]) -> None:
    held, known = in_quarantine(ALICE, refused)
    assert operations(revive(ALICE, held, known)) == []
    now, history = stopped_after(0, before=held, history=known, refused=refused)
    assert operations(revive(ALICE, now, history)) == []


def test_a_quarantine_that_was_released_keeps_no_deny_of_a_later_deletion_on() -> None:
    alice = holding(ALICE, access_key=(), service_specific_credential=())
    held, known = in_quarantine(alice, ("inline",))
    assert known.quarantine is not None
    release = plan_release(held, known.quarantine, known, None).plan
    since = known.with_calls([(call, "done") for call in release.calls], LATER + timedelta(days=1))
    free = apply(held, release)
    now, history = stopped_after(1, alice, before=free, refused=("inline",), history=since)
    assert operations(revive(alice, now, history)) == ["DetachUserPolicy"]


@pytest.mark.parametrize(
    ("taken_over", "named"),
    [
        pytest.param((), True, id="quarantined-again-after-somebody-removed-the-deny"),
        pytest.param(("CERT1",), False, id="in-quarantine"),
    ],
)
def test_what_comes_back_inactive_although_we_deactivated_it_is_named(
    taken_over: tuple[str, ...], named: bool
) -> None:
    held, known = in_quarantine(ALICE)
    record = {"since": LATER.isoformat(), "deactivated": list(taken_over)}
    snapshot = replace(SNAPSHOT, user=held, quarantine=record)
    found = plan_restoration(Recorded((snapshot,), known), state_with(None), TOKEN)
    notes = [note for note in found.notes if "they come back inactive" in note]
    assert [("signing certificate CERT1;" in note, "CERT2" in note) for note in notes] == (
        [(True, False)] * named
    )
    assert operations(found).count("UpdateSigningCertificate") == 1 + named


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param((), id="inline"),
        pytest.param(("inline",), id="attached"),
        pytest.param(("inline", "attached"), id="boundary"),
    ],
)
def test_a_user_still_in_quarantine_gets_no_active_credential(refused: tuple[str, ...]) -> None:
    held, known = in_quarantine(ALICE, refused)
    gone = [
        AppliedCall(BEGUN, "DeleteSigningCertificate", {"UserName": "alice", "CertificateId": each}, {})
        for each in ("CERT1", "CERT2")
    ]
    history = replace(known, calls=(*known.calls, *gone))
    record = quarantine_of(held, history)
    assert record is not None
    snapshot = replace(SNAPSHOT, user=held, quarantine=record.as_data())
    now = state_with(holding(held, signing_certificate=()), restored_ids=frozenset())
    found = plan_restoration(Recorded((snapshot,), history), now, TOKEN)
    # By the notes, a release names the one that a quarantine deactivated, and not the one that was inactive before.
    switches = [call for call in found.plan.calls if call.operation == "UpdateSigningCertificate"]
    assert [call.notes for call in switches] == [{}, {"for": "restoration"}]


def document(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **statement}]}


OWN = f"arn:aws:iam::{ACCOUNT}:policy"


@pytest.mark.parametrize(
    ("held", "detail", "ways"),
    [
        pytest.param({}, (), (), id="nothing"),
        pytest.param(
            {"attached_policy": ({"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},)},
            (),
            ("AdministratorAccess",),
            id="aws-managed",
        ),
        pytest.param(
            {"attached_policy": ({"PolicyArn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"},)},
            (),
            (),
            id="full-access-to-one-service",
        ),
        pytest.param(
            {"attached_policy": ({"PolicyArn": f"{OWN}/TeamAdmins"}, {"PolicyArn": f"{OWN}/Reader"})},
            (),
            tuple(
                f"{name}, perhaps: the snapshot does not have its document"
                for name in ("TeamAdmins", "Reader")
            ),
            id="own-of-unknown-documents",
        ),
        pytest.param(
            {"inline_policy": ({"PolicyName": "all", "PolicyDocument": document(Action="*")},)},
            (),
            ("all",),
            id="inline",
        ),
        pytest.param(
            {"inline_policy": ({"PolicyName": "s3", "PolicyDocument": document(Action="s3:*")},)},
            (),
            (),
            id="inline-of-one-service",
        ),
        pytest.param(
            {"group": groups("Ops")},
            (
                {
                    "GroupName": "Ops",
                    "GroupPolicyList": [{"PolicyName": "g", "PolicyDocument": document(Action="*")}],
                },
            ),
            ("g through group Ops",),
            id="group",
        ),
    ],
)
def test_administrators_are_known(
    held: dict[str, Any], detail: tuple[Any, ...], ways: tuple[str, ...]
) -> None:
    snapshot = replace(SNAPSHOT, user=user(**held), groups=detail)
    assert administrative(snapshot) == ways


def test_an_administrator_is_known_by_the_documents_and_not_by_a_name() -> None:
    plain, power = f"{OWN}/Administrators", f"{OWN}/Plain"
    of = user(attached_policy=({"PolicyArn": plain}, {"PolicyArn": power}))
    policies = (
        PolicyVersion.of(plain, "v1", document(Action="s3:*")),
        PolicyVersion.of(power, "v1", document(Action="*")),
    )
    assert administrative(replace(SNAPSHOT, user=of, groups=(), policies=policies)) == ("Plain",)


def test_a_living_user_whose_deny_is_lifted_already_gets_it_again_first() -> None:
    """A deletion that stopped right before DeleteUser, and could not set AWSDenyAll as the boundary."""
    calls = plan_deletion(ALICE, BEGUN, refused={"boundary": "AccessDenied"}).calls[:-1]
    now, history = stopped_after(len(calls), refused=("boundary",))
    assert not [item for item in now.attachments["inline-policy"] if item["PolicyName"] == DENY_ALL_NAME]
    found = revive(ALICE, now, history)
    first, last = found.plan.calls[0], found.plan.calls[-1]
    assert (first.operation, first.parameters["PolicyDocument"]) == (
        "PutUserPolicy",
        history.inline_denies()[0],
    )
    assert found.lifting == (last,)
    assert (last.operation, last.parameters["PolicyName"]) == ("DeleteUserPolicy", DENY_ALL_NAME)
    again = revive(ALICE, apply(now, Plan(ALICE.subject, (first,))), history)
    assert operations(again)[-1] == "DeleteUserPolicy"
    assert first not in again.plan.calls


@pytest.mark.parametrize(
    ("bound", "last"),
    [
        pytest.param((), "DeleteUserPermissionsBoundary", id="there-was-none"),
        pytest.param(
            ({"PermissionsBoundaryArn": BOUNDARY},), "PutUserPermissionsBoundary", id="there-was-another"
        ),
    ],
)
@pytest.mark.parametrize("left", [2, 1], ids=["under-both-denies", "under-the-boundary"])
def test_a_living_user_gets_the_boundary_back_that_its_deletion_replaced(
    bound: tuple[dict[str, str], ...], last: str, left: int
) -> None:
    was = holding(ALICE, permissions_boundary=bound)
    now, history = stopped_after(len(plan_deletion(was, BEGUN).calls) - left, was)
    assert now.attachments["permissions-boundary"] == ({"PermissionsBoundaryArn": DENY_ALL},)
    found = revive(was, now, history)
    given = found.plan.calls[-1]
    assert (given.operation, given.parameters.get("PermissionsBoundary", BOUNDARY)) == (last, BOUNDARY)
    assert [call.operation for call in found.lifting] == [*["DeleteUserPolicy"] * (left - 1), last]
    assert found.after.attachments["permissions-boundary"] == bound
