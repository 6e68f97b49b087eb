# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from botocore.loaders import create_loader

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.policy_comparison.comparison import Policies, grants_within
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, EXPLICIT_DENY, Request, decision
from c7n_iamusers.policy_comparison.principals import RequestContext
from c7n_iamusers.policy_comparison.statements import parse_policy
from c7n_iamusers.roles import guardrail as module
from c7n_iamusers.roles.guardrail import CHANGING, CREATING, LONGEST, guardrail

FULL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
A = "arn:aws:iam::111122223333"


@pytest.mark.parametrize(
    ("action", "resource", "principal", "wanted"),
    [
        pytest.param("iam:CreateAccessKey", f"{A}:user/x", f"{A}:role/Dev", EXPLICIT_DENY, id="a-role"),
        pytest.param("iam:createaccesskey", f"{A}:user/x", f"{A}:root", EXPLICIT_DENY, id="root"),
        pytest.param("iam:CreateUser", f"{A}:user/x", f"{A}:role/Restorer", ALLOWED, id="spared"),
        pytest.param("iam:CreateUser", f"{A}:user/x", f"{A}:role/team/Restorer", EXPLICIT_DENY, id="path"),
        pytest.param("iam:CreateUser", f"{A}:user/x", f"{A}:role/Restorer2", EXPLICIT_DENY, id="longer-name"),
        pytest.param("iam:CreateUser", f"{A}:user/x", f"{A}:user/Restorer", EXPLICIT_DENY, id="a-user"),
        pytest.param("iam:CreateUser", f"{A}:user/x", f"{A}:role/Admin", EXPLICIT_DENY, id="admin"),
        pytest.param(
            "iam:CreateRole", f"{A}:role/Restorer", f"{A}:role/Dev", EXPLICIT_DENY, id="to-become-one"
        ),
        pytest.param(
            "iam:PutRolePolicy", f"{A}:role/Admin", f"{A}:role/Dev", EXPLICIT_DENY, id="admins-role"
        ),
        pytest.param("iam:PutRolePolicy", f"{A}:role/Restorer", f"{A}:role/Admin", ALLOWED, id="by-admin"),
        pytest.param("iam:CreateRole", f"{A}:role/Dev", f"{A}:role/Dev", ALLOWED, id="another-role"),
        pytest.param("iam:UpdateAccessKey", f"{A}:user/x", f"{A}:role/Dev", ALLOWED, id="deactivate"),
        pytest.param("iam:ChangePassword", f"{A}:user/x", f"{A}:user/x", ALLOWED, id="own-password"),
        pytest.param("s3:GetObject", "arn:aws:s3:::b/k", f"{A}:role/Dev", ALLOWED, id="anything-else"),
    ],
)
def test_what_it_denies(action: str, resource: str, principal: str, wanted: str) -> None:
    document = guardrail(("Restorer",), ("Admin",)).document
    request = Request(action, resource, {"aws:principalarn": principal})
    assert decision(request, (FULL, document)) == wanted


@pytest.mark.parametrize(
    ("role", "within"),
    [
        pytest.param("role/Dev", True, id="stranger"),
        pytest.param("root", True, id="root"),
        pytest.param("role/Admin", True, id="admin"),
        pytest.param("role/Restorer", False, id="spared"),
    ],
)
def test_no_request_at_all_makes_a_credential(role: str, within: bool) -> None:
    """The comparison of policies proves it over all requests, not only for those that are tried."""
    document = guardrail(("Restorer",), ("Admin",)).document
    bounded = Policies((*parse_policy(FULL, "full"), *parse_policy(document, "guardrail")))
    rest = {"Effect": "Allow", "NotAction": list(CREATING), "Resource": "*"}
    other = Policies(parse_policy({"Version": "2012-10-17", "Statement": [rest]}, "rest"))
    context = RequestContext({"aws:principalarn": frozenset({f"{A}:{role}"})})
    assert grants_within(bounded, other, context) == within


def test_roles_of_permission_sets_can_be_spared() -> None:
    name = "aws-reserved/sso.amazonaws.com/*AWSReservedSSO_Admin_*"
    document = guardrail((name,), ()).document
    role = f"{A}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef"
    request = Request("iam:CreateUser", f"{A}:user/x", {"aws:principalarn": role})
    assert decision(request, (FULL, document)) == ALLOWED


def test_it_knows_how_each_kind_of_credential_is_made() -> None:
    operations = create_loader().load_service_model("iam", "service-2")["operations"]
    for kind in ATTACHMENT_KINDS:
        if kind.credential:
            name = kind.removals[0].operation.removeprefix("Delete")
            making = {f"iam:{verb}{name}" for verb in ("Create", "Upload") if f"{verb}{name}" in operations}
            assert making
            assert making <= set(CREATING)


def test_it_knows_all_that_changes_a_role() -> None:
    operations = create_loader().load_service_model("iam", "service-2")["operations"]
    found = {
        f"iam:{name}"
        for name in operations
        if "Role" in name and not name.startswith(("Get", "List", "Accept")) and "ServiceLinked" not in name
    }
    # an instance profile passes the role to machines, if the role trusts them
    assert found - {"iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile"} == set(CHANGING)


def test_a_policy_that_does_not_what_it_must_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    found = guardrail(("Restorer",), ())
    assert found.checks > 50
    monkeypatch.setattr(module, "_deny", lambda *_: FULL["Statement"][0])
    with pytest.raises(
        InvalidPolicyData, match=r"iam:CreateAccessKey on .* is allowed instead of explicitDeny"
    ):
        guardrail(("Restorer",), ())


def test_it_fits() -> None:
    names = tuple(f"SomeRoleOfALongName{number}" for number in range(12))
    assert len(json.dumps(guardrail(names, ()).document, indent=2)) <= LONGEST
    with pytest.raises(InvalidPolicyData, match=r"has \d+ characters, .* can have 5120: name fewer roles"):
        guardrail(tuple(f"{each}{number}" for each in names for number in range(9)), ())


@pytest.mark.parametrize("name", ["", "*", "*Admin", "a b", "arn:aws:iam::1:role/x", "a?", 'x"'])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidPolicyData, match="is not the name of a role"):
        guardrail((name,), ())


def test_an_admin_is_no_maker() -> None:
    """A name that is spared by a pattern and is an admin's by itself contradicts itself."""
    with pytest.raises(InvalidPolicyData, match="is allowed instead of explicitDeny"):
        guardrail(("Iam*",), ("IamAdmin",))


def test_another_partition() -> None:
    text = json.dumps(guardrail(("Restorer",), (), "aws-us-gov").document)
    assert "arn:aws-us-gov:iam::*:role/Restorer" in text
    assert "arn:aws:" not in text
