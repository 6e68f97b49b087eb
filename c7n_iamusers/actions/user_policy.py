# SPDX-License-Identifier: Apache-2.0
"""What a policy that touches users must say, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from c7n.exceptions import PolicyValidationError

from c7n_iamusers.actions.run_store import outputs_to_s3, store_at
from c7n_iamusers.actions.user_records import RecordPlaces
from c7n_iamusers.aws.stores import Store
from c7n_iamusers.lambda_packaging import is_pull, validate_lambda_packaging
from c7n_iamusers.model.exemption import ExemptionRule

DAYS = {"type": "number", "exclusiveMinimum": 0}


def require_keys(manager: Any, plugin: str, data: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Raises PolicyValidationError where a plugin lacks ``keys``: c7n's schema takes the bare name of any plugin."""
    if missing := [key for key in keys if key not in data]:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {plugin} lacks {', '.join(missing)}: write '- type: {plugin}' and, "
            f"below it, {', '.join(keys)} and what else it needs, as in custodian schema aws.iam-user"
        )


def require_lasting_output(manager: Any, action: str) -> None:
    """Raises PolicyValidationError where the policy would run in AWS Lambda and leave its receipts there."""
    validate_lambda_packaging(manager)
    if not is_pull(manager) and not outputs_to_s3(manager):
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {action} in a Lambda mode keeps snapshots and journal in S3 only, as "
            "a Lambda's disk does not outlive it: set mode.execution-options.output_dir to s3://BUCKET/PREFIX"
        )


def require_exemptions(manager: Any, action: str, rules: bool = True) -> None:
    """Raises PolicyValidationError where the policy does not say, by ``unnecessary``, whom it spares.

    ``rules``: whether it must have a rule, a list of them, or the word that says that nobody is to be spared.
    """
    found = [each for each in manager.filters if each.type == "unnecessary"]
    if not found:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {action} needs the filter unnecessary at the top level of filters "
            "(not inside and, or, not): add '- type: unnecessary' with its exempt rules"
        )
    if rules and not any(each.says_whom_it_spares for each in found):
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {action} needs exemptions, since break-glass users are among all "
            "users: give unnecessary an exempt rule, such as {path: /emergency/*, reason: break-glass access, expires: "
            "'YYYY-MM-DD'}, or exempt-from, or, where nobody is to be spared, exempt: none"
        )


def exemption_rules(manager: Any) -> tuple[ExemptionRule, ...]:
    """The exemption rules of the policy's ``unnecessary`` filters."""
    found = [each for each in manager.filters if each.type == "unnecessary"]
    return tuple(rule for each in found for rule in each.rules())


def active_within(manager: Any, data: Mapping[str, Any]) -> float | None:
    """``active-within`` of an action's ``data``; by default the least ``unused-for`` of the ``unnecessary`` filters."""
    unused = [each.data.get("unused-for") for each in manager.filters if each.type == "unnecessary"]
    given = data.get("active-within")
    return given if given is not None else min((days for days in unused if days is not None), default=None)


def record_places(manager: Any, here: Store, record_from: str | None) -> RecordPlaces:
    """Where snapshots and journals are: ``here``, beside it, and in ``record_from``.

    Raises PolicyExecutionError where there is no journal in ``record_from``.
    """
    named = store_at(manager, record_from) if record_from else []
    return RecordPlaces(here, lambda: [*named, *here.siblings()])
