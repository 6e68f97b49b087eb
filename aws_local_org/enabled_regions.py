# SPDX-License-Identifier: Apache-2.0
"""The Regions that are enabled in every account: a few, where moto's DescribeRegions has all of AWS's.

Every Region answers, as moto does; this is for callers that ask which there are.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.availability_zones_and_regions import Region, RegionsAndZonesBackend

from aws_local_org import settings

#: Partition -> Regions.
ENABLED = {
    "aws": frozenset({"us-east-1", "us-west-2", "eu-west-1"}),
    "aws-us-gov": frozenset({"us-gov-west-1", "us-gov-east-1"}),
    "aws-cn": frozenset({"cn-north-1", "cn-northwest-1"}),
}


def install() -> None:
    """Patch moto's backend class, for the whole process. Idempotent."""
    RegionsAndZonesBackend.describe_regions = _describe_regions


def _describe_regions(self: Any, region_names: list[str] | None = None) -> list[Region]:
    current = settings.current()
    enabled = ENABLED[current.partition] | {current.region}
    found: list[Region] = [each for each in RegionsAndZonesBackend.regions if each.name in enabled]
    return [each for each in found if not region_names or each.name in region_names]
