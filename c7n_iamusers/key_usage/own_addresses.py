# SPDX-License-Identifier: Apache-2.0
"""Reads which addresses an account has itself in a Region: those of its network interfaces, and elastic ones.

DescribeNetworkInterfaces, DescribeAddresses (EC2 API Reference): what it has now, not what it had when a call was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import Backoff

PERMISSIONS = ("ec2:DescribeAddresses", "ec2:DescribeNetworkInterfaces")


def read_own_addresses(ec2: Any, backoff: Backoff) -> dict[str, str]:
    """Address -> what has it: an instance, or the description or id of the interface. ``ec2``: a client.

    Raises ClientError, BotoCoreError.
    """
    found = dict[str, str]()
    for interface in items(ec2, "DescribeNetworkInterfaces", "NetworkInterfaces", backoff):
        attachment = interface.get("Attachment") or {}
        names = (
            attachment.get("InstanceId"),
            interface.get("Description"),
            interface.get("NetworkInterfaceId"),
        )
        name = next((str(each) for each in names if each), "")
        found |= dict.fromkeys(_of_interface(interface), name)
    for address in items(ec2, "DescribeAddresses", "Addresses", backoff):
        names = (address.get("InstanceId"), address.get("NetworkInterfaceId"), address.get("AllocationId"))
        for public in _valid(address.get("PublicIp")):
            found.setdefault(public, next((str(each) for each in names if each), public))
    return found


def _of_interface(interface: Mapping[str, Any]) -> Iterator[str]:
    for private in interface.get("PrivateIpAddresses") or ():
        yield from _valid(private.get("PrivateIpAddress"))
        yield from _valid((private.get("Association") or {}).get("PublicIp"))
    for each in interface.get("Ipv6Addresses") or ():
        yield from _valid(each.get("Ipv6Address"))


def _valid(address: Any) -> Iterator[str]:
    """``address`` as Python writes it, if it is one."""
    try:
        yield str(ip_address(str(address)))
    except ValueError:
        return
