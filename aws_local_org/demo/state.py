# SPDX-License-Identifier: Apache-2.0
"""The state of the local organization, from AWS API calls and not the policies' output; and how days pass in it."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import set_access_key_last_used, set_password_last_used
from aws_local_org.queues import age as age_queues

#: A quarantine's inline policy, and the time in its statement id.
DENY_ALL = "c7n-iamusers-deny-all"
_QUARANTINED = re.compile(r"(?<=Quarantined)\d{8}T\d{6}Z")
_SID_TIME = "%Y%m%dT%H%M%SZ"
#: A time in a record of the cycle, or in the state of one of its plans.
_RECORDED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@dataclass(frozen=True)
class UserState:
    """A user as the demo's checks need it.

    ``email``: empty if the tag is missing. ``last_used``: of its password or a key, the later one. ``trusted_by``: the
    roles whose trust policy names it. ``policies``: all of its policies, as text to compare. ``has_key``: an active
    one. ``groups``: their names.
    """

    name: str
    path: str
    unique_id: str = ""
    email: str = ""
    has_password: bool = False
    last_used: datetime | None = None
    trusted_by: tuple[str, ...] = ()
    policies: str = ""
    has_key: bool = False
    has_mfa: bool = False
    groups: tuple[str, ...] = ()

    @property
    def is_person(self) -> bool:
        """Whether somebody may sign in as it, or it has an e-mail."""
        return self.has_password or bool(self.email)


@dataclass(frozen=True)
class AccountState:
    """One member account at one time. ``access``: the names of the users that Identity Center lets in."""

    account_id: str
    name: str
    users: tuple[UserState, ...]
    orphaned_mfa: frozenset[str] = frozenset()
    access: frozenset[str] = frozenset()
    at: datetime = datetime(2000, 1, 1, tzinfo=timezone.utc)

    @property
    def names(self) -> set[str]:
        """The names of its users."""
        return {user.name for user in self.users}


def account_states(org: LocalOrg) -> dict[str, AccountState]:
    """Account id -> state, for every member account."""
    return {account: account_state(org, account, name) for account, name in org.settings.member_accounts}


def account_state(org: LocalOrg, account_id: str, name: str) -> AccountState:
    """The state of one account."""
    iam = org.client("iam", account_id)
    details = iam.get_paginator("get_account_authorization_details").paginate(Filter=["User", "Role"])
    pages = list(details)
    roles = [role for page in pages for role in page["RoleDetailList"]]
    report = {row["user"]: row for row in _credential_report(iam)}
    users = tuple(
        _user_state(detail, report.get(detail["UserName"], {}), roles)
        for page in pages
        for detail in page["UserDetailList"]
    )
    devices = iam.get_paginator("list_virtual_mfa_devices").paginate(AssignmentStatus="Unassigned")
    orphaned = frozenset(device["SerialNumber"] for page in devices for device in page["VirtualMFADevices"])
    access = frozenset(people_with_access(org, account_id))
    return AccountState(account_id, name, users, orphaned, access, datetime.now(timezone.utc))


def _credential_report(iam: Any) -> Iterator[dict[str, str]]:
    while iam.generate_credential_report()["State"] != "COMPLETE":
        time.sleep(0.1)
    return csv.DictReader(io.StringIO(iam.get_credential_report()["Content"].decode()))


#: The columns of a credential report about use.
_USES = ("password_last_used", "access_key_1_last_used_date", "access_key_2_last_used_date")


def _user_state(
    detail: Mapping[str, Any], row: Mapping[str, str], roles: list[Mapping[str, Any]]
) -> UserState:
    tags = {tag["Key"]: tag["Value"] for tag in detail.get("Tags", ())}
    uses = [datetime.fromisoformat(row[column]) for column in _USES if row.get(column, "")[:1].isdigit()]
    held = {
        key: detail.get(key) for key in ("UserPolicyList", "AttachedManagedPolicies", "PermissionsBoundary")
    }
    named = (f'"{detail["Arn"]}"', f'"{detail["UserId"]}"')
    trusting = {role["RoleName"]: json.dumps(role["AssumeRolePolicyDocument"]) for role in roles}
    return UserState(
        detail["UserName"],
        detail["Path"],
        detail["UserId"],
        tags.get("Email", ""),
        row.get("password_enabled") == "true",
        max(uses, default=None),
        tuple(sorted(name for name, trust in trusting.items() if any(each in trust for each in named))),
        json.dumps(held, sort_keys=True, default=str),
        any(row.get(f"access_key_{number}_active") == "true" for number in (1, 2)),
        row.get("mfa_active") == "true",
        tuple(detail.get("GroupList", ())),
    )


def announcements(
    notices: Path, account_id: str, step: str = "announced", what: str = "", *, keys: bool = False
) -> dict[str, datetime]:
    """Unique id -> when the owner was first addressed about the user, by the records of notify-owners.

    ``step``: of the records that count, such as ``reminded-7``. ``what``: the beginning of their text on the user.
    ``keys``: of access keys instead, by their ids.
    """
    found: dict[str, datetime] = {}
    for path in (notices / account_id).glob("*.json"):
        record = json.loads(path.read_text())
        if record["step"] == step and record["addresses"]:
            moment = datetime.fromisoformat(record["time"])
            for user in record["users"]:
                is_key = user["unique-id"].startswith("AKIA")
                if user.get("what", "").startswith(what) and is_key == keys:
                    found[user["unique-id"]] = min(moment, found.get(user["unique-id"], moment))
    return found


def announced_groups(notices: Path, account_id: str) -> dict[str, str]:
    """Unique id -> the group in which the user was announced, by the records of notify-owners."""
    records = (json.loads(path.read_text()) for path in (notices / account_id).glob("*.json"))
    announced = [each for each in records if each["step"] == "announced"]
    return {user["unique-id"]: str(user["evidence"]["group"]) for each in announced for user in each["users"]}


def let_days_pass(org: LocalOrg, notices: Path, outputs: Path, days: int) -> None:
    """Let that many days pass in which nobody uses an IAM user.

    It moves into the past the last uses of passwords and access keys, the creation of keys that were never used, what
    the journals say of parked keys, the notices, the mailer's queue, the times of quarantines and releases in the
    inline Deny and in the journals below ``outputs``, those in the records of cycles and their plans there, and the
    credentials of users under that Deny, which are older than it. Outcomes, and the messages to owners, stay.
    """
    back = timedelta(days=days)
    for account_id, _ in org.settings.member_accounts:
        backend = org.backend("iam", account_id)
        backend.report = None  # AWS makes a new credential report after four hours
        for user in backend.users.values():
            _age_user(user, back)
    age_queues(org.backend("sqs"), back)
    for path in (*notices.glob("*/*.json"), *notices.glob("exempt/*/*.json")):
        record = json.loads(path.read_text())
        if record.get("step") == "informed":
            continue
        record["time"] = (datetime.fromisoformat(record["time"]) - back).isoformat()
        for key in {"day", "credentials-stop", "brownout"} & record.keys():
            record[key] = (date.fromisoformat(record[key]) - back).isoformat()
        if record.get("created"):  # a reading of the queue
            record["created"] = (datetime.fromisoformat(record["created"]) - back).isoformat()
        path.write_text(json.dumps(record))
    _age_outputs(outputs, back)


def _age_outputs(outputs: Path, back: timedelta) -> None:
    for path in (*outputs.glob("cycle/runs/*.json"), *outputs.glob("cycle/plans/*/state.json")):
        path.write_text(_RECORDED.sub(_moved(back), path.read_text()))
    for path in outputs.rglob("journal.jsonl"):
        lines = [_aged_line(json.loads(line), back) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _moved(back: timedelta) -> Callable[[re.Match[str]], str]:
    return lambda found: (datetime.fromisoformat(found[0]) - back).isoformat()


def _aged_line(line: dict[str, Any], back: timedelta) -> dict[str, Any]:
    given, notes = line.get("parameters") or {}, line.get("notes") or {}
    if given.get("AccessKeyId", "") == line.get("unique_id"):
        # a single key: the line is the record of its parking
        moved = {each: _earlier_text(notes[each], back) for each in ("used", "since") if notes.get(each)}
        told = {"notes": {**notes, **moved}} if notes else {}
        return {**line, "time": _earlier_text(line["time"], back), **told}
    if line.get("operation") == "UntagUser" or given.get("PolicyName") == DENY_ALL:
        return {**line, "time": (datetime.fromisoformat(line["time"]) - back).isoformat()}
    if line["phase"] != "quarantine":
        return line
    since = (datetime.fromisoformat(line["record"]["since"]) - back).isoformat()
    return {**line, "record": {**line["record"], "since": since}}


def _earlier_text(time: str, back: timedelta) -> str:
    return (datetime.fromisoformat(time) - back).isoformat()


def _age_user(user: Any, back: timedelta) -> None:
    if user.password_last_used:
        set_password_last_used(user, user.password_last_used - back)
    for key in user.access_keys:
        if (use := key.last_used) and use.timestamp:
            set_access_key_last_used(key, use.timestamp - back, service=use.service, region=use.region)
        elif DENY_ALL not in user.policies:
            key.create_date -= back
    if DENY_ALL in user.policies:
        user.policies[DENY_ALL] = _QUARANTINED.sub(_earlier(back), user.policies[DENY_ALL])
        for credential in _credentials(user):
            created = "create_date" if hasattr(credential, "create_date") else "upload_date"
            setattr(credential, created, getattr(credential, created) - back)


def _credentials(user: Any) -> Iterator[Any]:
    yield from (user.login_profile,) if user.login_profile else ()
    yield from user.access_keys
    yield from user.ssh_public_keys
    yield from user.signing_certificates.values()
    yield from user.service_credentials.values()


def _earlier(back: timedelta) -> Callable[[re.Match[str]], str]:
    return lambda found: (datetime.strptime(found[0], _SID_TIME) - back).strftime(_SID_TIME)


def people_with_access(org: LocalOrg, account_id: str) -> dict[str, str]:
    """Identity Center user name -> permission set, for people with a group's assignment in the account."""
    sso = org.client("sso-admin")
    (instance,) = sso.list_instances()["Instances"]
    people: dict[str, str] = {}
    sets = sso.get_paginator("list_permission_sets_provisioned_to_account")
    for page in sets.paginate(InstanceArn=instance["InstanceArn"], AccountId=account_id):
        for arn in page.get("PermissionSets", ()):
            name = sso.describe_permission_set(InstanceArn=instance["InstanceArn"], PermissionSetArn=arn)
            for member in _assigned_people(org, instance, account_id, arn):
                people[member] = name["PermissionSet"]["Name"]
    return people


def _assigned_people(
    org: LocalOrg, instance: Mapping[str, Any], account_id: str, permission_set: str
) -> list[str]:
    sso, store = org.client("sso-admin"), org.client("identitystore")
    assignments = sso.get_paginator("list_account_assignments").paginate(
        InstanceArn=instance["InstanceArn"], AccountId=account_id, PermissionSetArn=permission_set
    )
    groups = [each["PrincipalId"] for page in assignments for each in page["AccountAssignments"]]
    store_id = instance["IdentityStoreId"]
    members = store.get_paginator("list_group_memberships")
    ids = [
        membership["MemberId"]["UserId"]
        for group in groups
        for page in members.paginate(IdentityStoreId=store_id, GroupId=group)
        for membership in page["GroupMemberships"]
    ]
    return [store.describe_user(IdentityStoreId=store_id, UserId=user_id)["UserName"] for user_id in ids]
