# SPDX-License-Identifier: Apache-2.0
"""What ``make mutants`` changes, and that it tells a test that fails from one that does not."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests import mutants

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
    for room in mutants.ROOMS:
        path = mutants.PACKAGE / room
        for file in [path] if path.is_file() else path.rglob("*.py"):
            source = file.read_text(encoding="utf-8")
            found = mutants.mutants_of(source, str(file.relative_to(mutants.TREE)))
            assert len({each.key for each in found}) == len(found), "a key names one mutant"
            for each in found[:3]:
                compile(mutants.mutated(source, each), str(file), "exec")


def test_equivalent_mutants_exist_and_have_a_reason() -> None:
    for key, reason in mutants.known_equivalent().items():
        path, _, name = key.partition(": ")
        source = (mutants.TREE / path).read_text(encoding="utf-8")
        assert name in {each.key for each in mutants.mutants_of(source, path)}, key
        assert reason, key


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


def test_mutants_that_change_nothing_are_still_there_and_have_a_reason() -> None:
    """A key without its mutant is of code that has changed: look again."""
    known = mutants.known_equivalent()
    for path in {key.partition(": ")[0] for key in known}:
        source = (mutants.TREE / path).read_text(encoding="utf-8")
        found = {f"{each.path}: {each.key}" for each in mutants.mutants_of(source, path)}
        assert {key for key in known if key.startswith(f"{path}: ")} <= found
    assert all(known.values())
