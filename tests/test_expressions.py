# SPDX-License-Identifier: Apache-2.0
"""No regular expression of the packages takes more than linear time, whatever text it is given."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.regex_steps import Steps, TooManySteps, attacks

pytestmark = pytest.mark.sampled

ROOT = Path(__file__).parents[1]
_SEARCHING = ("search", "sub", "subn", "finditer", "findall", "split")
#: What a source has that has an expression in a call or a schema.
_MAY_HAVE = re.compile(r"""\bre\.|\btext\(|["']pattern["']""")
#: Whoever applies these checks the length of the text before: the square of it is little.
SHORT = {
    "c7n_iamusers.iam.user_fields._PIECE": "LONGEST",
}


@dataclass(frozen=True)
class Expression:
    """``searched``: tries begin at each place of a text, not only at its beginning."""

    name: str
    pattern: str
    flags: int
    searched: bool


def expressions(module: str) -> Iterator[Expression]:
    """Those that the module holds, those in calls of ``re``, and those in schemas and shapes."""
    imported = importlib.import_module(module)
    source = Path(str(imported.__file__)).read_text(encoding="utf-8")
    for attribute, value in vars(imported).items():
        if isinstance(value, re.Pattern):
            searched = any(f"{attribute}.{method}(" in source for method in _SEARCHING)
            yield Expression(f"{module}.{attribute}", _text(value.pattern), value.flags, searched)
    if _MAY_HAVE.search(source):
        yield from _in_calls(module, ast.parse(source))


def _text(pattern: str | bytes) -> str:
    return pattern if isinstance(pattern, str) else pattern.decode("latin-1")


def _in_calls(module: str, tree: ast.AST) -> Iterator[Expression]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = _dotted(node.func)
            given = node.args[1:2] if called in ("text", "shapes.text") else node.args[:1]
            # what re.compile() makes is held by the module
            if (called.startswith("re.") and called != "re.compile") or called in ("text", "shapes.text"):
                method = called.rpartition(".")[2]
                yield from _constants(module, node.lineno, given, method in _SEARCHING)
        elif isinstance(node, ast.Dict):
            values = [
                value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == "pattern"
            ]
            yield from _constants(module, node.lineno, values, True)


def _dotted(node: ast.expr) -> str:
    """A name, or a module's name and an attribute; empty for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _constants(module: str, line: int, nodes: list[ast.expr], searched: bool) -> Iterator[Expression]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            yield Expression(f"{module}:{line}", _text(node.value), 0, searched)


def steps(expression: Expression, text: str, most: int) -> int:
    """Of the matcher. Raises TooManySteps."""
    matcher = Steps(expression.pattern, expression.flags & ~re.UNICODE, most)
    if expression.searched:
        matcher.finditer(text)
    else:
        matcher.fullmatch(text)
    return matcher.count


def slow_texts(expression: Expression) -> Iterator[str]:
    """Beginnings of texts that take far more than twice as long when they are twice as long."""
    for before, pump in attacks(expression.pattern, expression.flags & ~re.UNICODE):
        for end in ("", "\0"):
            text = partial(_repeated, before, pump, end)
            # repetitions of at most some hundreds are linear beyond that
            if _grows(expression, text, 20) and _grows(expression, text, 300):
                yield text(3)[:60]


def _repeated(before: str, pump: str, end: str, count: int) -> str:
    return before + pump * count + end


def _grows(expression: Expression, text: Callable[[int], str], count: int) -> bool:
    """Whether twice the text takes far more than twice the steps."""
    try:
        few, more = (steps(expression, text(each), 400_000) for each in (count, 2 * count))
    except TooManySteps:
        return True
    return more > 2.6 * few + 50


#: What a source has that has an expression, its own or another module's.
_MAY_USE = re.compile(rf"{_MAY_HAVE.pattern}|\.(match|fullmatch|{'|'.join(_SEARCHING)})\(")
#: The modules that may have one.
MODULES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("c7n_iamusers", "c7n_iamusers_cli", "aws_local_org")
    for file in sorted((ROOT / package).rglob("*.py"))
    if _MAY_USE.search(file.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("module", MODULES)
def test_no_expression_takes_more_than_linear_time(module: str) -> None:
    for expression in expressions(module):
        found = next(slow_texts(expression), None)
        if expression.name in SHORT:
            assert found is not None, "it is linear: it needs no row in SHORT"
            assert getattr(importlib.import_module(module), SHORT[expression.name]) <= 2048
        else:
            assert found is None, f"{expression.name}: {expression.pattern} is slow for {found!r}, repeated"


@pytest.mark.parametrize("module", MODULES)
def test_the_matcher_that_counts_matches_as_re_does(module: str) -> None:
    for expression in expressions(module):
        flags = expression.flags & ~re.UNICODE
        real = re.compile(expression.pattern, flags)
        for before, pump in attacks(expression.pattern, flags)[:60]:
            for text in (before + pump * 3, before + pump * 9 + "@", pump):
                assert Steps(expression.pattern, flags, 10**7).fullmatch(text) == bool(real.fullmatch(text))
                spans = [found.span() for found in real.finditer(text) if found.group()]
                assert Steps(expression.pattern, flags, 10**7).finditer(text) == spans, expression.name


@pytest.mark.parametrize(
    ("pattern", "searched", "is_slow"),
    [
        pytest.param(r"(a+)+b", False, True, id="nested"),
        pytest.param(r"a*a*b", False, True, id="adjacent"),
        pytest.param(r"\$\{\s*([^}*?$,\s][^},]*?)\s*(?:,\s*'((?:[^']|'')*)'\s*)?\}", False, True, id="lazy"),
        pytest.param(r"\S*@\S*", True, True, id="searched-without-end"),
        pytest.param(r"\{\w+\}(?=[^=]*=)", True, True, id="ahead"),
        pytest.param(r"(\*+)(?![:*])(?=[\s\S])", True, True, id="stars"),
        pytest.param(r"\d{12}\s*[,/\s]\s*\d{12}", True, True, id="spaces"),
        pytest.param(r"(?<!\S)\S*@\S*", True, False, id="from-the-beginning-of-a-word"),
        pytest.param(r"[a-z]{1,64}@", True, False, id="bounded"),
        pytest.param(r"(a|b)*c", False, False, id="plain"),
    ],
)
def test_what_is_slow_is_found(pattern: str, searched: bool, is_slow: bool) -> None:
    assert (next(slow_texts(Expression("given", pattern, 0, searched)), None) is not None) == is_slow
