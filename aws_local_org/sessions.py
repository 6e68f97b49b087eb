# SPDX-License-Identifier: Apache-2.0
"""How a client is pointed at the local organization, and at nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import boto3
import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials, ReadOnlyCredentials

from aws_local_org import credentials
from aws_local_org.credentials import Keys


class CurrentCredentials(Credentials):
    """Credentials asked for at each use, since a reset ends those that STS issued before."""

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
        return CurrentCredentials(self._current)


class LocalSession(boto3.Session):
    """A boto3 session whose clients all speak to one endpoint, whatever the environment says."""

    def __init__(self, endpoint_url: str, region: str, current: Callable[[], Keys]) -> None:
        core = botocore.session.Session()
        core.register_component("credential_provider", CredentialResolver([_Provider(current)]))
        super().__init__(botocore_session=core, region_name=region)
        self._endpoint_url = endpoint_url

    def client(self, service_name: str, *args: Any, **options: Any) -> Any:
        if len(args) < 5:  # endpoint_url is the fifth optional argument of boto3.Session.client
            options.setdefault("endpoint_url", self._endpoint_url)
        return super().client(service_name, *args, **options)  # type: ignore[call-overload]


def base_environment(endpoint_url: str, region: str) -> dict[str, str]:
    """The environment of a process that works in the management account.

    The shared configuration files are set aside, so that no profile can lead a rehearsal to a real account.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": credentials.BASE.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.BASE.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.BASE.session_token,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
