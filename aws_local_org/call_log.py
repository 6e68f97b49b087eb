# SPDX-License-Identifier: Apache-2.0
"""The calls that the local organization saw, newest last, without the secrets in their parameters."""

from __future__ import annotations

import collections
import dataclasses
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: Enough for a test with tens of thousands of users. Beyond it, the oldest calls are dropped.
CAPACITY = 500_000


@dataclass(frozen=True)
class CallRecord:
    """One AWS call.

    service: boto3's name for it (`iam`, `sso-admin`); operation: `DeleteUser`.
    parameters: as given to boto3, secrets replaced by `***`.
    account: the account that the credentials act in. status: HTTP. error_code: None where the call succeeded.
    """

    time: datetime
    account: str
    service: str
    operation: str
    parameters: dict[str, Any]
    status: int
    error_code: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "time": self.time.isoformat()}


class CallLog:
    """A bounded, thread-safe log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: collections.deque[CallRecord] = collections.deque(maxlen=CAPACITY)

    def add(self, record: CallRecord) -> None:
        with self._lock:
            self._records.append(record)

    def records(self) -> list[CallRecord]:
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        with self._lock:
            self._records.clear()


HIDDEN = "***"

#: Members of AWS request shapes that carry a secret, by their exact names: `NextToken` and `SecretId` are no secrets.
SECRETS = frozenset(
    """
    Password OldPassword NewPassword PrivateKey AddPrivateKey SecretAccessKey SecretString SecretBinary SessionToken
    TokenCode AuthenticationCode1 AuthenticationCode2 SAMLAssertion WebIdentityToken ProvidedContexts AccessToken
    RefreshToken ClientSecret TradeInToken SubjectToken ActorToken
    """.split()
)

#: Longer texts and bodies are cut, because people read the log.
LONGEST = 16_384


def redacted(value: Any) -> Any:
    """A copy in which secrets are `***`, bytes only a length, and long texts cut."""
    if isinstance(value, dict):
        return {name: HIDDEN if name in SECRETS else redacted(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(inner) for inner in value]
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}... <{len(value)} characters>"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
