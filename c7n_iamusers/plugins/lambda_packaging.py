# SPDX-License-Identifier: Apache-2.0
"""What a policy must say to take this package along into AWS Lambda."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from c7n.exceptions import PolicyValidationError
from c7n.policy import LambdaMode, execution

from c7n_iamusers.exemptions import format_of

PACKAGE = "c7n_iamusers"
HANDLER = "c7n_iamusers.handler.run"
#: The module that reads lists in YAML. Lambda's Python lacks it, and c7n leaves it out of archives.
YAML = "yaml"


def is_pull(manager: Any) -> bool:
    """True where the policy runs by itself, where Cloud Custodian is run; event modes run in AWS Lambda."""
    return str((manager.data.get("mode") or {}).get("type", "pull")) == "pull"


def validate_lambda_packaging(manager: Any) -> None:
    """Refuse a policy that would run in AWS Lambda without this package; called by our plugins' validate().

    ``manager`` is the plugin's resource manager, whose data has the policy's mode. Pull mode, the default,
    passes.

    Raises PolicyValidationError: ``mode.packages`` or ``mode.handler`` lacks what the archive needs. Without
    the package its import fails in Lambda, and with another handler nothing registers our plugins there. A list in
    YAML needs a module that is not in Lambda either.
    """
    mode = manager.data.get("mode") or {}
    mode_class = execution.get(mode.get("type", "pull"))
    if mode_class is None or not issubclass(mode_class, LambdaMode):
        return
    mends = missing_keys(mode)
    if (
        not mends
        and YAML not in mode["packages"]
        and any(map(_is_yaml, _lists(manager.data.get("filters", ()))))
    ):
        mends = [f"add {YAML} to mode.packages, for exempt-from, or keep that list as .json or .csv"]
    if mends:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: mode {mode['type']} runs in AWS Lambda, which has what the plugins "
            f"of {PACKAGE} need only if the mode carries it: {' and '.join(mends)}"
        )


def missing_keys(mode: dict[str, Any]) -> list[str]:
    """What to change in a policy's mode, in words; nothing if it carries the package."""
    mends = []
    if PACKAGE not in mode.get("packages", ()):
        mends.append(f"add {PACKAGE} to mode.packages")
    if mode.get("handler") != HANDLER:
        mends.append(f"set mode.handler to {HANDLER}")
    return mends


def _lists(filters: Any) -> Iterator[Any]:
    """What each ``exempt-from`` of a policy's filters says, those within and, or, not among them."""
    for each in filters if isinstance(filters, list) else ():
        if isinstance(each, dict):
            if each.get("type") == "unnecessary" and "exempt-from" in each:
                yield each["exempt-from"]
            for name in ("and", "or", "not"):
                yield from _lists(each.get(name))


def _is_yaml(source: Any) -> bool:
    """Whether an ``exempt-from``, which may be faulty, names a list in YAML."""
    given = source if isinstance(source, dict) else {"url": source}
    return (given.get("format") or format_of(str(given.get("url", "")))) == "yaml"
