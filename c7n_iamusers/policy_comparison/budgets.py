# SPDX-License-Identifier: Apache-2.0
"""What a comparison may take: steps, which every machine counts alike, and the time of an account. Pure.

Whoever may write policies can make some that take long. The users of one account must not keep those of others waiting
for hours, nor one user those beside it: whatever is done for a user within ``AccountTimes.asking`` takes the time that
this user has for itself, and then what all users of the account share.
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
    """The time is over. Another machine, or another account, may have had enough, so nobody may share the answer."""

    def __str__(self) -> str:
        return (
            "the time for comparing the users of its account is over, as the policies of some take long: simplify the "
            "wildcards in those that are too complex to compare, and run again"
        )


#: Returns seconds, from any beginning.
Clock = Callable[[], float]
#: What all users of an account may take together.
ACCOUNT_SECONDS = 120.0
#: The same by policies of others: 5,000 users and 1,000 roles that tell them apart take 20 minutes.
OTHERS_SECONDS = 1800.0
#: What each user may take in any case: fifty times what most users take. So 5,000 users, as many as an account can
#: have, take about ten minutes at most.
OWN_SECONDS = 0.1


@dataclass
class _AccountTime:
    """``left``: the seconds that all users of an account share. ``own``: ARN -> what is left of a user's own ones."""

    left: float
    own: dict[str, float] = field(default_factory=dict)


class UserTime:
    """The time for one user. ``ran_out``: how often it was over."""

    def __init__(self, clock: Clock, account: _AccountTime, arn: str) -> None:
        self._clock, self._account, self._arn = clock, account, arn
        self._last, self.ran_out = clock(), 0

    def take(self) -> bool:
        """Take what has passed since the last time. Returns whether some is left."""
        before, self._last = self._last, self._clock()
        own = self._account.own.get(self._arn, OWN_SECONDS) - (self._last - before)
        self._account.left += min(0.0, own)
        self._account.own[self._arn] = max(0.0, own)
        return own > 0 or self._account.left > 0

    def check(self) -> None:
        """Take what has passed since the last time. Raises OutOfTime if none is left."""
        if not self.take():
            self.ran_out += 1
            raise OutOfTime


#: The time for the user of whom this thread compares something; None: as much as it takes.
_TIME: ContextVar[UserTime | None] = ContextVar("_TIME", default=None)


class AccountTimes:
    """The time for the users of each account, by a clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._accounts = clock, dict[tuple[str, bool], _AccountTime]()

    @contextmanager
    def asking(self, account_id: str, arn: str, others: bool = False) -> Iterator[UserTime]:
        """Whatever is compared within takes the time of the user ``arn`` of the account.

        ``others``: it is compared by policies of others, which have a time of their own.
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
    """See ``AccountTimes.asking``. Without ``times`` everything takes as much as it takes."""
    if times is None:
        yield UserTime(lambda: 0.0, _AccountTime(0.0), arn)
    else:
        with times.asking(account_id, arn, others) as time:
            yield time


def check_time() -> None:
    """Raises OutOfTime if the user of whom this thread compares something has no time left."""
    if time := _TIME.get():
        time.check()


#: The maximum steps for one comparison; see ``Budget``. Real policies need far fewer. A policy that needs more is
#: undecided, instead of running for hours.
QUESTION_STEPS = 1_000_000


class Budget:
    """The steps for one comparison; each look at them looks at the time, too.

    A cached result costs as many steps as it did at first, so no answer depends on earlier comparisons.
    """

    def __init__(self, steps: int | None = None) -> None:
        self.left = QUESTION_STEPS if steps is None else steps

    def spend(self, steps: int) -> None:
        """Use up ``steps``. Raises OutOfBudget if fewer are left, OutOfTime if the time is over."""
        self.left -= steps
        if self.left < 0:
            raise OutOfBudget
        check_time()
