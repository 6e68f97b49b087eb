# SPDX-License-Identifier: Apache-2.0
"""When access keys were last used, asked of AWS key by key at this moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.aws.users import list_kind
from c7n_iamusers.model.attachments import ACCESS_KEY
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.key_use import KeyUse

#: What GetAccessKeyLastUsed may answer for a key that does not exist: AWS denies access to it, as to a forbidden one.
_NO_KEY_OR_DENIED = frozenset({"AccessDenied", "NoSuchEntity"})


def read_key_use(client: Any, user: IamUser, backoff: Backoff) -> tuple[KeyUse, ...]:
    """The last use of each access key that ``user`` has.

    Where a key went since ``user`` was read, the keys that are listed now are asked about instead. Raises ClientError
    where one can't be read: a denial for a key that is still listed is a denial.
    """
    return _read_all(client, user.name, user.attachments[ACCESS_KEY.name], backoff)


def _read_all(client: Any, name: str, keys: Iterable[Item], backoff: Backoff) -> tuple[KeyUse, ...]:
    uses = []
    for key in keys:
        try:
            uses.append(_read(client, str(key["AccessKeyId"]), backoff))
        except ClientError as error:
            if error_code(error) not in _NO_KEY_OR_DENIED:
                raise
            listed = list_kind(client, name, ACCESS_KEY, backoff)
            if key["AccessKeyId"] in {item["AccessKeyId"] for item in listed}:
                raise
            return _read_all(client, name, listed, backoff)
    return tuple(uses)


def _read(client: Any, key_id: str, backoff: Backoff) -> KeyUse:
    found = backoff.call(client.get_access_key_last_used, AccessKeyId=key_id)["AccessKeyLastUsed"]
    return KeyUse(key_id, found.get("LastUsedDate"), found.get("ServiceName", ""), found.get("Region", ""))
