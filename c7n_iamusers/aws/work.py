# SPDX-License-Identifier: Apache-2.0
"""One change on its way: which call is next, what its error means, and when to try again."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.lanes import LANES, LaneKind
from c7n_iamusers.aws.retries import Backoff, error_code, error_delay, is_retryable
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.access_plan import Change
from c7n_iamusers.model.calls import ApiCall, Wait

#: An earlier write has not spread yet, another writer was faster, or a lost response was of a call that
#: had been made: what is there now must be judged anew, never adopted unseen.
RACES = frozenset({"ConflictException", "ResourceNotFoundException"})
#: Seconds for a race to settle.
_RACE_BUDGET = 60.0


class Step(enum.Enum):
    """What a change needs next."""

    CALL = "call"
    JUDGE = "judge"
    ASK = "ask"


@dataclass(frozen=True)
class Judged:
    """What a change comes to by a new look: its ``calls``, or none and the ``values`` that it was to save.

    ``awaits``: the id of a request under way that makes it.
    """

    calls: tuple[ApiCall, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    awaits: str = ""


@dataclass
class Ended:
    """How a change ended. ``status``: one of this module's; ``calls``: the changing ones that were made.

    ``adopted``: what was to be created had been, by somebody else.
    """

    status: str
    calls: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    reason: str = ""
    seconds: float = 0.0
    adopted: bool = False


DONE, FAILED, LEFT = "done", "failed", "left"


class Failure(Exception):
    """The change can't be made."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Work:
    """A change with its calls.

    ``request_id``: the request that is being seen through, since ``waiting_since``. ``announced``: the call in
    hand stands in the journal. ``lost``: it may have been made although no answer came. ``adopted``: what it was
    to create had been created by somebody else.
    """

    def __init__(self, change: Change, backoff: Backoff, began: float) -> None:
        self.change, self._backoff, self.began = change, backoff, began
        self.calls, self.at, self.made = change.calls, 0, 0
        self.values: dict[str, Any] = {}
        self.request_id = change.awaits
        self.step = Step.CALL
        self.announced = self.lost = self.adopted = False
        self.waiting_since: float | None = None
        self._tries: Iterator[float] | None = None
        self._races = replace(backoff, budget=min(backoff.budget, _RACE_BUDGET)).delays()

    @property
    def call(self) -> ApiCall | None:
        """The next call; None where all are made."""
        return self.calls[self.at] if self.at < len(self.calls) else None

    @property
    def in_hand(self) -> ApiCall:
        """The call that is being made, or seen through."""
        assert self.call is not None, f"{self.change.key} has no call left"
        return self.call

    @property
    def wait(self) -> Wait:
        """How to see it through."""
        assert self.in_hand.wait is not None, f"{self.in_hand.operation} is not asynchronous"
        return self.in_hand.wait

    @property
    def lane(self) -> LaneKind | None:
        """The lane that the next call needs room in."""
        return LANES.get(self.call.operation) if self.call else None

    def next_call(self) -> None:
        """The call in hand has come to the wanted end."""
        self._turn_to(self.calls, self.at + 1)

    def start_over(self, judged: Judged) -> None:
        """Go on from what a new look has found."""
        self.adopted = not (judged.calls or judged.awaits or self.lost)
        self._turn_to(judged.calls, 0)
        self.values.update(judged.values)
        self.request_id = judged.awaits

    def ask_anew(self) -> None:
        """The request that was seen through was an earlier run's and failed: make an own one."""
        self._turn_to(self.calls, self.at)

    def _turn_to(self, calls: tuple[ApiCall, ...], at: int) -> None:
        self.calls, self.at, self.step = calls, at, Step.CALL
        self.announced, self.request_id, self.waiting_since, self._tries = False, "", None, None

    def delay_after(self, error: Exception) -> float:
        """Seconds until the next try; ``step`` says of what. Raises Failure where another is of no use."""
        if is_retryable(error):
            self.lost = self.lost or _may_have_been_made(error)
            self._tries = self._tries or self._backoff.delays()
            delay = next(self._tries, None)
            if delay is not None:
                return error_delay(error) or delay
        elif isinstance(error, ClientError) and error_code(error) in RACES and self.step is not Step.ASK:
            delay = next(self._races, None)
            if delay is not None:
                self.step = Step.JUDGE
                # What is there already will not come about by waiting.
                return 0.0 if error.response.get("Reason") == "UNIQUENESS_CONSTRAINT_VIOLATION" else delay
        raise self.failure(error)

    def failure(self, error: Exception) -> Failure:
        """``error`` with the call that it is of."""
        if isinstance(error, IdentityCenterError):
            return Failure(type(error).__name__, str(error))
        if isinstance(error, ClientError):
            return self.failed_with(error_code(error), str(error.response["Error"].get("Message", "")))
        return self.failed_with(type(error).__name__, str(error))

    def failed_with(self, code: str, text: str) -> Failure:
        """The failure of the call in hand."""
        what = f"{self.call.service}:{self.call.operation}" if self.call else "a new look at it"
        return Failure(code, f"{self.change.subject}: {what} failed with {code}: {text}")


def _may_have_been_made(error: Exception) -> bool:
    """Whether the call may have been made all the same: no answer, or AWS's own failure."""
    return not isinstance(error, ClientError) or error_code(error).startswith(("Internal", "Service"))
