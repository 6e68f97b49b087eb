# SPDX-License-Identifier: Apache-2.0
"""Outputs as runs of policies on access keys leave them, without running any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.notices.notices import ANNOUNCED, Notice, Notices
from tests.report.fleet_outputs import ACCOUNT, NOW, Outputs, at, metadata, outcome, resource

PARK, GIVE_BACK, RETIRE = "iam-keys-park", "iam-keys-give-back", "iam-keys-retire"
OWNER = "owner@example.com"


def key_id(number: int = 1) -> str:
    return f"AKIA{number:016d}"


def key_resource(
    name: str, number: int = 1, used: Any = None, account: str = ACCOUNT, **annotation: Any
) -> dict[str, Any]:
    """A key as the filter leaves it in resources.json. ``used``: days ago; False for never; None if unknown."""
    user, key = resource(name, account), key_id(number)
    use = {"used": used and at(used) if used is not None else None, "as_of": at(0.1), "source": "a report"}
    where = {"service": "s3", "region": "eu-west-1"} if used else {}
    text = f"Access key {key} was not used."
    findings = [{"id": "key-unused", "severity": "medium", "text": text}, *user["c7n:IamUser"]["findings"]]
    told = {
        **user["c7n:IamUser"],
        "findings": findings,
        "key": {"id": key, "status": "Active", "created": at(400), **use, **where},
        **annotation,
    }
    own = {name: user[name] for name in ("UserName", "UserId", "Arn", "Tags")}
    more = {"AccessKeyId": key, "Status": "Active", "CreateDate": at(400)}
    return {**own, **more, "c7n:User": user, "c7n:IamUser": told}


def key_outcome(name: str, number: int, status: str, reason: Any = "", days: float = 0, **more: Any) -> Any:
    """A row of outcomes.json about a key."""
    return outcome(name, status, reason, days, unique_id=key_id(number), **more)


def leave_keys(
    left: Outputs,
    *keys: dict[str, Any],
    policy: str = PARK,
    days: float = 0,
    outcomes: Sequence[dict[str, Any]] = (),
    account: str = ACCOUNT,
    name: str = "payments",
    metrics: Sequence[str] = ("ResourceCount",),
    source: str | None = "access-keys",
    **policy_data: Any,
) -> Path:
    """What a run of a policy on access keys leaves. ``source``: of the policy; None for stock Cloud Custodian's."""
    own = {"resource": "aws.iam-access-key", **({"source": source} if source else {}), **policy_data}
    said = json.dumps(metadata(policy, account, days, metrics, **own))
    return left.leave(
        *keys,
        policy=policy,
        days=days,
        outcomes=outcomes,
        account=account,
        name=name,
        files={"metadata.json": said},
    )


def notice(name: str, number: int, days: float, day: date, stop: date | None = None, **more: Any) -> Notice:
    """An announcement of a key, so many days ago, for ``day``."""
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    key = Subject(name, arn, key_id(number))
    time = (NOW - timedelta(days=days)).replace(microsecond=0)
    return Notice(ACCOUNT, ANNOUNCED, time, day, (OWNER,), "m-1", "announce", (key,), stop=stop, **more)


def told(*notices: Notice) -> dict[tuple[str, str], Notices]:
    return {(ACCOUNT, "notices"): Notices(notices, "notices")}


def in_days(days: float) -> date:
    return (NOW + timedelta(days=days)).astimezone(timezone.utc).date()


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)
