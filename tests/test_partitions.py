# SPDX-License-Identifier: Apache-2.0
"""The whole job in the partitions beside aws: nothing may name another partition or another one's Regions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.policy import Policy
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg, Settings
from c7n_iamusers_cli.main import main
from tests.conftest import hurry
from tests.desired import ACCEPT_ALL
from tests.full_users import create_full_user
from tests.in_process import short_circuit
from tests.plugins.keys import key_of, new_report, statuses
from tests.policies import ACCOUNT, policy

MANAGEMENT = "123456789012"
PARTITIONS = {"aws-us-gov": ("us-gov-west-1", "amazonaws.com"), "aws-cn": ("cn-north-1", "amazonaws.com.cn")}
#: As the policies that come along name it.
READ_ONLY = "arn:{partition}:iam::aws:policy/ReadOnlyAccess"
EVERYBODY = {"type": "unnecessary", "exempt": "none"}

pytestmark = pytest.mark.usefixtures("no_local_org")


@pytest.fixture(params=[pytest.param(each, id=each) for each in PARTITIONS])
def org(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalOrg]:
    """An organization of the partition, with one user that has everything."""
    region, _ = PARTITIONS[request.param]
    with LocalOrg(Settings(region=region, assignment_seconds=0, report_seconds=0)) as org:
        for name, value in {**org.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        monkeypatch.chdir(tmp_path)
        short_circuit(monkeypatch, org)
        hurry(monkeypatch)
        create_full_user(org, "alice", "/people/")
        org.client("iam", ACCOUNT).tag_user(
            UserName="alice", Tags=[{"Key": "Email", "Value": "alice@example.com"}]
        )
        yield org


def role(org: LocalOrg, name: str = "CloudCustodian", account: str = ACCOUNT) -> str:
    return f"arn:{org.settings.partition}:iam::{account}:role/{name}"


def queue(org: LocalOrg) -> str:
    region, domain = PARTITIONS[org.settings.partition]
    return f"https://sqs.{region}.{domain}/{MANAGEMENT}/c7n-mailer"


def under_test(org: LocalOrg, action: dict[str, Any], output: str = "out") -> Policy:
    given = {"filters": [EVERYBODY], "actions": [action]}
    found = policy(given, Path(output), region=org.settings.region, assume_role=role(org))
    found.expand_variables(found.get_variables())
    return found


def run(org: LocalOrg, **action: Any) -> dict[str, Any]:
    """What the policy's annotation says of the user after the action."""
    (found,) = under_test(org, action).run()
    said: dict[str, Any] = found["c7n:IamUser"]
    return said


def command(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    # preflight: other accounts of the organization are not in the file, and not all of a mailer is known
    assert result.exit_code == (3 if arguments[0] == "preflight" else 0), result.output
    return result


def provisioning(org: LocalOrg) -> dict[str, Any]:
    """The settings of an action that gives people AWS's read-only policy of the partition."""
    return {
        "type": "provision-identity-center",
        "identity-source": "identity-center",
        "user": {"username": "tag:Email", "email": "tag:Email"},
        "group": "iam-readers",
        "permission-set": {"name": "Readers", "managed-policies": [READ_ONLY]},
        "accept": list(ACCEPT_ALL),
        "role": role(org, "IdentityCenterProvisioner", MANAGEMENT),
    }


def provision_intents(org: LocalOrg) -> None:
    """The command finds by the account's intents that all is there."""
    action = {key: value for key, value in provisioning(org).items() if key != "role"} | {"mode": "intent"}
    data = {"name": "under-test", "resource": "aws.iam-user", "source": "authorization-details"}
    policies = [{**data, "filters": [EVERYBODY], "actions": [action]}]
    Path("intents.yml").write_text(yaml.safe_dump({"policies": policies}))
    under_test(org, action, f"intents/payments/{org.settings.region}").run()
    options = {
        "-s": "intents",
        "-c": "accounts.yml",
        "-u": "intents.yml",
        "--member-role": role(org, account="{account_id}"),
        "--role": provisioning(org)["role"],
        "--region": org.settings.region,
    }
    assert (
        "Nothing to do."
        in command(
            "provision", "apply", "--new-records", *(part for pair in options.items() for part in pair)
        ).output
    )


def test_from_preflight_to_restoration(org: LocalOrg, tmp_path: Path) -> None:
    region, partition = org.settings.region, org.settings.partition
    account = {"account_id": ACCOUNT, "name": "payments", "role": role(org), "regions": [region]}
    settings = {
        "owner": "owner@example.com",
        "queue_url": queue(org),
        "identity_center_role": role(org, "IdentityCenterProvisioner", MANAGEMENT),
        "identity_center_region": region,
        "notices": str(tmp_path / "notices"),
    }
    Path("accounts.yml").write_text(yaml.safe_dump({"vars": settings, "accounts": [account]}))
    before = org.client("iam", ACCOUNT).get_account_authorization_details(Filter=["User"])
    Path("policy.yml").write_text(
        yaml.safe_dump({"policies": [under_test(org, {"type": "composite-delete"}).data]})
    )
    command("preflight", "-c", "accounts.yml", "-u", "policy.yml")
    (row,) = json.loads(command("evidence", "-c", "accounts.yml", "--format", "json").stdout)
    assert row["arn"] == f"arn:{partition}:iam::{ACCOUNT}:user/people/alice"

    notified = run(
        org,
        type="notify-owners",
        notices="notices",
        step="announce",
        days=0,
        template="iam-users-flagged.html",
        subject="IAM users are to be deleted",
        to=["owner@example.com"],
        transport={"type": "sqs", "queue": queue(org)},
        assume_role=False,
        delivery="unchecked",
    )
    assert notified["notice"]["day"]
    assert run(org, **provisioning(org))["provisioning"]["status"] == "provisioned"
    provision_intents(org)
    noticed = {"noticed": 0, "notices": "notices"}
    assert run(org, type="quarantine", **noticed)["outcome"]["status"] == "quarantined"
    assert run(org, type="composite-delete", **noticed)["outcome"]["status"] == "deleted"
    command("restore", "out/under-test", "--role", role(org), "--yes", "--user", "alice")

    (left,) = org.client("iam", ACCOUNT).get_account_authorization_details(Filter=["User"])["UserDetailList"]
    (had,) = before["UserDetailList"]
    for name in ("Path", "GroupList", "AttachedManagedPolicies", "UserPolicyList", "PermissionsBoundary"):
        assert sorted(left[name], key=str) == sorted(had[name], key=str), name
    written = [path.read_text() for path in Path().rglob("*") if path.is_file() and path.suffix != ".gz"]
    assert not any("arn:aws:" in text for text in written)


def test_a_key_is_parked_given_back_and_retired(org: LocalOrg) -> None:
    key = key_of(org, "bot", 400)

    def on_keys(name: str, *filters: dict[str, Any], **action: Any) -> Any:
        head = {"name": name, "resource": "aws.iam-access-key", "source": "access-keys"}
        data = {**head, "filters": [*filters, {"AccessKeyId": key}], "actions": [action]}
        (found,) = policy(data, Path("out"), region=org.settings.region, assume_role=role(org)).run()
        return found["c7n:IamUser"]["outcome"]["status"]

    unused = {"type": "unnecessary", "exempt": "none", "unused": 90}
    waived: dict[str, Any] = {"noticed": "none"}
    assert on_keys("parking", unused, type="deactivate", **waived) == "deactivated"
    assert on_keys("giving-back", type="activate") == "activated"
    Path("out/parking/journal.jsonl").unlink()  # so that it may be parked again
    Path("out/giving-back/journal.jsonl").unlink()
    assert on_keys("parking", unused, type="deactivate", **waived) == "deactivated"
    new_report(org)
    inactive = {**unused, "status": "inactive"}
    assert on_keys("retiring", inactive, type="retire", **waived, **{"parked-for": 1e-8}) == "retired"
    assert key not in statuses(org, "bot")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["evidence", "--role", "{role}"], id="evidence"),
        pytest.param(["evidence", "-c", "accounts.yml"], id="evidence-accounts"),
        pytest.param(["preflight", "-c", "accounts.yml"], id="preflight"),
    ],
)
def test_no_region_is_configured(
    org: LocalOrg, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    account = {"account_id": ACCOUNT, "name": "payments", "role": role(org), "regions": [org.settings.region]}
    Path("accounts.yml").write_text(
        yaml.safe_dump({"vars": {"owner": "o@example.com"}, "accounts": [account]})
    )
    command(*(each.format(role=role(org)) for each in arguments))
