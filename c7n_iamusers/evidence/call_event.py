# SPDX-License-Identifier: Apache-2.0
"""What a CloudTrail event says about a sign-in or a call by an IAM user, or by root. Pure.

"CloudTrail userIdentity element" and "AWS Management Console sign-in events" (CloudTrail User Guide).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.text.times import moment

#: The source of events of the console's sign-in, whose answer says whether it succeeded.
SIGN_IN = "signin.amazonaws.com"
#: ``type`` of root in ``userIdentity``, also where it is taken by AssumeRoot; and its name in messages.
ROOT_TYPE, ROOT_NAME = "Root", "root"
#: The longest texts of an event that are kept.
_LONGEST = 200


@dataclass(frozen=True)
class UserCall:
    """A sign-in or a call, also one that failed. ``source``: of the event, such as ``s3.amazonaws.com``.

    ``user_id``: the unique id of the caller; for root, the account's id; empty if the event lacks it, as for a failed
    sign-in. ``error``: AWS's code or message; empty if it succeeded. ``id``: CloudTrail's id of the event. ``arn``:
    that of the caller at the time, or empty.
    """

    name: str
    source: str
    time: datetime
    user_name: str
    user_id: str = ""
    address: str = ""
    region: str = ""
    error: str = ""
    id: str = ""
    arn: str = ""

    def is_of(self, unique_id: str, name: str) -> bool:
        """Whether the user with this unique id and name is the caller."""
        return self.user_id == unique_id if self.user_id else self.user_name.casefold() == name.casefold()

    def before(self, user: IamUser) -> IamUser:
        """``user``, the caller, with its name and path before the call, which may have changed them."""
        path, found, name = self.arn.partition(":user/")[2].rpartition("/")
        known = {"UserName": name, "Path": f"/{path}{found}", "Arn": self.arn}
        return replace(user, detail={**user.detail, **known}) if name else user

    @property
    def is_sign_in(self) -> bool:
        """Whether somebody signed in to the console, or tried to."""
        return self.source == SIGN_IN

    def __str__(self) -> str:
        signed_in = self.is_sign_in and self.name == "ConsoleLogin"
        what = "console sign-in" if signed_in else f"{self.source.partition('.')[0]} {self.name}"
        where = f" from {self.address}" if self.address else ""
        place = f" in {self.region}" if self.region else ""
        ended = f", which failed: {self.error}" if self.error else ""
        return f"{what}{where}{place} on {self.time:%Y-%m-%d %H:%M} UTC{ended}"


def user_call(event: Any) -> UserCall | None:
    """The call in an ``event`` of EventBridge; None if there is none, or its caller is neither an IAM user nor root.

    ``called`` in its detail has the names of a call that ``handler.any_call`` renamed.
    """
    detail = object_in(object_in(event).get("detail"))
    who, time = object_in(detail.get("userIdentity")), moment(detail.get("eventTime"))
    called = object_in(detail.get("called"))
    name = text_in(called.get("name") or detail.get("eventName"))
    source = text_in(called.get("source") or detail.get("eventSource"))
    root = who.get("type") == ROOT_TYPE
    if (who.get("type") != "IAMUser" and not root) or not name or time is None:
        return None
    answer = object_in(detail.get("responseElements"))
    failed = "failed" if answer.get(name) == "Failure" else ""
    return UserCall(
        name,
        source,
        time,
        ROOT_NAME if root else text_in(who.get("userName")),
        text_in(who.get("accountId" if root else "principalId")),
        text_in(detail.get("sourceIPAddress")),
        text_in(detail.get("awsRegion")),
        text_in(detail.get("errorCode")) or text_in(detail.get("errorMessage")) or failed,
        text_in(detail.get("eventID")),
        text_in(who.get("arn")),
    )


def object_in(value: Any) -> Mapping[str, Any]:
    """A member of an event if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def text_in(value: Any) -> str:
    """The beginning of a member of an event if it is text, else an empty text."""
    return value[:_LONGEST] if isinstance(value, str) else ""
