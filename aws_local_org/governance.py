# SPDX-License-Identifier: Apache-2.0
"""OpsItems of Systems Manager, and AWS Config's answer about a rule that does not exist.

Cloud Custodian's filter ``ops-item``, its action ``post-item`` and its mode ``config-rule`` ask for them. moto has no
OpsItems, and answers DescribeConfigRules with an empty list while an account has no rule. Sources:
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeOpsItems.html, API_OpsItemFilter.html, and
https://docs.aws.amazon.com/config/latest/APIReference/API_DescribeConfigRules.html.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from moto.config.exceptions import NoSuchConfigRuleException
from moto.config.models import ConfigBackend
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import unix_time
from moto.ssm.responses import SimpleSystemManagerResponse

from aws_local_org import settings
from aws_local_org.errors import NOT_IMPLEMENTED, AwsError

Item = dict[str, Any]
#: Account and Region -> its OpsItems by id. A global of the process, like moto's backends.
_ITEMS: dict[tuple[str, str], dict[str, Item]] = {}
#: What CreateOpsItem and UpdateOpsItem may set.
_SETTABLE = (
    "Category",
    "Description",
    "Notifications",
    "OperationalData",
    "Priority",
    "RelatedOpsItems",
    "Severity",
    "Source",
    "Status",
    "Title",
)
#: What DescribeOpsItems leaves out.
_NOT_SUMMARIZED = ("Description", "Notifications", "RelatedOpsItems", "Version", "OpsItemArn")


class _OpsItemNotFound(ServiceException):
    code = "OpsItemNotFoundException"


def install() -> None:
    """Patch moto's classes, for the whole process. Idempotent."""
    for operation in (_create_ops_item, _get_ops_item, _update_ops_item, _describe_ops_items):
        setattr(SimpleSystemManagerResponse, operation.__name__.removeprefix("_"), operation)
    ConfigBackend.describe_config_rules = _describe_config_rules


def reset() -> None:
    """Delete all OpsItems."""
    _ITEMS.clear()


def _create_ops_item(self: Any) -> ActionResult:
    given = _parameters(self)
    key, now = f"oi-{secrets.token_hex(6)}", unix_time()
    partition = settings.current().partition
    caller = f"arn:{partition}:iam::{self.current_account}:root"
    set_now = {name: given[name] for name in _SETTABLE if name in given}
    arn = f"arn:{partition}:ssm:{self.region}:{self.current_account}:opsitem/{key}"
    times = {"CreatedBy": caller, "CreatedTime": now, "LastModifiedBy": caller, "LastModifiedTime": now}
    _items(self)[key] = {
        "OpsItemId": key,
        "OpsItemArn": arn,
        "Status": "Open",
        **times,
        **set_now,
        "Version": "1",
    }
    return ActionResult({"OpsItemId": key, "OpsItemArn": arn})


def _get_ops_item(self: Any) -> ActionResult:
    return ActionResult({"OpsItem": _item(self)})


def _update_ops_item(self: Any) -> ActionResult:
    given, item = _parameters(self), _item(self)
    data = {**item.get("OperationalData", {}), **given.get("OperationalData", {})}
    item.update({name: given[name] for name in _SETTABLE if name in given})
    item.update(
        {"OperationalData": data, "LastModifiedTime": unix_time(), "Version": str(int(item["Version"]) + 1)}
    )
    return ActionResult({})


def _describe_ops_items(self: Any) -> ActionResult:
    filters = _parameters(self).get("OpsItemFilters") or ()
    found = [item for item in _items(self).values() if all(_matches(item, each) for each in filters)]
    summaries = [
        {name: value for name, value in item.items() if name not in _NOT_SUMMARIZED}
        for item in reversed(found)
    ]
    return ActionResult({"OpsItemSummaries": summaries})


def _parameters(self: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(self.body or "{}")
    return found


def _items(self: Any) -> dict[str, Item]:
    return _ITEMS.setdefault((self.current_account, self.region), {})


def _item(self: Any) -> Item:
    key = _parameters(self)["OpsItemId"]
    if key not in _items(self):
        raise _OpsItemNotFound(f"OpsItem ID {key} not found")
    return _items(self)[key]


def _data(item: Item) -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = item.get("OperationalData") or {}
    return found


#: Key of a filter -> the part of an item that it compares. Other keys are refused.
_COMPARED: dict[str, Callable[[Item], list[str]]] = {
    "OpsItemId": lambda item: [item["OpsItemId"]],
    "Status": lambda item: [item["Status"]],
    "Title": lambda item: [item["Title"]],
    "Source": lambda item: [item["Source"]],
    "Priority": lambda item: [str(item["Priority"])] if "Priority" in item else [],
    "OperationalDataKey": lambda item: list(_data(item)),
    "OperationalDataValue": lambda item: [str(each.get("Value")) for each in _data(item).values()],
    "ResourceId": lambda item: [str(_data(item).get("/aws/resources", {}).get("Value", ""))],
}
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "Equal": lambda value, wanted: value == wanted,
    "Contains": lambda value, wanted: wanted in value,
}


def _matches(item: Item, given: Mapping[str, Any]) -> bool:
    key, compare = given["Key"], _OPERATORS.get(given["Operator"])
    if key not in _COMPARED or compare is None:
        raise AwsError(
            NOT_IMPLEMENTED, f"The local organization does not filter OpsItems by {key} {given['Operator']}."
        )
    return any(compare(value, wanted) for value in _COMPARED[key](item) for wanted in given["Values"])


_moto_describe_config_rules = ConfigBackend.describe_config_rules


def _describe_config_rules(
    self: ConfigBackend, config_rule_names: list[str] | None, next_token: str | None
) -> dict[str, Any]:
    for name in config_rule_names or ():
        if name not in self.config_rules:
            raise NoSuchConfigRuleException(name)
    found: dict[str, Any] = _moto_describe_config_rules(self, config_rule_names, next_token)
    return found
