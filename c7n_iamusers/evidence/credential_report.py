# SPDX-License-Identifier: Apache-2.0
"""The credential report: one CSV for an account, and the credentials in each of its rows. Pure.

Columns: "Generate credential reports for your AWS account" (IAM User Guide).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from c7n_iamusers.evidence.model import Credential, LastUse
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.iam.attachments import ACCESS_KEY, LOGIN_PROFILE, SIGNING_CERTIFICATE
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.rows import csv_lines
from c7n_iamusers.text.times import moment

Row = Mapping[str, str]
#: What the report writes if there is no password, no key or no use.
_NONE = frozenset({"n/a", "no_information"})
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class CredentialReport:
    """``rows``: user name in lower case -> row. ``time``: when AWS generated the report, None if unknown."""

    rows: Mapping[str, Row]
    time: datetime | None

    def row(self, user_name: str) -> Row | None:
        """The user's row; None for a user created after the report. Such a user is unknown, not unused."""
        return self.rows.get(user_name.casefold())


def report_text(content: bytes | str) -> str:
    """The CSV in ``Content`` of GetCredentialReport: bytes, text, or base64 as tools save it.

    Raises EvidenceUnreadable for anything else.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        return text if "," in text else base64.b64decode(text.strip(), validate=True).decode("utf-8-sig")
    except ValueError as error:
        raise EvidenceUnreadable(
            f"the credential report is neither UTF-8 text nor base64-encoded UTF-8 text: {error}"
        ) from error


def parse_report(text: str, time: datetime | None) -> CredentialReport:
    """The report in ``text``. A row that is too short has no entry for the cells that it lacks.

    Raises EvidenceUnreadable if ``text`` is not a credential report.
    """
    try:
        lines = [cells for _, cells in csv_lines(text.lstrip("\ufeff"), strict=False)]
    except NotInFormat as error:
        raise EvidenceUnreadable(f"the credential report is not CSV: {error}") from error
    header = [name.lower() for name in lines[0]] if lines else []
    if "user" not in header:
        raise EvidenceUnreadable("the credential report has no column `user` in its first line")
    rows = [dict(zip(header, line, strict=False)) for line in lines[1:]]
    return CredentialReport({row["user"].casefold(): row for row in rows if row.get("user")}, time)


def flag(row: Row, column: str) -> bool | None:
    """True or false, in any case; None if the column is missing or has another value."""
    return _FLAGS.get(row.get(column, "").lower())


def is_none(row: Row, column: str) -> bool:
    """Whether the cell is ``N/A`` or ``no_information``."""
    return row.get(column, "").lower() in _NONE


def date(row: Row, column: str) -> datetime | None:
    """The time in a cell; None if the column is missing or has no time."""
    return moment(row.get(column))


def last_use(row: Row, prefix: str, date_column: str) -> LastUse | None:
    """The last use, or ``LastUse(None)`` for never; None if the report does not say.

    ``prefix``: of the columns ``_last_used_service`` and ``_last_used_region``, which only access keys have.
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


#: Times in the report have whole seconds.
SAME_MOMENT = timedelta(seconds=2)
_ADDITIONAL = "additional_credentials_info"


def is_row_of(user: IamUser, row: Row) -> bool:
    """False if the row is of an earlier user with the same name, which was created at another time."""
    created, reported = moment(user.detail.get("CreateDate")), date(row, "user_creation_time")
    return created is None or reported is None or abs(created - reported) < SAME_MOMENT


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
    # A user can have more than two ("additional_credentials_info"); the row then shows two of them.
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
    # AWS does not track the use of certificates.
    certificate = Credential(SIGNING_CERTIFICATE.name, f"signing certificate {number}", None, None, None)
    return _numbered(row, f"cert_{number}", certificate)


def _numbered(row: Row, prefix: str, found: Credential) -> tuple[Credential, ...] | None:
    active, rotated = flag(row, f"{prefix}_active"), f"{prefix}_last_rotated"
    created = date(row, rotated)
    if active or created:
        return (Credential(found.kind, found.title, active, created, found.last_use),)
    # Only the date of rotation tells an inactive credential from none, so it must be N/A.
    return () if active is False and is_none(row, rotated) else None
