# SPDX-License-Identifier: Apache-2.0
"""Users with access keys of known age and use, and policies on these keys."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import add_access_key, add_user, set_access_key_last_used
from tests.policies import ACCOUNT, policy
from tests.used_permissions import run_within_permissions

NAME = "under-test"
#: What the actions that take keys spare, waived.
WAIVED = {"active-within": "none", "noticed": "none"}


def days_ago(days: float) -> datetime:
    """The time so many days ago, in whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=days)


def key_of(
    org: LocalOrg,
    name: str,
    created: float,
    used: float | None = None,
    *,
    active: bool = True,
    account: str = ACCOUNT,
) -> str:
    """The id of a new key of the user, made if need be, created and used so many days ago."""
    backend = org.backend("iam", account)
    user = next((each for each in backend.users.values() if each.name == name), None)
    user = user or add_user(backend, name, created=days_ago(800))
    key = add_access_key(backend, user, created=days_ago(created), active=active)
    if used is not None:
        set_access_key_last_used(key, days_ago(used), service="s3", region="eu-west-1")
    return str(key.access_key_id)


def new_report(org: LocalOrg, account: str = ACCOUNT) -> None:
    """AWS makes a new credential report after four hours."""
    org.backend("iam", account).report = None


def use_key(org: LocalOrg, key_id: str, days: float, account: str = ACCOUNT) -> None:
    """Somebody uses the key so many days ago."""
    backend = org.backend("iam", account)
    set_access_key_last_used(backend.access_keys[key_id], days_ago(days), service="s3", region="eu-west-1")


def on_keys(
    output: Path,
    *actions: dict[str, Any],
    exempt: Any = "none",
    name: str = NAME,
    filters: Any = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """The keys that the filter selects, after ``actions``, within the permissions that the policy declares."""
    flagging = {"type": "unnecessary", "exempt": exempt, **(options or {"unused": 90})}
    data = key_policy(name, *actions, filters=[flagging] if filters is None else filters)
    found: list[dict[str, Any]] = run_within_permissions(policy(data, output))
    return found


def key_policy(name: str, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A policy on access keys. ``more``: its other members."""
    given = {"resource": "aws.iam-access-key", "source": "access-keys", "actions": list(actions)}
    return {"name": name, **given, **more}


def tried(output: Path, action: dict[str, Any], **options: Any) -> dict[str, dict[str, Any]]:
    """The outcomes of ``action`` by key id; an error that ends the policy after them is left out."""
    name = options.get("name", NAME)
    try:
        on_keys(output, action, **options)
    except PolicyExecutionError:
        if not (output / name / "outcomes.json").exists():
            raise
    return outcomes_of_keys(output, name)


def deactivate(output: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """The outcomes by key id."""
    action = {"type": "deactivate", "reason": "unused", **WAIVED}
    given = {key: options.pop(key) for key in [*options] if key in ("include-last", *WAIVED)}
    return tried(output, {**action, **given}, **options)


def retire(
    org: LocalOrg, output: Path, parked_for: float = 0.00000001, **options: Any
) -> dict[str, dict[str, Any]]:
    """The outcomes by key id, with the credential report of some hours later."""
    given = {key: options.pop(key) for key in [*options] if key in ("include-last", "noticed", "notices")}
    new_report(org)
    action = {"type": "retire", "noticed": "none", "parked-for": parked_for, **given}
    return tried(output, action, **{"name": "retiring", "status": "inactive", **options})


def activate(output: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """The outcomes by key id."""
    given = {
        key: options.pop(key) for key in [*options] if key in ("adopt", "record-from", "include-compromised")
    }
    return tried(output, {"type": "activate", **given}, **{"name": "giving-back", "filters": [], **options})


def outcomes_of_keys(output: Path, name: str = NAME) -> dict[str, dict[str, Any]]:
    """Key id -> row of ``outcomes.json``; none where the policy selected nothing."""
    path = output / name / "outcomes.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    return {row["unique_id"]: row for row in rows}


def statuses(org: LocalOrg, name: str, account: str = ACCOUNT) -> dict[str, str]:
    """Key id -> its status in AWS."""
    keys = org.client("iam", account).list_access_keys(UserName=name)["AccessKeyMetadata"]
    return {key["AccessKeyId"]: key["Status"] for key in keys}
