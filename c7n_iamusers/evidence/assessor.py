# SPDX-License-Identifier: Apache-2.0
"""Assessing users one after another: what the account's inventory tells, completed by lists of a single user.

The filter ``unnecessary`` and the command ``evidence`` both do it, the one with policies, the other without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from c7n_iamusers.evidence.assessment import Assessment, Criteria, assess, count_attachments
from c7n_iamusers.evidence.index import EvidenceIndex, with_listed
from c7n_iamusers.evidence.model import Evidence, Source
from c7n_iamusers.evidence.options import unlisted
from c7n_iamusers.execution.client import Backoff
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import LISTED_KINDS, list_kind


@dataclass(frozen=True)
class Assessor:
    """Assesses users by ``index``. ``client``: of iam; safe for several threads. ``clock``: the time in UTC."""

    index: EvidenceIndex
    criteria: Criteria
    client: Any
    backoff: Backoff
    clock: Callable[[], datetime]

    def assess(self, user: IamUser, source: Source, exemption: Exemption) -> Assessment:
        """The user by what was read of the whole account; ``source``: of its own record."""
        return self._judged(user, self.index.of(user, source), exemption)

    def with_lists(self, found: Assessment) -> Assessment:
        """The user once more, with the credentials listed that are listed for one user at a time (SSH keys).

        Raises ClientError, NoSuchEntity among them.
        """
        evidence = found.evidence
        for kind in unlisted(evidence):
            began = self.clock()
            items = list_kind(self.client, found.user.name, kind, self.backoff)
            operation = kind.reading.operation if kind.reading else ""
            evidence = with_listed(evidence, kind, items, Source(operation, began))
        return self._judged(found.user, evidence, found.exemption)

    def in_full(self, found: Assessment) -> Assessment:
        """The same verdict with every attachment counted: what no list of the account tells is listed here.

        Raises ClientError, NoSuchEntity among them.
        """
        _, unread = count_attachments(found.user, found.evidence)
        listed = {
            kind.name: list_kind(self.client, found.user.name, kind, self.backoff)
            for kind in LISTED_KINDS
            if kind.name in unread
        }
        return replace(found, user=replace(found.user, attachments={**found.user.attachments, **listed}))

    def _judged(self, user: IamUser, evidence: Evidence, exemption: Exemption) -> Assessment:
        return assess(user, evidence, exemption, self.criteria, self.clock())
