# SPDX-License-Identifier: Apache-2.0
"""AWS Account Management: alternate contacts, and enabled Regions.

moto has the contacts. This adds AWS's rules for who may ask about which account. Source:
https://docs.aws.amazon.com/accounts/latest/reference/API_GetAlternateContact.html, AccountId.
"""

from __future__ import annotations

from typing import Any

from moto.account.exceptions import UnspecifiedContactType
from moto.account.responses import AccountResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.models.availability_zones_and_regions import Region, RegionsAndZonesBackend

from aws_local_org import organization, settings

#: Partition -> the Regions that are enabled in every account; moto's DescribeRegions has all of AWS's. This is only for
#: callers that ask which there are: every Region answers.
ENABLED = {
    "aws": frozenset({"us-east-1", "us-west-2", "eu-west-1"}),
    "aws-us-gov": frozenset({"us-gov-west-1", "us-gov-east-1"}),
    "aws-cn": frozenset({"cn-north-1", "cn-northwest-1"}),
}


class _AccessDenied(ServiceException):
    code = "AccessDeniedException"


def install() -> None:
    """Patch moto's classes, for the whole process. Idempotent."""
    AccountResponse.call_action = _call_action
    RegionsAndZonesBackend.describe_regions = _describe_regions
    UnspecifiedContactType.code = 404


def _call_action(self: AccountResponse) -> Any:
    if why := _refusal(self.current_account, self._get_param("AccountId")):
        operation = self._get_action()
        return self.serialized(
            ActionResult(
                _AccessDenied(
                    f"User: {self.current_account} is not authorized to perform: account:{operation} ({why})"
                )
            )
        )
    return BaseResponse.call_action(self)


def _refusal(caller: str, named: str | None) -> str:
    management = organization.management_account()
    if not named:
        return ""
    if caller != management and caller not in organization.delegated_administrators(
        organization.ACCOUNT_MANAGEMENT
    ):
        return "Only the management account or delegated administrator can perform this operation."
    if named == management:
        return "The management account can only be managed using the standalone context."
    if not organization.has_active_account(named):
        return "The specified account is not a member of your organization."
    if organization.ACCOUNT_MANAGEMENT not in organization.trusted_services():
        return "Your organization must first enable trusted access with AWS Account Management."
    return ""


def _describe_regions(self: Any, region_names: list[str] | None = None) -> list[Region]:
    current = settings.current()
    enabled = ENABLED[current.partition] | {current.region}
    found: list[Region] = [region for region in RegionsAndZonesBackend.regions if region.name in enabled]
    return [each for each in found if not region_names or each.name in region_names]
