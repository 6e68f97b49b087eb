# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.restoration.rights import CurrentRights, RightsChange, rights_change, user_after
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.records import ACCOUNT, groups, user

pytestmark = pytest.mark.pure

OWN = f"arn:aws:iam::{ACCOUNT}:policy/Team"
LIMIT = f"arn:aws:iam::{ACCOUNT}:policy/Limit"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def statement(action: str | list[str], effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": "*", **more}


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def version(arn: str, *statements: Mapping[str, Any], number: str = "v1") -> PolicyVersion:
    return PolicyVersion.of(arn, number, document(*statements))


def group(
    *inline: Mapping[str, Any], attached: tuple[str, ...] = (), unique_id: str = "AGPA1"
) -> dict[str, Any]:
    return {
        "GroupName": "Ops",
        "GroupId": unique_id,
        "Path": "/",
        "GroupPolicyList": [{"PolicyName": "own", "PolicyDocument": document(*inline)}] if inline else [],
        "AttachedManagedPolicies": [{"PolicyArn": arn} for arn in attached],
    }


#: A user with a policy of its own, one of AWS, one inline, a boundary, and a group that denies.
MFA = statement("*", "Deny", Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})
SELF = {
    "Effect": "Allow",
    "Action": "iam:ChangePassword",
    "Resource": f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}",
}
STRANGE = statement("sns:*", Condition={"StringFuzzy": {"aws:who-knows": "x"}})
ALICE = user(
    attached_policy=({"PolicyArn": OWN}, {"PolicyArn": READ_ONLY}),
    inline_policy=({"PolicyName": "self", "PolicyDocument": document(SELF, STRANGE)},),
    permissions_boundary=({"PermissionsBoundaryArn": LIMIT},),
    group=groups("Ops"),
    tags={"team": "a"},
)
GROUP = group(statement("iam:*", "Deny"), statement("ec2:*"), MFA)
POLICIES = {
    OWN: version(OWN, statement(["s3:GetObject", "s3:PutObject"])),
    READ_ONLY: version(READ_ONLY, statement(["s3:List*", "ec2:Describe*"])),
    LIMIT: version(
        LIMIT, statement(["s3:*", "ec2:*", "iam:ChangePassword"]), statement("s3:Delete*", "Deny")
    ),
}
NOW = CurrentRights(POLICIES, {"Ops": GROUP})


def snapshot(of: IamUser = ALICE, known: Mapping[str, PolicyVersion] | None = None) -> Snapshot:
    held = tuple((POLICIES if known is None else known).values())
    return Snapshot(of, "2026-11-24T00:00:00+00:00", "0" * 64, groups=(GROUP,), policies=held)


def changed(
    *versions: PolicyVersion, ops: Mapping[str, Any] | None = GROUP, of: IamUser = ALICE, **options: Any
) -> RightsChange:
    """The change if ``versions`` are the policies of today, and ``ops`` the group; None if it is gone."""
    now = CurrentRights({**POLICIES, **{each.arn: each for each in versions}}, {"Ops": ops} if ops else {})
    was = snapshot(of)
    after = user_after(was, None, of.attachments["permissions-boundary"], now)
    return rights_change(was, after, now, **options)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(changed(), id="nothing-changed"),
        pytest.param(changed(version(OWN, statement("s3:GetObject"), number="v2")), id="narrower-policy"),
        pytest.param(
            changed(version(OWN, statement("s3:GetObject"), statement("s3:PutObject"))), id="other-words"
        ),
        pytest.param(
            changed(version(OWN, statement(["s3:*"]), statement("s3:*", "Deny"))), id="wider-and-denied"
        ),
        pytest.param(
            changed(version(LIMIT, statement("s3:*"), statement("s3:Delete*", "Deny"))), id="tighter"
        ),
        pytest.param(
            changed(version(OWN, statement(["s3:GetObject", "s3:PutObject", "lambda:*"]))),
            id="wider-outside-the-boundary",
        ),
        pytest.param(
            changed(version(OWN, statement(["s3:GetObject", "s3:PutObject", "iam:ChangePassword"]))),
            id="wider-and-the-group-denies-it",
        ),
        pytest.param(
            changed(
                ops=group(statement("iam:*", "Deny"), statement("ec2:*"), MFA, statement("sqs:*", "Deny"))
            ),
            id="one-more-deny",
        ),
        pytest.param(changed(ops=group(statement("*", "Deny"), MFA)), id="a-wider-deny-in-its-place"),
        pytest.param(
            changed(ops={**GROUP, "GroupId": "AGPA2"}, own_groups=frozenset({"Ops"})), id="group-is-ours"
        ),
    ],
)
def test_rights_that_are_no_wider_are_given_back(found: RightsChange) -> None:
    assert found == RightsChange()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(
            changed(version(OWN, statement("s3:*"), number="v2")),
            ["newly allowed: s3:", "new statement: policy Team, statement 1", '"s3:*"'],
            id="new-version-of-its-own-policy",
        ),
        pytest.param(
            changed(ops=group(statement("iam:*", "Deny"), statement("ec2:*"), MFA, statement("s3:*"))),
            ["newly allowed: s3:", "inline policy own of group Ops, statement 4"],
            id="group-allows-more",
        ),
        pytest.param(
            changed(
                version(ADMINISTRATOR, statement("*")),
                ops=group(statement("iam:*", "Deny"), MFA, attached=(ADMINISTRATOR,)),
            ),
            [
                "by policy AdministratorAccess of group Ops",
                "new statement: policy AdministratorAccess of group Ops",
            ],
            id="group-became-administrator",
        ),
        pytest.param(
            changed(ops={**GROUP, "GroupId": "AGPA2"}),
            ["group Ops is another one: it was AGPA1, and AGPA2 has the name now"],
            id="group-of-somebody-else",
        ),
        pytest.param(
            changed(ops=group(statement("ec2:*"), MFA)),
            ["no longer denied: inline policy own of group Ops, statement 1", '"iam:*"'],
            id="deny-of-the-group-is-gone",
        ),
        pytest.param(
            changed(ops=None), ["no longer denied: inline policy own of group Ops"], id="group-is-gone"
        ),
        pytest.param(
            changed(ops=group(statement("iam:Create*", "Deny"), statement("ec2:*"), MFA)),
            ["no longer denied"],
            id="narrower-deny",
        ),
        pytest.param(
            changed(version(LIMIT, statement("*"), statement("s3:Delete*", "Deny"))),
            ["newly allowed", "new statement: permissions boundary Limit, statement 1"],
            id="wider-boundary",
        ),
        pytest.param(
            changed(version(LIMIT, statement(["s3:*", "ec2:*", "iam:ChangePassword"]))),
            ["no longer denied: permissions boundary Limit, statement 2"],
            id="deny-of-the-boundary-is-gone",
        ),
    ],
)
def test_wider_rights_are_named(found: RightsChange, words: list[str]) -> None:
    assert (found.unknown, found.by_aws) == ((), ())
    for word in words:
        assert [line for line in found.wider if word in line], (word, found.wider)


def test_what_is_allowed_as_before_is_not_told_as_new_although_it_cannot_be_judged() -> None:
    of = user(
        inline_policy=({"PolicyName": "own", "PolicyDocument": document(STRANGE)},), group=groups("Ops")
    )
    found = changed(ops=group(statement("iam:*", "Deny"), statement("ec2:*"), MFA, statement("s3:*")), of=of)
    assert [line for line in found.wider if "newly allowed: s3:" in line]
    assert not [line for line in found.wider if "sns:" in line]


def test_a_deny_counts_even_where_no_policy_of_the_user_allows_what_it_denies() -> None:
    """A bucket's own policy may allow it."""
    bare = user(group=groups("Ops"))
    found = changed(ops=group(statement("ec2:*"), MFA), of=bare)
    assert [line for line in found.wider if "no longer denied" in line]


def test_without_its_boundary_a_user_could_do_more() -> None:
    was = snapshot()
    after = user_after(was, None, (), NOW)
    found = rights_change(was, after, NOW).wider
    assert "it would no longer have a permissions boundary" in found


def test_what_aws_added_is_apart_from_what_people_changed() -> None:
    more = version(READ_ONLY, statement(["s3:List*", "ec2:Describe*", "s3:Get*"]), number="v9")
    found = changed(more)
    assert (found.wider, found.unknown) == ((), ())
    assert [line for line in found.by_aws if "new statement: policy ReadOnlyAccess" in line]
    both = changed(more, version(OWN, statement("s3:*")))
    assert [line for line in both.wider if "policy Team" in line]
    assert not [line for line in both.wider if "ReadOnlyAccess" in line]


def test_of_a_statement_that_grew_only_what_is_new_is_shown() -> None:
    names = [f"s3:Get{number}" for number in range(500)]
    was = snapshot(known={**POLICIES, READ_ONLY: version(READ_ONLY, statement(names))})
    now = CurrentRights(
        {**POLICIES, READ_ONLY: version(READ_ONLY, statement([*names, "s3:GetMore"]))}, NOW.groups
    )
    found = rights_change(was, user_after(was, None, ALICE.attachments["permissions-boundary"], now), now)
    (shown,) = (line for line in found.by_aws if line.startswith("new statement"))
    assert shown.endswith(': {"Effect": "Allow", "Action": ["s3:getmore"], "Resource": ["*"]}')


def test_a_deny_that_was_lost_since_the_deletion_began_is_missing() -> None:
    bare = replace(ALICE, attachments={**ALICE.attachments, "group": ()})
    was = replace(snapshot(bare), groups=())
    after = user_after(was, None, ALICE.attachments["permissions-boundary"], NOW)
    assert rights_change(was, after, NOW) == RightsChange()
    found = rights_change(was, after, NOW, begun=snapshot())
    assert [line for line in found.wider if "no longer denied: inline policy own of group Ops" in line]


def test_a_policy_of_aws_that_somebody_attached_since_is_not_what_aws_added() -> None:
    found = changed(version(ADMINISTRATOR, statement("*")), ops={**GROUP, **group(attached=(ADMINISTRATOR,))})
    assert [line for line in found.wider if "AdministratorAccess" in line]
    assert found.by_aws == ()


@pytest.mark.parametrize(
    ("was", "now", "word"),
    [
        pytest.param(replace(snapshot(), policies=None), NOW, "has no documents of policies", id="not-read"),
        pytest.param(
            snapshot(known={arn: each for arn, each in POLICIES.items() if arn != OWN}),
            NOW,
            f"the snapshot has no document of {OWN}",
            id="a-document-is-missing",
        ),
        pytest.param(
            replace(snapshot(), groups=()),
            NOW,
            "the snapshot has no policies of group Ops",
            id="a-group-is-missing",
        ),
        pytest.param(
            snapshot(),
            CurrentRights({arn: each for arn, each in POLICIES.items() if arn != LIMIT}, NOW.groups),
            f"policy {LIMIT} no longer exists",
            id="boundary-is-gone",
        ),
        pytest.param(
            snapshot(),
            CurrentRights({**POLICIES, OWN: PolicyVersion(OWN, "v2", "{}")}, NOW.groups),
            "policy Team: a policy without Statement",
            id="no-policy",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(was: Snapshot, now: CurrentRights, word: str) -> None:
    found = rights_change(was, user_after(was, None, ALICE.attachments["permissions-boundary"], now), now)
    assert found.wider == found.by_aws == ()
    assert [line for line in found.unknown if word in line]


def test_what_is_known_is_compared_although_something_else_is_not() -> None:
    was = replace(snapshot(), policies=None)
    now = CurrentRights(
        {**POLICIES, ADMINISTRATOR: version(ADMINISTRATOR, statement("*"))},
        {"Ops": group(statement("ec2:*"), MFA, attached=(ADMINISTRATOR,))},
    )
    found = rights_change(was, user_after(was, None, ALICE.attachments["permissions-boundary"], now), now)
    assert found.unknown
    for word in (
        "no longer denied: inline policy own of group Ops",
        "new statement: policy AdministratorAccess",
    ):
        assert [line for line in found.wider if word in line], found.wider


def test_rights_that_depend_on_the_unique_id_are_not_taken_for_the_same() -> None:
    condition = {"StringEquals": {"aws:userid": ALICE.unique_id}}
    denied = statement("s3:*", "Deny", Condition=condition)
    of = user(inline_policy=({"PolicyName": "own", "PolicyDocument": document(statement("*"), denied)},))
    was = Snapshot(of, "2026-11-24T00:00:00+00:00", "0" * 64, policies=())
    now = CurrentRights()
    assert rights_change(was, user_after(was, None, (), now), now).wider
    living = user_after(was, replace(of, attachments={**of.attachments, "inline-policy": ()}), (), now)
    assert rights_change(was, living, now) == RightsChange()


def test_a_snapshot_with_more_denies_than_any_user_has_takes_no_time() -> None:
    """Each is compared with all others."""
    denies = [
        statement(f"s3:a{number}*", "Deny", Condition={"StringLike": {"aws:userid": f"*{number}*"}})
        for number in range(501)
    ]
    of = user(inline_policy=({"PolicyName": "own", "PolicyDocument": document(*denies)},))
    was = Snapshot(of, "2026-11-24T00:00:00+00:00", "0" * 64, policies=())
    now = CurrentRights()
    found = rights_change(was, user_after(was, None, (), now), now)
    assert found == RightsChange(unknown=("it has 501 Denies, and at most 500 are compared",))


def test_what_belongs_to_the_new_unique_id_is_the_new_users_own() -> None:
    own = statement("redshift-data:*", Condition={"StringEquals": {"redshift-data:owner": "${aws:userid}"}})
    of = user(inline_policy=({"PolicyName": "own", "PolicyDocument": document(own)},))
    was = Snapshot(of, "2026-11-24T00:00:00+00:00", "0" * 64, policies=())
    assert rights_change(was, user_after(was, None, (), CurrentRights()), CurrentRights()) == RightsChange()


def test_what_a_living_user_was_given_since_counts() -> None:
    was = snapshot()
    inline = ({"PolicyName": "since", "PolicyDocument": document(statement("ec2:*"), statement("s3:*"))},)
    now = replace(ALICE, attachments={**ALICE.attachments, "inline-policy": inline, "group": ()})
    found = rights_change(was, user_after(was, now, ALICE.attachments["permissions-boundary"], NOW), NOW)
    assert [line for line in found.wider if "inline policy since, statement 2" in line]


def test_only_what_was_not_shown_is_new() -> None:
    shown = RightsChange(("a", "b"), by_aws=("c",))
    assert RightsChange(("a",), by_aws=("c",)).beyond(shown) == ()
    assert RightsChange(("a", "d"), ("e",), ("f",)).beyond(shown) == ("d", "e", "f")
