# SPDX-License-Identifier: Apache-2.0
"""Decisions are values: code decides by the code of a reason, and nothing reads its text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers import exceptions, reasons
from c7n_iamusers.reasons import DONE, REASONS, Kind, Reason, in_words, joined, read_reason, trouble_of

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[1]
PACKAGES = ("c7n_iamusers", "c7n_iamusers_cli")
KINDS = [each for code, each in REASONS.items() if code]
#: Reasons that people write into rules and replies: a text is all that they are.
OF_PEOPLE = {"c7n_iamusers/exemptions.py", "c7n_iamusers/notices/exemption_requests.py"}
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
    return (
        node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.expr) and _reads(node)
    )


def _reads(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        tests = node.func.attr in _TESTS and _is_reason(node.func.value)
        return tests or (node.func.attr in _EXPRESSIONS and any(map(_is_reason, node.args)))
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        within = any(isinstance(each, ast.In | ast.NotIn) for each in node.ops)
        named = any(isinstance(each, ast.Constant) and each.value for each in sides)
        return any(map(_is_reason, sides[1:] if within else sides)) and (within or named)
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and _is_reason(node.value)


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
    assert [each.code for each in constants.values()] == [each.code for each in KINDS]
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    sources = "".join(path.read_text(encoding="utf-8") for path in paths if path.name != "reasons.py")
    # those of errors are found by the names of their classes
    made = constants.keys() & set(re.findall(r"\w+", sources))
    assert {name for name in constants.keys() - made if not hasattr(exceptions, constants[name].code)} == {
        "FAILED_UNEXPECTEDLY"
    } - made


SINCE = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
ACTIVE = reasons.ACTIVE(days=30, use="its password was used")
BROKEN = reasons.QUARANTINE_UNDONE(since=SINCE, how="gone")
NESTED = reasons.LEFT_UNFINISHED(user="alice", begun="today", why=BROKEN).and_also(
    None, reasons.QUARANTINE_AGAIN(), ACTIVE
)


def test_a_reason_has_the_reasons_in_it_and_its_notes() -> None:
    assert NESTED.text == (
        "alice: its deletion began today, and is left unfinished: its quarantine of 2026-11-01 12:00 UTC no longer "
        "holds (gone): find out who undid it, and quarantine it again: the days count anew; active within 30 days: its "
        "password was used"
    )
    assert NESTED.for_owners == (
        "alice: its deletion began today, and is left unfinished: its quarantine of 2026-11-01 12:00 UTC no longer "
        "holds (gone); active within 30 days: its password was used"
    )
    assert NESTED.codes == ("LeftUnfinished", "QuarantineUndone", "QuarantineAgain", "Active")
    assert (NESTED.trouble, NESTED.fails, ACTIVE.trouble, ACTIVE.fails) == ("broken", True, "", False)


def test_what_a_parameter_holds_is_not_a_sentence() -> None:
    assert reasons.EXEMPT(field="user", pattern="'{why}'", expires="x", why="{field}").text == (
        "exempt by user '{why}' until x: {field}"
    )


@pytest.mark.parametrize(
    "reason", [DONE, ACTIVE, BROKEN, NESTED, DONE.and_also(ACTIVE)], ids=lambda each: each.code
)
def test_a_file_has_the_texts_and_the_codes(reason: Reason) -> None:
    read = read_reason(json.loads(json.dumps(reason.as_data())))
    assert (read.text, read.for_owners, read.codes) == (reason.text, reason.for_owners, reason.codes)
    assert (read.trouble, read.fails, read.as_data()) == (reason.trouble, reason.fails, reason.as_data())
    assert read.and_also(ACTIVE).codes == (*reason.codes, "Active")
    assert read.and_also(ACTIVE).text == "; ".join(filter(None, (reason.text, ACTIVE.text)))


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        pytest.param({}, ("",), id="nothing"),
        pytest.param({"reason": "quarantine broken: its Deny-all is gone"}, ("",), id="without-a-code"),
        pytest.param({"reason": None, "code": None, "also": None}, ("",), id="nulls"),
        pytest.param({"code": "Someday", "also": ["Later"]}, ("Someday", "Later"), id="of-another-version"),
    ],
)
def test_what_no_run_of_this_version_wrote_is_a_text(data: dict[str, Any], codes: tuple[str, ...]) -> None:
    read = read_reason(data)
    assert (read.codes, read.trouble, read.fails) == (codes, "", False)
    assert read.text == read.for_owners == (data.get("reason") or "")


def test_broken_is_worse_than_in_use() -> None:
    codes = [reasons.USED_IN_QUARANTINE.code, BROKEN.code]
    assert (trouble_of(codes), trouble_of(codes[:1]), trouble_of(["x"])) == ("broken", "in use", "")
    assert joined([ACTIVE, BROKEN]).codes == (ACTIVE.code, BROKEN.code)
    assert joined([]) == DONE


@pytest.mark.parametrize(
    ("code", "words"),
    [("NotInQuarantine", "not in quarantine"), ("Active", "active"), ("", "without a code")],
    ids=["words", "word", "none"],
)
def test_a_code_in_words(code: str, words: str) -> None:
    assert in_words(code) == words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("EvidenceUnreadable", ("EvidenceUnreadable", "alice: x"), id="names-nobody"),
        pytest.param("JournalRefused", ("JournalRefused", "x"), id="names-the-user"),
        pytest.param("Stopped", ("Unexpected", "alice: x"), id="needs-more"),
        pytest.param("KeyError", ("Unexpected", "alice: x"), id="unknown"),
    ],
)
def test_the_reason_of_an_error_by_its_class(name: str, expected: tuple[str, str]) -> None:
    found = reasons.of_class(name, "alice", "x")
    assert (found.code, found.text) == expected
