# SPDX-License-Identifier: Apache-2.0
"""docs/from-a-checkout.md: each file of another format is refused with the message that the page has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.deletion.reviewed_plan import DeletionPlan
from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.execution.journal import parsed
from c7n_iamusers.execution.outcomes import load_outcomes
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.applying.run_history import memberships_left
from c7n_iamusers.identity_center.applying.run_records import read_result
from c7n_iamusers.identity_center.output.plan_files import plan_of
from c7n_iamusers.identity_center.requests.intents import intents_from
from c7n_iamusers.snapshots.snapshot import Snapshot

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "tests" / "data" / "persisted"
PAGE = (ROOT / "docs" / "from-a-checkout.md").read_text(encoding="utf-8")
#: The messages in the table of what is refused, by the text of the first column.
REFUSED = {
    what: told.strip("`")
    for line in PAGE.partition("## What is refused")[2].splitlines()
    if line.startswith("| ")
    for what, told in [line.strip("| ").split(" | ")]
    if told.startswith("`")
}


def without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


def journal(_: Path) -> None:
    line = json.loads((KEPT / "journal.jsonl").read_text().splitlines()[0])
    list(parsed(json.dumps(without(line, "unique_id")).encode()))


def outcomes(place: Path) -> None:
    rows = json.loads((KEPT / "outcomes.json").read_text())
    (place / "outcomes.json").write_text(json.dumps([without(rows[0], "unique_id")]))
    load_outcomes(DirectoryStore(place))


def snapshot(_: Path) -> None:
    data = json.loads((KEPT / "snapshot.json").read_text())
    for name in ("policies", "rights_read", "rights_fingerprint"):
        del data[name]
    Snapshot.from_json(json.dumps({**data, "schema_version": 1}))


def deletion_plan(_: Path) -> None:
    data = json.loads((KEPT / "deletion-plan.json").read_text())
    DeletionPlan.from_json(json.dumps({**data, "schema_version": 0}).encode())


def result(place: Path) -> None:
    (place / "result.json").write_text('{"schema": 0, "created": []}')
    read_result(DirectoryStore(place), "result.json")


READERS: dict[str, Callable[[Path], object]] = {
    "a journal's line without a unique id": journal,
    "`outcomes.json` with a row without a unique id": outcomes,
    "a snapshot, such as one without documents of policies": snapshot,
    "a reviewed plan of deletions": deletion_plan,
    "a plan of access": lambda _: plan_of({"schema": 2}),
    "`identity-center-intents.json`": lambda _: intents_from({"schema": 2}),
    "`identity-center-runs/*/result.json`": result,
    "`identity-center-runs/*/undone.json`": lambda _: memberships_left(b"{}", "undone.json"),
}


@pytest.mark.parametrize("what", READERS)
def test_another_format_is_refused_with_the_message_of_the_page(tmp_path: Path, what: str) -> None:
    with pytest.raises((IamUsersError, OSError, ValueError)) as error:
        READERS[what](tmp_path)
    assert REFUSED[what] in str(error.value)


def test_each_refusal_of_the_page_is_tried() -> None:
    assert REFUSED.keys() == READERS.keys()


def test_the_changelog_ends_at_this_version() -> None:
    """The version is in one place, from which setup.py has it."""
    from c7n_iamusers import __version__

    entries = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert entries[0].startswith(f"## [{__version__}] - ")
