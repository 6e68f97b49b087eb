# SPDX-License-Identifier: Apache-2.0
"""Reads of single users CloudTrail's event history, within its two calls a second, and IAM's service last accessed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.evidence.attempted_calls import (
    HISTORY,
    LONGEST_SESSION,
    Attempt,
    Gap,
    RecordedCalls,
    records_of,
)
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.paging import items, pages
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.text.times import moment

#: "The rate of lookup requests is limited to two per second, per account, per Region" (LookupEvents API reference).
PER_SECOND = 2.0
#: The pages of 50 events to read for one name in one Region. Without a call of the user, they are of others.
LARGEST = 5
#: Names of a user to look up. People who may rename users could make a run wait for days.
MOST_NAMES = 20
#: The pages of 50 UpdateUser events to read for an account. A user needs no permission to fill them with denied calls,
#: so what lies beyond is a gap only for users that may have had another name then.
MOST_RENAMES = 40
#: The pages of 50 events to read for all calls of one name: ten minutes for all names of an account.
MOST_OF_NAME = 80


@dataclass(frozen=True)
class Window:
    """A user, and since when its calls matter. ``names``: all known ones: an event keeps the name of its time."""

    user: IamUser
    since: datetime
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class UserEvents:
    """The calls of a user in the Regions that were read, and what could not be read.

    ``covered``: whether these Regions were read to the end for the whole time, by each name of the user. False if a
    call was found, as no more is read then.
    """

    attempts: tuple[Attempt, ...] = ()
    gaps: tuple[Gap, ...] = ()
    covered: bool = False


def enabled_regions(ec2: Any, backoff: Backoff) -> tuple[str, ...]:
    """The Regions that are enabled in the account of the client ``ec2``; in no other can anybody make a call."""
    found = items(ec2, "DescribeRegions", "Regions", backoff)
    return tuple(sorted(each["RegionName"] for each in found if each.get("OptInStatus") != "not-opted-in"))


def read_events(
    clients: Mapping[str, Any], windows: list[Window], backoff: Backoff, home: str, now: datetime
) -> dict[str, UserEvents]:
    """Unique id of each user -> its calls. ``clients``: Region -> a CloudTrail client. ``home``: IAM's Region.
    ``now``: UTC.

    It makes one LookupEvents with the attribute Username for each user and Region, and reads more pages only until it
    finds a call of the user. So the number of users bounds the calls; nothing bounds an account's events. The Regions
    are read at the same time, each at its two calls a second, so a hundred users take a minute. Each name of a renamed
    user is looked up. The events of the hours before ``since`` are read too: a session that began then may go on. It
    asks only for times that the event history has, whatever ``since`` says.
    """
    if not clients or not windows:
        nowhere = UserEvents(gaps=(Gap("CloudTrail was read in no Region", unread=True),))
        return {window.user.unique_id: nowhere for window in windows}
    for client in clients.values():
        RateLimit(PER_SECOND).attach(client)
    first = min(window.since for window in windows)
    renames = _read_renames(home, clients.get(home), _start(first, now), backoff)
    gaps = [renames.gaps(window) for window in windows]
    windows = [
        replace(
            window, names=former_names(window.user.name, window.names, renames.found) - {window.user.name}
        )
        for window in windows
    ]
    with ThreadPoolExecutor(len(clients)) as pool:
        by_region = list(
            pool.map(lambda region: _read_region(region, clients[region], windows, backoff, now), clients)
        )
    return {
        each.user.unique_id: UserEvents(
            tuple(attempt for found in by_region for attempt in found[place].attempts),
            (*(gap for found in by_region for gap in found[place].gaps), *of_renames),
            not of_renames and all(found[place].covered for found in by_region),
        )
        for place, (each, of_renames) in enumerate(zip(windows, gaps, strict=True))
    }


def _start(since: datetime, now: datetime) -> datetime:
    """The StartTime for what matters from ``since`` on. CloudTrail refuses one in the future."""
    return min(max(since, now - HISTORY + LONGEST_SESSION) - LONGEST_SESSION, now)


def former_names(name: str, known: Iterable[str], renames: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The names that a user may have had, including its ``name`` and ``known`` ones. ``renames``: former and new names.

    Another user's name among them does no harm: the unique id decides whose call it was.
    """
    before: dict[str, list[str]] = {}
    for former, new in renames:
        before.setdefault(new, []).append(former)
    found, new_names = set[str](), [name, *known]
    while new_names:
        if (each := new_names.pop()) not in found:
            found.add(each)
            new_names += before.get(each, ())
    return frozenset(found)


@dataclass(frozen=True)
class _Renames:
    """``found``: the former and the new name of each user that was renamed. ``unread``: why they were not read.

    ``more``: why some before ``read_since`` were not read.
    """

    found: list[tuple[str, str]]
    unread: str = ""
    more: str = ""
    read_since: datetime | None = None

    def gaps(self, window: Window) -> tuple[Gap, ...]:
        """The gaps that this leaves for one user. ``window``: with the names that the journals know.

        If the journals know only the user's current name, that is not in doubt: renaming it there and back would need
        iam:UpdateUser on it.
        """
        if self.unread:
            return (Gap(self.unread, unread=True),)
        read = self.read_since is not None and self.read_since + LONGEST_SESSION <= window.since
        if not self.more or read or window.names == {window.user.name}:
            return ()
        return (Gap(self.more, unread=True),)


def _read_renames(home: str, client: Any, since: datetime, backoff: Backoff) -> _Renames:
    """The renamings in the account since ``since``. The newest event comes first."""
    if client is None:
        return _Renames([], f"CloudTrail was not read in {home}, which would show whether users were renamed")
    found, oldest = list[tuple[str, str]](), None
    attribute = {"AttributeKey": "EventName", "AttributeValue": "UpdateUser"}
    lookup = pages(client, "LookupEvents", backoff, LookupAttributes=[attribute], StartTime=since)
    try:
        for number, page in enumerate(lookup, 1):
            records = list(_records(page))
            found += filter(None, map(_renaming, records))
            oldest = moment(records[-1].get("eventTime")) if records else oldest
            if number == MOST_RENAMES and page.get("NextToken"):
                why = (
                    f"CloudTrail in {home} has over {MOST_RENAMES * 50} calls of UpdateUser, not all of which were "
                    "read, and no journal says whether it had another name before"
                )
                return _Renames(found, more=why, read_since=oldest)
    except (ClientError, BotoCoreError, KeyError, ValueError) as error:
        why = f"whether users were renamed could not be read from CloudTrail in {home} ({error_code(error)})"
        return _Renames(found, why)
    return _Renames(found)


def _renaming(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """The former and the new name in an event of UpdateUser; None if it failed, or moved the user to another path.

    Raises KeyError or ValueError.
    """
    if record.get("errorCode"):
        return None
    asked = record["requestParameters"]
    if not isinstance(asked, Mapping):
        raise ValueError("an event of UpdateUser does not say what was asked for")
    return (str(asked["userName"]), str(asked["newUserName"])) if asked.get("newUserName") else None


def _records(page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The records in a page of LookupEvents. Raises KeyError or ValueError."""
    for event in page["Events"]:
        record = json.loads(event["CloudTrailEvent"])
        if not isinstance(record, Mapping):
            raise ValueError("a CloudTrailEvent is not a JSON object")
        yield record


def named_events(
    client: Any, names: Iterable[str], now: datetime, backoff: Backoff
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The records of all calls of these ``names`` in the history, and the names that were not read to the end.

    ``client``: of CloudTrail in the Region of the calls. Raises EvidenceUnreadable if CloudTrail does not answer.
    """
    RateLimit(PER_SECOND).attach(client)
    found, gaps = list[Mapping[str, Any]](), list[str]()
    for name in names:
        asked = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
            "StartTime": _start(now - HISTORY, now),
            "EndTime": now,
        }
        try:
            for number, page in enumerate(pages(client, "LookupEvents", backoff, **asked), 1):
                found += _records(page)
                if number == MOST_OF_NAME and page.get("NextToken"):
                    gaps.append(name)
                    break
        except (ClientError, BotoCoreError, KeyError, ValueError) as error:
            raise EvidenceUnreadable(
                f"cloudtrail:LookupEvents does not answer ({error_code(error)}): {error}"
            ) from error
    return found, gaps


def _read_region(
    region: str, client: Any, windows: list[Window], backoff: Backoff, now: datetime
) -> list[UserEvents]:
    found: list[UserEvents] = []
    refused = ""
    for window in windows:
        if not refused:
            try:
                found.append(_read_user(region, client, window, backoff, now))
                continue
            except (ClientError, BotoCoreError, KeyError, ValueError) as error:
                refused = f"CloudTrail in {region} could not be read ({error_code(error)})"
            except Exception as error:  # noqa: BLE001  # one user's error must not affect the others
                why = f"its events in CloudTrail in {region} could not be read ({error!r})"
                found.append(UserEvents(gaps=(Gap(why, unread=True),)))
                continue
        # What fails for one user fails for the next, and each would use up its whole budget of retries.
        found.append(UserEvents(gaps=(Gap(refused, unread=True),)))
    return found


def _read_user(region: str, client: Any, window: Window, backoff: Backoff, now: datetime) -> UserEvents:
    if len(window.names) > MOST_NAMES:
        why = f"it may have had {len(window.names)} names since, and CloudTrail is asked about {MOST_NAMES} at most"
        return UserEvents(gaps=(Gap(why, unread=True),))
    gaps, failed, start = list[Gap](), list[Attempt](), _start(window.since, now)
    for name in (window.user.name, *sorted(window.names)):
        attribute = {"AttributeKey": "Username", "AttributeValue": name}
        lookup = pages(client, "LookupEvents", backoff, LookupAttributes=[attribute], StartTime=start)
        read = 0
        for page in lookup:
            found = records_of(_records(page), window.user, window.since, window.names)
            if not all(attempt.is_failed_sign_in for attempt in found.attempts):
                return UserEvents(found.attempts)
            failed += found.attempts  # anybody can make these: they must hide no call
            gaps += _gaps_in(region, found)
            read += 1
            if read == LARGEST and page.get("NextToken"):
                gaps.append(_too_many(region, name, window.since, found.before))
                break
        if not read:
            raise ValueError("LookupEvents gave no page")
    return UserEvents(tuple(failed), tuple(dict.fromkeys(gaps)), covered=not gaps and not failed)


def _gaps_in(region: str, found: RecordedCalls) -> Iterator[Gap]:
    if found.unclear:
        why = f"CloudTrail in {region} has events by its name that do not say whose they are, or when"
        yield Gap(why, unread=True)
    for each in found.sessions[:1]:
        yield Gap(
            f"it had a session by {each.action} in {region} of {each.time:%Y-%m-%d %H:%M} UTC, which went on, and "
            "CloudTrail has what that did under another name"
        )


def _too_many(region: str, name: str, since: datetime, before: bool) -> Gap:
    """The gap of a name with more events than are read. ``before``: whether those read reach back before ``since``.

    The newest event comes first ("LookupEvents", CloudTrail API reference).
    """
    many = f"CloudTrail in {region} has over {LARGEST * 50} events"
    if before:
        return Gap(
            f"{many} by the name {name} until shortly before {since:%Y-%m-%d}: it may have had sessions then"
        )
    return Gap(f"{many} of others by the name {name}", unread=True)


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
