# SPDX-License-Identifier: Apache-2.0
"""Checks after the deletion, from AWS's own answers: who is overdue, who is gone, and the events of the deletions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from aws_local_org import LocalOrg
from aws_local_org.demo import expectations as expect
from aws_local_org.demo.state import DENY_ALL, AccountState, UserState


def overdue(
    account: AccountState, announced: Collection[str], is_exempt: Callable[[UserState], bool], days: int
) -> set[str]:
    """The names of the users that are in use, or lack a replacement, after their day. ``announced``: unique ids.

    ``account``: after that day. ``days``: in which a user must have been used to be in use.
    """
    return {
        user.name
        for user in account.users
        if user.unique_id in announced
        and not is_exempt(user)
        and DENY_ALL not in user.policies
        and expect.why_left(user, account, True, days)
    }


def deletions(org: LocalOrg, account_id: str) -> dict[str, set[str]]:
    """User name -> the request ids of the events of its deletions, by CloudTrail."""
    found = dict[str, set[str]]()
    pages = org.client("cloudtrail", account_id).get_paginator("lookup_events")
    asked = [{"AttributeKey": "EventName", "AttributeValue": "DeleteUser"}]
    for page in pages.paginate(LookupAttributes=asked):
        for each in page["Events"]:
            event = json.loads(each["CloudTrailEvent"])
            if not event.get("errorCode"):
                found.setdefault(event["requestParameters"]["userName"], set()).add(event["requestID"])
    return found


def receipts_in(directory: Path) -> list[dict[str, Any]]:
    """The receipts of an account's users, as JSON. Those of access keys are left out."""
    found = (json.loads(path.read_text()) for path in sorted(directory.glob("*.json")))
    return [each for each in found if "key" not in each]


def receipt_faults(
    account_id: str, gone: Set[str], events: Mapping[str, Set[str]], receipts: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Exactly the users that are ``gone`` have a receipt, with the request id of AWS's own event.

    ``events``: see ``deletions``.
    """
    found = {str(each["user"]["name"]): str(each["deletion"].get("request_id")) for each in receipts}
    return [
        *(f"{account_id}: {name} is gone, and has no receipt" for name in sorted(gone - found.keys())),
        *(f"{account_id}: {name} has a receipt, and is not gone" for name in sorted(found.keys() - gone)),
        *(
            f"{account_id}: the receipt of {name} has request id {request_id}, and not one of AWS's own event"
            for name, request_id in sorted(found.items())
            if name in gone and request_id not in events.get(name, ())
        ),
    ]
