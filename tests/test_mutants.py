# SPDX-License-Identifier: Apache-2.0
"""What ``make mutants`` changes, and that it tells a test that fails from one that does not."""

from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest, mutants

SOURCE = '''
"""Docstrings stay."""
LIMIT = 3


class Gate:
    def closed(self, days: int, names: list[str]) -> str | None:
        """Docstrings stay."""
        if days < 3 and names:
            raise ValueError(f"{days} < 3")
        log.info("what is logged stays")
        self.count(True)
        return None if not days else [name for name in names if name in "ab"]

    def open(self) -> str:
        return ""
'''

CHOICE = "None if not days else [name for name in names if name in ..."


def changes() -> dict[str, str]:
    """The key of each mutant of SOURCE -> the line that differs, as Python writes it."""
    before = ast.unparse(ast.parse(SOURCE)).splitlines()
    found = {}
    for mutant in mutants.mutants_of(SOURCE, "c7n_iamusers/gate.py"):
        after = ast.unparse(mutants.mutated(SOURCE, mutant)).splitlines()
        [found[mutant.key]] = [new.strip() for old, new in zip(before, after, strict=True) if old != new]
    return found


def test_each_mutant_is_one_small_error() -> None:
    assert changes() == {
        "Gate.closed: days < 3 with LtE": "if days <= 3 and names:",
        "Gate.closed: 4 for 3": "if days < 4 and names:",
        "Gate.closed: days < 3 and names without days < 3": "if names:",
        "Gate.closed: days < 3 and names without names": "if days < 3:",
        "Gate.closed: no raise": "pass",
        "Gate.closed: if days < 3 and names never": "if False:",
        "Gate.closed: False for True": "self.count(False)",
        "Gate.closed: no self.count(True)": "pass",
        "Gate.closed: not days without not": (
            "return None if days else [name for name in names if name in 'ab']"
        ),
        "Gate.closed: name in 'ab' with NotIn": (
            "return None if not days else [name for name in names if name not in 'ab']"
        ),
        "Gate.closed: for name in all names": "return None if not days else [name for name in names]",
        f"Gate.closed: {CHOICE} the second": ("return [name for name in names if name in 'ab']"),
        f"Gate.closed: return None for {CHOICE}": "return None",
    }


@pytest.mark.soak
def test_every_module_has_mutants_that_compile() -> None:
    for file in (each for modules in mutants.MODULES.values() for each in modules):
        source = file.read_text(encoding="utf-8")
        found = mutants.mutants_of(source, str(file.relative_to(mutants.TREE)))
        assert len({each.key for each in found}) == len(found), "a key names one mutant"
        for each in found[:3]:
            compile(mutants.mutated(source, each), str(file), "exec")


def test_every_module_that_is_shipped_is_in_one_room() -> None:
    shipped = {
        path
        for path in mutants.TREE.glob("c7n_iamusers*/**/*.py")
        if mutants.mutants_of(path.read_text(encoding="utf-8"), "")
    }
    every = [path for modules in mutants.MODULES.values() for path in modules]
    assert shipped <= {*every}
    assert len({*every}) == len(every)
    assert {"deletion", "report", "identity_center/aws", "c7n_iamusers_cli"} <= mutants.MODULES.keys()


@pytest.mark.parametrize(
    ("path", "room", "tests"),
    [
        ("c7n_iamusers/deletion/plan.py", "deletion", "tests/deletion/"),
        ("c7n_iamusers/identity_center/aws/reader.py", "identity_center/aws", "tests/identity_center/aws/"),
        ("c7n_iamusers/identity_center/audit.py", "identity_center", "tests/identity_center/"),
        ("c7n_iamusers/exemptions.py", "c7n_iamusers", "tests/test_"),
        ("c7n_iamusers_cli/cycle/command.py", "c7n_iamusers_cli", "tests/cli/"),
    ],
)
def test_the_room_of_a_module_and_its_tests(path: str, room: str, tests: str) -> None:
    mutant = mutants.Mutant(path, 0, 1, "", range(1))
    assert (mutant.room, mutant.tests) == (room, tests)


def test_equivalent_mutants_exist_and_have_a_reason() -> None:
    for key, reason in mutants.known_equivalent().items():
        path, _, name = key.partition(": ")
        source = (mutants.TREE / path).read_text(encoding="utf-8")
        assert name in {each.key for each in mutants.mutants_of(source, path)}, key
        assert reason, key


GATE = "c7n_iamusers/deletion/gate.py"


def lines_of_gate(*running: tuple[str, float, set[int]]) -> mutants.Lines:
    """``running``: a test below ``tests/``, its seconds, and the lines of SOURCE that it runs."""
    found = mutants.Lines([(f"tests/{name}", took) for name, took, _ in running])
    for index, (*_, run) in enumerate(running):
        for line in run:
            found.of[GATE].setdefault(line, array("H")).append(index)
    return found


@pytest.mark.parametrize(
    ("key", "most", "tests"),
    [
        pytest.param("Gate.closed: days < 3 with LtE", (9, 99), ["own", "quick", "slow", "rare"], id="all"),
        pytest.param("Gate.closed: days < 3 with LtE", (2, 99), ["own", "rare"], id="half-by-another-way"),
        pytest.param(
            "Gate.closed: days < 3 with LtE", (9, 12), ["own", "quick", "slow"], id="within-half-the-time"
        ),
        pytest.param("Gate.closed: days < 3 with LtE", (9, 0), ["rare"], id="one-at-least"),
        pytest.param("Gate.closed: no raise", (9, 99), ["rare"], id="of-a-line-of-one"),
        pytest.param(
            "Gate.closed: no self.count(True)", (9, 99), ["own", "quick", "slow"], id="of-a-line-of-three"
        ),
    ],
)
def test_some_tests_take_the_way_of_few_and_the_quick_come_first(
    monkeypatch: pytest.MonkeyPatch, key: str, most: tuple[int, float], tests: list[str]
) -> None:
    monkeypatch.setattr(mutants, "MOST_TESTS", most[0])
    monkeypatch.setattr(mutants, "MOST_SECONDS", most[1])
    source = SOURCE.lstrip()
    at = {text.strip(): number for number, text in enumerate(source.splitlines(), 1)}
    common = at["if days < 3 and names:"]
    usual = {common, at["self.count(True)"]}
    lines = lines_of_gate(
        ("iam/slow", 3, usual),
        ("iam/quick", 1, usual),
        ("deletion/own", 2, usual),
        ("iam/rare", 9, {common, at['raise ValueError(f"{days} < 3")']}),
    )
    (mutant,) = (each for each in mutants.mutants_of(source, GATE) if each.key == key)
    assert [name.rpartition("/")[2] for name in lines.tests_of(mutant)] == tests


def test_on_request_all_tests_of_a_line_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "MOST_TESTS", 1)
    monkeypatch.setattr(mutants, "MOST_SECONDS", 0)
    mutant = mutants.mutants_of(SOURCE.lstrip(), GATE)[0]
    lines = lines_of_gate(("iam/slow", 9, {mutant.line}), ("deletion/own", 9, {mutant.line}))
    assert lines.tests_of(mutant) == ["tests/deletion/own"]
    lines.whole = True
    assert lines.tests_of(mutant) == ["tests/deletion/own", "tests/iam/slow"]


def test_what_runs_while_its_module_is_imported_has_the_tests_of_the_module() -> None:
    (mutant, *_) = mutants.mutants_of(SOURCE, GATE)
    assert lines_of_gate().tests_of(mutant) == []
    assert lines_of_gate(("iam/any", 1, {99})).tests_of(mutant) == ["tests/iam/any"]


def test_directories_are_learned_once_each_and_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutants, "CACHE", tmp_path)
    for number, name in enumerate(("iam", "deletion")):
        lines = lines_of_gate((f"{name}/first", 1, {1}), (f"{name}/second", 1, {1, 2 + number}))
        (tmp_path / f"tests.{name}.pickle").write_bytes(pickle.dumps((lines.tests, dict(lines.of))))
    found = mutants.learned(1, False, ["tests/iam", "tests/deletion/"])
    names = {line: [found.tests[index][0] for index in indices] for line, indices in found.of[GATE].items()}
    iam, deletion = "tests/iam/", "tests/deletion/"
    assert names == {
        1: [f"{iam}first", f"{iam}second", f"{deletion}first", f"{deletion}second"],
        2: [f"{iam}second"],
        3: [f"{deletion}second"],
    }


KILLED = """
from tests import mutants
path = "c7n_iamusers/text/wording.py"
source = (mutants.TREE / path).read_text(encoding="utf-8")
mutant = next(each for each in mutants.mutants_of(source, path) if each.key.startswith("{function}: return None"))
print(mutants.outcome(mutant, ["{test}"], 60))
"""


@pytest.mark.parametrize(
    ("function", "code"),
    [pytest.param("cell", "1", id="of-its-line"), pytest.param("shown", "0", id="of-another")],
)
def test_a_mutant_is_killed_by_a_test(function: str, code: str) -> None:
    script = KILLED.format(
        function=function,
        test="tests/text/test_wording.py::test_no_part_of_a_cell_is_a_formula[full-width-equals]",
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=mutants.TREE, capture_output=True, text=True)
    assert ran.stdout.strip() == code, ran.stderr


class Case:
    """Of a wide table, as pytest collects it."""

    def __init__(self, number: int) -> None:
        self.name = f"test_wide[{number}]"
        self.path = Path("tests/cli/test_x.py")
        self.nodeid = f"{self.path}::{self.name}"

    def get_closest_marker(self, _: str) -> None:
        return None


def cases() -> list[Any]:
    return [Case(number) for number in range(30)]


@pytest.mark.parametrize("every", [False, True])
def test_every_case_of_a_wide_table_is_run_if_asked(every: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOAK_PAIRS", raising=False)
    monkeypatch.delenv(conftest.EVERY_CASE, raising=False)
    if every:
        monkeypatch.setenv(conftest.EVERY_CASE, "1")
    found = tried()
    assert found
    assert (len(found) == len(cases())) is every


def tried() -> set[str]:
    """The cases of the table that are run."""
    options: Any = SimpleNamespace(keyword="")
    hook = SimpleNamespace(pytest_deselected=lambda items: None)
    config: Any = SimpleNamespace(option=options, args=["tests/cli"], hook=hook)
    found = cases()
    conftest.pytest_collection_modifyitems(config, found)
    return {each.name for each in found}


def test_each_commit_tries_other_cases_until_all_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOAK_PAIRS", conftest.EVERY_CASE):
        monkeypatch.delenv(name, raising=False)
    samples = []
    for number in range(30):
        monkeypatch.setattr(conftest, "_commit", f"{number:07x}".format)
        monkeypatch.delenv(conftest.SAMPLE, raising=False)
        conftest.pytest_configure()
        samples.append(tried())
        assert tried() == samples[-1]
    assert set.union(*samples) == {each.name for each in cases()}
    assert len({frozenset(each) for each in samples}) > 10
    assert all(len(each) < len(cases()) * 2 / 3 for each in samples)


@pytest.mark.parametrize("fails", [False, True])
def test_the_sample_is_the_same_everywhere_without_git(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> Any:
        if fails:
            raise FileNotFoundError
        return SimpleNamespace(stdout="", returncode=128)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.delenv(conftest.SAMPLE)
    conftest.pytest_configure()
    assert conftest.pytest_report_header().endswith("SAMPLE=")


def test_lines_are_learned_and_mutants_tried_with_every_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a mutant survives that is killed only by a case which a commit does not run."""
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(pytest, "main", lambda *_, **__: int(conftest.EVERY_CASE not in os.environ))
    assert mutants.outcome(None, ["tests/cli/test_x.py::test_wide[1]"], 60) == 0
    monkeypatch.setattr(mutants, "CACHE", tmp_path)
    monkeypatch.setattr(mutants, "_Learning", lambda: SimpleNamespace(lines=mutants.Lines()))
    mutants.learn(0, 1, "tests/lockout")
    assert conftest.EVERY_CASE in os.environ
