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
        pytest.param("iam:UpdateAccessKey", f"{A}:user/x", f"{A}:role/Dev", EXPLICIT_DENY, id="activate"),
        pytest.param("iam:UpdateAccessKey", f"{A}:user/x", f"{A}:role/Restorer", ALLOWED, id="by-spared"),
        pytest.param(
            "iam:UpdateLoginProfile", f"{A}:user/x", f"{A}:role/Dev", EXPLICIT_DENY, id="password-of-another"
        ),
        pytest.param(
            "iam:ResetServiceSpecificCredential", f"{A}:user/x", f"{A}:user/x", EXPLICIT_DENY, id="new-secret"
        ),
        pytest.param("iam:UploadCloudFrontPublicKey", "*", f"{A}:root", EXPLICIT_DENY, id="key-pair-of-root"),
        pytest.param("iam:DeleteAccessKey", f"{A}:user/x", f"{A}:role/Dev", ALLOWED, id="delete-a-key"),
        pytest.param("iam:PutUserPolicy", f"{A}:user/x", f"{A}:role/Dev", ALLOWED, id="deny-everything"),
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


def test_it_knows_all_that_creates_or_activates_a_credential() -> None:
    operations = create_loader().load_service_model("iam", "service-2")["operations"]
    names = tuple(
        kind.removals[0].operation.removeprefix("Delete") for kind in ATTACHMENT_KINDS if kind.credential
    )
    found = {
        f"iam:{each}"
        for each in operations
        if each.endswith(names) and not each.startswith(("Delete", "Get", "List"))
    }
    # no API has the key pairs of the root user
    key_pairs = {"iam:UpdateCloudFrontPublicKey", "iam:UploadCloudFrontPublicKey"}
    assert found | {"iam:CreateUser"} | key_pairs == set(CREATING)


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


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov"])
def test_it_fits(partition: str) -> None:
    names = tuple(f"{number:064}" for number in range(10))
    document = guardrail(names, ("stacksets-exec-*",), partition).document
    assert len(json.dumps(document, indent=2)) <= LONGEST
    with pytest.raises(
        InvalidPolicyData,
        match=r"has \d+ characters, .* can have 5120: give fewer roles by --spare and --admin",
    ):
        guardrail((*names, *(f"{number:064}" for number in range(10, 14))), (), partition)


def test_a_role_that_is_named_twice_takes_no_more_room() -> None:
    once, twice = (guardrail(("Restorer",) * times, ("Admin",) * times).document for times in (1, 2))
    assert once == twice


SLASHES = r"each part between slashes has letters, digits and _\+=,\.@-, and at least one of them"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        pytest.param("", SLASHES, id="empty"),
        pytest.param("x/", SLASHES, id="path-without-a-name"),
        pytest.param("/x", SLASHES, id="slash-at-the-beginning"),
        pytest.param("x//y", SLASHES, id="empty-part-of-the-path"),
        pytest.param("a b", SLASHES, id="space"),
        pytest.param("Admin\n", SLASHES, id="line-break"),
        pytest.param("r\u00f4le", SLASHES, id="not-ascii"),
        pytest.param("arn:aws:iam::1:role/x", SLASHES, id="arn"),
        pytest.param("a?", SLASHES, id="question-mark"),
        pytest.param('x"', SLASHES, id="quote"),
        pytest.param("*", "may not begin with", id="everything"),
        pytest.param("*Admin", "may not begin with", id="everything-that-ends-so"),
        pytest.param("a" * 65, "has 65 characters, and 64 are allowed", id="65-characters"),
        pytest.param("team/" + "a" * 200, "has 200 characters, and 64 are allowed", id="200-characters"),
        pytest.param("a" * 65 + "*", "has 65 characters, and 64 are allowed", id="65-characters-and-more"),
        pytest.param("a" * 511 + "/x", "path has 513 characters, and 512 are allowed", id="long-path"),
        pytest.param("aws-service-role/*", "no service control policy binds", id="service-linked"),
        pytest.param(
            "aws-service-role/x.amazonaws.com/Y", "no service control policy binds", id="one-of-these"
        ),
    ],
)
@pytest.mark.parametrize("option", ["--spare", "--admin"])
def test_what_is_no_name(name: str, rule: str, option: str) -> None:
    roles = ((name,), ()) if option == "--spare" else (("Restorer",), (name,))
    with pytest.raises(InvalidPolicyData, match=rf"(?s)^{option} .* is not the name of a role: .*{rule}"):
        guardrail(*roles)


@pytest.mark.parametrize(
    "name", ["a" * 64, "x/y", "a" * 510 + "/x", "emergency/*", "Iam*", "a.b+c=d,e@f-g_h"]
)
def test_what_is_a_name(name: str) -> None:
    assert f"arn:aws:iam::*:role/{name}" in json.dumps(guardrail((name,), ()).document)


@pytest.mark.parametrize("name", ["u*", "unlisted*", "x*"])
def test_a_name_that_the_check_itself_would_use(name: str) -> None:
    assert f"arn:aws:iam::*:role/{name}" in json.dumps(guardrail((name,), ("other*",)).document)


def test_an_admin_is_no_maker() -> None:
    """A name that is spared by a pattern and is an admin's by itself contradicts itself."""
    with pytest.raises(InvalidPolicyData, match="is allowed instead of explicitDeny"):
        guardrail(("Iam*",), ("IamAdmin",))


def test_another_partition() -> None:
    text = json.dumps(guardrail(("Restorer",), (), "aws-us-gov").document)
    assert "arn:aws-us-gov:iam::*:role/Restorer" in text
    assert "arn:aws:" not in text
