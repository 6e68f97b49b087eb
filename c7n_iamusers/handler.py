# SPDX-License-Identifier: Apache-2.0
"""The AWS Lambda entry point for policies that use this package's plugins.

An archive that ``custodian`` creates for a Lambda mode has third-party code only if the policy names it,
and the start-up hook does not run in it. So a policy needs::

    mode:
      packages: [c7n_iamusers]
      handler: c7n_iamusers.handler.run

With a YAML file in ``exempt-from``, add ``yaml`` to ``packages``.
"""

from __future__ import annotations

from typing import Any

from c7n import handler as custodian

from c7n_iamusers.entry import register


def run(event: dict[str, Any], context: Any) -> Any:
    """Register the plugins, then run the archive's policy on the event as Cloud Custodian's handler does."""
    register()
    return custodian.dispatch_event(event, context)
