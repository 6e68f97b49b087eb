# SPDX-License-Identifier: Apache-2.0
"""Desired accesses and intents for tests."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.evidence.working_credentials import WorkingCredentials
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.attachments import ACCESS_KEY, LOGIN_PROFILE
from c7n_iamusers.identity_center.model import DesiredAccess, Person, RefusedUser
from c7n_iamusers.identity_center.requests.desired import AccessRequest, desired_access
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.policy_comparison.comparison import UNDECIDED, WIDER
from tests.access_center import ACCOUNT, MARK, READ_ONLY

#: A password, a key and an MFA device, by a report that is as young as the tests.
ABLE = WorkingCredentials(
    (ACCESS_KEY.name, LOGIN_PROFILE.name),
    mfa=True,
    as_of=datetime.now(timezone.utc).replace(microsecond=0),
)
#: Whatever is requested by name is accepted.
ACCEPT_ALL = tuple(
    {"account": "*", "user": "*", "verdict": verdict, "remark": "tests", "expires": "2100-01-01"}
    for verdict in (WIDER, UNDECIDED)
)
#: So that each permission set by name allows no more.
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def person(name: str) -> Person:
    """Somebody whose username is an e-mail."""
    return Person(f"{name}@example.com", f"{name}@example.com", name, "Example", name)


def user(account: str, name: str, who: Person | None, problem: str = "") -> UserIntent:
    """An IAM user's intent."""
    subject = Subject(name, f"arn:aws:iam::{account}:user/{name}", f"AIDA{account}{name}".upper())
    detail = {
        "Arn": subject.arn,
        "UserName": name,
        "UserId": subject.unique_id,
        "UserPolicyList": [{"PolicyName": "All", "PolicyDocument": EVERYTHING}],
    }
    return UserIntent(subject, who, "" if problem else "tag:Email", problem, detail, credentials=ABLE)


def readers(name: str = "Readers") -> PermissionSet:
    """A permission set that reads."""
    return PermissionSet(name, "Reads", managed_policies=frozenset({READ_ONLY}), tags=MARK)


def intents(account: str = ACCOUNT, *names: str, set_name: str = "Readers", **fields: Any) -> Intents:
    """An account's intents: its users of those names are people of the same names."""
    users = tuple(user(account, name, person(name)) for name in names)
    found = Intents(
        account,
        f"provision-{set_name}",
        users,
        group=f"iam-{account}-{set_name}",
        permission_set=readers(set_name),
        place=f"{account}/provision-{set_name}",
        time=datetime.now(timezone.utc).replace(microsecond=0),
    )
    return replace(found, **fields)


def made_for(asked: UserIntent, iam: Any, **tags: str) -> UserIntent:
    """``asked`` for an IAM user that is made with a key, that may do everything, and that has ``tags``."""
    name = asked.subject.name
    listed = [{"Key": key, "Value": value} for key, value in tags.items() if value]
    made = iam.create_user(UserName=name, Tags=listed)["User"]
    iam.create_access_key(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="All", PolicyDocument=json.dumps(EVERYTHING))
    subject = Subject(name, made["Arn"], made["UserId"])
    detail = {**(asked.detail or {}), "Arn": subject.arn, "UserId": subject.unique_id}
    return replace(asked, subject=subject, detail=detail)


def holding(found: Intents, *arns: str) -> Intents:
    """``found``, whose users have these managed policies and nothing else."""
    attached = [{"PolicyArn": arn} for arn in arns]
    users = (
        replace(
            each, detail={**(each.detail or {}), "UserPolicyList": [], "AttachedManagedPolicies": attached}
        )
        for each in found.users
    )
    return replace(found, users=tuple(users))


def desired(*found: Intents) -> DesiredAccess:
    """What they ask for together, where none derives."""
    return desired_access(found, no_derivation)


def no_derivation(rows: object) -> tuple[list[AccessRequest], list[RefusedUser]]:
    """For intents of which none derives."""
    assert not rows
    return [], []


def told(found: DesiredAccess) -> dict[str, str]:
    """ARN's end of each refused user -> the reason."""
    return {f"{each.subject.account_id}/{each.subject.name}": each.reason.text for each in found.refused}
