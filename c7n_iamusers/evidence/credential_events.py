# SPDX-License-Identifier: Apache-2.0
"""What a CloudTrail event says about a new or reactivated credential, or a removed Deny. Pure.

policies/realtime.yml says which events arrive here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.evidence.call_event import object_in, text_in
from c7n_iamusers.iam.policy_documents import is_aws_deny_all
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, denies_all, is_denied
from c7n_iamusers.text.times import as_text, moment

#: The calls that can remove a Deny of ours from a user.
REMOVING = frozenset(
    {
        "DeleteUserPermissionsBoundary",
        "DeleteUserPolicy",
        "DetachUserPolicy",
        "PutUserPermissionsBoundary",
        "PutUserPolicy",
    }
)
#: By how much the times of an event and of what it created may differ.
_TIMES_APART = timedelta(minutes=1)
#: The members of an event that identify its call. The others describe the record of it.
_OF_THE_CALL = (
    "eventSource",
    "eventName",
    "eventTime",
    "recipientAccountId",
    "requestID",
    "userIdentity",
    "requestParameters",
    "responseElements",
)


@dataclass(frozen=True)
class CredentialEvent:
    """A call that succeeded. ``by``: the ARN of the caller, or what AWS gives instead. ``session``: the name of the
    caller's role session or IAM user, empty for others. ``via``: the AWS service that made the call for the caller.
    ``id``: CloudTrail's id of the event, which AWS can deliver more than once, and late; where it has none, a digest of
    the call. ``user_id``: the unique id of the user that CreateUser created, or that called for itself; empty for other
    calls, which have none. ``user_name``: the name of the user that the call asked for, if it did. ``removed``: whether
    the call itself shows that it removed a Deny of ours; None if it does not say.
    """

    name: str
    time: datetime
    by: str
    session: str = ""
    via: str = ""
    address: str = ""
    id: str = ""
    user_id: str = ""
    user_name: str = ""
    removed: bool | None = None

    def is_about(self, unique_id: str, created: datetime | None, name: str) -> bool:
        """Whether the call can be about this user, and not about another one that had, or has, the name.

        A name can look like the unique id of another user.
        """
        if self.user_id:
            if self.user_id != unique_id:
                return False
        elif self.user_name and self.user_name.casefold() != name.casefold():
            return False
        return created is None or self.time >= created - _TIMES_APART

    @property
    def removes_deny(self) -> bool:
        """Whether the call can remove a Deny of ours, and creates or activates no credential."""
        return self.name in REMOVING

    def removed_deny_of(self, detail: Mapping[str, Any]) -> bool:
        """Whether the call removed a Deny of ours, or can have done so. ``detail``: the user, read since.

        A Deny that is there may have been put back. No call says whether a boundary was the Deny; one that is now may
        have been put back, too.
        """
        boundary = (detail.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
        back = self.removed is None and self._is_of_boundary and is_aws_deny_all(boundary)
        return bool(self.removed) or back or not is_denied(detail)

    @property
    def _is_of_boundary(self) -> bool:
        return self.name.endswith("PermissionsBoundary")

    def as_data(self, detail: Mapping[str, Any]) -> dict[str, str | None]:
        """The event as the annotation of the user ``detail`` shows it. It has no id of a credential and no request."""
        more = ""
        if self.removes_deny and is_denied(detail):
            more = "; a Deny on everything is there again"
        elif self._is_of_boundary:
            more = ". If the boundary was AWSDenyAll, the Deny of its quarantine is gone"
        return {
            "event": self.name,
            "time": as_text(self.time),
            "by": self.by,
            "via": self.via,
            "address": self.address,
            "text": f"{self}{more}",
        }

    def __str__(self) -> str:
        via = f" through {self.via}" if self.via else ""
        # A service that calls for somebody has its own name as the address.
        where = f" from {self.address}" if self.address not in ("", self.via) else ""
        return f"{self.name} by {self.by}{via}{where} on {self.time:%Y-%m-%d %H:%M} UTC"


def credential_event(event: Any) -> CredentialEvent | None:
    """The call in an ``event`` of EventBridge; None where there is none, it failed, or it has no name or time."""
    detail = event.get("detail") if isinstance(event, Mapping) else None
    if not isinstance(detail, Mapping) or detail.get("errorCode"):
        return None
    name, time = text_in(detail.get("eventName")), moment(detail.get("eventTime"))
    if not name or time is None:
        return None
    who = object_in(detail.get("userIdentity"))
    known = (text_in(who.get(key)) for key in ("arn", "invokedBy", "principalId", "type"))
    return CredentialEvent(
        name,
        time,
        next(filter(None, known), "an unknown caller"),
        _session(who),
        text_in(who.get("invokedBy")),
        text_in(detail.get("sourceIPAddress")),
        text_in(detail.get("eventID")) or _digest(detail),
        _user_id(detail, who),
        text_in(object_in(detail.get("requestParameters")).get("userName")),
        _removed(name, object_in(detail.get("requestParameters"))),
    )


def _removed(name: str, asked: Mapping[str, Any]) -> bool | None:
    """Whether a successful call by ``name`` removed a Deny of ours; None if what it ``asked`` for does not say."""
    if name in ("DeleteUserPolicy", "PutUserPolicy") and asked.get("policyName") != DENY_ALL_NAME:
        return False
    if name == "PutUserPolicy":
        document = asked.get("policyDocument")
        return not denies_all(document) if isinstance(document, str) else None
    if name == "PutUserPermissionsBoundary" and is_aws_deny_all(asked.get("permissionsBoundary")):
        return False
    removals = {"DeleteUserPolicy": True, "DetachUserPolicy": is_aws_deny_all(asked.get("policyArn"))}
    return removals.get(name)


def _digest(detail: Mapping[str, Any]) -> str:
    """A digest, equal for each delivery of an event and different for each call. It reveals no member."""
    known = json.dumps([detail.get(key) for key in _OF_THE_CALL], sort_keys=True, default=str)
    return f"sha256:{hashlib.sha256(known.encode()).hexdigest()}"


def _user_id(detail: Mapping[str, Any], who: Mapping[str, Any]) -> str:
    asked, answer = (object_in(detail.get(key)) for key in ("requestParameters", "responseElements"))
    if asked.get("userName") in (None, who.get("userName")) and who.get("type") == "IAMUser":
        return text_in(who.get("principalId"))
    return text_in(object_in(answer.get("user")).get("userId"))


def _session(who: Mapping[str, Any]) -> str:
    """The name of the role session or IAM user; empty for others. For root, userName is the account's alias."""
    if who.get("type") == "IAMUser":
        return text_in(who.get("userName"))
    if who.get("type") == "AssumedRole":
        return text_in(who.get("arn")).rpartition("/")[2]
    return ""
