# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections import defaultdict

import pytest
from botocore.loaders import create_loader
from click.testing import CliRunner

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.policy_comparison.comparison import Policies, grants_within
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, EXPLICIT_DENY, Request, decision
from c7n_iamusers.policy_comparison.principals import RequestContext
from c7n_iamusers.policy_comparison.statements import parse_policy
from c7n_iamusers.roles import guardrail as module
from c7n_iamusers.roles.guardrail import CHANGING, CREATING, FORMERLY_LONGEST, LONGEST, Ours, guardrail
from c7n_iamusers_cli.main import main

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


FUNCTION_ARN = "arn:aws:lambda:us-east-1:111122223333:function:custodian-iam-users-realtime"
RULE_ARN = "arn:aws:events:us-east-1:111122223333:rule/custodian-iam-users-realtime"
QUEUE_ARN = "arn:aws:sqs:us-east-1:111122223333:iam-users-realtime"
TRAIL_ARN = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main"
CHANGES = [
    *((f"lambda:{each}", FUNCTION_ARN) for each in ("UpdateFunctionCode", "UpdateFunctionConfiguration")),
    *((f"lambda:{each}", FUNCTION_ARN) for each in ("InvokeFunction", "InvokeFunctionUrl", "AddPermission")),
    *((f"lambda:{each}", FUNCTION_ARN) for each in ("DeleteFunction", "PutFunctionConcurrency")),
    *((f"lambda:{each}", FUNCTION_ARN) for each in ("PutFunctionEventInvokeConfig", "CreateFunction")),
    *((f"events:{each}", RULE_ARN) for each in ("DisableRule", "PutRule", "PutTargets", "RemoveTargets")),
    *((f"sqs:{each}", QUEUE_ARN) for each in ("SetQueueAttributes", "PurgeQueue", "DeleteQueue")),
    *((f"cloudtrail:{each}", TRAIL_ARN) for each in ("StopLogging", "PutEventSelectors", "DeleteTrail")),
    ("iam:PassRole", f"{A}:role/Function"),
    ("iam:UpdateAssumeRolePolicy", f"{A}:role/Function"),
]


@pytest.mark.parametrize(("action", "resource"), CHANGES)
def test_nobody_but_the_deployer_changes_what_is_ours(action: str, resource: str) -> None:
    document = guardrail(("Restorer",), ("Admin",), ours=Ours(("Function",), trails=("main",))).document
    decided = {
        name: decision(Request(action, resource, {"aws:principalarn": f"{A}:{name}"}), (FULL, document))
        for name in ("role/Dev", "root", "user/x", "role/Function", "role/Restorer", "role/IamUsersDeployer")
    }
    deployer, restorer = decided.pop("role/IamUsersDeployer"), decided.pop("role/Restorer")
    assert set(decided.values()) == {EXPLICIT_DENY}
    of_roles = action == "iam:UpdateAssumeRolePolicy"
    assert (deployer, restorer) == ((EXPLICIT_DENY, ALLOWED) if of_roles else (ALLOWED, EXPLICIT_DENY))


@pytest.mark.parametrize(
    ("action", "resource", "principal"),
    [
        pytest.param("lambda:GetFunction", FUNCTION_ARN, "role/Dev", id="reading"),
        pytest.param("lambda:UpdateFunctionCode", f"{FUNCTION_ARN[:-20]}mine", "role/Dev", id="another"),
        pytest.param("sqs:SendMessage", QUEUE_ARN, "role/Function", id="sending"),
        pytest.param("sqs:DeleteMessage", QUEUE_ARN, "role/Runner", id="forwarding"),
        pytest.param("iam:PassRole", f"{A}:role/Dev", "role/Dev", id="another-role"),
        pytest.param("iam:CreateUser", f"{A}:user/x", "role/Restorer", id="restoring"),
    ],
)
def test_all_else_goes_on(action: str, resource: str, principal: str) -> None:
    document = guardrail(("Restorer",), (), ours=Ours(("Function",), trails=("main",))).document
    request = Request(action, resource, {"aws:principalarn": f"{A}:{principal}"})
    assert decision(request, (FULL, document)) == ALLOWED


@pytest.mark.parametrize("place", ["", "*", "a b", "arn:aws:sqs:us-east-1:111122223333:x", 'x"'])
@pytest.mark.parametrize("option", ["queue", "trail"])
def test_what_is_no_name_of_a_place(place: str, option: str) -> None:
    ours = Ours(**{f"{option}s": (place,)})
    with pytest.raises(InvalidPolicyData, match=f"^--{option} .* is not the name of a {option}"):
        guardrail(("Restorer",), (), ours=ours)


def test_who_is_protected_is_not_spared() -> None:
    document = guardrail(("Restorer",), (), ours=Ours(("Function",))).document
    request = Request("iam:CreateUser", f"{A}:user/x", {"aws:principalarn": f"{A}:role/Function"})
    assert decision(request, (FULL, document)) == EXPLICIT_DENY


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
    names = tuple(f"{number:064}" for number in range(20))
    ours = Ours(("IamUsersRealtime", "IamUsersRealtimeQuarantine"), trails=("main",))
    usual = guardrail(("IamUsersRemover", "IamUsersRestorer"), ("stacksets-exec-*",), partition, ours)
    assert usual.length <= FORMERLY_LONGEST
    found = guardrail(names, ("stacksets-exec-*",), partition, ours)
    assert FORMERLY_LONGEST < found.length == len(json.dumps(found.document, indent=2)) <= LONGEST
    with pytest.raises(
        InvalidPolicyData, match=r"has \d+ characters, .* can have 10240: give fewer roles, or roles with"
    ):
        guardrail((*names, *(f"{number:064}" for number in range(20, 40))), (), partition)


@pytest.mark.parametrize(
    ("length", "warns"), [pytest.param(2, False, id="short"), pytest.param(12, True, id="long")]
)
def test_a_policy_that_some_pages_call_too_long_is_told(length: int, warns: bool) -> None:
    spared = [each for number in range(length) for each in ("--spare", f"{number:064}")]
    result = CliRunner().invoke(main, ["guardrail", "--no-admin", *spared])
    assert result.exit_code == 0
    assert ("AWS takes 10240 since May 2026" in result.stderr) == warns


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
@pytest.mark.parametrize("option", ["--spare", "--admin", "--protect", "--deployer"])
def test_what_is_no_name(name: str, rule: str, option: str) -> None:
    given = {each: (name,) if each == option else () for each in ("--spare", "--admin", "--protect")}
    ours = Ours(given["--protect"], (name,) if option == "--deployer" else ("Deployer",))
    with pytest.raises(InvalidPolicyData, match=rf"(?s)^{option} .* is not the name of a role: .*{rule}"):
        guardrail(given["--spare"] or ("Restorer",), given["--admin"], ours=ours)


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


def test_each_kind_of_request_is_checked_before_the_policy_is_given() -> None:
    """By a user, the root user and a role that is not named, and by the named roles."""
    ours = Ours(("Passed",), deployers=("Deployer",))
    prefix = f"arn:aws:iam::{module._ACCOUNT}:"
    found = defaultdict[tuple[str, str, str], set[str]](set)
    for case in module._cases(("Maker",), ("Admin",), "aws", ours):
        key = (case.action, case.resource.removeprefix(prefix), case.wanted)
        found[key].add(case.principal.removeprefix(f"{prefix}role/").removeprefix(prefix))
    others, keepers = {"user/someone", "unlisted-role", "root"}, {"Maker", "Admin"}
    deployers = {"Deployer", "Admin"}
    protected = [f"role/{each}" for each in ("Maker", "Admin", "Passed", "Deployer")]
    function, queue, made = (
        "arn:aws:lambda:example:example:function:custodian-",
        "arn:aws:sqs:example:example:iam-users-realtime",
        "user/someone",
    )
    denied = {
        ("iam:CreateAccessKey", made): others | {"Admin"},
        **{("iam:UpdateAssumeRolePolicy", each): others for each in protected},
        ("lambda:Updateexample", f"{function}iam-users-example"): others,
        ("sqs:DeleteQueue", queue): others,
        ("iam:PassRole", "role/Passed"): others,
    }
    allowed = {
        ("iam:CreateAccessKey", made): {"Maker"},
        ("iam:UpdateAssumeRolePolicy", "role/unlisted-role"): {"user/someone"},
        **{("iam:UpdateAssumeRolePolicy", each): keepers for each in protected},
        ("lambda:Updateexample", f"{function}iam-users-example"): deployers,
        ("sqs:DeleteQueue", queue): deployers,
        ("iam:PassRole", "role/Passed"): deployers,
        ("lambda:Updateexample", f"{function}others-example"): others,
        ("iam:PassRole", "role/unlisted-role"): others,
        ("iam:DeleteAccessKey", made): others,
        ("iam:PutUserPolicy", made): others,
    }
    for decided, wanted in (("explicitDeny", denied), ("allowed", allowed)):
        actions = {action for action, _ in wanted}
        assert {
            key[:2]: who for key, who in found.items() if key[2] == decided and key[0] in actions
        } == wanted
