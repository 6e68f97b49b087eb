# SPDX-License-Identifier: Apache-2.0
"""Events of IAM as EventBridge delivers them from CloudTrail ("userIdentity element", CloudTrail User Guide)."""

from __future__ import annotations

from itertools import count
from typing import Any

ACCOUNT = "111122223333"
_NUMBERS = count()

#: Who calls, in the forms that CloudTrail writes.
CONSOLE = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:jane@example.com",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/jane@example.com",
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAEXAMPLE",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef",
            "accountId": ACCOUNT,
            "userName": "AWSReservedSSO_Admin_0123456789abcdef",
        },
        "webIdFederationData": {},
        "attributes": {"creationDate": "2026-11-25T09:00:00Z", "mfaAuthenticated": "false"},
    },
}
CLOUDFORMATION = {**CONSOLE, "invokedBy": "cloudformation.amazonaws.com"}
_CUSTODIAN = {
    "type": "Role",
    "principalId": "AROACUSTODIAN",
    "arn": f"arn:aws:iam::{ACCOUNT}:role/IamUsersRemover",
    "accountId": ACCOUNT,
    "userName": "IamUsersRemover",
}


def runner(**issuer: Any) -> dict[str, Any]:
    """A caller that looks like the role of this package's runs. ``issuer``: what differs; None for what is missing."""
    known = {key: value for key, value in {**_CUSTODIAN, **issuer}.items() if value is not None}
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/IamUsersRemover/c7n"
    return {**CONSOLE, "arn": session, "sessionContext": {"sessionIssuer": known}}


RUNNER = runner()
RESTORER = runner(
    principalId="AROARESTORER",
    arn=f"arn:aws:iam::{ACCOUNT}:role/IamUsersRestorer",
    userName="IamUsersRestorer",
)
#: Others whose role has its name, or looks like it.
NO_RUNNERS = {
    "path": runner(arn=f"arn:aws:iam::{ACCOUNT}:role/team/IamUsersRemover"),
    "account": runner(arn="arn:aws:iam::444455556666:role/IamUsersRemover", accountId="444455556666"),
    "longer-name": runner(arn=f"arn:aws:iam::{ACCOUNT}:role/IamUsersRemover2"),
    "case": runner(arn=f"arn:aws:iam::{ACCOUNT}:role/iamusersremover"),
    "partition": runner(arn=f"arn:aws-cn:iam::{ACCOUNT}:role/IamUsersRemover"),
    "name-alone": runner(arn=None),
    "federated-user": runner(type="IAMUser", arn=f"arn:aws:iam::{ACCOUNT}:user/IamUsersRemover"),
    "session-alone": {**CONSOLE, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/IamUsersRemover/c7n"},
}
CLI = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLE",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIAEXAMPLE",
    "userName": "alice",
}
#: ``userName`` is the account's alias, where it has one.
ROOT = {
    "type": "Root",
    "principalId": ACCOUNT,
    "arn": f"arn:aws:iam::{ACCOUNT}:root",
    "accountId": ACCOUNT,
    "userName": "payments",
}

#: Root as the management account or a delegated administrator takes it by AssumeRoot, such as to let it recover its
#: password ("Track privileged tasks in AWS CloudTrail", IAM User Guide).
ASSUMED_ROOT = {
    **ROOT,
    "accessKeyId": "ASIAROOT",
    "sessionContext": {
        "sessionIssuer": {},
        "attributes": {"creationDate": "2026-11-25T09:00:00Z", "mfaAuthenticated": "false"},
        "assumedRoot": "true",
    },
}
EMERGENCY = {**CLI, "arn": f"arn:aws:iam::{ACCOUNT}:user/emergency/glass", "userName": "glass"}
#: A session of GetFederationToken, whose issuer is a user.
FEDERATED = {
    "type": "FederatedUser",
    "principalId": f"{ACCOUNT}:bob",
    "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAFEDERATED",
    "sessionContext": {
        "sessionIssuer": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLE",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
            "accountId": ACCOUNT,
            "userName": "alice",
        }
    },
}
SERVICE = {"type": "AWSService", "invokedBy": "controltower.amazonaws.com"}
#: Each kind of caller but this package's own roles.
STRANGERS = {
    "console": CONSOLE,
    "cloudformation": CLOUDFORMATION,
    "user": CLI,
    "root": ROOT,
    "assumed-root": ASSUMED_ROOT,
    "federated": FEDERATED,
    "service": SERVICE,
}


def event(
    name: str,
    who: dict[str, Any],
    asked: dict[str, Any] | None = None,
    answered: dict[str, Any] | None = None,
    time: str = "2026-11-25T09:30:00Z",
    **more: Any,
) -> dict[str, Any]:
    """The event of a call. ``asked``: its requestParameters. ``answered``: its responseElements."""
    detail = {
        "eventVersion": "1.11",
        "userIdentity": who,
        "eventTime": time,
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": who.get("invokedBy", "203.0.113.7"),
        "userAgent": who.get("invokedBy", "AWS Internal"),
        "requestParameters": asked,
        "responseElements": answered,
        "requestID": "11111111-2222-3333-4444-555555555555",
        "eventID": f"66666666-7777-8888-9999-{next(_NUMBERS):012}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        **more,
    }
    return {
        "version": "0",
        "id": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.iam",
        "account": ACCOUNT,
        "time": time,
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


def sign_in(who: dict[str, Any], succeeds: bool = True) -> dict[str, Any]:
    """The event of a sign-in to the console."""
    answer = {"ConsoleLogin": "Success" if succeeds else "Failure"}
    given = event("ConsoleLogin", who, None, answer, eventSource="signin.amazonaws.com")
    return {**given, "detail-type": "AWS Console Sign In via CloudTrail", "source": "aws.signin"}
