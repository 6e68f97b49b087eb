# SPDX-License-Identifier: Apache-2.0
"""What the README and the pages that go on from it say exists, does, and what they show runs, in its order."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from aws_local_org import LocalOrg, application
from aws_local_org.demo.state import let_days_pass
from aws_local_org.load import load
from aws_local_org.smtp_sink import SmtpSink
from c7n_iamusers.entry import ACTIONS, FILTERS, SOURCES
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.notices import ANNOUNCED, Notice
from c7n_iamusers_cli.main import main
from tests.local_org.demo.in_this_process import call, working_in
from tests.policies import ACCOUNT, policy
from tests.readme import (
    BLOCKS,
    COMMANDS,
    EVERYBODY,
    LEFT_OUT,
    MADE_ELSEWHERE,
    OTHERS,
    POLICIES,
    ROOT,
    SAMPLES,
    SAVED,
    SUBSTITUTIONS,
    TEXT,
    UNUSED,
    by_hand,
    copy_checkout,
    documented_paths,
    in_shell,
    of_rehearsal,
    path_pattern,
    saved_report,
    substituted,
)


@pytest.mark.parametrize(
    ("kind", "names"),
    [("source", SOURCES), ("filter", FILTERS), ("action", ACTIONS)],
    ids=["source", "filter", "action"],
)
def test_every_plugin_is_in_the_table(kind: str, names: dict[str, str]) -> None:
    rows = re.findall(rf"^\| `([a-z-]+)` \| {kind} \|", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(names)


def test_every_make_target_exists() -> None:
    named = set(re.findall(r"(?:`|^ {4})make ([a-z]+)\b", TEXT, re.MULTILINE))
    assert {"demo", "test", "help", "site"} <= named
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_every_command_exists() -> None:
    pages = [(ROOT / "README.md"), *(ROOT / "docs").glob("*.md")]
    text = "\n".join(each.read_text() for each in pages)
    named = set(re.findall(r"\bc7n-iamusers ((?:local-org |provision |exemptions )?[a-z-]+)", text))
    assert {"local-org serve", "local-org load", "mailer-templates"} <= named
    for words in named:
        done = CliRunner().invoke(main, [*words.split(), "--help"])
        assert done.exit_code == 0, (words, done.output)


def test_every_file_exists() -> None:
    for name in re.findall(r"`([a-z_.-]+/[a-z_./-]*|[A-Za-z]+\.(?:yml|md))`", TEXT):
        if not name.startswith(
            (".demo", ".rehearsal", "build", "snapshots", "output", "notices", "identity-center-runs")
        ):
            assert (ROOT / name).exists(), name


def test_every_block_is_tested() -> None:
    assert sum(map(len, (POLICIES, OTHERS, COMMANDS, LEFT_OUT, SAMPLES))) == len(BLOCKS)
    text = "\n".join(COMMANDS)
    assert [shown for shown in SUBSTITUTIONS if shown not in text] == []
    assert not re.search(r"\baws ", substituted(text))


def test_only_steps_that_change_users_have_the_role_for_that() -> None:
    lines = [line.strip() for text in COMMANDS for line in text.splitlines()]
    runs = [line for line in lines if line.startswith("c7n-org run")]
    for line in runs:
        changes = bool(re.search("brownout|listen|quarantine|delete", line))
        assert ("-c accounts-remove.yml" in line) is changes, line
        assert ("-c accounts-restore.yml" in line) is ("release" in line), line
    assert any("accounts-remove.yml" in line for line in runs)


def test_what_examples_write_is_ignored_by_git() -> None:
    deploy = (ROOT / "docs" / "deploy.md").read_text()
    written = re.findall(r"(?:-s |-o |> )([a-z-]+[a-z./-]*)", TEXT) + re.findall(r" > ([a-z-]+\.yml)", deploy)
    assert {"output/intents", "details.json", "release-one.yml", "shard.yml"} <= set(written)
    ignored = set((ROOT / ".gitignore").read_text().split())
    names = {name.partition("/") for name in written}
    assert {
        f"/{first}{'/' if slash or '.' not in first else ''}" for first, slash, _ in names
    } - ignored == set()


CHANGING = ("IamUsersRemover", "IamUsersRestorer")
#: As the runbook has them: what each day begins with, and the files for the other roles.
DAILY = "\n".join(
    f"c7n-org run -c accounts.yml -u policies/{name}.yml -s output/{place} --cache-period 0"
    for name, place in (("flag-and-notify", "flag"), ("remind", "remind"))
)
ACCOUNTS = "\n".join(
    f"c7n-iamusers accounts -c accounts.yml --role IamUsers{name} -o accounts-{file}.yml"
    for name, file in (("Remover", "remove"), ("Restorer", "restore"))
)


#: That of accounts.yml.
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path)


@pytest.fixture
def account(org: LocalOrg, checkout: Path) -> Any:
    """IAM of a copy of the saved account, the owners of whose users but one were addressed 31 days ago.

    A tag that announces it is on that one too, and decides nothing.
    """
    load(org, ACCOUNT, json.loads((SAVED / "details.json").read_text()), saved_report())
    iam = org.client("iam", ACCOUNT)
    mark = {"Key": "c7n-iamusers-deletion", "Value": "Deleted in a month: composite-delete@2026/01/31"}
    iam.tag_user(UserName="unannounced-bot", Tags=[mark])
    found = [user for user in iam.list_users()["Users"] if user["UserName"] != "unannounced-bot"]
    subjects = tuple(Subject(user["UserName"], user["Arn"], user["UserId"]) for user in found)
    time = utc_now() - timedelta(days=31)
    day = time.date() + timedelta(days=30)
    notice = Notice(ACCOUNT, ANNOUNCED, time, day, ("owner@example.com",), "1", "iam-users-flag", subjects)
    notices = DirectoryStore(checkout / "notices")
    notices.create(exempted.place_of(ACCOUNT, time), exempted.as_json(ACCOUNT, time, ()))
    notices.create(notice.name, notice.as_json())
    return iam


def users(iam: Any) -> set[str]:
    return {user["UserName"] for user in iam.list_users()["Users"]}


def quarantined(iam: Any) -> set[str]:
    return {name for name in users(iam) if iam.list_user_policies(UserName=name)["PolicyNames"]}


@pytest.mark.parametrize(
    ("number", "deleted", "parked"),
    [
        pytest.param(0, UNUSED | {"git-web"}, set(), id="delete"),
        pytest.param(1, set(), set(), id="evidence"),
        pytest.param(2, set(), UNUSED, id="plan-park-delete"),
        pytest.param(3, set(), set(), id="people"),
    ],
)
def test_policies_run_twice_and_spare_whom_they_must(
    account: Any,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    deleted: set[str],
    parked: set[str],
) -> None:
    """The exempt, the active, the unannounced, and people without another way in."""
    assert len(POLICIES) == 4
    monkeypatch.chdir(checkout)
    for _ in range(2):
        for data in yaml.safe_load(POLICIES[number])["policies"]:
            policy(data, checkout / "out").run()
        assert users(account) == EVERYBODY - deleted
        assert quarantined(account) == parked


@pytest.fixture
def mail_server(checkout: Path) -> Iterator[None]:
    """What listens at mailer.yml's port, which may be taken on the machine that tests."""
    mailer = checkout / "mailer.yml"
    with SmtpSink(checkout.parent / "mails") as server:
        mailer.write_text(mailer.read_text().replace(": 2525", f": {server.port}"))
        yield


def run_daily(checkout: Path) -> None:
    """In this process: the commands of the pages themselves are run as processes."""
    for line in DAILY.splitlines():
        with working_in(checkout), pytest.raises(SystemExit) as ended:
            call(*shlex.split(line))
        assert not ended.value.code, line


def not_left(checkout: Path) -> list[str]:
    """The paths in the documents that are not below ``checkout``, without those that other tests make."""
    left = [str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file()]
    # tests/test_output_layout.py has those of the output
    in_output = tuple(
        path for path in documented_paths() if path.startswith(("DIR/", "PREFIX/", "journal/", "locks/"))
    )
    return [
        path
        for path in documented_paths() - MADE_ELSEWHERE.keys() - {*in_output}
        if not any(re.fullmatch(f"(?:.*/)?{path_pattern(path).pattern}", each) for each in left)
    ]


def create_remover(account: Any, runner: str) -> None:
    """The role that removes users, for whoever is in the account ``runner``."""
    principal = {"AWS": f"arn:aws:iam::{runner}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for name in CHANGING:
        account.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        account.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


@pytest.mark.usefixtures("mail_server")
def test_commands_run_in_order(
    account: Any, org: LocalOrg, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; but the quarantined user is released in between, and put into quarantine by the same command again.

    That policies may run twice, the test above shows.
    """
    create_remover(account, org.settings.management_account)
    monkeypatch.setattr(
        application, "LONGEST_WAIT", 0
    )  # each run of c7n-mailer ends with a wait for messages

    def run(text: str) -> None:
        in_shell(substituted(text), checkout, org.environment())

    (park,) = [text for text in COMMANDS if "quarantine-one.yml" in text]
    run(ACCOUNTS)
    run_daily(checkout)
    for text in COMMANDS:
        releases = "release-one.yml" in text
        if releases:
            assert quarantined(account) == {"retired-bot"}
        if "delete-one.yml" in text:
            # as c7n-mailer runs daily, and finds nothing more
            org.client("sqs").purge_queue(QueueUrl=QUEUE)
            for days in (1, 1, 12):
                let_days_pass(org, checkout / "notices", checkout / "output/removal", days)
                run_daily(checkout)
        if not of_rehearsal(text) and not by_hand(text):
            run(text)
        if releases:
            assert quarantined(account) == set()
            run(park)
    assert users(account) == EVERYBODY - {"retired-bot"}
    moved = json.loads(
        (checkout / "output/moved/payments/us-east-1/iam-users-moved/resources.json").read_text()
    )
    assert {user["UserName"] for user in moved} == {"dana.smith", "ana.silva"}
    assert not_left(checkout) == []
