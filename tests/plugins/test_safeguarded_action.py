# SPDX-License-Identifier: Apache-2.0
"""What quarantine and composite-delete spare unless a policy says otherwise, and what a policy must state."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import add_access_key, add_user, set_access_key_last_used, set_create_date
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan
from c7n_iamusers.exemptions import ExemptionRule
from tests.interference import on_call
from tests.plugins.deletions import NAME, outcomes, user_names
from tests.policies import ACCOUNT, policy
from tests.records import text_of, user

KINDS = {"composite-delete": "deleted", "quarantine": "quarantined"}
EVERYBODY = {"type": "unnecessary", "exempt": "none"}
STATED = {"noticed": "none", "require": "none"}
LAMBDA = {
    "type": "periodic",
    "schedule": "rate(1 day)",
    "role": f"arn:aws:iam::{ACCOUNT}:role/Custodian",
    "packages": ["c7n_iamusers"],
    "handler": "c7n_iamusers.handler.run",
    "execution-options": {"output_dir": "s3://governance/out"},
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    """idle: its key was last used 31 days ago; active: 29 days ago; trusted: idle, and a role trusts it."""
    now = datetime.now(timezone.utc)
    with org.lock:
        account = org.backend("iam", ACCOUNT)
        for name, days in (("idle", 31), ("active", 29), ("trusted", 31)):
            user = add_user(account, name)
            set_create_date(user, now - timedelta(days=400))
            key = add_access_key(account, user, created=now - timedelta(days=400))
            set_access_key_last_used(key, now - timedelta(days=days), service="s3", region="eu-west-1")
    client = org.client("iam", ACCOUNT)
    trust(client, f"arn:aws:iam::{ACCOUNT}:user/trusted")
    return client


def trust(iam: Any, principal: str, role: str = "Deployer", **more: Any) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", **more}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)


def written(kind: str, *filters: Any, output: Path | None = None, **options: Any) -> Any:
    given = [*filters] or [EVERYBODY]
    return policy({"filters": given, "actions": [{"type": kind, **options}]}, output, as_written=True)


def became(kind: str, output: Path, *filters: Any, **options: Any) -> dict[str, str]:
    written(kind, *filters, output=output, **options).run()
    return {name: row["status"] for name, row in outcomes(output).items()}


def test_an_action_alone_is_refused_with_all_that_it_must_state(iam: Any, kind: str) -> None:
    with pytest.raises(PolicyValidationError) as raised:
        written(kind)
    text = str(raised.value)
    assert f"Nothing was touched. Add to {kind}:\n    noticed: 30 and notices: PLACE" in text
    assert "or noticed: none" in text
    assert "\n    require: provisioned (or used)" in text
    assert "or require: none" in text


def test_a_policy_that_was_not_validated_is_refused_when_it_runs(iam: Any, tmp_path: Path, kind: str) -> None:
    found = written(kind, output=tmp_path, **STATED)
    (action,) = found.resource_manager.actions
    del action.data["noticed"]
    with pytest.raises(PolicyExecutionError, match=r"must state whom it spares\. Nothing was touched"):
        action.process(found.resource_manager.resources())
    assert user_names(iam) == ["active", "idle", "trusted"]
    assert iam.list_user_policies(UserName="idle")["PolicyNames"] == []


def test_in_lambda_it_says_that_nobody_is_told_before_an_event(org: LocalOrg, kind: str) -> None:
    data = {"mode": LAMBDA, "filters": [EVERYBODY], "actions": [{"type": kind, "require": "none"}]}
    with pytest.raises(PolicyValidationError, match="noticed: none, as nobody is told before an event"):
        policy(data, as_written=True)


@pytest.mark.parametrize(
    ("kinds", "asked"),
    [
        (["machine", "no-credentials"], False),
        (["machine", "bedrock-api-key"], False),
        (["machine", "human"], True),
        (["mixed"], True),
        (["unknown"], True),
    ],
)
def test_access_is_asked_for_wherever_the_filter_can_select_people(
    org: LocalOrg, kind: str, kinds: list[str], asked: bool
) -> None:
    filters = {**EVERYBODY, "kinds": kinds}
    if not asked:
        written(kind, filters, noticed="none")
        return
    with pytest.raises(PolicyValidationError, match=r"require: provisioned \(or used\)"):
        written(kind, filters, noticed="none")


def test_of_two_filters_one_without_people_is_enough(org: LocalOrg, kind: str) -> None:
    written(kind, EVERYBODY, {**EVERYBODY, "kinds": ["machine"]}, noticed="none")
    with pytest.raises(PolicyValidationError, match=r"require: provisioned \(or used\)"):
        written(kind, EVERYBODY, {**EVERYBODY, "kinds": ["human"]}, noticed="none")


def test_the_active_and_those_whom_a_role_trusts_are_spared(iam: Any, tmp_path: Path, kind: str) -> None:
    assert became(kind, tmp_path, **STATED) == {
        "active": "skipped",
        "idle": KINDS[kind],
        "trusted": "skipped",
    }
    rows = outcomes(tmp_path)
    assert "active within 30 days: its access key" in rows["active"]["reason"]
    assert f"a role trusts it: arn:aws:iam::{ACCOUNT}:role/Deployer" in rows["trusted"]["reason"]


@pytest.mark.parametrize(
    ("condition", "spared"),
    [
        pytest.param({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/id*"}}, True, id="arn"),
        pytest.param({"StringEquals": {"aws:username": "idle"}}, True, id="name"),
        pytest.param({"StringEquals": {"aws:PrincipalTag/team": "x"}}, True, id="tag"),
        pytest.param({"StringEquals": {"aws:PrincipalTag/team": "y"}}, False, id="another-tag"),
        pytest.param({"StringEquals": {"sts:ExternalId": "x"}}, False, id="not-on-the-caller"),
    ],
)
def test_whom_a_role_trusts_by_a_condition_is_spared(
    iam: Any, tmp_path: Path, kind: str, condition: dict[str, Any], spared: bool
) -> None:
    iam.tag_user(UserName="idle", Tags=[{"Key": "Team", "Value": "x"}])
    trust(iam, f"arn:aws:iam::{ACCOUNT}:root", "Conditional", Condition=condition)
    assert became(kind, tmp_path, **STATED)["idle"] == ("skipped" if spared else KINDS[kind])
    assert ("role/Conditional" in str(outcomes(tmp_path)["idle"].get("reason"))) == spared


def test_both_are_waived_in_writing(iam: Any, tmp_path: Path, kind: str) -> None:
    options: dict[str, Any] = {"active-within": "none", "trusted-by-role": True}
    assert set(became(kind, tmp_path, **STATED, **options).values()) == {KINDS[kind]}


def test_a_filter_of_more_days_does_not_lower_what_is_active(iam: Any, tmp_path: Path, kind: str) -> None:
    found = became(kind, tmp_path, {**EVERYBODY, "unused-for": 1}, **STATED)
    assert found["active"] == "skipped"


def test_a_role_that_came_to_trust_a_user_after_it_was_flagged_counts(
    iam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/idle"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    found = written(kind, output=tmp_path, **STATED)

    def trusted() -> None:
        iam.update_assume_role_policy(RoleName="Deployer", PolicyDocument=document)

    on_call(monkeypatch, "GetCallerIdentity", trusted)
    found.run()
    assert outcomes(tmp_path)["idle"]["status"] == "skipped"


@pytest.mark.parametrize(
    ("option", "value"),
    [("noticed", None), ("active-within", "never"), ("require", None), ("noticed", "None")],
)
def test_a_safeguard_that_is_blank_or_misspelt_is_refused(
    org: LocalOrg, kind: str, option: str, value: Any
) -> None:
    with pytest.raises(PolicyValidationError, match=option):
        written(kind, **{**STATED, option: value})


@pytest.mark.parametrize("required", ["provisioned", "used"])
def test_access_needs_the_filter_that_says_how_to_read_it(org: LocalOrg, kind: str, required: str) -> None:
    with pytest.raises(PolicyValidationError, match=f"add it, with state: {required}"):
        written(kind, noticed="none", require=required)


def test_a_plan_needs_no_statement_and_shows_who_is_spared(iam: Any, tmp_path: Path) -> None:
    written("composite-delete", {"type": "unnecessary"}, output=tmp_path, **{"plan-only": True}).run()
    plan = DeletionPlan.from_json((tmp_path / NAME / "deletion-plan.json").read_text())
    assert {each.subject.name: text_of(each.skipped).partition(":")[0] for each in plan.users} == {
        "active": "active within 30 days",
        "idle": "",
        "trusted": "a role trusts it",
    }


@pytest.mark.whole
@pytest.mark.parametrize(
    ("options", "mode", "recorded"),
    [
        pytest.param({"noticed": 30}, None, True, id="asks-for-an-announcement"),
        pytest.param({"noticed": "none"}, None, False, id="asks-for-none"),
        pytest.param({"noticed": 30, "plan-only": True}, None, False, id="plans"),
        pytest.param({"noticed": 30}, LAMBDA, False, id="a-function-only-reads"),
    ],
)
def test_who_is_exempt_is_recorded_where_that_voids_an_announcement(
    org: LocalOrg, tmp_path: Path, options: dict[str, Any], mode: dict[str, Any] | None, recorded: bool
) -> None:
    action = {"type": "composite-delete", "require": "none", "notices": str(tmp_path), **options}
    found = policy({"filters": [EVERYBODY], "actions": [action], **({"mode": mode} if mode else {})})
    rule = ExemptionRule("user", "alice", "needed", date(2999, 12, 31))
    found.resource_manager.actions[0].note_exempt([(user().subject, rule)])
    assert bool(list(tmp_path.rglob("*.json"))) is recorded


def test_the_waiver_of_notices_still_stops(iam: Any, tmp_path: Path, kind: str) -> None:
    notices = tmp_path / "notices"
    notices.mkdir()
    (notices / "STOP").touch()
    with pytest.raises(PolicyExecutionError, match="stops every destructive action"):
        written(kind, output=tmp_path / "out", notices=str(notices), **STATED).run()
    assert user_names(iam) == ["active", "idle", "trusted"]
