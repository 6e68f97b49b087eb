# SPDX-License-Identifier: Apache-2.0
"""What each printed role can do beyond its task: each tries, enforced, and docs/roles.md has the table of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from tests.policies import ACCOUNT
from tests.roles.enforced import (
    BUCKET,
    CENTER,
    DEPLOYER,
    FUNCTION,
    MANAGEMENT,
    QUARANTINE,
    READER,
    REMOVER,
    RESTORER,
    ROOT,
    RUNNER,
    enforced,
)

#: As the head of the table has them.
ROLES = {
    "reader": READER,
    "remover": REMOVER,
    "restorer": RESTORER,
    "`function`, reports": FUNCTION,
    "`function`, denies": QUARANTINE,
    "deployer": DEPLOYER,
    "Identity Center": CENTER,
    "runner": RUNNER,
}
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
LEAKED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
#: What is tried: a client's service, its account, and the call on the user ``name``.
Attempt = Callable[[Any, str], object]
ATTEMPTS: dict[str, tuple[str, Attempt]] = {
    "give a user any inline policy": (
        "iam",
        lambda iam, name: iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=ALLOW),
    ),
    "attach `AdministratorAccess` to a user": (
        "iam",
        lambda iam, name: iam.attach_user_policy(UserName=name, PolicyArn=ADMINISTRATOR),
    ),
    "add a user to any group": (
        "iam",
        lambda iam, name: iam.add_user_to_group(UserName=name, GroupName="admins"),
    ),
    "put any boundary on a user": (
        "iam",
        lambda iam, name: iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=ADMINISTRATOR),
    ),
    "remove a user's boundary": (
        "iam",
        lambda iam, name: iam.delete_user_permissions_boundary(UserName=name),
    ),
    "remove a Deny that others put inline": (
        "iam",
        lambda iam, name: iam.delete_user_policy(UserName=name, PolicyName="deny"),
    ),
    "detach `AWSCompromisedKeyQuarantine`": (
        "iam",
        lambda iam, name: iam.detach_user_policy(UserName=name, PolicyArn=LEAKED),
    ),
    "activate an access key": (
        "iam",
        lambda iam, name: iam.update_access_key(
            UserName=name,
            AccessKeyId=iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["AccessKeyId"],
            Status="Active",
        ),
    ),
    "create a user": ("iam", lambda iam, name: iam.create_user(UserName=f"{name}-new")),
    "create an access key or a password": ("iam", lambda iam, name: iam.create_access_key(UserName=name)),
    "tag a user": (
        "iam",
        lambda iam, name: iam.tag_user(UserName=name, Tags=[{"Key": "Email", "Value": "x@example.com"}]),
    ),
    "deny a user everything": (
        "iam",
        lambda iam, name: iam.attach_user_policy(
            UserName=name, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll"
        ),
    ),
    "delete a user's access key": (
        "iam",
        lambda iam, name: iam.delete_access_key(
            UserName=name,
            AccessKeyId=iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["AccessKeyId"],
        ),
    ),
    "give a group any policy": (
        "iam",
        lambda iam, _: iam.put_group_policy(GroupName="admins", PolicyName="p", PolicyDocument=ALLOW),
    ),
    "change a role, or who may assume it": (
        "iam",
        lambda iam, _: iam.put_role_policy(RoleName="other", PolicyName="p", PolicyDocument=ALLOW),
    ),
    "run code as `function`": (
        "lambda",
        lambda client, name: client.create_function(
            FunctionName="custodian-iam-users-realtime",
            Role=FUNCTION,
            Runtime="python3.13",
            Handler="x.y",
            Code={"ZipFile": b"PK\5\6" + bytes(18)},
        ),
    ),
    "run code as another role": (
        "lambda",
        lambda client, name: client.create_function(
            FunctionName=name,
            Role=f"arn:aws:iam::{ACCOUNT}:role/other",
            Runtime="python3.13",
            Handler="x.y",
            Code={"ZipFile": b"PK\5\6" + bytes(18)},
        ),
    ),
    "give anybody any access by Identity Center": (
        "sso-admin",
        lambda client, name: client.create_permission_set(
            Name=name, InstanceArn=client.list_instances()["Instances"][0]["InstanceArn"]
        ),
    ),
    "assume the restorer": (
        "sts",
        lambda sts, _: sts.assume_role(RoleArn=RESTORER, RoleSessionName="other", ExternalId="e-1"),
    ),
    "forge the notices of its account's functions": (
        "s3",
        lambda s3, name: s3.put_object(Bucket=BUCKET, Key=f"realtime/notices/{ACCOUNT}/{name}", Body=b""),
    ),
    "forge the notices that deletions rest on": (
        "s3",
        lambda s3, name: s3.put_object(Bucket="notices", Key=f"all/{ACCOUNT}/{name}", Body=b""),
    ),
    "exempt a user from what functions do": (
        "s3",
        lambda s3, _: s3.put_object(Bucket=BUCKET, Key="exemptions.csv", Body=b""),
    ),
    "send to c7n-mailer's queue": (
        "sqs",
        lambda sqs, _: sqs.send_message(
            QueueUrl=f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/c7n-mailer", MessageBody="x"
        ),
    ),
}
_NUMBERS = count()


def targets(org: LocalOrg) -> Iterator[str]:
    """Names of users of an account, each with all that is tried on one."""
    iam = org.client("iam", ACCOUNT)
    while True:
        name = f"target-{next(_NUMBERS)}"
        iam.create_user(UserName=name, PermissionsBoundary=ADMINISTRATOR)
        key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
        iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
        iam.put_user_policy(UserName=name, PolicyName="deny", PolicyDocument=ALLOW.replace("Allow", "Deny"))
        iam.attach_user_policy(UserName=name, PolicyArn=LEAKED)
        yield name


def session(org: LocalOrg, role: str) -> Any:
    """A session of ``role``, whoever it trusts."""
    if role == RUNNER:
        return boto3.Session(region_name="us-east-1")
    external = {} if role == CENTER else {"ExternalId": "e-1"}
    org.configure(enforce=False)
    sts = boto3.Session().client("sts", region_name="us-east-1")
    keys = sts.assume_role(RoleArn=role, RoleSessionName="trial", **external)["Credentials"]
    org.configure(enforce=True)
    return boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1"
    )


def is_allowed(call: Attempt, client: Any, name: str) -> bool:
    try:
        call(client, name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "AccessDeniedException"):
            raise
        return False
    return True


def test_the_table_says_what_each_role_can_do(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforced(org, tmp_path, monkeypatch)
    iam = org.client("iam", ACCOUNT)
    iam.create_group(GroupName="admins")
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=TRUST)
    sessions, users = {name: session(org, role) for name, role in ROLES.items()}, targets(org)
    lines = [f"| it can | {' | '.join(ROLES)} |", f"| --- |{' --- |' * len(ROLES)}"]
    for what, (service, call) in ATTEMPTS.items():
        cells = []
        for each in sessions.values():
            cells.append("yes" if is_allowed(call, each.client(service), next(users)) else "")
            with suppress(ClientError):
                org.client("lambda", ACCOUNT).delete_function(FunctionName="custodian-iam-users-realtime")
        lines.append(f"| {what} | {' | '.join(cells)} |")
    table = "\n".join(lines)
    text = (ROOT / "docs" / "roles.md").read_text()
    assert table in text, f"docs/roles.md has another table than:\n\n{table}"
