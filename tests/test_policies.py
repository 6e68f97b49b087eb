# SPDX-License-Identifier: Apache-2.0
"""The policies that ship: they validate as a person would validate them, and they agree with one another."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import textwrap
from copy import deepcopy
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.mu import CloudWatchEventSource
from click.testing import CliRunner

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from c7n_iamusers.entry import ACTIONS, FILTERS
from c7n_iamusers.evidence.model import KINDS
from c7n_iamusers.exemptions import parse_list
from c7n_iamusers_cli.main import main
from c7n_iamusers_cli.roles import roles
from tests import policies as in_process
from tests.policies import ACCOUNT

ROOT = Path(__file__).parent.parent
POLICIES = sorted((ROOT / "policies").glob("*.yml"))


def command(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that is installed beside this Python."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)


#: Of each file, in the order of a user's way out.
FILES = {
    "flag-and-notify": ["iam-users-flag"],
    "remind": ["iam-users-remind", "iam-users-overdue"],
    "provision": ["iam-users-provision"],
    "provision-intents": ["iam-users-intents", "iam-users-moved"],
    "brownout": ["iam-users-brownout", "iam-users-brownout-people", "iam-users-brownout-told"],
    "listen": ["iam-users-listen", "iam-users-listen-people", "iam-users-listen-told"],
    "your-access": ["iam-users-your-access"],
    "quarantine": ["iam-users-quarantine", "iam-users-quarantine-people", "iam-users-quarantine-told"],
    "attempts": ["iam-users-attempted"],
    "delete": ["iam-users-delete", "iam-users-delete-people", "iam-users-delete-told"],
    "keys": [
        *("iam-keys-announce", "iam-keys-remind", "iam-keys-park", "iam-keys-park-people"),
        *("iam-keys-retire", "iam-keys-retire-people", "iam-keys-told"),
    ],
    "release": ["iam-users-release"],
    "findings-to-security-hub": ["iam-users-findings"],
    "realtime": ["iam-users-realtime", "iam-users-realtime-deny", "iam-users-realtime-daily"],
    "realtime-quarantine": ["iam-users-realtime-quarantine"],
    "realtime-alarm": ["iam-users-alarm-sign-in", "iam-users-alarm-call", "iam-users-alarm-hourly"],
}
#: The numbers, and the field of a person, under ``vars`` of accounts.yml, as the policies name them.
FILLED_IN = {
    f"{{{name}}}": value
    for name, value in yaml.safe_load((ROOT / "accounts.yml").read_text())["vars"].items()
    if isinstance(value, int) or name == "person_email"
}


def filled_in(value: Any) -> Any:
    """A policy's data with these filled in, and all other variables as they are."""
    if isinstance(value, dict):
        return {key: filled_in(part) for key, part in value.items()}
    if isinstance(value, list):
        return [filled_in(part) for part in value]
    return FILLED_IN.get(value, value) if isinstance(value, str) else value


DATA = {path.stem: filled_in(yaml.safe_load(path.read_text())["policies"]) for path in POLICIES}
EVERY = [policy for policies in DATA.values() for policy in policies]
EXEMPTIONS, IN_LAMBDA = "policies/exemptions.csv", "s3://{lambda_bucket}/exemptions.csv"


def test_there_are_policies() -> None:
    assert {name: [each["name"] for each in policies] for name, policies in DATA.items()} == FILES


def test_custodian_validates_them() -> None:
    """`make check` has c7n-org validate them too, for every account."""
    done = command("custodian", "validate", "--strict", *POLICIES)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Configuration valid") == len(POLICIES)


def part(policy: dict[str, Any], section: str, kind: str) -> dict[str, Any]:
    """The filter or action of a policy that has this type; empty where it has none."""
    found = [each for each in policy[section] if isinstance(each, dict) and each.get("type") == kind]
    return found[0] if found else {}


def destructive(policy: dict[str, Any]) -> dict[str, Any]:
    return part(policy, "actions", "quarantine") or part(policy, "actions", "composite-delete")


@pytest.mark.parametrize("policy", EVERY, ids=lambda policy: str(policy["name"]))
def test_all_of_them_share_one_list_of_exemptions(policy: dict[str, Any]) -> None:
    flag = part(policy, "filters", "unnecessary")
    if policy["name"] == "iam-users-release":
        # exempt or not, but only whom somebody names
        assert flag == {"type": "unnecessary", "exempt": "none"}
        assert policy["filters"][0] == {"type": "value", "key": "UserName", "op": "in", "value": []}
        return
    # in real time whoever creates a user could choose to be exempt
    real_time = policy["name"].startswith("iam-users-realtime")
    spare = "identified" if policy["name"] == "iam-users-realtime-quarantine" else "nobody"
    assert flag.get("spare") == (spare if real_time else None)
    if policy["name"].startswith("iam-users-alarm"):
        assert not flag
        flag = part(policy, "filters", "alarm")
    # a Lambda function has no files of the checkout
    assert flag["exempt-from"] == (IN_LAMBDA if "mode" in policy else EXEMPTIONS)
    assert "exempt" not in flag


def test_the_list_of_exemptions() -> None:
    rules = parse_list((ROOT / EXEMPTIONS).read_text(), "csv", "exemptions.csv")
    assert [(each.field, each.pattern) for each in rules] == [("path", "/emergency/*")]
    # an expired rule protects nobody, and every report and notice would say so
    assert all(each.expires > date(2026, 11, 24) for each in rules)


def test_the_head_of_each_runs_it_by_the_role_that_it_takes() -> None:
    for path in POLICIES:
        (policy, *_) = DATA[path.stem]
        changing = {
            "-restore": part(policy, "actions", "release"),
            "-remove": destructive(policy) or path.stem == "keys",
            "-findings": part(policy, "actions", "post-finding"),
        }
        role = (
            "-deploy" if "mode" in policy else next((each for each, is_so in changing.items() if is_so), "")
        )
        assert set(re.findall(r"c7n-org run -c (\S+)", path.read_text())) == {f"accounts{role}.yml"}, path


#: That of new users, which nothing announces, is tested in tests/plugins/test_realtime.py.
DESTRUCTIVE = [policy for policy in EVERY if destructive(policy) and "mode" not in policy]


@pytest.mark.parametrize("policy", DESTRUCTIVE, ids=lambda policy: str(policy["name"]))
def test_what_destroys_asks_for_everything_that_spares(policy: dict[str, Any]) -> None:
    action, flag = destructive(policy), part(policy, "filters", "unnecessary")
    assert action["noticed"] >= (9 if "brownout" in action else 16)
    assert action["notices"] == "{notices}"
    assert action["active-within"] == 30
    assert not action.keys() & {"include-compromised", "adopt"}
    assert flag["findings"] == {"none-of": ["role-trusts-user"]}
    assert 0 < policy["max-resources"] <= 200
    people = {"human", "mixed", "unknown"} & set(flag["kinds"])
    assert bool(people) == policy["name"].endswith("-people")
    assert part(policy, "filters", "identity-center").get("state") == ("provisioned" if people else None)
    if not people:
        assert part(policy, "filters", "credential")["value"] is False
        assert {"type": "value", "key": "tag:Email", "value": "absent"} in policy["filters"]
    if action["type"] == "composite-delete":
        assert action.get("require") == ("provisioned" if people else None)
        assert action["quarantined-for"] == 14
        assert action["quiet"] == "none-seen"
        assert part(policy, "filters", "attempts") == {"type": "attempts"}


#: From the mildest to the last.
STEPS = ["brownout", "listen", "quarantine", "delete"]


def test_there_are_four_steps_that_destroy() -> None:
    names = [f"iam-users-{step}{kind}" for step in STEPS for kind in ("", "-people")]
    assert sorted(policy["name"] for policy in DESTRUCTIVE) == sorted(names)


def test_machines_and_people_are_the_same_in_every_step() -> None:
    first, *others = (
        [[each for each in policy["filters"] if each.get("type") != "attempts"] for policy in DATA[name][:2]]
        for name in STEPS
    )
    assert others == [first] * 3
    kinds = [part(policy, "filters", "unnecessary")["kinds"] for policy in DATA["delete"][:2]]
    # AWS does not tell when a Bedrock API key is used
    assert sorted(each for listed in kinds for each in listed) == sorted(set(KINDS) - {"bedrock-api-key"})


@pytest.mark.parametrize("name", ["listen", "delete"])
def test_who_may_be_a_person_is_no_machine(org: LocalOrg, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Keys in use and a password that nobody used make a machine by kind, and may be a person at the keyboard."""
    used = datetime.now(timezone.utc) - timedelta(days=400)
    account = org.backend("iam", ACCOUNT)
    for user_name, tags in (("bot", {}), ("cli", {}), ("mail", {"Email": "mail@example.com"})):
        user = seeding.add_user(account, user_name, created=used, tags=tags)
        key = seeding.add_access_key(account, user, created=used)
        seeding.set_access_key_last_used(key, used, service="s3", region="us-east-1")
        if user_name == "cli":
            seeding.set_password(user, used)
    monkeypatch.chdir(ROOT)
    machines, *_ = DATA[name]
    selected = in_process.policy({**machines, "actions": []}).resource_manager.resources()
    assert [user["UserName"] for user in selected] == ["bot"]


def test_the_days_agree() -> None:
    (flag,), reminders, *steps, (deletion, *_) = (
        DATA[name] for name in ("flag-and-notify", "remind", *STEPS)
    )
    days = part(flag, "actions", "notify-owners")["days"]
    action = part(deletion, "actions", "composite-delete")
    assert action["noticed"] == days
    for policy in (flag, *reminders):
        told = part(policy, "actions", "notify-owners")["quarantined-for"]
        assert told == action["quarantined-for"]
    brownout, listen, quarantine = (part(each, "actions", "quarantine") for each, *_ in steps)
    # days under a Deny count, whether credentials are kept or deactivated
    assert listen["noticed"] + action["quarantined-for"] == days
    assert brownout["noticed"] < listen["noticed"] < quarantine["noticed"] < days
    assert (listen["credentials"], quarantine.get("credentials")) == ("keep", None)
    assert brownout["brownout"] <= 60


def test_the_owner_of_the_account_is_told_of_each_step_and_that_is_on_record() -> None:
    """A composed subject names the account, the number of users and the day; a given one would not."""
    informing = set()
    for policy in EVERY:
        for action in policy["actions"]:
            assert action["type"] != "notify"
            if action["type"] == "notify-owners":
                alarms = ["{alarm_to}"] if action["step"] == "used" else []
                assert action["to"] == [*alarms, "{owner}"]
                assert "mode" in policy or action["notices"] == "{notices}"
                assert "subject" not in action
                assert action is policy["actions"][-1]
                if action["step"] == "inform":
                    informing.add(policy["name"])
    assert informing == {
        "iam-users-provision",
        "iam-users-moved",
        "iam-users-attempted",
        "iam-users-delete-told",
        "iam-users-release",
        "iam-keys-told",
    }


@pytest.mark.parametrize("name", [name for name in DATA if name not in ("realtime", "realtime-alarm")])
def test_no_step_sends_an_owner_two_mails_about_one_account(name: str) -> None:
    """But for the numbered one about who is overdue, and those of keys, whose steps are days apart."""
    telling = [
        policy["name"]
        for policy in DATA[name]
        if any(action["type"] == "notify-owners" for action in policy["actions"])
    ]
    keys = ["iam-keys-announce", "iam-keys-remind", "iam-keys-told"]
    assert telling in ([], telling[:1], ["iam-users-remind", "iam-users-overdue"], keys)


@pytest.mark.parametrize("name", STEPS)
def test_one_mail_tells_an_owner_what_both_policies_of_a_step_did(name: str) -> None:
    *acting, last = DATA[name]
    assert {each["type"] for policy in acting for each in policy["actions"]} == {
        destructive(acting[0])["type"]
    }
    assert last["filters"][0] == {"UserName": "absent"}
    (told,) = last["actions"]
    assert told["of"] == [policy["name"] for policy in acting]
    assert told["step"] == ("inform" if name == "delete" else "denied")


def test_every_number_of_the_accounts_file_is_used() -> None:
    text = "".join(path.read_text() for path in POLICIES)
    assert [name for name in FILLED_IN if name not in text] == []


def test_security_hub_gets_a_finding_for_each_flagged_user(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    iam = org.client("iam", ACCOUNT)
    for name, path in (("alice", "/"), ("break-glass", "/emergency/")):
        iam.create_user(UserName=name, Path=path)
    (data,) = DATA["findings-to-security-hub"]
    for _ in range(2):
        in_process.policy(data, tmp_path).run()
    (finding,) = org.client("securityhub", ACCOUNT).get_findings()["Findings"]
    assert finding["Resources"][0]["Id"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert (finding["AwsAccountId"], finding["Title"]) == (ACCOUNT, "iam-user")
    assert [tag["Key"] for tag in iam.list_user_tags(UserName="alice")["Tags"]] == ["c7n:FindingId:iam-user"]


def test_the_role_for_findings_is_the_one_that_its_head_prints() -> None:
    head = (ROOT / "policies" / "findings-to-security-hub.yml").read_text()
    (given,) = re.findall(r"c7n-iamusers (roles .*)\\\n#(.*) > findings.json", head)
    words = " ".join(given).replace("ARN", "arn:aws:iam::123456789012:role/Runner").split()
    words = [str(ROOT / each) if each.endswith(".yml") else each for each in words]
    result = CliRunner().invoke(main, [*words, "--format", "json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    allowed = {action for each in found["PolicyDocument"]["Statement"] for action in each["Action"]}
    assert found["RoleName"] == "IamUsersFindings"
    assert {"securityhub:BatchImportFindings", "iam:TagUser"} <= allowed


def test_the_role_of_our_own_runs_is_the_one_that_the_roles_are_printed_for() -> None:
    defaults = {each.name: each.default for each in roles.params}
    variables = yaml.safe_load((ROOT / "accounts.yml").read_text())["vars"]
    for variable, name in (("runner_role", "remover"), ("restorer_role", "restorer")):
        assert variables[variable] == defaults[name]
        assert f"`{defaults[name]}`" in (ROOT / "docs" / "runbook.md").read_text()


@pytest.mark.parametrize(
    "policy", [each for each in EVERY if "mode" in each], ids=lambda each: str(each["name"])
)
def test_functions_of_several_accounts_do_not_overwrite_one_another(policy: dict[str, Any]) -> None:
    assert "{account_id}" in policy["mode"]["execution-options"]["output_dir"]
    (notify,) = [each for each in policy["actions"] if each["type"] == "notify-owners"]
    assert notify["step"] in ("created", "used")
    # nothing that deletes rests on what a member account can write
    assert notify["notices"].startswith("s3://{lambda_bucket}/realtime/")


def test_functions_run_on_events_of_aws_alone() -> None:
    """Cloud Custodian's rules do not ask for a source, and whoever may call PutEvents can write all else."""
    modes = [policy["mode"] for file in DATA.values() for policy in file if "mode" in policy]
    rules = [
        CloudWatchEventSource(deepcopy(mode), None).render_event_pattern()
        for mode in modes
        if mode["type"] == "cloudtrail"
    ]
    assert [json.loads(rule)["source"] for rule in rules] == [[{"prefix": "aws."}]] * 5


def test_no_tag_decides() -> None:
    """Whoever holds iam:TagUser writes tags."""
    for path in POLICIES:
        assert "marked-for-op" not in path.read_text()
        assert "mark-for-op" not in path.read_text()


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: str(path.stem))
def test_the_head_says_how_it_is_run(path: Path) -> None:
    head = path.read_text().partition("policies:\n")[0]
    assert f"policies/{path.name}" in head
    assert "from the checkout's root" in head or path.stem == "release"


@pytest.mark.parametrize("place", [*FILTERS.values(), *ACTIONS.values()])
def test_every_example_says_whom_it_spares(place: str) -> None:
    """What is copied from a docstring must not meet who is exempt, active, unannounced or without replacement."""
    module, _, name = place.replace(":", ".").rpartition(".")
    example = str(getattr(importlib.import_module(module), name).__doc__).partition(".. code-block:: yaml")[2]
    policies = yaml.safe_load(textwrap.dedent(example))["policies"]
    assert policies
    for policy in policies:
        for each in policy["filters"]:
            if isinstance(each, dict) and each.get("type") == "unnecessary":
                assert each.get("exempt") or each.get("exempt-from")
        for action in policy.get("actions", ()):
            if action["type"] in ("composite-delete", "quarantine"):
                assert {"noticed", "notices", "active-within"} <= set(action)
                (flag,) = [each for each in policy["filters"] if "kinds" in each]
                assert set(flag["kinds"]) <= {"machine", "no-credentials"}
                assert "role-trusts-user" in flag["findings"]["none-of"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(
            {"reason": None}, "exempt[0]: reason is missing: say why these users may stay", id="reason"
        ),
        pytest.param({"expires": "2027-13-01"}, "exempt[0]: expires is not a date: '2027-13-01'", id="date"),
        pytest.param({"username": "x"}, "exempt[0]: there is no key 'username': a rule has one of", id="key"),
    ],
)
def test_custodian_refuses_a_faulty_exemption_with_its_place(
    tmp_path: Path, fault: dict[str, Any], message: str
) -> None:
    rule = {"user": "x", "reason": "r", "expires": "2027-01-01", **fault}
    policy = {
        "name": "faulty",
        "resource": "aws.iam-user",
        "filters": [
            {"type": "unnecessary", "exempt": [{key: value for key, value in rule.items() if value}]}
        ],
    }
    path = tmp_path / "faulty.yml"
    path.write_text(yaml.safe_dump({"policies": [policy]}))
    done = command("custodian", "validate", path)
    assert done.returncode == 1
    assert f"policy faulty: filter unnecessary: {message}" in done.stderr


def test_the_steps_of_a_key_agree() -> None:
    """It is parked on the day that the message says, and machines and people meet the same conditions."""
    announce, remind, park, park_people, retire, retire_people, told = DATA["keys"]
    telling, reminding = (part(each, "actions", "notify-owners") for each in (announce, remind))
    parking, ending = part(park, "actions", "deactivate"), part(retire, "actions", "retire")
    assert parking["noticed"] + ending["parked-for"] == telling["days"] == ending["noticed"]
    assert telling["quarantined-for"] == reminding["quarantined-for"] == ending["parked-for"]
    assert telling["active-within"] == parking["active-within"] == 30
    assert (park["actions"], retire["actions"]) == (park_people["actions"], retire_people["actions"])
    for pair in ((park, park_people), (retire, retire_people)):
        flags = [part(each, "filters", "unnecessary") for each in pair]
        kinds = [kind for flag in flags for kind in flag.pop("kinds")]
        assert flags[0] == flags[1]
        assert sorted(kinds) == ["human", "machine", "mixed", "unknown"]
        assert all(0 < each["max-resources"] <= 200 for each in pair)
    assert part(announce, "filters", "unnecessary") == {
        key: value for key, value in part(park, "filters", "unnecessary").items() if key != "kinds"
    }
    assert told["actions"][0]["of"] == [each["name"] for each in (park, park_people, retire, retire_people)]
