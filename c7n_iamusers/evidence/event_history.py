# SPDX-License-Identifier: Apache-2.0
"""Reads of single users CloudTrail's event history, within its two calls a second, and IAM's service last accessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.evidence.attempts import Attempt, Gap, attempts_in
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.client import Backoff, error_code, items, pages
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.iam.user import IamUser

#: "The rate of lookup requests is limited to two per second, per account, per Region" (LookupEvents API reference).
PER_SECOND = 2.0
#: The pages of 50 events that are read of one user in one Region. Without a call of the user, they are of others.
LARGEST = 5


@dataclass(frozen=True)
class Window:
    """A user, and since when its calls matter."""

    user: IamUser
    since: datetime


@dataclass(frozen=True)
class Heard:
    """The calls of a user in the Regions that were read, and what could not be read."""

    attempts: tuple[Attempt, ...]
    gaps: tuple[Gap, ...]


def enabled_regions(ec2: Any, backoff: Backoff) -> tuple[str, ...]:
    """The Regions that are enabled in the account of the client ``ec2``; in no other can anybody make a call."""
    found = items(ec2, "DescribeRegions", "Regions", backoff)
    return tuple(sorted(each["RegionName"] for each in found if each.get("OptInStatus") != "not-opted-in"))


def read_events(clients: Mapping[str, Any], windows: list[Window], backoff: Backoff) -> dict[str, Heard]:
    """Unique id of each user -> its calls. ``clients``: Region -> a CloudTrail client.

    One LookupEvents with the attribute Username for each user and Region, and more pages only until a call of the user
    is found: this is bounded by the users, while a sweep over an account's events is bounded by nothing. The Regions
    are read at the same time, each at its two calls a second, so a hundred users take a minute.
    """
    if not clients or not windows:
        return {each.user.unique_id: Heard((), ()) for each in windows}
    with ThreadPoolExecutor(len(clients)) as pool:
        by_region = list(
            pool.map(lambda region: _read_region(region, clients[region], windows, backoff), clients)
        )
    return {
        each.user.unique_id: Heard(
            tuple(attempt for found in by_region for attempt in found[place].attempts),
            tuple(gap for found in by_region for gap in found[place].gaps),
        )
        for place, each in enumerate(windows)
    }


def _read_region(region: str, client: Any, windows: list[Window], backoff: Backoff) -> list[Heard]:
    RateLimit(PER_SECOND).attach(client)
    found: list[Heard] = []
    refused = ""
    for window in windows:
        if not refused:
            try:
                found.append(_read_user(region, client, window, backoff))
                continue
            except (ClientError, BotoCoreError, KeyError, ValueError) as error:
                refused = f"CloudTrail in {region} could not be read ({error_code(error)})"
        # What fails for one user fails for the next, and each would use up its whole budget of retries.
        found.append(Heard((), (Gap(refused, unread=True),)))
    return found


def _read_user(region: str, client: Any, window: Window, backoff: Backoff) -> Heard:
    attribute = {"AttributeKey": "Username", "AttributeValue": window.user.name}
    lookup = pages(client, "LookupEvents", backoff, LookupAttributes=[attribute], StartTime=window.since)
    for number, page in enumerate(lookup, 1):
        records = [json.loads(event["CloudTrailEvent"]) for event in page.get("Events", ())]
        if attempts := tuple(attempts_in(records, window.user, window.since)):
            return Heard(attempts, ())
        if number == LARGEST and page.get("NextToken"):
            why = f"CloudTrail in {region} has over {LARGEST * 50} events of others by the name {window.user.name}"
            return Heard((), (Gap(why, unread=True),))
    return Heard((), ())


def read_services(iam: Any, arn: str, backoff: Backoff) -> tuple[Mapping[str, Any], ...]:
    """The ``ServiceLastAccessed`` of a user. IAM computes it in seconds, as a job.

    Raises ClientError; EvidenceUnreadable if the job fails, or does not end within the budget of ``backoff``.
    """
    job = backoff.call(iam.generate_service_last_accessed_details, Arn=arn)["JobId"]
    status = ""
    for delay in backoff.delays():
        page = backoff.call(iam.get_service_last_accessed_details, JobId=job)
        status = page["JobStatus"]
        if status == "COMPLETED":
            found = list(page["ServicesLastAccessed"])
            while page.get("IsTruncated"):
                page = backoff.call(iam.get_service_last_accessed_details, JobId=job, Marker=page["Marker"])
                found += page["ServicesLastAccessed"]
            return tuple(found)
        if status == "FAILED":
            break
        backoff.sleep(delay)
    raise EvidenceUnreadable(
        f"{arn}: IAM's service last accessed could not be read: its job is {status}: run again later"
    )
