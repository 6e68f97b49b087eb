# SPDX-License-Identifier: Apache-2.0
"""What preflight doubts about a queue and a bucket, by what was read of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from c7n_iamusers.organization.readiness import (
    ATTENTION,
    ORGANIZATION,
    Check,
)

#: What SQS keeps messages by default, and a weekend with a day to spare. Seconds.
_RETENTION = 4 * 24 * 3600


_WAITING = tuple(f"ApproximateNumberOfMessages{each}" for each in ("", "NotVisible", "Delayed"))


#: The attributes of a queue that ``queue_doubts`` reads.
QUEUE_ATTRIBUTES = (*_WAITING, "MessageRetentionPeriod")


def queue_doubts(queue: str, attributes: Mapping[str, str]) -> Iterator[Check]:
    """Whether messages wait in the queue, and may be lost there. ``attributes``: of GetQueueAttributes."""
    seconds = int(attributes["MessageRetentionPeriod"])
    kept = f"{seconds / 3600:g} hours"
    if waiting := sum(int(attributes[each]) for each in _WAITING):
        told = f"{queue}: {waiting} messages wait in it; each is lost after {kept}"
        yield Check(
            ORGANIZATION, "queue", ATTENTION, told, "look whether c7n-mailer runs, and reads this queue"
        )
    if seconds < _RETENTION:
        told = f"{queue} keeps a message for {kept} only, so that mails are lost when c7n-mailer stands still"
        yield Check(
            ORGANIZATION, "queue", ATTENTION, told, "set its MessageRetentionPeriod to 345600 or more"
        )


def bucket_doubt(place: str, region: str, asked: str) -> Check | None:
    """Whether the bucket of ``place`` is in the Region in which runs ask it."""
    if region == asked:
        return None
    url, _, query = place.partition("?")
    kept = [each for each in query.split("&") if each and not each.startswith("region=")]
    told = f"{place}: the bucket is in {region}, and would be asked in {asked}"
    remedy = f"write {url}?{'&'.join([f'region={region}', *kept])}, or name a bucket in {asked}"
    return Check(ORGANIZATION, "bucket", ATTENTION, told, remedy)
