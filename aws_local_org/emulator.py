# SPDX-License-Identifier: Apache-2.0
"""The local organization for Python: starts and stops it, and gives sessions and clients in its accounts."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials, ReadOnlyCredentials

from aws_local_org import accounts, credentials
from aws_local_org import settings as settings_module
from aws_local_org.accounts import Accounts
from aws_local_org.application import Application
from aws_local_org.credentials import Keys
from aws_local_org.environment import TOKEN_VARIABLE, not_by_proxy
from aws_local_org.errors import LocalOrgError
from aws_local_org.server import ServerThread
from aws_local_org.settings import Settings

#: A role session lasts an hour; it is renewed a little earlier.
SESSION_SECONDS = 55 * 60

_one_at_a_time = threading.Lock()


class LocalOrg(Accounts):
    """An AWS organization on loopback, for as long as the `with` block lasts.

        with LocalOrg(Settings(page_limit=2)) as org:
            org.client("iam", "111122223333").list_users()

    Only one runs in a process at a time, because moto's backends are globals of the process. Raises LocalOrgError if
    one runs already, or the port is taken.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())
        self._server: ServerThread | None = None
        self._sessions: dict[str, LocalSession] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._keys: dict[str, tuple[Keys, float]] = {}

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
            settings_module.make_current(self.settings)
            self.reset()
            application = Application(self)
            self._server = ServerThread(application, self.settings.port, application.refusal)
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

    def reset(self) -> None:
        """Empty accounts, as after a fresh start; sessions and the call log are emptied, settings stay."""
        with self.lock:
            super().reset()
            self._keys.clear()

    @property
    def endpoint_url(self) -> str:
        """Raises LocalOrgError while it does not run."""
        if self._server is None:
            raise LocalOrgError(
                "the local organization is not running; call start() or use it in a with block"
            )
        return f"http://{self._server.host}:{self._server.port}"

    def environment(self) -> dict[str, str]:
        """The environment of a process that works in the management account of this organization.

        The shared configuration files are disabled, so that no profile can point to a real account.
        """
        keys = credentials.base(self.token)
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_SESSION_TOKEN": keys.session_token,
            "AWS_DEFAULT_REGION": self.settings.region,
            "AWS_REGION": self.settings.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **not_by_proxy(os.environ),
            TOKEN_VARIABLE: self.token,
        }

    def session(self, account_id: str | None = None) -> LocalSession:
        """A session in an account: the management account's own, or one of a member by a real AssumeRole.

        It stays valid after a reset, because its role is then assumed again.
        """
        account_id = account_id or self.settings.management_account
        if account_id not in self._sessions:
            keys = functools.partial(self._keys_of, account_id)
            self._sessions[account_id] = LocalSession(self.endpoint_url, self.settings.region, keys)
        return self._sessions[account_id]

    def client(self, service: str, account_id: str | None = None, **options: Any) -> Any:
        """A boto3 client in an account, e.g. client("iam", "111122223333"); the same one each time it is asked for."""
        if options:
            return self.session(account_id).client(service, **options)
        wanted = (service, account_id or self.settings.management_account)
        if wanted not in self._clients:
            self._clients[wanted] = self.session(account_id).client(service)
        return self._clients[wanted]

    def _keys_of(self, account_id: str) -> Keys:
        if account_id == self.settings.management_account:
            return credentials.base(self.token)
        keys, until = self._keys.get(account_id, (None, 0.0))
        if keys is None or until < time.monotonic():
            keys = self._assume(
                f"arn:{self.settings.partition}:iam::{account_id}:role/{self.settings.role_name}"
            )
            self._keys[account_id] = (keys, time.monotonic() + SESSION_SECONDS)
        return keys

    def _assume(self, role_arn: str) -> Keys:
        assumed = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="local-org")["Credentials"]
        return Keys(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])


class LocalSession(boto3.Session):
    """A boto3 session whose clients all use one endpoint, whatever the environment says."""

    def __init__(self, endpoint_url: str, region: str, current: Callable[[], Keys]) -> None:
        core = botocore.session.Session()
        core.register_component("credential_provider", CredentialResolver([_Provider(current)]))
        # a proxy would be another machine
        core.set_default_client_config(Config(proxies={}))
        super().__init__(botocore_session=core, region_name=region)
        self._endpoint_url = endpoint_url

    def client(self, service_name: str, *args: Any, **options: Any) -> Any:
        if len(args) < 5:  # endpoint_url is the fifth optional argument of boto3.Session.client
            options.setdefault("endpoint_url", self._endpoint_url)
        return super().client(service_name, *args, **options)  # type: ignore[call-overload]


class _CurrentCredentials(Credentials):
    """Credentials that are read at each use, because a reset invalidates those that STS issued before."""

    def __init__(self, current: Callable[[], Keys]) -> None:
        keys = current()
        super().__init__(keys.access_key_id, keys.secret_access_key, keys.session_token, method="local-org")
        self._current = current

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        keys = self._current()
        return ReadOnlyCredentials(keys.access_key_id, keys.secret_access_key, keys.session_token)


class _Provider(CredentialProvider):
    METHOD = "local-org"

    def __init__(self, current: Callable[[], Keys]) -> None:
        super().__init__()
        self._current = current

    def load(self) -> Credentials:
        return _CurrentCredentials(self._current)
