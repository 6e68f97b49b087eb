# SPDX-License-Identifier: Apache-2.0
"""Which users a policy denies everything, by the details of their account."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.lockout.denied_users import denying_policy, has_policies, is_denied

pytestmark = pytest.mark.pure

AWS_DENY_ALL, OWN = "arn:aws:iam::aws:policy/AWSDenyAll", "arn:aws:iam::111122223333:policy/own"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


ALLOW = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
DENY = {"Effect": "Deny", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize(
    ("held", "denied"),
    [
        pytest.param(document(DENY), True, id="everything"),
        pytest.param(document(ALLOW, DENY), True, id="beside-an-allow"),
        pytest.param(
            document({**DENY, "Action": ["s3:*", "*:*"], "Resource": ["arn:x", "*"]}), True, id="lists"
        ),
        pytest.param({"Statement": DENY}, True, id="one-statement"),
        pytest.param(document({**DENY, "Effect": "Allow"}), False, id="allowed"),
        pytest.param(document({**DENY, "Action": "s3:*"}), False, id="one-service"),
        pytest.param(document({**DENY, "Resource": "arn:aws:s3:::b"}), False, id="one-resource"),
        pytest.param(document({**DENY, "Condition": {"Bool": {"a:b": "true"}}}), False, id="on-a-condition"),
        pytest.param({}, False, id="no-statement"),
        pytest.param("{", False, id="no-json"),
        pytest.param(None, False, id="not-read"),
    ],
)
def test_a_policy_denies_every_action(held: Any, denied: bool) -> None:
    inline = {"PolicyName": "p", "PolicyDocument": held}
    source = PolicySource({"Ops": {"GroupPolicyList": [inline]}}, {OWN: held})
    attached = [{"PolicyName": "own", "PolicyArn": OWN}]
    assert denying_policy({"UserPolicyList": [inline]}, source) == ("inline policy p" if denied else "")
    assert denying_policy({"AttachedManagedPolicies": attached}, source) == (
        f"policy {OWN}" if denied else ""
    )
    assert denying_policy({"GroupList": ["Ops"]}, source) == (
        "inline policy p of group Ops" if denied else ""
    )
    assert is_denied({"GroupList": ["Ops"]}, source) is denied


@pytest.mark.parametrize(
    ("detail", "denied"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param(
            {"AttachedManagedPolicies": [{"PolicyArn": AWS_DENY_ALL}]}, f"policy {AWS_DENY_ALL}", id="aws"
        ),
        pytest.param({"AttachedManagedPolicies": [{"PolicyArn": OWN}]}, "", id="not-read"),
        pytest.param({"GroupList": ["Gone"]}, "", id="group-not-read"),
        pytest.param(
            {"PermissionsBoundary": {"PermissionsBoundaryArn": AWS_DENY_ALL}},
            f"permissions boundary {AWS_DENY_ALL}",
            id="aws-as-boundary",
        ),
        pytest.param({"PermissionsBoundary": {"PermissionsBoundaryArn": OWN}}, "", id="boundary-not-read"),
    ],
)
def test_aws_deny_all_needs_no_reading_and_what_is_not_read_denies_nothing(
    detail: dict[str, Any], denied: str
) -> None:
    assert denying_policy(detail, PolicySource()) == denied


@pytest.mark.parametrize(
    ("held", "denied"),
    [
        pytest.param(document(DENY), True, id="denies-everything"),
        pytest.param(document(ALLOW, DENY), True, id="denies-what-it-allows"),
        pytest.param(document({**DENY, "Action": "s3:*"}), True, id="allows-nothing"),
        pytest.param(document(), True, id="empty"),
        pytest.param(document(ALLOW), False, id="allows"),
        pytest.param("{", False, id="no-json"),
    ],
)
def test_a_boundary_denies_what_it_does_not_allow(held: Any, denied: bool) -> None:
    detail = {"PermissionsBoundary": {"PermissionsBoundaryArn": OWN}}
    assert is_denied(detail, PolicySource(policies={OWN: held})) is denied


@pytest.mark.parametrize(
    ("detail", "has"),
    [
        pytest.param({}, False, id="none"),
        pytest.param(
            {"PermissionsBoundary": {"PermissionsBoundaryArn": OWN}}, False, id="a-boundary-grants-nothing"
        ),
        pytest.param({"UserPolicyList": [{"PolicyName": "p"}]}, True, id="inline"),
        pytest.param({"AttachedManagedPolicies": [{"PolicyArn": OWN}]}, True, id="attached"),
        pytest.param({"GroupList": ["Empty"]}, False, id="group-without"),
        pytest.param({"GroupList": ["Empty", "Inline"]}, True, id="inline-of-group"),
        pytest.param({"GroupList": ["Attached"]}, True, id="attached-of-group"),
        pytest.param({"GroupList": ["Gone"]}, True, id="group-not-read"),
    ],
)
def test_who_has_any_policy(detail: dict[str, Any], has: bool) -> None:
    groups = {
        "Empty": {"GroupPolicyList": [], "AttachedManagedPolicies": []},
        "Inline": {"GroupPolicyList": [{"PolicyName": "p"}]},
        "Attached": {"AttachedManagedPolicies": [{"PolicyArn": OWN}]},
    }
    assert has_policies(detail, PolicySource(groups)) is has
