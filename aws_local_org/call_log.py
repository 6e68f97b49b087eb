# SPDX-License-Identifier: Apache-2.0
"""The calls that the local organization saw, newest last."""

from __future__ import annotations

import collections
import dataclasses
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: Enough for a rehearsal of tens of thousands of users; beyond it the oldest calls are forgotten.
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
    """A bounded log that many threads may write to."""

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
