# SPDX-License-Identifier: Apache-2.0
"""Variables that nobody defined, found before anything is touched.

c7n leaves an unknown ``{variable}`` as it stands, and the first that minds is the notify action, after the
deletion that it was to tell of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from c7n.exceptions import PolicyExecutionError

_VARIABLE = re.compile(r"\{([a-z_]\w*)\}", re.IGNORECASE)


def refuse_undefined_variables(manager: Any) -> None:
    """Raises PolicyExecutionError where a value of the policy's actions is nothing but an undefined variable."""
    runtime = {name for name, value in manager.ctx.policy.get_variables().items() if value == f"{{{name}}}"}
    actions = [action.data for action in manager.actions]
    undefined = sorted({name for name in _variables(actions) if name not in runtime})
    if undefined:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {manager.config.account_id}: undefined variables: "
            f"{', '.join(undefined)}. Nothing was touched: define them under vars in accounts.yml (c7n-org), "
            "or in a file of its own for custodian run --vars-file"
        )


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, str) and (found := _VARIABLE.fullmatch(value.strip())):
        yield found[1]
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _variables(part)
