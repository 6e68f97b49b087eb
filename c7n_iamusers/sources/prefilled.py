# SPDX-License-Identifier: Apache-2.0
"""What c7n's own filters would fetch for each user, filled in from lists of the whole account.

``group`` looks for ``c7n:Groups`` and ``mfa-device`` for ``MFADevices`` before they fetch. Other filters fetch
anyway (``has-inline-policy``, ``access-key``) or would double what is there (``policy``), so they are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.decisions.report_credentials import is_row_of
from c7n_iamusers.model.credential_report import flag
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.inventory import Inventory

Resource = dict[str, Any]
GROUPS = "c7n:Groups"
MFA_DEVICES = "MFADevices"
#: Questions that a user's virtual devices and the report answer: has it any device, or none?
_ANY_OR_NONE: tuple[Any, ...] = ("absent", "empty", "not-null", "present", [])
_SAME_OR_NOT = (None, "eq", "equal", "ne", "not-equal")


def drop_empty_tags(resource: Resource) -> None:
    """Authorization details give ``[]`` where a user has no tags; GetUser leaves them out, as ``Tags: absent`` asks."""
    if not resource.get("Tags"):
        resource.pop("Tags", None)


def fill_groups(resource: Resource, groups: Mapping[str, Mapping[str, Any]]) -> None:
    """``c7n:Groups`` as ListGroupsForUser gives it; nothing where a group is not among ``groups``."""
    names = resource.get("GroupList", ())
    if all(name in groups for name in names):
        resource[GROUPS] = [_group(groups[name]) for name in names]


class MfaDevices:
    """Tells whether users have MFA devices, from the lists in ``inventory``, sorted by users once."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._virtual: defaultdict[str, list[Resource]] = defaultdict(list)
        for device in inventory.virtual_mfa or ():
            # The root user's device has an owner without a name.
            if name := (device.get("User") or {}).get("UserName"):
                self._virtual[name].append(_device(name, device))

    def fill(self, resource: Resource) -> None:
        """``MFADevices`` as ListMFADevices gives it, good for telling whether there is any device.

        Nothing where that is unknown, or where the report speaks of a device that no list of the account
        has (hardware tokens and FIDO keys have none): then the filter itself asks for this user.
        """
        devices = self._virtual.get(resource["UserName"], [])
        if devices or self._has_none(resource):
            resource[MFA_DEVICES] = devices

    def _has_none(self, resource: Resource) -> bool:
        report = self._inventory.report
        row = report.row(resource["UserName"]) if report and self._inventory.virtual_mfa is not None else None
        return row is not None and is_row_of(IamUser(resource), row) and flag(row, "mfa_active") is False


def asks_for_any_mfa(filter_data: Mapping[str, Any]) -> bool:
    """Whether a filter ``mfa-device`` asks no more than whether a user has any device."""
    simple = "value_type" not in filter_data and filter_data.get("op") in _SAME_OR_NOT
    return simple and filter_data.get("value") in _ANY_OR_NONE


def _group(detail: Mapping[str, Any]) -> Resource:
    return {
        key: detail[key] for key in ("Path", "GroupName", "GroupId", "Arn", "CreateDate") if key in detail
    }


def _device(name: str, device: Mapping[str, Any]) -> Resource:
    head = {"UserName": name, "SerialNumber": device["SerialNumber"]}
    return {**head, "EnableDate": device["EnableDate"]} if "EnableDate" in device else head
