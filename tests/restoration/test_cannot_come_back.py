# SPDX-License-Identifier: Apache-2.0
"""The rights with groups that are made again."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.restoration.cannot_come_back import CurrentState, rights_with_groups
from c7n_iamusers.restoration.rights import CurrentRights
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.records import groups, user

pytestmark = pytest.mark.pure

OWN, GONE = (f"arn:aws:iam::111122223333:policy/{name}" for name in ("Own", "Gone"))
INLINE = {"PolicyName": "own", "PolicyDocument": {}}
BARE = {"GroupName": "Ops", "Path": "/"}
WHOLE: dict[str, Any] = {
    **BARE,
    "GroupPolicyList": [INLINE],
    "AttachedManagedPolicies": [{"PolicyArn": OWN}, {"PolicyArn": GONE}],
}
MORE = {"PolicyName": "more", "PolicyDocument": {}}


@pytest.mark.parametrize(
    ("details", "now", "inline", "attached"),
    [
        pytest.param((WHOLE,), None, [INLINE], [OWN], id="with-policies-that-exist"),
        pytest.param((), None, [], [], id="of-which-nothing-is-known"),
        pytest.param((BARE,), None, [], [], id="without-policies"),
        pytest.param((WHOLE,), BARE, [INLINE], [OWN], id="begun-without-any"),
        pytest.param((WHOLE,), {**BARE, "GroupPolicyList": [INLINE]}, [INLINE], [OWN], id="begun-with-one"),
        pytest.param(
            (WHOLE,), {**WHOLE, "GroupPolicyList": [MORE]}, [MORE, INLINE], [OWN, GONE], id="others-added-one"
        ),
    ],
)
def test_groups_have_the_policies_that_they_get(details: Any, now: Any, inline: Any, attached: Any) -> None:
    known = Snapshot(user(group=groups("Ops")), "2026-11-24T00:00:00+00:00", "0" * 64, groups=details)
    rights = CurrentRights({OWN: PolicyVersion.of(OWN, "v1", {})}, {"Ops": now} if now else {})
    ours = frozenset({"Ops"} if now else ())
    current = CurrentState(None, rights=rights, memberless=ours, own_groups=ours)
    found = rights_with_groups(known, current).groups["Ops"]
    assert found["GroupPolicyList"] == inline
    assert [each["PolicyArn"] for each in found["AttachedManagedPolicies"]] == attached
