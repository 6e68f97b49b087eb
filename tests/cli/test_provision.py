# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg, scripted_events
from aws_local_org.identity_center import injected_faults
from aws_local_org.identity_center import instance as instances
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.applying.center_lock import LOCK
from c7n_iamusers.identity_center.output.aws_config import PROFILES, file_of
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers_cli.main import main
from c7n_iamusers_cli.provision.commands import provision as provisioning
from c7n_iamusers_cli.provision.options import SharedOption
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, READ_ONLY
from tests.derived import derived, holder
from tests.desired import ABLE, intents, made_for, person, user
from tests.identity_center.applying.test_feeding import of_provider
from tests.identity_center.buckets import BUCKET, URL, BucketRehearsal
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import (
    ADMIN,
    ALICE,
    EVERYTHING,
    READ_S3,
    assign,
    create_user,
    set_by_hand,
    user_id,
)

ROLE = "arn:aws:iam::123456789012:role/IdentityCenterProvisioner"
MEMBER_ROLE = "arn:aws:iam::{account_id}:role/CloudCustodian"


@pytest.fixture
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetRehearsal:
    """Intents of two accounts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    org.configure(assignment_seconds=0)
    found = FleetRehearsal(org, tmp_path / "output")
    found.leave(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "alice"))
    return found


#: The commands that read intents.
OF_INTENTS = ("plan", "apply", "prune", "audit", "export")


def provision(
    fleet: FleetRehearsal, command: str = "apply", *arguments: str | Path, role: str = ROLE
) -> Result:
    fleet.org.clear_calls()
    given: list[str | Path] = ["provision", command, "--region", "us-east-1", "--role", role]
    if command in (*OF_INTENTS, "sign-ins"):
        given += ["-s", fleet.output]
    if command in OF_INTENTS and "--member-role" not in arguments:
        given.append("--trust-intents")
    return CliRunner().invoke(main, [str(each) for each in (*given, *arguments)])


def test_plan_apply_nothing_left_and_undo(fleet: FleetRehearsal) -> None:
    planned = provision(fleet, "plan")
    assert planned.exit_code == 0, planned.output
    assert "  + user           alice@example.com <alice@example.com>" in planned.output
    assert fleet.mutations() == []
    applied = provision(fleet)
    assert applied.exit_code == 0, applied.output
    assert len(fleet.assigned()) == 2
    assert "Nothing to do." in provision(fleet).output
    (result,) = fleet.results()
    assert f"provision undo {result}" in applied.output
    left = provision(fleet, "undo", result)
    assert "give --member-role, or give --lock-out" in left.output
    assert len(fleet.assigned()) == 2
    for role, told in (
        (MEMBER_ROLE, "has been deleted"),
        (MEMBER_ROLE.replace("Cloud", "No"), "can't be read by"),
    ):
        left = provision(fleet, "undo", result, "--member-role", role)
        assert told in left.output
        assert len(fleet.assigned()) == 2
    undone = provision(fleet, "undo", result, "--lock-out")
    assert undone.exit_code == 0, undone.output
    assert (fleet.assigned(), fleet.usernames()) == (set(), set())


def test_the_same_over_a_bucket(fleet: FleetRehearsal, tmp_path: Path) -> None:
    bucket = BucketRehearsal(fleet.org, tmp_path)
    bucket.leave(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "alice"))
    planned = provision(fleet, "plan", "-s", f"{URL}?region=us-east-1")
    assert planned.exit_code == 0, planned.output
    assert fleet.mutations() == []
    applied = provision(fleet, "apply", "-s", URL)
    assert applied.exit_code == 0, applied.output
    assert len(fleet.assigned()) == 2
    assert fleet.results() == []
    result = applied.output.partition("provision undo ")[2].split()[0]
    assert result.startswith(f"{URL}/identity-center-runs/")
    assert "Nothing to do." in provision(fleet, "apply", "-s", URL).output
    undone = provision(fleet, "undo", f"{result}?kms-key=alias/k", "--lock-out")
    assert undone.exit_code == 0, undone.output
    assert (fleet.assigned(), fleet.usernames()) == (set(), set())
    head = bucket.s3.head_object(
        Bucket=BUCKET, Key=f"{result.split(BUCKET)[1][1:]}".replace("result", "undone")
    )
    assert head["SSEKMSKeyId"] == "alias/k"


def test_a_lock_that_was_left_in_the_bucket(fleet: FleetRehearsal, tmp_path: Path) -> None:
    bucket = BucketRehearsal(fleet.org, tmp_path)
    bucket.leave(intents(ACCOUNT, "alice"))
    bucket.store.create("identity-center-runs/.lock", b'{"id": "ab12"}')
    refused = provision(fleet, "apply", "-s", URL)
    assert refused.exit_code == 1
    assert f"c7n-iamusers provision unlock ab12 --records {URL}" in refused.output
    other = provision(fleet, "unlock", "cd34", "--records", URL)
    assert (other.exit_code, "does not have the id cd34" in other.output) == (1, True)
    removed = provision(fleet, "unlock", "ab12", "--records", URL)
    assert removed.exit_code == 0, removed.output
    assert fleet.mutations() == []
    assert provision(fleet, "apply", "-s", URL).exit_code == 0


def test_records_apart_from_intents(fleet: FleetRehearsal, tmp_path: Path) -> None:
    bucket, place = BucketRehearsal(fleet.org, tmp_path), f"s3://{BUCKET}/records"
    bucket.leave(intents(ACCOUNT, "alice"))
    applied = provision(fleet, "apply", "-s", URL, "--records", place)
    assert applied.exit_code == 0, applied.output
    assert f"To undo: provision undo {place}/identity-center-runs/" in applied.output
    assert bucket.objects("result.json") == []
    # over other intents, with the same records
    assert "Nothing to do" not in provision(fleet, "apply", "--records", place).output
    for command in ("apply", "plan", "audit"):
        missing = provision(fleet, command)
        assert (missing.exit_code, "has no record of a run" in missing.output) == (1, True)
        assert fleet.mutations() == []
    assert provision(fleet, "apply", "--new-records").exit_code == 0
    bucket.s3.put_object(Bucket=BUCKET, Key="records/identity-center-runs/.lock", Body=b'{"id": "ab12"}')
    refused = provision(fleet, "apply", "--records", place)
    assert f"c7n-iamusers provision unlock ab12 --records {place}" in refused.output
    removed = provision(fleet, "unlock", "ab12", "--records", place)
    assert removed.exit_code == 0, removed.output


@pytest.mark.parametrize(
    ("command", "option"),
    [
        *((command, option) for command in OF_INTENTS[:-1] for option in ("-s", "--records")),
        *((command, "--deletions") for command in ("plan", "prune", "audit")),
        ("sign-ins --days 30", "-s"),
        ("unlock ab12", "--records"),
    ],
)
def test_a_mistyped_directory_is_refused_before_any_call(
    fleet: FleetRehearsal, tmp_path: Path, command: str, option: str
) -> None:
    wrong = provision(fleet, *command.split(), option, tmp_path / "mistyped")
    assert (wrong.exit_code, "does not exist" in wrong.output) == (2, True)
    assert fleet.org.calls == []
    assert not (tmp_path / "mistyped").exists()


def test_a_lock_that_was_left_in_identity_center(fleet: FleetRehearsal) -> None:
    missing = provision(fleet, "unlock", "ab12", "--records", fleet.output)
    assert (missing.exit_code, "there is no lock in Identity Center" in missing.output) == (1, True)
    text = '{"id": "ab12", "user": "root", "host": "h", "process": 1, "since": "now", "output": "/out"}'
    fleet.org.client("sso-admin").create_permission_set(
        InstanceArn=fleet.instance.arn, Name=LOCK, Description=text
    )
    refused = provision(fleet)
    assert refused.exit_code == 1
    assert f"c7n-iamusers provision unlock ab12 --records {fleet.output}" in refused.output
    other = provision(fleet, "unlock", "cd34", "--records", fleet.output)
    assert (other.exit_code, "does not have the id cd34" in other.output) == (1, True)
    removed = provision(fleet, "unlock", "ab12", "--records", fleet.output)
    assert (removed.exit_code, removed.output.count("Removed the lock in Identity Center")) == (0, 1)
    assert provision(fleet).exit_code == 0
    assert LOCK not in {each.name for each in fleet.instance.permission_sets.values()}


def test_an_audit_ends_with_1_where_it_is_no_clean_bill(fleet: FleetRehearsal) -> None:
    assert provision(fleet).exit_code == 0
    clean = provision(fleet, "audit")
    assert (clean.exit_code, "failed:" in clean.output) == (0, False), clean.output
    # the accounts have no such IAM users, and, by the other role, can't be read
    for role, told in (
        (MEMBER_ROLE, "no longer exists"),
        (MEMBER_ROLE.replace("Cloud", "No"), "can't be read"),
    ):
        found = provision(fleet, "audit", "--member-role", role)
        assert found.exit_code == 1, found.output
        assert f"failed: user alice of account {ACCOUNT}: " in found.output
        assert told in found.output
        # Her access is former, and no choice ends it before she is judged.
        assert f"failed: alice@example.com in account {ACCOUNT}" not in found.output
        assert "until then no option removes it" in found.output
    assert fleet.mutations() == []


def test_an_audit_of_old_intents_ends_with_1(fleet: FleetRehearsal) -> None:
    old = datetime.now(timezone.utc) - timedelta(days=2)
    fleet.leave(replace(intents(ACCOUNT, "alice"), time=old))
    found = provision(fleet, "audit")
    assert (found.exit_code, "run the policies again" in found.output) == (1, True)


@pytest.mark.parametrize(
    "arguments", [["apply", "-s", "s3://missing/here"], ["undo", "s3://missing/result.json"]]
)
def test_a_bucket_that_can_not_be_read(fleet: FleetRehearsal, arguments: list[str]) -> None:
    found = provision(fleet, *arguments)
    assert found.exit_code == 1
    assert "NoSuchBucket" in found.output
    assert isinstance(found.exception, SystemExit)


@pytest.fixture
def without_nohup() -> Iterator[None]:
    """A hangup ends the command, although these tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("without_nohup")
@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM], [signal.SIGHUP]])
def test_a_signal_leaves_no_lock(
    fleet: FleetRehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: list[signal.Signals]
) -> None:
    bucket = BucketRehearsal(fleet.org, tmp_path)
    bucket.leave(intents(ACCOUNT, "alice"))
    seen: list[list[str]] = []

    def stop() -> None:
        seen.append(bucket.objects(".lock"))
        for each in signals:
            signal.raise_signal(each)

    # where the main thread notes how far it has come
    monkeypatch.setattr("c7n_iamusers.identity_center.writer.writer.SingleWriter._note", lambda *_: stop())
    found = provision(fleet, "apply", "-s", URL)
    assert found.exit_code == 128 + signals[0]
    assert seen[0] == ["identity-center-runs/.lock"]
    assert bucket.objects(".lock") == []


def test_the_role_is_assumed(fleet: FleetRehearsal) -> None:
    provision(fleet, "plan")
    # Once, for the organization's policies and for Identity Center.
    assumed = [call.parameters["RoleArn"] for call in fleet.org.calls if call.operation == "AssumeRole"]
    assert assumed == [ROLE]


def test_no_bar_and_no_colour_where_there_is_no_terminal(fleet: FleetRehearsal) -> None:
    assert "\x1b" not in provision(fleet).output


def test_failures_are_told_and_end_the_command_with_1(fleet: FleetRehearsal) -> None:
    injected_faults.fail_next_assignment("The role quota of the account is exceeded")
    found = provision(fleet)
    assert found.exit_code == 1
    assert "failed: user alice of account" in found.output
    assert "The role quota of the account is exceeded" in found.output
    assert provision(fleet).exit_code == 0


def test_refusals_are_named_and_end_the_command_with_1(fleet: FleetRehearsal) -> None:
    robot = (user(ACCOUNT, "robot", None, "no email: tag the user"),)
    fleet.leave(intents(ACCOUNT, set_name="Robots", users=robot))
    found = provision(fleet)
    assert found.exit_code == 1
    assert f"! refused        user robot of account {ACCOUNT}: no email: tag the user" in found.output
    assert len(fleet.assigned()) == 2


def test_deletions_of_a_place_without_outcomes(fleet: FleetRehearsal, tmp_path: Path) -> None:
    former = ("--former", "30", "--member-role", "arn:aws:iam::{account_id}:role/R", "--deletions")
    refused = provision(fleet, "prune", *former, str(tmp_path))
    assert refused.exit_code != 0
    assert f"--deletions: {tmp_path} has no outcomes.json" in refused.output
    assert fleet.mutations() == []
    assert "Plan:" in provision(fleet, "plan", *former, "none").output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            ["--identity-source", "external"], "not external: correct the one", id="identity-source"
        ),
        pytest.param(["--region", "eu-west-1"], "it is in us-east-1, so set region: us-east-1", id="region"),
    ],
)
def test_an_identity_center_that_is_another(fleet: FleetRehearsal, arguments: list[str], told: str) -> None:
    found = provision(fleet, "apply", *arguments)
    assert found.exit_code == 1
    assert told in found.output
    assert fleet.mutations() == []


def test_a_role_that_can_not_be_assumed(fleet: FleetRehearsal) -> None:
    found = provision(fleet, role="arn:aws:iam::123456789012:role/Missing")
    assert found.exit_code == 1
    assert "AccessDenied" in found.output
    assert isinstance(found.exception, SystemExit)


def test_permission_sets_that_are_switched_off(fleet: FleetRehearsal) -> None:
    instances.remove_instance()
    instances.add_instance("123456789012", "us-east-1", permission_sets_enabled=False)
    found = provision(fleet)
    assert found.exit_code == 1
    assert "has permission sets disabled, and enabling them can't be undone" in found.output


def test_a_delegated_administrator_and_the_management_account(fleet: FleetRehearsal) -> None:
    fleet.leave(intents("123456789012", "root-user"))
    organizations = fleet.org.client("organizations")
    organizations.register_delegated_administrator(AccountId=ACCOUNT, ServicePrincipal="sso.amazonaws.com")
    found = provision(fleet, role=f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian")
    assert found.exit_code == 1
    assert "delegated administrator" in found.output
    assert {account for account, _, _ in fleet.assigned()} == {ACCOUNT, OTHER_ACCOUNT}


def test_no_output_directory(fleet: FleetRehearsal) -> None:
    for command in (*OF_INTENTS, "sign-ins"):
        given = {"export": ["terraform", "tf"], "sign-ins": ["--days", "1"]}.get(command, [])
        found = CliRunner().invoke(main, ["provision", command, *given])
        assert (found.exit_code, "Missing option '-s'" in found.output) == (2, True), found.output
    assert fleet.org.calls == []


def test_without_a_command_it_says_which_there_are(fleet: FleetRehearsal) -> None:
    found = CliRunner().invoke(main, ["provision"])
    assert found.exit_code == 2
    assert all(f"\n  {each}  " in found.stderr for each in provisioning.commands)
    assert fleet.org.calls == []


@pytest.mark.parametrize("name", sorted(provisioning.commands))
def test_a_command_has_a_dozen_options_of_its_own_at_most(name: str) -> None:
    command = provisioning.commands[name]
    own = [each for each in command.params if not isinstance(each, SharedOption)]
    assert len(own) <= 12
    shown = CliRunner().invoke(main, ["provision", name, "--help"]).stdout
    assert all(each.opts[0] in shown for each in command.params if isinstance(each, click.Option))


def test_export_calls_nobody(fleet: FleetRehearsal, tmp_path: Path) -> None:
    found = provision(fleet, "export", "terraform", tmp_path / "tf")
    assert found.exit_code == 0, found.output
    assert fleet.org.calls == []
    configuration = json.loads((tmp_path / "tf" / "identity-center.tf.json").read_text())
    assert len(configuration["resource"]["aws_ssoadmin_account_assignment"]) == 2
    first = (tmp_path / "tf" / "identity-center.tf.json").read_bytes()
    provision(fleet, "export", "terraform", tmp_path / "tf")
    assert (tmp_path / "tf" / "identity-center.tf.json").read_bytes() == first


def confirming(tmp_path: Path) -> tuple[str | Path, ...]:
    """The options by which users are read again and the settings of ``intents`` held against their policy."""
    wanted = {"name": "Readers", "description": "Reads", "managed-policies": [READ_ONLY]}
    action = {
        "type": "provision-identity-center",
        "mode": "intent",
        "identity-source": "identity-center",
        "user": {"username": "tag:Email", "email": "tag:Email"},
        "group": "iam-{account_id}-Readers",
        "permission-set": wanted,
    }
    policy = {"name": "provision-Readers", "resource": "aws.iam-user", "actions": [action]}
    path = tmp_path / "policies.json"
    path.write_text(json.dumps({"policies": [policy]}))
    return "--member-role", MEMBER_ROLE, "-u", path


def test_a_user_of_nobody_is_refused_and_another_served(org: LocalOrg, tmp_path: Path) -> None:
    org.configure(assignment_seconds=0)
    fleet = FleetRehearsal(org, tmp_path / "output")
    asked = intents(ACCOUNT, "alice", "mallory")
    alice = made_for(asked.users[0], org.client("iam", ACCOUNT), Email="alice@example.com")
    fleet.leave(replace(asked, users=(alice, asked.users[1])))
    found = provision(fleet, "apply", *confirming(tmp_path))
    assert found.exit_code == 1
    assert "user mallory of account" in found.output
    assert "no longer exists" in found.output
    assert fleet.usernames() == {"alice@example.com"}


def claimed_by_a_file(org: LocalOrg, fleet: FleetRehearsal, name: str, **tags: str) -> None:
    """An IAM user of whom the intents say that a file names mallory as its person."""
    asked = intents(ACCOUNT, name)
    mallory = replace(
        made_for(asked.users[0], org.client("iam", ACCOUNT), **tags),
        person=person("mallory"),
        rests_on="people.csv, line 2",
        on_file=True,
    )
    fleet.leave(replace(asked, users=(mallory,)))


def test_a_person_whom_intents_alone_name_gets_nothing(org: LocalOrg, tmp_path: Path) -> None:
    org.configure(assignment_seconds=0)
    fleet = FleetRehearsal(org, tmp_path / "output")
    claimed_by_a_file(org, fleet, "alice", Email="alice@example.com")
    found = provision(fleet, "apply", *confirming(tmp_path))
    assert found.exit_code == 1
    assert f"user alice of account {ACCOUNT}: is mallory@example.com only by the intents" in found.output
    assert fleet.mutations() == []


def test_the_people_of_the_file_get_it_whatever_intents_say(org: LocalOrg, tmp_path: Path) -> None:
    org.configure(assignment_seconds=0)
    fleet = FleetRehearsal(org, tmp_path / "output")
    claimed_by_a_file(org, fleet, "alice")
    people = tmp_path / "people.csv"
    people.write_text(f"account,user,email\n{ACCOUNT},alice,alice@example.com\n{ACCOUNT},bob,\n")
    given = (*confirming(tmp_path), "--people-from", people)
    refused = provision(fleet, "apply", *given, "--email-domain", "example.org")
    assert "e-mail 'alice@example.com' has the domain example.com" in refused.output
    found = provision(fleet, "apply", *given, "--email-domain", "example.com")
    assert found.exit_code == 0, found.output
    assert "people.csv, line 3: has no email" in found.output
    assert fleet.usernames() == {"alice@example.com"}


def test_a_file_of_people_that_is_none(fleet: FleetRehearsal, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("name\nalice\n")
    found = provision(fleet, "apply", "--people-from", people)
    assert found.exit_code == 1
    assert "lacks 'account', 'user', 'email'" in found.output
    assert fleet.mutations() == []


def test_the_tag_that_holds_e_mails_is_this_sides_to_say(org: LocalOrg, tmp_path: Path) -> None:
    org.configure(assignment_seconds=0)
    fleet = FleetRehearsal(org, tmp_path / "output")
    claimed_by_a_file(org, fleet, "alice", Owner="mallory@example.com")
    assert provision(fleet, "apply", *confirming(tmp_path)).exit_code == 1
    assert provision(fleet, "apply", *confirming(tmp_path), "--email-tag", "Owner").exit_code == 0


def test_permissions_that_a_user_was_stripped_of_since_are_not_granted(org: LocalOrg, tmp_path: Path) -> None:
    org.configure(assignment_seconds=0)
    fleet = FleetRehearsal(org, tmp_path / "output")
    iam = org.client("iam", ACCOUNT)
    made = iam.create_user(UserName="alice", Tags=[{"Key": "Email", "Value": "alice@example.com"}])["User"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [everything]}
    detail = {
        "UserName": "alice",
        "UserId": made["UserId"],
        "Arn": made["Arn"],
        "UserPolicyList": [{"PolicyName": "All", "PolicyDocument": document}],
    }
    asked = intents(ACCOUNT, "alice", permission_set=None, group="", derive={})
    iam.create_access_key(UserName="alice")
    subject = Subject("alice", made["Arn"], made["UserId"])
    fleet.leave(replace(asked, users=(replace(asked.users[0], subject=subject, detail=detail),)))
    found = provision(fleet, "apply", "--member-role", MEMBER_ROLE)
    assert found.exit_code == 1, found.output
    assert (
        "failed: all 1 IAM users of this run are refused, and nobody gets access (1 NotDerived)"
        in found.output
    )
    assert "has no policies, so a permission set would grant nothing" in found.output
    assert not fleet.instance.permission_sets


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param([], "users and policies of intents are read again", id="nobody-is-asked"),
        pytest.param(["--member-role", "CloudCustodian"], "is not the ARN of a role in each", id="no-role"),
        pytest.param(
            ["--trust-intents", "--max-age", "soon"], "'soon' is not an age such as 90m", id="no-age"
        ),
    ],
)
def test_what_intents_are_not_taken_by(fleet: FleetRehearsal, arguments: list[str], told: str) -> None:
    given = [
        "provision",
        "apply",
        "-s",
        str(fleet.output),
        "--region",
        "us-east-1",
        "--role",
        ROLE,
        *arguments,
    ]
    found = CliRunner().invoke(main, given)
    assert found.exit_code != 0
    assert told in found.output
    assert fleet.mutations() == []


def test_old_intents_are_refused_unless_somebody_says_otherwise(fleet: FleetRehearsal) -> None:
    yesterday = datetime.now(timezone.utc) - timedelta(hours=30)
    fleet.leave(intents(ACCOUNT, "alice", time=yesterday))
    found = provision(fleet)
    assert found.exit_code == 1
    assert "run the policies again, or give a longer --max-age" in found.output
    assert provision(fleet, "apply", "--max-age", "2d").exit_code == 0


def test_the_accounts_file_tells_whose_directory_it_is(fleet: FleetRehearsal, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.yml"
    rows = [
        {"name": ACCOUNT, "account_id": OTHER_ACCOUNT},
        {"name": OTHER_ACCOUNT, "account_id": OTHER_ACCOUNT},
    ]
    accounts.write_text(json.dumps({"accounts": rows}))
    found = provision(fleet, "apply", "--accounts", accounts)
    assert found.exit_code == 1
    assert f"claims to be of account {ACCOUNT}, not that of {ACCOUNT}" in found.output
    accounts.write_text("accounts: 1")
    assert (
        "can't be read as c7n-org's accounts file" in provision(fleet, "apply", "--accounts", accounts).output
    )
    accounts.write_text("[" * 5_000)
    deep = provision(fleet, "apply", "--accounts", accounts)
    assert "can't be read as c7n-org's accounts file: line 1: is nested too deeply" in deep.output


PART = ("-c", "FILE", "-t", "wave:1")


def waves(tmp_path: Path) -> Path:
    """An accounts file with a tag for each account."""
    path = tmp_path / "accounts.yml"
    rows = [
        {"name": each, "account_id": each, "role": f"arn:aws:iam::{each}:role/CloudCustodian", "tags": [tag]}
        for each, tag in ((ACCOUNT, "wave:1"), (OTHER_ACCOUNT, "wave:2"))
    ]
    path.write_text(json.dumps({"accounts": rows}))
    return path


def test_a_later_wave_does_not_need_the_intents_of_the_one_before(
    fleet: FleetRehearsal, tmp_path: Path
) -> None:
    accounts = waves(tmp_path)
    assert provision(fleet, "apply", "-c", accounts, "-a", ACCOUNT).exit_code == 0
    assert {account for account, _, _ in fleet.assigned()} == {ACCOUNT}
    old = datetime.now(timezone.utc) - timedelta(days=9)
    fleet.leave(replace(intents(ACCOUNT, "alice"), time=old))
    assert provision(fleet, "apply", "-c", accounts).exit_code == 1
    found = provision(fleet, "apply", "-c", accounts, "-t", "wave:2")
    assert found.exit_code == 0, found.output
    assert {account for account, _, _ in fleet.assigned()} == {ACCOUNT, OTHER_ACCOUNT}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["apply", "-t", "wave:1"], "give it as -c", id="without-accounts"),
        *(
            pytest.param([command, *PART, "--former", "30"], "it is for all accounts", id=f"former-{command}")
            for command in ("plan", "prune")
        ),
        pytest.param(["apply", *PART, "--aws-config"], "it is for all accounts", id="aws-config"),
        *(
            pytest.param([command, *PART], "No such option '-t'", id=command.split()[0])
            for command in ("audit", "export terraform tf")
        ),
        pytest.param(
            ["apply", "-c", "FILE", "-t", "wave:3"], "has the tag wave:3: correct -a and -t", id="no-account"
        ),
        pytest.param(
            ["apply", "-c", "FILE", "-a", "idle"],
            "none of the 2 identity-center-intents.json below",
            id="no-intents",
        ),
    ],
)
def test_accounts_that_can_not_be_chosen(
    fleet: FleetRehearsal, tmp_path: Path, arguments: list[str], told: str
) -> None:
    path = waves(tmp_path)
    idle = {"name": "idle", "account_id": "333333333333", "role": "arn:aws:iam::333333333333:role/R"}
    path.write_text(json.dumps({"accounts": [*json.loads(path.read_text())["accounts"], idle]}))
    given = (path if each == "FILE" else each for each in arguments[1:])
    found = provision(fleet, *arguments[0].split(), *given)
    assert found.exit_code in (1, 2)
    assert told in found.output
    assert fleet.mutations() == []


def test_an_export_to_what_is_no_directory(fleet: FleetRehearsal) -> None:
    found = provision(fleet, "export", "terraform", "/dev/null")
    assert found.exit_code == 1
    assert "the Terraform configuration can't be written to /dev/null: " in found.output
    assert isinstance(found.exception, SystemExit)


def test_people_of_a_file_that_would_never_end(fleet: FleetRehearsal, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "people.csv")
    found = provision(fleet, "apply", "--people-from", tmp_path / "people.csv")
    assert found.exit_code == 1
    assert "--people-from can't be read: " in found.output
    assert "people.csv is a FIFO, not a file: give" in found.output


def test_a_session_tag_is_asked_for_where_a_policy_names_one(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice", permission_set=None, group="", derive={"username-tag": "UserName"}))
    found = provision(fleet, "plan")
    assert "username-tag UserName: Identity Center has no attribute" in found.output
    asked = {call.operation for call in fleet.org.calls}
    assert "DescribeInstanceAccessControlAttributeConfiguration" in asked


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param("plan --out none/of/x", "there is no directory none/of", id="out-in-no-directory"),
        pytest.param(f"export terraform {__file__}", "is a file", id="export-to-a-file"),
        pytest.param("export cloudformation tf", "is not 'terraform'", id="export-as-something-else"),
        *(
            pytest.param(f"{command} {options}", told, id=f"{name}-{command}")
            for command in ("plan", "prune")
            for options, told, name in (
                (
                    f"--former 30 --member-role {MEMBER_ROLE}",
                    "--former needs --deletions DIR",
                    "no-deletions",
                ),
                ("--former 30 --deletions none", "--former needs --member-role", "no-member-role"),
                (
                    f"--former 30 --lock-out --deletions none --member-role {MEMBER_ROLE}",
                    "give --unrequested too",
                    "lock-out-of-nobody",
                ),
            )
        ),
        pytest.param("prune", "say what to remove: --unrequested for", id="prune-of-nothing"),
        pytest.param(
            "apply --plan-sha256 ab", "--plan and --plan-sha256 must be used together", id="digest-alone"
        ),
        pytest.param(
            f"prune --unrequested --plan {__file__}", "--plan and --plan-sha256 must be", id="plan-alone"
        ),
        pytest.param("apply --quota users=3", "'users=3' is not a quota", id="quota"),
        pytest.param("plan --quota permission-sets=many", "is not a quota", id="quota-without-number"),
        pytest.param("unlock ab12", "Missing option '--records'", id="lock-of-nowhere"),
        pytest.param("sign-ins", "Missing option '--days'", id="sign-ins-of-no-days"),
        pytest.param("sign-ins --days 91", "is not in the range", id="sign-ins-of-too-long"),
    ],
)
def test_options_that_are_missing_or_wrong(fleet: FleetRehearsal, arguments: str, told: str) -> None:
    found = provision(fleet, *arguments.split())
    assert (found.exit_code, told in " ".join(found.output.split())) == (2, True), found.output
    assert fleet.org.calls == []


def test_a_plan_is_written_reviewed_and_applied(fleet: FleetRehearsal, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    written = provision(fleet, "plan", "--out", path)
    assert f"To apply it, with the same other options: provision apply --plan {path} " in written.output
    digest = written.output.partition("--plan-sha256 ")[2].split()[0]
    refused = provision(fleet, "apply", "--plan", path, "--plan-sha256", "0" * 64)
    assert refused.exit_code == 1
    assert "it was changed since the review" in refused.output
    assert provision(fleet, "apply", "--plan", path, "--plan-sha256", digest).exit_code == 0
    assert len(fleet.assigned()) == 2


def test_a_reviewed_plan_that_removes_is_applied_by_prune(fleet: FleetRehearsal, tmp_path: Path) -> None:
    assert provision(fleet).exit_code == 0
    fleet.forget()
    fleet.leave(intents(ACCOUNT, "alice"), intents(OTHER_ACCOUNT, "bob"))
    path = tmp_path / "plan.json"
    written = provision(fleet, "plan", "--unrequested", "--lock-out", "--out", path)
    assert f"provision prune --unrequested --lock-out --plan {path} --plan-sha256 " in written.output
    assert fleet.mutations() == []
    given = ("--plan", path, "--plan-sha256", written.output.partition("--plan-sha256 ")[2].split()[0])
    for command in (("apply",), ("prune", "--unrequested")):
        other = provision(fleet, *command, *given)
        assert (other.exit_code, "give the same options and role" in other.output) == (1, True), other.output
    assert fleet.mutations() == []
    pruned = provision(fleet, "prune", "--unrequested", "--lock-out", *given)
    assert pruned.exit_code == 0, pruned.output
    assert sorted(map(sorted, fleet.members().values())) == [["alice@example.com"], ["bob@example.com"]]


def test_a_result_that_can_not_be_replaced(fleet: FleetRehearsal, tmp_path: Path) -> None:
    """Nothing is applied before it is known that the result can be written."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = fleet.output / ACCOUNT / "us-east-1" / "provision-Readers" / "identity-center-result.json"
    link.symlink_to(victim)
    found = provision(fleet)
    assert (found.exit_code, "symbolic link" in found.output) == (1, True)
    assert fleet.mutations() == []
    assert victim.read_text() == "precious"


def test_a_result_that_can_not_be_written_in_the_end(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("c7n_iamusers.identity_center.applying.run_results.write_account_results", fail)
    found = provision(fleet)
    (result,) = fleet.results()
    assert (found.exit_code, f"To undo: provision undo {result}" in found.output) == (1, True)
    assert "No space left on device" in found.output


def test_an_audit_changes_nothing(fleet: FleetRehearsal) -> None:
    provision(fleet)
    found = provision(fleet, "audit")
    assert found.exit_code == 0, found.output
    assert "Audit: 2 accounts, 2 people and accounts; 0 wider" in found.output
    assert fleet.mutations() == []


def test_an_export_with_imports_of_what_exists(fleet: FleetRehearsal, tmp_path: Path) -> None:
    provision(fleet)
    found = provision(fleet, "export", "terraform", tmp_path / "tf", "--with-imports")
    assert found.exit_code == 0, found.output
    configuration = json.loads((tmp_path / "tf" / "identity-center.tf.json").read_text())
    resources = sum(len(each) for each in configuration["resource"].values())
    assert len(configuration["import"]) == resources


def test_who_signed_in_is_written_beside_the_results(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("c7n_iamusers.identity_center.aws.sign_in_events.PER_SECOND", 1000)
    assert provision(fleet).exit_code == 0
    signed = scripted_events.sign_in(fleet.org, "alice@example.com", ACCOUNT, "Readers")
    found = provision(fleet, "sign-ins", "--days", "30")
    assert found.exit_code == 0, found.output
    assert f"{fleet.output}/sign-ins.json: 1 people have signed in to 1 accounts" in found.output
    assert fleet.mutations() == []
    data = json.loads((fleet.output / "sign-ins.json").read_text())
    assert [(each["user_id"], each["account_id"]) for each in data["sign_ins"]] == [
        (signed["userId"], ACCOUNT)
    ]
    scripted_events.sign_in(
        fleet.org, "alice@example.com", OTHER_ACCOUNT, "Readers", event_name="GetRoleCredentials"
    )
    assert "1 people have signed in to 2 accounts" in provision(fleet, "sign-ins", "--days", "30").output
    (fleet.output / "sign-ins.json").write_text("{")
    refused = provision(fleet, "sign-ins", "--days", "30")
    assert (refused.exit_code, "write it again" in refused.output) == (1, True)


def test_a_run_leaves_what_each_person_pastes(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice", "bob"))
    directory = fleet.output / PROFILES
    assert provision(fleet, "plan").exit_code == 0
    assert not directory.exists()
    found = provision(fleet, "apply", "--aws-config")
    assert found.exit_code == 0, found.output
    assert f"Profiles for ~/.aws/config: 2 files in {directory}" in found.output
    file = directory / file_of("alice@example.com", "alice@example.com")
    text = file.read_text()
    assert (f"[profile {ACCOUNT}-Readers]" in text, f"[profile {OTHER_ACCOUNT}-Readers]" in text) == (
        True,
        True,
    )
    before = file.stat().st_mtime_ns
    assert "2 files" in provision(fleet, "apply", "--aws-config").output
    assert file.stat().st_mtime_ns == before
    assert provision(fleet, "apply", "--aws-config", "{permission_set}.{account_id}").exit_code == 0
    assert f"[profile Readers.{ACCOUNT}]" in file.read_text()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        pytest.param(
            ["apply", "--aws-config", "{account}"], "is not a template of profile names", id="template"
        ),
        pytest.param(
            ["apply", "--aws-config", "-c", __file__, "-a", "x"],
            "--aws-config can't be limited by -a or -t",
            id="part",
        ),
        pytest.param(["plan", "--aws-config"], "No such option '--aws-config'", id="plan"),
        pytest.param(["audit", "--aws-config"], "No such option '--aws-config'", id="audit"),
    ],
)
def test_when_profiles_are_not_written(fleet: FleetRehearsal, arguments: list[str], fault: str) -> None:
    found = provision(fleet, *arguments)
    assert (found.exit_code, fault in " ".join(found.output.split())) == (2, True), found.output


def test_people_who_may_be_one_are_hinted_at(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice", "alice+aws"))
    found = provision(fleet, "plan")
    assert "? hint           alice+aws@example.com and alice@example.com may be one human's" in found.output


UNABLE = replace(ABLE, kinds=())
AS_IT_IS = holder(ACCOUNT, "alice", READ_S3)
ACCEPTED = {"account": "*", "user": "*", "verdict": "wider", "remark": "SEC-1", "expires": "2099-01-01"}


@pytest.mark.parametrize(
    ("found", "by_hand", "code"),
    [
        pytest.param(derived(ACCOUNT, AS_IT_IS), "", 0, id="as-requested"),
        pytest.param(derived(ACCOUNT, AS_IT_IS), ADMIN, 1, id="more-by-others"),
        pytest.param(
            derived(ACCOUNT, holder(ACCOUNT, "alice", EVERYTHING)), ADMIN, 0, id="as-much-by-others"
        ),
        pytest.param(intents(ACCOUNT, "alice", accept=(ACCEPTED,)), "", 0, id="accepted"),
        pytest.param(
            derived(ACCOUNT, AS_IT_IS, replace(holder(ACCOUNT, "bob", READ_S3), credentials=UNABLE)),
            "",
            0,
            id="decision",
        ),
        pytest.param(derived(ACCOUNT, replace(AS_IT_IS, credentials=UNABLE)), "", 1, id="decision-on-all"),
        pytest.param(derived(ACCOUNT, replace(AS_IT_IS, credentials=None)), "", 1, id="evidence-is-missing"),
    ],
)
def test_a_plan_ends_as_its_runs_do(fleet: FleetRehearsal, found: Intents, by_hand: str, code: int) -> None:
    """See docs/exit-codes.md."""
    fleet.forget()
    fleet.leave(found)
    if by_hand:
        create_user(fleet, ALICE)
        assign(fleet, set_by_hand(fleet, "Theirs", by_hand), user_id(fleet, ALICE), ACCOUNT)
    for command in ("plan", "apply", "apply"):
        ended = provision(fleet, command)
        assert (ended.exit_code, "failed: " in ended.output) == (code, code == 1), ended.output


TEAM = person("team")


def before(fleet: FleetRehearsal, *users: UserIntent) -> None:
    """What an earlier run has given."""
    fleet.leave(derived(ACCOUNT, *users))
    assert provision(fleet).exit_code == 0
    fleet.forget()


def one_address(fleet: FleetRehearsal) -> None:
    before(fleet, holder(ACCOUNT, "alice.admin", EVERYTHING, who=TEAM))
    fleet.leave(derived(ACCOUNT, holder(ACCOUNT, "bob.readonly", READ_S3, who=TEAM)))


def fed_by_others(fleet: FleetRehearsal) -> None:
    of_provider(fleet, "zoe@example.com")
    fleet.leave(derived(ACCOUNT, AS_IT_IS))


def more_by_others(fleet: FleetRehearsal) -> None:
    create_user(fleet, ALICE)
    assign(fleet, set_by_hand(fleet, "Theirs", ADMIN), user_id(fleet, ALICE), ACCOUNT)
    fleet.leave(derived(ACCOUNT, AS_IT_IS))


@pytest.mark.parametrize(
    ("leave", "options", "told", "owned"),
    [
        pytest.param(lambda fleet: fleet.leave(derived(ACCOUNT, AS_IT_IS)), (), "", 1, id="as-requested"),
        pytest.param(one_address, (), "user bob.readonly of account", 0, id="one-address-two-users"),
        pytest.param(fed_by_others, (), "an identity provider", None, id="fed-by-a-provider"),
        pytest.param(
            lambda fleet: fleet.leave(derived(ACCOUNT, AS_IT_IS)),
            ("--quota", "permission-sets=0"),
            "quota",
            None,
            id="over-a-quota",
        ),
        pytest.param(more_by_others, (), "Theirs through a direct assignment", 1, id="holds-more"),
        pytest.param(
            lambda fleet: fleet.leave(derived(ACCOUNT, replace(AS_IT_IS, credentials=None))),
            (),
            "user alice of account",
            0,
            id="evidence-is-missing",
        ),
    ],
)
def test_an_export_is_checked_as_a_plan_is(
    fleet: FleetRehearsal,
    tmp_path: Path,
    leave: Callable[[FleetRehearsal], None],
    options: tuple[str, ...],
    told: str,
    owned: int | None,
) -> None:
    """``owned``: memberships in the configuration; None if none is written."""
    fleet.forget()
    leave(fleet)
    planned = provision(fleet, "plan", *options)
    exported = provision(fleet, "export", "terraform", tmp_path / "tf", "--with-imports", *options)
    for found in (planned, exported):
        assert (found.exit_code, told in found.output) == (1 if told else 0, True), found.output
    written = tmp_path / "tf" / "identity-center.tf.json"
    if owned is None:
        assert not written.exists()
        return
    resources = json.loads(written.read_text()).get("resource", {})
    assert len(resources.get("aws_identitystore_group_membership", ())) == owned


def test_an_export_that_calls_nobody_fails_for_users_who_do(fleet: FleetRehearsal, tmp_path: Path) -> None:
    fleet.forget()
    fleet.leave(derived(ACCOUNT, replace(AS_IT_IS, credentials=None)))
    found = provision(fleet, "export", "terraform", tmp_path / "tf")
    assert (found.exit_code, "failed: user alice of account" in found.output) == (1, True), found.output
    assert fleet.org.calls == []


def test_before_the_first_run_it_is_said_how_to_create_a_place_of_records(
    fleet: FleetRehearsal, tmp_path: Path
) -> None:
    wrong = provision(fleet, "apply", "--records", tmp_path / "my records")
    assert wrong.exit_code == 2
    assert f"before the first run, create it: mkdir -p '{tmp_path}/my records'" in wrong.output
