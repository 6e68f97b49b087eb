# SPDX-License-Identifier: Apache-2.0
"""Users and keys that a stack or a Terraform state manages: they are named, and no policy deletes them unasked."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyValidationError

from aws_local_org import LocalOrg
from c7n_iamusers.deletion.reviewed_plan import Asked, load_plan
from c7n_iamusers.evidence.assessment import ANNOTATION
from c7n_iamusers.infrastructure_code import stacks
from c7n_iamusers_cli.plan import lines_of
from tests.interference import deny
from tests.plugins.deletions import NAME, acting, outcomes, user_names
from tests.plugins.keys import deactivate, key_of, new_report, on_keys, retire, statuses
from tests.plugins.test_notify_owners import action, sent
from tests.policies import ACCOUNT, policy
from tests.used_permissions import run_within_permissions

REGION, SECRET = "eu-west-1", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
STACKS = {"cloudformation": [REGION, "us-east-1"]}
STACK = f"CloudFormation manages it in stack users in {REGION} (by DescribeStackResources)"

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "PER_SECOND", 1_000.0)


@pytest.fixture
def made_by_a_stack(org: LocalOrg) -> None:
    """The user made, of the stack users; and by-hand."""
    user = {"Type": "AWS::IAM::User", "Properties": {"UserName": "made"}}
    client = org.client("cloudformation", ACCOUNT, region_name=REGION)
    client.create_stack(StackName="users", TemplateBody=json.dumps({"Resources": {"User": user}}))
    org.client("iam", ACCOUNT).create_user(UserName="by-hand")


def a_state(*resources: tuple[str, dict[str, Any]]) -> bytes:
    managed = [
        {"mode": "managed", "type": kind, "name": "ci", "instances": [{"attributes": attributes}]}
        for kind, attributes in resources
    ]
    return json.dumps({"version": 4, "resources": managed}).encode()


def user_in_state(name: str) -> tuple[str, dict[str, Any]]:
    return "aws_iam_user", {"name": name, "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}"}


def key_in_state(key_id: str) -> tuple[str, dict[str, Any]]:
    return "aws_iam_access_key", {"id": key_id, "user": "ci", "secret": SECRET}


def states_in_a_bucket(org: LocalOrg, **states: bytes) -> str:
    s3 = org.client("s3")
    s3.create_bucket(Bucket="states")
    for name, content in states.items():
        s3.put_object(Bucket="states", Key=f"prod/{name}.tfstate", Body=content)
    return "s3://states/prod/"


def flagged(**options: Any) -> dict[str, dict[str, Any]]:
    """User name -> its annotation."""
    data = {"filters": [{"type": "unnecessary", "exempt": "none", **options}]}
    return {each["UserName"]: each[ANNOTATION] for each in run_within_permissions(policy(data))}


def deleted(output: Path, managed_by: Any = None, **options: Any) -> dict[str, dict[str, Any]]:
    asked = {"managed-by": managed_by} if managed_by else {}
    filters = [{"type": "unnecessary", "exempt": "none", **asked}]
    run_within_permissions(acting({"type": "composite-delete", **options}, output, filters=filters))
    return outcomes(output)


@pytest.mark.usefixtures("made_by_a_stack")
def test_a_user_of_a_stack_is_named_if_stacks_are_asked() -> None:
    found = flagged(**{"managed-by": STACKS})
    assert found["made"]["managed"][0]["text"].startswith(STACK)
    assert "managed-as-code" in {each["id"] for each in found["made"]["findings"]}
    assert found["by-hand"]["managed"] == []
    assert found["by-hand"]["sources"][f"managed-by cloudformation {REGION}"]["time"]
    assert flagged()["made"]["managed"] == []


@pytest.mark.usefixtures("made_by_a_stack")
def test_findings_select_by_what_manages_a_user() -> None:
    asked = {"managed-by": STACKS}
    assert set(flagged(**asked, findings={"any-of": ["managed-as-code"]})) == {"made"}
    assert set(flagged(**asked, findings={"none-of": ["managed-as-code"]})) == {"by-hand"}


@pytest.mark.usefixtures("made_by_a_stack")
def test_a_deletion_leaves_a_user_of_a_stack_alone(org: LocalOrg, tmp_path: Path) -> None:
    found = deleted(tmp_path, STACKS)
    assert found["by-hand"]["status"] == "deleted"
    assert (found["made"]["status"], found["made"]["code"]) == ("skipped", "ManagedAsCode")
    assert found["made"]["for_owners"].startswith(STACK)
    assert user_names(org.client("iam", ACCOUNT)) == ["made"]


@pytest.mark.usefixtures("made_by_a_stack")
def test_with_include_managed_it_is_deleted_and_that_is_said(org: LocalOrg, tmp_path: Path) -> None:
    found = deleted(tmp_path, STACKS, **{"include-managed": True})
    assert found["made"]["status"] == "deleted"
    assert STACK in found["made"]["reason"]
    assert found["by-hand"].get("reason", "") == ""
    assert user_names(org.client("iam", ACCOUNT)) == []


@pytest.mark.usefixtures("made_by_a_stack")
def test_a_policy_that_selects_managed_users_deletes_them(org: LocalOrg, tmp_path: Path) -> None:
    options = {"managed-by": STACKS, "findings": {"any-of": ["managed-as-code"]}}
    filters = [{"type": "unnecessary", "exempt": "none", **options}]
    deletion = {"type": "composite-delete", "include-managed": True}
    run_within_permissions(acting(deletion, tmp_path, filters=filters))
    assert {name: each["status"] for name, each in outcomes(tmp_path).items()} == {"made": "deleted"}


@pytest.mark.usefixtures("made_by_a_stack")
def test_the_plan_names_the_stack(tmp_path: Path) -> None:
    filters = [{"type": "unnecessary", "exempt": "none", "managed-by": STACKS}]
    planning = {"type": "composite-delete", "include-managed": True, "plan-only": True}
    run_within_permissions(acting(planning, tmp_path, filters=filters))
    plan = load_plan((tmp_path / NAME / "deletion-plan.json").read_bytes())
    assert any(STACK in line for line in lines_of(plan))
    assert plan.asked == Asked(stacks=tuple(STACKS["cloudformation"]))


def test_tags_alone_spare_a_user_and_are_read_live(org: LocalOrg, tmp_path: Path) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="claimed", Tags=[{"Key": "ManagedBy", "Value": "terraform"}])
    iam.create_user(UserName="later")
    run = acting({"type": "composite-delete"}, tmp_path)
    (filtering,) = run.resource_manager.filters
    select = filtering.process

    def select_then_tag(*given: Any) -> Any:
        found = select(*given)
        iam.tag_user(UserName="later", Tags=[{"Key": "terraform", "Value": "true"}])
        return found

    filtering.process = select_then_tag
    run_within_permissions(run)
    found = outcomes(tmp_path)
    assert {name: each["code"] for name, each in found.items()} == dict.fromkeys(
        ("claimed", "later"), "ManagedAsCode"
    )
    assert "by its tag ManagedBy=terraform" in found["claimed"]["reason"]


def test_users_in_the_states_of_a_bucket(
    org: LocalOrg, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("ci", "by-hand"):
        org.client("iam", ACCOUNT).create_user(UserName=name)
    place = states_in_a_bucket(
        org, a=a_state(user_in_state("ci"), key_in_state("AKIAIOSFODNN7EXAMPLE")), b=a_state()
    )
    with caplog.at_level(logging.DEBUG):
        found = deleted(tmp_path, {"terraform-states": [place]})
    assert (found["ci"]["code"], found["by-hand"]["status"]) == ("ManagedAsCode", "deleted")
    assert "aws_iam_user.ci of s3://states/prod/a.tfstate" in found["ci"]["reason"]
    written = "".join(
        each.read_text() for each in tmp_path.rglob("*") if each.suffix in (".json", ".jsonl", ".log")
    )
    assert SECRET not in written + caplog.text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b'{"version": 3, "modules": []}', "of version 4, but of 3", id="version-3"),
        pytest.param(
            b'{"encrypted_data": "x", "encryption_version": "v0"}', "encrypted by OpenTofu", id="encrypted"
        ),
        pytest.param(b"\x1f\x8bnothing", "gzip", id="damaged"),
        pytest.param(b"[" * 10_000_000, "more than", id="huge"),
        pytest.param(None, "no state below it", id="none"),
    ],
)
def test_a_state_that_can_not_be_read_leaves_users_alone(
    org: LocalOrg, tmp_path: Path, content: bytes | None, why: str
) -> None:
    for name in ("ci", "by-hand"):
        org.client("iam", ACCOUNT).create_user(UserName=name)
    more = {} if content is None else {"good": a_state(user_in_state("ci")), "bad": content}
    place = states_in_a_bucket(org, **more)
    found = deleted(tmp_path, {"terraform-states": [place]})
    expected = "ManagedUnknown" if content is None else "ManagedAsCode"
    assert (found["ci"]["code"], found["by-hand"]["code"]) == (expected, "ManagedUnknown")
    assert why in found["by-hand"]["reason"]
    assert found["by-hand"]["for_owners"] == "it is unknown whether code manages it"


def test_a_place_that_is_missing_leaves_users_alone(org: LocalOrg, tmp_path: Path) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="by-hand")
    found = deleted(
        tmp_path, {"terraform-states": ["s3://missing/a.tfstate", str(tmp_path / "none.tfstate")]}
    )
    assert found["by-hand"]["code"] == "ManagedUnknown"
    assert "s3://missing/a.tfstate: " in found["by-hand"]["reason"]
    found = deleted(tmp_path, {"terraform-states": ["s3://missing/a.tfstate"]}, **{"include-managed": True})
    assert found["by-hand"]["status"] == "deleted"


@pytest.mark.usefixtures("made_by_a_stack")
def test_stacks_that_are_denied_leave_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny(monkeypatch, "DescribeStackResources")
    found = deleted(tmp_path, STACKS)
    assert {each["code"] for each in found.values()} == {"ManagedUnknown"}
    assert "it needs cloudformation:DescribeStackResources" in found["by-hand"]["reason"]


@pytest.mark.usefixtures("made_by_a_stack")
def test_a_quarantine_takes_a_managed_user_and_says_that_a_deploy_may_undo_it(tmp_path: Path) -> None:
    filters = [{"type": "unnecessary", "exempt": "none", "managed-by": STACKS}]
    run_within_permissions(acting({"type": "quarantine", "reason": "x"}, tmp_path, filters=filters))
    found = outcomes(tmp_path)["made"]
    assert found["status"] == "quarantined"
    assert f"the next deploy may undo this: {STACK}" in found["reason"]


@pytest.mark.usefixtures("made_by_a_stack")
@pytest.mark.parametrize("include", [False, True])
def test_the_announcement_says_what_becomes_of_a_managed_user(
    org: LocalOrg, tmp_path: Path, include: bool
) -> None:
    filters = [{"type": "unnecessary", "exempt": "none", "managed-by": STACKS}]
    options = {"quarantined-for": 14, "require": "none", **({"include-managed": True} if include else {})}
    policy({"filters": filters, "actions": [action(tmp_path, **options)]}).run()
    (message,) = sent(org)
    known = {each["UserName"]: each[ANNOTATION] for each in message["resources"]}
    assert "deleted on" in known["by-hand"]["notice"]["text"]
    assert known["made"]["managed"][0]["text"].startswith(STACK)
    said = known["made"]["notice"]["text"]
    assert (f", not deleted: {STACK}" in said) is not include
    assert said.startswith("denied everything on")


def test_a_key_of_a_state_is_not_retired_unless_asked(org: LocalOrg, tmp_path: Path) -> None:
    keys = {name: key_of(org, name, created=400, used=200) for name in ("ci", "by-hand")}
    place = states_in_a_bucket(org, a=a_state(key_in_state(keys["ci"])))
    asked: dict[str, Any] = {"managed-by": {"terraform-states": [place]}}
    parked = deactivate(tmp_path, unused=90, **asked)
    assert (
        "the next deploy may undo this: Terraform manages its access key in aws_iam_access_key.ci"
        in (parked[keys["ci"]]["reason"])
    )
    found = retire(org, tmp_path, **asked)
    assert (found[keys["ci"]]["code"], found[keys["by-hand"]]["status"]) == ("ManagedAsCode", "retired")
    assert statuses(org, "ci") == {keys["ci"]: "Inactive"}


def test_a_user_whose_key_is_in_a_state_is_not_deleted(org: LocalOrg, tmp_path: Path) -> None:
    keys = {name: key_of(org, name, created=400, used=200) for name in ("ci", "by-hand")}
    place = states_in_a_bucket(org, a=a_state(key_in_state(keys["ci"])))
    found = deleted(tmp_path, {"terraform-states": [place]}, **{"active-within": "none"})
    assert (found["ci"]["code"], found["by-hand"]["status"]) == ("ManagedAsCode", "deleted")
    assert "Terraform manages its access key in aws_iam_access_key.ci" in found["ci"]["reason"]


def test_another_key_of_a_user_whose_key_is_in_a_state_is_retired(org: LocalOrg, tmp_path: Path) -> None:
    key = key_of(org, "ci", created=400, used=200)
    place = states_in_a_bucket(org, a=a_state(key_in_state("AKIAIOSFODNN7EXAMPLE")))
    asked: dict[str, Any] = {"managed-by": {"terraform-states": [place]}}
    deactivate(tmp_path, unused=90, **asked)
    assert retire(org, tmp_path, **asked)[key]["status"] == "retired"


def test_a_key_of_a_stack(org: LocalOrg, tmp_path: Path) -> None:
    key_of(org, "ci", created=400)
    template = {"Resources": {"Key": {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": "ci"}}}}
    client = org.client("cloudformation", ACCOUNT, region_name=REGION)
    client.create_stack(StackName="users", TemplateBody=json.dumps(template))
    new_report(org)
    options: dict[str, Any] = {"unused": 0.00000001, "min-age": 0, "managed-by": STACKS}
    found = {each["AccessKeyId"]: each[ANNOTATION]["managed"] for each in on_keys(tmp_path, **options)}
    assert sorted(len(each) for each in found.values()) == [0, 1]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param({"stacks": []}, "must be a mapping of cloudformation, terraform-states", id="key"),
        pytest.param({"cloudformation": "eu-west-1"}, "must be a list of Regions", id="no-list"),
        pytest.param({"cloudformation": ["all"]}, "'all' is no Region", id="no-region"),
        pytest.param({"terraform-states": [""]}, "must be a list of paths", id="empty"),
    ],
)
def test_what_is_wrong_in_managed_by_is_said_before_the_run(given: Any, why: str) -> None:
    with pytest.raises(PolicyValidationError, match=why):
        policy({"filters": [{"type": "unnecessary", "exempt": "none", "managed-by": given}]})
