# SPDX-License-Identifier: Apache-2.0
"""The AWS Lambda entry point for policies that use this package's plugins.

An archive that ``custodian`` creates for a Lambda mode has third-party code only if the policy names it,
and the start-up hook does not run in it. So a policy needs::

    mode:
      packages: [c7n_iamusers]
      handler: c7n_iamusers.handler.run

With a YAML file in ``exempt-from``, add ``yaml`` to ``packages``.

Cloud Custodian wants the names of all calls that a function runs on. For any call, a policy sets the variable ANY_CALL
in ``mode.environment``, and names SOURCE and CALL as the only event.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from c7n import handler as custodian

from c7n_iamusers.entry import register

ANY_CALL = "C7N_IAMUSERS_ANY_CALL"
#: ``source`` and ``event`` in ``mode.events``; ``mode.pattern`` lets EventBridge deliver any other.
SOURCE, CALL = "any", "AnyCall"
_AWS = "aws."
_LOG = logging.getLogger("custodian.c7n_iamusers")


def run(event: dict[str, Any], context: Any) -> Any:
    """Register the plugins, then run the archive's policy on the event as Cloud Custodian's handler does.

    Nothing runs on an event that is not of AWS. Whoever may call PutEvents writes all of it, but no ``source`` that
    begins with ``aws.`` (PutEvents, Amazon EventBridge API reference), and Cloud Custodian's rules ask for no source.
    """
    if not str(event.get("source", _AWS)).startswith(_AWS):
        _LOG.error(
            "the event is from %.200r, not from AWS: somebody in this account forged it", event["source"]
        )
        return None
    register()
    return custodian.dispatch_event(any_call(event) if os.environ.get(ANY_CALL) else event, context)


def any_call(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of CloudTrail with SOURCE and CALL in place of its own; these are in ``called``, as ``UserCall`` has it.

    An event without a call stays as it is.
    """
    detail = event.get("detail")
    if not isinstance(detail, Mapping) or "eventName" not in detail:
        return dict(event)
    called = {"source": detail.get("eventSource"), "name": detail["eventName"]}
    return {**event, "detail": {**detail, "eventSource": SOURCE, "eventName": CALL, "called": called}}
