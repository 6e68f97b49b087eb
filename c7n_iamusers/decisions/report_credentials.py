# SPDX-License-Identifier: Apache-2.0
"""From a row of the credential report to the credentials it tells of. Pure.

A kind is left out, so unknown, where the row does not settle whether or how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from c7n_iamusers.model.attachments import ACCESS_KEY, LOGIN_PROFILE, SIGNING_CERTIFICATE
from c7n_iamusers.model.credential_report import Row, date, flag, is_none, last_use
from c7n_iamusers.model.evidence import Credential
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.moments import moment

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
