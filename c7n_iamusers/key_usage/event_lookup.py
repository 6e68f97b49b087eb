# SPDX-License-Identifier: Apache-2.0
"""Reads CloudTrail's event history for single keys: LookupEvents by AccessKeyId, within its two calls a second.

It has management events of 90 days, in the Region of the call; 50 a page, the newest first, one attribute a question
(LookupEvents, CloudTrail API reference). So it shows no data events, such as reads of objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.paging import items, pages
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.evidence.attempted_calls import HISTORY  # to move below evidence
from c7n_iamusers.key_usage.model import KeyUsage
from c7n_iamusers.key_usage.tally import Tally

#: "The rate of lookup requests is limited to two per second, per account, per Region" (LookupEvents).
PER_SECOND = 2.0
#: What it is called in ``KeyUsage.source``.
SOURCE = "CloudTrail's event history"


def look_up(
    client: Any, region: str, key_ids: Sequence[str], now: datetime, backoff: Backoff, most_pages: int = 1
) -> dict[str, KeyUsage]:
    """Key -> its calls in ``region``, the newest ``most_pages`` of 50 events. ``client``: of CloudTrail there.

    A question that fails is a ``problem`` of its key. After a refusal of access no other key is asked for.
    """
    RateLimit(PER_SECOND).attach(client)
    found, refused = dict[str, KeyUsage](), ""
    source = f"{SOURCE} in {region}"
    for key_id in key_ids:
        if not refused:
            try:
                found[key_id] = _look_up(client, key_id, now, backoff, most_pages, source)
                continue
            except (ClientError, BotoCoreError, KeyError, TypeError, ValueError) as error:
                why = f"cloudtrail:LookupEvents does not answer ({error_code(error)})"
                found[key_id] = KeyUsage(key_id, (), source, None, problem=why)
                refused = why if error_code(error).startswith("AccessDenied") else ""
                continue
        found[key_id] = KeyUsage(key_id, (), source, None, problem=refused)
    return found


def _look_up(
    client: Any, key_id: str, now: datetime, backoff: Backoff, most_pages: int, source: str
) -> KeyUsage:
    tally, more = Tally({key_id}), False
    asked = {
        "LookupAttributes": [{"AttributeKey": "AccessKeyId", "AttributeValue": key_id}],
        "StartTime": now - HISTORY,
        "EndTime": now,
    }
    for number, page in enumerate(pages(client, "LookupEvents", backoff, **asked), 1):
        for event in page["Events"]:
            tally.add(json.loads(event["CloudTrailEvent"]))
        if number == most_pages:
            more = bool(page.get("NextToken"))
            break
    more = more or bool(tally.unclear)
    return KeyUsage(key_id, tally.groups_of(key_id), source, now, now - HISTORY, more)


def own_addresses(ec2: Any, backoff: Backoff) -> dict[str, str]:
    """Address -> what has it, of the elastic addresses and network interfaces of one Region. ``ec2``: a client there.

    DescribeAddresses, DescribeNetworkInterfaces (EC2 API reference). Raises ClientError, BotoCoreError.
    """
    found = dict[str, str]()
    for interface in items(ec2, "DescribeNetworkInterfaces", "NetworkInterfaces", backoff):
        attachment = interface.get("Attachment")
        of = attachment.get("InstanceId") if isinstance(attachment, Mapping) else None
        name = str(of or interface.get("Description") or interface.get("NetworkInterfaceId"))
        found |= dict.fromkeys(_addresses(interface), name)
    for address in items(ec2, "DescribeAddresses", "Addresses", backoff):
        if public := address.get("PublicIp"):
            found.setdefault(str(public), str(address.get("InstanceId") or address.get("AllocationId") or public))
    return found


def _addresses(interface: Mapping[str, Any]) -> Iterable[str]:
    for private in interface.get("PrivateIpAddresses") or ():
        yield str(private.get("PrivateIpAddress"))
        yield str((private.get("Association") or {}).get("PublicIp"))
    yield from (str(each.get("Ipv6Address")) for each in interface.get("Ipv6Addresses") or ())
