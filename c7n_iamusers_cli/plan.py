# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers plan``: prints a plan of ``composite-delete`` or of ``provision`` for review."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c7n_iamusers.text.wording import visible
from c7n_iamusers_cli.output import format_option, print_json, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from c7n_iamusers.deletion.reviewed_plan import DeletionPlan, PlannedDeletion


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@format_option("text", "json")
def plan(file: Path, output_format: str) -> None:
    """Print a plan with the exact calls: of deletions, or of access in Identity Center.

    FILE is a deletion-plan.json, or written by `provision plan --out`. Give the printed SHA-256 as
    plan-sha256 in the policy, or as --plan-sha256 to provision apply, so that only the reviewed file is applied.
    """
    from c7n_iamusers.deletion.reviewed_plan import load_plan
    from c7n_iamusers.exceptions import PlanInvalid
    from c7n_iamusers.execution.given import read_given

    try:
        content = read_given(file)
    except OSError as error:
        raise PlanInvalid(f"{file} can't be read: {error}") from error
    if (access := _access_plan(content)) is not None:
        _write_access(file, access, hashlib.sha256(content).hexdigest(), output_format)
        return
    try:
        found = load_plan(content)
    except PlanInvalid as error:
        raise PlanInvalid(f"{file}: {error}") from error
    if output_format == "json":
        print_json(json.loads(found.as_json()))
    elif on_a_terminal():
        _draw(found, hashlib.sha256(content).hexdigest())
    else:
        _write(found, hashlib.sha256(content).hexdigest())


def _access_plan(content: bytes) -> dict[str, Any] | None:
    from c7n_iamusers.identity_center.output.plan_files import is_access_plan
    from c7n_iamusers.text.documents import NotInFormat, read_json

    try:
        data = read_json(content)
    except NotInFormat:
        return None
    return data if is_access_plan(data) else None


def _write_access(file: Path, data: dict[str, Any], digest: str, output_format: str) -> None:
    """The lines that `provision plan` printed, with everybody's name, and each call."""
    from c7n_iamusers.exceptions import IdentityCenterError
    from c7n_iamusers.identity_center.access_plan import Choices
    from c7n_iamusers.identity_center.output.plan_files import command_of, plan_of
    from c7n_iamusers.identity_center.output.reports import plan_lines

    try:
        found = plan_of(data)
        command = command_of(Choices(**data["choices"]))
    except (TypeError, IdentityCenterError) as error:
        raise IdentityCenterError(f"{file}: {error}") from error
    if output_format == "json":
        print_json(data)
        return
    say(
        f"access in Identity Center {data['instance']}, for provision {command}: {len(found.work)} changes; SHA-256 "
        f"{digest}"
    )
    for note in data.get("notes", ()):
        say(str(note))
    for line in plan_lines(found, whole=True):
        say(line)


def on_a_terminal() -> bool:
    """True if stdout is a terminal."""
    return sys.stdout.isatty()


def _head(found: DeletionPlan, digest: str = "") -> str:
    deleted = [user for user in found.users if not user.skipped]
    calls = sum(len(user.calls) for user in deleted)
    return visible(
        f"policy {found.policy}, account {found.account_id}, made {found.made}: "
        f"{len(deleted)} users are deleted by {calls} calls, {len(found.users) - len(deleted)} are skipped"
        + (f"; SHA-256 {digest}" if digest else "")
    )


def _title(user: PlannedDeletion) -> str:
    if user.skipped:
        return visible(f"{user.subject.arn}: skipped: {user.skipped.text}")
    held = ", ".join(f"{count} {kind}" for kind, count in user.attachments.items()) or "nothing attached"
    return visible(f"{user.subject.arn} ({user.subject.unique_id}): {held}")


def _call(number: int, operation: str, parameters: Mapping[str, Any]) -> str:
    given = " ".join(f"{name}={value}" for name, value in parameters.items() if name != "UserName")
    return visible(f"{number:>3} {operation} {given}".rstrip())


def _lines(user: PlannedDeletion) -> list[str]:
    return [
        *([visible(f"    {user.noted.text}")] if user.noted else []),
        *(
            _call(number, f"{call.service}:{call.operation}", call.parameters)
            for number, call in enumerate(user.calls, 1)
        ),
    ]


def _breaks(user: PlannedDeletion) -> list[str]:
    return [visible(f"    breaks: {each}") for each in user.breaks]


def lines_of(found: DeletionPlan, digest: str = "") -> Iterator[str]:
    """The lines of a plan of deletions. ``digest``: of its file, if it is to be named."""
    yield _head(found, digest)
    yield visible(found.asked.text)
    for user in found.users:
        yield from ("", _title(user), *_breaks(user), *_lines(user))


def _write(found: DeletionPlan, digest: str) -> None:
    for line in lines_of(found, digest):
        click.echo(line)


def _draw(found: DeletionPlan, digest: str) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(f"{_head(found, digest)}\n{visible(found.asked.text)}"))
    for user in found.users:
        branch = tree.add(Text(_title(user), style="dim" if user.skipped else "bold"))
        for line in (*_breaks(user), *_lines(user)):
            branch.add(Text(line))
    Console().print(tree)
