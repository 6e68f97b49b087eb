# SPDX-License-Identifier: Apache-2.0
"""An Identity Center that can be worked with: its clients, held to one rate, and its instance, found fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.aws.identity_center import resolve_instance
from c7n_iamusers.aws.journaled_call import SINGLE_TRY
from c7n_iamusers.aws.rate_limit import IDENTITY_CENTER_RATE, RateLimit
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.identity_center import Instance

SERVICES = ("sso-admin", "identitystore")


@dataclass(frozen=True)
class Center:
    """``clients``: boto3 service name -> client, all of them held to ``rate``. ``account_id``: who calls."""

    clients: Mapping[str, Any]
    instance: Instance
    backoff: Backoff
    rate: RateLimit
    account_id: str

    @property
    def is_delegated(self) -> bool:
        """Whether the caller is a delegated administrator, who may do less than the management account."""
        return self.instance.owner not in ("", self.account_id)


def connect(
    session: Any, region: str | None, backoff: Backoff, per_second: float = IDENTITY_CENTER_RATE
) -> Center:
    """The Identity Center that ``session`` (boto3) sees in ``region``.

    Raises IdentityCenterError where it is not as provisioning needs it, ClientError and BotoCoreError as they come.
    """
    rate = RateLimit(per_second)
    # Retries are Backoff's, which waits as long as AWS asks for and has its turn in the rate for each.
    clients = {name: session.client(name, region_name=region, config=SINGLE_TRY) for name in SERVICES}
    for client in clients.values():
        rate.attach(client)
    instance = resolve_instance(clients["sso-admin"], backoff)
    caller = backoff.call(session.client("sts", region_name=region).get_caller_identity)
    return Center(clients, instance, backoff, rate, str(caller["Account"]))
