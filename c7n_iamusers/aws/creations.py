# SPDX-License-Identifier: Apache-2.0
"""Who created users, which IAM itself does not record: CloudTrail does, for its last 90 days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff

#: The Regions in which CloudTrail keeps the events of IAM, by how a partition's Regions begin ("Global service
#: events", CloudTrail User Guide).
_HOME_REGIONS = {"us-gov-": "us-gov-west-1", "cn-": "cn-north-1"}
_CREATED = {"AttributeKey": "EventName", "AttributeValue": "CreateUser"}


def home_region(region: str) -> str:
    """The Region of ``region``'s partition in which IAM's events are."""
    return next((home for prefix, home in _HOME_REGIONS.items() if region.startswith(prefix)), "us-east-1")


def read_creators(client: Any, backoff: Backoff) -> dict[str, str]:
    """User id -> ARN of the role or user that created it, for users created in the last 90 days.

    ``client``: of cloudtrail, in the partition's home Region; LookupEvents gives 50 events a page, twice a second.
    """
    events = items(client, "LookupEvents", "Events", backoff, LookupAttributes=[_CREATED])
    found = [_creation(json.loads(event["CloudTrailEvent"])) for event in events]
    return {user_id: creator for user_id, creator in found if user_id and creator}


def _creation(event: Mapping[str, Any]) -> tuple[str, str]:
    """The id of the created user, empty where the call failed, and the ARN behind the caller's session."""
    user = ((event.get("responseElements") or {}).get("user")) or {}
    identity = event.get("userIdentity") or {}
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    return str(user.get("userId", "")), str(issuer.get("arn") or identity.get("arn", ""))
