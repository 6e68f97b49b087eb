# SPDX-License-Identifier: Apache-2.0
"""Policies of c7n over the local organization, run in this process as custodian runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from c7n.config import Config
from c7n.policy import Policy, PolicyCollection
from c7n.resources import load_resources
from c7n.utils import reset_session_cache

from c7n_iamusers.entry import register

ACCOUNT = "111122223333"
#: What the actions that take access from users spare, waived.
WAIVED: dict[str, Any] = {
    "active-within": "none",
    "trusted-by-role": True,
    "noticed": "none",
    "require": "none",
}


def waived(action: Any) -> Any:
    """``action`` of a policy, with what it must state, and what it spares, waived where it says nothing."""
    given = {"type": action} if isinstance(action, str) else action
    takes = isinstance(given, dict) and given.get("type") in ("composite-delete", "quarantine")
    return {**WAIVED, **given} if takes else action


def policy(
    data: dict[str, Any],
    output: Path | None = None,
    account: str = ACCOUNT,
    *,
    as_written: bool = False,
    **options: Any,
) -> Policy:
    """A validated policy on aws.iam-user of ``account``, with the role that c7n-org assumes there.

    ``as_written``: otherwise the safeguards that its actions don't state are waived, see ``waived``.
    """
    load_resources(("aws.iam-user",))
    register()
    # c7n keeps a session for each thread and region, and would take the one of an earlier test
    reset_session_cache()
    given = {
        "region": "us-east-1",
        "assume_role": f"arn:aws:iam::{account}:role/CloudCustodian",
        "cache_period": 0,
        **options,
    }
    config = Config.empty(account_id=account, output_dir=str(output) if output else "", **given)
    whole = {"name": "under-test", "resource": "aws.iam-user", "source": "authorization-details", **data}
    if not as_written and isinstance(data.get("actions"), list):
        whole["actions"] = [waived(each) for each in data["actions"]]
    (found,) = PolicyCollection.from_data({"policies": [whole]}, config)
    found.validate()
    return found
