# SPDX-License-Identifier: Apache-2.0
"""The credential report: one CSV for an account, read by its header, and the credentials in each of its rows. Pure."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from c7n_iamusers.evidence.model import Credential, LastUse
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.attachments import ACCESS_KEY, LOGIN_PROFILE, SIGNING_CERTIFICATE
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.text.moments import moment

Row = Mapping[str, str]
#: What the report writes for "there is none": no password, no key, never used.
_NONE = frozenset({"n/a", "no_information"})
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class CredentialReport:
    """``rows``: user name in lower case -> its row; ``time``: when AWS made it, None where nothing says."""

    rows: Mapping[str, Row]
    time: datetime | None

    def row(self, user_name: str) -> Row | None:
        """The user's row; None for one that the report doesn't know (created since): unknown, not unused."""
        return self.rows.get(user_name.casefold())


def report_text(content: bytes | str) -> str:
    """The CSV in a report's ``Content``: bytes, text, or base64, which tools that save answers make of bytes.

    Raises EvidenceUnreadable for anything else.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        return text if "," in text else base64.b64decode(text.strip(), validate=True).decode("utf-8-sig")
    except ValueError as error:
        raise EvidenceUnreadable(
            f"the credential report is neither UTF-8 text nor base64 of it: {error}"
        ) from error


def parse_report(text: str, time: datetime | None) -> CredentialReport:
    """The report in ``text``. A cell that a short row lacks is missing from its mapping, not empty.

    Raises EvidenceUnreadable for text that is no such report.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(text.lstrip("\ufeff"), newline="")) if any(line)]
    except csv.Error as error:
        raise EvidenceUnreadable(f"the credential report is not CSV: {error}") from error
    header = [name.strip().lower() for name in lines[0]] if lines else []
    if "user" not in header:
        raise EvidenceUnreadable("the credential report has no column `user` in its first line")
    rows = [dict(zip(header, map(str.strip, line), strict=False)) for line in lines[1:]]
    return CredentialReport({row["user"].casefold(): row for row in rows if row.get("user")}, time)


def flag(row: Row, column: str) -> bool | None:
    """True or false however it is written; None where the column is missing or says neither."""
    return _FLAGS.get(row.get(column, "").lower())


def is_none(row: Row, column: str) -> bool:
    """Whether the report says outright that there is none (``N/A``, ``no_information``)."""
    return row.get(column, "").lower() in _NONE


def date(row: Row, column: str) -> datetime | None:
    """The moment in a cell; None where there is none, the column is missing, or it can't be read."""
    return moment(row.get(column))


def last_use(row: Row, prefix: str, date_column: str) -> LastUse | None:
    """A use, or ``LastUse(None)`` for never; None where the report doesn't tell.

    ``prefix``: of the columns ``_last_used_service`` and ``_last_used_region``, which passwords lack.
    """
    if is_none(row, date_column):
        return LastUse(None)
    at = date(row, date_column)
    if at is None:
        return None
    service, region = (
        "" if is_none(row, column) else row.get(column, "")
        for column in (f"{prefix}_last_used_service", f"{prefix}_last_used_region")
    )
    return LastUse(at, service, region)


#: Times in the report are cut to the second.
_SAME_MOMENT = timedelta(seconds=2)
_ADDITIONAL = "additional_credentials_info"


def is_row_of(user: IamUser, row: Row) -> bool:
    """False where the row tells of an earlier user of the same name, which was created at another time."""
    created, reported = moment(user.detail.get("CreateDate")), date(row, "user_creation_time")
    return created is None or reported is None or abs(created - reported) < _SAME_MOMENT


def credentials_of(row: Row) -> dict[str, tuple[Credential, ...]]:
    """Attachment kind -> credentials: password, access keys, signing certificates."""
    found = {
        LOGIN_PROFILE.name: _password(row),
        ACCESS_KEY.name: _both(row, "key", _key),
        SIGNING_CERTIFICATE.name: _both(row, "certificate", _certificate),
    }
    return {kind: credentials for kind, credentials in found.items() if credentials is not None}


def _password(row: Row) -> tuple[Credential, ...] | None:
    enabled = flag(row, "password_enabled")
    if not enabled:
        return None if enabled is None else ()
    use = last_use(row, "password", "password_last_used")
    return (Credential(LOGIN_PROFILE.name, "password", True, date(row, "password_last_changed"), use),)


def _both(
    row: Row, title: str, read: Callable[[Row, str], tuple[Credential, ...] | None]
) -> tuple[Credential, ...] | None:
    first, second = read(row, "1"), read(row, "2")
    # A user may have more than two ("additional_credentials_info"), and then the row tells of two only.
    more = row.get(_ADDITIONAL, "") if not is_none(row, _ADDITIONAL) else ""
    named = [each for each in ("key", "certificate") if each in more.lower()]
    if first is None or second is None or (more and (title in named or not named)):
        return None
    return (*first, *second)


def _key(row: Row, number: str) -> tuple[Credential, ...] | None:
    prefix = f"access_key_{number}"
    use = last_use(row, prefix, f"{prefix}_last_used_date")
    return _numbered(row, prefix, Credential(ACCESS_KEY.name, f"access key {number}", None, None, use))


def _certificate(row: Row, number: str) -> tuple[Credential, ...] | None:
    # AWS keeps no track of the use of certificates.
    certificate = Credential(SIGNING_CERTIFICATE.name, f"signing certificate {number}", None, None, None)
    return _numbered(row, f"cert_{number}", certificate)


def _numbered(row: Row, prefix: str, found: Credential) -> tuple[Credential, ...] | None:
    active, rotated = flag(row, f"{prefix}_active"), f"{prefix}_last_rotated"
    made = date(row, rotated)
    if active or made:
        return (Credential(found.kind, found.title, active, made, found.last_use),)
    # An inactive one differs from none only by its date of rotation, so that must say outright that there is none.
    return () if active is False and is_none(row, rotated) else None
