# SPDX-License-Identifier: Apache-2.0
"""init: a workspace from the local organization, twice, after edits, in each partition, and where it can't be."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from moto.organizations.models import organizations_backends

from aws_local_org import LocalOrg, Settings
from c7n_iamusers.cycle.settings import read_settings
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.exemptions import parse_list
from c7n_iamusers.organization.owners import Account, Member
from c7n_iamusers_cli import mail_templates
from c7n_iamusers_cli.init.command import init as command
from c7n_iamusers_cli.init.plan import named
from c7n_iamusers_cli.init.questions import QUESTIONS
from c7n_iamusers_cli.init.reading import Found
from c7n_iamusers_cli.init.record import RECORD, read_record
from c7n_iamusers_cli.mailer import mailer_config
from c7n_iamusers_cli.main import main
from c7n_iamusers_cli.policies import loaded
from tests.conftest import hurry
from tests.guides import commands_of, deploy
from tests.in_process import short_circuit
from tests.readme import ROOT

MANAGEMENT, FIRST, CLOSED, UNOWNED, ODD = (
    "123456789012",
    "111122223333",
    "444455556666",
    "777788889999",
    "888899990000",
)
MEMBERS = ((FIRST, "payments"), (CLOSED, "research"), (UNOWNED, "my-sandbox"), (ODD, "x{{ boom }}"))
SETTINGS = Settings(
    member_accounts=MEMBERS,
    suspended_accounts=(CLOSED,),
    accounts_without_address=(UNOWNED,),
    identity_center_region="eu-central-1",
    enforce=True,
)
GIVEN = ("--yes", "--contact", "gov@example.com")
OPERATOR = f"arn:aws:iam::{MANAGEMENT}:role/LocalOrgOperator"


@pytest.fixture(scope="module")
def served(no_local_org: None) -> Iterator[LocalOrg]:
    with LocalOrg(SETTINGS) as running:
        yield running


@pytest.fixture
def org(served: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalOrg:
    return entered(served, tmp_path, monkeypatch)


def entered(org: LocalOrg, directory: Path, monkeypatch: pytest.MonkeyPatch) -> LocalOrg:
    """``org``, emptied, with the environment of its administrator, in an empty directory."""
    for name, value in org.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.chdir(directory)
    short_circuit(monkeypatch, org)
    hurry(monkeypatch)
    org.reset()
    return org


def init(*arguments: str, code: int = 3, typed: str | None = None) -> Result:
    """A run, that ends with ``code``: the unowned account, and the name with a template, are to be looked at."""
    result = CliRunner().invoke(main, ["init", "ws", *arguments], input=typed)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def files() -> dict[str, bytes]:
    return {
        str(each.relative_to("ws")): each.read_bytes() for each in Path("ws").rglob("*") if each.is_file()
    }


def accounts() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path("ws/accounts.yml").read_text())
    return found


def test_a_workspace_has_all_files_and_each_can_be_read(org: LocalOrg) -> None:
    printed = init(*GIVEN)
    entries = {each["account_id"]: each for each in accounts()["accounts"]}
    assert {*entries} == {MANAGEMENT, FIRST, UNOWNED, ODD}
    assert entries[FIRST] == {
        "name": "payments",
        "account_id": FIRST,
        "role": f"arn:aws:iam::{FIRST}:role/IamUsersReader",
        "regions": ["us-east-1"],
        "tags": ["wave:2", "path:/Workloads"],
        "vars": {"account_name": "payments", "owner": "aws+payments@example.com"},
    }
    # the first wave is the account whose name tells that little depends on it; what is odd is said
    assert entries[UNOWNED]["tags"][0] == "wave:1"
    assert "owner" not in entries[UNOWNED]["vars"]
    assert entries[ODD]["name"] == entries[ODD]["vars"]["account_name"] == ODD
    assert entries[MANAGEMENT]["tags"] == ["wave:3", "path:/"]
    for told in (
        f"left out: account {CLOSED} (research) is SUSPENDED",
        f"look: account {UNOWNED} (my-sandbox): no owner's address in",
        f"--owner {UNOWNED}=ADDRESS",
        f"look: account {ODD} (x{{{{ boom }}}}) is named by its id: its name has a brace",
        "look: the role IdentityCenterProvisioner is there",
        "aws iam delete-role --role-name IdentityCenterProvisioner",
        "aws cloudformation deploy --region us-east-1 --stack-name iam-users-runner",
    ):
        assert told in printed.output
    variables = accounts()["vars"]
    (instance,) = org.client("sso-admin", region_name="eu-central-1").list_instances()["Instances"]
    assert variables["identity_center_region"] == "eu-central-1"
    assert variables["start_url"] == f"https://{instance['IdentityStoreId']}.awsapps.com/start"
    assert {variables[each] for each in ("contact", "escalate_to", "alarm_to")} == {"gov@example.com"}
    assert variables["announce_days"] == 30
    settings = read_settings(Path("ws/iam-users.yml").read_bytes())
    assert (settings.organization, settings.provision) == (
        org.client("organizations").describe_organization()["Organization"]["Id"],
        True,
    )
    assert variables["records"].startswith(settings.output.partition("?")[0])
    assert mailer_config(Path("ws/mailer.yml"))["queue_url"] == variables["queue_url"]
    (rule,) = parse_list(Path("ws/policies/exemptions.csv").read_bytes(), "csv", "exemptions.csv")
    assert (rule.field, rule.pattern) == ("path", "/emergency/*")
    assert not [name for name, content in files().items() if b"checkout" in content]
    assert {each.stat().st_mode & 0o077 for each in Path("ws").rglob("*")} == {0}


def test_run_again_it_changes_nothing(org: LocalOrg) -> None:
    init(*GIVEN, "--policies", "people")
    before = files()
    # the answers are those of the last run
    assert "ws is as it was" in init("--yes").output
    assert files() == before


def test_what_was_edited_stays_and_the_difference_is_shown(org: LocalOrg) -> None:
    init(*GIVEN)
    edited = Path("ws/accounts.yml")
    edited.write_text(edited.read_text().replace("announce_days: 30", "announce_days: 60"))
    Path("ws/policies/attempts.yml").unlink()
    before = files()
    printed = init("--yes", "--contact", "other@example.com").output
    assert "-  announce_days: 60" in printed
    assert "+  contact: other@example.com" in printed
    assert "attempts.yml was removed, and stays away" in printed
    assert edited.read_bytes() == before["accounts.yml"]
    assert not Path("ws/policies/attempts.yml").exists()
    # the others follow
    assert "from_address: other@example.com" in Path("ws/mailer.yml").read_text()
    # the difference is shown until it is taken, and then nothing is
    assert "-  announce_days: 60" in init("--yes").output
    taken = init("--yes", "--replace", "accounts.yml", "--replace", "policies/attempts.yml")
    assert "edited" not in taken.output
    assert accounts()["vars"]["announce_days"] == 30
    assert "ws is as it was" in init("--yes").output


def test_days_of_practice_are_as_the_page_says(org: LocalOrg) -> None:
    """docs/cycle.md: the whole path on one day; and the account of the first wave by its name."""
    page = (ROOT / "docs" / "cycle.md").read_text()
    (line,) = (each for each in page.splitlines() if "--set announce_days=0" in each)
    given = shlex.split(line)[3:]
    init(*GIVEN, *given, "--first-account", "payments")
    variables = accounts()["vars"]
    assert (variables["announce_days"], variables["quarantined_for_days"]) == (0, 0.0001)
    entries = {each["account_id"]: each for each in accounts()["accounts"]}
    assert entries[FIRST]["tags"][0] == "wave:1"
    assert json.loads(Path("ws", RECORD).read_text())["answers"]["first-account"] == FIRST


def test_the_exemptions_are_of_people_and_never_taken_away(org: LocalOrg) -> None:
    init(*GIVEN)
    exemptions = Path("ws/policies/exemptions.csv")
    granted = exemptions.read_text() + '111122223333,jane,,"nightly export",ada@example.com,2099-01-01,\n'
    exemptions.write_text(granted)
    assert "ws is as it was" in init("--yes").output
    refused = init("--yes", "--replace", "policies/exemptions.csv", code=1)
    assert "has the exemptions that people granted: edit it instead" in refused.output
    assert exemptions.read_text() == granted


def test_an_owner_that_is_given_and_a_new_account_keep_the_waves(org: LocalOrg) -> None:
    init(*GIVEN)
    waves = {each["account_id"]: each["tags"][0] for each in accounts()["accounts"]}
    client = org.client("organizations")
    new = client.create_account(AccountName="a-sandbox", Email="new@example.com")["CreateAccountStatus"]
    init("--yes", "--owner", f"{UNOWNED}=ada@example.com", "--set", "active_within_days=45")
    entries = {each["account_id"]: each for each in accounts()["accounts"]}
    assert entries[UNOWNED]["vars"]["owner"] == "ada@example.com"
    assert {each: entries[each]["tags"][0] for each in waves} == waves
    assert entries[new["AccountId"]]["tags"][0] == max(waves.values())
    assert accounts()["vars"]["active_within_days"] == 45


def test_each_question_is_asked_with_its_default(org: LocalOrg) -> None:
    """Each wrong answer is refused at once; an empty line takes the default."""
    typed = ["machines,robots", "", "", "", "", "no address", "gov@example.com", "", "", ""]
    printed = init(typed="\n".join(typed) + "\n").output
    for told in (
        "'robots' is none of people, machines, brownout, keys, real-time, real-time-deny",
        "default: Identity Center is in eu-central-1",
        "--email-domain [example.com]",
        "default: the address of the management account",
        "'no address' is not one e-mail address",
        f"--operators [{OPERATOR}]",
        f"--first-account [{UNOWNED}]",
        "default: by its name, my-sandbox",
    ):
        assert told in printed, printed
    assert printed.count("\n--") + printed.count("  default:") > 8
    answers = json.loads(Path("ws", RECORD).read_text())["answers"]
    assert answers["policies"] == "people,machines"
    assert answers["on-call"] == OPERATOR


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("payments", "payments", f"payments-{FIRST}"), id="the-name-that-it-is-given"),
        pytest.param(("payments", "Payments", f"PAYMENTS-{FIRST}"), id="but-for-capitals"),
    ],
)
def test_no_two_accounts_have_one_name(names: tuple[str, str, str]) -> None:
    ids = (FIRST, "444455556666", "777788889999")
    members = {
        each: Member(Account(each, name), "a@example.com", "ACTIVE")
        for each, name in zip(ids, names, strict=True)
    }
    found, told = named(Found("o-1", MANAGEMENT, "", "aws", "us-east-1", members, {}, "r-1"))
    assert len({each.casefold() for each in found.values()}) == 3
    assert found["777788889999"] == "777788889999"
    assert len(told) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"answers": []},
        {"answers": {"on-call": 1}},
        {"options": {"owners": ["x"]}},
        {"options": {"sources": "tag:Owner"}},
        {"waves": {"1": "first"}},
        {"files": None},
        {"day": 7},
    ],
    ids=str,
)
def test_a_record_that_init_cannot_have_written_is_refused_by_name(tmp_path: Path, change: Any) -> None:
    (tmp_path / RECORD).write_text(json.dumps({"answers": {}, "waves": {}, "files": {}, **change}))
    with pytest.raises(InvalidPolicyData, match=r"nothing was written: .* can't be read"):
        read_record(tmp_path)


#: Days of practice, of which one has a part that mails can't tell.
PARTS = (("announce", 0.0001), ("listen_after", 0), ("quarantine_after", 0), ("quarantined_for", 0.0001))
FAULTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "nothing-says-who": (("--yes",), "give --contact: nothing says what to take"),
    "contact": (("--yes", "--contact", "Ada"), "--contact: 'Ada' is not one e-mail address"),
    "policies": ((*GIVEN, "--policies", "brownout"), "name people, machines or both"),
    "denial-alone": ((*GIVEN, "--policies", "machines,real-time-deny"), "real-time-deny needs real-time"),
    "domain": ((*GIVEN, "--email-domain", "example"), "'example' is no domain"),
    "operators": (
        (*GIVEN, "--operators", "arn:aws-cn:iam::123456789012:role/a"),
        "is not the ARN of a role or user",
    ),
    "first-account": ((*GIVEN, "--first-account", CLOSED), "is no active account of the organization"),
    "root-of-another": (
        (*GIVEN, "--operators", f"arn:aws:iam::{FIRST}:root"),
        "would let in all users and roles of that account",
    ),
    "output": ((*GIVEN, "--output", "s3://B/x"), "iam-users.yml: line"),
    "mail": ((*GIVEN, "--mail", "smtp"), "'smtp' is neither ses nor HOST:PORT"),
    "variable": ((*GIVEN, "--set", "days=3"), "accounts.yml has no variable days"),
    "days": (
        (*GIVEN, "--set", "announce_days=45"),
        "--set: a quarantine after 16 days that lasts 14 does not end after the 45 days that owners are told",
    ),
    "part-of-a-day": (
        (*GIVEN, *(f"--set={each}_days={number}" for each, number in PARTS)),
        "--set: policies/flag-and-notify.yml: ",
    ),
}
USAGE: Mapping[str, tuple[tuple[str, ...], str]] = {
    "owner": ((*GIVEN, "--owner", "payments=ada@example.com"), "is no ID=ADDRESS"),
    "runner-account": ((*GIVEN, "--runner-account", CLOSED), "is no active account of"),
    "region": ((*GIVEN, "--region", "cn-north-1"), "is no Region of aws"),
    "replace": ((*GIVEN, "--replace", "runbook.md"), "it is none of README.md"),
}


@pytest.mark.whole
@pytest.mark.parametrize(("case", "code"), [*((each, 1) for each in FAULTS), *((each, 2) for each in USAGE)])
def test_what_can_not_be_is_refused_before_anything_is_written(org: LocalOrg, case: str, code: int) -> None:
    arguments, told = {**FAULTS, **USAGE}[case]
    assert told in init(*arguments, code=code).output
    assert not Path("ws").exists()


#: What docs/init.md names.
READS = {
    *(
        f"organizations:{each}"
        for each in ("DescribeOrganization", "ListAccounts", "ListRoots", "ListAccountsForParent")
    ),
    *(f"organizations:{each}" for each in ("ListOrganizationalUnitsForParent", "ListTagsForResource")),
    *("account:GetAlternateContact", "sso:ListInstances", "identitystore:ListUsers"),
    *("iam:GetRole", "cloudformation:DescribeStacks", "cloudformation:DescribeStackSet", "sts:AssumeRole"),
}


def test_it_needs_what_the_page_says_and_no_more(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "init.md").read_text()
    (named,) = (each for each in page.split("\n\n") if "It needs these, and nothing else" in each)
    assert {*re.findall(r"`(?:[a-z]+:)?([A-Z]\w+)`", named)} - {"Runner", "OnCall"} == {
        each.partition(":")[2] for each in READS
    }
    become(org, monkeypatch, {"Effect": "Deny", "NotAction": sorted(READS), "Resource": "*"})
    init(*GIVEN)


@pytest.mark.whole
@pytest.mark.parametrize(
    "action",
    [
        "organizations:DescribeOrganization",
        "organizations:ListAccounts",
        "organizations:ListRoots",
        "organizations:ListAccountsForParent",
        "organizations:ListTagsForResource",
        "account:GetAlternateContact",
        "sso:ListInstances",
        "identitystore:ListUsers",
    ],
)
def test_a_read_that_is_denied_is_named(org: LocalOrg, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    become(org, monkeypatch, {"Effect": "Deny", "Action": action, "Resource": "*"})
    printed = init(*GIVEN, code=1).output
    assert f"may not call {action}: grant" in printed
    assert not Path("ws").exists()


def become(org: LocalOrg, monkeypatch: pytest.MonkeyPatch, *denied: Mapping[str, Any]) -> None:
    """Act as a role of the management account that may do all but what is ``denied``."""
    iam = org.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": OPERATOR}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="Admin",
        Path="/team/",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, *denied]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName="Admin", PolicyName="all", PolicyDocument=document)
    act_as(org, monkeypatch, f"arn:aws:iam::{MANAGEMENT}:role/team/Admin")


def act_as(org: LocalOrg, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    keys = org.client("sts").assume_role(RoleArn=role, RoleSessionName="ada")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])


def test_the_role_of_a_session_is_found_with_its_path(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    become(org, monkeypatch)
    init(*GIVEN)
    runner = json.loads(Path("ws/stacks/iam-users-runner.json").read_text())
    assert runner["Parameters"]["Operators"]["Default"] == f"arn:aws:iam::{MANAGEMENT}:role/team/Admin"


def test_the_runner_may_have_an_account_of_its_own(org: LocalOrg) -> None:
    init(*GIVEN, "--runner-account", FIRST, "--output", "s3://bucket-that-is-there/here?region=eu-west-1")
    members = json.loads(Path("ws/stacks/iam-users-members.json").read_text())["Resources"]
    (trust,) = members["IamUsersRemover"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": f"arn:aws:iam::{FIRST}:role/Runner"}
    readme = Path("ws/README.md").read_text()
    assert (
        f"1. runner's account, with credentials of account {FIRST}, such as by `sh as OrganizationAcc"
        in readme
    )
    assert "with the AWS CLI, and credentials of the management account where nothing else is said:" in readme
    assert f"account={FIRST}" in Path("ws/as").read_text()
    assert accounts()["vars"]["queue_url"] == f"https://sqs.us-east-1.amazonaws.com/{FIRST}/iam-users-mails"
    runner = json.loads(Path("ws/stacks/iam-users-runner.json").read_text())["Resources"]
    # a bucket that is there is not made, and the runner may write there
    assert "Output" not in runner
    assert "arn:aws:s3:::bucket-that-is-there/here/*" in json.dumps(runner["RunnerPolicy"])
    assert accounts()["vars"]["records"] == "s3://bucket-that-is-there/here/intents?region=eu-west-1"


def test_a_workspace_stays_of_its_organization(org: LocalOrg) -> None:
    init(*GIVEN)
    before = files()
    org.reset()
    assert "this workspace is of organization o-" in init("--yes", code=1).output
    assert files() == before


def test_who_is_not_of_the_management_account_is_refused(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = org.client("organizations")
    client.enable_aws_service_access(ServicePrincipal="sso.amazonaws.com")
    client.register_delegated_administrator(AccountId=FIRST, ServicePrincipal="sso.amazonaws.com")
    act_as(org, monkeypatch, f"arn:aws:iam::{FIRST}:role/CloudCustodian")
    printed = init(*GIVEN, code=1).output
    assert (
        f"is in account {FIRST}, and the management account is {MANAGEMENT}: init needs its credentials"
        in printed
    )


def test_no_organization_is_said(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organizations_backends[MANAGEMENT]["aws"], "org", None)
    printed = init(*GIVEN, code=1).output
    assert f"account {MANAGEMENT} is in no organization of AWS Organizations" in printed


def test_people_of_an_identity_provider_come_by_scim(org: LocalOrg) -> None:
    center = org.client("sso-admin", region_name="eu-central-1")
    (instance,) = center.list_instances()["Instances"]
    store = org.client("identitystore", region_name="eu-central-1")
    made = store.create_user(
        IdentityStoreId=instance["IdentityStoreId"],
        UserName="ada",
        DisplayName="Ada",
        Name={"GivenName": "Ada", "FamilyName": "L"},
    )
    directory = next(iter(store_of(org).users.values()))
    assert directory.id == made["UserId"]
    directory.external_ids.append({"Issuer": "https://scim.example.com", "Id": "1"})
    init(*GIVEN)
    assert "identity-source: external" in Path("ws/policies/provision-intents.yml").read_text()
    assert "your provider makes people by SCIM" in Path("ws/README.md").read_text()


def test_people_of_other_domains_get_nothing_and_a_bucket_has_its_region(org: LocalOrg) -> None:
    init(*GIVEN, "--email-domain", "example.com,example.org", "--output", "s3://bucket-that-is-there/here")
    (asks, _) = yaml.safe_load(Path("ws/policies/provision-intents.yml").read_text())["policies"]
    assert asks["actions"][0]["email-domains"] == ["example.com", "example.org"]
    settings = yaml.safe_load(Path("ws/iam-users.yml").read_text())
    assert settings["output"] == "s3://bucket-that-is-there/here?region=us-east-1"


def store_of(org: LocalOrg) -> Any:
    from aws_local_org.identity_center import state

    (instance,) = state.instances
    assert org.settings.identity_center_region == instance.region
    return instance.store


def test_without_identity_center_machines_alone_go(org: LocalOrg) -> None:
    from aws_local_org.identity_center.instance import remove_instance

    remove_instance()
    printed = init(*GIVEN).output
    assert "Identity Center: there is none" in printed
    names = {each.name for each in Path("ws/policies").iterdir()}
    assert not {"provision-intents.yml", "your-access.yml"} & names
    assert not Path("ws/stacks/iam-users-identity-center.json").exists()
    assert not read_settings(Path("ws/iam-users.yml").read_bytes()).provision
    texts = {name: Path("ws/policies", name).read_text() for name in names}
    assert not any("type: identity-center" in each for each in texts.values())
    assert (
        "--policies: people need IAM Identity Center" in init("--yes", "--policies", "people", code=1).output
    )


@pytest.mark.parametrize(
    ("chosen", "kinds", "left"),
    [
        ("machines", "[machine, no-credentials]", {"iam-users-delete", "iam-users-delete-told"}),
        ("people", "[human, mixed, unknown]", {"iam-users-delete-people", "iam-users-delete-told"}),
    ],
)
def test_people_or_machines_alone(org: LocalOrg, chosen: str, kinds: str, left: set[str]) -> None:
    init(*GIVEN, "--policies", chosen)
    for name in ("flag-and-notify", "remind"):
        assert f"kinds: {kinds}" in Path(f"ws/policies/{name}.yml").read_text()
    found = {each.name: each.data for each in loaded(Path("ws/policies/delete.yml"))}
    assert {*found} == left
    assert {*found["iam-users-delete-told"]["actions"][0]["of"]} == left - {"iam-users-delete-told"}


def test_a_brownout_is_announced_and_a_step_of_the_cycle(org: LocalOrg) -> None:
    init(*GIVEN, "--policies", "people,machines,brownout")
    (flag,) = loaded(Path("ws/policies/flag-and-notify.yml"))
    assert flag.data["actions"][0]["brownout-after"] == "{brownout_after_days}"
    steps = read_settings(Path("ws/iam-users.yml").read_bytes()).steps
    assert steps is not None
    assert steps[:4] == ("announce", "remind", "provision", "brownout")


@pytest.mark.parametrize(
    ("chosen", "kinds", "left"),
    [
        ("machines,keys", "[machine, no-credentials]", ["iam-keys-park", "iam-keys-retire"]),
        ("people,keys", "[human, mixed, unknown]", ["iam-keys-park-people", "iam-keys-retire-people"]),
    ],
)
def test_keys_are_those_of_the_chosen_users_and_a_step_of_the_cycle(
    org: LocalOrg, chosen: str, kinds: str, left: list[str]
) -> None:
    init(*GIVEN, "--policies", chosen)
    found = {each.name: each.data for each in loaded(Path("ws/policies/keys.yml"))}
    assert [*found] == ["iam-keys-announce", "iam-keys-remind", *left, "iam-keys-told"]
    for name in ("iam-keys-announce", "iam-keys-remind"):
        assert found[name]["filters"][0]["kinds"] == yaml.safe_load(kinds)
    assert found["iam-keys-told"]["actions"][0]["of"] == left
    steps = read_settings(Path("ws/iam-users.yml").read_bytes()).steps
    assert steps is not None
    assert ("keys" in steps, "brownout" in steps) == (True, False)


def test_the_page_has_each_question_and_option() -> None:
    page = (ROOT / "docs" / "init.md").read_text()
    assert re.findall(r"^\| `--(\S+)` \|", page, re.MULTILINE) == [
        *(each.name for each in QUESTIONS if not each.silent),
        *(each.name for each in QUESTIONS if each.silent),
    ]
    assert sum(not each.silent for each in QUESTIONS) == 8
    options = {option for parameter in command.params for option in parameter.opts}
    assert {*re.findall(r"`(--[a-z-]+)", page)} >= options - {"directory", "--yes"}
    (line,) = (each for each in commands_of("init") if each.startswith("c7n-iamusers"))
    assert command.make_context("init", shlex.split(line)[2:]).params["directory"] == Path("iam-users")


def test_calls_grow_with_pages_and_units_but_for_owners(org: LocalOrg) -> None:
    client = org.client("organizations")
    for number in range(45):
        client.create_account(AccountName=f"team-{number:02}", Email=f"team-{number:02}@example.com")
    org.clear_calls()
    init(*GIVEN)
    made = [each for each in org.calls if each.service in ("organizations", "account")]
    named = {"ListTagsForResource", "GetAlternateContact"}
    assert len([each for each in made if each.operation not in named]) < 12
    assert len([each for each in made if each.operation in named]) <= 2 * 49 + 2
    assert len(accounts()["accounts"]) == 49


def test_where_the_stacks_are_deployed_it_ends_with_preflight(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the README's commands deploy them; then each role is asked what it may do, under its own permissions."""
    init(*GIVEN, "--owner", f"{UNOWNED}=ada@example.com")
    deploy_as_the_readme_says(org)
    ran = list[tuple[int, str]]()

    def run(words: list[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """In this process what init runs as another one: its own command, with the credentials of the runner."""
        # python -c would import from the workspace, under an administrator's credentials
        assert words[0] == str(Path(sys.executable).with_name("c7n-iamusers"))
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            for name, value in env.items():
                patch.setenv(name, value)
            result = CliRunner().invoke(main, words[1:])
        assert isinstance(result.exception, SystemExit | None), result.exception
        ran.append((result.exit_code, result.output))
        return subprocess.CompletedProcess(words, result.exit_code)

    monkeypatch.setattr(subprocess, "run", run)
    # c7n-mailer renders each template, which takes seconds: tests/cli/test_mail_templates.py
    monkeypatch.setattr(mail_templates, "checks", lambda *_, **__: iter(()))
    # to look at are the name of an account, the exemption of nobody and SES, which can't be asked
    init("--yes", "--owner", f"{ODD}=ada@example.com")
    assert [code for code, _ in ran] == [3, 3, 0, 3, 0, 3], ran
    checked = (
        "  ok: policies, queue, notices, bucket, mailer permissions, identity center role, identity center, "
    )
    for _, told in (ran[0], ran[1], ran[3]):
        assert f"{checked}identity center permissions, " in told
    for _, told in ran:
        assert "problem" not in told
    # the address of the sender is in the role of c7n-mailer
    monkeypatch.setattr(subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, 0))
    printed = init("--yes", "--contact", "new@example.com").output
    assert printed.count("deploy again (") == printed.count("deploy again (runner's account)") == 1


def test_what_is_deployed_is_not_in_the_way_of_itself(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    init(*GIVEN)
    deploy(org, MANAGEMENT, "iam-users-runner", Path("ws/stacks/iam-users-runner.json").read_text(), {})
    printed = init("--yes").output
    assert "the role Runner is there" not in printed
    assert "next, in ws (roles for Identity Center)" in printed
    # whoever may not act as Runner is not told to make it anew
    deploy_as_the_readme_says(org, "iam-users-runner")
    become(org, monkeypatch)
    printed = init("--yes").output
    assert "look: all stacks are there, and not checked: the caller may not act as Runner" in printed


def deploy_as_the_readme_says(org: LocalOrg, *there: str) -> None:
    iam = org.client("iam")
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.detach_role_policy(RoleName="IdentityCenterProvisioner", PolicyArn=administrator)
    iam.delete_role(RoleName="IdentityCenterProvisioner")
    readme = Path("ws/README.md").read_text()
    for stack in re.findall(r"deploy --region us-east-1 --stack-name (\S+) ", readme):
        if stack in there:
            continue
        template = Path(f"ws/stacks/{stack}.json").read_text()
        deploy(org, MANAGEMENT, stack, template, {})
    (target,) = re.findall(r"OrganizationalUnitIds=(\S+) ", readme)
    members = {"StackSetName": "iam-users-members"}
    client = org.client("cloudformation")
    client.create_stack_set(
        **members,
        TemplateBody=Path("ws/stacks/iam-users-members.json").read_text(),
        PermissionModel="SERVICE_MANAGED",
        AutoDeployment={"Enabled": True, "RetainStacksOnAccountRemoval": False},
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    targets = {"OrganizationalUnitIds": [target]}
    client.create_stack_instances(**members, DeploymentTargets=targets, Regions=["us-east-1"])


PARTITIONS = [("us-gov-west-1", "aws-us-gov", "amazonaws.com"), ("cn-north-1", "aws-cn", "amazonaws.com.cn")]


@pytest.mark.whole
@pytest.mark.parametrize(("region", "partition", "host"), PARTITIONS)
def test_each_partition_has_its_own_names(
    no_local_org: None,
    served: LocalOrg,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    region: str,
    partition: str,
    host: str,
) -> None:
    served.stop()
    try:
        with LocalOrg(Settings(region=region)) as org:
            entered(org, tmp_path, monkeypatch)
            init(*GIVEN, "--policies", "people,machines,brownout,keys,real-time,real-time-deny")
            found = {name: content.decode() for name, content in files().items()}
    finally:
        served.start()
    written = "".join(text for name, text in found.items() if not name.startswith("policies/"))
    assert f"arn:{partition}:" in written
    assert "arn:aws:" not in written
    assert f"https://sqs.{region}.{host}/" in found["accounts.yml"]
    if partition == "aws-cn":  # which takes seconds
        lint(tmp_path)


def lint(directory: Path) -> None:
    """cfn-lint knows each resource, and how long a template may be is 51,200 bytes (CloudFormation quotas)."""
    templates = sorted((directory / "ws" / "stacks").iterdir())
    assert len(templates) == 4
    assert all(each.stat().st_size <= 51_200 for each in templates)
    done = subprocess.run(["cfn-lint", *templates], capture_output=True, text=True, env=with_own_commands())
    assert done.returncode == 0, done.stdout


def with_own_commands() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
