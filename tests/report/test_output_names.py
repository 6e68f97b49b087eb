# SPDX-License-Identifier: Apache-2.0
"""What a file of an output is, by its name: whatever reports read, ``verify`` reads, or says that no run leaves it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from c7n_iamusers.exceptions import OutputUnreadable
from c7n_iamusers.execution.journal import JournalReader
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.report.checks import BLOCKING
from c7n_iamusers.report.output_names import (
    GZ,
    JOURNALS,
    OBJECT,
    OF_CUSTODIAN,
    OF_RUNS,
    SEGMENT,
    SNAPSHOT,
    STRAY,
    what_is,
)
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.outputs import UNREADABLE
from c7n_iamusers.report.verification import Verified, verify_outputs
from c7n_iamusers.text.documents import LARGEST

pytestmark = [pytest.mark.pure, pytest.mark.whole]
RUN, PARTS = "20260102T000000Z-0123abcd", "20260102T000000.000000Z-0123abcd"
#: Directories in which nobody can see where their name ends.
HOSTILE = ("x\ny/", "x\ry/", "x\u2028y/", "x\u2029y/", "x\x85y/", "x\x1b[8my/", "x\ny/park/")
#: Directories in which a run, or somebody else, may leave an output.
PLACES = (
    *(
        "",
        "park/",
        "payments/us-east-1/park/",
        "journal/us-east-1/park/",
        " x/",
        "x\u00a0y/",
        "park/2026/01/02/03/",
    ),
    *("identity-center-runs/1/", "x-identity-center-runs/park/", "snapshots/", "undo-journal/", *HOSTILE),
)
NAMES = (
    *(f"{name}{packed}" for name in (*OF_CUSTODIAN, *OF_RUNS, *JOURNALS) for packed in ("", GZ)),
    *(f"journal/{run}/{user}.AIDA1.jsonl" for run in (RUN, PARTS, "x") for user in ("eve", "x\ny", "a.b")),
    *("journal/eve.AIDA1.jsonl", f"journal/{RUN}/x/eve.AIDA1.jsonl", f"journal/{PARTS}/00000000.jsonl"),
    *(f"journal/journal/{RUN}/eve.AIDA1.jsonl", f"undo-journal/{RUN}/eve.AIDA1.jsonl"),
    *("snapshots/eve.AIDA1.json", "snapshots/x\ny.AIDA1.json", "snapshots/x/eve.AIDA1.json"),
)


class Noting(DirectoryStore):
    """Notes what is read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.noted = set[str]()

    def read(self, name: str, largest: int = LARGEST) -> bytes | None:
        content = super().read(name, largest)
        self.noted |= set() if content is None else {str(Path(name))}
        return content


def found_by_verify(path: Path) -> tuple[set[str], set[str]]:
    """What it reads; and what it says is wrong, of the files below ``path``."""
    store, verified = Noting(path), Verified()
    verify_outputs(store, lambda _: "", verified)
    wrong = {each.place.removeprefix(f"{path}/") for each in verified.found if each.level == BLOCKING}
    return store.noted, wrong


def left(path: Path, content: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def read_by_reports(path: Path) -> set[str]:
    store = Noting(path)
    with suppress(OutputUnreadable):
        read_outputs(store)
    return store.noted


@pytest.mark.parametrize("place", PLACES)
def test_verify_reads_what_reports_read_wherever_it_lies(tmp_path: Path, place: str) -> None:
    everything, alone, noted = tmp_path / "all", tmp_path / "alone", set[str]()
    for name in NAMES:
        left(everything / place / name)
        # one after the other, too: a file that is there twice hides others
        left(alone / place / name)
        noted |= read_by_reports(alone)
        (alone / place / name).unlink()
    lines = Noting(everything / place)
    assert [*JournalReader(lambda: [lines]).lines()] == []
    noted |= {f"{place}{each}" for each in lines.noted} | read_by_reports(everything)
    read, wrong = found_by_verify(everything)
    of_custodian = {f"{place}{name}{packed}" for name in OF_CUSTODIAN for packed in ("", GZ)}
    assert noted - of_custodian - read - wrong == set()
    assert lines.noted


@pytest.mark.parametrize("name", ["journal.jsonl", f"journal/{RUN}/eve.AIDA1.jsonl"])
@pytest.mark.parametrize(("place", "hostile"), [*((each, True) for each in HOSTILE), ("park/", False)])
def test_a_name_that_goes_on_elsewhere_is_told_by_all_and_no_report_reads_it(
    tmp_path: Path, place: str, hostile: bool, name: str
) -> None:
    left(tmp_path / place / name)
    left(tmp_path / place / "outcomes.json", b"[]")
    assert (f"{place}{name}" in found_by_verify(tmp_path)[1]) is hostile
    (output,) = read_outputs(DirectoryStore(tmp_path))
    assert [output.state == UNREADABLE, "control character" in output.why] == [hostile] * 2
    assert bool(read_by_reports(tmp_path)) is not hostile


def test_a_report_says_what_no_run_leaves_in_the_directory_of_a_journal(tmp_path: Path) -> None:
    left(tmp_path / "park" / "outcomes.json", b"[]")
    left(tmp_path / "park" / "journal" / "x" / "eve.AIDA1.jsonl")
    (output,) = read_outputs(DirectoryStore(tmp_path))
    assert (output.state, "and no run writes that" in output.why) == (UNREADABLE, True)


@pytest.mark.parametrize(
    ("name", "what", "place"),
    [
        ("journal.jsonl", "journal.jsonl", ""),
        ("a/b/outcomes.json.gz", "outcomes.json", "a/b/"),
        (f"a/journal/{RUN}/eve.AIDA1.jsonl", OBJECT, "a/"),
        (f"a/journal/{PARTS}/00000000.jsonl", STRAY, "a/"),
        (f"identity-center-runs/1/journal/{PARTS}/00000000.jsonl", SEGMENT, "identity-center-runs/1/"),
        (f"identity-center-runs/1/undo-journal/{PARTS}/00000000.jsonl", SEGMENT, "identity-center-runs/1/"),
        (f"identity-center-runs/1/journal/{RUN}/eve.AIDA1.jsonl", STRAY, "identity-center-runs/1/"),
        ("journal/us-east-1/park/outcomes.json", "outcomes.json", "journal/us-east-1/park/"),
        (f"journal/us-east-1/park/journal/{RUN}/eve.AIDA1.jsonl", OBJECT, "journal/us-east-1/park/"),
        ("a/snapshots/eve.AIDA1.json", SNAPSHOT, "a/"),
        ("a/snapshots/x/eve.AIDA1.json", "", "a/snapshots/x/"),
        ("a/result.json", "", "a/"),
        ("identity-center-runs/1/result.json", "result.json", "identity-center-runs/1/"),
        ("a/readme.txt", "", "a/"),
    ],
)
def test_what_a_file_is(name: str, what: str, place: str) -> None:
    found = what_is(name)
    assert (found.what, found.place, found.full, found.fault) == (what, place, name, "")


@pytest.mark.parametrize(
    "name", ["a//journal.jsonl", "./journal.jsonl", "a/../journal.jsonl", "/outcomes.json"]
)
def test_a_key_of_a_bucket_may_have_parts_that_no_run_writes(name: str) -> None:
    assert "an empty part, or one of dots" in what_is(name).fault
    assert what_is("a//readme.txt").fault == ""
