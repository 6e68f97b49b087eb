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


def policy(
    data: dict[str, Any], output: Path | None = None, account: str = ACCOUNT, **options: Any
) -> Policy:
    """A validated policy on aws.iam-user of ``account``, with the role that c7n-org assumes there."""
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
    (found,) = PolicyCollection.from_data({"policies": [whole]}, config)
    found.validate()
    return found
