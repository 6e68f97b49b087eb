# SPDX-License-Identifier: Apache-2.0
"""Identity Center's asynchronous requests: how many may be outstanding, and which of them have come to an end.

Limits: IAM Identity Center User Guide, "Quotas and limits" (throttle limits).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

W = TypeVar("W")

#: Seconds between two polls, at least and at most; between them a share of how long requests took.
_SHORTEST_POLL, _LONGEST_POLL, _SHARE = 0.2, 2.0, 0.04


@dataclass(frozen=True)
class LaneKind:
    """``poll`` lists the requests that are IN_PROGRESS, under ``result``: one call however many there are."""

    name: str
    limit: int
    poll: str
    result: str
    apart: bool = False


#: Operation -> the lane of the requests that it makes. ``apart``: no two that change one account at once.
LANES: Mapping[str, LaneKind] = {
    "CreateAccountAssignment": LaneKind(
        "assignments", 15, "ListAccountAssignmentCreationStatus", "AccountAssignmentsCreationStatus"
    ),
    "DeleteAccountAssignment": LaneKind(
        "deletions", 15, "ListAccountAssignmentDeletionStatus", "AccountAssignmentsDeletionStatus"
    ),
    "ProvisionPermissionSet": LaneKind(
        "provisionings",
        3,
        "ListPermissionSetProvisioningStatus",
        "PermissionSetsProvisioningStatus",
        apart=True,
    ),
}


@dataclass
class Request(Generic[W]):
    """A request for ``work``, accepted at ``since``. ``accounts``: whose roles it changes."""

    work: W
    since: float
    accounts: frozenset[str] = frozenset()


@dataclass
class Lane(Generic[W]):
    """The outstanding requests of one kind. A slot is taken from the sending of a request to its being seen ended.

    ``others``: requests of other writers, as the last poll saw them.
    """

    kind: LaneKind
    starting: list[frozenset[str]] = field(default_factory=list)
    outstanding: dict[str, Request[W]] = field(default_factory=dict)
    others: int = 0
    next_poll: float = 0.0
    polled_since: float | None = None
    typical: float = 0.0

    @property
    def full(self) -> bool:
        """Whether no request may be sent now, whatever it changes."""
        return len(self.starting) + len(self.outstanding) + self.others >= self.kind.limit

    def has_room(self, accounts: frozenset[str]) -> bool:
        """Whether one more request, which changes the roles of ``accounts``, may be sent."""
        busy = [*self.starting, *(request.accounts for request in self.outstanding.values())]
        return not (self.full or (self.kind.apart and any(accounts & each for each in busy)))

    def accept(self, request_id: str, request: Request[W]) -> None:
        """The request is under way. The first poll comes soon, as nobody knows yet how long one takes."""
        if not self.outstanding:
            self.next_poll = request.since + self.interval
        self.outstanding[request_id] = request

    def poll_at(self) -> float | None:
        """When to poll; None while there is nothing to learn, or a poll is under way."""
        return self.next_poll if (self.outstanding or self.others) and self.polled_since is None else None

    def polled(self, in_progress: set[str], now: float) -> dict[str, Request[W]]:
        """The requests that are no longer in progress, taken out of the outstanding ones.

        Those that were accepted after the poll was sent can't be in it.
        """
        began, self.polled_since = self.polled_since or now, None
        ended = {
            request_id: request
            for request_id, request in self.outstanding.items()
            if request_id not in in_progress and request.since < began
        }
        for request_id, request in ended.items():
            del self.outstanding[request_id]
            self.typical += (now - request.since - self.typical) / (4 if self.typical else 1)
        self.others = len(in_progress - self.outstanding.keys() - ended.keys())
        self.next_poll = now + self.interval
        return ended

    @property
    def interval(self) -> float:
        """Seconds between polls: short beside how long a request takes, so that a slot does not idle."""
        return min(max(self.typical * _SHARE, _SHORTEST_POLL), _LONGEST_POLL)
