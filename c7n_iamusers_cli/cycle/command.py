# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers cycle``: what is due today, over a workspace."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from c7n_iamusers.cycle.settings import SETTINGS_FILE
from c7n_iamusers.cycle.steps import BY_NAME, STEPS
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.text.wording import counted, shown
from c7n_iamusers_cli.cycle.day import ALL, Choice, Day, Ended
from c7n_iamusers_cli.output import PROBLEM, format_option, print_json, say

#: The environment variable with which c7n names its sessions, and CloudTrail their calls.
SUFFIX = "C7N_SESSION_SUFFIX"
#: The keys of --only.
_USER, _ACCOUNT, _WAVE, _STEP = "user", "account", "wave", "step"

workspace_option = click.option(
    "-w",
    "--workspace",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    show_default="here",
    help=f"The directory with {SETTINGS_FILE}.",
)


def _only(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> Choice:
    """Raises click.BadParameter."""
    from c7n_iamusers_cli.only import user_names

    found: dict[str, list[str]] = {_USER: [], _ACCOUNT: [], _WAVE: [], _STEP: []}
    for value in values:
        key, equals, name = value.partition("=")
        if key not in found or not equals or not name:
            raise click.BadParameter(
                f"{value!r} is none of user=NAME, account=NAME, wave=NUMBER and step=NAME"
            )
        found[key].append(name)
    if wrong := [each for each in found[_WAVE] if not each.isascii() or not each.isdecimal()]:
        raise click.BadParameter(f"wave={wrong[0]} is no number of a wave")
    if wrong := [each for each in found[_STEP] if each not in BY_NAME]:
        raise click.BadParameter(f"there is no step {wrong[0]!r}; it is one of {', '.join(BY_NAME)}")
    waves = tuple(map(int, found[_WAVE]))
    return Choice(user_names(found[_USER]), tuple(found[_ACCOUNT]), waves, tuple(found[_STEP]))


@click.command()
@workspace_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show whom today's steps would take, and why not the others; change and write nothing.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="WHAT=NAME",
    callback=_only,
    help="Only user=NAME, account=NAME, wave=NUMBER or step=NAME. Repeatable: several of a kind are alternatives.",
)
@click.option(
    "--until", type=click.Choice([each.name for each in STEPS]), default=None, help="End after this step."
)
@format_option("text", "json")
def cycle(directory: Path, dry_run: bool, only: Choice, until: str | None, output_format: str) -> None:
    """Do what is due today in a workspace, and nothing else. Run it daily.

    The steps: announce, remind, provision, listen, quarantine, attempts, delete, your-access, report. Each is a command
    that is printed first, and that you can run by hand in the workspace. After each a check decides which accounts go
    on. A cycle that was killed is run again.

    Ends with 1 where an account is blocked or something failed, and with 3 where something is to look at, or waits for
    an approval. --only and --until leave the report out.
    """
    from c7n_iamusers_cli.cycle.workspace import Workspace

    workspace = Workspace.read(directory)
    choice = replace(only, until=until or "")
    known = {each.name for each in workspace.steps}
    if unknown := [each for each in (*choice.steps, choice.until) if each and each not in known]:
        raise InvalidPolicyData(f"the workspace has no step {', '.join(unknown)}; see {SETTINGS_FILE}")
    as_json = output_format == "json"
    if dry_run:
        from c7n_iamusers_cli.cycle.dry_run import show_today

        show_today(workspace, choice, as_json)
        return
    _run(workspace, choice, as_json)


def _run(workspace: Any, choice: Choice, as_json: bool) -> None:
    from c7n_iamusers_cli.cycle.approved import STEPS as special
    from c7n_iamusers_cli.cycle.locking import cycle_lock
    from c7n_iamusers_cli.cycle.processes import Processes

    now = datetime.now(timezone.utc)
    run = secrets.token_hex(4)
    environment = {SUFFIX: os.environ.get(SUFFIX) or f"cycle-{now:%Y%m%dT%H%M%SZ}-{run}"}
    print_line: Callable[[str], None] = lambda line: say(line, err=as_json)  # noqa: E731  # a def has no type of it
    with Interruption() as interruption, cycle_lock(workspace) as is_lost:

        def stopped() -> bool:
            return interruption.stopped() or is_lost()

        execute = Processes(workspace.directory, environment, stopped, quiet=as_json)
        day = Day(workspace, execute, print_line, stopped, utc_now, choice, run, special)
        print_line(f"export {SUFFIX}={environment[SUFFIX]}")
        try:
            code = day.go()
        except Ended:
            code = PROBLEM
            lost = "" if interruption.stopped() else "its lock was removed or taken over: "
            print_line(f"{lost or interruption.reason + ': '}run it again, and it goes on")
    interruption.exit_if_stopped()
    _end(day, code, as_json)


def utc_now() -> datetime:
    """The clock of a cycle."""
    return datetime.now(timezone.utc)


def _end(day: Day, code: int, as_json: bool) -> None:
    if as_json:
        print_json(as_data(day, code))
    else:
        for line in closing_lines(day):
            say(line)
    if code:
        raise click.exceptions.Exit(code)


def closing_lines(day: Day) -> Iterable[str]:
    """What became of a cycle, in a few lines."""
    for each in day.steps:
        done = f" in {counted(len(each.accounts), 'account')}" if each.accounts else ""
        yield f"{each.name}: {each.status}{done}"
    yield from _blocked(day)
    for problem in day.problems:
        yield f"failed: {problem}"
    for each in day.steps:
        if each.plan:
            yield f"waiting: c7n-iamusers approve {each.plan}"


def _blocked(day: Day) -> Iterable[str]:
    """Which accounts are blocked: those for the same reason in one line."""
    names = {each.account_id: str(each) for each in day.accounts}
    reasons: dict[str, list[str]] = {}
    for account_id, why in day.blocked.items():
        reasons.setdefault(why, []).append(names.get(account_id, account_id or "all accounts"))
    for why, of in reasons.items():
        yield f"blocked: {shown(of)}: {why}"
    chosen = [f"-a {shlex.quote(each.name)}" for each in day.accounts if each.account_id in day.blocked]
    if chosen:
        yield f"next: c7n-iamusers preflight -c {day.workspace.settings.accounts} {' '.join(chosen[:3])}"
    if ALL in day.blocked or names.keys() <= day.blocked.keys():
        yield (
            f"no account went on, of {len(names)}: correct what is named here, and run it again; what was done stays "
            "done"
        )


def as_data(day: Day, code: int) -> dict[str, Any]:
    """The same in JSON types."""
    return {
        "began": day.began.isoformat(timespec="seconds"),
        "exit": code,
        "waves": {"open": list(day.waves.open), "next": day.waves.opens, "why": day.waves.why},
        "accounts": [each.account_id for each in day.accounts],
        "steps": [asdict(each) for each in day.steps],
        "blocked": dict(day.blocked),
        "problems": list(day.problems),
        "mails": day.mails.as_data(),
    }
