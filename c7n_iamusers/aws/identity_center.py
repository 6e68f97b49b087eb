# SPDX-License-Identifier: Apache-2.0
"""Which IAM Identity Center instance there is to work with, or precisely why there is none."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ParamValidationError

from c7n_iamusers.aws.paging import items
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.identity_center import Instance


def resolve_instance(client: Any, backoff: Backoff) -> Instance:
    """The one instance that ``client`` (sso-admin) sees, ready to hold permission sets.

    Raises IdentityCenterError for none, for several (named) and for one that is not in its primary Region,
    not active, or has permission sets switched off; ClientError as AWS gives it.
    """
    region = client.meta.region_name
    found = items(client, "ListInstances", "Instances", backoff)
    if not found:
        raise IdentityCenterError(_none_found(client, region, backoff))
    if len(found) > 1:
        named = "; ".join(f"{each['InstanceArn']} of account {each.get('OwnerAccountId')}" for each in found)
        raise IdentityCenterError(
            f"several Identity Center instances in {region}: {named}. Permission sets belong to the organization's "
            "one: give as role: one of the management account, which sees that alone"
        )
    _check_region(found[0], region)
    return _described(client, found[0], region, backoff)


def _none_found(client: Any, region: str, backoff: Backoff) -> str:
    primary = sorted(
        {each["PrimaryRegion"] for each in _everywhere(client, backoff) if each.get("PrimaryRegion")}
    )
    if primary:
        return f"no Identity Center instance in {region}: it is in {', '.join(primary)}, so set region: {primary[0]}"
    return (
        f"no Identity Center instance in {region}: set region: to the organization's primary Region and role: to a "
        "role of the management account or of a delegated administrator, or enable Identity Center there"
    )


def _everywhere(client: Any, backoff: Backoff) -> list[Any]:
    try:
        return items(client, "ListInstances", "Instances", backoff, RegionScope="ALL_REGIONS")
    except ParamValidationError:  # a botocore older than RegionScope: only the hint is lost
        return []


def _check_region(listed: dict[str, Any], region: str) -> None:
    primary = listed.get("PrimaryRegion", region)
    if primary != region:
        raise IdentityCenterError(
            f"Identity Center instance {listed['InstanceArn']} can be changed only in its primary Region: set region: "
            f"{primary} (now {region})"
        )


def _described(client: Any, listed: dict[str, Any], region: str, backoff: Backoff) -> Instance:
    arn = listed["InstanceArn"]
    described = backoff.call(client.describe_instance, InstanceArn=arn)
    status = described.get("Status", "ACTIVE")
    if status != "ACTIVE":
        raise IdentityCenterError(f"Identity Center instance {arn} is {status}: run again once it is ACTIVE")
    # Missing is unknown (older responses lack it); only an account instance is sure to have them off.
    if described.get("PermissionSetsEnabled") is False:
        raise IdentityCenterError(
            f"Identity Center instance {arn} has permission sets switched off, and switching them on can't be undone: "
            "do so knowingly (UpdateInstance), or give as role: one of the organization's management account"
        )
    return Instance(arn, described["IdentityStoreId"], region, described.get("OwnerAccountId", ""))
