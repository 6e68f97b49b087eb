# SPDX-License-Identifier: Apache-2.0
"""The local organization as Python sees it: start it, look into it, change it while it runs."""

from __future__ import annotations

import functools
import threading
import time
from types import TracebackType
from typing import Any

from moto.backends import get_backend

from aws_local_org import accounts, credentials
from aws_local_org import settings as settings_module
from aws_local_org.application import Application
from aws_local_org.call_log import CallLog, CallRecord
from aws_local_org.credentials import Keys
from aws_local_org.server import ServerThread
from aws_local_org.sessions import LocalSession, base_environment
from aws_local_org.settings import Settings
from c7n_iamusers.exceptions import LocalOrgError

#: A role session lasts an hour; a new one is taken a little earlier.
SESSION_SECONDS = 55 * 60

_one_at_a_time = threading.Lock()


class LocalOrg:
    """An AWS organization on loopback, for as long as the `with` block lasts.

        with LocalOrg(Settings(page_limit=2)) as org:
            org.client("iam", "111122223333").list_users()

    Only one runs in a process at a time, since moto's backends are globals of the process.
    Raises LocalOrgError where one runs already, or the port is taken.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._log = CallLog()
        self._server: ServerThread | None = None
        self._sessions: dict[str, LocalSession] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._keys: dict[str, tuple[Keys, float]] = {}
        #: Held while moto works; hold it while seeding through backends, too.
        self.lock = threading.RLock()

    def __enter__(self) -> LocalOrg:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> LocalOrg:
        if not _one_at_a_time.acquire(blocking=False):
            raise LocalOrgError("a local organization runs in this process already; stop it first")
        try:
            accounts.install()
            settings_module.make_current(self._settings)
            self.reset()
            self._server = ServerThread(Application(self, self._log), self._settings.port)
        except BaseException:
            _one_at_a_time.release()
            raise
        return self

    def stop(self) -> None:
        if self._server is None:
            return
        self._server.stop()
        self._server = None
        for cache in (self._sessions, self._clients, self._keys):
            cache.clear()
        with self.lock:
            accounts.clear()
        _one_at_a_time.release()

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def endpoint_url(self) -> str:
        """Raises LocalOrgError while it does not run."""
        if self._server is None:
            raise LocalOrgError(
                "the local organization is not running; call start() or use it in a with block"
            )
        return f"http://{self._server.host}:{self._server.port}"

    def configure(self, **changes: Any) -> Settings:
        """Change settings while running, e.g. configure(page_limit=2, latency_ms=50)."""
        self._settings = self._settings.changed(**changes)
        settings_module.make_current(self._settings)
        return self._settings

    def reset(self) -> None:
        """Empty accounts, as after a fresh start; the call log is emptied, settings stay."""
        with self.lock:
            accounts.build(self._settings)
            self._keys.clear()
        self._log.clear()

    @property
    def calls(self) -> list[CallRecord]:
        """A snapshot of the calls so far, oldest first."""
        return self._log.records()

    def clear_calls(self) -> None:
        self._log.clear()

    def environment(self) -> dict[str, str]:
        """What a process exports to work in the management account of this organization."""
        return base_environment(self.endpoint_url, self._settings.region)

    def session(self, account_id: str | None = None) -> LocalSession:
        """A session in an account: the management account's own, or one of a member by a real AssumeRole.

        It stays good over a reset; its role is assumed anew then.
        """
        account_id = account_id or self._settings.management_account
        if account_id not in self._sessions:
            keys = functools.partial(self._keys_of, account_id)
            self._sessions[account_id] = LocalSession(self.endpoint_url, self._settings.region, keys)
        return self._sessions[account_id]

    def client(self, service: str, account_id: str | None = None, **options: Any) -> Any:
        """A boto3 client in an account, e.g. client("iam", "111122223333"); the same one each time it is asked for."""
        if options:
            return self.session(account_id).client(service, **options)
        wanted = (service, account_id or self._settings.management_account)
        if wanted not in self._clients:
            self._clients[wanted] = self.session(account_id).client(service)
        return self._clients[wanted]

    def _keys_of(self, account_id: str) -> Keys:
        if account_id == self._settings.management_account:
            return credentials.BASE
        keys, until = self._keys.get(account_id, (credentials.BASE, 0.0))
        if until < time.monotonic():
            keys = self._assume(f"arn:aws:iam::{account_id}:role/{self._settings.role_name}")
            self._keys[account_id] = (keys, time.monotonic() + SESSION_SECONDS)
        return keys

    def _assume(self, role_arn: str) -> Keys:
        assumed = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="local-org")["Credentials"]
        return Keys(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])

    def backend(self, service: str, account_id: str | None = None, region: str | None = None) -> Any:
        """moto's backend of a service in an account, to seed at speed (hold `lock` meanwhile)."""
        in_account = get_backend(service)[account_id or self._settings.management_account]
        return in_account["aws" if "aws" in in_account else region or self._settings.region]
