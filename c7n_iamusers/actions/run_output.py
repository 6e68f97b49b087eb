# SPDX-License-Identifier: Apache-2.0
"""What an action leaves in its policy's output directory, and how its failures end the run.

c7n stops a policy's later actions at the first exception, and it iterates its live list of actions. So
an action that saw failures lets the others (notify above all) run and appends one that raises last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.model.outcome import FAILED, Outcome

ANNOTATION = "c7n:IamUser"
JOURNAL = "journal.jsonl"
OUTCOMES = "outcomes.json"
SNAPSHOTS = "snapshots"


def output_directory(manager: Any) -> Path:
    """The policy's output directory, ``<-s DIR>/<policy>/`` or ``<-s DIR>/<account>/<region>/<policy>/``.

    Raises PolicyExecutionError where the output is not a directory that outlives the run: c7n's s3 output
    is a temporary one, uploaded at the end, so a crash would take snapshots and journal with it.
    """
    output = manager.ctx.output
    if getattr(output, "type", "") not in ("file", "default"):
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: output {output} does not outlive a crash of the run, so snapshots and "
            "journal are not safe there: give a directory (-s DIR) and copy it away afterwards. Nothing was touched"
        )
    return Path(manager.ctx.log_dir)


def write_outcomes(directory: Path, outcomes: Iterable[Outcome]) -> None:
    """Merge ``outcomes`` into ``outcomes.json``: the latest of each user, earlier ones under its ``history``."""
    path = directory / OUTCOMES
    rows: dict[str, dict[str, Any]] = {}
    if path.exists():
        rows = {row["arn"]: row for row in json.loads(path.read_text(encoding="utf-8"))}
    for outcome in outcomes:
        earlier = rows.get(outcome.arn)
        row = outcome.as_data()
        if earlier:
            row["history"] = [*earlier.pop("history", []), earlier]
        rows[outcome.arn] = row
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(list(rows.values()), indent=2), encoding="utf-8")
    os.replace(draft, path)


def annotate(resource: dict[str, Any], key: str, value: Any) -> None:
    """Put ``value`` under ``key`` of the resource's ``c7n:IamUser``, for later actions and reports."""
    resource.setdefault(ANNOTATION, {})[key] = value


def fail_at_the_end(manager: Any, action: str, outcomes: Iterable[Outcome]) -> None:
    """Where an outcome is a failure: let the policy's later actions run, then end it with an error."""
    failed = [outcome for outcome in outcomes if outcome.status == FAILED]
    if failed:
        manager.actions.append(_RaiseAtTheEnd(action, failed, manager))


class _RaiseAtTheEnd(BaseAction):  # type: ignore[misc]  # c7n is untyped
    type = "raise-at-the-end"

    def __init__(self, action: str, failed: list[Outcome], manager: Any) -> None:
        super().__init__({}, manager)
        self._action, self._failed = action, failed

    def process(self, resources: list[dict[str, Any]]) -> None:
        named = "; ".join(f"{outcome.arn}: {outcome.reason}" for outcome in self._failed[:10])
        more = f"; and {len(self._failed) - 10} more, see {OUTCOMES}" if len(self._failed) > 10 else ""
        raise PolicyExecutionError(
            f"policy {self.manager.data.get('name')}: {self._action} failed for "
            f"{len(self._failed)} users: {named}{more}"
        )
