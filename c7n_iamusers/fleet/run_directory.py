# SPDX-License-Identifier: Apache-2.0
"""Where runs that change something leave their journal and their result, each in a directory of its own.

A run that was killed has a journal and no result. The next one sees its work through, so it takes over what that
one created into its own result, and what is to be undone is found in one place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.stores import DirectoryStore, make_directory
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.json_pieces import json_pieces

RUNS = "identity-center-runs"
JOURNAL, RESULT = "journal.jsonl", "result.json"


@dataclass(frozen=True)
class RunDirectory:
    """``path``: the run's own; ``resumed``: the journals of killed runs that it carries on."""

    path: Path
    resumed: tuple[Path, ...] = ()

    @classmethod
    def begin(cls, output: Path, now: datetime) -> RunDirectory:
        """A new one below ``output``. Raises OSError."""
        path = output / RUNS / now.strftime("%Y%m%dT%H%M%S.%fZ")
        resumed = tuple(unfinished(output))
        make_directory(path.parent)
        path.mkdir(0o700)
        return cls(path, resumed)

    @property
    def journal(self) -> Path:
        """The run's journal."""
        return self.path / JOURNAL

    @property
    def result(self) -> Path:
        """The run's result."""
        return self.path / RESULT

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines of the journals that it carries on, and of its own; a line cut off by a crash is left out.

        One after the other: a large run leaves some hundred thousand.
        """
        journals = [*self.resumed, self.journal]
        return (line for path in journals if path.exists() for line in _lines(path))

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result; durable when this returns."""
        carried = {"resumes": [path.parent.name for path in self.resumed]}
        DirectoryStore(self.path).replace(RESULT, json_pieces({**result, **carried}))


def read_result(path: Path, schema: int) -> dict[str, Any]:
    """A run's result. Raises IdentityCenterError where it is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IdentityCenterError(f"{path}: can't be read as the result of a run: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != schema or "created" not in data:
        raise IdentityCenterError(
            f"{path} is not the overall result of a run (schema {schema}): give the {RESULT} below {RUNS}/"
        )
    return data


def unfinished(output: Path) -> list[Path]:
    """The journals below ``output`` of runs that were killed and that no other has carried on."""
    finished: set[str] = set()
    journals = []
    runs = output / RUNS
    for run in sorted(runs.iterdir()) if runs.exists() else ():
        if (run / RESULT).exists():
            resumed = json.loads((run / RESULT).read_text(encoding="utf-8")).get("resumes", ())
            finished |= {run.name, *resumed}
        elif (run / JOURNAL).exists():
            journals.append(run / JOURNAL)
    return [path for path in journals if path.parent.name not in finished]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue
