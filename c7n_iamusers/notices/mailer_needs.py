# SPDX-License-Identifier: Apache-2.0
"""What c7n-mailer calls in AWS, by its own configuration. Pure.

Sources: c7n_mailer/cli.py, sqs_queue_processor.py, email_delivery.py, sns_delivery.py, utils.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any

from c7n_iamusers.notices.queue_counts import queue_arn

#: Keys of the configuration by which mails go another way than through SES.
_OTHER_WAYS = ("smtp_server", "sendgrid_api_key", "graph_sendmail_endpoint")
#: Texts that it lets KMS decrypt. It takes one for plain text only if KMS says that it is no ciphertext, so it needs
#: the permission for plain ones, too.
_SECRETS = ("smtp_password", "slack_token", "sendgrid_api_key", "graph_client_secret")
_LDAP_SECRET = "ldap_bind_password"
#: Where its configuration names no Region.
MAILER_REGION = "us-east-1"
#: "Lambda execution role permissions" for a function in a VPC (AWS Lambda Developer Guide).
_IN_VPC = tuple(
    f"ec2:{each}"
    for each in (
        "AssignPrivateIpAddresses",
        "CreateNetworkInterface",
        "DeleteNetworkInterface",
        "DescribeNetworkInterfaces",
        "DescribeSubnets",
        "UnassignPrivateIpAddresses",
    )
)
_LOGGING = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")


@dataclass(frozen=True)
class MailerNeed:
    """``actions`` on ``resources``, which are ARNs, in which a ``*`` stands for anything, or ``*`` alone.

    ``condition``: the condition key of its requests, and the value; empty if there is none.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, str] = field(default_factory=dict)


def mailer_needs(
    config: Mapping[str, Any], account_id: str, partition: str, keys: Iterable[str] = ()
) -> tuple[MailerNeed, ...]:
    """What c7n-mailer with this ``config`` needs. ``account_id``: that of its role.

    ``keys``: ARNs of keys of KMS that encrypt its queue or its secrets. Raises InvalidPolicyData if its queue is not of
    SQS.
    """
    return tuple(_needs(config, account_id, partition, tuple(keys)))


def _needs(
    config: Mapping[str, Any], account_id: str, partition: str, keys: tuple[str, ...]
) -> Iterator[MailerNeed]:
    region = str(config.get("region") or MAILER_REGION)
    queue = queue_arn(str(config.get("queue_url")), partition)
    yield MailerNeed(("sqs:DeleteMessage", "sqs:ReceiveMessage"), (queue,))
    if keys or _has_secret(config):
        its = keys or (f"arn:{partition}:kms:{region}:{account_id}:key/*",)
        yield MailerNeed(("kms:Decrypt",), its)
    roles = [config.get("ses_role"), *(config.get("cross_accounts") or {}).values()]
    if assumed := tuple(str(role) for role in roles if role):
        yield MailerNeed(("sts:AssumeRole",), assumed)
    if not config.get("ses_role") and not any(other_way in config for other_way in _OTHER_WAYS):
        ses_region = config.get("ses_region") or region
        sender = parseaddr(str(config.get("from_address") or ""))[1]
        identities = f"arn:{partition}:ses:{ses_region}:{account_id}:identity/*"
        yield MailerNeed(("ses:SendRawEmail",), (identities,), {"ses:FromAddress": sender} if sender else {})
    if config.get("role"):
        yield from _of_function(config, region, account_id, partition)


def _of_function(
    config: Mapping[str, Any], region: str, account_id: str, partition: str
) -> Iterator[MailerNeed]:
    """What it needs besides where it runs as a Lambda function."""
    name = config.get("lambda_name") or "cloud-custodian-mailer"
    group = f"arn:{partition}:logs:{region}:{account_id}:log-group:/aws/lambda/{name}"
    yield MailerNeed(_LOGGING, (group, f"{group}:*"))
    if config.get("subnets"):
        yield MailerNeed(_IN_VPC, ("*",))
    if target := str((config.get("dead_letter_config") or {}).get("TargetArn") or ""):
        yield MailerNeed(("sns:Publish" if ":sns:" in target else "sqs:SendMessage",), (target,))


def _has_secret(config: Mapping[str, Any]) -> bool:
    """Whether it asks KMS. A secret that is no text is kept elsewhere than in AWS."""
    names = (*_SECRETS, _LDAP_SECRET) if config.get("ldap_uri") else _SECRETS
    return any(isinstance(config.get(name), str) and config[name] for name in names)
