# SPDX-License-Identifier: Apache-2.0
"""Finds the instance of IAM Identity Center, and makes its clients with one shared rate limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ParamValidationError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.rate_limit import IDENTITY_CENTER_RATE, RateLimit
from c7n_iamusers.execution.retries import Backoff, gone_is
from c7n_iamusers.identity_center.model import Instance


def resolve_instance(client: Any, backoff: Backoff) -> Instance:
    """The instance that ``client`` (sso-admin) sees.

    Raises IdentityCenterError if there is none or more than one, or if it is in another Region, not ACTIVE, or without
    permission sets; ClientError.
    """
    region = client.meta.region_name
    found = items(client, "ListInstances", "Instances", backoff)
    if not found:
        raise IdentityCenterError(_none_found(client, region, backoff))
    if len(found) > 1:
        named = "; ".join(f"{each['InstanceArn']} of account {each.get('OwnerAccountId')}" for each in found)
        raise IdentityCenterError(
            f"several Identity Center instances in {region}: {named}. Permission sets belong to the organization "
            "instance: set role: to a role of the management account, which sees only that one"
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
    except ParamValidationError:  # older botocore has no RegionScope: only the hint is lost
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
        raise IdentityCenterError(f"Identity Center instance {arn} is {status}: run again when it is ACTIVE")
    # Older responses don't have it. It is False for an account instance.
    if described.get("PermissionSetsEnabled") is False:
        raise IdentityCenterError(
            f"Identity Center instance {arn} has permission sets disabled, and enabling them can't be undone: enable "
            "them by UpdateInstance, or set role: to a role of the organization's management account"
        )
    return Instance(arn, described["IdentityStoreId"], region, described.get("OwnerAccountId", ""))


SERVICES = ("sso-admin", "identitystore")


@dataclass(frozen=True)
class Center:
    """An instance. ``clients``: boto3 service name -> client, all with ``rate``.

    ``account_id`` and ``caller`` (an ARN): whom they act as. ``session``: the boto3 session that made them.
    """

    clients: Mapping[str, Any]
    instance: Instance
    backoff: Backoff
    rate: RateLimit
    account_id: str
    caller: str = ""
    session: Any = field(default=None, repr=False)

    @property
    def is_delegated(self) -> bool:
        """Whether the caller is a delegated administrator, which may do less than the management account."""
        return self.instance.owner not in ("", self.account_id)


def connect(
    session: Any, region: str | None, backoff: Backoff, per_second: float = IDENTITY_CENTER_RATE
) -> Center:
    """The Identity Center that ``session`` (boto3) sees in ``region``.

    Raises what ``resolve_instance`` raises, and BotoCoreError.
    """
    rate = RateLimit(per_second)
    # Backoff retries: it waits as long as AWS requires, and each try counts for the rate.
    clients = {name: session.client(name, region_name=region, config=SINGLE_TRY) for name in SERVICES}
    for client in clients.values():
        rate.attach(client)
    instance = resolve_instance(clients["sso-admin"], backoff)
    caller = backoff.call(session.client("sts", region_name=region).get_caller_identity)
    return Center(clients, instance, backoff, rate, str(caller["Account"]), str(caller["Arn"]), session)


#: The IAM action that ``username_tags`` needs.
PERMISSION = "sso:DescribeInstanceAccessControlAttributeConfiguration"
#: The source of an attribute with the username (User Guide, "Attributes for access control").
_USERNAME = ["${path:userName}"]


def username_tags(center: Center) -> frozenset[str]:
    """The keys of the session tags that hold the username; none if attributes for access control are off.

    Attributes that an external identity provider asserts are not included. Raises ClientError.
    """
    describe = center.clients["sso-admin"].describe_instance_access_control_attribute_configuration
    found = gone_is(dict[str, Any]())(center.backoff.call)(describe, InstanceArn=center.instance.arn)
    if found.get("Status") != "ENABLED":
        return frozenset()
    configuration = found.get("InstanceAccessControlAttributeConfiguration") or {}
    attributes = configuration.get("AccessControlAttributes", ())
    return frozenset(
        str(attribute["Key"]) for attribute in attributes if attribute["Value"]["Source"] == _USERNAME
    )
