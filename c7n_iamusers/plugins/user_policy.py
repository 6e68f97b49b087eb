# SPDX-License-Identifier: Apache-2.0
"""What a policy that acts on users must state, and what our plugins read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from c7n.exceptions import PolicyValidationError

from c7n_iamusers.evidence.index import EvidenceIndex
from c7n_iamusers.evidence.inventory import CREATION
from c7n_iamusers.evidence.options import Selection
from c7n_iamusers.evidence.reader import USUAL
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.execution.user_run import Run
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.accounts import AccountDetails
from c7n_iamusers.plugins.account_readings import AccountReadings
from c7n_iamusers.plugins.lambda_packaging import is_pull, validate_lambda_packaging
from c7n_iamusers.plugins.run_outputs import outputs_to_s3, store_at
from c7n_iamusers.safeguards.recheck import LiveRecheck
from c7n_iamusers.snapshots.archive import RecordStores

_EVERYBODY = Selection()


def live_recheck(manager: Any, run: Run, account: AccountDetails) -> LiveRecheck:
    """The judgement that the policy of ``manager`` asks for. ``account``: its roles and groups, read by the action.

    Raises PolicyExecutionError where the policy's text is faulty or the account can't be read.
    """
    options = [each.options() for each in manager.filters if each.type == "unnecessary"]
    if all(each.selection == _EVERYBODY for each in options):
        return LiveRecheck(None, options)
    pieces = (*USUAL, CREATION) if any(each.criteria.provisioning.roles for each in options) else USUAL
    inventory = AccountReadings.of(manager).inventory(pieces, run.backoff)
    return LiveRecheck(EvidenceIndex(replace(inventory, roles=account.roles, groups=account.groups)), options)


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


def record_stores(manager: Any, here: Store, record_from: str | None) -> RecordStores:
    """Where snapshots and journals are: ``here``, beside it, and in ``record_from``.

    Raises PolicyExecutionError where there is no journal in ``record_from``.
    """
    named = store_at(manager, record_from) if record_from else []
    return RecordStores(here, lambda: [*named, *here.siblings()])
