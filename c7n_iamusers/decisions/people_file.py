# SPDX-License-Identifier: Apache-2.0
"""The rows of a mapping file with their line numbers: csv with a header; json or yaml with a list of objects. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from c7n_iamusers.decisions.people_map import COLUMNS, PeopleMap, Row, people_map
from c7n_iamusers.exceptions import InvalidPolicyData

FORMS = ("csv", "json", "yaml", "yml")


def parse_people(name: str, text: str) -> PeopleMap:
    """The people that the file ``name`` with that ``text`` tells; its ending says its form.

    Raises InvalidPolicyData, with the line, where it is not of that form: no row can be told then.
    """
    form = name.rpartition(".")[2].lower()
    if form not in _READERS:
        raise InvalidPolicyData(f"people-from: {name} must end in one of .{', .'.join(FORMS)}")
    try:
        return people_map(name, list(_READERS[form](text)))
    except _Malformed as error:
        raise InvalidPolicyData(f"people-from: {name}, line {error.line}: {error.text}") from error


class _Malformed(Exception):
    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line, self.text = line, text


def _csv_rows(text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, line)
            elif len(cells) > len(header):
                # An unquoted comma shifts what follows into the wrong columns.
                told = f"has {len(cells)} cells under {len(header)} columns: quote what has a comma in it"
                yield Row(line, {}, told)
            else:
                yield Row(line, {key: cell.strip() for key, cell in zip(header, cells, strict=False)})
    except csv.Error as error:
        raise _Malformed(reader.line_num, str(error)) from error
    if header is None:
        raise _Malformed(1, f"no header: the first line names the columns, of {', '.join(COLUMNS)}")


def _header(cells: list[str], line: int) -> list[str]:
    header = [cell.strip().lower().replace("_", "-") for cell in cells]
    missing = [column for column in ("account", "user", "email") if column not in header]
    unknown = [column for column in header if column not in COLUMNS]
    twice = sorted({column for column in header if header.count(column) > 1})
    for faulty, told in ((missing, "lacks"), (unknown, "has unknown"), (twice, "has twice")):
        if faulty:
            raise _Malformed(
                line, f"the header {told} {', '.join(map(repr, faulty))}; known: {', '.join(COLUMNS)}"
            )
    return header


def _json_rows(text: str) -> Iterator[Row]:
    decoder, at = json.JSONDecoder(), _skip(text, 0)
    if text[at : at + 1] != "[":
        raise _Malformed(1, "must be a list of objects")
    at = _skip(text, at + 1)
    try:
        while text[at : at + 1] != "]":
            line = text.count("\n", 0, at) + 1
            value, at = decoder.raw_decode(text, at)
            yield _object_row(line, value)
            at = _after_comma(text, _skip(text, at))
    except json.JSONDecodeError as error:
        raise _Malformed(error.lineno, error.msg) from error
    if _skip(text, at + 1) != len(text):
        raise _Malformed(text.count("\n", 0, at) + 1, "there is more after the end of the list")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _after_comma(text: str, at: int) -> int:
    if text[at : at + 1] == ",":
        at = _skip(text, at + 1)
        if text[at : at + 1] == "]":
            raise json.JSONDecodeError("Illegal trailing comma before end of array", text, at)
    elif text[at : at + 1] != "]":
        raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
    return at


def _yaml_rows(text: str) -> Iterator[Row]:
    # PyYAML is not in an AWS Lambda archive, and only a file in YAML needs it.
    import yaml

    try:
        # BaseLoader leaves scalars as they are written: an account id is no number.
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _Malformed(mark.line + 1 if mark else 1, str(error.problem)) from error
    except yaml.YAMLError as error:
        raise _Malformed(1, str(error)) from error
    if not isinstance(root, yaml.SequenceNode):
        raise _Malformed(1, "must be a list of objects")
    for node in root.value:
        yield _object_row(node.start_mark.line + 1, _plain(node))


def _plain(node: Any) -> Any:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return None
    return {
        key.value: value.value if isinstance(value, yaml.ScalarNode) else None for key, value in node.value
    }


def _object_row(line: int, value: Any) -> Row:
    if not isinstance(value, Mapping):
        return Row(line, {}, "is no object")
    return Row(line, {str(key).lower().replace("_", "-"): _text(part) for key, part in value.items()})


def _text(value: Any) -> str:
    # A number would have lost its leading zeros, so it is no account id.
    return value.strip() if isinstance(value, str) else ""


_READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    "csv": _csv_rows,
    "json": _json_rows,
    "yaml": _yaml_rows,
    "yml": _yaml_rows,
}
