# SPDX-License-Identifier: Apache-2.0
"""The step ``created`` of ``notify-owners``: who created or activated a credential, or removed our Deny. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.evidence.credential_events import credential_event
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.deny_all import is_denied
from c7n_iamusers.notices.messages import headline, part_of
from c7n_iamusers.notices.notices import CREATED, DENY_REMOVED, Notices
from c7n_iamusers.plugins.resources import ANNOTATION, Resource
from c7n_iamusers.plugins.steps import Due, Step
from c7n_iamusers.text.wording import foreign_domain, is_address, moment


class Created(Step):
    """Of the call in an ``event`` of EventBridge; without an event, of what was created in the last ``days``.

    ``domains``: a caller whose session has the name of an address is addressed only if the address is of one of them.
    """

    missed = "These users were not reported"

    def __init__(self, days: int, event: Any = None, domains: Sequence[str] = ()) -> None:
        self._days = days
        self._call = credential_event(event)
        #: The event is of no call that succeeded.
        self._is_nothing = bool(event) and self._call is None
        name = self._call.session if self._call else ""
        if domains and is_address(name) and not foreign_domain(name, domains):
            self.creator = name
        self.event = self._call.id if self._call else ""

    @property
    def name(self) -> str:
        """See Step."""
        return DENY_REMOVED if self._call and self._call.removes_deny else CREATED

    def due(
        self, users: Sequence[Resource], notices: Notices, rules: Sequence[ExemptionRule], now: datetime
    ) -> list[Due]:
        """See Step."""
        made = self._call.as_data() if self._call else {}
        return [
            Due(each, now.date(), {"created": made}) for each in users if self._is_new(each, notices, now)
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        what = f"{self._call.name} for" if self._call else "new long-term credentials of"
        noun = "IAM user" if len(users) == 1 else "IAM users"
        number = f"{len(users)} {noun}" if counted else "IAM users"
        return headline(f"{account}: {what} {number} on {users[0].day}{part_of(part, parts)}")

    def _is_new(self, resource: Resource, notices: Notices, now: datetime) -> bool:
        """Whether there is something to report of the user that no message reported."""
        key = str(resource["UserId"])
        if self._is_nothing:
            return False
        if self._call:
            kept = self._call.removes_deny and is_denied(resource)
            about = self._call.is_about(key, moment(resource.get("CreateDate")))
            return about and not kept and not notices.reports(key, self._call.id)
        credentials = (resource.get(ANNOTATION) or {}).get("credentials") or ()
        times = (moment(resource.get("CreateDate")), *(moment(each.get("created")) for each in credentials))
        newest = max(filter(None, times), default=None)
        if newest is None or newest < now - timedelta(days=self._days):
            return False
        return not notices.has(key, CREATED, newest)
