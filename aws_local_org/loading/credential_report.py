# SPDX-License-Identifier: Apache-2.0
"""Credentials of users from a credential report, whose columns differ between accounts and years.

Source: IAM User Guide, "Getting credential reports for your AWS account", which lists columns and values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import cycle

from aws_local_org import settings
from aws_local_org.loading.authorization_details import Reading
from aws_local_org.loading.documents import moment, report_flag, report_value
from aws_local_org.seeding.key_material import CERTIFICATES
from aws_local_org.seeding.records import (
    AccessKey,
    AccountContents,
    LastUse,
    MfaDevice,
    Password,
    PublicKey,
    User,
)

ROOT = "<root_account>"
Row = Mapping[str, str]


def add_credentials(contents: AccountContents, rows: Sequence[Row], reading: Reading) -> AccountContents:
    """The contents with each user's credentials from its row. Key ids, certificates and MFA serials are invented."""
    by_name = {row["user"].lower(): row for row in rows if row["user"] != ROOT}
    reader = _ReportReader(reading)
    users = []
    for user in contents.users:
        row = by_name.pop(user.name.lower(), None)
        if row is None:
            reading.notes.add(
                "user is missing from the credential report, so it got no credentials", user.name
            )
        users.append(reader.with_credentials(user, row) if row else user)
    for row in by_name.values():
        reading.notes.add(
            "user of the credential report is missing from the details, not loaded", row["user"]
        )
    return dataclasses.replace(contents, users=tuple(users))


class _ReportReader:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._certificates = cycle(CERTIFICATES)

    def with_credentials(self, user: User, row: Row) -> User:
        if row["user"] != user.name:
            self._reading.notes.add(
                "user is written differently in the credential report", f"{user.name}, {row['user']}"
            )
        if additional := report_value(row, "additional_credentials_info"):
            self._reading.notes.add(
                "has more credentials than the report lists, not loaded", f"{user.name} ({additional})"
            )
        return dataclasses.replace(
            user,
            password=self._password(user, row),
            mfa_devices=self._mfa_devices(user, row),
            access_keys=tuple(self._access_keys(user, row)),
            certificates=tuple(self._signing_certificates(user, row)),
        )

    def _password(self, user: User, row: Row) -> Password | None:
        if not report_flag(row, "password_enabled"):
            return None
        changed = self._date(user, row, "password_last_changed") or user.created
        return Password(changed, self._date(user, row, "password_last_used"))

    def _mfa_devices(self, user: User, row: Row) -> tuple[MfaDevice, ...]:
        """The report does not show the kind of a device; it is loaded as a virtual one, the kind most people have."""
        if not report_flag(row, "mfa_active"):
            return ()
        serial = f"arn:{settings.current().partition}:iam::{self._reading.rewriter.target}:mfa/{user.name}"
        return (MfaDevice(serial, user.created),)

    def _access_keys(self, user: User, row: Row) -> Iterator[AccessKey]:
        """A key exists if it is active or was ever rotated: the report has no other trace of an inactive key."""
        for key in ("access_key_1", "access_key_2"):
            active, rotated = report_flag(row, f"{key}_active"), self._date(user, row, f"{key}_last_rotated")
            if active or rotated:
                last_use = self._last_use(user, row, key)
                yield AccessKey(self._reading.ids.access_key(), rotated or user.created, active, last_use)

    def _last_use(self, user: User, row: Row, key: str) -> LastUse | None:
        date = self._date(user, row, f"{key}_last_used_date")
        service = report_value(row, f"{key}_last_used_service") or "N/A"
        return LastUse(date, service, report_value(row, f"{key}_last_used_region") or "N/A") if date else None

    def _signing_certificates(self, user: User, row: Row) -> Iterator[PublicKey]:
        for certificate in ("cert_1", "cert_2"):
            active = report_flag(row, f"{certificate}_active")
            rotated = self._date(user, row, f"{certificate}_last_rotated")
            if active or rotated:
                body = next(self._certificates)
                yield PublicKey(self._reading.ids.certificate(), body, rotated or user.created, active)

    def _date(self, user: User, row: Row, column: str) -> datetime | None:
        try:
            return moment(report_value(row, column))
        except ValueError:
            self._reading.notes.add(
                f"{column} of the credential report is not a date, taken as unknown", user.name
            )
            return None
