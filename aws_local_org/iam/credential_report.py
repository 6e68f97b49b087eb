# SPDX-License-Identifier: Apache-2.0
"""The credential report: generated asynchronously, kept for four hours, with the state at its request.

Sources: the API reference of GenerateCredentialReport and GetCredentialReport, and, for columns, values and "once every
four hours", https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html. As reports of real
accounts show: the root user first, users in the order of their names whatever the case, `N/A` for what a user does not
have, `no_information` for a password nobody has used, `not_supported` for the root user's password.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.iam.models import AccessKey, SigningCertificate

from aws_local_org import settings
from aws_local_org.errors import iam_error
from aws_local_org.iam.base import Backend, Response
from aws_local_org.iam.entities import User
from aws_local_org.iam.results import PlainResult

_STARTED = "No report exists. Starting a new report generation task"


@dataclass(frozen=True)
class Report:
    """requested: by time.monotonic(). The content is that at the request."""

    content: str
    generated: datetime
    requested: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.requested

    @property
    def is_ready(self) -> bool:
        return self.age >= settings.current().report_seconds


class CredentialReportBackend(Backend):
    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.report: Report | None = None
        #: When the account and its root user were created, long before any seeded date.
        self.created = datetime(2014, 1, 1)


class CredentialReportResponse(Response):
    def generate_credential_report(self) -> ActionResult:
        report = self._account.report
        if report is not None and not report.is_ready:
            return PlainResult({"State": "INPROGRESS"})
        if report is not None and report.age <= settings.current().report_ttl_seconds:
            return PlainResult({"State": "COMPLETE"})
        self._account.report = Report(report_csv(self._account), utcnow(), time.monotonic())
        return PlainResult({"State": "STARTED", "Description": _STARTED})

    def get_credential_report(self) -> ActionResult:
        report = self._account.report
        if report is None:
            raise iam_error(
                "ReportNotPresent", "No report exists. Generate one with GenerateCredentialReport."
            )
        if not report.is_ready:
            raise iam_error("ReportInProgress", "The credential report is still being generated.")
        if report.age > settings.current().report_expiry_seconds:
            raise iam_error("ReportExpired", "The most recent credential report has expired.")
        return PlainResult(
            {"Content": report.content, "ReportFormat": "text/csv", "GeneratedTime": report.generated}
        )

    @property
    def _account(self) -> Any:
        return self.backend


COLUMNS = (
    "user arn user_creation_time password_enabled password_last_used password_last_changed password_next_rotation "
    "mfa_active access_key_1_active access_key_1_last_rotated access_key_1_last_used_date "
    "access_key_1_last_used_region access_key_1_last_used_service access_key_2_active access_key_2_last_rotated "
    "access_key_2_last_used_date access_key_2_last_used_region access_key_2_last_used_service cert_1_active "
    "cert_1_last_rotated cert_2_active cert_2_last_rotated"
).split()

NONE = "N/A"
NEVER = "no_information"
NOT_SUPPORTED = "not_supported"

_NO_KEY = ("false", NONE, NONE, NONE, NONE)
_NO_CERTIFICATE = ("false", NONE)


def report_csv(account: Any) -> str:
    """The report of an account (its IAM backend), without a final newline, as AWS leaves it out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerow(_root(account))
    writer.writerows(_user(account, user) for user in sorted(account.users.values(), key=_by_name))
    return text.getvalue().rstrip("\n")


def _by_name(user: User) -> str:
    name: str = user.name
    return name.casefold()


def _root(account: Any) -> list[str]:
    has_mfa = any(device.of_root for device in account.virtual_mfa_devices.values())
    return [
        "<root_account>",
        f"arn:{account.partition}:iam::{account.account_id}:root",
        _date(account.created),
        *(NOT_SUPPORTED, NEVER, NOT_SUPPORTED, NOT_SUPPORTED),
        _flag(has_mfa),
        *_NO_KEY * 2,
        *_NO_CERTIFICATE * 2,
    ]


def _user(account: Any, user: User) -> list[str]:
    keys = sorted(user.access_keys, key=lambda key: (key.create_date, key.access_key_id))
    certificates = sorted(user.signing_certificates.values(), key=lambda certificate: certificate.upload_date)
    return [
        user.name,
        user.arn,
        _date(user.create_date),
        *_password(account, user),
        _flag(user.mfa_devices),
        *_first_two(map(_key, keys), _NO_KEY),
        *_first_two(map(_certificate, certificates), _NO_CERTIFICATE),
    ]


def _password(account: Any, user: User) -> tuple[str, str, str, str]:
    profile = user.login_profile
    if profile is None:
        return "false", NONE, NONE, NONE
    policy = account.account_password_policy
    days = policy.max_password_age if policy else None
    rotation = _date(profile.changed + timedelta(days=days)) if days else NONE
    used = _date(user.password_last_used) if user.password_last_used else NEVER
    return "true", used, _date(profile.changed), rotation


def _key(key: AccessKey) -> Sequence[str]:
    active, rotated, used = _flag(key.status == "Active"), _date(key.create_date), key.last_used
    if used is None:
        return active, rotated, NONE, NONE, NONE
    return active, rotated, _date(used.timestamp), used.region, used.service


def _certificate(certificate: SigningCertificate) -> Sequence[str]:
    return _flag(certificate.status == "Active"), _date(certificate.upload_date)


def _first_two(rows: Iterable[Sequence[str]], absent: Sequence[str]) -> list[str]:
    first, second, *_ = (*rows, absent, absent)
    return [*first, *second]


def _flag(value: object) -> str:
    return "true" if value else "false"


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")
