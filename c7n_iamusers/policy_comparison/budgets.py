# SPDX-License-Identifier: Apache-2.0
"""Limits of a comparison: steps, which every machine counts alike, and the time of an account. Pure.

Policies can be written to take long. One account's users must not delay those of others for hours, nor one user the
rest of its account. Work for a user within ``AccountTimes.asking`` uses up the user's own time first, then the time
that all users of the account share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


class TooComplex(Exception):
    """The comparison takes too many steps. The caller must assume the unsafe answer."""


class OutOfBudget(TooComplex):
    """The budget is used up, so every further comparison within it fails too."""


class OutOfTime(OutOfBudget):
    """The time is over. The answer must not be shared: on another machine, or for another account, time may suffice."""

    def __str__(self) -> str:
        return (
            "the time for comparing the users of its account is over, as the policies of some take long: simplify the "
            "wildcards in those that are too complex to compare, and run again"
        )


#: Returns seconds since any fixed moment.
Clock = Callable[[], float]
#: Seconds that all users of an account share.
ACCOUNT_SECONDS = 120.0
#: The same for policies of others: 5,000 users and 1,000 roles that tell them apart take 20 minutes.
OTHERS_SECONDS = 1800.0
#: Each user's own seconds: fifty times what most users take. So 5,000 users, an account's maximum, take about ten
#: minutes at most.
OWN_SECONDS = 0.1


@dataclass
class _AccountTime:
    """``left``: of the seconds that all users of an account share. ``own``: ARN -> what is left of the user's own."""

    left: float
    own: dict[str, float] = field(default_factory=dict)


class UserTime:
    """The time for one user. ``ran_out``: how often none was left."""

    def __init__(self, clock: Clock, account: _AccountTime, arn: str) -> None:
        self._clock, self._account, self._arn = clock, account, arn
        self._last, self.ran_out = clock(), 0

    def take(self) -> bool:
        """Use up the time since the last call. Returns whether some is left."""
        before, self._last = self._last, self._clock()
        own = self._account.own.get(self._arn, OWN_SECONDS) - (self._last - before)
        self._account.left += min(0.0, own)
        self._account.own[self._arn] = max(0.0, own)
        return own > 0 or self._account.left > 0

    def check(self) -> None:
        """Use up the time since the last call. Raises OutOfTime if none is left."""
        if not self.take():
            self.ran_out += 1
            raise OutOfTime


#: The time for the user whose policies this thread compares; None: unlimited.
_TIME: ContextVar[UserTime | None] = ContextVar("_TIME", default=None)


class AccountTimes:
    """The time for the users of each account, by a clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._accounts = clock, dict[tuple[str, bool], _AccountTime]()

    @contextmanager
    def asking(self, account_id: str, arn: str, others: bool = False) -> Iterator[UserTime]:
        """Comparisons within use up the time of the user ``arn`` of the account.

        ``others``: for comparisons by policies of others, which have a time of their own.
        """
        account = self._accounts.setdefault(
            (account_id, others), _AccountTime(OTHERS_SECONDS if others else ACCOUNT_SECONDS)
        )
        before, time = _TIME.get(), UserTime(self._clock, account, arn)
        token = _TIME.set(before or time)
        try:
            yield before or time
        finally:
            _TIME.reset(token)
            if before is None:
                time.take()


@contextmanager
def asking(times: AccountTimes | None, account_id: str, arn: str, others: bool = False) -> Iterator[UserTime]:
    """See ``AccountTimes.asking``. Without ``times``, time is unlimited."""
    if times is None:
        yield UserTime(lambda: 0.0, _AccountTime(0.0), arn)
    else:
        with times.asking(account_id, arn, others) as time:
            yield time


def check_time() -> None:
    """Raises OutOfTime if the user whose policies this thread compares has no time left."""
    if time := _TIME.get():
        time.check()


#: The maximum steps for one comparison; see ``Budget``. Real policies need far fewer. One that needs more is undecided,
#: instead of taking hours.
QUESTION_STEPS = 1_000_000


class Budget:
    """The steps for one comparison. Each use also checks the time.

    A cached result costs its original steps, so no answer depends on earlier comparisons.
    """

    def __init__(self, steps: int | None = None) -> None:
        self.left = QUESTION_STEPS if steps is None else steps

    def spend(self, steps: int) -> None:
        """Use up ``steps``. Raises OutOfBudget if fewer are left, OutOfTime if the time is over."""
        self.left -= steps
        if self.left < 0:
            raise OutOfBudget
        check_time()
