# SPDX-License-Identifier: Apache-2.0
"""What was read of the policies of an account's resources, and what could not be read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers.iam.policy_documents import Statement, parse_document, statements
from c7n_iamusers.text.wording import shown

#: What is told of a failure, which may have the text of an answer in it.
_LONGEST_WHY = 300
_MOST_TOLD = 8


@dataclass(frozen=True)
class ResourcePolicy:
    """``resource``: its ARN, or its id where it has none. ``region``: where it lies; empty if that is not known.

    ``document``: with ``Statement``. ``name``: where a resource has several policies.
    """

    service: str
    resource: str
    region: str
    document: dict[str, Any]
    name: str = ""

    @property
    def statements(self) -> tuple[Statement, ...]:
        """In their order."""
        return tuple(statements(self.document))


@dataclass(frozen=True)
class AccessEntry:
    """An access entry of an EKS cluster. ``cluster``: its ARN. ``principal``: the ARN that the entry is for.

    ``created``: when (UTC); None if nobody asked.
    """

    cluster: str
    region: str
    principal: str
    created: datetime | None = None


@dataclass(frozen=True)
class Unread:
    """``service`` in ``region`` could not be read, or only the policy of its ``resource``. ``why``: in words."""

    service: str
    region: str
    why: str
    resource: str = ""

    def __str__(self) -> str:
        what = f"{self.service} in {self.region}" if self.region else self.service
        return f"{what}: {f'{self.resource}: ' if self.resource else ''}{self.why[:_LONGEST_WHY]}"


@dataclass(frozen=True)
class Reading:
    """``services``: what was asked for. ``regions``: where. ``calls``: how many calls it took."""

    services: tuple[str, ...]
    regions: tuple[str, ...]
    policies: tuple[ResourcePolicy, ...] = ()
    entries: tuple[AccessEntry, ...] = ()
    unread: tuple[Unread, ...] = ()
    calls: int = 0

    @property
    def problem(self) -> str:
        """What could not be read, service by service, in words; empty if all of it was."""
        single = [each for each in self.unread if len(self.unread) <= _MOST_TOLD]
        return "; ".join(map(str, single)) or shown([*self._by_service()], _MOST_TOLD, "; ")

    def _by_service(self) -> Iterator[str]:
        """One line a service, however many Regions it has."""
        found = Counter(each.service for each in self.unread)
        first = {each.service: each for each in reversed(self.unread)}
        for service, count in sorted(found.items()):
            more = f" (and {count - 1} more of {service})" if count > 1 else ""
            yield f"{first[service]}{more}"


def parsed(text: Any) -> dict[str, Any]:
    """The document of a policy as its service returns it: JSON, or an object. Raises ValueError."""
    document = parse_document(text)
    [*statements(document)]
    return dict(document)
