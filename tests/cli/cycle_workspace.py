# SPDX-License-Identifier: Apache-2.0
"""A workspace for tests of the cycle, and commands that only note that they ran, and leave what a check finds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from c7n_iamusers.cycle.command_lines import Line
from c7n_iamusers.cycle.waves import Record
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE
from c7n_iamusers.notices.notices import Notice
from c7n_iamusers_cli.cycle.approved import STEPS
from c7n_iamusers_cli.cycle.day import Choice, Day
from c7n_iamusers_cli.cycle.workspace import Records, Workspace
from tests.readme import ROOT

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
PAYMENTS, RESEARCH, PLATFORM = "111122223333", "444455556666", "777788889999"
IDS = {"payments": PAYMENTS, "research": RESEARCH, "platform": PLATFORM}
#: The steps of a workspace with all policies, with their commands' first words.
ALL_STEPS = "announce remind provision listen quarantine attempts delete your-access".split()


def make_workspace(to: Path, in_waves: Mapping[str, int] | None = None, **settings: Any) -> Path:
    """A workspace with the shipped policies and accounts. ``in_waves``: account -> wave. ``settings``: of its file."""
    to.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "policies", to / "policies")
    data = yaml.safe_load((ROOT / "accounts.yml").read_text())
    for each in data["accounts"]:
        each["role"] = f"arn:aws:iam::{each['account_id']}:role/IamUsersReader"
        if in_waves:
            each["tags"] = [f"wave:{in_waves[each['name']]}"]
    (to / "accounts.yml").write_text(yaml.safe_dump(data, sort_keys=False))
    (to / "iam-users.yml").write_text(yaml.safe_dump(settings) if settings else "")
    return to


def announce(workspace: Path, days: float, *accounts: str, now: datetime = NOW) -> None:
    """Put an announcement of so many days ago into the notices of ``accounts`` (names)."""
    time = now - timedelta(days=days)
    for name in accounts:
        user = Subject("jane", f"arn:aws:iam::{IDS[name]}:user/jane", "AIDA1")
        notice = Notice(
            IDS[name],
            "announced",
            time,
            time.date() + timedelta(days=30),
            ("o@example.com",),
            "p",
            "-",
            (user,),
        )
        place = workspace / "notices" / IDS[name] / "20260101T000000000000Z-announced-p.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(notice.as_json())


def leave_intents(place: Path, accounts: Iterable[str]) -> None:
    """As the policy that asks for access does. What is in them is for `provision` alone."""
    for name in accounts:
        directory = place / name / "us-east-1" / "iam-users-intents"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / INTENTS_FILE).write_text("{}")


class Killed(BaseException):
    """As if the process had ended there."""


@dataclass
class Commands:
    """Runs nothing. ``findings``: what the check of a step finds. ``codes``: (program, step) -> exit code.

    ``during``: called with each line, before it ends. ``dies_at``: the number of the command that kills the cycle.
    ``asks``: whether somebody asks for access in each account.
    """

    workspace: Path
    findings: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    during: Callable[[Line], None] = lambda line: None
    dies_at: int | None = None
    asks: bool = True
    lines: list[Line] = field(default_factory=list)

    def __call__(self, line: Line) -> int:
        self.lines.append(line)
        if len(self.lines) - 1 == self.dies_at:
            raise Killed
        self.during(line)
        if "report" in line:
            return self._check(line)
        if line[0] == "c7n-org" and "iam-users-intents" in line and self.asks:
            leave_intents(Path(self.workspace, "output", "intents"), accounts_in(self.workspace, "provision"))
        return self.codes.get(self.kind(line), 0)

    @staticmethod
    def kind(line: Line) -> str:
        """A command in two words: announce, listen; provision apply; check of listen."""
        of = Path(line[line.index("-c") + 1]).stem
        if line[0] == "c7n-org":
            return of
        return f"{line[1]} {line[2]}" if line[1] == "provision" else f"check {of}"

    @property
    def kinds(self) -> list[str]:
        """All of them."""
        return [self.kind(each) for each in self.lines]

    def _check(self, line: Line) -> int:
        file = self.workspace / line[line.index("--check-output") + 1]
        rows = self.findings.get(file.name.partition(".")[0], [])
        file.write_text(json.dumps(rows))
        return 1 if any(each["level"] == "blocking" for each in rows) else 3 if rows else 0


def row(
    account: str, what: str = "failed", level: str = "blocking", user: str = "", kind: str = "failure"
) -> dict[str, str]:
    """A line of a check."""
    return {
        "level": level,
        "kind": kind,
        "account": IDS.get(account, ""),
        "user": user,
        "what": what,
        "why": "so",
    }


@dataclass
class Cycled:
    """What a cycle printed and left, and how it ended."""

    code: int
    day: Day
    commands: Commands
    said: list[str]


def day_of(
    workspace: Path,
    commands: Commands,
    now: datetime = NOW,
    choice: Choice | None = None,
    stopped: Any = None,
) -> tuple[Day, list[str]]:
    """A cycle that has not begun, and what it prints."""
    said: list[str] = []
    found = Workspace.read(workspace)
    found.own.mkdir(exist_ok=True)
    day = Day(
        found,
        commands,
        said.append,
        stopped or (lambda: False),
        lambda: now,
        choice or Choice(),
        "test",
        STEPS,
    )
    return day, said


def cycled(
    workspace: Path, commands: Commands | None = None, now: datetime = NOW, choice: Choice | None = None
) -> Cycled:
    """Run a cycle ``now``."""
    commands = commands or Commands(workspace)
    day, said = day_of(workspace, commands, now, choice)
    return Cycled(day.go(), day, commands, said)


def last_record(workspace: Path) -> Record | None:
    """What the latest cycle left."""
    return Records(Workspace.read(workspace).output, NOW, "-").last()


def accounts_in(workspace: Path, step: str) -> list[str]:
    """The accounts of the file that was made for a step."""
    data = yaml.safe_load((workspace / ".cycle" / f"{step}.yml").read_text())
    return [each["name"] for each in data["accounts"] if "cycle" in each.get("tags", ())]


def steps_in(kinds: Sequence[str]) -> list[str]:
    """The steps whose policies ran, each once."""
    return list(dict.fromkeys(each for each in kinds if " " not in each))
