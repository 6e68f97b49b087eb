# SPDX-License-Identifier: Apache-2.0
"""What roles may do on the queues and buckets that they themselves send to, write and read. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.permissions import RESOURCE_ORGANIZATION
from c7n_iamusers.notices.queue_counts import ATTRIBUTES, METRIC, queue_arn
from c7n_iamusers.text.wording import quoted

#: What `preflight` creates beside the notices, and deletes.
_PROBE = ".preflight-*"
_BUCKET = re.compile(r"[\w.-]{3,255}", re.ASCII)
#: How `c7n-iamusers preflight` asks about a queue.
READ_QUEUE = ("sqs:GetQueueAttributes", "sqs:GetQueueUrl")

_Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Places:
    """What a role itself sends to, writes and reads. ``queues``: ARNs or URLs. The others: ``s3://`` URLs.

    ``counted``: the ``queues`` that it watches for messages that leave.

    ``written``, ``read``: with everything below them. ``objects``: single objects that it reads. ``listed``: prefixes
    of keys that it lists; a directory's ends with a slash. ``tops``: directories that it lists without those below. A
    ``*`` in a key matches anything.
    """

    queues: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    tops: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()


def place_statements(
    places: Places, partition: str, organization: str, setup: bool = False
) -> Iterator[_Statement]:
    """What a role may do on its places. ``organization``: the id of their owner, or empty.

    ``setup``: also what `preflight` asks. Raises InvalidPolicyData for an invalid place.
    """
    owned = owned_by(organization)
    if places.queues:
        queues = [queue_arn(queue, partition) for queue in places.queues]
        asked = READ_QUEUE if setup else ()
        yield allow([*asked, "sqs:SendMessage"], queues)
    if counted := [queue_arn(each, partition) for each in places.counted]:
        # the dead-letter queue of a queue is in the same account and Region, and may have any name
        yield allow([ATTRIBUTES], [f"{each.rpartition(':')[0]}:*" for each in counted])
        yield allow([METRIC], ["*"])
    written = [_below(each) for each in places.written]
    read = [
        *written,
        *(_below(each) for each in places.read),
        *(_bucket_and_key(each) for each in places.objects),
    ]
    yield from _listing(
        [*read, *(_bucket_and_key(each, "") for each in places.listed)], partition, organization
    )
    yield from _listing(
        [_bucket_and_key(top, "") for top in places.tops], partition, organization, {"s3:delimiter": "/"}
    )

    def arns(found: Iterable[tuple[str, str]], more: str = "") -> list[str]:
        return [f"arn:{partition}:s3:::{bucket}/{pattern}{more}" for bucket, pattern in found]

    if read:
        yield allow(["s3:GetObject"], arns(read), owned)
    if written:
        # Objects get an ACL, which takes s3:PutObjectAcl.
        yield allow(["s3:PutObject", "s3:PutObjectAcl"], arns(written), owned)
        if setup:
            yield allow(["s3:DeleteObject"], arns(written, _PROBE), owned)
            buckets = sorted({bucket for bucket, _ in written})
            yield allow(["s3:GetBucketLocation"], [f"arn:{partition}:s3:::{each}" for each in buckets], owned)


def _listing(
    found: Iterable[tuple[str, str]], partition: str, organization: str, only: Mapping[str, str] | None = None
) -> Iterator[_Statement]:
    """s3:ListBucket for patterns of keys. Without it, S3 answers AccessDenied even for a missing object.

    ``only``: further condition keys with their values. S3 compares ``s3:prefix`` with the listed prefix, and with the
    key of a missing object.
    """
    of_bucket: defaultdict[str, set[str]] = defaultdict(set)
    for bucket, pattern in found:
        of_bucket[bucket].add(pattern)
    buckets_by_patterns: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for bucket, patterns in of_bucket.items():
        buckets_by_patterns[frozenset(patterns)].append(f"arn:{partition}:s3:::{bucket}")
    for patterns_of_all, buckets in buckets_by_patterns.items():
        limited = {} if "*" in patterns_of_all else {"StringLike": {"s3:prefix": sorted(patterns_of_all)}}
        equal = {**owned_by(organization).get("StringEquals", {}), **(only or {})}
        yield allow(["s3:ListBucket"], buckets, {**({"StringEquals": equal} if equal else {}), **limited})


def allow(actions: list[str], resources: Iterable[str], condition: _Statement | None = None) -> _Statement:
    """A statement that allows ``actions`` on ``resources``."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": sorted(set(resources))}
    return {**statement, "Condition": condition} if condition else statement


def owned_by(organization: str) -> _Statement:
    """The condition that the resource is the organization's; none if it is empty."""
    return {"StringEquals": {RESOURCE_ORGANIZATION: organization}} if organization else {}


def _below(url: str) -> tuple[str, str]:
    """The bucket, and the pattern of the keys below the place at ``url``."""
    bucket, prefix = _bucket_and_key(url)
    return bucket, f"{prefix}/*" if prefix else "*"


def _bucket_and_key(url: str, ending: str = "/") -> tuple[str, str]:
    """The bucket, and the key without ``ending``. Raises InvalidPolicyData if ``url`` names no bucket."""
    parsed = urlparse(url)
    if parsed.scheme != "s3" or not _BUCKET.fullmatch(parsed.netloc):
        raise InvalidPolicyData(f"{quoted(url)} is no place in S3: give s3://BUCKET/PREFIX")
    return parsed.netloc, parsed.path.lstrip("/").rstrip(ending)
