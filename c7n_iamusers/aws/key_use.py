# SPDX-License-Identifier: Apache-2.0
"""When access keys were last used, asked of AWS key by key at this moment."""

from __future__ import annotations

from typing import Any

from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.attachments import ACCESS_KEY
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.key_use import KeyUse


def read_key_use(client: Any, user: IamUser, backoff: Backoff) -> tuple[KeyUse, ...]:
    """The last use of each access key of ``user``. Raises ClientError where one can't be read."""
    return tuple(
        _read(client, str(item["AccessKeyId"]), backoff) for item in user.attachments[ACCESS_KEY.name]
    )


def _read(client: Any, key_id: str, backoff: Backoff) -> KeyUse:
    found = backoff.call(client.get_access_key_last_used, AccessKeyId=key_id)["AccessKeyLastUsed"]
    return KeyUse(key_id, found.get("LastUsedDate"), found.get("ServiceName", ""), found.get("Region", ""))
