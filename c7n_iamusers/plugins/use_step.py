# SPDX-License-Identifier: Apache-2.0
"""The step ``used`` of messages to owners: somebody signed in or called AWS as a user whose use is an alarm. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.evidence.attempted_calls import SIGN_IN
from c7n_iamusers.evidence.call_event import user_call
from c7n_iamusers.notices.notices import USED, Notices
from c7n_iamusers.plugins import subject_lines
from c7n_iamusers.plugins.notice_steps import Due, Step
from c7n_iamusers.plugins.resources import ANNOTATION, Resource
from c7n_iamusers.text.times import moment

#: The kind of a message on a failed sign-in as a user. Anybody who knows the account's id and the name can make any
#: number of these, so they are counted by themselves: they hide no call.
FAILED_SIGN_IN = "failed-sign-in"
#: The kind of a message that says that it is not known whether the user was used.
UNREAD = "unread"
#: So long after a message about a user, further calls and failed sign-ins are not told. Each successful sign-in is.
_ALARM_PAUSE, _UNREAD_PAUSE = timedelta(hours=1), timedelta(days=1)


class Used(Step):
    """Says that somebody signed in or called AWS as users: by an ``event``'s call, or by the filter ``attempts``."""

    name = USED
    missed = "These users were used, and nobody was told"

    def __init__(self, event: Any = None) -> None:
        self._call, self._has_event = user_call(event), bool(event)
        self.event = self._call.id if self._call else ""

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        uses = ((user, *self._use(user, notices, now)) for user in users)
        return [Due(user, now.date(), {"used": {"text": text}}, kind) for user, kind, text in uses if text]

    def subject(self, account: str, users: Sequence[Due], counted: bool) -> str:
        """See Step."""
        names = [str(user.resource["UserName"]) for user in users]
        certain = any(user.news != UNREAD for user in users)
        return subject_lines.of_use(account, names, users[0].day, certain, counted)

    def _use(self, resource: Resource, notices: Notices, now: datetime) -> tuple[str, str]:
        """USED, FAILED_SIGN_IN or UNREAD, and what is to be told of the user's use; empty if nothing is."""
        key, call = str(resource["UserId"]), self._call
        if not self._has_event:
            return _newest_untold(resource, notices, now)
        if call is None or not call.is_of(key, str(resource["UserName"])) or notices.reports(key, call.id):
            return USED, ""
        kind = FAILED_SIGN_IN if call.is_sign_in and call.error else USED
        told = notices.last(key, USED, kind)
        if told and now - told < _ALARM_PAUSE and not (call.is_sign_in and not call.error):
            return kind, ""
        return kind, str(call)


def _newest_untold(resource: Resource, notices: Notices, now: datetime) -> tuple[str, str]:
    """The newest attempt of the filter ``attempts`` since the last message of its kind; failed sign-ins come last."""
    heard = (resource.get(ANNOTATION) or {}).get("attempts") or {}
    attempts, unread = heard.get("attempts") or (), heard.get("unread") or ()
    # anybody can fail to sign in, or name a role's session as the user, so often that nothing else is read
    hidden = f". What else it did is not known: {unread[0]}" if unread else ""
    for kind in (USED, FAILED_SIGN_IN):
        of_kind = [attempt for attempt in attempts if _is_failed_sign_in(attempt) is (kind == FAILED_SIGN_IN)]
        newest: Mapping[str, Any] = max(of_kind, key=lambda attempt: str(attempt.get("time")), default={})
        time, told = moment(newest.get("time")), notices.last(str(resource["UserId"]), USED, kind)
        if time and (told is None or time > told):
            return kind, _heard(newest) + (hidden if kind == FAILED_SIGN_IN else "")
    told = notices.last(str(resource["UserId"]), USED, UNREAD)
    if unread and (told is None or now - told >= _UNREAD_PAUSE):
        return UNREAD, f"it is unknown whether it was used: {unread[0]}"
    return USED, ""


def _is_failed_sign_in(attempt: Mapping[str, Any]) -> bool:
    return attempt.get("service") == SIGN_IN and bool(attempt.get("error"))


def _heard(attempt: Mapping[str, Any]) -> str:
    what = " ".join(str(attempt[key]) for key in ("service", "action") if attempt.get(key)) or "a call"
    what += f" from {attempt['address']}" if attempt.get("address") else ""
    ended = f", which failed: {attempt['error']}" if attempt.get("error") else ""
    return f"{what} on {str(attempt.get('time'))[:16].replace('T', ' ')} UTC{ended}"
