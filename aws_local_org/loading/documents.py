# SPDX-License-Identifier: Apache-2.0
"""Reads saved files and their values more leniently than AWS documents them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from dateutil import parser as dates

from aws_local_org.errors import LocalOrgError
from c7n_iamusers.execution.given import parsed_file, read_given
from c7n_iamusers.text.documents import LARGEST, NotInFormat, as_text, json_values, read_json
from c7n_iamusers.text.rows import csv_lines
from c7n_iamusers.text.yaml_documents import read_yaml


def details_in(path: Path) -> list[dict[str, Any]]:
    """The pages of an authorization details file. Raises LocalOrgError with the file and the place of the error."""
    with _naming(path):
        return pages_in(_text(path))


def report_in(path: Path) -> str:
    """The text of a valid credential report. Raises LocalOrgError with the file."""
    with _naming(path):
        text = _text(path)
        report_rows(text)
        return text


def _text(path: Path) -> str:
    try:
        return text_of(read_given(path, LARGEST))
    except OSError as error:
        raise LocalOrgError(f"cannot be read: {error.strerror or error}") from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Adds the file to a LocalOrgError."""
    try:
        yield
    except LocalOrgError as error:
        raise LocalOrgError(f"{path}: {error}") from error


def text_of(content: bytes) -> str:
    """Decode a file; PowerShell's ``>`` writes UTF-16. Raises LocalOrgError for bytes that are no text."""
    try:
        return as_text(content)
    except NotInFormat as error:
        raise LocalOrgError(str(error)) from error


def pages_in(text: str) -> list[dict[str, Any]]:
    """Every document of a file: one, a JSON list of them, or several after each other (pages appended by ``>>``).

    Raises LocalOrgError with line and column where the JSON breaks, or for something that is no object.
    """
    try:
        pages = [
            page for value in json_values(text) for page in (value if isinstance(value, list) else [value])
        ]
    except NotInFormat as error:
        raise LocalOrgError(str(error)) from error
    if not pages:
        raise LocalOrgError(
            "no JSON document in it; expected the output of `aws iam get-account-authorization-details`"
        )
    for page in pages:
        if not isinstance(page, dict):
            raise LocalOrgError(
                f"expected JSON objects with UserDetailList and the like, found {kind_of(page)}"
            )
    return pages


def report_rows(text: str) -> list[dict[str, str]]:
    """The rows of a credential report by the header's names; a column that a row lacks is missing from its mapping.

    Takes the CSV itself, its base64, or the JSON answer of ``aws iam get-credential-report``.
    Raises LocalOrgError for text that is none of them.
    """
    try:
        filled = [cells for _, cells in csv_lines(_report_csv(text), strict=False)]
    except NotInFormat as error:
        raise LocalOrgError(str(error)) from error
    header = [name.lower() for name in filled[0]] if filled else []
    if "user" not in header:
        raise LocalOrgError(
            "no `user` column in the first line; expected a credential report as IAM writes it (CSV)"
        )
    return [dict(zip(header, line, strict=False)) for line in filled[1:]]


def _report_csv(text: str) -> str:
    stripped = text.lstrip("\ufeff").strip()
    if stripped.startswith("{"):
        (answer, *_) = pages_in(stripped)
        stripped = str(answer.get("Content", "")).strip()
    if "," in stripped:
        return stripped
    try:
        return base64.b64decode(stripped, validate=False).decode()
    except ValueError as error:
        raise LocalOrgError("neither CSV nor the base64 of a CSV; expected a credential report") from error


def report_value(row: Mapping[str, str], column: str) -> str | None:
    """A cell, or None for IAM's words for nothing: N/A, no_information, not_supported."""
    value = row.get(column, "")
    return None if value.lower() in NO_VALUE else value


def report_flag(row: Mapping[str, str], column: str) -> bool:
    """Whether the cell is true, whatever its case."""
    return row.get(column, "").lower() == "true"


#: Later numbers are milliseconds: as seconds they would lie beyond the year 5138.
_MILLISECONDS_FROM = 100_000_000_000
#: The words for nothing in IAM's credential report, and in tools that copy it.
NO_VALUE = frozenset({"", "n/a", "no_information", "not_supported", "none", "null"})


def kind_of(value: Any) -> str:
    """The kind of a JSON value, for an error message."""
    names = {str: "a string", list: "a list", bool: "a boolean", type(None): "null", dict: "an object"}
    return names.get(type(value), "a number")


def policy_text(value: Any) -> str:
    """A policy document as JSON text, from a dict, JSON text or URL-encoded JSON text.

    Raises ValueError, saying what is wrong, for anything else.
    """
    document = _decoded(value)
    if not isinstance(document, dict):
        raise ValueError(f"not a policy but {kind_of(document)}")
    if "Statement" not in document:
        raise ValueError("a policy without Statement")
    return json.dumps(document)


def _decoded(value: Any) -> Any:
    """``value``, parsed if it is JSON text or URL-encoded JSON text. Raises ValueError for other text."""
    # Twice, because some tools save the text as a JSON string. URL decoding would change a %20 in plain JSON.
    for decode in (read_json, read_json, _unquoted):
        if isinstance(value, str):
            try:
                value = decode(value)
            except ValueError:
                continue
    if isinstance(value, str):
        raise ValueError("neither JSON nor URL-encoded JSON")
    return value


def _unquoted(text: str) -> Any:
    return read_json(unquote(text))


def moment(value: Any) -> datetime | None:
    """A date in UTC from ISO 8601, RFC 2822 or epoch seconds (or milliseconds); None for none.

    Raises ValueError for anything else; a date without a zone is taken as UTC.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in NO_VALUE):
        return None
    text = str(value).strip()
    for read in (_from_epoch, dates.isoparse, parsedate_to_datetime):
        try:
            found = read(text)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        return found.astimezone(timezone.utc) if found.tzinfo else found.replace(tzinfo=timezone.utc)
    raise ValueError(f"{value!r} is not a date; write it as 2026-01-31T12:00:00Z")


def _from_epoch(text: str) -> datetime:
    number = float(text)
    if text.isdigit() and len(text) in (4, 8):
        raise ValueError("a year or a compact date, not seconds")
    return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, timezone.utc)


def entries(value: Any) -> list[Any]:
    """A list from a list, a single item (AWS's own examples have those), or nothing."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def tags_of(value: Any) -> dict[str, str]:
    """Tags as a mapping, from a list of Key and Value (in either case, as AWS Config writes them) or a mapping.

    Raises ValueError for anything else.
    """
    if isinstance(value, Mapping) and not {"Key", "key"} & set(value):
        return {str(key): str(text) for key, text in value.items()}
    return dict(_tag(entry) for entry in entries(value))


def _tag(entry: Any) -> tuple[str, str]:
    fields = {str(key).lower(): text for key, text in entry.items()} if isinstance(entry, Mapping) else {}
    if "key" not in fields:
        raise ValueError(f"a tag must have Key and Value, not {entry!r}")
    return str(fields["key"]), str(fields.get("value") or "")


def yaml_file(path: Path) -> dict[str, Any]:
    """The content of a file such as accounts.yml. Raises LocalOrgError, also for a key that is given twice."""
    try:
        found = parsed_file(path, read_yaml)
    except ValueError as error:
        raise LocalOrgError(f"{path} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise LocalOrgError(f"{path} can't be read: it is no mapping")
    return found
