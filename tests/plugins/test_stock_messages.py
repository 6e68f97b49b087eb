# SPDX-License-Identifier: Apache-2.0
"""Stock policies with stock ``notify`` send the same messages with and without this package, to the byte."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from aws_local_org import LocalOrg
from tests.policies import ACCOUNT

ROOT = Path(__file__).parents[2]
#: custodian, whose runs have one time and one id. They are all that differs between the messages of two runs.
CUSTODIAN = """
import types, uuid
import c7n.ctx
c7n.ctx.time = types.SimpleNamespace(time=lambda: 1764000000.0)
c7n.ctx.uuid = types.SimpleNamespace(uuid4=lambda: uuid.UUID(int=0))
from c7n.cli import main
main()
"""
NOTIFY = {"type": "notify", "to": ["x@example.com"], "transport": {"type": "sqs", "queue": "mailer"}}
KEYS = [
    {"type": "access-key", "key": "Status", "value": "Active"},
    {"type": "credential", "key": "access_keys.active", "value": True},
]


def stock(name: str, filters: Any = (), options: Any = (), resource: str = "iam-user") -> dict[str, Any]:
    actions = [{**NOTIFY, **dict(options)}]
    return {"name": name, "resource": f"aws.{resource}", "filters": list(filters), "actions": actions}


POLICIES = [
    stock("users"),
    stock("old-keys", KEYS, {"template": "iam-users-old-keys.html", "slack_template": "slack_iam_users"}),
    stock("our-template", KEYS, {"template": "iam-users-flagged.html"}),
    stock("domains", [{"type": "has-inline-policy"}], {"email-domains": ["example.com"]}),
    stock("groups", resource="iam-group"),
    stock("roles", resource="iam-role"),
]


@pytest.fixture
def over_http() -> bool:
    return True


@pytest.fixture
def variables(org: LocalOrg) -> dict[str, str]:
    """Of a process that acts as the account, in which one user has something of everything that messages have."""
    iam = org.client("iam", ACCOUNT)
    boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    tags = [{"Key": "Owner", "Value": "somebody@elsewhere.example"}]
    iam.create_user(UserName="alice", PermissionsBoundary=boundary, Tags=tags)
    iam.create_access_key(UserName="alice")
    statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="alice", PolicyName="buckets", PolicyDocument=document)
    iam.create_group(GroupName="team")
    iam.generate_credential_report()  # c7n would wait ten seconds for it
    iam.get_credential_report()
    org.client("sqs", ACCOUNT).create_queue(QueueName="mailer")
    credentials: Any = org.session(ACCOUNT).get_credentials()
    found = credentials.get_frozen_credentials()
    caller = {
        "AWS_ACCESS_KEY_ID": found.access_key,
        "AWS_SECRET_ACCESS_KEY": found.secret_key,
        "AWS_SESSION_TOKEN": found.token,
    }
    return {**os.environ, **org.environment(), **caller, "PYTHONPATH": str(ROOT)}


def sent(org: LocalOrg, variables: dict[str, str], directory: Path, autoload: str) -> dict[str, str]:
    """The bodies of all messages, by their policies."""
    directory.mkdir()
    file = directory / "stock.yml"
    file.write_text(json.dumps({"policies": POLICIES}), encoding="utf-8")
    command = [sys.executable, "-c", CUSTODIAN, "run", "--cache-period=0", "-s", str(directory), str(file)]
    environment = {**variables, "C7N_IAMUSERS_AUTOLOAD": autoload}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sqs, found = org.client("sqs", ACCOUNT), dict[str, str]()
    queue = sqs.get_queue_url(QueueName="mailer")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for each in messages:
            found[decoded(each["Body"])["policy"]["name"]] = each["Body"]
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
    return found


def decoded(body: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(body)))
    return message


def test_messages_are_the_same_to_the_byte(org: LocalOrg, variables: dict[str, str], tmp_path: Path) -> None:
    without, having = (sent(org, variables, tmp_path / each, each) for each in ("0", "1"))
    assert having == without
    assert having.keys() == {each["name"] for each in POLICIES}
    (user,) = decoded(having["old-keys"])["resources"]
    assert user.keys() >= {
        "PermissionsBoundary",
        "c7n:AccessKeys",
        "c7n:credential-report",
        "c7n:matched-keys",
    }
    (user,) = decoded(having["domains"])["resources"]
    assert [tag["Value"] for tag in user["Tags"]] == ["somebody@elsewhere.example"]
