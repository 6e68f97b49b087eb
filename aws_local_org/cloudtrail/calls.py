# SPDX-License-Identifier: Apache-2.0
"""The events of the calls that the organization served."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from botocore.parsers import create_parser
from moto.core.utils import get_service_model

from aws_local_org.aws_request import AwsRequest
from aws_local_org.call_log import SECRETS, CallRecord, redacted
from aws_local_org.cloudtrail.events import (
    HISTORY,
    Event,
    event_source,
    is_data_event,
    is_read_only,
    lower_first,
    region_of,
)
from aws_local_org.credentials import Principal
from aws_local_org.errors import NOT_IMPLEMENTED, WireResponse

#: Responses of more bytes are not kept: the event has no response elements then.
LARGEST_BODY = 65_536


@dataclass(frozen=True)
class Sender:
    """Where a request came from."""

    address: str
    agent: str


def add_call(
    request: AwsRequest, caller: Principal, sender: Sender, record: CallRecord, response: WireResponse
) -> None:
    """Add the event of a served call to its account's history. ``record``: of the call, without secrets."""
    service, operation, error_code = record.service, record.operation, record.error_code
    if error_code == NOT_IMPLEMENTED or is_data_event(service, operation):
        return
    read_only = is_read_only(operation)
    kept = (error_code or not read_only) and len(response.body) <= LARGEST_BODY
    key = request.access_key_id or ""
    answer = _Answer(service, operation, response.status, response.body if kept else b"", error_code)
    detail = functools.partial(_detail, caller, key, sender, record.parameters, answer)
    region = region_of(service, request.region)
    username = caller.user_name or caller.arn.rpartition("/")[2]
    event = Event(operation, event_source(service), region, record.time, username, key, detail, read_only)
    HISTORY.add(caller.account, event)


def identity_of(caller: Principal, access_key_id: str) -> dict[str, Any]:
    """``userIdentity`` of a caller ("CloudTrail userIdentity element", CloudTrail User Guide)."""
    common = {
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": access_key_id,
    }
    if caller.role_arn is None:
        return {"type": "IAMUser", **common, "userName": caller.user_name}
    issuer = {
        "type": "Role",
        "principalId": caller.user_id.partition(":")[0],
        "arn": caller.role_arn,
        "accountId": caller.account,
        "userName": caller.role_arn.rpartition("/")[2],
    }
    return {"type": "AssumedRole", **common, "sessionContext": {"sessionIssuer": issuer}}


@dataclass(frozen=True)
class _Answer:
    service: str
    operation: str
    status: int
    body: bytes
    error_code: str | None

    def parsed(self) -> dict[str, Any]:
        """The response as boto3 shows it, without secrets; empty where it was not kept or can't be parsed."""
        if not self.body:
            return {}
        try:
            model = get_service_model(self.service)
            shape = model.operation_model(self.operation).output_shape
            wire = {"status_code": self.status, "headers": {}, "body": self.body}
            found = dict(create_parser(model.protocol).parse(wire, shape))
        except Exception:  # noqa: BLE001 - whatever botocore raises for a body of another form
            return {}
        found.pop("ResponseMetadata", None)
        kept: dict[str, Any] = _without_secrets(found)
        return kept


def _detail(
    caller: Principal, key: str, sender: Sender, parameters: dict[str, Any], answer: _Answer
) -> dict[str, Any]:
    parsed = answer.parsed()
    found: dict[str, Any] = {
        "userIdentity": identity_of(caller, key),
        "sourceIPAddress": sender.address,
        "userAgent": sender.agent,
        "requestParameters": lower_first(_without_secrets(parameters)) or None,
    }
    if answer.error_code:
        message = str((parsed.get("Error") or {}).get("Message", ""))
        return {**found, "errorCode": answer.error_code, "errorMessage": message}
    return {**found, "responseElements": lower_first(redacted(parsed)) or None}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(inner) for name, inner in value.items() if name not in SECRETS}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value
