# SPDX-License-Identifier: Apache-2.0
"""The marker of fast tests, and the versions of the tools."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.pure
ROOT = Path(__file__).parents[1]
MARK = "pytestmark = pytest.mark.pure\n"
MARKED = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if MARK in path.read_text()]
#: What no pure test imports: AWS, Cloud Custodian, commands, other processes, and helpers that take these.
IMPURE = re.compile(
    r"(aws_local_org|boto3|botocore|c7n|c7n_org|c7n_mailer|moto|subprocess"
    r"|tests\.(policies|packaging|readme|replay))\b"
)


def imported(path: Path) -> set[str]:
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    names = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    return names | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", MARKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_marked_as_pure_imports_nothing_else(path: Path) -> None:
    assert not [name for name in imported(path) if IMPURE.match(name)]


def test_each_tool_has_one_version() -> None:
    """In constraints.txt; what the package itself runs with is not among them."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    extras = [
        ast.literal_eval(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value in ("docs", "dev")
    ]
    assert len(extras) == 2
    wanted = {re.split(r"[<>=;\[]", each)[0].lower() for tools in extras for each in tools}
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert wanted - pinned == {"moto", "placebo", "setuptools"}
    assert pinned <= wanted


#: What leaves out, without an error, what it can't read.
SILENT = {"glob", "rglob", "iterdir", "listdir"}


@pytest.mark.parametrize("package", ["c7n_iamusers", "c7n_iamusers_cli"])
def test_one_module_lists_directories(package: str) -> None:
    """``execution/stores.py``, by ``below`` and ``entries``: they raise an error for what can't be read."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != ROOT / "c7n_iamusers" / "execution" / "stores.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr in SILENT or ast.unparse(node.func) == "os.walk")
    ]
    assert found == []


def test_each_name_of_the_conftest_is_of_a_test() -> None:
    """Else what was renamed runs at the end, or with each commit."""
    tree = ast.parse((ROOT / "tests" / "conftest.py").read_text())
    values = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("LONGEST", "THIRDS")
    }
    paths = [*(ROOT / "tests").rglob("test_*.py")]
    modules, texts = {path.stem for path in paths}, "".join(path.read_text() for path in paths)
    named = values["LONGEST"].union(*values["THIRDS"])
    assert [each for each in named if each not in modules and f"def {each}(" not in texts] == []
    assert len(set.union(*values["THIRDS"])) == sum(map(len, values["THIRDS"]))
