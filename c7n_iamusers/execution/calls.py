# SPDX-License-Identifier: Apache-2.0
"""A plan as data: the exact AWS calls for one subject, in order. Only the executor makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from sys import intern
from typing import Any


@dataclass(frozen=True, slots=True)
class Ref:
    """A placeholder in a parameter for a value that an earlier call of the same plan returns."""

    name: str

    def __str__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class Wait:
    """How to poll an asynchronous call until it has ended.

    ``operation`` with ``parameters`` is the call that returns the state. ``status`` and ``reason`` are paths of keys
    into its response. With any status but ``pending``, ``succeeded`` and ``failed``, the outcome of the call is
    unknown.
    """

    operation: str
    parameters: Mapping[str, Any]
    status: tuple[str, ...]
    reason: tuple[str, ...]
    pending: frozenset[str] = frozenset({"IN_PROGRESS"})
    succeeded: frozenset[str] = frozenset({"SUCCEEDED"})
    failed: frozenset[str] = frozenset({"FAILED"})


#: Before or after a call: when the executor verifies the subject's identity (ApiCall.checked), and the phases of the
#: call's journal lines.
BEFORE, AFTER = "before", "after"
#: In ApiCall.checked: right before the call, its caller verifies that the Deny-all is on the subject.
DENIED = "denied"
#: The phase of the journal line of a try that is repeated.
TRIED = "tried"


class Deferred(Mapping[str, Any]):
    """The parameters that ``make(*given)`` returns, computed each time they are read.

    This saves memory: a plan for 80,000 people has two calls for each of them.
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


#: One empty mapping shared by all calls: a plan may have hundreds of thousands.
_NOTHING: Mapping[str, Any] = {}


#: Beginnings of the names of operations that remove something.
_REMOVING = ("Delete", "Detach", "Remove", "Deactivate", "Untag")
#: Error codes: the object of the call does not exist.
MISSING_CODES = frozenset({"NoSuchEntity", "ResourceNotFoundException"})
#: Error codes: the uploaded object exists already, on this user or on another. Only a read shows which.
HELD_CODES = frozenset({"DuplicateCertificate", "DuplicateSSHPublicKey", "EntityAlreadyExists"})


def is_removal(operation: str, parameters: Mapping[str, Any]) -> bool:
    """See ``ApiCall.removes``."""
    return operation.startswith(_REMOVING) or parameters.get("Status") == "Inactive"


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One AWS call: ``service`` as boto3 names it, ``operation`` as the API does.

    ``done_codes``: error codes that mean that the desired state exists already, such as NoSuchEntity for a deletion.
    One of MISSING_CODES is allowed for a removal only: raises ValueError for any other operation.
    ``save``: Ref name -> path of keys into the response.
    ``checked``: BEFORE, AFTER or both: when the executor verifies that the name still belongs to the same subject; and
    DENIED.
    ``notes``: what else the call's journal line records, such as what the call replaces.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    done_codes: frozenset[str] = frozenset()
    save: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    wait: Wait | None = None
    checked: frozenset[str] = frozenset()
    notes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        if self.done_codes & MISSING_CODES and not self.removes:
            raise ValueError(f"{self.operation} removes nothing, so {sorted(self.done_codes)} is no success")

    @property
    def removes(self) -> bool:
        """Whether the call takes something away: it removes an object, or deactivates a credential."""
        return is_removal(self.operation, self.parameters)

    def may_be_there(self, code: str) -> bool:
        """Whether the call's object may exist, although AWS refused the call with ``code``."""
        return self.operation.startswith("Upload") and code in HELD_CODES

    @property
    def permission(self) -> str:
        """The IAM action that the call needs, e.g. ``iam:DeleteUser``."""
        prefix = {"sso-admin": "sso"}.get(self.service, self.service)
        return f"{prefix}:{self.operation}"


#: The prefix of the ids of access keys; that of users is AIDA.
_KEY_PREFIX = "AKIA"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a plan changes, mostly a user. Journal lines, snapshots and outcomes carry its name, ARN and unique id.

    One access key of a user has the user's name and ARN, and its own id as the unique id: see ``key``.
    ``kind``: the word for it in messages. Where several users of an account share it, ``arn`` only names the account.
    """

    name: str
    arn: str
    unique_id: str = ""
    kind: str = "user"

    @property
    def account_id(self) -> str:
        """The account id in the ARN, 12 digits; one object for all users of the account."""
        return intern(self.arn.split(":")[4])

    @property
    def with_account(self) -> str:
        """``ACCOUNT_ID/NAME``, as options name a user."""
        return f"{self.account_id}/{self.name}"

    @property
    def file_name(self) -> str:
        """The name as the beginning of a file name: an underscore precedes a leading dash or dot.

        ``rm *`` reads a name with a leading dash as an option, and ``cp *`` leaves out one with a leading dot.
        """
        return f"_{self.name}" if self.name.startswith(("-", ".")) else self.name

    def key(self, key_id: str) -> Subject:
        """The access key ``key_id`` of this user."""
        return replace(self, unique_id=key_id)

    @property
    def is_key(self) -> bool:
        """Whether it is an access key."""
        return is_key_id(self.unique_id)

    def __str__(self) -> str:
        key = f"access key {self.unique_id} of " if self.is_key else ""
        return f"{key}{self.kind} {self.name} of account {self.account_id}"


def is_key_id(unique_id: str) -> bool:
    """Whether a unique id is that of an access key: "IAM identifiers", unique identifiers (IAM User Guide)."""
    return unique_id.startswith(_KEY_PREFIX)


@dataclass(frozen=True)
class Plan:
    """The calls for one subject, in order. Each call starts after the one before it has ended."""

    subject: Subject
    calls: tuple[ApiCall, ...]

    def stretches(self) -> Iterator[Plan]:
        """The plan in parts: each call marked with DENIED is a part of its own."""
        for marked, part in groupby(self.calls, key=lambda call: DENIED in call.checked):
            together = tuple(part)
            for calls in ((call,) for call in together) if marked else [together]:
                yield Plan(self.subject, calls)
