# SPDX-License-Identifier: Apache-2.0
"""``max-resources`` in event modes, where c7n does not apply it: there the action does."""

from __future__ import annotations

from typing import Any

from c7n.query import MaxResourceLimit
from c7n.utils import local_session

from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.lambda_packaging import is_pull
from c7n_iamusers.policy_errors import unreadable


def enforce_max_resources(manager: Any, selected: int) -> None:
    """Raises c7n's ResourceLimitExceeded where a policy in an event mode selected more users than it allows."""
    data = manager.data
    amount, percent = data.get("max-resources"), data.get("max-resources-percent")
    if not (amount or percent) or is_pull(manager):
        return
    of_all = percent or (isinstance(amount, dict) and amount.get("percent"))
    population = _users_of_account(manager) if of_all else selected
    MaxResourceLimit(manager.ctx.policy, selected, population).check_resource_limits()


def _users_of_account(manager: Any) -> int:
    client = local_session(manager.session_factory).client("iam", manager.config.region)
    with unreadable(manager, "how many users the account has", "iam:GetAccountSummary"):
        return int(Backoff().call(client.get_account_summary)["SummaryMap"]["Users"])
