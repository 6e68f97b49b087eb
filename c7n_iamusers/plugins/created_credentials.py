# SPDX-License-Identifier: Apache-2.0
"""The messages on what was created: users and credentials, by the call in an event or by their age. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.evidence.credential_events import credential_event
from c7n_iamusers.notices.notices import CREATED, DENY_REMOVED, Notices
from c7n_iamusers.plugins import subject_lines
from c7n_iamusers.plugins.notice_steps import Due, Step
from c7n_iamusers.plugins.resources import ANNOTATION, Resource, subject_of
from c7n_iamusers.text.addresses import foreign_domain, is_address
from c7n_iamusers.text.times import moment


class CreatedCredentials(Step):
    """Says who created, replaced or activated a credential, or removed our Deny, by the call in an ``event``.

    Without an event, says what was created in the last ``days``.
    ``domains``: a caller whose session has the name of an address is addressed only if the address is of one of them.
    """

    missed = "These users were not reported"

    def __init__(self, days: int, event: Any = None, domains: Sequence[str] = ()) -> None:
        self._days = days
        self._call = credential_event(event)
        #: Whether the event is not of a successful call.
        self._is_nothing = bool(event) and self._call is None
        name = self._call.session if self._call else ""
        if domains and is_address(name) and not foreign_domain(name, domains):
            self.creator = name
        self.event = self._call.id if self._call else ""

    @property
    def name(self) -> str:
        """See Step."""
        return DENY_REMOVED if self._call and self._call.removes_deny else CREATED

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        return [
            Due(user, now.date(), {"created": self._call.as_data(user) if self._call else {}})
            for user in users
            if self._is_new(user, notices, now)
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool) -> str:
        """See Step."""
        call = self._call.name if self._call else ""
        return subject_lines.of_credentials(account, call, len(users), users[0].day, counted)

    def _is_new(self, resource: Resource, notices: Notices, now: datetime) -> bool:
        """Whether there is something to report of the user that no message reported."""
        key = subject_of(resource).unique_id
        if self._is_nothing:
            return False
        if self._call:
            kept = self._call.removes_deny and not self._call.removed_deny_of(resource)
            about = self._call.is_about(key, moment(resource.get("CreateDate")), str(resource["UserName"]))
            return about and not kept and not notices.reports(key, self._call.id)
        credentials = (resource.get(ANNOTATION) or {}).get("credentials") or ()
        times = (
            moment(resource.get("CreateDate")),
            *(moment(credential.get("created")) for credential in credentials),
        )
        newest = max(filter(None, times), default=None)
        if newest is None or newest < now - timedelta(days=self._days):
            return False
        return not notices.has(key, CREATED, newest, now)
