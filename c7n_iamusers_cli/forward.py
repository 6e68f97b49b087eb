# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers forward``: moves functions' messages to c7n-mailer's queue, each made anew."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers_cli.arguments import targets_in
from c7n_iamusers_cli.output import say

if TYPE_CHECKING:
    from c7n_iamusers.notices.forwarding import Addressed
    from c7n_iamusers.organization.readiness import Target

#: A queue as an account's owner writes it ("Amazon SQS queue and message identifiers", SQS Developer Guide).
_QUEUE = re.compile(r"https?://[A-Za-z0-9.:-]+/[0-9]{12}/[A-Za-z0-9_-]{1,80}", re.ASCII)
_REGION = re.compile(r"https://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.")
#: Seconds for which a received message is hidden from others. Then a refused one is back.
_HIDDEN = 600
#: Seconds. A short poll would ask only some of the servers with messages (ReceiveMessage, SQS API reference).
_WAIT = 1
#: The maximum messages of one run, so that nobody keeps it going by filling the queue.
_MOST = 10_000
#: The maximum of refused messages that stay in the queue, of one sender and of all. They come back in every run: more
#: would leave no room for the messages of others.
_KEPT_OF_ONE, _KEPT = 200, 2_000
#: The maximum of printed refusals; further ones are counted.
_MOST_PRINTED = 100
#: The variable of the shipped policies with the domain of addresses.
_DOMAIN = "email_domain"
#: What c7n's ``notify`` sends with a message.
_ATTRIBUTES = {"mtype": {"DataType": "String", "StringValue": "maidmsg/1.0"}}


def queue_url(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The URL of a queue, as an option's value. Raises click.BadParameter."""
    if value is not None and not _QUEUE.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is not the URL of a queue, such as https://sqs.us-east-1.amazonaws.com/123456789012/NAME"
        )
    return value


@click.command()
@click.option(
    "--from",
    "source",
    required=True,
    metavar="URL",
    callback=queue_url,
    help="The functions' queue, realtime_queue_url.",
)
@click.option(
    "--to",
    "target",
    required=True,
    metavar="URL",
    callback=queue_url,
    help="The queue that c7n-mailer reads, queue_url.",
)
@click.option(
    "-c",
    "--config",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="c7n-org's accounts file: whose messages are forwarded, and to whom they may be addressed.",
)
@click.option(
    "--email-domain",
    "domains",
    multiple=True,
    metavar="DOMAIN",
    help="A domain whose addresses may be recipients, beside those in variables. May be repeated.  [default: the "
    "variable "
    "email_domain of each account]",
)
@click.option("--delete-refused", is_flag=True, help="Name and delete what is refused.")
def forward(source: str, target: str, config: Path, domains: tuple[str, ...], delete_refused: bool) -> None:
    """Move messages of functions in member accounts to c7n-mailer's queue. Run it before c7n-mailer.

    c7n-mailer evaluates messages in its queue, so a member account must not write there. The command makes each message
    anew, and only from these parts: an account of the accounts file, recipients in a variable of the account or in its
    email_domain, a template of this package or of c7n-mailer, and texts without templates.

    Anything else is refused and named, and the command ends with 1. A refused message stays in the queue, so that you
    can correct the accounts file: a run after ten minutes sees it again. --delete-refused removes it. At most 200
    messages of one sender stay, and 2,000 in all. Further ones are deleted and their sender is named, so that no sender
    blocks the others. A message is deleted after it was sent. If its deletion fails, it is forwarded again.
    """
    from c7n_iamusers.execution.sessions import account_session

    if _key(source) == _key(target):
        raise click.UsageError("--from and --to are one queue: the functions must have one of their own")
    accounts = {each.account_id: _addressed(each, domains) for each in targets_in(config)}
    session = account_session()
    receiving, sending = (session.client("sqs", region_name=region_of(url)) for url in (source, target))
    queues = _Queues(receiving, sending, source, target)
    counted = _Count()
    for message in queues.received():
        _handle(message, queues, accounts, counted, delete_refused)
    _tell(counted, delete_refused)
    if counted.refused or counted.faults:
        raise click.exceptions.Exit(1)


def _tell(counted: _Count, delete_refused: bool) -> None:
    if len(counted.refused) > _MOST_PRINTED:
        say(f"and {len(counted.refused) - _MOST_PRINTED} more were refused", err=True)
    deleted = Counter[str]() if delete_refused else counted.deleted
    for sender, count in deleted.most_common(_MOST_PRINTED):
        say(
            f"{count} refused messages of {sender} were deleted, beyond what stays in the queue: find out what sends "
            "there as that user or role, and take the right away",
            err=True,
        )
    kept = "deleted" if delete_refused else "left in the queue"
    if deleted:
        kept = (
            f"{len(counted.refused) - deleted.total()} of them left in the queue, {deleted.total()} deleted"
        )
    refused = f"; {len(counted.refused)} refused, {kept}" if counted.refused else ""
    say(f"{counted.forwarded} forwarded{refused}", err=True)


def _key(queue: str) -> str:
    """A queue's account and name; its host may be spelt in several ways."""
    return queue.partition("://")[2].partition("/")[2]


def region_of(queue: str) -> str | None:
    """The Region in the URL of a queue; None if it has none."""
    found = _REGION.match(queue)
    return found[1] or found[2] if found else None


def _addressed(target: Target, domains: tuple[str, ...]) -> Addressed:
    from c7n_iamusers.notices.forwarding import Addressed
    from c7n_iamusers.text.wording import visible

    texts = frozenset(
        visible(variable) for variable in target.variables.values() if isinstance(variable, str)
    )
    own = target.variables.get(_DOMAIN)
    return Addressed(target.name, texts, domains or ((own,) if isinstance(own, str) and own else ()))


@dataclass
class _Count:
    """``refused``: the ids of messages. ``faults``: calls that AWS refused after a message was sent.

    ``kept``, ``deleted``: how many refused messages of each sender stay in the queue, and were deleted.
    """

    forwarded: int = 0
    refused: list[str] = field(default_factory=list)
    faults: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)

    def keeps(self, sender: str) -> bool:
        """Whether a further refused message of ``sender`` may stay in the queue."""
        return self.kept[sender] < _KEPT_OF_ONE and self.kept.total() < _KEPT


@dataclass(frozen=True)
class _Queues:
    """The functions' queue and c7n-mailer's, with a client for each. The methods raise IamUsersError."""

    receiving: Any
    sending: Any
    source: str
    target: str

    def received(self) -> Iterator[Mapping[str, Any]]:
        """The messages in the functions' queue, each once, until it is empty or a message comes again."""
        seen = set[str]()
        asked = {"MaxNumberOfMessages": 10, "VisibilityTimeout": _HIDDEN, "WaitTimeSeconds": _WAIT}
        while len(seen) < _MOST:
            answer = _asked(
                self.receiving.receive_message,
                QueueUrl=self.source,
                AttributeNames=["SentTimestamp", "SenderId"],
                **asked,
            )
            new = [each for each in answer.get("Messages", ()) if each["MessageId"] not in seen]
            if not new:
                return
            seen.update(each["MessageId"] for each in new)
            yield from new

    def send(self, body: str) -> None:
        send(self.sending, self.target, body)

    def delete(self, message: Mapping[str, Any]) -> None:
        _asked(self.receiving.delete_message, QueueUrl=self.source, ReceiptHandle=message["ReceiptHandle"])


def send(client: Any, queue: str, body: str) -> str:
    """Put a packed message into c7n-mailer's ``queue``, and return its id.

    Raises EvidenceUnreadable if AWS does not say that it is there.
    """
    sent = _asked(client.send_message, QueueUrl=queue, MessageBody=body, MessageAttributes=_ATTRIBUTES)
    return str(sent["MessageId"])


def _asked(call: Any, **parameters: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.exceptions import EvidenceUnreadable
    from c7n_iamusers.execution.retries import Backoff

    try:
        return Backoff().call(call, **parameters)
    except (BotoCoreError, ClientError) as error:
        raise EvidenceUnreadable(
            f"{parameters['QueueUrl']}: {error}: messages that were not forwarded are still there"
        ) from error


def _handle(
    message: Mapping[str, Any],
    queues: _Queues,
    accounts: Mapping[str, Addressed],
    counted: _Count,
    delete_refused: bool,
) -> None:
    from c7n_iamusers.exceptions import EvidenceUnreadable
    from c7n_iamusers.notices.forwarding import forwarded

    name = str(message["MessageId"])
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, timezone.utc)
    try:
        body = forwarded(str(message["Body"]), accounts, sent)
    except ValueError as error:
        counted.refused.append(name)
        if len(counted.refused) <= _MOST_PRINTED:
            say(f"refused: message {name} of {sent:%Y-%m-%d %H:%M} UTC: {str(error)[:400]}", err=True)
        # the unique id of the user or role, from AWS, so a message can't forge it; a session's name follows a colon
        sender = str(message["Attributes"].get("SenderId") or "somebody unknown").partition(":")[0]
        if delete_refused or not counted.keeps(sender):
            queues.delete(message)
            counted.deleted[sender] += 1
        else:
            counted.kept[sender] += 1
        return
    queues.send(body)
    counted.forwarded += 1
    try:
        queues.delete(message)
    except EvidenceUnreadable as error:
        counted.faults += 1
        say(f"message {name} was forwarded, and can't be deleted: {error}", err=True)
