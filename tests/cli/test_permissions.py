# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.iam.permissions import DELETION, QUARANTINE, RESTORATION
from c7n_iamusers_cli.main import main
from tests.full_users import create_full_user
from tests.plugins.deletions import acting
from tests.policies import waived
from tests.used_permissions import observed

ROOT = Path(__file__).parents[2]
DENY_ALL, HELD = (
    f"arn:aws:iam::aws:policy/{name}" for name in ("AWSDenyAll", "AWSCompromisedKeyQuarantine*")
)
DELETE = {
    "name": "iam-users-delete",
    "resource": "aws.iam-user",
    "source": "authorization-details",
    "filters": [{"type": "unnecessary", "exempt": "none"}],
    "actions": [waived("composite-delete")],
}


def printed(path: Path, *policies: dict[str, Any], options: tuple[str, ...] = ()) -> Result:
    files = []
    for number, policy in enumerate(policies):
        file = path / f"{number}.yml"
        file.write_text(yaml.safe_dump({"policies": [policy]}))
        files += [("--policy", "-u")[number % 2], str(file)]
    return CliRunner().invoke(main, ["permissions", *files, *options])


def actions(result: Result) -> set[str]:
    assert result.exit_code == 0, result.output
    return {action for statement in json.loads(result.output)["Statement"] for action in statement["Action"]}


def test_what_a_run_does_is_within_what_is_printed(org: LocalOrg, tmp_path: Path) -> None:
    create_full_user(org, "alice")
    with observed() as used:
        acting("composite-delete", tmp_path / "out").run()
    assert len(used) > 20
    assert used - {"sts:AssumeRole", "sts:GetCallerIdentity"} <= actions(printed(tmp_path, DELETE))


def test_several_files_make_one_policy(org: LocalOrg, tmp_path: Path) -> None:
    quarantine = {**DELETE, "name": "iam-users-quarantine", "actions": [waived("quarantine")]}
    found = actions(printed(tmp_path, DELETE, quarantine))
    assert (set(DELETION) | set(QUARANTINE)) - {"sts:GetCallerIdentity"} <= found


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        pytest.param({}, (), id="deactivate"),
        # these also activate
        pytest.param({"credentials": "keep"}, ("iam:Update",), id="keep"),
        # it has the inline form alone
        pytest.param(
            {"brownout": 15},
            (
                "iam:Update",
                "iam:Attach",
                "iam:Detach",
                "iam:PutUserPermissionsBoundary",
                "iam:Tag",
                "signin:",
            ),
            id="brownout",
        ),
    ],
)
def test_a_quarantine_needs_what_its_options_do(
    org: LocalOrg, tmp_path: Path, options: dict[str, Any], missing: tuple[str, ...]
) -> None:
    full, found = (
        actions(printed(tmp_path, {**DELETE, "actions": [waived({"type": "quarantine", **given})]}))
        for given in ({}, options)
    )
    assert found == {each for each in full if not each.startswith(missing)}


def test_attaching_is_bound_to_denying(org: LocalOrg, tmp_path: Path) -> None:
    document = json.loads(printed(tmp_path, DELETE).output)
    (attaching,) = [each for each in document["Statement"] if "iam:AttachUserPolicy" in each["Action"]]
    assert "AWSDenyAll" in json.dumps(attaching["Condition"])


@pytest.mark.parametrize(("action", "bound"), [("quarantine", True), ("release", False)])
def test_only_a_release_may_set_any_boundary(org: LocalOrg, tmp_path: Path, action: str, bound: bool) -> None:
    """It gives back the one that the user had before the quarantine."""
    document = json.loads(
        printed(tmp_path, DELETE, {**DELETE, "name": "x", "actions": [waived(action)]}).output
    )
    (found,) = [each for each in document["Statement"] if "iam:PutUserPermissionsBoundary" in each["Action"]]
    assert ("Condition" in found) is bound


def test_restoring_needs_more_and_is_asked_for(org: LocalOrg, tmp_path: Path) -> None:
    assert "iam:CreateUser" not in actions(printed(tmp_path, DELETE))
    found = printed(tmp_path, DELETE, options=("--restore",))
    assert set(RESTORATION) - {"sts:GetCallerIdentity"} <= actions(found)
    (limited,) = [each for each in json.loads(found.output)["Statement"] if "Condition" in each]
    # a deletion leaves the policy that AWS puts on users whose key leaked
    held = {"ArnNotLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine*"}}
    assert (limited["Action"], limited["Condition"]) == (["iam:DetachUserPolicy"], held)


@pytest.mark.parametrize(
    ("action", "condition"),
    [
        pytest.param("quarantine", {"ArnEquals": {"iam:PolicyARN": DENY_ALL}}, id="quarantine"),
        pytest.param("release", {"ArnEquals": {"iam:PolicyARN": DENY_ALL}}, id="release"),
        pytest.param("composite-delete", {"ArnNotLike": {"iam:PolicyARN": HELD}}, id="delete"),
        pytest.param({"type": "composite-delete", "include-compromised": True}, None, id="compromised-too"),
    ],
)
def test_detaching_is_limited_to_what_the_policies_detach(
    org: LocalOrg, tmp_path: Path, action: Any, condition: Any
) -> None:
    found = json.loads(printed(tmp_path, {**DELETE, "actions": [waived(action)]}).output)["Statement"]
    (detaching,) = [each for each in found if "iam:DetachUserPolicy" in each["Action"]]
    given = detaching.get("Condition")
    assert given == condition


def test_account_and_partition_are_in_the_resources(org: LocalOrg, tmp_path: Path) -> None:
    found = printed(tmp_path, DELETE, options=("--account", "111122223333", "--partition", "aws-cn"))
    assert "arn:aws-cn:iam::111122223333:user/*" in found.output


@pytest.mark.parametrize("file", sorted((ROOT / "policies").glob("*.yml")), ids=lambda path: path.stem)
def test_the_policies_that_come_along_have_one(org: LocalOrg, file: Path) -> None:
    given = ["--policy", str(file), "-c", str(ROOT / "accounts.yml")]
    result = CliRunner().invoke(main, ["permissions", *given])
    assert '"arn:aws:s3:::*' not in result.output
    assert "iam:GetAccountAuthorizationDetails" in actions(result)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "policies: [{name: x, resource: aws.iam-user, actions: [nothing]}]", "nothing", id="action"
        ),
        pytest.param("policies: [", "0.yml", id="yaml"),
        pytest.param("policies: [{name: x, resource: aws.nothing}]", "aws.nothing", id="resource"),
    ],
)
def test_what_is_no_policy_is_named(org: LocalOrg, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "0.yml"
    file.write_text(text)
    result = CliRunner().invoke(main, ["permissions", "--policy", str(file)])
    assert result.exit_code == 1
    assert str(file) in result.output
    assert message in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(("--account", "11112222333"), "is not an account id of 12 digits", id="account"),
        pytest.param(("--account", "payments"), "'payments' is not an account id", id="name"),
        pytest.param(("--partition", "aws-de"), "there is no partition 'aws-de'", id="partition"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = printed(tmp_path, DELETE, options=options)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso-b"])
def test_every_partition_of_aws_is_taken(tmp_path: Path, partition: str) -> None:
    assert f"arn:{partition}:iam::" in printed(tmp_path, DELETE, options=("--partition", partition)).output


@pytest.mark.parametrize("resource", ["azure.vm", "gcp.instance"])
def test_a_policy_of_another_provider_is_told(tmp_path: Path, resource: str) -> None:
    found = printed(tmp_path, {"name": "p", "resource": resource})
    assert found.exit_code == 1
    assert isinstance(found.exception, SystemExit)
    assert "0.yml: Cloud Custodian has no such resource" in found.output
