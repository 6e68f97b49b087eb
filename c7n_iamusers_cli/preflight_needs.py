# SPDX-License-Identifier: Apache-2.0
"""What the policies need allowed and defined, for the checks of ``preflight``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from c7n_iamusers.exemptions import ExemptionRule
    from c7n_iamusers.iam.permissions import Needed
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers_cli.function_preflight import Deployed


@dataclass(frozen=True)
class Wanted:
    """What the policies ask for. ``needed``: in the accounts; None if none runs there. ``used``: policy -> variables.

    ``data``: the policies that run here. ``every``: also those that run as Lambda functions.
    ``functions``: the roles of those that run as Lambda functions.
    ``rules``: their exemptions that are known before the run. ``unread``: why others are unknown.
    ``deployed``: the policies that run as Lambda functions; None if there are none.
    ``mfa_unsaid``: whether one derives access and leaves open whether Identity Center asks for MFA.
    ``center``: what policies call in Identity Center. ``commanded``: what commands beside them call there.
    """

    data: Sequence[Any]
    needed: Needed | None
    used: dict[str, frozenset[str]]
    runtime: frozenset[str]
    rules: Sequence[ExemptionRule] = ()
    unread: str = ""
    functions: Sequence[str] = ()
    every: Sequence[Any] = ()
    deployed: Deployed | None = None
    center: frozenset[str] = frozenset()
    commanded: frozenset[str] = frozenset()
    mfa_unsaid: bool = False


def wanted_by(files: Sequence[Path], restore: bool, found: Sequence[Target], runner: str) -> Wanted:
    """Raises InvalidPolicyData."""
    from c7n.exceptions import PolicyValidationError

    from c7n_iamusers.iam.permissions import RESTORATION, Needed
    from c7n_iamusers.organization.account_values import AccountValues
    from c7n_iamusers.organization.readiness import variables_of
    from c7n_iamusers_cli.function_preflight import deployed
    from c7n_iamusers_cli.permissions import (
        OF_CENTER,
        called_in_center,
        commanded_in_center,
        part_data,
        parts_of,
    )
    from c7n_iamusers_cli.policies import loaded

    restoring = frozenset(RESTORATION if restore else ())
    if not files:
        return Wanted((), Needed(restoring=restoring) if restore else None, {}, frozenset())
    policies = [policy for file in files for policy in loaded(file)]
    # A Lambda function runs as its own role, which these checks do not have.
    here = [each for each in policies if each.execution_mode == "pull"]
    functions = [str(each.data["mode"].get("role") or "") for each in policies if each not in here]
    needed = frozenset(
        permission
        for part in parts_of(here)
        # notify with assume_role: false sends with the runner's credentials
        if part_data(part).get("assume_role") is not False
        for permission in part.get_permissions()
        if not (part_data(part).get("role") and permission.startswith((*OF_CENTER, "sts:")))
    )
    given_back = frozenset(each for part in parts_of(here) for each in getattr(part, "gives_back", ()))
    used: dict[str, frozenset[str]] = {}
    for policy in policies:
        used[policy.name] = used.get(policy.name, frozenset()) | variables_of(policy.data)
    runtime = frozenset(name for policy in policies for name in policy.get_variables())
    rules: dict[ExemptionRule, None] = {}
    unread = ""
    for part in (each for each in parts_of(policies) if hasattr(each, "known_rules")):
        try:
            rules |= dict.fromkeys(part.known_rules())
        except PolicyValidationError as error:
            unread = str(error)
    return Wanted(
        [policy.data for policy in here],
        Needed(needed, restoring=given_back | restoring) if here or restore else None,
        used,
        runtime,
        tuple(rules),
        unread,
        functions,
        [policy.data for policy in policies],
        deployed([each for each in policies if each not in here], AccountValues(found), used, runner),
        frozenset().union(*map(called_in_center, parts_of(here))),
        frozenset().union(*map(commanded_in_center, parts_of(here))),
        any(_leaves_mfa_open(part_data(part)) for part in parts_of(here)),
    )


def _leaves_mfa_open(data: Any) -> bool:
    derive = data.get("derive")
    gives = data.get("type") == "provision-identity-center" and derive
    return bool(gives and not (isinstance(derive, dict) and "identity-center-mfa" in derive))
