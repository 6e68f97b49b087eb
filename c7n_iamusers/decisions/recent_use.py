# SPDX-License-Identifier: Apache-2.0
"""Whether a user was active lately, by what AWS tells at this moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.key_use import KeyUse


def use_since(user: IamUser, keys: Iterable[KeyUse], since: datetime) -> str | None:
    """The latest use of password or access keys after ``since``, in words; None where AWS tells of none.

    None is no proof of rest: IAM tells no use of certificates, SSH keys and service-specific credentials, and
    attempts with a deactivated key may leave no trace. PasswordLastUsed counts sign-ins to the console.
    """
    recent = [(at, what) for at, what in _uses(user, keys) if at > since]
    if not recent:
        return None
    at, what = max(recent)
    return f"{what} on {at:%Y-%m-%d %H:%M} UTC"


def active_within(user: IamUser, keys: Iterable[KeyUse], days: float, now: datetime) -> str | None:
    """The same for the last ``days`` days before ``now``."""
    return use_since(user, keys, now - timedelta(days=days))


def _uses(user: IamUser, keys: Iterable[KeyUse]) -> Iterator[tuple[datetime, str]]:
    password = user.detail.get("PasswordLastUsed")
    if password:
        yield password, "its password was used"
    for key in keys:
        if key.at:
            where = f" for {key.service} in {key.region}" if key.service not in ("", "N/A") else ""
            yield key.at, f"its access key {key.key_id} was used{where}"
