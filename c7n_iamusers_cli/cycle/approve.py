# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers approve``: let the next cycle apply a plan that waits."""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.text.wording import counted, visible
from c7n_iamusers_cli.cycle.command import utc_now, workspace_option
from c7n_iamusers_cli.output import say

if TYPE_CHECKING:
    from c7n_iamusers.cycle.approvals import PlanState
    from c7n_iamusers_cli.cycle.plans import Plans

#: Characters of a name and a note.
_LONGEST_NAME, _LONGEST_NOTE = 200, 1_000
#: The beginning of a SHA-256, long enough to name one plan among a few.
_DIGEST = re.compile(r"[0-9a-f]{8,64}", re.ASCII)


def _digest(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _DIGEST.fullmatch(value.lower()):
        raise click.BadParameter(f"{value!r} is no SHA-256 of a plan, nor at least 8 digits of its beginning")
    return value.lower()


@click.command()
@click.argument("sha256", metavar="PLAN_SHA256", callback=_digest)
@workspace_option
@click.option("--note", default="", metavar="TEXT", help="Why, or by which ticket.")
@click.option(
    "--by", default="", metavar="NAME", help="Who approves it.  [default: you, as this machine knows you]"
)
def approve(sha256: str, directory: Path, note: str, by: str) -> None:
    """Approve a plan that `cycle` has written, by its SHA-256, so that the next cycle applies exactly that plan.

    It adds a row to approvals.csv of the workspace, and prints what is approved. Whoever can write to that file can
    approve; a pull request may add the row as well. Remove the row to take the approval back.
    """
    from c7n_iamusers.cycle.approvals import APPROVALS_FILE, Approval, differences, with_approval
    from c7n_iamusers.execution.locks import file_lock
    from c7n_iamusers.execution.stores import DirectoryStore
    from c7n_iamusers.text.documents import NotInFormat, read_json
    from c7n_iamusers_cli.cycle.plans import Plans, approvals_in
    from c7n_iamusers_cli.cycle.workspace import Workspace

    workspace = Workspace.read(directory)
    plans = Plans.of(workspace)
    state = _waiting(plans, sha256)
    plan = read_json(plans.content(state.sha256))
    approvals_in(directory)  # a broken file would be no better with one row more
    who = visible(by or getpass.getuser()).strip()
    if not who or len(who) > _LONGEST_NAME or len(visible(note)) > _LONGEST_NOTE:
        raise click.UsageError(
            f"--by takes 1 to {_LONGEST_NAME} characters, and --note at most {_LONGEST_NOTE}"
        )
    approval = Approval(state.sha256, state.step, who, max(utc_now(), state.made), note)
    file = directory / APPROVALS_FILE
    try:
        with file_lock(directory / f".{APPROVALS_FILE}.lock"):
            content = file.read_bytes() if file.exists() else None
            DirectoryStore(directory).replace(APPROVALS_FILE, with_approval(content, approval))
    except (OSError, NotInFormat) as error:
        raise PlanInvalid(f"{file} can't be written: {error}: nothing was approved") from error
    for line in differences({**plan, "deletions": [], "changes": []}, plan):
        say(f"{state.step}: {line}")
    say(
        f"{state.step}: approved by {approval.who}, in {counted(len(state.accounts), 'account')}: "
        f"{plans.place(state.sha256)}; the next cycle applies it. To take it back, remove its row in {file}"
    )


def _waiting(plans: Plans, sha256: str) -> PlanState:
    """The plan that is meant. Raises PlanInvalid if none waits, or it is not what its digest says."""
    from c7n_iamusers.cycle.approvals import LASTS

    states = plans.states()
    found = [each for each in states if each.sha256.startswith(sha256)]
    if len(found) != 1:
        waiting = ", ".join(f"{each.sha256} ({each.step})" for each in states if not each.begun)
        raise PlanInvalid(
            f"{counted(len(found), 'plan')} have a SHA-256 that begins with {sha256}: nothing was approved; "
            + (
                f"these wait: {waiting}"
                if waiting
                else "none waits: `c7n-iamusers cycle` makes them, and prints each"
            )
        )
    if found[0].ended:
        raise PlanInvalid(f"{found[0].sha256} was applied on {found[0].ended:%Y-%m-%d}: nothing was approved")
    state = found[0]
    if state.is_too_old(utc_now()):
        raise PlanInvalid(
            f"{state.sha256} was made on {state.made:%Y-%m-%d}: nothing was approved, as a plan counts "
            f"for {LASTS.days} days: run the cycle, which makes it anew"
        )
    return state
