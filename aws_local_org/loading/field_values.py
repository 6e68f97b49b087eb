# SPDX-License-Identifier: Apache-2.0
"""Single values of documents in the wild: dates, policy documents, tags, lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from dateutil import parser as dates

from c7n_iamusers.model.policy_documents import decoded

#: Later numbers are milliseconds: as seconds they would lie beyond the year 5138.
_MILLISECONDS_FROM = 100_000_000_000
#: What IAM's credential report, and tools that copy it, write where there is nothing.
NO_VALUE = frozenset({"", "n/a", "no_information", "not_supported", "none", "null"})


def kind_of(value: Any) -> str:
    """What a JSON value is, for an error message."""
    names = {str: "a string", list: "a list", bool: "a boolean", type(None): "null", dict: "an object"}
    return names.get(type(value), "a number")


def policy_text(value: Any) -> str:
    """A policy document as JSON text, from a dict, JSON text or URL-encoded JSON text.

    Raises ValueError, saying what is wrong, for anything else.
    """
    document = decoded(value)
    if not isinstance(document, dict):
        raise ValueError(f"not a policy but {kind_of(document)}")
    if "Statement" not in document:
        raise ValueError("a policy without Statement")
    return json.dumps(document)


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
