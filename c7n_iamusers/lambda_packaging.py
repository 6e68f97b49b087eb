# SPDX-License-Identifier: Apache-2.0
"""What a policy must say to take this package along into AWS Lambda."""

from __future__ import annotations

from typing import Any

from c7n.exceptions import PolicyValidationError
from c7n.policy import LambdaMode, execution

PACKAGE = "c7n_iamusers"
HANDLER = "c7n_iamusers.handler.run"


def validate_lambda_packaging(manager: Any) -> None:
    """Refuse a policy that would run in AWS Lambda without this package; called by our plugins' validate().

    ``manager`` is the plugin's resource manager, whose data has the policy's mode. Pull mode, the default,
    passes.

    Raises PolicyValidationError: ``mode.packages`` or ``mode.handler`` lacks what the archive needs. Without
    the package its import fails in Lambda, and with another handler nothing registers our plugins there.
    """
    mode = manager.data.get("mode") or {}
    mode_class = execution.get(mode.get("type", "pull"))
    if mode_class is None or not issubclass(mode_class, LambdaMode):
        return
    mends = list(missing_keys(mode))
    if mends:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: mode {mode['type']} runs in AWS Lambda, which knows the plugins "
            f"of {PACKAGE} only if the mode carries them: {' and '.join(mends)}"
        )


def missing_keys(mode: dict[str, Any]) -> list[str]:
    """What to change in a policy's mode, in words; nothing if it carries the package."""
    mends = []
    if PACKAGE not in mode.get("packages", ()):
        mends.append(f"add {PACKAGE} to mode.packages")
    if mode.get("handler") != HANDLER:
        mends.append(f"set mode.handler to {HANDLER}")
    return mends
