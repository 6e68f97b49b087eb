# SPDX-License-Identifier: Apache-2.0
"""Random faults of IAM: throttling, broken connections and temporary conflicts, each with a share in the settings."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from enum import Enum

from aws_local_org.aws_request import AwsRequest
from aws_local_org.errors import AwsError
from aws_local_org.settings import Settings

_READING = ("Get", "List", "Generate", "Simulate")
_TEMPORARY = ("ConcurrentModification", "EntityTemporarilyUnmodifiable")
#: The error code in the log for a connection that broke before its call was applied; no HTTP status was sent.
CONNECTION_RESET = "ConnectionReset"


class ConnectionLost(Exception):
    """The connection ends without an answer."""


class Fault(Enum):
    """The fate of a call."""

    NONE = "none"
    THROTTLED = "throttled"
    LOST_BEFORE = "lost before it was applied"
    LOST_AFTER = "lost after it was applied"
    CONFLICT = "conflict"


class Faults:
    """Decides for each call by its parameters and its repetition, so that the order of threads does not matter."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()

    def of(self, settings: Settings, request: AwsRequest, account_id: str) -> Fault:
        """The fate of this call in the account."""
        if request.service != "iam" or not (settings.throttled or settings.resets or settings.conflicts):
            return Fault.NONE
        if settings.faulty_accounts and account_id not in settings.faulty_accounts:
            return Fault.NONE
        call = f"{request.operation} {json.dumps(request.parameters, sort_keys=True, default=str)}"
        with self._lock:
            self._asked[call] += 1
            times = self._asked[call]
        return _drawn(settings, request, random.Random(f"{settings.fault_seed}:{times}:{call}"))


def refusal(fault: Fault, request: AwsRequest) -> AwsError | None:
    """The error that answers the call; None if it is not refused."""
    if fault is Fault.THROTTLED:
        return AwsError("Throttling", "Rate exceeded", 400)
    if fault is not Fault.CONFLICT:
        return None
    if request.operation == "DeleteUser":
        # IAM is eventually consistent: a removal just before may not be visible yet.
        return AwsError("DeleteConflict", "Cannot delete entity, must remove referenced objects first.", 409)
    code = _TEMPORARY[len(request.operation) % len(_TEMPORARY)]
    return AwsError(code, "The entity is being modified; please wait a moment and try again.", 409)


def _drawn(settings: Settings, request: AwsRequest, chance: random.Random) -> Fault:
    drawn = chance.random()
    if drawn < settings.throttled:
        return Fault.THROTTLED
    drawn -= settings.throttled
    if drawn < settings.resets:
        return Fault.LOST_BEFORE if drawn < settings.resets / 2 else Fault.LOST_AFTER
    drawn -= settings.resets
    changing = not request.operation.startswith(_READING)
    return Fault.CONFLICT if changing and drawn < settings.conflicts else Fault.NONE
