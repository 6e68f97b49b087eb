# SPDX-License-Identifier: Apache-2.0
"""What a writer works with, and the calls that it makes by it: those of changes, and the questions about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name

from c7n_iamusers.aws.executor import resolve
from c7n_iamusers.aws.journal import JournalWriter
from c7n_iamusers.aws.lanes import LaneKind
from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.rate_limit import RateLimit
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.work import Judged, Work
from c7n_iamusers.model.access_plan import Change
from c7n_iamusers.model.identity_center import Instance


@dataclass(frozen=True)
class Means:
    """What a writer works with.

    ``again``: a new look at a change after a race, with the parameters of the call that met it; it may raise
    IdentityCenterError.

    ``timeout``: seconds for one asynchronous request. ``stopped``: whether the run is to stop. ``progress``: told
    how many changes of how many have ended.
    """

    clients: Mapping[str, Any]
    instance: Instance
    journal: JournalWriter
    again: Callable[[Change, Mapping[str, Any]], Judged]
    rate: RateLimit
    backoff: Backoff
    timeout: float = 300.0
    clock: Callable[[], float] = time.monotonic
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[int, int], None] = lambda ended, total: None

    def method(self, service: str, operation: str) -> Callable[..., Any]:
        """The client's method for an operation."""
        found: Callable[..., Any] = getattr(self.clients[service], xform_name(operation))
        return found

    def question(self, work: Work) -> Callable[[], Any]:
        """What asks for the status of the request that ``work`` sees through."""
        ids = dict.fromkeys(work.in_hand.save, work.request_id)
        parameters = resolve(work.wait.parameters, {**work.values, **ids})
        method = self.method(work.in_hand.service, work.wait.operation)
        return lambda: method(**parameters)

    def poll(self, kind: LaneKind) -> set[str]:
        """The ids of the lane's requests that are in progress, whoever's."""
        wanted = {"InstanceArn": self.instance.arn, "Filter": {"Status": "IN_PROGRESS"}, "MaxResults": 100}
        found = items(self.clients["sso-admin"], kind.poll, kind.result, self.backoff, **wanted)
        return {str(each["RequestId"]) for each in found}
