# SPDX-License-Identifier: Apache-2.0
"""What c7n-mailer needs by its own configuration."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.notices.mailer_needs import MailerNeed, mailer_needs

ACCOUNT = "123456789012"
WELL: dict[str, Any] = {
    "queue_url": f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/q",
    "region": "eu-west-1",
    "from_address": "Cloud <cloud@example.com>",
    "smtp_server": "smtp.example.com",
}
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key"
IDENTITIES = f"arn:aws:ses:eu-west-1:{ACCOUNT}:identity/*"
SENDER = {"ses:FromAddress": "cloud@example.com"}
GROUP = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/lambda/cloud-custodian-mailer"
LDAP = {"ldap_bind_password": "AQIC"}


def need(action: str, *resources: str, **condition: str) -> MailerNeed:
    return MailerNeed((action,), resources, condition)


@pytest.mark.parametrize(
    ("config", "keys", "further"),
    [
        pytest.param({}, (), [], id="smtp"),
        pytest.param({"smtp_server": None}, (), [], id="smtp-that-is-named"),
        pytest.param(
            {"smtp_password": "AQIC"}, (), [need("kms:Decrypt", f"{KEY}/*")], id="encrypted-password"
        ),
        pytest.param(
            {"smtp_password": "AQIC"}, (f"{KEY}/1",), [need("kms:Decrypt", f"{KEY}/1")], id="by-this-key"
        ),
        pytest.param({"smtp_password": {"type": "azure.keyvault"}}, (), [], id="kept-elsewhere"),
        pytest.param({}, (f"{KEY}/2",), [need("kms:Decrypt", f"{KEY}/2")], id="encrypted-queue"),
        pytest.param(LDAP, (), [], id="without-ldap"),
        pytest.param(
            {**LDAP, "ldap_uri": "ldaps://x"}, (), [need("kms:Decrypt", f"{KEY}/*")], id="password-of-ldap"
        ),
        pytest.param(
            {"ses_role": "arn:aws:iam::1:role/S"},
            (),
            [need("sts:AssumeRole", "arn:aws:iam::1:role/S")],
            id="ses-role",
        ),
        pytest.param(
            {"cross_accounts": {"2": "arn:aws:iam::2:role/T"}},
            (),
            [need("sts:AssumeRole", "arn:aws:iam::2:role/T")],
            id="topics-of-other-accounts",
        ),
        pytest.param(
            {"role": "Mailer"},
            (),
            [
                MailerNeed(
                    ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
                    (GROUP, f"{GROUP}:*"),
                )
            ],
            id="function",
        ),
    ],
)
def test_what_it_needs(config: dict[str, Any], keys: tuple[str, ...], further: list[MailerNeed]) -> None:
    queue = MailerNeed(("sqs:DeleteMessage", "sqs:ReceiveMessage"), (f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q",))
    assert list(mailer_needs({**WELL, **config}, ACCOUNT, "aws", keys)) == [queue, *further]


@pytest.mark.parametrize(
    ("config", "needed"),
    [
        pytest.param({}, MailerNeed(("ses:SendRawEmail",), (IDENTITIES,), SENDER), id="region-of-the-queue"),
        pytest.param(
            {"ses_region": "us-west-2"},
            MailerNeed(("ses:SendRawEmail",), (IDENTITIES.replace("eu-west-1", "us-west-2"),), SENDER),
            id="region-of-its-own",
        ),
        pytest.param({"sendgrid_api_key": {"type": "gcp"}}, None, id="sendgrid"),
        pytest.param({"graph_sendmail_endpoint": "https://x"}, None, id="graph"),
    ],
)
def test_mail_by_ses(config: dict[str, Any], needed: MailerNeed | None) -> None:
    without_server = {key: value for key, value in WELL.items() if key != "smtp_server"}
    _, *further = mailer_needs({**without_server, **config}, ACCOUNT, "aws")
    assert further == ([needed] if needed else [])


def test_a_function_in_a_vpc_with_a_dead_letter_queue() -> None:
    target = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:dead"
    config = {**WELL, "role": "R", "subnets": ["s"], "dead_letter_config": {"TargetArn": target}}
    actions = {action for each in mailer_needs(config, ACCOUNT, "aws") for action in each.actions}
    assert {"ec2:CreateNetworkInterface", "sqs:SendMessage"} <= actions


@pytest.mark.parametrize("queue", ["asq://x", "projects/x", ""])
def test_a_queue_of_somebody_else(queue: str) -> None:
    with pytest.raises(InvalidPolicyData, match="is not the ARN or the https URL of a queue"):
        mailer_needs({"queue_url": queue}, ACCOUNT, "aws")
