# SPDX-License-Identifier: Apache-2.0
"""Decisions are values: code decides by the code of a reason, and nothing reads its text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from c7n_iamusers import reasons
from c7n_iamusers.reasons import REASONS, Kind

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[1]
PACKAGES = ("c7n_iamusers", "c7n_iamusers_cli")
KINDS = [each for code, each in REASONS.items() if code]
#: Reasons that people write into rules and replies: a text is all that they are.
OF_PEOPLE = {"c7n_iamusers/exemptions.py", "c7n_iamusers/notices/requests.py"}
_TESTS = frozenset(
    "startswith endswith find rfind index rindex count split rsplit splitlines partition rpartition removeprefix "
    "removesuffix replace strip lstrip rstrip casefold lower translate".split()
)
_EXPRESSIONS = frozenset("match search fullmatch sub subn split findall finditer".split())
_MEMBERS = frozenset({"text", "for_owners"})


def _is_reason(node: ast.expr) -> bool:
    """Whether an expression is a reason, or its text, by its name."""
    if isinstance(node, ast.Name):
        return node.id == "reason" or node.id.endswith("_reason")
    if isinstance(node, ast.Attribute):
        return node.attr in ("reason", "skipped") or (node.attr in _MEMBERS and _is_reason(node.value))
    if isinstance(node, ast.Subscript):
        return (isinstance(node.slice, ast.Constant) and node.slice.value == "reason") or _is_reason(
            node.value
        )
    if isinstance(node, ast.BoolOp):
        return any(map(_is_reason, node.values))
    if isinstance(node, ast.Call):
        of_row = isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args[:1]
        named = of_row and isinstance(node.args[0], ast.Constant) and node.args[0].value == "reason"
        text = isinstance(node.func, ast.Name) and node.func.id == "str" and any(map(_is_reason, node.args))
        return bool(named or text or _is_reason(node.func))
    return False


def readings(source: str) -> Iterator[int]:
    """The lines that test, cut or search the text of a reason."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            tests = node.func.attr in _TESTS and _is_reason(node.func.value)
            if tests or (node.func.attr in _EXPRESSIONS and any(map(_is_reason, node.args))):
                yield node.lineno
        elif isinstance(node, ast.Compare):
            for operator, right in zip(node.ops, node.comparators, strict=True):
                sides = (node.left, right)
                if isinstance(operator, ast.In | ast.NotIn) and _is_reason(right):
                    yield node.lineno
                elif isinstance(operator, ast.Eq | ast.NotEq) and any(map(_is_reason, sides)):
                    if any(isinstance(each, ast.Constant) and each.value for each in sides):
                        yield node.lineno
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and _is_reason(node.value):
            yield node.lineno


def test_no_code_reads_meaning_out_of_the_text_of_a_reason() -> None:
    found = [
        f"{name}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if (name := path.relative_to(ROOT).as_posix()) not in OF_PEOPLE
        for line in readings(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "decide by the code of the reason (c7n_iamusers/reasons.py)"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("x = reason.startswith('not in')", True, id="begins"),
        pytest.param("x = outcome.reason.text.partition(':')", True, id="cut"),
        pytest.param("x = row['reason'].removeprefix('user')", True, id="of-a-row"),
        pytest.param("x = str(row.get('reason') or '').split(':')", True, id="or-nothing"),
        pytest.param("x = user.reason().endswith('.')", True, id="called"),
        pytest.param("x = 'broken' in reason", True, id="within"),
        pytest.param("x = refusal.reason == 'active'", True, id="equal"),
        pytest.param("x = _REMEDY.sub('', reason)", True, id="expression"),
        pytest.param("x = re.match('a', each['reason'])", True, id="expression-on-a-row"),
        pytest.param("x = planned.skipped.text[:10]", True, id="slice"),
        pytest.param("x = reason.code == 'Active'", False, id="code"),
        pytest.param("x = reason.code in NO_QUARANTINE", False, id="codes"),
        pytest.param("x = f'{reason.text}: more'", False, id="told"),
        pytest.param("x = row['reason'] == ''", False, id="none"),
        pytest.param("x = former['reason'] == row['reason']", False, id="the-same"),
    ],
)
def test_what_counts_as_reading_a_reason(source: str, found: bool) -> None:
    assert bool(list(readings(source))) is found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_a_row_is_whole(kind: Kind) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z]+", kind.code)
    assert kind.sentence or kind.remedy
    assert "  " not in kind.sentence + kind.remedy
    with pytest.raises(TypeError, match=f"{kind.code} has the parameters"):
        kind(unknown=1, **dict.fromkeys(kind.parameters, "x"))


def test_every_row_is_made_somewhere() -> None:
    constants = {name: each for name, each in vars(reasons).items() if isinstance(each, Kind)}
    assert {each.code for each in constants.values()} == {each.code for each in KINDS}
    sources = "".join(
        path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "reasons.py"
    )
    # those of errors are made by the name of their class
    from c7n_iamusers import exceptions

    unused = {
        name
        for name, each in constants.items()
        if not re.search(rf"\b{name}\b", sources) and not hasattr(exceptions, each.code)
    }
    assert unused == {"FAILED_UNEXPECTEDLY"} - {"FAILED_UNEXPECTEDLY"} or unused == set()


ACTIVE = reasons.ACTIVE(days=30, use="its password was used")
BROKEN = reasons.QUARANTINE_UNDONE(since=__import__("datetime").datetime(2026, 11, 1), how="gone")
