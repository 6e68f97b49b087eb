# SPDX-License-Identifier: Apache-2.0
"""What an action leaves in its policy's output directory, and how its failures end the run.

c7n stops a policy's later actions at the first exception, and it iterates its live list of actions. So
an action that saw failures lets the others (notify above all) run and appends one that raises last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.aws.journal import JOURNAL as JOURNAL
from c7n_iamusers.aws.stores import DirectoryStore, Store
from c7n_iamusers.model.outcome import FAILED, Outcome

OUTCOMES = "outcomes.json"


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


def write_outcomes(place: Path | Store, outcomes: Iterable[Outcome]) -> None:
    """Merge ``outcomes`` into the ``outcomes.json`` of a directory or store.

    Raises OSError where it can't be written, ValueError where the one that is there can't be read.
    """
    store = DirectoryStore(place) if isinstance(place, Path) else place
    add_outcomes(store, outcomes)


def add_outcomes(store: Store, outcomes: Iterable[Outcome]) -> None:
    """Merge ``outcomes`` into the ``outcomes.json`` of ``store``, whoever else writes to it. Raises as above."""
    new = list(outcomes)
    store.update(OUTCOMES, lambda content: merged_outcomes(_rows(store, content), new))


def load_outcomes(store: Store) -> list[dict[str, Any]]:
    """The rows of ``outcomes.json``, none where there is no such file.

    Raises OSError where it can't be read, ValueError where it is not one that a run left.
    """
    return _rows(store, store.read(OUTCOMES))


def _rows(store: Store, content: bytes | None) -> list[dict[str, Any]]:
    try:
        rows: Any = json.loads(content or b"[]")
    except ValueError as error:
        raise ValueError(_foreign(store, str(error))) from error
    if not (isinstance(rows, list) and all(map(_is_row, rows))):
        raise ValueError(_foreign(store, "no list of users' outcomes"))
    found: list[dict[str, Any]] = rows
    return found


def merged_outcomes(earlier: Iterable[dict[str, Any]], outcomes: Iterable[Outcome]) -> bytes:
    """The content of ``outcomes.json``: the latest outcome of each user, earlier ones under its ``history``.

    A user is one unique id. A row, or an outcome, without one (of the version before, or of a provisioning) is of
    whoever has the ARN.
    """
    rows = list(earlier)
    place = {(row["arn"], row.get("unique_id", "")): number for number, row in enumerate(rows)}
    latest = {row["arn"]: number for number, row in enumerate(rows)}
    for outcome in outcomes:
        arn, unique_id = outcome.arn, outcome.unique_id
        at = place.get((arn, unique_id), place.get((arn, "")) if unique_id else latest.get(arn))
        before = rows[at] if at is not None else None
        row = {**outcome.as_data()}
        if before:
            row["unique_id"] = unique_id or before.get("unique_id", "")
            former = {key: value for key, value in before.items() if key != "history"}
            row["history"] = [*before.get("history", ()), former]
        if at is None:
            at = len(rows)
            rows.append(row)
        rows[at] = row
        place[arn, row["unique_id"]] = latest[arn] = at
    return json.dumps(rows, indent=2).encode()


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict) and isinstance(row.get("arn"), str) and isinstance(row.get("history", []), list)
    )


def _foreign(store: Store, why: str) -> str:
    return f"{store.place(OUTCOMES)} is not a file of outcomes ({why}), and is not overwritten: move it away"


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
