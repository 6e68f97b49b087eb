# SPDX-License-Identifier: Apache-2.0
"""The access keys that the demo plants in its first account, one for each fate, and the checks on all keys there.

Each is the one key of its user that is not needed. The user's other key is in use, so that the user stays. AWS's own
answers say what a key is; the commands' files and mails must agree with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from aws_local_org import LocalOrg
from aws_local_org.demo.expectations import ACTIVE_DAYS
from aws_local_org.demo.state import DENY_ALL
from aws_local_org.iam import seeding

#: The states in which AWS can show a key, and that of a deleted one.
ACTIVE, INACTIVE, GONE = "Active", "Inactive", "gone"
#: Names of users, by what becomes of their key.
RETIRED, RETURNED, LAST = "svc-invoice-mailer", "svc-year-end", "svc-label-print"
BUSY, PARKED, NEW, EXEMPT = "svc-price-feed", "svc-stock-sync", "svc-shop-import", "git-mirror"


@dataclass(frozen=True)
class Story:
    """``used``: days before the announcement; None for never. ``created``: days before it. ``end``: what AWS shows of
    the key at the end. ``state``: in the report; ``code``: of the outcome that says why; both empty if it
    is not there.
    """

    told: str
    used: float | None
    end: str
    state: str = ""
    code: str = ""
    created: float = 700


STORIES = {
    NEW: Story(
        "was never used, and is announced on day 16", None, ACTIVE, "announced", "AnnouncedLately", 80
    ),
    BUSY: Story("has a successor, and is used all the time", 1, ACTIVE, "left alone", "Active"),
    PARKED: Story("was used until 12 days before its announcement", 12, INACTIVE, "parked", "KeyComesBack"),
    RETURNED: Story("is unused, and its owner wants it back", 365, ACTIVE, "given back", "KeyWasParked"),
    RETIRED: Story("is unused, and nobody misses it", 365, GONE, "retired", "KeyWasParked"),
    LAST: Story("is inactive when its user's other key is deleted", 20, INACTIVE, "parked", "LastKeyInUse"),
    EXEMPT: Story("is unused, and its user is exempt", 365, ACTIVE),
}
#: Those whose keys the first announcement names, and those that are made inactive on its day.
FIRST = (BUSY, PARKED, RETURNED, RETIRED, LAST)
ON_TIME = (RETURNED, RETIRED, LAST)
#: Days after its announcement on which a key is made inactive, and deleted.
INACTIVE_AFTER, DELETED_AFTER = 16, 30


@dataclass(frozen=True)
class KeyState:
    """One key as AWS shows it. ``denied``: whether its user is denied everything. ``used``: None for never."""

    key_id: str
    user: str
    status: str
    used: datetime | None
    denied: bool


@dataclass(frozen=True)
class Keys:
    """User -> the id of the key of its story, and of its other key."""

    told: Mapping[str, str]
    other: Mapping[str, str]

    def ids(self, users: Iterable[str]) -> set[str]:
        """The ids of the keys of these stories."""
        return {self.told[name] for name in users}


def plant(org: LocalOrg, account_id: str) -> Keys:
    """A user with two keys for each story."""
    told, other = dict[str, str](), dict[str, str]()
    now = datetime.now(timezone.utc)
    with org.lock:
        account = org.backend("iam", account_id)
        for name, story in STORIES.items():
            user = seeding.add_user(account, name, created=now - timedelta(days=900))
            key = seeding.add_access_key(account, user, created=now - timedelta(days=story.created))
            if story.used is not None:
                _use(key, now - timedelta(days=story.used))
            told[name] = key.access_key_id
            # the key that is in use is newer, but for that of the key that was never used
            live = seeding.add_access_key(account, user, created=now - timedelta(days=500))
            _use(live, now)
            other[name] = live.access_key_id
    return Keys(told, other)


def use(org: LocalOrg, account_id: str, keys: Keys) -> None:
    """The programs call AWS now, by the keys that they use; the one with two keys uses its newer one last."""
    now = datetime.now(timezone.utc)
    with org.lock:
        account = org.backend("iam", account_id)
        for key_id in (*keys.other.values(), keys.told[BUSY]):
            if key := account.access_keys.get(key_id):
                _use(key, now - timedelta(hours=1) if key_id == keys.told[BUSY] else now)


def _use(key: Any, at: datetime) -> None:
    seeding.set_access_key_last_used(key, at, service="s3", region="eu-west-1")


def delete_other(org: LocalOrg, account_id: str, keys: Keys, user: str) -> None:
    """The owner deletes the other key of the user."""
    iam = org.client("iam", account_id)
    iam.delete_access_key(UserName=user, AccessKeyId=keys.other[user])
    org.backend("iam", account_id).report = None  # AWS makes a new credential report after four hours


def key_states(org: LocalOrg, account_id: str) -> dict[str, KeyState]:
    """Key id -> what AWS shows of it, for all users of an account."""
    iam, found = org.client("iam", account_id), dict[str, KeyState]()
    pages = iam.get_paginator("get_account_authorization_details").paginate(Filter=["User"])
    for user in (each for page in pages for each in page["UserDetailList"]):
        denied = any(each["PolicyName"] == DENY_ALL for each in user.get("UserPolicyList", ()))
        for key in iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"]:
            key_id = key["AccessKeyId"]
            last = iam.get_access_key_last_used(AccessKeyId=key_id)["AccessKeyLastUsed"].get("LastUsedDate")
            found[key_id] = KeyState(key_id, user["UserName"], key["Status"], last, denied)
    return found


def changed(before: Mapping[str, KeyState], after: Mapping[str, KeyState]) -> dict[str, str]:
    """Key id -> what AWS shows of it now, for the keys that are not as they were."""
    now = {key_id: after[key_id].status if key_id in after else GONE for key_id in before}
    return {key_id: status for key_id, status in now.items() if status != before[key_id].status}


def run_faults(
    keys: Keys,
    before: Mapping[str, KeyState],
    after: Mapping[str, KeyState],
    rows: Iterable[Mapping[str, Any]],
    announced: Mapping[str, datetime],
    expected: Mapping[str, str],
) -> list[str]:
    """A run on keys must have done this: ``expected`` to the stories' keys, user -> status, and else only what AWS's
    answers allow; and its outcomes, ``rows``, must say the same.

    ``before``: right before the run. ``announced``: key id -> when its owner was addressed.
    """
    done = changed(before, after)
    stories = {key_id: name for name, key_id in keys.told.items()}
    wanted = {keys.told[name]: status for name, status in expected.items()}
    found = [
        f"the key of {stories[key_id]} is {done.get(key_id, 'unchanged')}, and not {wanted.get(key_id, 'unchanged')}"
        for key_id in keys.told.values()
        if done.get(key_id) != wanted.get(key_id)
    ]
    said = {str(row["unique_id"]): _STATUSES[row["status"]] for row in rows if row["status"] in _STATUSES}
    found += [
        f"the key {key_id} of {before[key_id].user} is {status} in AWS, and its outcome is {said.get(key_id, 'none')}"
        for key_id, status in done.items()
        if said.get(key_id) != status
    ]
    for key_id, status in done.items():
        for why in _reasons_to_stay(before[key_id], before, status, announced.get(key_id)):
            found.append(f"the key {key_id} of {before[key_id].user} is {status}, although {why}")
    return found


_STATUSES = {"deactivated": INACTIVE, "activated": ACTIVE, "retired": GONE}


def _reasons_to_stay(
    key: KeyState, all_keys: Mapping[str, KeyState], status: str, announced: datetime | None
) -> Iterator[str]:
    now = datetime.now(timezone.utc)
    if key.user.startswith("git-"):
        yield "its user is exempt"
    if key.denied:
        yield "its user is denied everything"
    if key.used and key.used > now - timedelta(days=ACTIVE_DAYS):
        yield f"it was used on {key.used:%Y-%m-%d}"
    days = DELETED_AFTER if status == GONE else INACTIVE_AFTER
    if announced is None or announced > now - timedelta(days=days):
        yield f"its owner was not addressed {days} days before"
    if status == GONE and key.status == ACTIVE:
        yield "it was active until then"
    if status == GONE and key.used and key.used > now - timedelta(days=DELETED_AFTER + 60):
        others = (each for each in all_keys.values() if each.user == key.user and each.status == ACTIVE)
        if not any(others):
            yield "its user has no other active key"


def end_faults(
    keys: Keys, after: Mapping[str, KeyState], announced: Mapping[str, datetime], report: Mapping[str, Any]
) -> list[str]:
    """Each key must be at the end what its story says, its user's other key as it was, and the report must agree.

    ``report``: in JSON.
    """
    rows, found = {row["key"]: row for row in report["keys"]}, list[str]()
    for name, story in STORIES.items():
        key_id = keys.told[name]
        now, row = status_of(key_id, after), rows.get(key_id, {})
        if now != story.end:
            found.append(f"the key of {name} is {now} in AWS, and not {story.end}")
        if (key_id in announced) == (name == EXEMPT):
            found.append(f"the key of {name} was {'' if name == EXEMPT else 'not '}announced")
        if name == EXEMPT and row:
            found.append(f"the report has the key of {name}, whose user is exempt")
        said, wanted = [row.get("state"), row.get("code")], [story.state, story.code]
        if name != EXEMPT and said != wanted:
            found.append(f"the report says of the key of {name}: {said}, and not {wanted}")
        other = status_of(keys.other[name], after)
        if other != (GONE if name == LAST else ACTIVE):
            found.append(f"the other key of {name} is {other}")
    return found


def status_of(key_id: str, states: Mapping[str, KeyState]) -> str:
    """What AWS shows of a key."""
    return states[key_id].status if key_id in states else GONE


def table(
    keys: Keys, after: Mapping[str, KeyState], report: Mapping[str, Any]
) -> tuple[list[str], list[list[Any]]]:
    """The columns and rows that show each story with its evidence. ``report``: in JSON."""
    rows = {row["key"]: row for row in report.get("keys", ())}
    found = [
        [
            keys.told[name],
            name,
            story.told,
            rows.get(keys.told[name], {}).get("announced", "")[:10],
            status_of(keys.told[name], after),
            status_of(keys.other[name], after),
            rows.get(keys.told[name], {}).get("state", ""),
            rows.get(keys.told[name], {}).get("reason", "")
            or ("its user is exempt" if name == EXEMPT else ""),
        ]
        for name, story in STORIES.items()
    ]
    return [
        "Access key",
        "Its user",
        "Story",
        "Announced",
        "In AWS",
        "The other key",
        "In the report",
        "Why",
    ], found
