# SPDX-License-Identifier: Apache-2.0
"""An emulated AWS organization in one process, on loopback, to test policies before they run against a real one.

    with LocalOrg(Settings(page_limit=2)) as org:
        org.client("iam", "111122223333").list_users()

emulator         LocalOrg: starts and stops it, sessions and clients; accounts: the initial content of the accounts
server           HTTP on loopback; application: an AWS call from request to response; control: /_local_org/
aws_request      which operation a request asks for; call_log, faults, credentials, settings, environment, errors
authorization    what a request must be allowed; enforcement: whether the caller's policies allow it (setting enforce)
iam              IAM over moto's; sts; organization, account_management: AWS Organizations, contacts and Regions
cloudtrail       the event history and LookupEvents; scripted_events: events of calls that nobody made
governance       OpsItems of Systems Manager, and rules of AWS Config that do not exist; queues: messages that expire
identity_center  IAM Identity Center: sso-admin and identitystore
seed, seeding    fill accounts with an invented population; load, loading: with a copy of a real account
smtp_sink        an SMTP server that keeps every mail as a file
commands         ``c7n-iamusers local-org``, with serving; demo: ``c7n-iamusers demo`` and ``rehearse``

Importing this package loads neither moto nor boto3: the commands' help needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_local_org.call_log import CallRecord
from aws_local_org.environment import no_aws_settings
from aws_local_org.settings import Settings

if TYPE_CHECKING:
    from aws_local_org.emulator import LocalOrg

__all__ = ["CallRecord", "LocalOrg", "Settings"]


def __getattr__(name: str) -> Any:
    if name == "LocalOrg":
        with no_aws_settings():
            from aws_local_org.emulator import LocalOrg

        return LocalOrg
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
