# SPDX-License-Identifier: Apache-2.0
"""A cycle with the real commands on a local organization: a dry run, the same by hand, a plan that waits, a kill."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime, timezone
from pathlib import Path
from unittest import mock

import pytest
import yaml
from click.testing import CliRunner

from aws_local_org.demo import steps
from aws_local_org.demo.command import Demo, prepared
from aws_local_org.demo.state import account_state
from c7n_iamusers.cycle.command_lines import Line
from c7n_iamusers.cycle.foresight import DELETED, DENIED, STAYS, Foreseen
from c7n_iamusers_cli.cycle.approved import STEPS
from c7n_iamusers_cli.cycle.day import Choice, Day
from c7n_iamusers_cli.cycle.dry_run import Today
from c7n_iamusers_cli.cycle.workspace import Workspace
from c7n_iamusers_cli.main import main
from tests.cli.cycle_workspace import Killed
from tests.local_org.demo.in_this_process import call, logging_to, run_in_this_process, working_in
from tests.readme import ROOT

ACCOUNT = "111122223333"


class World:
    """A workspace of one account of the demo's organization, for machines alone."""

    def __init__(self, demo: Demo) -> None:
        self.demo, self.directory = demo, demo.work
        data = yaml.safe_load(demo.accounts.read_text())
        data["accounts"] = [each for each in data["accounts"] if each["account_id"] == ACCOUNT]
        demo.accounts.write_text(yaml.safe_dump(data, sort_keys=False))
        settings = {
            "roles": dict.fromkeys(("reader", "remover"), "CloudCustodian"),
            "provision": False,
            "steps": ["announce", "listen", "delete"],
            "mailer": "cycle",
        }
        (self.directory / "iam-users.yml").write_text(yaml.safe_dump(settings))
        self.log = self.directory / "commands.log"
        self.lines: list[Line] = []
        #: Called with each command before it is run.
        self.before: Callable[[Line], None] = lambda line: None

    def execute(self, line: Line) -> int:
        """Run a command in this process, as a shell would in the workspace."""
        self.before(line)
        self.lines.append(line)
        with (
            self.log.open("a") as file,
            redirect_stdout(file),
            redirect_stderr(file),
            logging_to(file),
            working_in(self.directory),
            mock.patch.dict(os.environ, self.demo.commands.environment),
        ):
            print("$", *line, file=file, flush=True)
            try:
                call(*line)
            except SystemExit as end:
                return int(end.code or 0)
        return 0

    def cycle(self, execute: Callable[[Line], int] | None = None) -> tuple[int, list[str]]:
        """A cycle now; its exit code and what it printed."""
        said: list[str] = []
        now = lambda: datetime.now(timezone.utc)  # noqa: E731  # a clock
        with mock.patch.dict(os.environ, self.demo.commands.environment):
            workspace = Workspace.read(self.directory)
            workspace.own.mkdir(exist_ok=True)
            day = Day(workspace, execute or self.execute, said.append, lambda: False, now, special=STEPS)
            return day.go(), said

    def foreseen(self, scratch: Path) -> dict[str, list[Foreseen]]:
        """Whom a cycle would take now, by a dry run that writes nothing."""
        before = self.files()
        scratch.mkdir()
        with mock.patch.dict(os.environ, self.demo.commands.environment):
            today = Today(
                Workspace.read(self.directory), self.execute, scratch, Choice(), datetime.now(timezone.utc)
            )
            today.look()
        assert self.files() == before
        assert not today.problems
        return today.users

    def access(self, scratch: Path) -> Today:
        """The dry run of access for people, which the cycles here leave out; it writes nothing, also in AWS."""
        settings, policies = self.directory / "iam-users.yml", self.directory / "policies"
        before, shipped = settings.read_text(), policies / "provision-intents.yml"
        settings.write_text(
            yaml.safe_dump({**yaml.safe_load(before), "provision": True, "steps": ["provision"]})
        )
        text = (ROOT / "policies" / shipped.name).read_text()
        shipped.write_text(text.replace("derive: true", "derive: {identity-center-mfa: true}"))
        files = self.files()
        scratch.mkdir()
        with mock.patch.dict(os.environ, self.demo.commands.environment):
            today = Today(
                Workspace.read(self.directory), self.execute, scratch, Choice(), datetime.now(timezone.utc)
            )
            today.look()
        assert self.files() == files
        shipped.unlink()
        settings.write_text(before)
        return today

    def files(self) -> dict[str, float]:
        """All files of the workspace but the log, each with its time."""
        found = (each for each in self.directory.rglob("*") if each.is_file() and each != self.log)
        return {str(each): each.stat().st_mtime for each in found}

    def approve(self, said: list[str]) -> None:
        """Approve the plan that a cycle waits for."""
        (sha256,) = {
            found[1] for line in said if (found := re.fullmatch(r"waiting: .* ([0-9a-f]{64})", line))
        }
        with mock.patch.dict(os.environ, self.demo.commands.environment):
            done = CliRunner().invoke(
                main, ["approve", sha256[:12], "-w", str(self.directory), "--by", "jane"]
            )
        assert done.exit_code == 0, done.output

    def users(self) -> set[str]:
        """The names of the users that are there."""
        return account_state(self.demo.org, ACCOUNT, "payments").names

    def denied(self) -> set[str]:
        """The names of those with a Deny."""
        client = self.demo.org.client("iam", ACCOUNT)
        return {
            name
            for name in self.users()
            if any("deny-all" in each for each in client.list_user_policies(UserName=name)["PolicyNames"])
        }


@pytest.fixture
def world(tmp_path: Path, no_local_org: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    run_in_this_process(monkeypatch)
    # the same for the demo, by whose organization this one is made
    monkeypatch.setattr("aws_local_org.demo.command.LocalOrg", vars(steps)["LocalOrg"])
    with prepared(ROOT, tmp_path / "work", seed_number=1, users_per_account=12) as demo:
        yield World(demo)


def taken(found: list[Foreseen], outcome: str) -> set[str]:
    return {each.user for each in found if each.outcome == outcome}


def test_from_the_announcement_to_a_deletion_by_a_plan(world: World, tmp_path: Path) -> None:
    """Every day is a cycle; the Deny is put on by hand, with the command lines that a cycle has printed."""
    for day in range(3):  # the first mail leaves the queue, which two later runs read
        world.demo.until(day)
        assert world.cycle()[0] == 0, world.log.read_text()[-3000:]
    _look_at_access(world, tmp_path / "access")
    _deny_by_hand(world, tmp_path / "dry-16")
    world.demo.until(31)
    _delete_by_plan(world, tmp_path / "dry-31")
    # a verification finds the plan that was applied, and nothing wrong with what cycles leave; that days passed it does
    before = len(world.log.read_text())
    world.execute(("c7n-iamusers", "verify", "output"))
    said = world.log.read_text()[before:]
    assert ", 1 plan, " in said
    assert "output/cycle" not in said


def _look_at_access(world: World, scratch: Path) -> None:
    """Who would get which permission set, by the plan of the command that gives it; nobody gets it."""
    today = world.access(scratch)
    assert today.access, world.log.read_text()[-3000:]
    kinds = {each["kind"] for each in today.access["changes"]}
    assert {"permission set", "group", "user", "membership", "assignment"} <= kinds, today.access_lines
    for each in today.access["changes"]:
        assert any(each["name"] in line for line in today.access_lines)
    # a second look finds the same to do
    again = world.access(scratch.with_name("access-again"))
    assert again.access == today.access


def _deny_by_hand(world: World, scratch: Path) -> None:
    """What is foreseen, what hands do, and what a cycle does then are the same."""
    world.demo.until(16)
    foreseen = world.foreseen(scratch)["listen"]
    assert taken(foreseen, DENIED)
    assert taken(foreseen, STAYS)
    printed = _by_hand(world)
    assert any(line.startswith("c7n-org run -c .cycle/listen.yml ") for line in printed)
    assert world.denied() == taken(foreseen, DENIED)
    assert world.cycle()[0] == 0
    assert world.denied() == taken(foreseen, DENIED)


def _delete_by_plan(world: World, scratch: Path) -> None:
    """A deletion waits, and goes on by the plan that was approved, once, whatever kills a cycle."""
    users, foreseen = world.users(), taken(world.foreseen(scratch)["delete"], DELETED)
    code, said = world.cycle()
    assert (code, world.users()) == (3, users)
    plan = next(line.rpartition(" ")[2] for line in said if "the plan is" in line)
    text = (world.directory / plan).read_text()
    assert foreseen
    assert all(f"user/{name} (" in text for name in foreseen)
    # the same plan waits on, as long as it would delete the same
    assert _waiting(world.cycle()[1]) == _waiting(said)

    world.approve(said)
    world.before = _killing
    with pytest.raises(Killed):
        world.cycle()
    assert world.users() == users
    world.before = lambda line: None
    code, said = world.cycle()
    assert any(line.startswith("delete: applies the plan") for line in said)
    assert (code, users - world.users()) == (0, foreseen)
    # an approval counts once
    assert not any("applies the plan" in line for line in world.cycle()[1])
    assert users - world.users() == foreseen


def _waiting(said: list[str]) -> list[str]:
    return [each for each in said if each.startswith("waiting")]


def _by_hand(world: World) -> list[str]:
    """Run by hand what a cycle prints, step by step; all lines."""
    done: list[str] = []

    def typed(line: Line) -> int:
        done.append(shlex.join(line))
        return world.execute(tuple(shlex.split(done[-1])))

    _, said = world.cycle(typed)
    assert [each.removeprefix("$ ") for each in said if each.startswith("$ ")] == done
    return done


def _killing(line: Line) -> None:
    if ".cycle/delete-approved.yml" in line and line[0] == "c7n-org":
        raise Killed
