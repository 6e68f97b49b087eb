# SPDX-License-Identifier: Apache-2.0
"""What ``to_from`` reads: lists of others, which may be anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.plugins.recipients import MOST_RECIPIENTS, recipients
from tests.policies import ACCOUNT

MANAGER = SimpleNamespace(
    config=SimpleNamespace(account_id=ACCOUNT, region="us-east-1"), session_factory=None, _cache=None
)
MESSAGE = {"account_id": ACCOUNT, "account": "payments"}


def read(path: Path, **more: Any) -> list[str]:
    return recipients({"url": f"file://{path}", **more}, MESSAGE, MANAGER)


@pytest.mark.parametrize(
    ("name", "text", "more"),
    [
        pytest.param("to.json", '["b@example.com", "a@example.com"]', {}, id="json"),
        pytest.param(
            "to.json",
            json.dumps({ACCOUNT: ["a@example.com", "b@example.com"]}),
            {"expr": '"{account_id}"'},
            id="json-expr",
        ),
        pytest.param("to.txt", "a@example.com\nb@example.com\n", {}, id="txt"),
        pytest.param("to.csv", "x,a@example.com\ny,b@example.com\n", {"expr": 1}, id="csv"),
        pytest.param("to", '["a@example.com", "b@example.com"]', {"format": "json"}, id="by-format"),
    ],
)
def test_what_cloud_custodian_reads(tmp_path: Path, name: str, text: str, more: dict[str, Any]) -> None:
    (tmp_path / name).write_text(text)
    assert read(tmp_path / name, **more) == ["a@example.com", "b@example.com"]


def test_a_variable_in_the_url(tmp_path: Path) -> None:
    (tmp_path / f"{ACCOUNT}.json").write_text('["a@example.com"]')
    assert read(tmp_path / "{account_id}.json") == ["a@example.com"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[" * 200_000 + "]" * 200_000, "can't be read", id="deep"),
        pytest.param("{", "can't be read", id="cut-off"),
        pytest.param(" " * 5_000_000, "has more than", id="large"),
        pytest.param("5", "no list", id="number"),
        pytest.param('"a@example.com"', "no list", id="text"),
        pytest.param('["a@example.com", 5]', "no list", id="a-number-in-it"),
        pytest.param(json.dumps(["a@example.com"] * (MOST_RECIPIENTS + 1)), "more than", id="many"),
    ],
)
def test_what_is_no_list_of_recipients(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "to.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        read(tmp_path / "to.json")


def test_a_cell_that_csv_does_not_take(tmp_path: Path) -> None:
    (tmp_path / "to.csv").write_text("x" * 200_000)
    with pytest.raises(ValueError, match="field larger than field limit"):
        read(tmp_path / "to.csv")


def test_what_never_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "to.json")
    with pytest.raises(ValueError, match="is a FIFO"):
        read(tmp_path / "to.json")


def test_an_expression_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "to.json").write_text("[]")
    with pytest.raises(ValueError, match="can't be read"):
        read(tmp_path / "to.json", expr="][")


def test_the_query_of_a_url_is_not_told() -> None:
    with pytest.raises(ValueError, match="can't be read") as found:
        recipients({"url": "ftp://example.com/to.json?token=S3CRET", "format": "json"}, MESSAGE, MANAGER)
    assert "S3CRET" not in str(found.value)
