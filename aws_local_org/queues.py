# SPDX-License-Identifier: Apache-2.0
"""SQS queues whose messages expire. moto keeps and counts messages forever.

"Amazon SQS automatically deletes messages that have been in a queue for more than the maximum message retention
period": https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from moto.core.utils import unix_time
from moto.sqs.models import SQSBackend

_get_queue = SQSBackend.get_queue


def install() -> None:
    """Patch moto's class, for the whole process. Idempotent."""
    SQSBackend.get_queue = _without_expired


def _without_expired(self: Any, queue_name: str) -> Any:
    queue = _get_queue(self, queue_name)
    oldest = (unix_time() - int(queue.message_retention_period)) * 1000
    queue._messages = [message for message in queue._messages if (message.sent_timestamp or oldest) >= oldest]
    return queue


def age(backend: Any, back: timedelta) -> None:
    """Make the queues of ``backend`` and their messages that much older."""
    for queue in backend.queues.values():
        queue.created_timestamp -= back.total_seconds()
        for message in queue._messages:
            message.sent_timestamp -= int(back.total_seconds() * 1000)
