# SPDX-License-Identifier: Apache-2.0
"""Reading the rows of a list in CSV, JSON or YAML, each with its line number; and a document of YAML. Pure."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

#: Column separators that spreadsheets write.
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
#: Byte order marks. UTF-32 comes before UTF-16, whose mark is a prefix of it.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAVE_AS = "save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
_SPACE = " \t\r\n"

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


class NotInFormat(Exception):
    """The text as a whole is not in its format. ``line``: where, counted from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}")
        self.line = line


def read_rows(data: str | bytes, form: str, header: HeaderCheck) -> Iterator[Row]:
    """The rows of ``data``, a list in the format ``form`` (one of FORMATS).

    Raises NotInFormat if rows can't be read: invalid syntax, no list, a wrong header, an unknown encoding.
    """
    text = decoded(data) if isinstance(data, bytes) else data.lstrip("\ufeff")
    if form == "csv":
        return _csv_rows(text, header)
    return _READERS[form](text)


def decoded(data: bytes) -> str:
    """The text in ``data``: UTF-8, or the encoding of its byte order mark. Raises NotInFormat for any other."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding and b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise NotInFormat(line, f"has a NUL, so it is probably UTF-16 without a byte order mark: {_SAVE_AS}")
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        # Don't guess Windows-1252: it decodes nearly every byte, so a wrong guess would go unnoticed.
        problem = f"is damaged {encoding}" if encoding else "is not UTF-8, probably Windows-1252 (cp1252)"
        raise NotInFormat(line, f"{problem}: {_SAVE_AS}") from error


def _csv_rows(text: str, check: HeaderCheck) -> Iterator[Row]:
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    names: list[str] = []
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not names:
                names = _header(cells, line, check)
            elif len(cells) > len(names):
                # An unquoted separator moves the following cells into wrong columns.
                counts = f"has {len(cells)} cells, the header {len(names)}"
                yield Row(line, {}, f"{counts}: quote a cell with a {_SEPARATORS[separator]}")
            else:
                yield Row(line, {name: cell for name, cell in zip(names, cells, strict=False) if cell})
    except csv.Error as error:
        raise NotInFormat(max(reader.line_num, 1), str(error)) from error


def _separator(text: str) -> str:
    """The separator in the header, a comma if there is none. Raises NotInFormat if it has several."""
    lines = enumerate(text.splitlines(), 1)
    line, header = next(((number, each) for number, each in lines if each.strip()), (1, ""))
    found = [each for each in _SEPARATORS if each in header.strip()]
    if len(found) > 1:
        kinds = " and a ".join(_SEPARATORS[each] for each in found)
        raise NotInFormat(line, f"the header has a {kinds}: use one of them between all columns")
    return found[0] if found else ","


def _header(cells: list[str], line: int, check: HeaderCheck) -> list[str]:
    names = [cell.lower() for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    problem = f"has {', '.join(map(repr, twice))} twice" if twice else check(names)
    if problem:
        hint = " (columns are separated by a comma, a semicolon or a tab)" if len(names) == 1 else ""
        raise NotInFormat(line, f"the header {problem}{hint}")
    return names


def _json_rows(text: str) -> Iterator[Row]:
    """The entries of an array, decoded one by one, since json.loads does not report their lines."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_duplicates)
    at = _skip(text, 0)
    if at == len(text):
        return
    if text[at] != "[":
        raise NotInFormat(_line(text, at), "must be a list of objects: [{...}, {...}]")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line = _line(text, at)
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise NotInFormat(error.lineno, f"column {error.colno}: {error.msg}") from error
        except _Duplicate as error:
            raise NotInFormat(line, str(error)) from error
        except RecursionError as error:
            raise NotInFormat(line, "is nested too deeply") from error
        yield Row(line, value)
        at = _next_entry(text, _skip(text, at))
    if text[at + 1 :].strip():
        raise NotInFormat(_line(text, at), "there is more after the list")


def _next_entry(text: str, at: int) -> int:
    if text[at : at + 1] == "]":
        return at
    if text[at : at + 1] != ",":
        raise NotInFormat(_line(text, at), "a comma or ] must follow an entry")
    following = _skip(text, at + 1)
    if text[following : following + 1] == "]":
        raise NotInFormat(_line(text, at), "an entry must follow a comma")
    return following


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


class _Duplicate(ValueError):
    """A duplicate key in one entry. ``json`` would silently drop the first value."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Duplicate(f"duplicate key in one entry: {', '.join(key for key, _ in pairs)}")
    return found


def _yaml_rows(text: str) -> Iterator[Row]:
    # Imported here, since a Lambda archive lacks PyYAML unless the policy names it in mode.packages.
    import yaml

    try:
        loader = _yaml_loader()(text)
        root = loader.get_single_node()
        if root is None:
            return
        if not isinstance(root, yaml.SequenceNode):
            raise NotInFormat(root.start_mark.line + 1, "must be a list of objects: each begins with '- '")
        for node in root.value:
            keys = [str(key.value) for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
            if len(set(keys)) != len(keys):
                raise NotInFormat(node.start_mark.line + 1, "duplicate key in one entry")
            yield Row(node.start_mark.line + 1, loader.construct_object(node, deep=True))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise NotInFormat(line, str(error.problem)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise NotInFormat(1, f"is not YAML: {error}") from error
    except RecursionError as error:
        raise NotInFormat(1, "is nested too deeply") from error


def read_yaml(data: bytes) -> Any:
    """The content of a document of YAML. Raises ValueError, in one line, also for a key that is given twice.

    PyYAML would silently drop the first value.
    """
    import yaml

    try:
        loader = yaml.SafeLoader(data)
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_duplicates(root)
        return loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(line + str(error.problem or error.context)) from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse_duplicates(root: Any) -> None:
    """Raises ValueError for a key that a mapping has twice."""
    import yaml

    left, known = [root], {id(root)}
    while left:
        node = left.pop()
        below = list(node.value) if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            keys = set[tuple[str, str]]()
            for key, value in node.value:
                if (named := (key.tag, str(key.value))) in keys:
                    raise ValueError(f"line {key.start_mark.line + 1}: the key {key.value!r} is given twice")
                keys.add(named)
                below.append(value)
        # several aliases have the node of one anchor
        left += {id(each): each for each in below if id(each) not in known}.values()
        known.update(map(id, below))


@cache
def _yaml_loader() -> Any:
    """A loader that keeps scalars as text: an account id is not a number, and 2027-13-45 is not an error here."""
    import yaml

    kept = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
    resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag in kept]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type("TextLoader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})


_READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {"json": _json_rows, "yaml": _yaml_rows}
FORMATS = ("json", "csv", "yaml")
