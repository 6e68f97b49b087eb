# SPDX-License-Identifier: Apache-2.0
"""Reads the sign-ins through Identity Center from CloudTrail, for the whole organization at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.paging import pages
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.model import Instance
from c7n_iamusers.identity_center.sign_ins import DELIVERY, EVENTS, SignIn, SignIns, sign_in_of
from c7n_iamusers.text.times import moment

#: "The rate of lookup requests is limited to two per second, per account, per Region" (LookupEvents API reference).
PER_SECOND = 2.0
#: The maximum of pages of 50 events per name: an hour's reading. Older events stay unread.
LARGEST = 7200
#: The permission that reading needs, in the account of Identity Center.
PERMISSION = "cloudtrail:LookupEvents"


def read_sign_ins(
    client: Any,
    instance: Instance,
    account_id: str,
    earlier: SignIns | None,
    days: int,
    now: datetime,
    backoff: Backoff,
) -> SignIns:
    """``earlier`` and the sign-ins since, or those of the last ``days`` days.

    ``client``: of CloudTrail in the primary Region. ``account_id``: the caller's.
    Raises IdentityCenterError if that is not Identity Center's account; ClientError.
    """
    if instance.owner not in ("", account_id):
        raise IdentityCenterError(
            f"sign-ins are recorded in account {instance.owner}, which owns Identity Center, and the session acts in "
            f"{account_id}: give --role of account {instance.owner}"
        )
    known = earlier if earlier and earlier.identity_store == instance.identity_store_id else None
    begin = now - timedelta(days=days)
    since = max(begin, known.until - DELIVERY) if known else begin
    RateLimit(PER_SECOND).attach(client)
    found: list[SignIn] = []
    complete = since
    for name in EVENTS:
        for number, events in enumerate(_lookups(client, name, since, now, backoff), 1):
            found += [each for event in events if (each := sign_in_of(event, instance.identity_store_id))]
            if number == LARGEST:  # the newest come first
                complete = max(complete, moment(events[-1].get("eventTime")) or now) if events else complete
                break
    base = known or SignIns(instance.identity_store_id, complete, complete, {})
    return base.with_events(found, complete, now)


def _lookups(client: Any, name: str, since: datetime, now: datetime, backoff: Backoff) -> Iterator[list[Any]]:
    attribute = {"AttributeKey": "EventName", "AttributeValue": name}
    window = {"StartTime": since, "EndTime": now}
    for page in pages(client, "LookupEvents", backoff, LookupAttributes=[attribute], **window):
        yield [json.loads(event["CloudTrailEvent"]) for event in page.get("Events", ())]
