# SPDX-License-Identifier: Apache-2.0
"""What test processes remember of documents of YAML makes no difference to what is read of them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.yaml_documents import read_yaml, yaml_entries

LINES = [f"- {{account: {number}, names: &n{number} [a, b], again: *n{number}}}\n" for number in range(40)]
TEXT = "".join(LINES)


def test_each_reader_gets_content_of_its_own() -> None:
    first: Any = yaml.safe_load(TEXT)
    assert first[0]["names"] is first[0]["again"]
    first[0]["names"].append("c")
    for data in (TEXT, TEXT.encode()):
        assert yaml.safe_load(data)[0] == {"account": 0, "names": ["a", "b"], "again": ["a", "b"]}
    first = read_yaml(TEXT)
    first.clear()
    assert len(read_yaml(TEXT)) == len(LINES)


def test_one_text_has_other_values_for_another_loader() -> None:
    for _ in range(2):
        assert read_yaml(TEXT)[7]["account"] == 7
        assert [*yaml_entries(TEXT, "x")][7] == (
            8,
            {"account": "7", "names": ["a", "b"], "again": ["a", "b"]},
        )


def test_merged_keys_are_read_again() -> None:
    text = f"{TEXT}- &base {{x: 1}}\n- {{<<: *base, y: 2}}\n"
    for _ in range(3):
        assert yaml.safe_load(text)[-1] == {"x": 1, "y": 2}


def test_a_fault_is_told_each_time() -> None:
    for _ in range(2):
        with pytest.raises(NotInFormat, match="line 42"):
            read_yaml(f"{TEXT}- [\n")
        with pytest.raises(yaml.YAMLError):
            yaml.safe_load(f"{TEXT}]")
