# SPDX-License-Identifier: Apache-2.0
"""The users that the demo plants in each account besides the seeded ones, and their expected results.

All are machines whose only access key was last used long ago, so that they differ only in their stories.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from aws_local_org import LocalOrg
from aws_local_org.demo.state import DENY_ALL, AccountState
from aws_local_org.iam import seeding
from aws_local_org.scripted_events import attempt

#: It calls AWS all the time.
IN_USE = "svc-orders-sync"
#: It calls AWS only while it is denied everything, and only in the first account.
CALLED = "svc-month-end"
#: It is created after the announcement, with a tag that sets its deletion in 2020.
UNANNOUNCED = "svc-marked-2020"
#: It is announced, and its tag sets 2999.
MARKED = "svc-marked-2999"
STORIES = {
    IN_USE: "calls AWS all the time",
    CALLED: "calls AWS while it is denied, in the first account",
    UNANNOUNCED: "was never announced, and a tag marks it for 2020",
    MARKED: "was announced, and a tag marks it for 2999",
}
_MARK = "c7n-iamusers-deletion"
#: A call that CloudTrail's event history records.
_CALL = "ec2:DescribeInstances"


def plant(org: LocalOrg, account_id: str) -> None:
    """The planted users of an account that exist from the beginning."""
    for name in (IN_USE, CALLED):
        _add(org, account_id, name)
    _add(org, account_id, MARKED, {_MARK: "IAM user is unnecessary: composite-delete@2999/12/31"})
    call(org, account_id, IN_USE)


def plant_unannounced(org: LocalOrg, account_id: str) -> None:
    """The planted user of an account that is created after the announcement."""
    _add(org, account_id, UNANNOUNCED, {_MARK: "IAM user is unnecessary: composite-delete@2020/01/31"})


def _add(org: LocalOrg, account_id: str, name: str, tags: Mapping[str, str] | None = None) -> None:
    now = datetime.now(timezone.utc)
    with org.lock:
        account = org.backend("iam", account_id)
        user = seeding.add_user(account, name, created=now - timedelta(days=900), tags=tags)
        key = seeding.add_access_key(account, user, created=now - timedelta(days=900))
        seeding.set_access_key_last_used(key, now - timedelta(days=400), service="ec2", region="us-east-1")


def call(org: LocalOrg, account_id: str, user: str) -> str:
    """A call of a planted user: empty if AWS allowed it, else why not."""
    found = attempt(org, account_id, user, _CALL)
    return str(found.get("errorCode") or found.get("reason") or "")


def exempt_caller(file: Path, account_id: str, owner: str) -> None:
    """Add the owner's answer to a CSV file of exemptions: the called user of this account stays."""
    answer = {"account": account_id, "user": CALLED, "reason": "the month-end closing still runs as it"}
    _append(file, {**answer, "owner": owner})


def exempt_clients(file: Path) -> None:
    """Add the seeded users of CodeCommit to a CSV file of exemptions: ``expectations.exempt``."""
    _append(file, {"user": "git-*", "reason": "CodeCommit clients", "owner": "platform@example.com"})


def _append(file: Path, rule: dict[str, str]) -> None:
    with file.open(newline="") as lines:
        reader = csv.DictReader(lines)
        rows, columns = list(reader), list(reader.fieldnames or ())
    answer = {**rule, "expires": (date.today() + timedelta(days=90)).isoformat()}
    columns += [each for each in answer if each not in columns]
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, answer])


def planted_faults(after: AccountState, answered: bool) -> list[str]:
    """Exactly these planted users must remain at the end, and be denied nothing.

    ``answered``: whether the owner of the account has exempted the one that still calls AWS.
    """
    expected = {IN_USE, UNANNOUNCED, *([CALLED] if answered else [])}
    left = {user.name: user for user in after.users if user.name in STORIES}
    missing = [
        f"{after.name}: {name} is gone, which {STORIES[name]}" for name in sorted(expected - set(left))
    ]
    more = [f"{after.name}: {name} is still there" for name in sorted(set(left) - expected)]
    denied = [
        f"{after.name}: {name} is still denied everything"
        for name, user in sorted(left.items())
        if name in expected and DENY_ALL in user.policies
    ]
    return [*missing, *more, *denied]


#: Long unused users, each of which one guard spares. Nobody knows whose the first is, and a role trusts the second. The
#: third's person has left: the user may do everything, but has no credential to sign in with.
OWNERLESS, TRUSTED, LEFT = "former.colleague", "svc-handover-old", "left.last-year"


def add_tempting_users(org: LocalOrg) -> None:
    """Unused users in each account that must stay, so that the checks of people and roles can find something.

    The one whose person has left must get no access through Identity Center, either.
    """
    now = datetime.now(timezone.utc)
    long_ago, later = now - timedelta(days=900), now - timedelta(days=400)
    for account_id, _ in org.settings.member_accounts:
        with org.lock:
            account = org.backend("iam", account_id)
            person = seeding.add_user(account, OWNERLESS, created=long_ago)
            seeding.set_password(person, long_ago, last_used=later)
            machine = seeding.add_user(account, TRUSTED, created=long_ago)
            key = seeding.add_access_key(account, machine, created=long_ago)
            seeding.set_access_key_last_used(key, later, service="s3", region="us-east-1")
            left = seeding.add_user(account, LEFT, created=long_ago, tags={"Email": f"{LEFT}@example.com"})
            seeding.add_access_key(account, left, created=long_ago, active=False)
            everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
            left.policies["Everything"] = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        statement = {"Effect": "Allow", "Principal": {"AWS": machine.arn}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        org.client("iam", account_id).create_role(RoleName="handover", AssumeRolePolicyDocument=trust)
