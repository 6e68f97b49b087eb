# SPDX-License-Identifier: Apache-2.0
"""The organization's trail, which logs all accounts' management events, and Lambda's limits for an account.

moto has only an account's own trails, and no GetAccountSettings. Sources:
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_DescribeTrails.html and
https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html.
"""

from __future__ import annotations

import json
from typing import Any

from moto.awslambda import urls
from moto.awslambda.responses import LambdaResponse
from moto.cloudtrail.responses import CloudTrailResponse

from aws_local_org import settings

_describe = CloudTrailResponse.describe_trails
_status = CloudTrailResponse.get_trail_status
_selectors = CloudTrailResponse.get_event_selectors
#: The default quota of a Region, "Lambda quotas" (Lambda Developer Guide).
_CONCURRENCY = 1000


def install() -> None:
    """Patch moto's classes, for the whole process. Idempotent."""
    CloudTrailResponse.describe_trails = _describe_trails
    CloudTrailResponse.get_trail_status = _get_trail_status
    CloudTrailResponse.get_event_selectors = _get_event_selectors
    LambdaResponse.get_account_settings = _get_account_settings
    urls.url_paths["{0}/2016-08-19/account-settings/?$"] = LambdaResponse.dispatch


def _arn() -> str:
    known = settings.current()
    return f"arn:{known.partition}:cloudtrail:{known.region}:{known.management_account}:trail/organization"


def _describe_trails(self: Any) -> str:
    found = json.loads(_describe(self))
    trail = {
        "Name": "organization",
        "TrailARN": _arn(),
        "IsMultiRegionTrail": True,
        "IsOrganizationTrail": True,
    }
    return json.dumps({"trailList": [*found["trailList"], trail]})


def _get_trail_status(self: Any) -> str:
    found: str = json.dumps({"IsLogging": True}) if self._get_param("Name") == _arn() else _status(self)
    return found


def _get_event_selectors(self: Any) -> str:
    if json.loads(self.body).get("TrailName") != _arn():
        found: str = _selectors(self)
        return found
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": True}
    return json.dumps({"TrailARN": _arn(), "EventSelectors": [selector]})


def _get_account_settings(self: Any) -> str:
    limits = {"ConcurrentExecutions": _CONCURRENCY, "UnreservedConcurrentExecutions": _CONCURRENCY}
    return json.dumps({"AccountLimit": limits})
