# SPDX-License-Identifier: Apache-2.0
"""Reading what people have on disk: authorization details and credential reports as they come, not as documented."""

from __future__ import annotations

import base64
import binascii
import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from aws_local_org.loading.field_values import NO_VALUE, kind_of
from c7n_iamusers.exceptions import LocalOrgError

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_of(content: bytes) -> str:
    """Decode a file; PowerShell's ``>`` writes UTF-16. Raises LocalOrgError for bytes that are no text."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise LocalOrgError(f"byte {error.start} is not {encoding} text; save the file as UTF-8") from error


def pages_in(text: str) -> list[dict[str, Any]]:
    """Every document of a file: one, a JSON list of them, or several after each other (pages appended by ``>>``).

    Raises LocalOrgError with line and column where the JSON breaks, or for something that is no object.
    """
    pages = [page for value in _json_values(text) for page in (value if isinstance(value, list) else [value])]
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


def _json_values(text: str) -> Iterator[Any]:
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        if text[position] in " \t\r\n,":
            position += 1
            continue
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise LocalOrgError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
        yield value


def report_rows(text: str) -> list[dict[str, str]]:
    """The rows of a credential report by the header's names; a column that a row lacks is missing from its mapping.

    Takes the CSV itself, its base64, or the JSON answer of ``aws iam get-credential-report``.
    Raises LocalOrgError for text that is none of them.
    """
    lines = csv.reader(io.StringIO(_report_csv(text), newline=""))
    filled = [[cell.strip() for cell in line] for line in lines if any(cell.strip() for cell in line)]
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
    except (binascii.Error, UnicodeDecodeError) as error:
        raise LocalOrgError("neither CSV nor the base64 of a CSV; expected a credential report") from error


def report_value(row: Mapping[str, str], column: str) -> str | None:
    """A cell, or None for what IAM writes where there is nothing: N/A, no_information, not_supported."""
    value = row.get(column, "")
    return None if value.lower() in NO_VALUE else value


def report_flag(row: Mapping[str, str], column: str) -> bool:
    """TRUE, true or anything else."""
    return row.get(column, "").lower() == "true"
