# SPDX-License-Identifier: Apache-2.0
"""AWS errors as c7n's own, with who, where and what to do.

A raw AccessDenied ClientError makes c7n-org drop the account's later policies; a PolicyExecutionError
fails this policy alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError


@contextmanager
def unreadable(manager: Any, what: str, permissions: str) -> Iterator[None]:
    """Turns an AWS error within into a PolicyExecutionError that says what could not be read, and where."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {manager.config.account_id}: {what} can't be read: {error}. "
            f"No user was selected or touched. Give the policy's role {permissions}, or run again if AWS was at fault"
        ) from error
