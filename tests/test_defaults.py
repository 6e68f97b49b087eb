# SPDX-License-Identifier: Apache-2.0
"""The default of each option stands in one place, which names the option; and the documentation says the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers import defaults
from c7n_iamusers.entry import ACTIONS, FILTERS, KEY_ACTIONS, KEY_FILTERS, load_classes

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "c7n_iamusers").rglob("*.py"))
DURATION = re.compile(r"PT?\d+[DHMS]")
#: A comment, and the number under it.
ENTRY = re.compile(r'^#: (?P<comment>.+)\n(?P<name>[A-Z_]+) = (?P<value>\d+|"PT\w+")$', re.MULTILINE)
ENTRIES = list(ENTRY.finditer((ROOT / "c7n_iamusers" / "defaults.py").read_text()))


def options_of(schema: Any) -> Iterator[str]:
    """The names of options in a JSON Schema, at any depth."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, dict) else ()
        for part in schema.values():
            yield from options_of(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from options_of(part)


#: "min-rules" is in a mapping whose form a parser checks.
OPTIONS = frozenset(
    option
    for each in [
        *load_classes({**FILTERS, **ACTIONS}).values(),
        *load_classes({**KEY_FILTERS, **KEY_ACTIONS}).values(),
    ]
    for option in options_of(each.schema)
) | {"min-rules"}
#: AWS's own numbers, which stand beside their use.
QUOTAS = {"policies_per_set", "policies_per_role", "inline_characters", "inline_bytes"}
FIELDS = {option.replace("-", "_") for option in OPTIONS} - QUOTAS


def is_number(node: ast.expr | None) -> bool:
    """Whether it is a number but 0, which stands for none, or a duration."""
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str):
        return bool(DURATION.fullmatch(value))
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def defaults_in(code: str) -> list[str]:
    """Options and fields of that name to which ``code`` itself gives a number."""
    found = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=option), given]):
                found += [option] if option in OPTIONS and is_number(given) else []
            case ast.AnnAssign(target=ast.Name(id=field), value=given):
                found += [field] if field in FIELDS and is_number(given) else []
    return found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        pytest.param('days = data.get("active-within", 30)', ["active-within"], id="an-option"),
        pytest.param('kept = data.get("session-duration", "PT1H")', ["session-duration"], id="a-duration"),
        pytest.param("class Set:\n    session_duration: str = 'PT1H'", ["session_duration"], id="a-field"),
        pytest.param('days = data.get("active-within", defaults.ACTIVE_WITHIN)', [], id="from-there"),
        pytest.param('days, adopt = data.get("days", 0), data.get("adopt", False)', [], id="none"),
        pytest.param('port = config.get("smtp_port", 25)', [], id="no-option"),
    ],
)
def test_what_counts_as_a_default(code: str, found: list[str]) -> None:
    assert defaults_in(code) == found


def test_no_other_module_has_a_default() -> None:
    stated = {
        f"{path.relative_to(ROOT)}: {each}" for path in MODULES for each in defaults_in(path.read_text())
    }
    assert stated == set()


def test_each_names_its_unit_and_an_option_that_there_is() -> None:
    assert [each["name"] for each in ENTRIES] == [each for each in vars(defaults) if each.isupper()]
    for each in ENTRIES:
        unit, told = each["comment"].split(".", 1)
        named = {option.rpartition(".")[2] for option in re.findall(r"``([\w.-]+)``", told)}
        assert unit.split()[0] in ("Days", "Hours", "Seconds", "Messages", "Rules", "ISO"), each["name"]
        assert named & (OPTIONS | {"--max-age", "clean-days"}), each["name"]


def test_the_variables_that_it_names_are_those_of_the_shipped_policies() -> None:
    named = [name for each in ENTRIES for name in re.findall(r"variable (\w+)", each["comment"])]
    accounts = (ROOT / "accounts.yml").read_text()
    assert named
    assert [name for name in named if f"\n  {name}: " not in accounts] == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        pytest.param("docs/policies.md", f"in the last {defaults.ACTIVE_WITHIN} days", id="policies"),
        pytest.param(
            "c7n_iamusers/plugins/composite_delete.py",
            f"used in this many days, {defaults.ACTIVE_WITHIN} by default",
            id="composite-delete",
        ),
        pytest.param(
            "c7n_iamusers/plugins/notify_owners.py",
            f"``active-within`` ({defaults.ACTIVE_WITHIN} days by default)",
            id="notify-owners",
        ),
        pytest.param(
            "c7n_iamusers/plugins/identity_center.py",
            f"in the last ``used-within`` days ({defaults.USED_WITHIN})",
            id="identity-center",
        ),
    ],
)
def test_the_documentation_says_the_same(place: str, said: str) -> None:
    assert said in " ".join((ROOT / place).read_text().split())
