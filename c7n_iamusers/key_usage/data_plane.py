# SPDX-License-Identifier: Apache-2.0
"""Services whose everyday calls CloudTrail's event history does not have: it has management events only. Pure.

"Logging data events" (CloudTrail User Guide): reads and writes within a resource are data events.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Service, as the credential report and GetAccessKeyLastUsed name it -> calls of it that are data events.
DATA_PLANE: Mapping[str, str] = {
    "cloudwatch": "PutMetricData, GetMetricData",
    "dynamodb": "GetItem, PutItem, Query, Scan, ...",
    "email": "SendEmail, SendRawEmail",
    "kinesis": "PutRecord, GetRecords, ...",
    "lambda": "Invoke",
    "logs": "PutLogEvents",
    "monitoring": "PutMetricData, GetMetricData",
    "s3": "GetObject, PutObject, ListObjects, ...",
    "ses": "SendEmail, SendRawEmail",
    "sns": "Publish, PublishBatch",
    "sqs": "SendMessage, ReceiveMessage, DeleteMessage, ...",
}


def is_data_plane(service: str) -> bool:
    """Whether a key that was last used with ``service`` may make data events only."""
    return service.casefold() in DATA_PLANE
