# SPDX-License-Identifier: Apache-2.0
"""Who signed in to which account through Identity Center, and whether that proves that a person's access works. Pure.

A sign-in is proved by an event of the person: ``Federate`` (to the console) or ``GetRoleCredentials`` (the CLI), which
CloudTrail has in Identity Center's account and primary Region ("CloudTrail use cases for IAM Identity Center" and
"Understanding CloudTrail events for IAM Identity Center", its User Guide). The last use of the account's role can only
refute it, because colleagues use the same role.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.iam.user import Item
from c7n_iamusers.text.documents import read_json
from c7n_iamusers.text.times import CLOCKS_APART, as_text, moment
from c7n_iamusers.text.validators import Shape, account_id, is_account_id, listing, one_of, record, text

SIGN_INS_FILE, SCHEMA = "sign-ins.json", 1
EVENTS = ("Federate", "GetRoleCredentials")
#: How late CloudTrail may show an event: the next run reads that much again.
DELIVERY = timedelta(hours=1)
#: A file that ends earlier is too old to say who uses the new access.
FRESH = timedelta(days=7)
#: AWS updates a role's last use some hours late, so it refutes only sign-ins that are older.
_ROLE_IS_LATE = timedelta(days=1)
_SOURCE = "sso.amazonaws.com"
#: "Your workflows should accept both type values" (CloudTrail use cases).
_TYPES = frozenset({"IdentityCenterUser", "Unknown"})
_RESERVED = "/aws-reserved/sso.amazonaws.com/"
_LONGEST = 2_000_000


@dataclass(frozen=True)
class SignIn:
    """The latest sign-in of a user (by its id in the identity store) to an account, with one permission set."""

    user_id: str
    account_id: str
    permission_set: str
    time: datetime
    event_id: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Of all sign-ins with the same key, only the latest counts."""
        return self.user_id, self.account_id, self.permission_set


@dataclass(frozen=True)
class SignIns:
    """The sign-ins to one identity store. ``since``, ``until``: all events between them were read; UTC.

    Earlier sign-ins of former runs are kept. ``until`` is where the next run begins.
    """

    identity_store: str
    since: datetime
    until: datetime
    latest: Mapping[tuple[str, str, str], SignIn]

    def as_json(self) -> str:
        """The file. It has no names and no addresses."""
        rows = [
            {
                "user_id": each.user_id,
                "account_id": each.account_id,
                "permission_set": each.permission_set,
                "time": as_text(each.time),
                "event_id": each.event_id,
            }
            for _, each in sorted(self.latest.items())
        ]
        head = {"schema": SCHEMA, "identity_store": self.identity_store}
        window = {"since": as_text(self.since), "until": as_text(self.until)}
        return json.dumps({**head, **window, "sign_ins": rows}, indent=1) + "\n"

    def last(self, user_id: str, account_id: str, permission_set: str = "") -> SignIn | None:
        """The user's latest sign-in to the account. ``permission_set``: by this one only; empty for any."""
        found = (
            each
            for each in self.latest.values()
            if (each.user_id, each.account_id) == (user_id, account_id)
            and permission_set in ("", each.permission_set)
        )
        return max(found, key=lambda each: each.time, default=None)

    def with_events(self, found: Iterable[SignIn], since: datetime, until: datetime) -> SignIns:
        """These sign-ins and ``found``, which were read from ``since`` to ``until``."""
        latest = dict(self.latest)
        for each in found:
            if each.key not in latest or latest[each.key].time < each.time:
                latest[each.key] = each
        # Without a gap between them, the two windows are one.
        begin = min(self.since, since) if since <= self.until else since
        return SignIns(self.identity_store, begin, until, latest)


def sign_in_of(event: Mapping[str, Any], identity_store: str) -> SignIn | None:
    """The sign-in that a CloudTrail event records; None for other events, failures and other identity stores."""
    identity, details = event.get("userIdentity"), event.get("serviceEventDetails")
    if not isinstance(identity, Mapping) or not isinstance(details, Mapping):
        return None
    person, time = identity.get("onBehalfOf"), moment(event.get("eventTime"))
    if not isinstance(person, Mapping) or time is None or event.get("errorCode"):
        return None
    if event.get("eventSource") != _SOURCE or event.get("eventName") not in EVENTS:
        return None
    if (
        identity.get("type") not in _TYPES
        or str(person.get("identityStoreArn")).rpartition("/")[2] != identity_store
    ):
        return None
    user_id, account = person.get("userId"), str(details.get("account_id"))
    if not user_id or not is_account_id(account):
        return None
    return SignIn(
        str(user_id), account, str(details.get("role_name") or ""), time, str(event.get("eventID", ""))
    )


_TIME = text(40)
_FILE: Shape = record(
    {
        "schema": one_of(SCHEMA),
        "identity_store": text(100, shortest=1),
        "since": _TIME,
        "until": _TIME,
        "sign_ins": listing(
            record(
                {
                    "user_id": text(100, shortest=1),
                    "account_id": account_id,
                    "permission_set": text(100),
                    "time": _TIME,
                    "event_id": text(100),
                }
            ),
            _LONGEST,
        ),
    }
)


def parse_sign_ins(content: bytes, place: str) -> SignIns:
    """The content of a SIGN_INS_FILE. Raises IdentityCenterError."""
    try:
        data = read_json(content)
        _FILE(data, "the file")
        since, until = _required(data["since"]), _required(data["until"])
        rows = [
            SignIn(
                each["user_id"],
                each["account_id"],
                each["permission_set"],
                _required(each["time"]),
                each["event_id"],
            )
            for each in data["sign_ins"]
        ]
        if until < since or any(row.time > until + CLOCKS_APART for row in rows):
            raise ValueError("it has a time that is after its end")
    except ValueError as error:
        raise IdentityCenterError(
            f"{place} is not a {SIGN_INS_FILE} that c7n-iamusers provision sign-ins wrote: {error}: write it again"
        ) from error
    return SignIns(data["identity_store"], since, until, {row.key: row for row in rows})


def _required(value: str) -> datetime:
    found = moment(value)
    if found is None:
        raise ValueError(f"{value[:40]!r} is not a time")
    return found


def require_fresh(found: SignIns, identity_store: str, now: datetime, place: str) -> None:
    """Raises IdentityCenterError if the sign-ins are from another identity store, or end too long ago."""
    if found.identity_store != identity_store:
        raise IdentityCenterError(
            f"{place} is from identity store {found.identity_store}, not {identity_store}: give the file of this "
            "organization"
        )
    if found.until > now + CLOCKS_APART:
        raise IdentityCenterError(
            f"{place} ends on {found.until:%Y-%m-%d %H:%M} UTC, which is in the future: find out who wrote it, "
            "correct the clock, and run c7n-iamusers provision sign-ins again without the file"
        )
    if now - found.until > FRESH:
        raise IdentityCenterError(
            f"{place} ends on {found.until:%Y-%m-%d %H:%M} UTC, more than {FRESH.days} days ago: run "
            "c7n-iamusers provision sign-ins again"
        )


def unproven(
    found: SignIns, user_id: str, account_id: str, permission_set: str, roles: Iterable[Item], after: datetime
) -> str:
    """Why the sign-ins do not prove that the person uses the access, in words; empty if they do.

    ``permission_set``: the one that the person must have used. ``roles``: botocore's ``RoleDetail`` of the account.
    ``after``: an earlier sign-in proves nothing.
    """
    last = found.last(user_id, account_id, permission_set)
    by = f" by permission set {permission_set}" if permission_set else ""
    if last is None or last.time < after:
        when = (
            f"the last was on {last.time:%Y-%m-%d}" if last else f"none is known since {found.since:%Y-%m-%d}"
        )
        return f"the person has not signed in to account {account_id}{by} since {after:%Y-%m-%d}: {when}"
    if last.time > found.until - _ROLE_IS_LATE:
        return ""
    used = [
        moment((role.get("RoleLastUsed") or {}).get("LastUsedDate"))
        for role in _roles(roles, last.permission_set)
    ]
    # Some roles' last use has only a day, so the day of the sign-in counts.
    if not any(each and each.date() >= last.time.date() for each in used):
        return (
            f"the person signed in to account {account_id}{by} on {last.time:%Y-%m-%d}, but AWS reports no use of the "
            "role since"
        )
    return ""


def _roles(roles: Iterable[Item], permission_set: str) -> list[Item]:
    name = re.compile(rf"AWSReservedSSO_{re.escape(permission_set)}_[0-9a-f]{{16}}", re.ASCII)
    return [
        role
        for role in roles
        if str(role.get("Path", "")).startswith(_RESERVED) and name.fullmatch(str(role.get("RoleName")))
    ]
