# SPDX-License-Identifier: Apache-2.0
"""The AWS Lambda entry point of policies that use this package's plugins.

An archive that ``custodian`` makes for a Lambda mode carries third-party code only where the policy names it,
and no start-up hook runs in it. A policy therefore says::

    mode:
      packages: [c7n_iamusers]
      handler: c7n_iamusers.handler.run

With an ``exempt-from`` in YAML, ``packages`` has ``yaml`` too.
"""

from __future__ import annotations

from typing import Any

from c7n import handler as custodian

from c7n_iamusers.entry import register


def run(event: dict[str, Any], context: Any) -> Any:
    """Register the plugins, then run the archive's policy on the event as Cloud Custodian's handler does."""
    register()
    return custodian.dispatch_event(event, context)
