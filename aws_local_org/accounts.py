# SPDX-License-Identifier: Apache-2.0
"""The accounts of the running organization: their settings, moto's backends behind them, and their calls."""

from __future__ import annotations

import json
import secrets
import threading
from typing import Any

from moto.backends import get_backend
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.iam.models import iam_backends
from moto.sqs.models import sqs_backends

from aws_local_org import (
    account_management,
    buckets,
    cloudtrail,
    credentials,
    governance,
    iam,
    identity_center,
    queues,
    sts,
    trails,
)
from aws_local_org import settings as settings_module
from aws_local_org.call_log import CallLog, CallRecord
from aws_local_org.settings import Settings

#: The role that AWS Organizations makes in every account that it creates.
ORGANIZATION_ROLE = "OrganizationAccountAccessRole"

#: The role in the management account that provisions Identity Center for all accounts.
PROVISIONER_ROLE = "IdentityCenterProvisioner"

#: The queue in the management account from c7n's notify to c7n-mailer.
MAILER_QUEUE = "c7n-mailer"
#: Seconds for which it keeps messages: the maximum of SQS.
RETENTION = 14 * 24 * 60 * 60

ADMINISTRATOR = "arn:{partition}:iam::aws:policy/AdministratorAccess"


class Accounts:
    """The state that requests, seeding and loading share: one per process, as moto's backends are global."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = CallLog()
        #: Every request to this run must show it, or a session that the run issued. Whoever has the run's environment
        #: may drive it.
        self.token = secrets.token_urlsafe(32)
        #: Held while moto handles a request. Also hold it to seed through backends.
        self.lock = threading.RLock()

    @property
    def settings(self) -> Settings:
        return self._settings

    def configure(self, **changes: Any) -> Settings:
        """Change settings while running, e.g. configure(page_limit=2, latency_ms=50)."""
        self._settings = self._settings.changed(**changes)
        settings_module.make_current(self._settings)
        return self._settings

    def reset(self) -> None:
        """Empty accounts, as after a fresh start; the call log is emptied, settings stay."""
        with self.lock:
            build(self._settings, self.token)
        self._log.clear()

    @property
    def calls(self) -> list[CallRecord]:
        """A snapshot of the calls so far, oldest first."""
        return self._log.records()

    def record(self, call: CallRecord) -> None:
        """Add a call to the log."""
        self._log.add(call)

    def clear_calls(self) -> None:
        self._log.clear()

    def backend(self, service: str, account_id: str | None = None, region: str | None = None) -> Any:
        """moto's backend of a service in an account, for fast seeding (hold `lock` meanwhile)."""
        in_account = get_backend(service)[account_id or self._settings.management_account]
        partition = self._settings.partition
        return in_account[partition if partition in in_account else region or self._settings.region]


def install() -> None:
    """Patch moto's classes. Idempotent."""
    iam.install()
    sts.install()
    identity_center.install()
    account_management.install()
    cloudtrail.install()
    governance.install()
    queues.install()
    trails.install()
    buckets.install()


def clear() -> None:
    """Delete the content of every service in every account."""
    BackendDict.reset()
    iam.reset()
    cloudtrail.HISTORY.clear()
    governance.reset()
    reset_model_data()  # moto keeps a reference to every model that it ever created


def build(settings: Settings, run_token: str) -> None:
    """Empty accounts with their roles, and the mailer's queue.

    Every role has AdministratorAccess; replace it to try other policies with the setting ``enforce``.
    """
    clear()
    management, partition = settings.management_account, settings.partition
    root = f"arn:{partition}:iam::{management}:root"
    operator = _role(partition, management, credentials.OPERATOR_ROLE, [root])
    credentials.reset(settings, operator.id, run_token)
    for account_id in settings.account_ids:
        _role(partition, account_id, settings.role_name, [root])
    custodians = [
        f"arn:{partition}:iam::{account_id}:role/{settings.role_name}" for account_id in settings.account_ids
    ]
    _role(partition, management, PROVISIONER_ROLE, [root, *custodians])
    sqs_backends[management][settings.region].create_queue(MAILER_QUEUE, {}, MessageRetentionPeriod=RETENTION)
    identity_center.populate(settings)  # creates the role of AWS Organizations in every member account
    for account_id, _ in settings.member_accounts:
        backend = iam_backends[account_id]["aws"]
        if partition == "aws":
            backend.attach_role_policy(ADMINISTRATOR.format(partition=partition), ORGANIZATION_ROLE)
        else:  # moto always makes it in partition aws
            backend.delete_role(ORGANIZATION_ROLE)
            _role(partition, account_id, ORGANIZATION_ROLE, [root])


def _role(partition: str, account_id: str, name: str, trusted: list[str]) -> Any:
    backend = iam_backends[account_id][partition]
    role = backend.create_role(
        role_name=name,
        assume_role_policy_document=_trust_policy(trusted),
        path="/",
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
    )
    backend.attach_role_policy(ADMINISTRATOR.format(partition=partition), name)
    return role


def _trust_policy(trusted: list[str]) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
