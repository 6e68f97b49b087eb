# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import botocore.client
import pytest
import yaml
from c7n.config import Config
from c7n.exceptions import PolicyExecutionError
from c7n.policy import PolicyCollection
from c7n.utils import reset_session_cache
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg, Settings
from c7n_iamusers.organization import likely_mistakes
from c7n_iamusers.organization.likely_mistakes import EXAMPLE_ACCOUNT
from c7n_iamusers_cli.main import main
from tests.conftest import hurry
from tests.derivation.users import WITH_MFA
from tests.fakes import client_error
from tests.in_process import short_circuit

A, B, C, MANAGEMENT = "111122223333", "444455556666", "777788889999", "123456789012"
QUEUE = f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/c7n-mailer"
CENTER = f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner"
ROLE = f"arn:aws:iam::{A}:role/CloudCustodian"
POLICY: dict[str, Any] = {
    "name": "delete",
    "resource": "aws.iam-user",
    "source": "authorization-details",
    "filters": [{"type": "unnecessary", "exempt": "none"}],
    "actions": [
        {"type": "composite-delete", "noticed": "none", "require": "none"},
        {
            "type": "notify",
            "to": ["{owner}"],
            "contact": "{contact}",
            "transport": {"type": "sqs", "queue": "{queue_url}"},
            "assume_role": False,
        },
    ],
}


class Rehearsal:
    """The files in the current directory, and the organization."""

    def __init__(self, org: LocalOrg, path: Path) -> None:
        self.org = org
        shared = {
            "queue_url": QUEUE,
            "identity_center_role": CENTER,
            "contact": "c@example.com",
            "notices": str(path / "notices"),
        }
        rows = [
            {
                "name": name,
                "account_id": each,
                "role": "CloudCustodian",
                "regions": ["us-east-1"],
                "vars": {"owner": "owner@example.com"},
            }
            for each, name in ((A, "payments"), (B, "research"), (C, "platform"))
        ]
        self.accounts: dict[str, Any] = {"vars": shared, "accounts": rows}
        Path("policies.yml").write_text(yaml.safe_dump({"policies": [POLICY]}))

    def change(self, **changes: Any) -> None:
        self.accounts["accounts"][0].update(changes)

    def shared(self, **changes: Any) -> None:
        self.accounts["vars"].update(changes)

    def role(self, *statements: dict[str, Any], trust: dict[str, Any] | None = None) -> None:
        """Account A's role has these statements in place of AdministratorAccess, and another trust policy."""
        iam = self.org.client("iam", A)
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        if statements:
            iam.detach_role_policy(
                RoleName="CloudCustodian", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
            )
            iam.put_role_policy(RoleName="CloudCustodian", PolicyName="p", PolicyDocument=document)
        if trust:
            allowing = {
                "Effect": "Allow",
                "Principal": {"AWS": MANAGEMENT},
                "Action": "sts:AssumeRole",
                **trust,
            }
            document = json.dumps({"Version": "2012-10-17", "Statement": [allowing]})
            iam.update_assume_role_policy(RoleName="CloudCustodian", PolicyDocument=document)

    def run(self, *arguments: str) -> Result:
        Path("accounts.yml").write_text(yaml.safe_dump(self.accounts))
        given = ["preflight", "-c", "accounts.yml", "-u", "policies.yml", *arguments]
        result = CliRunner().invoke(main, given)
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    def checks(self, *arguments: str) -> list[dict[str, str]]:
        return list(json.loads(self.run("--format", "json", *arguments).stdout))

    def holes(self, *arguments: str) -> list[dict[str, str]]:
        return [each for each in self.checks(*arguments) if each["status"] == "hole"]

    def doubts(self, *arguments: str) -> list[dict[str, str]]:
        """What needs attention."""
        return [each for each in self.checks(*arguments) if each["status"] == "attention"]


@pytest.fixture
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    monkeypatch.chdir(tmp_path)
    return Rehearsal(org, tmp_path)


@pytest.fixture
def mailer(fleet: Rehearsal) -> Iterator[tuple[str, str]]:
    """The option for a c7n-mailer whose mail server answers."""
    with mail_server() as server:
        Path("mailer.yml").write_text(yaml.safe_dump(settings_for(server)))
        yield "--mailer", "mailer.yml"


class MailServer(ThreadingTCPServer):
    """``said``: what clients said. ``answers``: the beginning of a command -> another answer than OK."""

    daemon_threads = True

    def __init__(self, answers: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.said: list[str] = []
        self.answers = {"quit": "221 bye", "EHLO": "250-here\r\n250 AUTH PLAIN", **answers}


class Conversation(StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            said = line.decode().strip()
            self.server.said.append(said)
            other = (
                answer
                for begins, answer in self.server.answers.items()
                if said.lower().startswith(begins.lower())
            )
            self.wfile.write(f"{next(other, '250 OK')}\r\n".encode())


@contextmanager
def mail_server(**answers: str) -> Iterator[MailServer]:
    with MailServer(answers) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def settings_for(server: MailServer) -> dict[str, Any]:
    """Of a c7n-mailer that uses the server."""
    return {
        "queue_url": QUEUE,
        "region": "us-east-1",
        "from_address": "Governance <c@example.com>",
        "smtp_server": "127.0.0.1",
        "smtp_port": server.server_address[1],
        "smtp_ssl": False,
    }


def test_without_a_hole(fleet: Rehearsal, mailer: tuple[str, str]) -> None:
    policy = {**POLICY, "actions": POLICY["actions"][:1]}
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [policy]}))
    result = fleet.run(*mailer)
    assert result.exit_code == 0, result.output
    checked = (
        "ok: 3 of 3 accounts: role, read, credential report, permissions, region, owner, texts, variables"
    )
    assert result.stdout.splitlines() == [
        checked,
        "organization",
        "  ok: policies, queue, notices, mailer, mailer permissions, identity center role, identity center, accounts, "
        "accounts of the organization",
    ]
    assert result.stderr == ""


def test_an_account_with_a_problem_is_shown_whole_and_the_others_are_counted(fleet: Rehearsal) -> None:
    fleet.change(regions=["eu-north-1"], vars={"owner": "nobody"})
    lines = fleet.run().stdout.splitlines()
    assert lines[0].startswith(
        "ok: 2 of 3 accounts (research (444455556666), platform (777788889999)): role, read, "
    )
    assert lines[1] == f"payments ({A})"
    assert lines[2].startswith("  ok: role, read, ")
    assert lines[3].startswith("  problem: ")


def test_the_accounts_of_the_organization_are_no_placeholders(
    fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner may be in another account than the one that has the example's id."""
    known = list[set[str]]()

    def placeholders(_: object, __: object, accounts: set[str]) -> Iterator[Any]:
        known.append(accounts)
        return iter(())

    monkeypatch.setattr(likely_mistakes, "placeholders", placeholders)
    fleet.run()
    assert known == [{A, B, C, EXAMPLE_ACCOUNT}]


def test_users_whose_policies_ask_for_mfa_are_named_before_the_first_cycle(fleet: Rehearsal) -> None:
    """Until the policy says whether Identity Center asks for MFA: true, or false."""
    iam = fleet.org.client("iam", A)
    iam.create_user(UserName="ann")
    asks = {"Effect": "Allow", "Action": "*", "Resource": "*", **WITH_MFA}
    iam.put_user_policy(
        UserName="ann",
        PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [asks]}),
    )
    shipped = yaml.safe_load((Path(__file__).parents[2] / "policies" / "provision-intents.yml").read_text())
    policy = {**shipped["policies"][0], "filters": [{"type": "unnecessary", "exempt": []}]}

    def doubts(derive: Any) -> list[str]:
        action = {**policy["actions"][0], "derive": derive}
        Path("policies.yml").write_text(yaml.safe_dump({"policies": [{**policy, "actions": [action]}]}))
        return [each["text"] for each in fleet.doubts() if each["name"] == "MFA"]

    (told,) = doubts(True)
    assert told.endswith(": ann in payments")
    assert doubts({"write-out": True}) == [told]
    assert doubts({"identity-center-mfa": False}) == doubts({"identity-center-mfa": True}) == []


def share(org: LocalOrg, given: list[str], accounts: str) -> None:
    """The bucket and the queue of the functions, with the policies that are printed, and the list of exemptions."""
    runner = ("--runner", f"arn:aws:iam::{org.settings.management_account}:role/Runner", "--format", "json")
    printed = CliRunner().invoke(main, ["roles", *given, "-c", accounts, *runner])
    assert printed.exit_code == 0, printed.output
    found, s3 = json.loads(printed.stdout), org.client("s3")
    bucket = found["bucket-policy"]["Bucket"]
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="exemptions.csv", Body=b"")
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(found["bucket-policy"]["PolicyDocument"]))
    (url,) = found["queue-policy"]["Queues"]
    attributes = {
        "Policy": json.dumps(found["queue-policy"]["PolicyDocument"]),
        "MessageRetentionPeriod": "1209600",
    }
    org.client("sqs").create_queue(QueueName=url.rpartition("/")[2], Attributes=attributes)


def test_the_files_that_come_along_have_no_hole(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    given = [part for each in sorted((root / "policies").glob("*.yml")) for part in ("-u", str(each))]
    monkeypatch.chdir(root)
    accounts = yaml.safe_load((root / "accounts.yml").read_text())
    accounts["vars"]["notices"] = str(tmp_path / "notices")
    (tmp_path / "accounts.yml").write_text(yaml.safe_dump(accounts))
    for each in accounts["accounts"]:
        for name in ("Realtime", "RealtimeQuarantine", "Remover", "Restorer"):
            function_role(org, each["account_id"], name=f"IamUsers{name}")
    share(org, given, str(tmp_path / "accounts.yml"))
    result = CliRunner().invoke(main, ["preflight", "-c", str(tmp_path / "accounts.yml"), *given])
    assert result.exit_code == 3, result.output
    told = [
        line for line in result.stdout.splitlines() if not line.startswith(("  ok: ", "    what to do: "))
    ]
    assert told[0].startswith("ok: 3 of 3 accounts: role, read, ")
    assert told[1] == "organization"
    assert [each.split(": ")[:2] for each in told[2:]] == [
        ["  unknown", "templates"],
        *[["  attention", "placeholders"]] * 4,
        ["  attention", "exemptions"],
    ]
    assert result.stderr == "5 to look at; 1 unknown, so not checked\n"


def test_an_exemption_of_no_account_is_a_hole(fleet: Rehearsal) -> None:
    rules = Path("exemptions.csv")
    rules.write_text("account,user,reason,expires\nresearch,x,r,2999-12-31\npaymets,x,r,2999-12-31\n")
    filters = [{"type": "unnecessary", "exempt-from": str(rules)}]
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [{**POLICY, "filters": filters}]}))
    (hole,) = fleet.holes("-a", "payments")
    assert hole["name"] == "exemptions"
    assert hole["text"] == 'of no account: user "x" in account "paymets" until 2999-12-31'
    rules.unlink()
    unknown = {each["name"]: each["text"] for each in fleet.checks() if each["status"] == "unknown"}
    assert "exemptions.csv" in unknown["exemptions"]


def test_a_list_in_a_bucket_is_read_as_by_a_run(fleet: Rehearsal) -> None:
    filters = [{"type": "unnecessary", "exempt-from": "s3://lists/{account_id}.csv"}]
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [{**POLICY, "filters": filters}]}))
    s3 = fleet.org.client("s3")
    s3.create_bucket(Bucket="lists")
    s3.put_object(Bucket="lists", Key=f"{A}.csv", Body=b"user,reason,expires\nx,r,2999-12-31\n")
    s3.put_object(Bucket="lists", Key=f"{B}.csv", Body=b"user,reason\n")
    found = {each["place"]: each for each in fleet.checks() if each["name"] == "list of exemptions"}
    assert {place: each["status"] for place, each in found.items()} == {
        f"payments ({A})": "ok",
        f"research ({B})": "hole",
        f"platform ({C})": "hole",
    }
    assert found[f"payments ({A})"]["text"] == f"s3://lists/{A}.csv: 1 rules"
    assert "NoSuchKey" in found[f"platform ({C})"]["text"]
    assert "copy it there" in found[f"platform ({C})"]["remedy"]
    filters[0]["exempt-from"] = f"s3://lists/{A}.csv"
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [{**POLICY, "filters": filters}]}))
    (idle,) = [each for each in fleet.checks() if each["name"] == "exemptions"]
    assert (idle["status"], idle["text"][:16]) == ("attention", "1 match nobody: ")


def test_it_changes_nothing(fleet: Rehearsal) -> None:
    fleet.org.clear_calls()
    fleet.run()
    beginnings = ("Get", "List", "Describe", "AssumeRole", "Simulate", "GenerateCredentialReport")
    assert [each.operation for each in fleet.org.calls if not each.operation.startswith(beginnings)] == []
    assert sorted(each.name for each in Path().iterdir()) == ["accounts.yml", "policies.yml"]


def missing_role(fleet: Rehearsal) -> None:
    fleet.change(role="Missing")


def other_external_id(fleet: Rehearsal) -> None:
    fleet.role(trust={"Condition": {"StringEquals": {"sts:ExternalId": "right"}}})
    fleet.change(external_id="wrong")


def no_role(fleet: Rehearsal) -> None:
    del fleet.accounts["accounts"][0]["role"]


def no_profile(fleet: Rehearsal) -> None:
    no_role(fleet)
    fleet.change(profile="nowhere")


def broken_chain(fleet: Rehearsal) -> None:
    fleet.change(role=[f"arn:aws:iam::{B}:role/CloudCustodian", ROLE])


def other_role(fleet: Rehearsal) -> None:
    fleet.change(role=f"arn:aws:iam::{B}:role/CloudCustodian")


def other_profile(fleet: Rehearsal) -> None:
    profile(fleet, f"arn:aws:iam::{B}:role/CloudCustodian")


def no_owner(fleet: Rehearsal) -> None:
    fleet.change(vars={})


def no_contact(fleet: Rehearsal) -> None:
    del fleet.accounts["vars"]["contact"]


def wrong_regions(fleet: Rehearsal) -> None:
    fleet.change(regions=["eu-west-1", "eu-central-1"])


def without(action: str) -> Callable[[Rehearsal], None]:
    """Account A's role may do everything but ``action``."""
    statements = ("Allow", "*"), ("Deny", action)
    return lambda fleet: fleet.role(
        *({"Effect": effect, "Action": each, "Resource": "*"} for effect, each in statements)
    )


@pytest.mark.parametrize(
    ("make", "name", "told", "remedy"),
    [
        pytest.param(
            missing_role, "role", "AccessDenied", f"create arn:aws:iam::{A}:role/Missing", id="role"
        ),
        pytest.param(other_external_id, "role", "AccessDenied", "the external id 'wrong'", id="external-id"),
        pytest.param(no_role, "role", "it has no role", "role: ARN", id="no-role"),
        pytest.param(no_profile, "role", "nowhere", "correct profile nowhere", id="profile"),
        pytest.param(other_role, "role", f"is in account {B}", "correct role or account_id", id="other-role"),
        pytest.param(
            other_profile,
            "role",
            f"profile payments acts in account {B}",
            "correct profile or account_id",
            id="other-profile",
        ),
        pytest.param(broken_chain, "role", "AccessDenied", "allow sts:AssumeRole to", id="chain"),
        pytest.param(
            without("iam:DeleteUser"),
            "permissions",
            "not allowed: iam:DeleteUser",
            "if this role only reads, run the policy with the accounts file of the role that changes users "
            "(accounts-remove.yml, and accounts-restore.yml to release or restore them); else give",
            id="changes-users",
        ),
        pytest.param(
            without("iam:ListUsers"),
            "permissions",
            "not allowed: iam:ListUsers",
            "give the role what `c7n-iamusers permissions --policy FILE` prints, or look at its boundary",
            id="reads",
        ),
        pytest.param(no_owner, "owner", "no owner's address", "owners --write", id="owner"),
        pytest.param(
            no_contact, "variables", "not defined: contact (policy delete)", "define them", id="variable"
        ),
        pytest.param(wrong_regions, "region", "none of its Regions", "regions: [us-east-1]", id="region"),
    ],
)
def test_a_hole_of_an_account(
    fleet: Rehearsal,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Rehearsal], None],
    name: str,
    told: str,
    remedy: str,
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(Path("config").absolute()))
    make(fleet)
    result = fleet.run("--format", "json")
    found = json.loads(result.stdout)
    hole = next(each for each in found if each["status"] == "hole" and each["place"].endswith(f"({A})"))
    assert (hole["name"], result.exit_code) == (name, 1)
    assert told in hole["text"]
    assert remedy in hole["remedy"]
    # It hides neither what else is known of the account nor the other accounts.
    assert {each["name"] for each in found if each["place"] == hole["place"]} >= {
        "region",
        "owner",
        "variables",
    }
    assert {"role", "permissions"} <= {
        each["name"] for each in found if each["place"] == f"research ({B})" and each["status"] == "ok"
    }


def test_an_external_id_and_a_chain_are_used(fleet: Rehearsal) -> None:
    fleet.role(trust={"Condition": {"StringEquals": {"sts:ExternalId": "right"}}})
    fleet.change(external_id="right", role=[f"arn:aws:iam::{MANAGEMENT}:role/CloudCustodian", ROLE])
    assert fleet.holes() == []


def profile(fleet: Rehearsal, role: str) -> None:
    Path("config").write_text(f"[profile payments]\nrole_arn = {role}\ncredential_source = Environment\n")
    no_role(fleet)
    fleet.change(profile="payments")


def test_a_profile(fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(Path("config").absolute()))
    profile(fleet, ROLE)
    found = {each["name"]: each for each in fleet.checks() if each["place"] == f"payments ({A})"}
    assert (found["role"]["status"], found["role"]["text"]) == ("ok", "profile payments")
    assert found["read"]["status"] == "ok"
    assert (found["permissions"]["status"], found["permissions"]["text"][:22]) == (
        "unknown",
        "not checked: a profile",
    )


def test_a_least_role_has_no_hole(fleet: Rehearsal) -> None:
    printed = CliRunner().invoke(main, ["permissions", "--policy", "policies.yml", "--account", A])
    fleet.role(
        *json.loads(printed.stdout)["Statement"],
        {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"},
    )
    assert fleet.holes() == []


def function_role(
    org: LocalOrg,
    account_id: str,
    service: str = "lambda.amazonaws.com",
    path: str = "/",
    name: str = "IamUsersRealtime",
) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    org.client("iam", account_id).create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=document)


@pytest.mark.parametrize(
    ("service", "refused", "role", "status", "told", "remedy"),
    [
        pytest.param("lambda.amazonaws.com", "", "team/{name}", "ok", f":{A}:role/team/IamUs", "", id="well"),
        pytest.param(
            "lambda.amazonaws.com",
            "",
            "arn:aws:iam::{account_id}:role/team/{name}",
            "ok",
            f":{A}:role/",
            "",
            id="arn",
        ),
        pytest.param(
            "", "", "{name}", "hole", "does not exist", "`c7n-iamusers roles --role function", id="missing"
        ),
        pytest.param(
            "lambda.amazonaws.com",
            "",
            "{name}",
            "hole",
            f"the role of this name is arn:aws:iam::{A}:role/team/IamUsersRealtime",
            "name its path too",
            id="other-path",
        ),
        pytest.param(
            "ec2.amazonaws.com",
            "",
            "team/{name}",
            "hole",
            "can't be assumed by lambda.amazonaws.com",
            "let its trust policy allow sts:AssumeRole to lambda.amazonaws.com",
            id="trusts-another",
        ),
        pytest.param(
            "lambda.amazonaws.com",
            "",
            f"arn:aws:iam::{B}:role/IamUsersRealtime",
            "hole",
            "is in another account",
            "name a role of the account",
            id="of-another-account",
        ),
        pytest.param(
            "lambda.amazonaws.com",
            "AccessDenied",
            "{name}",
            "unknown",
            "not checked",
            f"allow iam:GetRole on it to {ROLE}, as `c7n-iamusers roles --setup` does for the deployer",
            id="not-readable",
        ),
    ],
)
def test_the_role_of_a_function(
    fleet: Rehearsal,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    refused: str,
    role: str,
    status: str,
    told: str,
    remedy: str,
) -> None:
    """No reading, either: the role that deploys functions reads no users."""
    mode = {"type": "cloudtrail", "events": ["CreateUser"], "role": role}
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [{**POLICY, "mode": mode}]}))
    fleet.shared(name="IamUsersRealtime")
    if service:
        function_role(fleet.org, A, service, "/team/")
    if refused:
        fault(monkeypatch, "GetRole", refused)
    found = {
        each["name"]: each for each in fleet.checks("-a", "payments") if each["place"] == f"payments ({A})"
    }
    rest = {"trail", "concurrency", "permissions to deploy"}
    assert found.keys() == {"role", "function role", "region", "owner", "texts", "variables", *rest}
    assert found["function role"]["status"] == status
    assert told in found["function role"]["text"]
    assert remedy in found["function role"]["remedy"]


def fault(monkeypatch: pytest.MonkeyPatch, operation: str, code: str) -> None:
    """An answer with this error to each call of ``operation``."""
    client: Any = botocore.client.BaseClient
    asked = client._make_api_call

    def make(self: Any, name: str, parameters: Any) -> Any:
        if name == operation:
            raise client_error(code)
        return asked(self, name, parameters)

    monkeypatch.setattr(client, "_make_api_call", make)


@pytest.mark.parametrize(
    ("operation", "code", "name", "status"),
    [
        pytest.param("GetAccountAuthorizationDetails", "AccessDenied", "read", "hole", id="read"),
        pytest.param("GetCredentialReport", "AccessDenied", "credential report", "hole", id="report"),
        pytest.param("GetCredentialReport", "ReportInProgress", "credential report", "ok", id="under-way"),
        pytest.param("GetCredentialReport", "ReportExpired", "credential report", "ok", id="expired"),
        pytest.param("GenerateCredentialReport", "AccessDenied", "credential report", "hole", id="generate"),
        pytest.param("SimulatePrincipalPolicy", "AccessDenied", "permissions", "unknown", id="simulate"),
        pytest.param(
            "SimulatePrincipalPolicy", "PolicyEvaluation", "permissions", "unknown", id="simulation"
        ),
        pytest.param(
            "DescribeOrganization", "AccessDeniedException", "identity center", "unknown", id="owner"
        ),
        pytest.param("ListInstances", "AccessDeniedException", "identity center", "hole", id="instances"),
        pytest.param("GetQueueAttributes", "AccessDenied", "queue", "hole", id="queue"),
    ],
)
def test_what_aws_refuses(
    fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, name: str, status: str
) -> None:
    fault(monkeypatch, operation, code)
    found = [each for each in fleet.checks() if each["name"] == name]
    assert {each["status"] for each in found} == {status}
    assert all(bool(each["remedy"]) for each in found if status == "hole")


@pytest.mark.parametrize(
    ("changes", "name", "told", "remedy"),
    [
        pytest.param(
            {"queue_url": f"{QUEUE}-2"}, "queue", "NonExistentQueue", "create the queue", id="queue"
        ),
        pytest.param({"queue_url": "c7n-mailer"}, "queue", "it is no URL", "create the queue", id="no-url"),
        pytest.param(
            {"queue_url": f"arn:aws:sqs:us-east-1:{MANAGEMENT}:none"},
            "queue",
            "NonExistent",
            "create",
            id="arn",
        ),
        pytest.param(
            {"notices": "s3://none/n"}, "notices", "NoSuchBucket", "allow s3:PutObject", id="bucket"
        ),
        pytest.param({"notices": "accounts.yml"}, "notices", "accounts.yml", "allow writing", id="file"),
        pytest.param(
            {"identity_center_role": f"{CENTER}2"},
            "identity center role",
            "can't be assumed",
            f"let the trust policy of {CENTER}2",
            id="center-role",
        ),
    ],
)
def test_a_hole_of_what_all_share(
    fleet: Rehearsal, changes: dict[str, str], name: str, told: str, remedy: str
) -> None:
    fleet.shared(**changes)
    (hole,) = fleet.holes()
    assert (hole["place"], hole["name"]) == ("organization", name)
    assert told in hole["text"]
    assert remedy in hole["remedy"]


@pytest.mark.parametrize(
    ("name", "attributes", "told"),
    [
        pytest.param(
            "q", {"MessageRetentionPeriod": "86400"}, "keeps messages for 1 day, 0:00:00", id="too-short"
        ),
        pytest.param("q", {"MessageRetentionPeriod": "259200"}, "", id="long-enough"),
        pytest.param(
            "q",
            {
                "RedrivePolicy": '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:d", "maxReceiveCount": 1}'
            },
            "sqs:GetQueueAttributes on https://sqs.us-east-1.amazonaws.com/123456789012/d (",
            id="dead-letter-queue",
        ),
    ],
)
def test_a_queue_that_lets_no_announcement_count(
    fleet: Rehearsal, name: str, attributes: dict[str, str], told: str
) -> None:
    sqs = fleet.org.client("sqs")
    if "RedrivePolicy" in attributes:
        sqs.create_queue(QueueName="d")
    sqs.create_queue(QueueName=name, Attributes=attributes)
    if "RedrivePolicy" in attributes:
        sqs.delete_queue(QueueUrl=f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/d")
    fleet.shared(queue_url=f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/{name}")
    texts = [each["text"] for each in fleet.holes()]
    assert len(texts) == bool(told)
    assert all(told in each for each in texts)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"queue_url": f"arn:aws:sqs:us-east-1:{MANAGEMENT}:c7n-mailer"}, id="queue-by-arn"),
        pytest.param({"notices": "s3://notices/prefix"}, id="bucket"),
    ],
)
def test_other_forms(fleet: Rehearsal, changes: dict[str, str]) -> None:
    fleet.org.client("s3").create_bucket(Bucket="notices")
    fleet.shared(**changes)
    assert fleet.holes() == []
    assert fleet.org.client("s3").list_objects_v2(Bucket="notices")["KeyCount"] == 0


def test_a_file_that_stops_the_actions_is_a_hole(fleet: Rehearsal) -> None:
    Path("notices").mkdir()
    Path("notices/STOP").touch()
    (hole,) = fleet.holes()
    assert (hole["name"], "has a file STOP" in hole["text"]) == ("notices", True)
    assert hole["remedy"].startswith("remove STOP there")


def test_a_probe_that_stays_is_named(fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.org.client("s3").create_bucket(Bucket="notices")
    fleet.shared(notices="s3://notices/prefix")
    fault(monkeypatch, "DeleteObject", "AccessDenied")
    (found,) = [each for each in fleet.checks() if each["name"] == "notices"]
    assert found["status"] == "unknown"
    assert "the probe s3://notices/prefix/.preflight-" in found["text"]


def test_identity_center_of_another_region(fleet: Rehearsal) -> None:
    (hole,) = fleet.holes("--region", "eu-west-1")
    assert hole["name"] == "identity center"
    assert "us-east-1" in hole["text"]


CENTER_POLICIES = (
    "provision",
    "provision-intents",
    "your-access",
    "brownout",
    "listen",
    "quarantine",
    "delete",
)


@pytest.mark.parametrize("name", CENTER_POLICIES)
def test_the_shipped_policies_ask_in_the_region_of_the_accounts_file(fleet: Rehearsal, name: str) -> None:
    root = Path(__file__).parents[2]
    policy = (root / "policies" / f"{name}.yml").read_text()
    Path("policies.yml").write_text(policy)
    assert policy.count('role: "{identity_center_role}"') == policy.count(
        'region: "{identity_center_region}"'
    )
    shipped = yaml.safe_load((root / "accounts.yml").read_text())["vars"]
    fleet.accounts["vars"] = {**shipped, **fleet.accounts["vars"], "identity_center_region": "eu-west-1"}
    found = [each for each in fleet.holes() if each["name"] == "identity center"]
    assert ["no Identity Center instance in eu-west-1" in each["text"] for each in found] == [True]
    assert "identity_center_region" in found[0]["remedy"]


@pytest.mark.parametrize(
    ("region", "asked"),
    [
        pytest.param(None, "eu-west-1", id="where-the-policy-runs"),
        pytest.param("{identity_center_region}", "eu-west-1", id="empty"),
        pytest.param("eu-north-1", "eu-north-1", id="its-own"),
    ],
)
@pytest.mark.parametrize("given", [(), ("--region", "us-east-1"), ("--role", CENTER)], ids=" ".join)
def test_identity_center_is_asked_where_the_policy_asks(
    fleet: Rehearsal, region: str | None, asked: str, given: tuple[str, ...]
) -> None:
    """The instance is in us-east-1, the Region of the environment and of --region, where the policy does not ask."""
    user = {"username": "tag:Email", "email": "tag:Email"}
    person = {"type": "identity-center", "state": "provisioned", "role": CENTER, "user": user}
    if region is not None:
        person["region"] = region
    fleet.shared(identity_center_region="")
    policy = {**POLICY, "filters": [*POLICY["filters"], person]}
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [policy]}))
    for each in fleet.accounts["accounts"]:
        each["regions"] = ["eu-west-1"]
    (hole,) = [each for each in fleet.holes(*given) if each["name"] == "identity center"]
    assert f"no Identity Center instance in {asked}" in hole["text"]


def center_of_people(fleet: Rehearsal) -> tuple[Any, dict[str, Any]]:
    """The role for Identity Center with what is printed for a policy that asks about people; IAM, and the document."""
    user = {"username": "tag:Email", "email": "tag:Email"}
    person = {
        "type": "identity-center",
        "state": "provisioned",
        "role": "{identity_center_role}",
        "user": user,
    }
    policy = {**POLICY, "filters": [*POLICY["filters"], {**person, "region": "us-east-1"}]}
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [policy]}))
    (instance,) = fleet.org.client("sso-admin").list_instances()["Instances"]
    of_instance = ("--instance", instance["InstanceArn"], "--identity-store", instance["IdentityStoreId"])
    trusted = ("--identity-center-role", CENTER, "--runner", f"arn:aws:iam::{MANAGEMENT}:role/Runner")
    Path("accounts.yml").write_text(yaml.safe_dump(fleet.accounts))
    given = ("-u", "policies.yml", "-c", "accounts.yml", "--role", "identity-center", "--format", "json")
    printed = CliRunner().invoke(main, ["roles", "--setup", *given, *of_instance, *trusted])
    iam, role = fleet.org.client("iam"), {"RoleName": CENTER.rpartition("/")[2]}
    iam.detach_role_policy(**role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return iam, json.loads(printed.stdout)["PolicyDocument"]


@pytest.mark.parametrize(
    ("missing", "status", "told"),
    [
        pytest.param((), "ok", "actions are allowed", id="all"),
        pytest.param(("identitystore:GetUserId",), "hole", "may not identitystore:GetUserId,", id="one"),
        pytest.param(
            ("sso:ListAccountAssignments", "identitystore:ListGroupMemberships"),
            "hole",
            "may not identitystore:ListGroupMemberships, sso:ListAccountAssignments,",
            id="two",
        ),
        pytest.param(
            ("iam:SimulatePrincipalPolicy",), "unknown", "not checked by iam:Simulate", id="not-asked"
        ),
    ],
)
def test_what_the_role_for_identity_center_may_do(
    fleet: Rehearsal, missing: tuple[str, ...], status: str, told: str
) -> None:
    """As it is printed for these policies and this instance; and with what the run would end for, that is said."""
    iam, document = center_of_people(fleet)
    statements = [
        {**each, "Action": [action for action in each["Action"] if action not in missing]}
        for each in document["Statement"]
    ]
    kept = json.dumps({**document, "Statement": [each for each in statements if each["Action"]]})
    iam.put_role_policy(RoleName=CENTER.rpartition("/")[2], PolicyName="p", PolicyDocument=kept)
    fleet.org.configure(enforce=True)
    (found,) = [each for each in fleet.checks() if each["name"] == "identity center permissions"]
    assert (found["status"], bool(found["remedy"])) == (status, status != "ok")
    assert told in found["text"]


def test_the_role_that_provisions_may_be_another_one(fleet: Rehearsal) -> None:
    """What `provision apply` needs for intents is no problem of the role that reads; nor is it known then."""
    iam, document = center_of_people(fleet)
    user = {
        "username": "tag:Email",
        "email": "tag:Email",
        "given-name": "UserName",
        "family-name": "UserName",
    }
    action = {"type": "provision-identity-center", "mode": "intent", "user": user, "derive": True}
    action["identity-source"] = "identity-center"
    data = yaml.safe_load(Path("policies.yml").read_text())
    intents = {**POLICY, "name": "intents", "actions": [action]}
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [*data["policies"], intents]}))
    role = CENTER.rpartition("/")[2]
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps(document))

    def found() -> dict[str, str]:
        (one,) = [each for each in fleet.checks() if each["name"] == "identity center permissions"]
        return one

    assert found()["status"] == "unknown"
    assert "sso:CreateAccountAssignment" in found()["text"]
    assert "sso:ListInstances" not in found()["text"]
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    assert found()["status"] == "ok"


@pytest.fixture
def elsewhere(
    shared_org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """An accounts file in us-east-1, and Identity Center in eu-central-1, which is the environment's Region too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    root = Path(__file__).parents[2]
    (tmp_path / "policies").mkdir()
    for name in ("policies/exemptions.csv", "policies/provision-intents.yml"):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    accounts = yaml.safe_load((root / "accounts.yml").read_text())
    accounts["accounts"] = accounts["accounts"][:1]
    accounts["vars"] |= {
        "notices": str(tmp_path / "notices"),
        "queue_url": QUEUE.replace("us-east-1", "eu-central-1"),
    }
    shared_org.stop()  # only one runs in a process at a time; the next test starts it again
    with LocalOrg(Settings(region="eu-central-1", report_seconds=0)) as org:
        for name, value in org.environment().items():
            monkeypatch.setenv(name, value)
        short_circuit(monkeypatch, org)
        hurry(monkeypatch)
        email = {"Key": "Email", "Value": "alice@example.com"}
        org.client("iam", A).create_user(UserName="alice", Tags=[email])
        reset_session_cache()  # sessions of other tests' policies are those of another organization
        yield accounts
    reset_session_cache()


def test_an_instance_in_another_region_than_the_accounts(elsewhere: dict[str, Any], tmp_path: Path) -> None:
    """Preflight says what the policy for people will say, and ok where it will run."""
    given = ["preflight", "-c", "accounts.yml", "-u", "policies/provision-intents.yml", "--format", "json"]
    failed = pytest.raises(PolicyExecutionError, match="no Identity Center instance in us-east-1")
    for region, status, runs in (("us-east-1", "hole", failed), ("eu-central-1", "ok", nullcontext())):
        elsewhere["vars"]["identity_center_region"] = region
        Path("accounts.yml").write_text(yaml.safe_dump(elsewhere))
        found = json.loads(CliRunner().invoke(main, given).stdout)
        assert [each["status"] for each in found if each["name"] == "identity center"] == [status]
        assert [each["name"] for each in found if each["status"] == "hole"] == (
            ["identity center"] if status == "hole" else []
        )
        with runs:
            assert policy_of("iam-users-moved", elsewhere, tmp_path / "out").run() == []


def policy_of(name: str, accounts: Any, output: Path) -> Any:
    """A policy of the current directory as c7n-org runs it in the first account of ``accounts``."""
    (data,) = [
        each
        for each in yaml.safe_load(Path("policies/provision-intents.yml").read_text())["policies"]
        if each["name"] == name
    ]
    account = accounts["accounts"][0]
    config = Config.empty(
        region=account["regions"][0],
        account_id=account["account_id"],
        assume_role=account["role"],
        output_dir=str(output),
    )
    (found,) = PolicyCollection.from_data({"policies": [data]}, config)
    found.expand_variables(found.get_variables({**accounts["vars"], **account["vars"]}))
    return found


def test_an_account_instance_is_told_from_the_organizations(
    fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c7n_iamusers.organization.reader import OrganizationReader

    monkeypatch.setattr(OrganizationReader, "management_account", lambda _: "999999999999")
    (hole,) = fleet.holes()
    assert f"is an account instance, of account {MANAGEMENT}" in hole["text"]
    assert "of the management account 999999999999" in hole["remedy"]


def test_a_role_that_is_given_takes_the_place_of_those_that_are_named(fleet: Rehearsal) -> None:
    fleet.shared(identity_center_role=f"{CENTER}2")
    found = fleet.checks("--role", CENTER)
    assert [each["text"] for each in found if each["name"] == "identity center role"] == [CENTER]


def test_what_nothing_names_is_said(fleet: Rehearsal) -> None:
    for name in ("queue_url", "notices", "identity_center_role"):
        del fleet.accounts["vars"][name]
    found = [each for each in fleet.checks() if each["place"] == "organization"]
    assert [(each["name"], each["status"]) for each in found] == [
        ("policies", "ok"),
        ("queue", "unknown"),
        ("notices", "unknown"),
        ("identity center", "unknown"),
        ("templates", "unknown"),
        ("accounts", "ok"),
        ("accounts of the organization", "ok"),
    ]


def test_a_failure_of_our_own_hides_no_other_account(
    fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from c7n_iamusers.organization.preflight_checks import Probes

    asked = Probes.account

    def account(self: Any, target: Any, *wanted: Any) -> Any:
        if target.account_id == A:
            raise RuntimeError("boom")
        return asked(self, target, *wanted)

    monkeypatch.setattr(Probes, "account", account)
    (hole,) = fleet.holes()
    assert (hole["place"], hole["text"]) == (f"payments ({A})", "RuntimeError: boom")


@pytest.mark.parametrize(
    ("text", "days", "place", "told"),
    [
        pytest.param("user,reason,expires\nx,r,soon\n", 14, "organization", "expires", id="exemption"),
        pytest.param(None, 14, "organization", "can't be read", id="no-list"),
        pytest.param(
            "user,reason,expires\nx,r,2099-01-01\n",
            0,
            f"payments ({A})",
            "quarantined-for is 0, and must be a number above 0",
            id="days",
        ),
    ],
)
def test_a_policy_that_would_be_refused_is_a_hole(
    fleet: Rehearsal, text: str | None, days: float, place: str, told: str
) -> None:
    listed = {"type": "unnecessary", "exempt-from": "exemptions.csv"}
    acting = {**POLICY["actions"][0], "quarantined-for": "{held}"}
    policy = {**POLICY, "filters": [listed], "actions": [acting]}
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [policy]}))
    if text is not None:
        Path("exemptions.csv").write_text(text)
    fleet.shared(held=14)
    fleet.change(vars={"owner": "owner@example.com", "held": days})
    holes = fleet.holes()
    assert [(each["name"], each["place"]) for each in holes] == [("policies", place)], holes
    (hole,) = holes
    assert told in hole["text"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({}, "", id="well"),
        pytest.param({"queue_url": f"{QUEUE}-2"}, f"and mails go to {QUEUE}", id="other-queue"),
        pytest.param({"smtp_port": 1}, "127.0.0.1:1 takes no mail", id="no-server"),
        pytest.param({"smtp_port": "x"}, "takes no mail: ValueError", id="no-port"),
        pytest.param({"queue_url": None}, "is no configuration of c7n-mailer", id="broken"),
        pytest.param({"from_address": None}, "has no from_address", id="no-sender"),
        pytest.param({"smtp_ssl": True}, "STARTTLS extension not supported", id="no-starttls"),
        pytest.param({"smtp_ssl": None}, "", id="ssl-off"),
        pytest.param({"smtp_password": "a.secret"}, "takes no mail: ", id="no-user-name"),
    ],
)
def test_the_mailer(fleet: Rehearsal, changes: dict[str, Any], told: str) -> None:
    with mail_server() as server:
        Path("mailer.yml").write_text(yaml.safe_dump({**settings_for(server), **changes}))
        found = fleet.checks("--mailer", "mailer.yml")
    texts = {each["status"]: each["text"] for each in found if each["name"] == "mailer"}
    assert set(texts) == {"hole" if told else "ok"} or told in texts["hole"]
    assert told in texts.get("hole", "")
    assert "a.secret" not in str(found)


LOGIN = {"smtp_username": "mailer", "smtp_password": "a.secret"}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        pytest.param({"AUTH": "235 welcome"}, "", id="takes-it"),
        pytest.param({"AUTH": "535 no"}, "(535, b'no')", id="login"),
        pytest.param(
            {"AUTH": "235 welcome", "mail": "553 not yours"}, "refuses from_address: not yours", id="sender"
        ),
        pytest.param(
            {"AUTH": "235 welcome", "rcpt": "550 no relay"}, "refuses owner@example.com: no relay", id="owner"
        ),
        pytest.param(
            {"AUTH": "235 welcome", "rcpt": "450 later"}, "refuses owner@example.com: later", id="greylist"
        ),
    ],
)
def test_the_mail_server_is_asked_as_c7n_mailer_asks_it(
    fleet: Rehearsal, answers: dict[str, str], told: str
) -> None:
    with mail_server(**answers) as server:
        Path("mailer.yml").write_text(yaml.safe_dump({**settings_for(server), **LOGIN}))
        found = fleet.checks("--mailer", "mailer.yml")
    (check,) = [each for each in found if each["name"] == "mailer"]
    assert (check["status"], told in check["text"]) == ("hole" if told else "ok", True)
    assert not [each for each in server.said if each.lower().startswith("data")]
    assert told or server.said[-2:] == ["rset", "quit"]
    assert "a.secret" not in str(found)


@pytest.mark.parametrize(
    ("code", "status"), [("InvalidCiphertextException", "ok"), ("AccessDeniedException", "unknown")]
)
def test_a_password_for_the_mail_server_that_kms_does_not_decrypt(
    fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch, code: str, status: str
) -> None:
    """c7n-mailer takes it for a plain one where it is no ciphertext."""
    client: Any = botocore.client.BaseClient
    call = client._make_api_call

    def refusing(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "Decrypt":
            raise client_error(code)
        return call(self, operation, parameters)

    monkeypatch.setattr(client, "_make_api_call", refusing)
    with mail_server(AUTH="235 welcome") as server:
        Path("mailer.yml").write_text(
            yaml.safe_dump({**settings_for(server), **LOGIN, "smtp_password": "abcd"})
        )
        found = fleet.checks("--mailer", "mailer.yml")
    (check,) = [each for each in found if each["name"] == "mailer"]
    assert check["status"] == status
    assert bool(server.said) == (status == "ok")


def test_the_mailer_looks_in_the_region_of_its_queue(fleet: Rehearsal) -> None:
    Path("mailer.yml").write_text(
        yaml.safe_dump({"queue_url": QUEUE, "region": "eu-west-1", "from_address": "c@example.com"})
    )
    (hole,) = fleet.holes("--mailer", "mailer.yml")
    assert f"reads {QUEUE} in eu-west-1, where it is not" in hole["text"]
    assert hole["remedy"] == "give region: us-east-1 there"


@pytest.mark.parametrize(
    ("functions", "reads", "is_hole"),
    [
        pytest.param(QUEUE, None, True, id="variable"),
        pytest.param(f"arn:aws:sqs:us-east-1:{MANAGEMENT}:c7n-mailer", None, True, id="by-arn"),
        pytest.param(
            f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/iam-users-realtime", None, False, id="own"
        ),
        pytest.param(
            f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/iam-users-realtime",
            f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/iam-users-realtime",
            True,
            id="mailer-reads-it",
        ),
    ],
)
def test_functions_that_send_to_the_mailers_queue_are_a_hole(
    fleet: Rehearsal, functions: str, reads: str | None, is_hole: bool
) -> None:
    acting = {**POLICY["actions"][1], "transport": {"type": "sqs", "queue": functions}}
    mode = {
        "type": "periodic",
        "schedule": "rate(1 day)",
        "role": "Functions",
        "packages": ["c7n_iamusers"],
        "handler": "c7n_iamusers.handler.run",
    }
    policies = [POLICY, {**POLICY, "name": "function", "mode": mode, "actions": [acting]}]
    Path("policies.yml").write_text(yaml.safe_dump({"policies": policies}))
    Path("mailer.yml").write_text(yaml.safe_dump({"queue_url": reads or QUEUE}))
    fleet.org.client("sqs").create_queue(QueueName="iam-users-realtime")
    found = fleet.checks(*(["--mailer", "mailer.yml"] if reads else []))
    holes = [each for each in found if each["name"] == "who may write to c7n-mailer"]
    assert [each["status"] for each in holes] == ["hole"] * is_hole
    assert all("policy function: it sends out of each account to" in each["text"] for each in holes)
    # and whether it is there
    assert functions in {each["text"] for each in found if each["name"] == "queue"}


def test_a_role_of_an_account_that_sends_to_the_mailers_queue_is_a_hole(fleet: Rehearsal) -> None:
    """assume_role is true by default: who administers the account can assume its role."""
    acting = {key: value for key, value in POLICY["actions"][1].items() if key != "assume_role"}
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [{**POLICY, "actions": [acting]}]}))
    found = [each for each in fleet.checks() if each["name"] == "who may write to c7n-mailer"]
    assert [each["status"] for each in found] == ["hole"]
    assert "state assume_role: false, so that the runner sends" in found[0]["text"]


def test_a_problem_is_a_paragraph_with_its_remedy(fleet: Rehearsal, mailer: tuple[str, str]) -> None:
    no_owner(fleet)
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [{**POLICY, "actions": []}]}))
    result = fleet.run(*mailer)
    assert result.exit_code == 1
    told, remedy = "no owner's address (vars.owner)", "run c7n-iamusers owners --write, or write"
    assert f"\n  problem: owner: {told}\n    what to do: {remedy}" in result.stdout
    assert result.stderr == "1 problem in 1 place\n"


def test_an_owner_that_is_no_address_is_told_once(fleet: Rehearsal) -> None:
    announcing = {"type": "notify-owners", "notices": "n", "step": "announce", "days": 30, "to": ["{owner}"]}
    acting = [{**announcing, "transport": {"type": "sqs", "queue": "{queue_url}"}, "assume_role": False}]
    policies = [{**POLICY, "name": name, "actions": acting} for name in ("flag", "again")]
    Path("policies.yml").write_text(yaml.safe_dump({"policies": policies}))
    fleet.change(vars={"owner": "payments team"})
    assert [each["name"] for each in fleet.holes()] == ["owner"]


@pytest.mark.parametrize(
    "accounts",
    [
        [],
        {"accounts": [{"account_id": A, "role": [1]}]},
        {"accounts": [{"account_id": 1}]},
        {"accounts": [7]},
    ],
)
def test_a_broken_accounts_file(fleet: Rehearsal, accounts: Any) -> None:
    fleet.accounts = accounts
    result = fleet.run()
    assert result.exit_code == 1
    assert "Error: accounts.yml: can't be read as c7n-org's accounts file: " in result.stderr


def test_without_credentials(fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    result = fleet.run()
    assert result.exit_code == 1
    assert "there are no valid credentials" in result.stderr


def test_accounts_that_the_file_lacks_or_has_too_many_are_named(fleet: Rehearsal) -> None:
    fleet.accounts["accounts"].pop()
    fleet.change(account_id="999999999999", role="arn:aws:iam::999999999999:role/CloudCustodian")
    found = {(each["place"], each["name"]): each["text"] for each in fleet.doubts()}
    lacking = found["organization", "accounts"]
    assert lacking == f"accounts.yml lacks payments ({A}), platform ({C}), so that no policy runs there"
    assert "it is not in the organization" in found["payments (999999999999)", "account"]


def test_a_closed_account_is_a_hole(fleet: Rehearsal) -> None:
    fleet.org.client("organizations").close_account(AccountId=B)
    (hole,) = [each for each in fleet.holes() if each["name"] == "account"]
    assert (hole["place"], "SUSPENDED" in hole["text"]) == (f"research ({B})", True)


def test_an_organization_that_can_not_be_listed_is_unknown(
    fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch, "ListAccounts", "AccessDeniedException")
    (found,) = [each for each in fleet.checks() if each["name"] == "accounts of the organization"]
    assert (found["status"], "organizations:ListAccounts" in found["remedy"]) == ("unknown", True)


def exempting(*rules: dict[str, str]) -> None:
    dated = [{"reason": "r", "expires": "2999-12-31", **each} for each in rules]
    policy = {**POLICY, "filters": [{"type": "unnecessary", "exempt": dated}]}
    Path("policies.yml").write_text(yaml.safe_dump({"policies": [policy]}))


def test_exemptions_are_held_against_the_users_of_all_accounts(fleet: Rehearsal) -> None:
    for account_id, name in ((A, "alice"), (B, "alice-backup"), (C, "bob")):
        fleet.org.client("iam", account_id).create_user(UserName=name)
    exempting({"user": "alice"}, {"user": "nobody"})
    near, idle = (each for each in fleet.doubts() if each["name"] == "exemptions")
    assert 'user "alice" until 2999-12-31 (r) matches nobody in research' in near["text"]
    assert "nearly matches alice-backup in research" in near["text"]
    assert idle["text"].startswith('1 match nobody: user "nobody" until 2999-12-31 (r)')
    exempting({"user": "alice*"}, {"user": "bob"})
    assert [each for each in fleet.checks() if each["name"] == "exemptions" and each["status"] != "ok"] == []


def test_an_exemption_is_unknown_where_users_can_not_be_read(
    fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch, "GetAccountAuthorizationDetails", "AccessDenied")
    exempting({"user": "nobody"})
    assert [each["status"] for each in fleet.checks() if each["name"] == "exemptions"] == ["unknown"]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        pytest.param((), "attention", id="of-nobody-else"),
        pytest.param(("--email-domain", "example.com"), "hole", id="of-another"),
        pytest.param(("--email-domain", "example.com", "--email-domain", "exmaple.com"), "", id="stated"),
    ],
)
def test_the_domain_of_an_owner(fleet: Rehearsal, given: tuple[str, ...], status: str) -> None:
    fleet.change(vars={"owner": "owner@exmaple.com"})
    found = [each for each in fleet.checks(*given) if each["name"] == "owner's domain"]
    assert [(each["place"], each["status"]) for each in found] == [(f"payments ({A})", status)] * bool(status)
    assert all("exmaple.com" in each["text"] for each in found)


def test_what_waits_in_the_queue_is_named(fleet: Rehearsal) -> None:
    sqs = fleet.org.client("sqs")
    sqs.send_message(QueueUrl=QUEUE, MessageBody="x")
    sqs.set_queue_attributes(QueueUrl=QUEUE, Attributes={"MessageRetentionPeriod": "7200"})
    waiting, short = (each["text"] for each in fleet.doubts() if each["name"] == "queue")
    assert waiting == f"{QUEUE}: 1 messages wait in it; each is lost after 2 hours"
    assert short.startswith(f"{QUEUE} keeps a message for 2 hours only")


def test_a_bucket_in_another_region_is_named(fleet: Rehearsal) -> None:
    s3 = fleet.org.client("s3")
    s3.create_bucket(Bucket="there", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.create_bucket(Bucket="here")
    fleet.shared(notices="s3://there/notices?sse=AES256")
    outputs = ("s3://there/output", "s3://there/output?region=eu-west-1", "s3://here/output", "output")
    found = fleet.checks(*(part for each in outputs for part in ("-s", each)))
    told = [(each["status"], each["text"]) for each in found if each["name"] == "bucket"]
    elsewhere = "the bucket is in eu-west-1, and would be asked in us-east-1"
    assert told == [
        ("attention", f"s3://there/notices?sse=AES256: {elsewhere}"),
        ("attention", f"s3://there/output: {elsewhere}"),
        ("ok", "s3://there/output?region=eu-west-1 in eu-west-1"),
        ("ok", "s3://here/output in us-east-1"),
    ]
    remedies = [each["remedy"] for each in found if each["name"] == "bucket"]
    assert "write s3://there/notices?region=eu-west-1&sse=AES256, or" in remedies[0]


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        pytest.param("GetBucketLocation", "AccessDenied", "unknown", id="denied"),
        pytest.param("GetBucketLocation", "NoSuchBucket", "hole", id="missing"),
    ],
)
def test_a_bucket_that_does_not_answer(
    fleet: Rehearsal, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, status: str
) -> None:
    fault(monkeypatch, operation, code)
    found = [each for each in fleet.checks("-s", "s3://out/x") if each["name"] == "bucket"]
    assert [each["status"] for each in found] == [status]


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [pytest.param(False, "unknown", 3, id="without"), pytest.param(True, "ok", 0, id="with-it")],
)
def test_templates_are_unknown_without_a_mailer(
    fleet: Rehearsal, mailer: tuple[str, str], given: bool, status: str, code: int
) -> None:
    result = fleet.run(*(mailer if given else ()))
    last = "1 unknown, so not checked\n" if code else ""
    assert (result.exit_code, result.stderr) == (code, last), result.output
