# SPDX-License-Identifier: Apache-2.0
"""The commands of the runbook exist, with their options and files. test_runbook_rehearsal.py runs them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from c7n_mailer.cli import get_c7n_mailer_parser
from c7n_org.cli import cli as c7n_org
from click.testing import CliRunner

from c7n_iamusers.notices.stop import is_stop
from c7n_iamusers_cli.main import main
from tests.guides import RUNBOOK_LINES
from tests.readme import ROOT, copy_checkout

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
LINES = RUNBOOK_LINES
#: What the shell runs itself, and commands that write files of other files: both before all else.
SHELL = ("began=$(date", "sleep")
#: Scripts of the checkout.
DEPLOY = ("deploy/roles", "deploy/as")
FILES = ("c7n-iamusers accounts", "c7n-iamusers only")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkout after the steps by hand: waves as tags, an account's documents, the output of a run."""
    path = copy_checkout(tmp_path / "checkout")
    accounts = (ROOT / "accounts.yml").read_text()
    wave = '    tags: ["wave:1"]\n    regions: [us-east-1]\n'
    accounts = accounts.replace("    regions: [us-east-1]\n", wave).replace(
        "CloudCustodian", "IamUsersReader"
    )
    for name in ("accounts.yml", "practice.yml"):
        (path / name).write_text(accounts)
    shutil.copytree(ROOT / "deploy", path / "deploy")
    for name in ("details.json", "report.csv"):
        shutil.copy(path / "saved" / name, path / name)
    (path / "output" / "removal").mkdir(parents=True)
    (path / "output" / "intents").mkdir()
    (path / "replies").mkdir()
    monkeypatch.chdir(path)
    for line in LINES:
        if line.startswith(SHELL) and "sleep" not in line:
            subprocess.run(["sh", "-ec", line], check=True)
        elif line.startswith(FILES):
            result = CliRunner().invoke(main, words(line)[1:])
            assert result.exit_code == 0, (line, result.output)
    return path


def words(line: str) -> list[str]:
    """The words of a command, without the shell's redirection and its substitution, and the role that runs it."""
    line = re.sub(r"^deploy/as \w+ ", "", line)
    line = re.sub(r" > \S+$", "", line)
    return shlex.split(line.replace('"$began"', "2020-01-31T12:00:00Z"))


def parsed(line: str) -> dict[str, Any]:
    """The options of a command line, as the command itself parses and checks them."""
    program, *rest = words(line)
    if program == "c7n-mailer":
        return dict(vars(get_c7n_mailer_parser().parse_args(rest)))
    group: Any = {"c7n-iamusers": main, "c7n-org": c7n_org}[program]
    name, *options = rest
    command = group.get_command(click.Context(group), name)
    if isinstance(command, click.Group):
        name, *options = options
        command = command.get_command(click.Context(command), name)
    assert command, line
    found: dict[str, Any] = command.make_context(name, options).params
    return found


def test_every_command_has_its_options_and_files(checkout: Path) -> None:
    programs = {line.split()[0] for line in LINES}
    assert programs == {"pip", "aws", "c7n-iamusers", "c7n-org", *DEPLOY, *SHELL}
    assert all((checkout / each).stat().st_mode & 0o111 for each in DEPLOY)
    for line in LINES:
        by_others = ("pip", "aws", "deploy/roles", "deploy/as OnCall aws", *SHELL)
        if line.startswith(by_others) or line.endswith((" sh", "--version")):
            continue
        options = parsed(line)
        if line.startswith("c7n-org") and "run-script" not in line:
            policies = yaml.safe_load(Path(str(options["use"])).read_text())["policies"]
            assert set(options["policy"] or ()) <= {each["name"] for each in policies}, line
            entries = yaml.safe_load(Path(str(options["config"])).read_text())["accounts"]
            named = {each["name"] for each in entries} | {tag for each in entries for tag in each["tags"]}
            assert {*(options.get("accounts") or ()), *(options["tags"] or ())} <= named, line


def test_each_report_on_a_run_asks_for_its_policies_since_it_began() -> None:
    run = set[str]()
    for line in LINES:
        used = set(re.findall(r" -u (\S+)", line))
        if line.startswith("began="):
            run = set()
        elif line.startswith("c7n-org run"):
            run |= used
        elif "--since" in line:
            assert (used, "--check" in line) == (run, True), line
    assert sum("--since" in line for line in LINES) == sum(line.startswith("began=") for line in LINES) == 6


def test_only_steps_that_change_users_have_the_role_for_that() -> None:
    for line in LINES:
        if line.startswith("c7n-org run "):
            changes = bool(re.search("brownout|listen|(?<!realtime-)quarantine|delete", line))
            assert ("-c accounts-remove.yml" in line) is changes, line
            assert ("-c accounts-restore.yml" in line) is ("release" in line), line
            assert ("-s output/removal" in line) is (changes or "attempts" in line), line
            assert "--cache-period 0" in line, line


@pytest.mark.parametrize("name", ["Remover", "Restorer"])
def test_the_accounts_file_for_changes_differs_in_its_roles_only(checkout: Path, name: str) -> None:
    file = {"Remover": "accounts-remove.yml", "Restorer": "accounts-restore.yml"}[name]
    first, second = (yaml.safe_load((checkout / each).read_text()) for each in ("accounts.yml", file))
    for each, other in zip(first["accounts"], second["accounts"], strict=True):
        assert other["role"] == each["role"].replace("Reader", name) != each["role"]
        assert {**other, "role": ""} == {**each, "role": ""}
    assert first["vars"] == second["vars"]


def test_practice_has_notices_of_its_own() -> None:
    """Whom it announces for today would count as announced in a real run."""
    (practice,) = (each for each in RUNBOOK.split("\n\n") if each.startswith("To practise the whole path"))
    named = set(re.findall(r"`([a-z_]+)`", practice))
    assert (
        {"notices", "announce_days"}
        <= named
        <= {*yaml.safe_load((ROOT / "accounts.yml").read_text())["vars"]}
    )


def test_what_it_writes_is_ignored_by_git() -> None:
    written = {name for line in LINES for name in re.findall(r"(?: > | -s | -o )([a-z][a-z./-]*)", line)}
    assert {
        "accounts-remove.yml",
        "accounts-restore.yml",
        "output/removal",
        "evidence.csv",
        "listen-one.yml",
    } <= written
    ignored = set((ROOT / ".gitignore").read_text().split())
    assert {f"/{name}" if "." in name else f"/{name.partition('/')[0]}/" for name in written} <= ignored


def test_stop_is_the_object_that_stops_and_what_is_put_is_removed() -> None:
    key = "realtime/quarantine-notices/STOP"
    assert [line.removeprefix("deploy/as OnCall aws ") for line in LINES if "STOP" in line] == [
        f"s3api put-object --bucket REALTIME_BUCKET --key {key}",
        f"s3 rm s3://REALTIME_BUCKET/{key}",
        "s3api put-object --bucket BUCKET --key PREFIX/STOP",
        "s3 rm s3://BUCKET/PREFIX/STOP",
    ]
    assert is_stop(key.rpartition("/")[2])
