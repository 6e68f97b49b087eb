# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision apply -u``: what intents ask for, held against the policies that c7n-org ran."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE, Intents
from c7n_iamusers_cli.main import main
from tests.access_center import ACCOUNT, MARK, OTHER_ACCOUNT, READ_ONLY
from tests.desired import intents, made_for
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.policies import policy

ROLE = "arn:aws:iam::123456789012:role/IdentityCenterProvisioner"
MEMBER_ROLE = "arn:aws:iam::{account_id}:role/CloudCustodian"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
SET = {
    "name": "{set_name}",
    "description": "Reads in {region}",
    "managed-policies": [READ_ONLY],
    "inline-policy": {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:{partition}:s3:::${{aws:username}}"}
        ],
    },
}
ACTION: dict[str, Any] = {
    "type": "provision-identity-center",
    "mode": "intent",
    "identity-source": "identity-center",
    "user": {"username": "tag:Email", "email": "tag:Email"},
    "group": "iam-{account_id}-{team}",
    "permission-set": SET,
}
INLINE = (
    '{"Statement":[{"Action":"s3:*","Effect":"Deny","Resource":"arn:aws:s3:::${aws:username}"}],'
    '"Version":"2012-10-17"}'
)
ACCEPT = {"account": ACCOUNT, "user": "alice", "verdict": "wider", "remark": "r", "expires": "2099-01-31"}


def asked(account: str, team: str) -> Intents:
    """What the policy of ``ACTION`` leaves for user alice."""
    wanted = PermissionSet(
        "Readers",
        "Reads in us-east-1",
        managed_policies=frozenset({READ_ONLY}),
        inline_policy=INLINE,
        tags=MARK,
    )
    return intents(account, "alice", permission_set=wanted, group=f"iam-{account}-{team}", policy="people")


@pytest.fixture
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetRehearsal:
    """User alice in two accounts, the policy, the accounts file and the intents that c7n-org left."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    org.configure(assignment_seconds=0)
    found = FleetRehearsal(org, tmp_path / "output")
    for account, team in ((ACCOUNT, "payments"), (OTHER_ACCOUNT, "research")):
        leave(found, asked(account, team))
    policies(ACTION)
    rows = [
        {"name": account, "account_id": account, "role": "CloudCustodian", "vars": {"team": team}}
        for account, team in ((ACCOUNT, "payments"), (OTHER_ACCOUNT, "research"))
    ]
    Path("accounts.yml").write_text(yaml.safe_dump({"vars": {"set_name": "Readers"}, "accounts": rows}))
    org.clear_calls()
    return found


def leave(fleet: FleetRehearsal, found: Intents, **tags: str) -> None:
    """``found`` of users who are there, tagged with the e-mails that it gives them."""
    iam = fleet.org.client("iam", found.account_id)
    users = (
        made_for(each, iam, **{"Email": each.person.email if each.person else "", **tags})
        for each in found.users
    )
    fleet.leave(replace(found, users=tuple(users)))


def forge(fleet: FleetRehearsal, changes: Mapping[str, Any]) -> Path:
    """Dotted keys of the first account's file -> what somebody has written there."""
    (path,) = fleet.output.glob(f"{ACCOUNT}/*/*/{INTENTS_FILE}")
    data = json.loads(path.read_text())
    for dotted, value in changes.items():
        *parts, last = dotted.split(".")
        inner = data
        for part in parts:
            inner = inner[int(part) if isinstance(inner, list) else part]
        inner[last] = value
    path.write_text(json.dumps(data))
    return path


def policies(*actions: dict[str, Any], file: str = "policies.yml", name: str = "people", **more: Any) -> None:
    whole = {"name": name, "resource": "aws.iam-user", "actions": list(actions), **more}
    Path(file).write_text(yaml.safe_dump({"policies": [whole]}))


GIVEN = ("-u", "policies.yml", "-c", "accounts.yml")


def provision(fleet: FleetRehearsal, command: str = "apply", *arguments: str) -> Result:
    fleet.org.clear_calls()
    given = ["--region", "us-east-1", "--role", ROLE, "--member-role", MEMBER_ROLE]
    return CliRunner().invoke(main, ["provision", command, "-s", str(fleet.output), *given, *arguments])


def test_what_the_policy_asks_for_is_applied_variables_filled_in(fleet: FleetRehearsal) -> None:
    found = provision(fleet, "apply", *GIVEN)
    assert found.exit_code == 0, found.output
    assert "claimed" not in found.output
    assert fleet.assigned() == {
        (ACCOUNT, "Readers", f"iam-{ACCOUNT}-payments"),
        (OTHER_ACCOUNT, "Readers", f"iam-{OTHER_ACCOUNT}-research"),
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {"permission-set.managed_policies": [ADMINISTRATOR]},
            f'permission-set.managed_policies is ["{ADMINISTRATOR}"], and ["{READ_ONLY}"] in the policy',
            id="administrator",
        ),
        pytest.param(
            {"permission-set.inline_policy": ""},
            'permission-set.inline_policy is "", and ',
            id="inline-policy",
        ),
        pytest.param(
            {"permission-set.name": "Admins"},
            'permission-set.name is "Admins", and "Readers" in the policy',
            id="another-set",
        ),
        pytest.param(
            {"permission-set.session_duration": "PT12H"}, '"PT12H", and "PT1H" in the policy', id="duration"
        ),
        pytest.param({"permission-set.relay_state": "https://x.test"}, "relay_state is ", id="relay-state"),
        pytest.param({"permission-set.tags": {**MARK, "team": "x"}}, "tags.team is ", id="tag"),
        pytest.param({"permission-set.boundary": "/a/b"}, 'boundary is "/a/b", and "" in', id="boundary"),
        pytest.param({"group": "Administrators"}, 'group is "Administrators", and ', id="group"),
        pytest.param(
            {"shared-group": True}, "shared-group is true, and false in the policy", id="shared-group"
        ),
        pytest.param({"identity-source": "external"}, 'identity-source is "external"', id="identity-source"),
        pytest.param(
            {"permission-set": None, "group": "", "derive": {"accept": [ACCEPT]}},
            "derive is {}, and null in the policy",
            id="derivation",
        ),
        pytest.param(
            {"accept": [{**ACCEPT, "account": "*", "user": "*"}]},
            "and [] in the policy",
            id="accepted-for-all",
        ),
        pytest.param({"policy": "others"}, "no policy of that name with", id="no-such-policy"),
    ],
)
def test_what_the_policy_does_not_ask_for_is_refused(
    fleet: FleetRehearsal, changes: dict[str, Any], told: str
) -> None:
    path = forge(fleet, changes)
    if "policy" in changes:
        path.parent.rename(path.parent.with_name("others"))
    found = provision(fleet, "apply", *GIVEN)
    assert found.exit_code == 1
    assert told in found.output
    assert f"{ACCOUNT}/us-east-1/" in found.output
    assert f"(account {ACCOUNT})" in found.output
    assert "find out who wrote" in found.output
    assert fleet.mutations() == []


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        pytest.param([{"account_id": ACCOUNT}], f"hold for account {OTHER_ACCOUNT}", id="account-id"),
        pytest.param([{"account.name": ACCOUNT}], f"hold for account {OTHER_ACCOUNT}", id="account-name"),
        pytest.param([{"region": "eu-west-1"}], "in us-east-1, so it does not run there", id="region"),
        pytest.param(
            [{"type": "value", "key": "now", "value_type": "date", "op": "lt", "value": "2020-01-01"}],
            "so it does not run there",
            id="time",
        ),
        pytest.param([{"region": "us-east-1"}, {"account.vars.team": "not-null"}], "", id="they-hold"),
    ],
)
def test_the_accounts_in_which_the_policy_does_not_run(
    fleet: FleetRehearsal, conditions: list[Any], told: str
) -> None:
    policies(ACTION, conditions=conditions)
    found = provision(fleet, "apply", *GIVEN)
    assert found.exit_code == bool(told), found.output
    assert told in found.output
    assert bool(fleet.mutations()) != bool(told)


DERIVING = {key: value for key, value in ACTION.items() if key not in ("group", "permission-set")}


@pytest.mark.parametrize(
    ("written", "intended", "told"),
    [
        pytest.param(True, {}, "", id="plain"),
        pytest.param({"accept": [ACCEPT]}, {"accept": [ACCEPT]}, "", id="accepted"),
        pytest.param(
            {"accept": [{**ACCEPT, "expires": "2099-01-30"}]}, {"accept": [ACCEPT]}, "2099-01-30", id="longer"
        ),
        pytest.param(True, {"accept": [ACCEPT]}, "and not given in the policy", id="accept"),
        pytest.param(True, {"identity-center-mfa": True}, "identity-center-mfa is true", id="mfa"),
        pytest.param(True, {"session-duration": "PT12H"}, "session-duration is", id="duration"),
    ],
)
def test_what_is_derived(fleet: FleetRehearsal, written: Any, intended: dict[str, Any], told: str) -> None:
    policies({**DERIVING, "derive": written})
    for account in (ACCOUNT, OTHER_ACCOUNT):
        iam = fleet.org.client("iam", account)
        iam.attach_user_policy(UserName="alice", PolicyArn=READ_ONLY)
    for path in fleet.output.glob(f"*/*/*/{INTENTS_FILE}"):
        mine = (
            intended
            if path.parts[-4] == ACCOUNT
            else json.loads(json.dumps(written))
            if written is not True
            else {}
        )
        data = {**json.loads(path.read_text()), "permission-set": None, "group": "", "derive": mine}
        path.write_text(json.dumps(data))
    found = provision(fleet, "apply", *GIVEN)
    assert (found.exit_code, told in found.output) == (1 if told else 0, True), found.output


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {
                "group": "iam-{account_id}",
                "shared-group": True,
                "permission-set": {
                    "name": "R",
                    "session-duration": "PT2H",
                    "relay-state": "https://{region}.console.aws.amazon.com/",
                    "tags": {"owner": "{partition}"},
                    "inline-policy-file": "inline.json",
                },
            },
            id="set",
        ),
        pytest.param(
            {
                "derive": {
                    "accept": [{**ACCEPT, "expires": date(2099, 1, 31)}],
                    "session-duration": "PT2H",
                    "group-by": "people",
                    "policies-per-set": 10,
                }
            },
            id="derivation",
        ),
    ],
)
def test_what_the_action_leaves_is_what_its_policy_asks_for(
    fleet: FleetRehearsal, settings: dict[str, Any]
) -> None:
    fleet.forget()
    Path("inline.json").write_text(json.dumps(SET["inline-policy"]))
    policies({**DERIVING, **settings})
    (data,) = yaml.safe_load(Path("policies.yml").read_text())["policies"]
    run = policy(data, fleet.output / ACCOUNT / "us-east-1")
    run.expand_variables(run.get_variables())
    run.run()
    found = provision(fleet, "plan", *GIVEN)
    assert found.exit_code == 0, found.output
    assert "Plan: " in found.output


def test_no_variables_without_the_accounts_file(fleet: FleetRehearsal) -> None:
    found = provision(fleet, "apply", "-u", "policies.yml")
    assert found.exit_code == 1
    assert "-{team}' has the undefined variable" in found.output
    assert "; variables come from the accounts file given as -c" in found.output
    assert fleet.mutations() == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param({"a.yml": {**ACTION, "group": 1}}, "Failed to validate policy people", id="schema"),
        pytest.param({"a.yml": {**ACTION, "derive": True}}, "leave out group, permission-set", id="settings"),
        pytest.param({"a.yml": ACTION, "b.yml": ACTION}, "is in a.yml and in b.yml", id="twice"),
        pytest.param({"a.yml": {**ACTION, "mode": "apply"}}, "mode: intent in a.yml", id="not-intended"),
    ],
)
def test_policies_that_are_none(fleet: FleetRehearsal, files: dict[str, dict[str, Any]], told: str) -> None:
    for name, action in files.items():
        policies(action, file=name)
    found = provision(
        fleet, "apply", "-c", "accounts.yml", *(part for name in files for part in ("-u", name))
    )
    assert found.exit_code == 1
    assert told in found.output
    assert isinstance(found.exception, SystemExit)
    assert fleet.mutations() == []


@pytest.mark.parametrize(
    ("row", "told"),
    [
        pytest.param({"vars": []}, "accounts/1/vars: ", id="variables"),
        pytest.param({"regions": None}, "accounts/1/regions: ", id="regions"),
        pytest.param({"role": 1}, "role 1 is not the ARN of a role", id="role"),
    ],
)
def test_accounts_that_c7n_org_does_not_take(fleet: FleetRehearsal, row: dict[str, Any], told: str) -> None:
    listed = yaml.safe_load(Path("accounts.yml").read_text())
    listed["accounts"][1].update(row)
    Path("accounts.yml").write_text(yaml.safe_dump(listed))
    found = provision(fleet, "apply", *GIVEN)
    assert (found.exit_code, told in found.output) == (1, True), found.output
    assert isinstance(found.exception, SystemExit)
    assert fleet.mutations() == []


def test_one_name_of_two_accounts(fleet: FleetRehearsal) -> None:
    listed = yaml.safe_load(Path("accounts.yml").read_text())
    listed["accounts"][1]["name"] = ACCOUNT
    Path("accounts.yml").write_text(yaml.safe_dump(listed))
    found = provision(fleet, "apply", *GIVEN)
    assert found.exit_code == 1
    assert f"account {ACCOUNT} has the ids {ACCOUNT} and {OTHER_ACCOUNT}" in found.output


def test_a_forged_claim_moves_no_cursor(fleet: FleetRehearsal) -> None:
    accept = [{**ACCEPT, "user": "\x1b[2Jalice"}]
    forge(fleet, {"permission-set": None, "group": "", "derive": {"accept": accept}})
    shown = provision(fleet, "plan")
    assert "accept wider for user \\u001b[2Jalice" in shown.output
    assert "\x1b" not in shown.output


def test_policies_that_are_nested_too_deeply(fleet: FleetRehearsal) -> None:
    Path("policies.yml").write_text(f"policies: {'[' * 5_000}{']' * 5_000}")
    found = provision(fleet, "apply", *GIVEN)
    assert found.exit_code == 1
    # from Python 3.12 on, the YAML is read, and is no policy
    assert found.output.startswith("Error: policies.yml: ")
    assert isinstance(found.exception, SystemExit)


def test_a_file_that_is_no_yaml(fleet: FleetRehearsal) -> None:
    Path("policies.yml").write_text("policies: [")
    found = provision(fleet, "apply", *GIVEN)
    assert (found.exit_code, "policies.yml: " in found.output) == (1, True)
    assert isinstance(found.exception, SystemExit)


@pytest.mark.parametrize(
    ("settings", "options", "told"),
    [
        pytest.param({"email-domains": ["example.org"]}, (), "has the domain example.com", id="domain"),
        pytest.param(
            {"email-domains": ["example.org"]},
            ("--email-domain", "example.com"),
            "",
            id="domain-said-otherwise",
        ),
        pytest.param(
            {"user": {"username": "tag:Mail", "email": "tag:Mail"}}, (), "no tag Mail with", id="tag"
        ),
        pytest.param(
            {"user": {"username": "tag:Mail", "email": "tag:Mail"}},
            ("--email-tag", "Email"),
            "",
            id="tag-said",
        ),
        pytest.param({"people-from": "people.csv"}, (), "", id="not-in-the-file"),
        pytest.param(
            {"people-from": {"file": "people.csv", "only": True}},
            (),
            "people.csv has no row for it",
            id="only",
        ),
    ],
)
def test_what_the_policy_says_of_people(
    fleet: FleetRehearsal, settings: dict[str, Any], options: tuple[str, ...], told: str
) -> None:
    Path("people.csv").write_text(f"account,user,email\n{OTHER_ACCOUNT},alice,alice@example.com\n")
    policies({**ACTION, **settings})
    found = provision(fleet, "apply", *GIVEN, *options)
    assert (found.exit_code, told in found.output) == (1 if told else 0, True), found.output


CLAIM = f"  ! claimed        permission set Readers: by {ACCOUNT}/us-east-1/people/{INTENTS_FILE}, "


def test_without_the_policies_settings_are_shown_and_not_applied(fleet: FleetRehearsal) -> None:
    shown = provision(fleet, "plan")
    assert (shown.exit_code, shown.output.startswith(CLAIM)) == (0, True), shown.output
    assert "not checked against a policy" in shown.output
    found = provision(fleet)
    assert found.exit_code == 1
    assert "give the policy files that c7n-org ran as -u" in found.output
    assert fleet.mutations() == []


def test_without_the_policies_a_reviewed_plan_is_applied(fleet: FleetRehearsal) -> None:
    written = provision(fleet, "plan", "--out", "plan.json")
    digest = written.output.partition("--plan-sha256 ")[2].split()[0]
    found = provision(fleet, "apply", "--plan", "plan.json", "--plan-sha256", digest)
    assert found.exit_code == 0, found.output
    assert len(fleet.assigned()) == 2


@pytest.mark.parametrize(
    ("derive", "told"),
    [
        pytest.param({}, "", id="proven"),
        pytest.param(
            {"accept": [ACCEPT]}, f"accept wider for user alice of account {ACCOUNT}: by ", id="accept"
        ),
        pytest.param({"identity-center-mfa": True}, "identity-center-mfa: true: by ", id="mfa"),
    ],
)
def test_without_the_policies_what_is_proven_is_applied(
    fleet: FleetRehearsal, derive: dict[str, Any], told: str
) -> None:
    fleet.org.client("iam", ACCOUNT).attach_user_policy(UserName="alice", PolicyArn=READ_ONLY)
    forge(fleet, {"permission-set": None, "group": "", "derive": derive})
    for path in fleet.output.glob(f"{OTHER_ACCOUNT}/*/*/{INTENTS_FILE}"):
        path.unlink()
    found = provision(fleet)
    assert (found.exit_code, told in found.output) == (1 if told else 0, True), found.output


def metadata(fleet: FleetRehearsal, count: int | None, **changes: Any) -> None:
    """What Cloud Custodian leaves of a run of policy ``others`` in the first account that selected ``count`` users."""
    directory = fleet.output / ACCOUNT / "us-east-1" / "others"
    directory.mkdir(parents=True, exist_ok=True)
    data: dict[str, Any] = {
        "policy": {"name": "others"},
        "config": {"account_id": ACCOUNT, "region": "us-east-1", "dryrun": False},
        "execution": {"start": datetime.now(timezone.utc).timestamp() - 60},
        "metrics": [] if count is None else [{"MetricName": "ResourceCount", "Value": count}],
    }
    for key, value in changes.items():
        data[key] = {**data[key], **value}
    (directory / "metadata.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("left", "conditions", "told"),
    [
        pytest.param(None, [], f"account {ACCOUNT} has no intents of policy others", id="no-trace"),
        pytest.param({"count": 1}, [], "has no intents of policy others", id="found-users"),
        pytest.param({"count": None}, [], "has no intents of policy others", id="failed"),
        pytest.param(
            {"count": 0, "execution": {"start": 1.0}}, [], "has no intents of policy", id="long-ago"
        ),
        pytest.param({"count": 0, "config": {"dryrun": True}}, [], "has no intents of policy", id="dry-run"),
        pytest.param(
            {"count": 0, "config": {"region": "eu-west-1"}},
            [],
            "has no intents of policy",
            id="another-region",
        ),
        pytest.param({"count": 0}, [], "", id="found-nobody"),
        pytest.param(None, [{"account_id": "777788889999"}], "", id="does-not-run-there"),
    ],
)
def test_nothing_is_pruned_without_the_intents_of_all_policies(
    fleet: FleetRehearsal, left: dict[str, Any] | None, conditions: list[Any], told: str
) -> None:
    shutil.rmtree(fleet.output / OTHER_ACCOUNT)
    policies(ACTION, file="others.yml", name="others", conditions=conditions)
    if left is not None:
        metadata(fleet, **left)
    given: tuple[str, ...] = (*GIVEN, "-u", "others.yml")
    assert provision(fleet, "apply", *given).exit_code == 0
    if left and "execution" not in left:
        given = (*given, "--max-age", "999999d")
    found = provision(fleet, "prune", *given, "--unrequested")
    assert found.exit_code == bool(told), found.output
    assert told in found.output
    assert fleet.mutations() == []
