# SPDX-License-Identifier: Apache-2.0
"""A plan is data: the exact AWS calls for one subject, in order, made by nobody but the executor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands in a parameter for a value that an earlier call of the same plan returns."""

    name: str

    def __str__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True)
class Wait:
    """How to see an asynchronous call through to its end.

    ``status`` and ``reason`` are paths of keys into the response of ``operation``. Any status that is
    neither in ``pending`` nor in ``succeeded`` is a failure, so an unknown one never passes for success.
    """

    operation: str
    parameters: Mapping[str, Any]
    status: tuple[str, ...]
    reason: tuple[str, ...]
    pending: frozenset[str] = frozenset({"IN_PROGRESS"})
    succeeded: frozenset[str] = frozenset({"SUCCEEDED"})


#: When a call asks for the subject's identity (ApiCall.checked).
BEFORE, AFTER = "before", "after"


class Deferred(Mapping[str, Any]):
    """The parameters that ``make(*given)`` returns, made anew whenever they are read.

    A plan for 80,000 people has two calls for each of them, whose parameters would take most of its memory.
    """

    __slots__ = ("_given", "_make")

    def __init__(self, make: Callable[..., dict[str, Any]], *given: Any) -> None:
        self._make, self._given = make, given

    def __getitem__(self, name: str) -> Any:
        return self._make(*self._given)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make(*self._given))

    def __len__(self) -> int:
        return len(self._make(*self._given))

    def __repr__(self) -> str:
        return repr(self._make(*self._given))


#: One empty mapping for all calls, of which a plan may have hundreds of thousands.
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One AWS call: ``service`` as boto3 names it, ``operation`` as the API does.

    ``done_codes``: error codes which mean that the wanted end is there already.
    ``save``: Ref name -> path of keys into the response.
    ``checked``: of BEFORE and AFTER, when the subject is identified again, right before the call or right after it.
    ``notes``: what the journal says beside the call, such as what it replaces.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    done_codes: frozenset[str] = frozenset()
    save: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    wait: Wait | None = None
    checked: frozenset[str] = frozenset()
    notes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @property
    def permission(self) -> str:
        """The IAM action that the call needs, e.g. ``iam:DeleteUser``."""
        prefix = {"sso-admin": "sso"}.get(self.service, self.service)
        return f"{prefix}:{self.operation}"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a plan is for: the key under which journal, snapshot and outcome are found.

    ``kind``: what it is in words; for what is shared by users of an account, ``arn`` names the account.
    """

    name: str
    arn: str
    unique_id: str = ""
    kind: str = "user"

    @property
    def account_id(self) -> str:
        """The account that the ARN lies in, 12 digits."""
        return self.arn.split(":")[4]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} of account {self.account_id}"


@dataclass(frozen=True)
class Plan:
    """The ordered calls for one subject; what follows never starts before what precedes has ended."""

    subject: Subject
    calls: tuple[ApiCall, ...]
