# SPDX-License-Identifier: Apache-2.0
"""Reading the rows of a list in CSV, JSON or YAML, each with its line number. Pure."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.text.documents import Lines, NotInFormat, as_text, check_json, next_json, skip
from c7n_iamusers.text.yaml_documents import yaml_entries

#: The bounds of a list: several times what the largest organization needs.
MOST_ROWS, MOST_COLUMNS = 1_000_000, 1_000
#: Column separators that spreadsheets write.
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}

#: Column names in lower case -> what is wrong with the CSV header, empty if nothing is.
HeaderCheck = Callable[[list[str]], str]


@dataclass(frozen=True)
class Row:
    """One entry of a list.

    ``line``: where it begins, counted from 1. ``value``: of a CSV row, column -> text, without empty cells.
    ``problem``: why the row can't be read.
    """

    line: int
    value: Any
    problem: str = ""


def read_rows(data: str | bytes, form: str, header: HeaderCheck) -> Iterator[Row]:
    """The rows of ``data``, a list in the format ``form`` (one of FORMATS).

    Raises NotInFormat if rows can't be read: invalid syntax, no list, a wrong header, an unknown encoding.
    """
    text = as_text(data)
    if form == "csv":
        return _csv_rows(text, header)
    return _READERS[form](text)


def csv_header(data: str | bytes) -> tuple[list[str], str]:
    """The columns of a list in CSV, in lower case, and what separates them. Raises NotInFormat."""
    text = as_text(data)
    separator = _separator(text)
    _, cells = next(csv_lines(text, separator), (1, []))
    return [cell.lower() for cell in cells], separator


def csv_lines(text: str, separator: str = ",", *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """The lines of CSV that are not empty, each with its number and its cells. Raises NotInFormat."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=strict, delimiter=separator)
    begins, count = 1, 0
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if len(cells) > MOST_COLUMNS:
                raise NotInFormat(line, f"has {len(cells)} columns, and may have {MOST_COLUMNS}")
            cells = [cell.strip() for cell in cells]
            if any(cells):
                count = _counted(count, line)
                yield line, cells
    except csv.Error as error:
        raise NotInFormat(max(reader.line_num, 1), str(error)) from error


def _counted(rows: int, line: int) -> int:
    """One more than ``rows``. Raises NotInFormat if that is too many."""
    if rows == MOST_ROWS:
        raise NotInFormat(line, f"has more than {MOST_ROWS} rows")
    return rows + 1


def _csv_rows(text: str, check: HeaderCheck) -> Iterator[Row]:
    separator = _separator(text)
    names: list[str] = []
    for line, cells in csv_lines(text, separator):
        if not names:
            names = _header(cells, line, check)
        elif len(cells) > len(names):
            # An unquoted separator moves the following cells into wrong columns.
            counts = f"has {len(cells)} cells, the header {len(names)}"
            yield Row(line, {}, f"{counts}: quote a cell with a {_SEPARATORS[separator]}")
        elif any(_holds_rows(cell, separator, len(names)) for cell in cells):
            yield Row(line, {}, "has a cell with what looks like further rows: correct its quotation marks")
        else:
            yield Row(line, {name: cell for name, cell in zip(names, cells, strict=False) if cell})


def _holds_rows(cell: str, separator: str, columns: int) -> bool:
    """Whether a quotation mark too many has made one cell of several rows."""
    _, *following = cell.splitlines() or [""]
    return columns > 1 and any(line.count(separator) >= columns - 1 for line in following)


def _separator(text: str) -> str:
    """The separator in the header, a comma if there is none. Raises NotInFormat if it has several."""
    lines = enumerate(io.StringIO(text, newline=None), 1)
    line, header = next(((number, each) for number, each in lines if each.strip()), (1, ""))
    found = [separator for separator in _SEPARATORS if separator in header.strip()]
    if len(found) > 1:
        kinds = " and a ".join(_SEPARATORS[each] for each in found)
        raise NotInFormat(line, f"the header has a {kinds}: use one of them between all columns")
    return found[0] if found else ","


def _header(cells: list[str], line: int, check: HeaderCheck) -> list[str]:
    names = [cell.lower() for cell in cells]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    problem = f"has {', '.join(map(repr, twice))} twice" if twice else check(names)
    if problem:
        hint = " (columns are separated by a comma, a semicolon or a tab)" if len(names) == 1 else ""
        raise NotInFormat(line, f"the header {problem}{hint}")
    return names


def _json_rows(text: str) -> Iterator[Row]:
    """The entries of an array, decoded one by one, since json.loads does not report their lines."""
    check_json(text)
    lines, count = Lines(text), 0
    at = skip(text, 0)
    if at == len(text):
        return
    if text[at] != "[":
        raise NotInFormat(lines.at(at), "must be a list of objects: [{...}, {...}]")
    at = skip(text, at + 1)
    while text[at : at + 1] != "]":
        line = lines.at(at)
        count = _counted(count, line)
        value, at = next_json(text, at, lines)
        yield Row(line, value)
        at = _next_entry(text, skip(text, at), lines)
    if skip(text, at + 1) != len(text):
        raise NotInFormat(lines.at(at), "there is more after the list")


def _next_entry(text: str, at: int, lines: Lines) -> int:
    if text[at : at + 1] == "]":
        return at
    if text[at : at + 1] != ",":
        raise NotInFormat(lines.at(at), "a comma or ] must follow an entry")
    following = skip(text, at + 1)
    if text[following : following + 1] == "]":
        raise NotInFormat(lines.at(at), "an entry must follow a comma")
    return following


def _yaml_rows(text: str) -> Iterator[Row]:
    for line, value in yaml_entries(text, "must be a list of objects: each begins with '- '"):
        yield Row(line, value)


_READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {"json": _json_rows, "yaml": _yaml_rows}
FORMATS = ("json", "csv", "yaml")
