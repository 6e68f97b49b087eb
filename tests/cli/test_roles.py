# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.client import BaseClient
from c7n import mu
from c7n.config import Config
from c7n.policy import PolicyCollection
from c7n.utils import reset_session_cache
from click.testing import CliRunner, Result

from c7n_iamusers.iam.policy_documents import listed
from c7n_iamusers.identity_center.aws import organization_policies
from c7n_iamusers.plugins.run_outputs import stable_prefix
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, Request, decision
from c7n_iamusers_cli.main import main
from tests.policies import waived

ROOT = Path(__file__).parents[2]
RUNNER = "arn:aws:iam::123456789012:role/Runner"
CENTER = "arn:aws:iam::123456789012:role/IdentityCenterProvisioner"
REALTIME = ("--policy", "policies/realtime.yml", "--policy", "policies/realtime-quarantine.yml")
PERIODIC = {
    "type": "periodic",
    "schedule": "rate(1 day)",
    "role": "Functions",
    "packages": ["c7n_iamusers"],
    "handler": "c7n_iamusers.handler.run",
}
GOV = "arn:aws-us-gov:iam"
NOT_FOUND = "ResourceNotFoundException"
#: A function, as each call on it answers.
FUNCTION = {
    "FunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:custodian-given",
    "FunctionName": "custodian-given",
    "Version": "1",
    "CodeSha256": "another",
    "Role": "arn:aws:iam::111122223333:role/Another",
    "State": "Active",
    "LastUpdateStatus": "Successful",
    "RuleArn": "arn:aws:events:us-east-1:111122223333:rule/custodian-given",
    "Targets": [],
}
USER = {"username": "tag:Email", "email": "tag:Email"}


def roles(
    *options: str, policies: tuple[str, ...] = ("delete",), accounts: bool = True, runner: str = RUNNER
) -> Result:
    files = [each for name in policies for each in ("-u", str(ROOT / "policies" / f"{name}.yml"))]
    config = ["-c", str(ROOT / "accounts.yml")] if accounts else []
    return CliRunner().invoke(main, ["roles", *files, "--runner", runner, *config, *options])


def actions(document: Any) -> set[str]:
    return {action for each in document["PolicyDocument"]["Statement"] for action in each["Action"]}


def printed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def of(
    path: Path,
    *parts: dict[str, Any],
    section: str = "filters",
    command: str = "roles",
    options: tuple[str, ...] = (),
    **more: Any,
) -> Result:
    file = path / "given.yml"
    data = {
        "name": "given",
        "resource": "aws.iam-user",
        "source": "authorization-details",
        section: list(parts),
        **more,
    }
    file.write_text(yaml.safe_dump({"policies": [data]}))
    given = ["--runner", RUNNER, "--format", "json"] if command == "roles" else []
    return CliRunner().invoke(main, [command, "--policy", str(file), *given, *options])


def test_each_call_is_in_the_role_that_makes_it() -> None:
    found = printed(
        roles("--format", "json", policies=("flag-and-notify", "provision", "quarantine", "delete"))
    )
    assert set(found) == {"member-reader", "member-remover", "identity-center", "runner"}
    reader, remover, center, runner = (
        actions(found[kind]) for kind in ("member-reader", "member-remover", "identity-center", "runner")
    )
    assert {each.split(":")[0] for each in reader | remover} == {"cloudtrail", "ec2", "iam"}
    assert not {each for each in reader if not each.startswith(("iam:Get", "iam:List", "iam:Generate"))}
    assert {"iam:DeleteUser", "iam:UpdateAccessKey", "iam:TagUser"} <= remover
    assert "iam:CreateUser" not in remover
    assert {each.split(":")[0] for each in center} == {"sso", "identitystore", "organizations"}
    assert {"sso:CreateAccountAssignment", "identitystore:CreateUser"} <= center
    counting = {"sqs:GetQueueAttributes", "cloudwatch:GetMetricStatistics"}
    assert runner == {"sts:AssumeRole", "sqs:SendMessage", *counting}
    assert found["identity-center"]["RoleName"] == "IdentityCenterProvisioner"


def test_reading_alone_takes_no_remover_and_writes_nothing_in_identity_center() -> None:
    # it says who has no access through Identity Center yet
    found = printed(roles("--format", "json", policies=("flag-and-notify",)))
    assert set(found) == {"member-reader", "identity-center", "runner"}
    reading = ("Get", "List", "Describe")
    assert not {
        each for each in actions(found["identity-center"]) if not each.split(":")[1].startswith(reading)
    }
    center = actions(
        printed(roles("--role", "identity-center", "--format", "json", policies=("quarantine",)))
    )
    assert not {each for each in center if not each.split(":")[1].startswith(reading)}


def test_functions_have_a_role_and_so_has_who_deploys_them() -> None:
    found = printed(roles("--format", "json", *REALTIME, policies=("attempts",)))
    policies = {"bucket-policy", "queue-policy"}
    assert set(found) == {"member-reader", "function", "function-2", "deployer", "runner", *policies}
    reporting, function, deployer, runner = (
        found[kind] for kind in ("function", "function-2", "deployer", "runner")
    )
    names = ["IamUsersRealtime", "IamUsersRealtimeQuarantine"]
    assert [reporting["RoleName"], function["RoleName"]] == names
    # that of the policies that only report changes no user
    reads = ("iam:Get", "iam:List", "iam:Generate")
    assert not {each for each in actions(reporting) if each.startswith("iam:") and not each.startswith(reads)}
    # the quarantine in real time keeps credentials, and these actions also activate them
    assert not {each for each in actions(function) if each.startswith("iam:Update")}
    (trust,) = function["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Principal"], trust.get("Condition")) == ({"Service": "lambda.amazonaws.com"}, None)
    places = {each["Action"][-1]: each["Resource"] for each in function["PolicyDocument"]["Statement"]}
    assert places["sqs:SendMessage"] == ["arn:aws:sqs:us-east-1:123456789012:iam-users-realtime"]
    bucket = "arn:aws:s3:::example-iam-users-realtime/realtime"
    # those of its own account
    assert places["s3:PutObjectAcl"] == [
        f"{bucket}/{place}/${{aws:PrincipalAccount}}/*" for place in ("output", "quarantine-notices")
    ]
    group = "arn:aws:logs:*:*:log-group:/aws/lambda/custodian-iam-users-realtime-quarantine"
    assert {group, f"{group}:*"} <= set(places["logs:PutLogEvents"])
    assert deployer["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": RUNNER}
    assert runner["PolicyDocument"]["Statement"][0]["Resource"] == [
        f"arn:aws:iam::*:role/{name}" for name in ("IamUsersDeployer", "IamUsersReader")
    ]
    # of the functions' places their queue is the runner's, for `forward`, and to read what `report` says of their mails
    own = [each for each in runner["PolicyDocument"]["Statement"] if "realtime" in json.dumps(each)]
    prefix = {"StringLike": {"s3:prefix": ["realtime/quarantine-notices/*"]}}
    assert [(each["Action"], each["Resource"], each.get("Condition")) for each in own] == [
        (["s3:ListBucket"], ["arn:aws:s3:::example-iam-users-realtime"], prefix),
        (["s3:GetObject"], [f"{bucket}/quarantine-notices/*"], None),
        (
            ["sqs:DeleteMessage", "sqs:ReceiveMessage"],
            ["arn:aws:sqs:us-east-1:123456789012:iam-users-realtime"],
            None,
        ),
    ]


def test_the_deployer_is_asked_what_functions_rest_on() -> None:
    names = ("IamUsersRealtime", "IamUsersRealtimeQuarantine")
    setup = printed(roles("--format", "json", "--setup", "--role", "deployer", *REALTIME, policies=()))
    reading = {each["Action"][0]: each["Resource"] for each in setup["PolicyDocument"]["Statement"]}
    own = ("IamUsersRemover", "IamUsersRestorer")
    assert reading["iam:GetRole"] == sorted(f"arn:aws:iam::*:role/{name}" for name in (*names, *own))
    assert reading["iam:SimulatePrincipalPolicy"] == ["arn:aws:iam::*:role/IamUsersDeployer"]
    assert reading["cloudtrail:DescribeTrails"] == ["*"]


@pytest.mark.parametrize(
    ("queue", "refused"),
    [
        pytest.param("{queue_url}", True, id="variable"),
        pytest.param("https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer", True, id="url"),
        pytest.param("https://queue.amazonaws.com/123456789012/c7n-mailer/", True, id="older-url"),
        pytest.param("arn:aws:sqs:us-east-1:123456789012:c7n-mailer", True, id="arn"),
        pytest.param("arn:aws:sqs:us-east-1:999999999999:c7n-mailer", False, id="of-another-account"),
        pytest.param("{realtime_queue_url}", False, id="of-its-own"),
    ],
)
def test_no_function_may_write_to_the_mailers_queue(tmp_path: Path, queue: str, refused: bool) -> None:
    text = (ROOT / "policies" / "realtime.yml").read_text()
    (tmp_path / "realtime.yml").write_text(text.replace("{realtime_queue_url}", queue))
    for options in (("--role", "function"), ()):
        done = roles(*options, "--policy", str(tmp_path / "realtime.yml"), policies=())
        assert done.exit_code == refused, done.output
        assert ("the queue that c7n-mailer reads" in done.output) == refused


@pytest.mark.parametrize(("sends_itself", "refused"), [(False, False), (True, True), (None, True)])
def test_no_role_of_an_account_may_write_to_the_mailers_queue(
    tmp_path: Path, sends_itself: bool | None, refused: bool
) -> None:
    text = (ROOT / "policies" / "flag-and-notify.yml").read_text()
    value = "" if sends_itself is None else f"assume_role: {str(sends_itself).lower()}"
    (tmp_path / "flag.yml").write_text(text.replace("assume_role: false", value))
    done = roles("--policy", str(tmp_path / "flag.yml"), policies=())
    assert done.exit_code == refused, done.output
    assert ("state assume_role: false" in done.output) == refused


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        pytest.param({"type": "schedule"}, "given: the roles for mode schedule are not in", id="mode"),
        pytest.param({"role": ""}, "given: names no mode.role, so its function would run as", id="no-role"),
        pytest.param({"role": "R*"}, "given: mode.role: 'R*' is neither the name nor the ARN", id="any-role"),
        pytest.param(
            {"role": "{x}"}, "the role of the function {x} depends on x, which is not", id="variable"
        ),
        pytest.param({"member-role": RUNNER}, "given: its function assumes another role", id="member-role"),
    ],
)
def test_functions_whose_roles_are_not_in_the_documents(
    tmp_path: Path, mode: dict[str, Any], message: str
) -> None:
    result = of(tmp_path, {"type": "unnecessary", "exempt": "none"}, mode={**PERIODIC, **mode})
    assert result.exit_code == 1
    assert message in result.output


@pytest.mark.parametrize(
    ("only", "said"),
    [
        pytest.param((), "", id="all"),
        pytest.param(("--role", "deployer"), "", id="deployer"),
        pytest.param(
            ("--role", "function-3"), "need no role function-3; they need function, function-2", id="none"
        ),
        pytest.param(("--role", "function-1"), "'function-1' is none of member-reader", id="no-kind"),
        pytest.param(("--role", "deployer-2"), "of several also function-2, runner-2", id="no-number"),
        pytest.param(
            ("--reader", "Denies"), "mode.role is team/Denies, and so is --reader", id="a-name-of-two"
        ),
    ],
)
def test_functions_with_several_roles(tmp_path: Path, only: tuple[str, ...], said: str) -> None:
    base = {"resource": "aws.iam-user", "source": "authorization-details"}
    modes = {"one": "Says", "two": "arn:aws:iam::111122223333:role/team/Denies", "three": "Says"}
    data = [{**base, "name": name, "mode": {**PERIODIC, "role": role}} for name, role in modes.items()]
    file = tmp_path / "several.yml"
    file.write_text(yaml.safe_dump({"policies": data}))
    given = ["-u", str(file), "--runner", RUNNER, "--format", "json", *only]
    result = CliRunner().invoke(main, ["roles", *given])
    if said:
        assert result.exit_code in (1, 2)
        assert said in result.output
        return
    found = {"deployer": printed(result)} if only else printed(result)
    deployer = json.dumps(found.pop("deployer"))
    assert all(
        f"function:custodian-{name}" in deployer and f"rule/custodian-{name}" in deployer for name in modes
    )
    assert all(f"iam::*:role/{role}" in deployer for role in ("Says", "team/Denies"))
    functions = {kind: each for kind, each in found.items() if kind != "runner"}
    assert {
        kind: (
            each["RoleName"],
            [name for name in modes if f"custodian-{name}:*" in json.dumps(each)],
            "iam:GetAccountAuthorizationDetails" in actions(each),
        )
        for kind, each in functions.items()
    } == (
        {}
        if only
        else {"function": ("Says", ["one", "three"], True), "function-2": ("Denies", ["two"], True)}
    )


OWN = "${aws:PrincipalAccount}"


@pytest.mark.parametrize(
    ("action", "written", "listed"),
    [
        pytest.param({"step": "created", "days": 2}, [f"{OWN}/*"], [], id="created"),
        # who is exempt is recorded too
        pytest.param(
            {"step": "announce", "days": 30}, [f"{OWN}/*", f"exempt/{OWN}/*"], [], id="announcement"
        ),
        pytest.param(
            {"step": "announce", "days": 30, "digest": True},
            [f"{OWN}/*", f"exempt/{OWN}/*", f"held/{OWN}/*"],
            [],
            id="held",
        ),
        pytest.param({"noticed": 16, "require": "none"}, [], [], id="quarantine"),
        pytest.param({"noticed": "none", "require": "none"}, [], [f"{OWN}/"], id="stop-alone"),
    ],
)
def test_a_function_has_the_notices_of_its_own_account(
    tmp_path: Path, action: dict[str, Any], written: list[str], listed: list[str]
) -> None:
    place = "s3://notices/all?region=us-east-1"
    transport = {"type": "sqs", "queue": "arn:aws:sqs:us-east-1:1:q"}
    sending = {"to": ["a@example.com"], "transport": transport, "assume_role": False}
    more = {"type": "notify-owners", **sending} if "step" in action else {"type": "quarantine"}
    flag = {"type": "unnecessary", "exempt": [{"user": "x", "reason": "r", "expires": "2099-01-01"}]}
    options = {"execution-options": {"output_dir": "s3://runs/{account_id}"}}
    found = printed(
        of(
            tmp_path,
            {**more, **action, "notices": place},
            section="actions",
            filters=[flag],
            mode={**PERIODIC, **options},
        )
    )
    statements = found["function"]["PolicyDocument"]["Statement"]
    resources = {name: each["Resource"] for each in statements for name in each["Action"] if "s3:" in name}
    arn = "arn:aws:s3:::notices/all/"
    read = (
        []
        if listed
        else [f"{OWN}/*", f"exempt/{OWN}/*", *(f"held/{OWN}/*" for _ in range("digest" in action))]
    )
    in_notices = {name: [each for each in arns if "notices" in each] for name, arns in resources.items()}
    assert in_notices["s3:PutObject"] == [f"{arn}{each}" for each in written]
    assert in_notices["s3:GetObject"] == [f"{arn}{each}" for each in read]
    conditions = [each["Condition"] for each in statements if each["Resource"] == ["arn:aws:s3:::notices"]]
    assert conditions[0]["StringLike"]["s3:prefix"] == sorted(f"all/{each}" for each in (*read, *listed))
    # a STOP file is at the top: what else is there is listed without what is below it
    top = {"StringLike": {"s3:prefix": ["all/"]}, "StringEquals": {"s3:delimiter": "/"}}
    assert conditions[1:] == ([] if "step" in action else [top])


TELLING: dict[str, Any] = {
    "type": "notify-owners",
    "notices": "notices",
    "step": "inform",
    "of": ["act"],
    "to": ["a@example.com"],
    "transport": {"type": "sqs", "queue": "arn:aws:sqs:us-east-1:123456789012:q"},
    "assume_role": False,
}
EXEMPT = {"type": "unnecessary", "exempt": [{"user": "x", "reason": "r", "expires": "2099-01-01"}]}


@pytest.mark.parametrize(
    "output", ["s3://out/all", "s3://out/{account_id}/{policy_name}", "s3://out/{policy_name}/{now:%Y}"]
)
@pytest.mark.parametrize("function", [False, True], ids=["runner", "function"])
def test_who_tells_what_other_policies_did_may_read_their_outcomes(
    tmp_path: Path, output: str, function: bool
) -> None:
    """A missing file must answer as such, which takes s3:ListBucket of its key."""
    mode: dict[str, Any] = (
        {"mode": {**PERIODIC, "execution-options": {"output_dir": output}}} if function else {}
    )
    given = {**TELLING, "notices": "s3://notices/all"} if function else TELLING
    options = () if function else ("-s", output)
    found = printed(of(tmp_path, given, section="actions", options=options, filters=[EXEMPT], **mode))
    document = found["function" if function else "runner"]["PolicyDocument"]
    account = "111122223333"
    document = json.loads(json.dumps(document).replace(OWN, account))
    path = output.removeprefix("s3://out/")
    key = f"{stable_prefix(path, account, 'us-east-1', 'act')}/outcomes.json"
    reading = Request("s3:GetObject", f"arn:aws:s3:::out/{key}", {})
    listing = Request("s3:ListBucket", "arn:aws:s3:::out", {"s3:prefix": key})
    assert [decision(each, [document]) for each in (reading, listing)] == [ALLOWED, ALLOWED]


def test_who_looks_up_a_second_contact_may_read_it_in_the_account(tmp_path: Path) -> None:
    given = {**TELLING, "step": "overdue", "escalate-to": ["alternate-contact:OPERATIONS"]}
    del given["of"]
    given["email-domains"] = ["example.com"]
    found = printed(of(tmp_path, given, section="actions", filters=[EXEMPT]))
    assert "account:GetAlternateContact" in actions(found["member-reader"])


def test_the_output_of_a_function_that_names_none_is_the_runners(tmp_path: Path) -> None:
    flag = {"type": "unnecessary", "exempt": "none"}
    found = printed(of(tmp_path, flag, mode=PERIODIC, options=("-s", "s3://runs/all")))
    assert "arn:aws:s3:::runs/all/*" in json.dumps(found["function"])


DEPLOYED: dict[str, Any] = {
    "name": "given",
    "resource": "aws.iam-user",
    "source": "authorization-details",
    "mode": {**PERIODIC, "concurrency": 1},
}


def deploy(output: Path, **mode: Any) -> None:
    """Have Cloud Custodian deploy the function of a policy."""
    reset_session_cache()
    config = Config.empty(region="us-east-1", account_id="111122223333", output_dir=str(output))
    data = {**DEPLOYED, "mode": {**DEPLOYED["mode"], **mode}}
    (policy,) = PolicyCollection.from_data({"policies": [data]}, config)
    policy.expand_variables(policy.get_variables())
    policy.get_execution_mode().provision()


def test_deploying_makes_exactly_these_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cloud Custodian creates a function, and updates one that differs in everything, with canned answers."""
    file = tmp_path / "given.yml"
    file.write_text(yaml.safe_dump({"policies": [DEPLOYED]}))
    command = ["roles", "--policy", str(file), "--runner", RUNNER, "--format", "json", "--role", "deployer"]
    allowed = actions(printed(CliRunner().invoke(main, command)))
    called, answers = set[str](), dict[str, Any]()

    def answer(self: Any, operation: str, _: dict[str, Any]) -> Any:
        called.add(f"{self.meta.service_model.service_name}:{operation}")
        if operation in ("GetFunction", "DescribeRule") and operation not in answers:
            raise self.exceptions.ResourceNotFoundException({"Error": {"Code": NOT_FOUND}}, operation)
        return answers.get(operation, FUNCTION)

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    monkeypatch.setattr(mu, "custodian_archive", lambda packages: mu.PythonPackageArchive(()))
    monkeypatch.setattr(mu.PythonPackageArchive, "get_bytes", lambda _: b"")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    deploy(tmp_path)
    answers |= {
        "GetFunction": {"Configuration": FUNCTION, "Tags": {"old": "1"}},
        "DescribeRule": {"Arn": "arn:x"},
    }
    deploy(tmp_path)
    answers["GetFunction"]["Concurrency"] = {"ReservedConcurrentExecutions": 1}
    deploy(tmp_path, concurrency=None)
    # by the last one c7n-org finds the Regions of -r all
    assert called == allowed - {"iam:PassRole", "ec2:DescribeRegions"}


@pytest.mark.parametrize("action", ["delete", {"type": "tag", "tags": {"a": "b"}}, "quarantine"])
def test_who_may_change_users_is_no_reader(tmp_path: Path, action: Any) -> None:
    flag = {"type": "unnecessary", "exempt": [{"user": "x", "reason": "r", "expires": "2099-01-01"}]}
    file = tmp_path / "given.yml"
    data = {"name": "given", "resource": "aws.iam-user", "filters": [flag], "actions": [waived(action)]}
    file.write_text(yaml.safe_dump({"policies": [data]}))
    found = CliRunner().invoke(main, ["roles", "--policy", str(file), "--runner", RUNNER, "--format", "json"])
    assert set(printed(found)) == {"member-remover", "runner"}


def test_findings_are_tags_of_users_too() -> None:
    found = printed(roles("--format", "json", policies=("findings-to-security-hub",)))
    assert {"securityhub:BatchImportFindings", "iam:TagUser"} <= actions(found["member-remover"])


def test_intents_are_applied_by_the_role_for_identity_center() -> None:
    found = printed(roles("--format", "json", policies=("provision-intents",)))
    assert "sso:CreateAccountAssignment" in actions(found["identity-center"])
    assert "member-remover" not in found


@pytest.mark.parametrize("derive", [True, False], ids=["derived", "by-name"])
def test_the_organizations_policies_are_read_for_the_verdicts(tmp_path: Path, derive: bool) -> None:
    whole = yaml.safe_load((ROOT / "policies" / "provision-intents.yml").read_text())
    (action,) = whole["policies"][0]["actions"]
    for name in ("group", "permission-set", "derive"):
        action.pop(name, None)
    action |= {"derive": True} if derive else {"group": "readers", "permission-set": {"name": "Readers"}}
    file = tmp_path / "derived.yml"
    file.write_text(yaml.safe_dump({"policies": whole["policies"][:1]}))
    options = ("--policy", str(file), "--runner", RUNNER, "--identity-center-role", CENTER)
    found = printed(CliRunner().invoke(main, ["roles", *options, "--format", "json"]))
    assert set(organization_policies.PERMISSIONS) <= actions(found["identity-center"])


def test_what_gives_back_is_apart_from_what_runs_daily() -> None:
    given = printed(roles("--restore", "--format", "json", policies=("remind", "delete", "release")))
    restorer, remover = given["member-restorer"], given["member-remover"]
    giving = {"iam:CreateUser", "iam:AttachUserPolicy", "iam:AddUserToGroup", "iam:UntagUser"}
    assert giving <= actions(restorer)
    limited = [each for each in restorer["PolicyDocument"]["Statement"] if "Condition" in each]
    assert [each["Action"] for each in limited] == [["iam:DetachUserPolicy"]]
    assert giving & actions(remover) == {"iam:AttachUserPolicy"}
    for each in remover["PolicyDocument"]["Statement"]:
        if {"iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary"} & set(each["Action"]):
            assert each["Condition"]["ArnEquals"].popitem()[1] == "arn:aws:iam::aws:policy/AWSDenyAll"
    assert "member-restorer" not in printed(roles("--format", "json", policies=("delete",)))
    # nothing but releases: it creates nobody
    released = printed(roles("--format", "json", policies=("release",)))
    assert set(released) == {"member-restorer", "runner"}
    assert giving & actions(released["member-restorer"]) == {"iam:UntagUser"}


@pytest.mark.parametrize("name", ["listen", "quarantine", "delete", "brownout"])
def test_the_role_that_runs_a_file_has_what_each_of_its_policies_reads(name: str) -> None:
    """Those that tell owners change nobody, and run with the others of their file."""
    found = printed(roles("--format", "json", policies=(name,)))
    assert "iam:ListAccountAliases" in actions(found["member-remover"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(
            ("--restore-by", "arn:aws:iam::123456789012:role/OnCall"), "is none of the runners", id="stranger"
        ),
        pytest.param(("--restore-by", "OnCall"), "is not the ARN of a role", id="a name"),
        pytest.param(
            ("--runner", "arn:aws:iam::123456789012:role/B", "--runner-principal", "ec2.amazonaws.com"),
            "--runner-principal is for one role",
            id="a principal of several",
        ),
        pytest.param(("--restorer", "IamUsersRemover"), "are four roles", id="the remover"),
    ],
)
def test_who_may_not_restore(options: tuple[str, ...], said: str) -> None:
    result = roles("--restore", *options)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_the_role_for_identity_center_is_bound_to_its_instance() -> None:
    instance, store = "ssoins-1234567890abcdef", "d-1234567890"
    bound = ("--instance", f"arn:aws:sso:::instance/{instance}", "--identity-store", store)
    options = ("--undo", "--format", "json", "--role", "identity-center")

    def resources(*given: str) -> set[str]:
        found = printed(roles(*options, *given, policies=("provision",)))
        return {arn for each in found["PolicyDocument"]["Statement"] for arn in listed(each["Resource"])}

    other = {
        arn
        for arn in resources(*bound)
        if ":instance/" in arn or "permissionSet" in arn or "identitystore/" in arn
    }
    assert other == {
        f"arn:aws:sso:::instance/{instance}",
        f"arn:aws:sso:::permissionSet/{instance}/*",
        f"arn:aws:identitystore::*:identitystore/{store}",
    }
    assert {"arn:aws:sso:::instance/*", "arn:aws:sso:::permissionSet/*"} <= resources()
    for wrong in (("--instance", "ssoins-1"), ("--identity-store", "d-*")):
        assert roles(*options, *wrong).exit_code == 2


def test_each_runner_is_trusted_and_gets_a_document() -> None:
    other = "arn:aws:iam::123456789012:role/B"
    found = printed(roles("--format", "json", "--runner", other, "--runner", RUNNER))
    assert [found[kind]["RoleName"] for kind in ("runner", "runner-2")] == ["Runner", "B"]
    assert "runner-3" not in found
    (trust,) = found["member-remover"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": [RUNNER, other]}


def test_what_can_not_be_bound_to_a_resource_only_reads() -> None:
    """But for the findings of Security Hub, which are no permissions; and docs/roles.md names what is allowed on *."""
    files = tuple(path.stem for path in sorted((ROOT / "policies").glob("*.yml")))
    found = printed(roles("--restore", "--undo", "--format", "json", policies=files))
    free = {
        action
        for document in found.values()
        if "RoleName" in document
        for each in document["PolicyDocument"]["Statement"]
        if "*" in listed(each["Resource"])
        for action in each["Action"]
    }
    assert {action for action in free if not re.search(":(Get|List|Describe|Generate|Lookup)", action)} == {
        "securityhub:BatchImportFindings"
    }
    text = (ROOT / "docs" / "roles.md").read_text()
    others = {each for each in free if not each.startswith(("iam:", "organizations:"))}
    assert [each for each in others if f"`{each}`" not in text] == []


def test_deleting_in_identity_center_is_asked_for() -> None:
    deleting = {"sso:DeleteAccountAssignment", "identitystore:DeleteUser"}
    options = ("--role", "identity-center", "--format", "json")
    assert not deleting & actions(printed(roles(*options, policies=("provision",))))
    assert deleting <= actions(printed(roles(*options, "--undo", policies=("provision",))))


def test_one_role_is_a_template_by_itself() -> None:
    options = (
        "--role",
        "member-remover",
        "--remover",
        "Other",
        "--external-id",
        "e-1",
        "--org-id",
        "o-a1b2c3d4e5",
    )
    properties = printed(roles(*options))["Resources"]["Role"]["Properties"]
    assert properties["RoleName"] == "Other"
    assert properties["AssumeRolePolicyDocument"]["Statement"][0]["Condition"] == {
        "StringEquals": {"sts:ExternalId": "e-1", "aws:PrincipalOrgID": "o-a1b2c3d4e5"}
    }
    assert "aws_iam_role" in printed(roles("--role", "member-remover", "--format", "terraform"))["resource"]


def test_the_bucket_of_the_notices_is_the_runners(tmp_path: Path) -> None:
    data = yaml.safe_load((ROOT / "accounts.yml").read_text())
    data["vars"]["notices"] = "s3://notices/all"
    accounts = tmp_path / "accounts.yml"
    accounts.write_text(yaml.safe_dump(data))
    found = printed(roles("-c", str(accounts), "--role", "runner", "--format", "json", accounts=False))
    assert "s3:PutObject" in actions(found)
    assert "arn:aws:s3:::notices/all/*" in json.dumps(found)


@pytest.mark.parametrize(
    ("url", "objects", "listed"),
    [
        pytest.param("s3://runs", ["runs/*"], [None], id="bucket"),
        pytest.param("s3://runs/a/", ["runs/a/*"], [["a/*"]], id="prefix"),
        pytest.param("s3://runs/{account_id}/x", ["runs/*/x/*"], [["*/x/*"]], id="account"),
        # a quarantine finds the journals of other policies in the directory
        pytest.param("s3://runs/{account_id}/{policy_name}", ["runs/*/*/*"], [["*/", "*/*/*"]], id="policy"),
        pytest.param("s3://runs/{region}-{account_id}", ["runs/*-*/*"], [["*-*/*"]], id="two-in-one"),
        pytest.param(
            "s3://runs/{now:%Y/%m}/x", ["runs/*/x/*", "runs/x/*"], [["*/x/*", "x/*"]], id="changing"
        ),
        pytest.param(
            "s3://{account_id}-runs/x",
            [f"{each}-runs/x/*" for each in ("111122223333", "444455556666", "777788889999")],
            [["x/*"]],
            id="bucket-of-each-account",
        ),
    ],
)
def test_variables_in_the_output(url: str, objects: list[str], listed: list[list[str] | None]) -> None:
    found = printed(roles("-s", url, "--role", "runner", "--format", "json", policies=("flag-and-notify",)))
    statements = {each["Action"][0]: each for each in found["PolicyDocument"]["Statement"]}
    assert statements["s3:PutObject"]["Resource"] == [f"arn:aws:s3:::{each}" for each in objects]
    assert [
        each.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
        for each in found["PolicyDocument"]["Statement"]
        if each["Action"] == ["s3:ListBucket"]
    ] == listed


@pytest.mark.parametrize("command", ["roles", "permissions"])
def test_exemptions_in_a_bucket_that_the_accounts_file_names(tmp_path: Path, command: str) -> None:
    flag = {"type": "unnecessary", "exempt-from": "s3://{lambda_bucket}/{account_name}/exemptions.csv"}
    options = ("-c", str(ROOT / "accounts.yml"))
    found = printed(of(tmp_path, flag, command=command, options=options))
    assert "arn:aws:s3:::example-iam-users-realtime/*/exemptions.csv" in json.dumps(found)
    refused = of(tmp_path, flag, command=command)
    assert refused.exit_code == 1
    assert "the list of exemptions s3://{lambda_bucket} depends on lambda_bucket" in refused.output


@pytest.mark.parametrize(
    ("options", "accounts", "message"),
    [
        pytest.param(
            (), False, "depends on identity_center_role, which is not known in every account", id="role"
        ),
        pytest.param(
            ("--identity-center-role", CENTER),
            False,
            "the queue {queue_url} depends on queue_url",
            id="queue",
        ),
        pytest.param(("--runner", "Runner"), True, "'Runner' is not the ARN of a role", id="runner"),
        pytest.param(
            ("--runner", "arn:aws:iam::123456789012:role/*/Runner"),
            True,
            "is not the ARN of a role",
            id="any-path",
        ),
        pytest.param(("--remover", "*"), True, "'*' is not the name of a role", id="any-remover"),
        pytest.param(("--reader", "team/Reader"), True, "'team/Reader' is not the name", id="path-of-reader"),
        pytest.param(("--reader", "X", "--remover", "X"), True, "give them different names", id="one-name"),
        pytest.param(("--deployer", "IamUsersReader"), True, "give them different names", id="two-names"),
        *(
            pytest.param(("--runner-principal", given), True, said, id=f"principal-{given}")
            for given, said in (
                ("*", "is neither a service"),
                ("foo", "is neither a service"),
                ("ec2.amazonaws.com.example.com", "is neither a service"),
                ("arn:aws:iam::123456789012:role/*", "is neither a service"),
                ("arn:aws:sts::123456789012:assumed-role/CI/run", "is neither a service"),
                ("arn:aws:iam::123456789012:oidc-provider/example.com", "is neither a service"),
                ("arn:aws:iam::123456789012:user/", "is neither a service"),
                ("arn:aws:iam::999999999999:root", "would let every role and user of account 999999999999"),
                (
                    f"{GOV}::123456789012:role/CI",
                    "is in another partition than arn:aws:iam::123456789012:role/Runner",
                ),
            )
        ),
        *(
            pytest.param(
                ("--external-id", given), True, "is not an external id", id=f"external-id-{given[:4]}"
            )
            for given in ("a b", "x", "a" * 1225, "a\n", "\u00e4\u00e4")
        ),
        pytest.param(
            ("-s", "s3://{account_id}-runs"),
            False,
            "the output s3://{account_id}-runs depends on account_id, which is not known in every account: give",
            id="bucket-of-each-account",
        ),
        pytest.param(
            ("-s", "s3://{now}/x"), True, "has now in the name of the bucket, which only", id="now-in-bucket"
        ),
        pytest.param(
            ("-s", "s3://runs/{account_name}"),
            True,
            "in which Cloud Custodian fills in {account_id}",
            id="name",
        ),
        pytest.param(("--org-id", "o-*"), True, "'o-*' is not the id of an organization", id="organization"),
        pytest.param(
            ("-s", "s3://runs/*/x"),
            True,
            "the output s3://runs/*/x has a *, which stands for anything in a policy",
            id="any-output",
        ),
        pytest.param(("-s", "output"), True, "'output' is not s3://BUCKET/PREFIX", id="directory"),
        pytest.param(
            ("--remover", "IamUsersRealtime", *REALTIME), True, "have a role of their own", id="function"
        ),
    ],
)
def test_what_is_missing_is_named(options: tuple[str, ...], accounts: bool, message: str) -> None:
    result = roles(*options, accounts=accounts)
    assert result.exit_code != 0
    assert message in result.output


@pytest.mark.parametrize(
    ("account", "runner", "center", "message"),
    [
        pytest.param(
            {"role": f"{GOV}::111122223333:role/R"}, RUNNER, CENTER, "payments (111122223333)", id="role"
        ),
        pytest.param({"regions": ["us-gov-west-1"]}, RUNNER, CENTER, "payments (111122223333)", id="region"),
        pytest.param(
            {"role": "R", "regions": ["us-east-1"]},
            f"{GOV}::123456789012:role/Runner",
            f"{GOV}::123456789012:role/Center",
            "payments (111122223333) is in partition aws",
            id="runner",
        ),
        pytest.param(
            {"role": "R"}, RUNNER, f"{GOV}::123456789012:role/Center", "Identity Center", id="center"
        ),
        pytest.param({"role": "R"}, RUNNER, "Center", "'Center', the role for Identity Center", id="name"),
        pytest.param(
            {"regions": ["us-gov-west-1"]},
            f"{GOV}::123456789012:role/Runner",
            f"{GOV}::123456789012:role/Center",
            "",
            id="same",
        ),
        # not known: variables are all that is taken of it
        pytest.param(
            {"regions": ["all"]},
            f"{GOV}::123456789012:role/Runner",
            f"{GOV}::123456789012:role/Center",
            "",
            id="any",
        ),
    ],
)
def test_no_role_trusts_one_of_another_partition(
    tmp_path: Path, account: dict[str, Any], runner: str, center: str, message: str
) -> None:
    data = yaml.safe_load((ROOT / "accounts.yml").read_text())
    data["vars"]["identity_center_role"] = center
    kept = {key: value for key, value in data["accounts"][0].items() if key not in ("role", "regions")}
    accounts = tmp_path / "accounts.yml"
    accounts.write_text(yaml.safe_dump({**data, "accounts": [{**kept, **account}]}))
    result = roles("-c", str(accounts), accounts=False, runner=runner)
    assert (result.exit_code != 0) == bool(message)
    assert message in result.output


@pytest.mark.parametrize(
    ("principal", "kind"),
    [
        pytest.param("ec2.amazonaws.com", "Service", id="service"),
        pytest.param("states.us-east-1.amazonaws.com", "Service", id="regional"),
        pytest.param("ec2.amazonaws.com.cn", "Service", id="china"),
        pytest.param("arn:aws:iam::999999999999:role/ci/Runs", "AWS", id="role"),
        pytest.param("arn:aws:iam::999999999999:user/ci", "AWS", id="user"),
        pytest.param("arn:aws:iam::123456789012:root", "AWS", id="own-account"),
    ],
)
def test_who_may_be_the_principal_of_the_runner(principal: str, kind: str) -> None:
    options = ("--runner-principal", principal, "--external-id", "team:a/b=c,d.e@f+g-h_1")
    (trust,) = printed(roles(*options, "--role", "runner", "--format", "json"))["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert trust["Principal"] == {kind: principal}


def test_an_accounts_file_with_two_lists(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.yml"
    accounts.write_text((ROOT / "accounts.yml").read_text() + "accounts: []\n")
    result = roles("-c", str(accounts), accounts=False)
    assert result.exit_code == 1
    assert "the key 'accounts' is given twice" in result.output


def test_one_of_several_roles_of_functions_is_printed_by_its_number() -> None:
    """The file's head and docs/roles.md say so; and whoever asks for one is told that there are others."""
    names = {"function": "IamUsersRealtime", "function-2": "IamUsersRealtimeQuarantine"}
    for kind, name in names.items():
        result = roles("--format", "json", "--role", kind, *REALTIME, policies=())
        assert printed(result)["RoleName"] == name
        told = "there are several: function (IamUsersRealtime), function-2 (IamUsersRealtimeQuarantine). Printed is"
        assert (told in result.stderr) == (kind == "function")
    assert roles("--role", "function", "--policy", "policies/realtime.yml", policies=()).stderr == ""


def test_a_role_that_is_not_taken() -> None:
    result = roles("--role", "identity-center", policies=("attempts",))
    assert result.exit_code == 1
    assert "the policies need no role identity-center; they need member-reader, runner" in result.output


@pytest.mark.parametrize(
    "given", ["s3://lists/{account_id}/x.csv?region=us-east-1", {"from": "s3://lists/{group}/x.csv"}]
)
def test_exemptions_in_a_bucket_are_that_object(tmp_path: Path, given: Any) -> None:
    flag = {"type": "unnecessary", "exempt-from": given}
    found = printed(of(tmp_path, flag, command="permissions"))["Statement"]
    assert {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::lists/*/x.csv"} in found
    assert sum("s3:GetObject" in each["Action"] for each in found) == 1


def test_who_signed_in_is_read_by_the_role_for_identity_center(tmp_path: Path) -> None:
    gate = {
        "type": "identity-center",
        "state": "used",
        "role": CENTER,
        "user": USER,
        "sign-ins": "s3://out/sign-ins.json",
    }
    found = printed(of(tmp_path, gate))
    assert "cloudtrail:LookupEvents" in actions(found["identity-center"])
    assert "cloudtrail:LookupEvents" not in actions(found["member-reader"])
    assert "arn:aws:s3:::out/sign-ins.json" in json.dumps(found["runner"])


def test_for_whom_access_was_given_is_read_by_the_runner(tmp_path: Path) -> None:
    gate = {
        "type": "identity-center",
        "state": "provisioned",
        "role": CENTER,
        "user": USER,
        "records": "s3://out/records",
    }
    runner = printed(of(tmp_path, gate))["runner"]
    statements = {each["Action"][0]: each for each in runner["PolicyDocument"]["Statement"]}
    assert statements["s3:GetObject"]["Resource"] == ["arn:aws:s3:::out/records/*"]
    assert statements["s3:ListBucket"]["Resource"] == ["arn:aws:s3:::out"]


def test_a_reviewed_plan_is_read_by_the_runner(tmp_path: Path) -> None:
    delete = {
        "type": "composite-delete",
        "noticed": "none",
        "require": "none",
        "plan": "s3://reviewed/{account_id}/plan.json",
    }
    filters = [{"type": "unnecessary", "exempt": "none"}]
    runner = printed(of(tmp_path, delete, section="actions", filters=filters))["runner"]
    statements = {each["Action"][0]: each for each in runner["PolicyDocument"]["Statement"]}
    assert statements["s3:GetObject"]["Resource"] == ["arn:aws:s3:::reviewed/*/plan.json"]
    assert "s3:PutObject" not in statements


def test_filters_are_found_within_others(tmp_path: Path) -> None:
    gate = {"type": "identity-center", "state": "absent", "role": CENTER, "user": USER}
    found = printed(of(tmp_path, {"not": [{"or": [gate]}]}))
    assert set(found) == {"member-reader", "identity-center", "runner"}
    assert {each.split(":")[0] for each in actions(found["member-reader"])} == {"iam"}


@pytest.mark.parametrize(
    ("role", "services"),
    [
        pytest.param(CENTER, {"iam"}, id="by-a-role"),
        pytest.param(None, {"iam", "sso", "identitystore"}, id="by-itself"),
    ],
)
def test_permissions_are_those_of_the_policys_own_session(
    tmp_path: Path, role: str | None, services: set[str]
) -> None:
    gate = {"type": "identity-center", "state": "absent", "user": USER, **({"role": role} if role else {})}
    found = printed(of(tmp_path, gate, command="permissions"))
    listed = [action for each in found["Statement"] for action in each["Action"]]
    assert {each.split(":")[0] for each in listed} == services
    assert "sts:AssumeRole" not in listed


def test_who_sends_an_announcement_reads_whether_it_left_the_queue() -> None:
    counting = {"sqs:GetQueueAttributes", "cloudwatch:GetMetricStatistics"}
    found = printed(roles("--format", "json", *REALTIME, policies=("flag-and-notify",)))
    assert counting <= actions(found["runner"])
    places = {each["Action"][-1]: each["Resource"] for each in found["runner"]["PolicyDocument"]["Statement"]}
    # its dead-letter queue is there too, and has any name
    assert places["sqs:GetQueueAttributes"] == ["arn:aws:sqs:us-east-1:123456789012:*"]
    # what announces nothing is not asked for
    assert not counting & (actions(found["function"]) | actions(found["member-reader"]))


@pytest.mark.parametrize(
    ("mode", "assume_role", "kind"),
    [
        pytest.param(None, True, "member-reader", id="policy"),
        pytest.param({"type": "periodic", "schedule": "rate(1 day)"}, False, "function", id="function"),
    ],
)
def test_whoever_sends_an_announcement_reads_the_queue(
    tmp_path: Path, mode: dict[str, Any] | None, assume_role: bool, kind: str
) -> None:
    announcing = {
        "type": "notify-owners",
        "notices": "s3://notices/n",
        "step": "announce",
        "days": 30,
        "template": "iam-users-flagged.html",
        "to": ["a@example.com"],
        "transport": {"type": "sqs", "queue": "https://sqs.us-east-1.amazonaws.com/123456789012/q"},
        "assume_role": assume_role,
    }
    data: dict[str, Any] = {
        "name": "flag",
        "resource": "aws.iam-user",
        "source": "authorization-details",
        "filters": [{"type": "unnecessary", "exempt": "none"}],
        "actions": [announcing],
    }
    if mode:
        packed = {"packages": ["c7n_iamusers"], "handler": "c7n_iamusers.handler.run"}
        data["mode"] = {**mode, **packed, "role": "F", "execution-options": {"output_dir": "s3://out/x"}}
    file = tmp_path / "flag.yml"
    counting = {"sqs:GetQueueAttributes", "cloudwatch:GetMetricStatistics"}
    for delivery, counts in ((None, counting), ("unchecked", set())):
        announcing |= {"delivery": delivery} if delivery else {}
        file.write_text(yaml.safe_dump({"policies": [data]}))
        options = ("-u", str(file), "--runner", RUNNER, "--format", "json")
        found = printed(CliRunner().invoke(main, ["roles", *options]))
        assert counting & actions(found[kind]) == counts
        assert not counting & actions(found["runner"])


def test_the_role_of_the_mailer(tmp_path: Path) -> None:
    file = tmp_path / "mailer.yml"
    file.write_text("queue_url: https://sqs.us-east-1.amazonaws.com/123456789012/q\nsmtp_server: x\n")
    options = ("--mailer", str(file), "--format", "json")
    found = printed(roles(*options))
    assert actions(found["mailer"]) == {"sqs:DeleteMessage", "sqs:ReceiveMessage"}
    assert (found["mailer"]["RoleName"], "AssumeRolePolicyDocument" in found["mailer"]) == (
        "IamUsersMailer",
        False,
    )
    # nobody else takes messages out of the queue
    assert not {"sqs:DeleteMessage"} & set().union(
        *(actions(found[kind]) for kind in found if kind != "mailer")
    )
    found = printed(
        roles(*options, "--setup", "--mailer-role", "M", "--mailer-principal", "ec2.amazonaws.com")
    )
    (trust,) = found["mailer"]["AssumeRolePolicyDocument"]["Statement"]
    assert (found["mailer"]["RoleName"], trust["Principal"]) == ("M", {"Service": "ec2.amazonaws.com"})
    asking = [
        each["Resource"]
        for kind in ("mailer", "runner")
        for each in found[kind]["PolicyDocument"]["Statement"]
        if "iam:SimulatePrincipalPolicy" in each["Action"]
    ]
    assert asking == [["arn:aws:iam::123456789012:role/M"]] * 2
    file.write_text(file.read_text() + "role: arn:aws:iam::999999999999:role/x/Mailer\n")
    (trust,) = printed(roles(*options, "--role", "mailer"))["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        pytest.param(None, ("--role", "mailer"), "and with --mailer FILE also mailer", id="no-file"),
        pytest.param(
            None, ("--mailer-role", "M"), "depends on its configuration: give --mailer FILE", id="name-alone"
        ),
        pytest.param("queue_url: asq://x", (), "is not the ARN or the https URL of a queue", id="azure"),
        pytest.param("region: x", (), "it has no queue_url", id="no-queue"),
        pytest.param("- a", (), "it has no queue_url", id="list"),
        pytest.param("\tqueue_url: x", (), "can't be read as c7n-mailer's configuration", id="tab"),
        pytest.param(
            "{queue_url: https://sqs.us-east-1.amazonaws.com/1/q, role: a b}",
            (),
            "'a b', the role of c7n-mailer, is neither the name nor the ARN of a role",
            id="no-role",
        ),
    ],
)
def test_a_mailer_without_a_role(
    tmp_path: Path, text: str | None, options: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "mailer.yml"
    if text is not None:
        file.write_text(text)
    result = roles(*options, *(() if text is None else ("--mailer", str(file))))
    assert result.exit_code != 0
    assert said in " ".join(result.output.split()) or said in str(result.exception)


@pytest.mark.parametrize(
    ("sender", "wanted"),
    [
        pytest.param(False, {"iam:ListAccountAliases"}, id="runner"),
        pytest.param(True, {"iam:ListAccountAliases", "sqs:SendMessage"}, id="policy"),
    ],
)
def test_who_sends_a_notice(tmp_path: Path, sender: bool, wanted: set[str]) -> None:
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/mailer"
    notify = {"type": "notify", "to": ["a@example.com"], "transport": {"type": "sqs", "queue": queue}}
    found = printed(of(tmp_path, {**notify, "assume_role": sender}, section="actions"))
    assert wanted <= actions(found["member-reader"])
    assert ("sqs:SendMessage" in actions(found["member-reader"])) == sender
    assert ("sqs:SendMessage" in actions(found["runner"])) != sender


def test_the_guardrail_is_printed_and_checked() -> None:
    result = CliRunner().invoke(
        main, ["guardrail", "--spare", "IamUsersRemover", "--admin", "stacksets-exec-*"]
    )
    assert result.exit_code == 0, result.output
    assert [each["Sid"] for each in json.loads(result.stdout)["Statement"]] == [
        "DenyLongTermCredentials",
        "ProtectExemptRoles",
        "ProtectFunctions",
    ]
    assert "checked: " in result.stderr
    refused = CliRunner().invoke(main, ["guardrail", "--spare", "*", "--no-admin"])
    assert refused.exit_code == 1
    assert "--spare '*' is not the name of a role" in refused.output
