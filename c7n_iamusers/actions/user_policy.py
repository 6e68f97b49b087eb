# SPDX-License-Identifier: Apache-2.0
"""What a policy that touches users must say, and what it says."""

from __future__ import annotations

from typing import Any

from c7n.exceptions import PolicyValidationError

from c7n_iamusers.actions.run_store import is_pull, outputs_to_s3
from c7n_iamusers.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.model.exemption import ExemptionRule

DAYS = {"type": "number", "exclusiveMinimum": 0}


def require_lasting_output(manager: Any, action: str) -> None:
    """Raises PolicyValidationError where the policy would run in AWS Lambda and leave its receipts there."""
    validate_lambda_packaging(manager)
    if not is_pull(manager) and not outputs_to_s3(manager):
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {action} in a Lambda mode keeps snapshots and journal in S3 only, as "
            "a Lambda's disk does not outlive it: set mode.execution-options.output_dir to s3://BUCKET/PREFIX"
        )


def require_exemptions(manager: Any, action: str) -> None:
    """Raises PolicyValidationError where the policy does not say, by ``unnecessary``, whom it spares."""
    if not any(found.type == "unnecessary" for found in manager.filters):
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {action} needs the filter unnecessary at the top level of filters "
            "(not inside and, or, not): add '- type: unnecessary' with its exempt rules"
        )


def exemption_rules(manager: Any) -> tuple[ExemptionRule, ...]:
    """The exemption rules of the policy's ``unnecessary`` filters."""
    found = [each for each in manager.filters if each.type == "unnecessary"]
    return tuple(rule for each in found for rule in each.rules())
