# SPDX-License-Identifier: Apache-2.0
"""The rows of a credential report.

Columns and their values: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html.
As reports of real accounts show: the root user first, users in the order of their names whatever the case, `N/A`
for what a user does not have, `no_information` for a password nobody has used, `not_supported` for the root
user's password.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Sequence
from typing import Any

from moto.iam.models import AccessKey, SigningCertificate

from aws_local_org.iam.entities import User

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
        f"arn:aws:iam::{account.account_id}:root",
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
    rotation = _date(profile.changed + datetime.timedelta(days=days)) if days else NONE
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


def _date(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")
