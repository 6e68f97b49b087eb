# SPDX-License-Identifier: Apache-2.0
"""Undoing one run: ``c7n-iamusers provision --undo RESULT``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

from c7n_iamusers.aws.center_reader import CenterReader
from c7n_iamusers.aws.created_reader import CreatedReader
from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.means import Means
from c7n_iamusers.aws.single_writer import SingleWriter
from c7n_iamusers.aws.stores import Store
from c7n_iamusers.aws.work import DONE, Ended, Judged
from c7n_iamusers.decisions.undo_plan import plan_undo
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.access_run import Manner
from c7n_iamusers.fleet.center import Center
from c7n_iamusers.fleet.exclusive import exclusive
from c7n_iamusers.fleet.only_access import UsersNow, needed_memberships, nobody_asked
from c7n_iamusers.fleet.run_directory import open_journal, read_result
from c7n_iamusers.model.creations import Created
from c7n_iamusers.model.intent_documents import permission_set_from
from c7n_iamusers.model.undo import UndoPlan

JOURNAL, UNDONE = "undo-journal.jsonl", "undone.json"


def undo(
    output: Store,
    result: str,
    center_in: Callable[[str], Center],
    say: Callable[[str], None],
    manner: Manner | None = None,
    users_now: UsersNow | None = nobody_asked,
) -> list[str]:
    """Remove what a run created; only say so without a ``manner``. The failures, in words.

    ``result``: the name of the run's result in ``output``.
    ``center_in``: the Identity Center in a Region. ``users_now``: tells which IAM users are there still, so that
    nobody is locked out; None to remove access whoever may have no other.

    Raises IdentityCenterError where the result is of another instance or can't be read, ClientError where Identity
    Center can't be; nothing is touched then.
    """
    data = read_result(output, result)
    center = center_in(data["region"])
    if center.instance.arn != data["instance"]:
        raise IdentityCenterError(
            f"{output.place(result)} is of instance {data['instance']}, not of {center.instance.arn}: give the "
            "--role and --region of that one"
        )
    with exclusive(output, center.instance) if manner else nullcontext():
        plan = _plan(data, center, users_now)
        for line in _lines(plan):
            say(line)
        place = result[: result.rfind("/") + 1]
        return _apply(plan, center, output, place, say, manner) if manner and plan.changes else []


def _plan(data: Mapping[str, Any], center: Center, users_now: UsersNow | None) -> UndoPlan:
    reader = CenterReader.through(center.clients, center.instance, center.backoff)
    standing = CreatedReader(reader).read(map(Created.from_data, data["created"]))
    asked = {name: permission_set_from(each) for name, each in data["permission-sets"].items()}
    needed = needed_memberships(data, standing, reader, users_now) if users_now else {}
    return plan_undo(standing, asked, center.instance, needed)


def _apply(
    plan: UndoPlan, center: Center, output: Store, place: str, say: Callable[[str], None], manner: Manner
) -> list[str]:
    """``place``: what the names of the run's files begin with."""
    with open_journal(output, f"{place}{JOURNAL}") as journal:
        means = Means(
            center.clients,
            center.instance,
            journal,
            # A deletion that came too early is simply tried again.
            lambda change, _: Judged(change.calls),
            center.rate,
            center.backoff,
            manner.timeout,
            stopped=manner.stopped,
            progress=manner.progress,
        )
        ended = SingleWriter(means, plan.changes).run()
    _record(plan, ended, output, f"{place}{UNDONE}")
    say(f"Undone: {sum(each.status == DONE for each in ended.values())} of {len(plan.changes)}.")
    return sorted({each.reason for each in ended.values() if each.status != DONE})


def _record(plan: UndoPlan, ended: Mapping[str, Ended], output: Store, name: str) -> None:
    names = {change.key: f"{change.kind} {change.name}" for change in plan.changes}
    data = {
        "finished": utc_now().isoformat(),
        "removed": [names[key] for key, each in ended.items() if each.status == DONE],
        "failed": [f"{names[key]}: {each.reason}" for key, each in ended.items() if each.status != DONE],
        "kept": [f"{each.name}: {each.reason}" for each in plan.kept],
    }
    output.replace(name, json.dumps(data, indent=1).encode())


def _lines(plan: UndoPlan) -> Iterator[str]:
    for change in plan.changes:
        yield f"  - {change.kind:<14} {change.name}"
    for kept in plan.kept:
        yield f"  ! {'kept':<14} {kept.name}: {kept.reason}"
    yield f"Plan: {len(plan.changes)} to delete, {len(plan.kept)} kept."
