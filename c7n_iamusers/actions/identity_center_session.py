# SPDX-License-Identifier: Apache-2.0
"""The session in which Identity Center is spoken to: another account's than that of the users, as a rule."""

from __future__ import annotations

from typing import Any

from c7n.credentials import assumed_session
from c7n.utils import local_session


def identity_center_session(manager: Any, role: str | None, region: str | None) -> Any:
    """A boto3 session, the policy's own where there is no ``role``.

    The role is assumed with the credentials of whoever runs Cloud Custodian, as ``notify`` does with
    ``assume_role: false``: under c7n-org the policy's own session is the member account's role, which
    nobody should have to trust in the management account. (Where accounts.yml chains several roles, c7n-org
    itself puts the last one's credentials into the environment, and these are then the runner's.)

    Raises ClientError, BotoCoreError where the role can't be assumed.
    """
    factory = manager.session_factory
    if role is None:
        return local_session(factory)
    name = getattr(factory, "session_name", "CloudCustodian")
    session = assumed_session(role, name, session=factory(assume=False), region=region)
    # c7n's user agent and its count of API calls, where the factory is c7n's own.
    return factory.update(session) if hasattr(factory, "update") else session
