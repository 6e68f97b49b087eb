# SPDX-License-Identifier: Apache-2.0
"""Intents of IAM users whose permission sets are derived."""

from __future__ import annotations

from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from tests.derivation.users import document
from tests.desired import ABLE, person

Statement = dict[str, Any]


def holder(
    account: str, name: str, *statements: Statement, attached: tuple[str, ...] = (), who: Person | None = None
) -> UserIntent:
    """A user with ``statements`` inline and its account's policies of the names ``attached``."""
    arn = f"arn:aws:iam::{account}:user/{name}"
    unique_id = f"AIDA{account}{name}".upper()
    detail = {
        "Arn": arn,
        "UserName": name,
        "UserId": unique_id,
        "UserPolicyList": [{"PolicyName": "Own", "PolicyDocument": document(*statements)}]
        if statements
        else [],
        "AttachedManagedPolicies": [{"PolicyArn": policy_arn(account, each)} for each in attached],
        "GroupList": [],
        "Tags": [],
    }
    subject = Subject(name, arn, unique_id)
    return UserIntent(subject, who or person(name), "tag:Email", "", detail, credentials=ABLE)


def policy_arn(account: str, name: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:iam::{account}:policy/{name}"


def derived(
    account: str, *users: UserIntent, policies: dict[str, Statement] | None = None, **derive: Any
) -> Intents:
    """An account's intents; ``policies``: its customer-managed ones by name, of one statement each."""
    documents = {policy_arn(account, name): document(each) for name, each in (policies or {}).items()}
    return Intents(
        account,
        "provision-derived",
        users,
        derive={key.replace("_", "-"): value for key, value in derive.items()},
        source=PolicySource({}, documents),
        place=f"{account}/provision-derived",
    )
