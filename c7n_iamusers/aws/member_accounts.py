# SPDX-License-Identifier: Apache-2.0
"""Reading member accounts' users and their policies again, by a role in each: one paged list an account."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.aws.policy_source import read_policy_source
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.intents import PolicySource

_ACCOUNT_ID = "{account_id}"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[!-~]+", re.ASCII)
_SESSION_NAME = "c7n-iamusers"
_WORKERS = 8


@dataclass(frozen=True)
class AccountNow:
    """An account as it is: ``users`` by unique id as botocore's ``UserDetail``, and what their policies need."""

    source: PolicySource
    users: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class MemberAccounts:
    """``role``: the ARN of the role in each, with {account_id}; ``session``: boto3's of who may assume them.

    The session's own account is read as it is. Raises IdentityCenterError for a role that is none.
    """

    role: str
    session: Any
    backoff: Backoff

    def __post_init__(self) -> None:
        if _ACCOUNT_ID not in self.role or not _ROLE.fullmatch(self._role_of("0" * 12)):
            raise IdentityCenterError(
                f"--member-role {self.role!r} is not the ARN of a role in each account: give "
                "'arn:aws:iam::{account_id}:role/NAME'"
            )

    def read(self, account_ids: Iterable[str]) -> dict[str, AccountNow | str]:
        """Account id -> what is there now, or why that can't be read. Raises what asking for the caller raises."""
        wanted = sorted(set(account_ids))
        sts = self.session.client("sts")
        own = str(self.backoff.call(sts.get_caller_identity)["Account"])
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            found = pool.map(lambda account_id: self._account(sts, account_id, own), wanted)
            return dict(zip(wanted, found, strict=True))

    def _account(self, sts: Any, account_id: str, own: str) -> AccountNow | str:
        try:
            session = self.session if account_id == own else self._assumed(sts, account_id)
            client = session.client("iam", region_name=self.session.region_name)
            return AccountNow(*read_policy_source(client, self.backoff))
        except (ClientError, BotoCoreError) as error:
            return f"account {account_id} can't be read by {self._role_of(account_id)}: {error}"

    def _assumed(self, sts: Any, account_id: str) -> Any:
        role = self._role_of(account_id)
        found = self.backoff.call(sts.assume_role, RoleArn=role, RoleSessionName=_SESSION_NAME)
        credentials = found["Credentials"]
        return boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=self.session.region_name,
        )

    def _role_of(self, account_id: str) -> str:
        return self.role.replace(_ACCOUNT_ID, account_id)
