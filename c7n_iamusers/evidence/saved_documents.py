# SPDX-License-Identifier: Apache-2.0
"""Reads authorization details and credential reports from files, in the forms that common tools save."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from c7n_iamusers.evidence.credential_report import CredentialReport, parse_report, report_text
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.policy_documents import listed, objects
from c7n_iamusers.text.wording import moment


def saved_user(entry: Mapping[str, Any]) -> dict[str, Any]:
    """``entry`` as botocore's ``UserDetail``, with empty lists and names filled in.

    Raises EvidenceUnreadable if it has neither UserName nor Arn.
    """
    arn = str(entry.get("Arn") or "")
    name = str(entry.get("UserName") or arn.rpartition("/")[2])
    if not name:
        raise EvidenceUnreadable(f"a user without UserName and Arn: {str(entry)[:80]}")
    path = str(entry.get("Path") or "/")
    return {
        **entry,
        "UserName": name,
        "UserId": str(entry.get("UserId") or ""),
        "Path": path,
        "Arn": arn or f"arn:aws:iam:::user{path}{name}",
        "Tags": _tags(entry.get("Tags")),
        "GroupList": [str(group) for group in listed(entry.get("GroupList"))],
        "AttachedManagedPolicies": list(objects(entry.get("AttachedManagedPolicies"))),
        "UserPolicyList": list(objects(entry.get("UserPolicyList"))),
        "PermissionsBoundary": _boundary(entry.get("PermissionsBoundary")),
    }


def _boundary(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str) and value:
        return {"PermissionsBoundaryArn": value}
    return value if isinstance(value, Mapping) and value else None


def _tags(value: Any) -> list[dict[str, str]]:
    """Tags as a list of Key and Value, from such a list with keys in any case, or from a mapping."""
    if isinstance(value, Mapping) and not {"Key", "key"} & set(value):
        pairs = list(value.items())
    else:
        lowered = [{str(key).lower(): text for key, text in item.items()} for item in objects(value)]
        pairs = [(item["key"], item.get("value")) for item in lowered if "key" in item]
    return [{"Key": str(key), "Value": str(text or "")} for key, text in pairs]


_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),  # output redirection in PowerShell
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


@dataclass(frozen=True)
class SavedDetails:
    """``entries``: name of a list -> its entries in all pages. ``time``: when the file was written.

    ``truncated``: the last page has IsTruncated, so pages are missing.
    """

    time: datetime
    truncated: bool
    entries: Mapping[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def users(self) -> list[dict[str, Any]]:
        """The users as botocore's ``UserDetail``."""
        return [saved_user(entry) for entry in self.entries["UserDetailList"]]


def read_details(path: Path) -> SavedDetails:
    """The output of ``aws iam get-account-authorization-details``: one page, a list of pages, or concatenated pages.

    Raises EvidenceUnreadable with the file, and the line of a syntax error.
    """
    pages = list(_pages(_text(path), path))
    if not any("UserDetailList" in page for page in pages):
        raise EvidenceUnreadable(
            f"{path}: has no UserDetailList: save `aws iam get-account-authorization-details`"
        )
    entries = {name: [entry for page in pages for entry in _entries(page, name, path)] for name in _LISTS}
    return SavedDetails(_written(path), bool(pages[-1].get("IsTruncated")), entries)


def read_report(path: Path) -> CredentialReport:
    """A credential report: the CSV, its base64, or the output of ``aws iam get-credential-report``.

    Its time is GeneratedTime if the file has it, else when the file was written.
    Raises EvidenceUnreadable with the file.
    """
    text, time = _text(path).lstrip("\ufeff").strip(), _written(path)
    try:
        if text.startswith("{"):
            answer = json.loads(text)
            text, time = str(answer.get("Content", "")), moment(answer.get("GeneratedTime")) or time
        return parse_report(report_text(text), time)
    except (ValueError, EvidenceUnreadable) as error:
        raise EvidenceUnreadable(f"{path}: is not a credential report: {error}") from error


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvidenceUnreadable(f"{path}: {error.strerror or error}") from error
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise EvidenceUnreadable(
            f"{path}: byte {error.start} is not {encoding} text: save it as UTF-8"
        ) from error


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.stat().st_mtime), timezone.utc)


def _pages(text: str, path: Path) -> Iterator[Mapping[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at] in " \t\r\n,":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise EvidenceUnreadable(
                f"{path}: line {error.lineno}, column {error.colno}: {error.msg}"
            ) from error
        for page in value if isinstance(value, list) else [value]:
            if not isinstance(page, Mapping):
                raise EvidenceUnreadable(
                    f"{path}: must hold objects with UserDetailList, not {str(page)[:40]!r}"
                )
            yield page


def _entries(page: Mapping[str, Any], name: str, path: Path) -> tuple[Mapping[str, Any], ...]:
    found = listed(page.get(name))
    if not all(isinstance(entry, Mapping) for entry in found):
        raise EvidenceUnreadable(f"{path}: {name} must be a list of objects")
    return found
