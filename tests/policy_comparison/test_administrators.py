# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import json
import os
import random
import string
import sys
from typing import Any
from urllib.parse import quote

import pytest

from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.policy_comparison.administrators import (
    admin_policies,
    escalating_actions,
    escalations,
    is_admin,
    unknown,
)
from c7n_iamusers.policy_comparison.aws_managed import AWS_MANAGED
from c7n_iamusers.policy_comparison.aws_managed_not_escalating import HARMLESS
from c7n_iamusers.policy_comparison.comparison import EQUAL, Policies, compare
from c7n_iamusers.policy_comparison.escalation_paths import (
    _TYPES,
    ALL_ESCALATING,
    ESCALATION_PATHS,
    TYPES,
    _types_of,
)
from c7n_iamusers.policy_comparison.principals import RequestContext
from c7n_iamusers.policy_comparison.statements import parse_policy
from c7n_iamusers.text.wording import shown
from tests.policy_comparison.aws_managed import documents

MANAGED = "arn:aws:iam::aws:policy/"
OWN = "arn:aws:iam::111122223333:policy/own"


def document(action: Any = "*", resource: Any = "*", effect: str = "Allow", **rest: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": action, "Resource": resource, **rest}
    return {"Statement": {key: value for key, value in statement.items() if value is not None}}


@pytest.mark.parametrize(
    ("given", "admin"),
    [
        pytest.param(document(), True, id="everything"),
        pytest.param(document(["s3:Get*", "*"], ["arn:aws:s3:::x", "*"]), True, id="among-others"),
        pytest.param(document("*:*"), True, id="star-colon-star"),
        pytest.param(document("IAM:*"), True, id="all-of-iam-in-capitals"),
        pytest.param(document(["iam:C*", "iam:*"]), True, id="all-of-iam-among-others"),
        pytest.param(document(resource="arn:aws:*"), True, id="every-arn"),
        pytest.param(document(resource="arn:*:*:*:*:*"), True, id="every-arn-spelled-out"),
        pytest.param(
            document(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}), True, id="with-mfa"
        ),
        pytest.param(document(None, NotAction="s3:*"), True, id="all-but-s3"),
        pytest.param(document(None, NotAction=["iam:*", "organizations:*"]), False, id="all-but-iam"),
        pytest.param(document(None, NotAction="I*:Create*"), False, id="all-but-some-of-iam"),
        pytest.param(document(None, NotAction="*"), False, id="nothing"),
        pytest.param(document(effect="Deny"), False, id="deny"),
        pytest.param(document(effect="allow"), True, id="effect-in-lower-case"),
        pytest.param(document("s3:*"), False, id="one-service"),
        pytest.param(document("iam:Create*"), False, id="some-of-iam"),
        pytest.param(document("iam:CreateUser"), False, id="one-action"),
        pytest.param(document("iamx:*"), False, id="another-service"),
        pytest.param(document(resource="arn:aws:s3:::*"), False, id="every-bucket"),
        pytest.param(document(resource="arn:aws:iam::*:user/${aws:username}"), False, id="oneself"),
        pytest.param(document(resource=""), False, id="no-resource"),
        pytest.param(
            document(None, NotAction="s3:*", resource=None, NotResource="x"),
            True,
            id="all-but-s3-and-a-resource",
        ),
        pytest.param(
            document(resource=None, NotResource="arn:aws:s3:::logs/*"), True, id="all-but-some-resources"
        ),
        pytest.param(
            document(resource=None, NotResource="arn:aws:iam::*:*"), False, id="all-but-resources-of-iam"
        ),
        pytest.param(document(None, NotAction="iam:GetUser"), True, id="all-but-one-that-reads"),
        pytest.param(document("iam:*", "arn:aws:iam::111122223333:*"), True, id="all-of-iam-in-the-account"),
        pytest.param(
            document(
                "iam:*",
                [f"arn:aws:iam::111122223333:{each}/*" for each in ("user", "group", "role", "policy")],
            ),
            True,
            id="all-of-iam-by-type",
        ),
        pytest.param(document("iam:*", "arn:aws:iam::*:user/*"), False, id="all-of-iam-on-users"),
        pytest.param(document(["iam:?*", "iam:a*"]), True, id="all-of-iam-otherwise-spelled"),
        pytest.param({"Statement": []}, False, id="empty"),
        pytest.param(json.dumps(document()), True, id="text"),
        pytest.param(quote(json.dumps(document())), True, id="url-encoded"),
        *(
            pytest.param(document("iam:*", f"{arn}:iam::*:*"), True, id=f"all-of-iam-in-{arn}")
            for arn in ("arn:aws-cn", "arn:aws-*", "arn:aws-c?", "arn:aws-us-gov*", "arn:*-cn")
        ),
        pytest.param(
            document("iam:*", None, NotResource="arn:aws-cn:iam::*:*"), True, id="all-but-another-partition"
        ),
        pytest.param(
            document("iam:*", None, NotResource="arn:aws-us-gov:iam::*:*"), True, id="all-but-us-gov"
        ),
        pytest.param(document(None, NotAction="*:${x}"), True, id="all-but-a-variable"),
        pytest.param({"Statement": {"effect": "Allow", "action": "*"}}, None, id="no-effect"),
        pytest.param({"Statement": {"Effect": "Allow", "Action": "*"}}, None, id="nothing-it-applies-to"),
        pytest.param(document("\ue000", "x"), None, id="reserved"),
        pytest.param(document(resource=["x" * 300_000]), None, id="longer-than-any-policy"),
        pytest.param("rubbish", None, id="no-document"),
        pytest.param({"Statement": ["rubbish"]}, None, id="no-statement"),
        pytest.param(None, None, id="not-read"),
    ],
)
def test_documents(given: Any, admin: bool | None) -> None:
    assert is_admin(AppliedPolicy("own", OWN, document=given)) is admin


@pytest.mark.parametrize(
    ("arn", "admin"),
    [
        pytest.param(f"{MANAGED}AdministratorAccess", True, id="administrator"),
        pytest.param("arn:aws-cn:iam::aws:policy/AdministratorAccess", True, id="other-partition"),
        pytest.param(f"{MANAGED}IAMFullAccess", True, id="iam"),
        pytest.param(f"{MANAGED}PowerUserAccess", False, id="power-user"),
        pytest.param(f"{MANAGED}AdministratorAccess-Amplify", False, id="begins-alike"),
        pytest.param(f"{MANAGED}job-function/ViewOnlyAccess", False, id="under-a-path"),
        pytest.param("arn:aws:iam::111122223333:policy/AdministratorAccess", None, id="own-one-of-that-name"),
        pytest.param(
            "arn:aws:iam::111122223333:policy/:iam::aws:policy/ReadOnlyAccess",
            None,
            id="own-one-below-a-path",
        ),
        pytest.param(f"{MANAGED}BrandNewAdminAccess", None, id="newer-than-the-tables"),
    ],
)
def test_managed_policies_by_name(arn: str, admin: bool | None) -> None:
    assert is_admin(AppliedPolicy(arn.rpartition("/")[2], arn)) is admin


READ, UNREAD = AppliedPolicy("read", OWN, document=document("s3:*")), AppliedPolicy("unread", OWN)
ADMIN = AppliedPolicy("AdministratorAccess", f"{MANAGED}AdministratorAccess", group="Admins")


@pytest.mark.parametrize(
    ("grants", "ways"),
    [
        pytest.param((READ,), (), id="none"),
        pytest.param((READ, ADMIN), ("AdministratorAccess through group Admins",), id="one"),
        pytest.param(
            (UNREAD, ADMIN), ("AdministratorAccess through group Admins",), id="one-whatever-the-other"
        ),
        pytest.param((READ, UNREAD), None, id="unknown"),
        pytest.param((), (), id="no-policies"),
        pytest.param(None, None, id="not-read"),
    ],
)
def test_ways(grants: tuple[AppliedPolicy, ...] | None, ways: tuple[str, ...] | None) -> None:
    assert admin_policies(grants) == ways


def way(path: str, *names: str) -> str:
    return f"{path} ({', '.join(names or ('own',))})"


INSTANCES = "arn:aws:ec2:*:*:instance/*"
ONESELF, ANYBODY = "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/*"
#: What one policy allows, and the beginnings of the ways that it is.
WAYS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing-of-the-kind": (document("s3:*"), []),
    "read-only": (document(["iam:Get*", "iam:List*", "ec2:Describe*"]), []),
    "all-of-s3-in-a-bucket": (document("*", "arn:aws:s3:::bucket/*"), []),
    "all-of-iam-on-users": (
        document("iam:*", [ANYBODY, "arn:aws:iam::*:policy/*"]),
        ["iam:CreatePolicyVersion", "iam:PutUserPolicy"],
    ),
    "one-action": (document("iam:PutUserPolicy", ANYBODY), ["iam:PutUserPolicy"]),
    "on-oneself": (document("iam:PutUserPolicy", ONESELF), ["iam:PutUserPolicy"]),
    "on-one-user": (document("iam:AttachUserPolicy", "arn:aws:iam::1:user/x"), ["iam:AttachUserPolicy"]),
    "own-keys": (document(["iam:CreateAccessKey", "iam:CreateLoginProfile"], ONESELF), []),
    "own-keys-below-a-path": (document("iam:CreateAccessKey", "arn:aws:iam::*:user/eng/${aws:username}"), []),
    "keys-of-others": (document("iam:CreateAccessKey", ANYBODY), ["iam:CreateAccessKey"]),
    "keys-of-names-that-begin-alike": (
        document("iam:CreateAccessKey", "arn:aws:iam::*:user/${aws:username}*"),
        ["iam:CreateAccessKey"],
    ),
    "with-a-condition": (
        document("iam:CreateAccessKey", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        ["iam:CreateAccessKey"],
    ),
    "beside-a-deny": (
        {"Statement": [document("iam:AddUserToGroup")["Statement"], document(effect="Deny")["Statement"]]},
        ["iam:AddUserToGroup"],
    ),
    "any-role": (document("sts:AssumeRole"), ["sts:AssumeRole"]),
    "roles-of-a-pattern": (document("sts:AssumeRole", "arn:aws:iam::*:role/app-*"), ["sts:AssumeRole"]),
    "one-role": (document("sts:AssumeRole", "arn:aws:iam::111122223333:role/reader"), []),
    "one-role-in-any-account": (document("sts:AssumeRole", "arn:aws:iam::*:role/reader"), []),
    "a-role-called-admin": (document("sts:AssumeRole", "arn:aws:iam::1:role/OrgAdmin"), ["sts:AssumeRole"]),
    "roles-but-one": (
        document("sts:AssumeRole", None, NotResource="arn:aws:iam::1:role/x"),
        ["sts:AssumeRole"],
    ),
    "pass-role-alone": (document("iam:PassRole"), []),
    "compute-alone": (document("ec2:RunInstances"), []),
    "pass-role-and-compute": (
        document(["iam:PassRole", "ec2:RunInstances"]),
        ["iam:PassRole with ec2:RunInstances"],
    ),
    "pass-one-role-to-compute": (
        {
            "Statement": [
                document("iam:PassRole", "arn:aws:iam::1:role/lambda")["Statement"],
                document("lambda:CreateFunction")["Statement"],
            ]
        },
        [],
    ),
    "code-of-any-function": (document("lambda:Update*"), ["lambda:UpdateFunctionCode"]),
    "code-of-one-function": (document("lambda:*", "arn:aws:lambda:eu-west-1:1:function:thumbs"), []),
    "all-but-iam": (document(None, NotAction="iam:*"), ["sts:AssumeRole", "ssm:SendCommand"]),
    "capitals": (document("IAM:putUSERpolicy"), ["iam:PutUserPolicy"]),
    "boundary": (document("iam:DeleteUserPermissionsBoundary"), ["iam:DeleteUserPermissionsBoundary"]),
    "too-complex": (
        document("iam:*", [f"arn:aws:iam::*:user/{'*a?' * 40}{number}" for number in range(60)]),
        ["iam:PutUserPolicy"],
    ),
    # resources of another service than the action's
    "sessions-on-instances": (document("ssm:StartSession", INSTANCES), ["ssm:StartSession"]),
    "all-of-ssm-on-instances": (document("ssm:*", INSTANCES), ["ssm:StartSession", "ssm:SendCommand"]),
    "sessions-on-tasks": (document("ssm:StartSession", "arn:aws:ecs:*:*:task/*"), ["ssm:StartSession"]),
    "sessions-on-one-instance": (document("ssm:StartSession", "arn:aws:ec2:*:*:instance/i-1"), []),
    "keys-on-instances": (
        document("ec2-instance-connect:SendSSHPublicKey", INSTANCES),
        ["ec2-instance-connect:SendSSHPublicKey"],
    ),
    "keys-on-volumes": (document("ec2-instance-connect:*", "arn:aws:ec2:*:*:volume/*"), []),
    "commands-by-any-document": (
        document("ssm:SendCommand", [INSTANCES, "arn:aws:ssm:*:*:document/*"]),
        ["ssm:SendCommand"],
    ),
    "commands-by-a-shell": (
        document("ssm:SendCommand", [INSTANCES, "arn:aws:ssm:*:*:document/AWS-RunShellScript"]),
        ["ssm:SendCommand"],
    ),
    "commands-by-the-shell-of-aws": (
        document("ssm:SendCommand", [INSTANCES, "arn:aws:ssm:*::document/AWS-RunShellScript"]),
        ["ssm:SendCommand"],
    ),
    "commands-by-a-shell-that-another-statement-allows": (
        {
            "Statement": [
                document("ssm:SendCommand", [INSTANCES, "arn:aws:ssm:*:*:document/x"])["Statement"],
                document("ssm:SendCommand", "arn:aws:ssm:*:*:document/AWS-RunShellScript")["Statement"],
            ]
        },
        ["ssm:SendCommand"],
    ),
    "commands-by-one-document": (
        document("ssm:SendCommand", [INSTANCES, "arn:aws:ssm:*:*:document/AWSEC2-CreateVssSnapshot"]),
        [],
    ),
    # partitions
    **{
        f"roles-in-{arn}": (document("sts:AssumeRole", f"{arn}:iam::*:role/*"), ["sts:AssumeRole"])
        for arn in ("arn:aws-cn", "arn:aws-*", "arn:aws-c?", "arn:aws-us-gov*", "arn:*-cn", "arn:a*")
    },
    "pass-roles-in-aws-c?": (
        document(["iam:PassRole", "ec2:RunInstances"], ["arn:aws-c?:iam::*:role/*", "arn:*:ec2:*"]),
        ["iam:PassRole with ec2:RunInstances"],
    ),
    "no-iam-in-aws": (
        document("iam:*", None, NotResource="arn:aws:iam::*:*"),
        ["iam:PutUserPolicy"],
    ),
    "no-iam-in-any-partition": (document("iam:*", None, NotResource="arn:aws*:iam::*:*"), []),
    "nothing-in-any-partition": (document("iam:*", None, NotResource="arn:*"), []),
    "no-iam-by-types": (
        document(
            "iam:*",
            None,
            NotResource=[
                f"arn:*:iam::*:{each}/*"
                for each in (
                    "user",
                    "group",
                    "role",
                    "policy",
                    "saml-provider",
                    "oidc-provider",
                    "instance-profile",
                )
            ],
        ),
        [],
    ),
    # what a variable excludes is not known
    "not-a-variable-of-iam": (document(None, NotAction="iam:${x}"), ["iam:PutUserPolicy"]),
    "not-a-variable": (document(None, NotAction="*:${x}"), ["iam:PutUserPolicy"]),
    "not-a-variable-resource": (
        document("iam:*", None, NotResource="arn:aws*:iam::*:${x}"),
        ["iam:PutUserPolicy"],
    ),
    # names that AWS gives to roles with AdministratorAccess
    "role-of-organizations": (
        document("sts:AssumeRole", "arn:aws:iam::*:role/OrganizationAccountAccessRole"),
        ["sts:AssumeRole"],
    ),
    "root-of-an-account": (document("sts:AssumeRoot", "arn:aws:iam::1:root"), ["sts:AssumeRoot"]),
}


@pytest.mark.parametrize(("given", "expected"), WAYS.values(), ids=WAYS)
def test_ways_to_administrator_rights(given: dict[str, Any], expected: list[str]) -> None:
    grants = (AppliedPolicy("own", OWN, document=given),)
    found, told = escalations(grants), admin_policies(grants)
    assert found is not None
    assert told is not None
    # who is an administrator needs no way
    if is_admin(grants[0]):
        assert told == ("own",)
        return
    assert {*map(way, expected)} <= set(found)
    assert bool(found) is bool(expected)
    assert told == ((f"a known way: {shown(found)}",) if found else ())


@pytest.mark.parametrize("path", ESCALATION_PATHS, ids=str)
def test_each_path_is_found_in_one_policy_and_across_policies(path: Any) -> None:
    assert path.source
    assert way(str(path)) in (
        escalations([AppliedPolicy("own", OWN, document=document(list(path.actions)))]) or ()
    )
    parts = [
        AppliedPolicy(f"part-{number}", OWN, document=document(action))
        for number, action in enumerate(path.actions)
    ]
    assert way(str(path), *(each.name for each in parts)) in (escalations(parts) or ())
    for action in path.actions:
        deny = document(action, effect="Deny")
        assert escalations([AppliedPolicy("own", OWN, document=deny)]) == ()


@pytest.mark.parametrize(
    ("grants", "found"),
    [
        pytest.param(None, None, id="not-read"),
        pytest.param((READ, UNREAD), None, id="one-not-read"),
        pytest.param((READ,), (), id="none"),
        pytest.param((ADMIN,), (), id="administrator"),
    ],
)
def test_ways_that_are_unknown(grants: Any, found: Any) -> None:
    assert escalations(grants) == found


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        pytest.param("PowerUserAccess", {"sts:AssumeRole", "lambda:UpdateFunctionCode"}, id="power-user"),
        pytest.param("AmazonSSMFullAccess", {"ssm:SendCommand"}, id="ssm"),
        pytest.param("AWSLambda_FullAccess", {"iam:PassRole with lambda:CreateFunction"}, id="lambda"),
        pytest.param("ReadOnlyAccess", set(), id="read-only"),
        pytest.param("AmazonS3FullAccess", set(), id="s3"),
        pytest.param("SecurityAudit", set(), id="audit"),
    ],
)
def test_aws_managed_policies_that_were_not_read(name: str, ways: set[str]) -> None:
    found = escalations([AppliedPolicy(name, f"{MANAGED}{name}")])
    assert found is not None
    assert {f"{each} ({name})" for each in ways} <= set(found)
    assert bool(found) is bool(ways)


def test_the_table_of_aws_managed_policies_is_what_their_documents_say() -> None:
    """``make renew`` writes it anew. A newer moto may differ in few."""
    found = {name: escalating_actions(each) for name, each in documents().items()}
    wrong = [name for name, actions in found.items() if AWS_MANAGED.get(name, actions) != actions]
    missing = [name for name, actions in found.items() if actions and name not in AWS_MANAGED]
    assert len(wrong) + len(missing) <= len(AWS_MANAGED) // 20, (wrong, missing)


def test_only_the_tables_say_that_an_aws_managed_policy_is_harmless() -> None:
    new, known = (AppliedPolicy(name, f"{MANAGED}{name}") for name in ("BrandNew", "ViewOnlyAccess"))
    own = AppliedPolicy("own", OWN)
    assert admin_policies([known]) == ()
    assert admin_policies([known, new]) is None
    assert unknown([known, new, own, READ, ADMIN]) == (new, own)
    # AWS renames none, and few change
    gone = HARMLESS - {name for name, each in documents().items() if not escalating_actions(each)}
    assert len(gone) <= len(HARMLESS) // 20, gone
    assert not HARMLESS & AWS_MANAGED.keys()
    assert {"ReadOnlyAccess", "ViewOnlyAccess", "SecurityAudit"} <= HARMLESS | AWS_MANAGED.keys()
    for name in ("ReadOnlyAccess", "ViewOnlyAccess", "SecurityAudit", "AWSBackupFullAccess", "AWSDenyAll"):
        assert admin_policies([AppliedPolicy(name, f"{MANAGED}{name}")]) == ()


@pytest.mark.parametrize(
    "actions",
    [
        "ecs:ExecuteCommand ecs:DescribeTasks",
        "iam:PassRole batch:RegisterJobDefinition batch:SubmitJob",
        "iam:PassRole ssm:StartAutomationExecution",
        "iam:PassRole ecs:RunTask",
        "iam:PassRole ecs:StartTask",
        "iam:PassRole ec2:ReplaceIamInstanceProfileAssociation",
        "iam:PassRole elasticmapreduce:RunJobFlow",
        "iam:PassRole emr-serverless:CreateApplication emr-serverless:StartJobRun",
        "iam:PassRole scheduler:CreateSchedule",
        "iam:PassRole states:CreateStateMachine states:StartExecution",
        "states:UpdateStateMachine states:StartExecution",
        "iam:PassRole glue:CreateSession glue:RunStatement",
        "iam:PassRole codepipeline:CreatePipeline",
        "codedeploy:CreateDeployment codedeploy:RegisterApplicationRevision",
        "bedrock-agentcore:InvokeAgentRuntimeCommand",
        "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
        "sso-directory:UpdatePassword",
        "iam:UpdateAccessKey",
        "iam:PassRole apigateway:PUT apigateway:POST",
        "iam:PassRole codebuild:UpdateProject",
        "iam:PassRole cognito-idp:CreateGroup",
        "iam:PassRole cognito-idp:UpdateGroup",
        "iam:PassRole elasticmapreduce:CreateEditor",
        "codebuild:UpdateProject codepipeline:UpdatePipeline codepipeline:StartPipelineExecution",
        "ecs:RegisterTaskDefinition ecs:CreateTaskSet ecs:UpdateServicePrimaryTaskSet",
        "ssm:UpdateDocument ssm:UpdateDocumentDefaultVersion",
        "glue:UpdateJob",
    ],
)
def test_ways_of_this_year(actions: str) -> None:
    """pathfinding.cloud, and the catalogues that it is compared with, as of August 2026."""
    assert escalations([AppliedPolicy("own", OWN, document=document(actions.split()))])
    assert not escalations([AppliedPolicy("own", OWN, document=document(actions.split()[:1]))]) or (
        actions.split()[0] in map(str, ESCALATION_PATHS)
    )


def test_each_action_has_types_and_no_path_is_in_another() -> None:
    assert TYPES.keys() == ALL_ESCALATING
    assert all(TYPES.values())
    for one in ESCALATION_PATHS:
        assert not [other for other in ESCALATION_PATHS if {*other.actions} < {*one.actions}], one


#: Element, and a pattern of a number that it repeats, up to the size of a managed policy, or of the largest policies.
HARD = {
    "stars-before-question-marks": (
        "Resource",
        lambda n: f"arn:*{string.ascii_letters[n % 52]}{'?' * 10}:{n:x}",
    ),
    "many-stars": ("Resource", lambda n: f"arn:*{'*?a' * 20}{n:x}"),
    "negated-many-stars": ("NotResource", lambda n: f"arn:*{'*?a' * 20}{n:x}"),
    "negated-question-marks": (
        "NotResource",
        lambda n: f"arn:*{string.ascii_letters[n % 52]}{'?' * 10}:{n:x}",
    ),
    "actions": ("Action", lambda n: f"*{'?*a' * 5}{n:x}"),
    "negated-actions": ("NotAction", lambda n: f"*{'?*a' * 5}{n:x}"),
}


@pytest.mark.parametrize(("element", "pattern"), HARD.values(), ids=HARD)
def test_no_policy_takes_more_calls_than_its_length_allows(element: str, pattern: Any) -> None:
    def calls(size: int) -> int:
        count, length = 0, 0
        patterns = []
        while length < size:
            patterns.append(pattern(count))
            count, length = count + 1, length + len(patterns[-1]) + 3
        given = document(Sid=str(size))
        statement = given["Statement"]
        del statement["Action" if element.endswith("Action") else "Resource"]
        statement[element] = patterns
        made = itertools.count()
        sys.setprofile(lambda *_: next(made) and None)
        try:
            admin_policies([AppliedPolicy("own", OWN, document=given)])
        finally:
            sys.setprofile(None)
        return next(made)

    # each call counts twice, with its return
    assert calls(6_000) < 3_000_000
    # were it as the square, nine times as many as above
    assert calls(18_000) < 5_000_000
    if "SOAK_PAIRS" in os.environ:
        assert calls(60_000) < 40_000_000


def test_a_document_that_compares_equal_with_all_of_iam_is_one_of_an_administrator() -> None:
    """Or a forged snapshot would hide a live policy."""
    live = document("iam:*")["Statement"]
    pieces = [
        document("iam:*", None, NotResource="arn:aws-cn:iam::*:*")["Statement"],
        document("iam:*", "arn:aws-c?:iam::*:*")["Statement"],
    ]
    one, other = ({"Version": "2012-10-17", "Statement": each} for each in (live, pieces))
    then, now = (Policies(parse_policy(each, "own")) for each in (one, other))
    assert compare(now, RequestContext({}), then, RequestContext({}))[0] == EQUAL
    assert admin_policies([AppliedPolicy("own", OWN, document=other)]) == ("own",)


#: Requests of an administrator, in several partitions.
REQUESTS = [
    ("iam:putuserpolicy", "arn:aws:iam::111122223333:user/bob"),
    ("iam:attachrolepolicy", "arn:aws-cn:iam::111122223333:role/a/b"),
    ("iam:createpolicyversion", "arn:aws-us-gov:iam::111122223333:policy/p"),
    ("iam:addusertogroup", "arn:aws:iam::111122223333:group/g"),
    ("ssm:startsession", "arn:aws:ec2:eu-west-1:111122223333:instance/i-1"),
    ("lambda:updatefunctioncode", "arn:aws:lambda:eu-west-1:111122223333:function:f"),
]


def cut(chance: random.Random, text: str) -> str:
    """``text`` with some of its pieces replaced by wildcards that match these."""
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(text))
        end = chance.randint(start + 1, len(text))
        text = text[:start] + chance.choice(["*", "?" * (end - start), "?*"]) + text[end:]
    return text


@pytest.mark.parametrize("seed", range(10))
def test_random_policies_that_allow_a_request_of_an_administrator_are_found(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(150):
        action, resource = chance.choice(REQUESTS)
        others = [each for pair in REQUESTS for each in pair if each not in (action, resource)]
        actions = [cut(chance, action)]
        given: dict[str, Any] = {"Action": actions, "Resource": [cut(chance, resource)]}
        if chance.random() < 0.3:
            given = {"NotAction": [cut(chance, each) for each in others[:2]], "Resource": "*"}
        elif chance.random() < 0.4:
            given = {"Action": actions, "NotResource": [cut(chance, each) for each in others[-3:]]}
        name = given.get("Resource", "*")[0].split(":", 5)[-1]
        if not action.startswith("iam:") and "*" not in name and "?" not in name:
            continue  # one that somebody named on purpose
        statement = {"Effect": "Allow", **given}
        allow = parse_policy({"Version": "2012-10-17", "Statement": statement}, "own")[0]
        if allow.actions.matches(action) and allow.resources.matches(resource):
            found = admin_policies([AppliedPolicy("own", OWN, document={"Statement": statement})])
            assert found != (), statement


EVERY_ROLE = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}
_ACCOUNT = "us-east-1:111122223333"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("lambda:CreateFunction", f"arn:aws:lambda:{_ACCOUNT}:function:x"),
        ("lambda:*", f"arn:aws:lambda:{_ACCOUNT}:function:x"),
        ("cloudformation:CreateStack", f"arn:aws:cloudformation:{_ACCOUNT}:stack/x/y"),
        ("codebuild:*", f"arn:aws:codebuild:{_ACCOUNT}:project/x"),
        ("ec2:AssociateIamInstanceProfile", f"arn:aws:ec2:{_ACCOUNT}:instance/i-0123456789abcdef0"),
        ("ssm:StartAutomationExecution", "arn:aws:ssm:us-east-1::automation-definition/AWS-RunX:1"),
    ],
)
def test_what_runs_with_any_role_counts_whatever_it_is_called(action: str, resource: str) -> None:
    creating = {"Effect": "Allow", "Action": action, "Resource": resource}
    if action.startswith("lambda"):
        creating["Action"] = [action, "lambda:InvokeFunction"]  # type: ignore[assignment]
    found = escalating_actions({"Statement": [EVERY_ROLE, creating]})
    assert {"iam:PassRole"} < found


@pytest.mark.parametrize(
    "beside",
    ["arn:aws:ssm:*:*:*", "**", "arn:*", "arn:aws:ssm:*", "arn:aws:ssm:*:*:d*", "arn:aws:ec2:*:*:instance/*"],
)
def test_a_command_by_any_document_counts_although_one_is_named_beside_it(beside: str) -> None:
    named = "arn:aws:ssm:*:*:document/x"
    found = escalating_actions(document("ssm:SendCommand", [beside, "arn:aws:ec2:*:*:instance/*", named]))
    assert found == (set() if ":instance/" in beside else {"ssm:SendCommand"})


@pytest.mark.parametrize(
    ("action", "resources"),
    [
        ("sso:PutInlinePolicyToPermissionSet", ["arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-1"]),
        ("sso:CreateAccountAssignment", ["arn:aws:sso:::account/111122223333"]),
        ("identitystore:CreateGroupMembership", ["arn:aws:identitystore:::group/11111111-2222-3333"]),
    ],
)
def test_named_objects_of_identity_center_give_any_rights(action: str, resources: list[str]) -> None:
    assert escalating_actions(document(action, resources)) == {action}


def test_on_what_an_escalating_action_is_used() -> None:
    action, pattern = next(iter(_TYPES.items()))
    assert _types_of(action) == (pattern,)
    assert all("role" in each for each in _types_of("iam:AnyRoleThing"))
    assert all("user" in each for each in _types_of("iam:AnyThing"))
    (other, *_) = _types_of("xyz:AnyThing")
    assert other.endswith(":xyz:*")
