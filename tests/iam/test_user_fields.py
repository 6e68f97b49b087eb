# SPDX-License-Identifier: Apache-2.0
"""The fields by which patterns match users, and which filters of a policy name users and ask for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.iam import user_fields
from c7n_iamusers.iam.user_fields import LONGEST, MOST_STARS, glob_fault, matches, named_alone
from tests.records import user as named


def value(found: Any, op: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "value", "key": "UserName", "value": found, **({"op": op} if op else {}), **more}


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        pytest.param({"UserName": "alice"}, ("alice",), id="short"),
        pytest.param({"UserName": "present"}, None, id="short-with-a-meaning"),
        pytest.param({"UserName": ["alice"]}, None, id="short-with-a-list"),
        pytest.param({"UserName": 5}, None, id="short-with-a-number"),
        pytest.param({"UserName": "alice", "Path": "/"}, None, id="short-and-more"),
        pytest.param({"Path": "/"}, None, id="something-else"),
        pytest.param(value("alice"), ("alice",), id="value"),
        pytest.param(value("alice", "eq"), ("alice",), id="eq"),
        pytest.param(value("alice", "equal"), ("alice",), id="equal"),
        pytest.param(value("absent"), None, id="value-with-a-meaning"),
        pytest.param(value(["alice", "present"], "in"), ("alice", "present"), id="in"),
        pytest.param(value([], "in"), (), id="in-none-yet"),
        pytest.param(value("alice", "in"), None, id="in-a-text"),
        pytest.param(value(["alice", 5], "in"), None, id="in-with-a-number"),
        pytest.param(value("a*", "glob"), None, id="glob"),
        pytest.param(value("alice", value_type="normalize"), None, id="of-a-type"),
        pytest.param({**value("alice"), "key": "Path"}, None, id="another-key"),
        pytest.param({**value("alice"), "type": "unnecessary"}, None, id="another-filter"),
        pytest.param({"not": [{"UserName": "alice"}]}, None, id="not"),
        pytest.param("unnecessary", None, id="a-name-alone"),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_filter_by_names_alone(condition: Any, names: tuple[str, ...] | None) -> None:
    assert named_alone(condition) == names


def test_more_patterns_than_fnmatch_remembers_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def translate(glob: str) -> str:
        compiled.append(glob)
        return "(?!)"

    monkeypatch.setattr(user_fields, "translate", translate)
    user_fields._compiled.cache_clear()
    patterns = [f"svc-{number}-*" for number in range(33_000)]
    for name in ("alice", "bob"):
        assert not any(matches(named(name), "user", each) for each in patterns)
    user_fields._compiled.cache_clear()
    assert compiled == patterns


def test_a_pattern_of_as_many_characters_and_stars_as_may_be() -> None:
    for most, character in ((LONGEST, "x"), (MOST_STARS, "*")):
        assert glob_fault(character * most) == ""
        assert glob_fault(character * (most + 1)) != ""
