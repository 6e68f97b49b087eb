# SPDX-License-Identifier: Apache-2.0
"""Events of calls that nobody made, for tests and demos: attempts of IAM users, sign-ins through Identity Center."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from moto.iam.models import User, iam_backends

from aws_local_org import cloudtrail, settings
from aws_local_org.accounts import Accounts
from aws_local_org.credentials import Principal
from aws_local_org.errors import LocalOrgError
from aws_local_org.iam.seeding import set_access_key_last_used
from aws_local_org.identity_center import state

_DENY_ALL = ":iam::aws:policy/AWSDenyAll"


def attempt(
    org: Accounts,
    account_id: str,
    user: str,
    action: str,
    region: str | None = None,
    time: str | None = None,
    access_key_id: str | None = None,
    source_ip: str = "203.0.113.7",
    user_agent: str = "aws-cli/2.31.0",
) -> dict[str, Any]:
    """Act as if ``user`` had made one call, such as ``ec2:DescribeInstances``, by one of its access keys.

    It is denied if a policy of the user denies everything; nothing else is checked. An allowed call is the key's last
    use. A denied one is not, because it is unknown whether AWS counts it. CloudTrail gets no data event, and no event
    of a call with an inactive key. ``time``: ISO 8601, by default now. ``access_key_id``: by default the first active
    one. Gives the event's id and error code, or why there is no event.
    Raises LocalOrgError if there is no such user or key.
    """
    service, _, operation = action.partition(":")
    region = region or org.settings.home_region
    found, when = _user(account_id, user), _moment(time)
    keys = [
        access_key for access_key in found.access_keys if access_key_id in (None, access_key.access_key_id)
    ]
    if not operation or not keys:
        raise LocalOrgError(
            f"{account_id}: user {user} has no such access key, or {action!r} names no action"
        )
    key = next((each for each in keys if each.status == "Active"), None)
    if key is None:
        return {"event": None, "reason": "its access key is inactive"}
    with org.lock:
        denied = any(_denies(document, when) for document in _documents(found))
        if not denied:
            set_access_key_last_used(key, when, service=service, region=region)
    if cloudtrail.is_data_event(service, operation):
        return {"event": None, "reason": "CloudTrail's event history has no data events"}
    caller = Principal(account_id, found.arn, found.id, user_name=found.name)
    detail: dict[str, Any] = {"sourceIPAddress": source_ip, "userAgent": user_agent}
    if denied:
        message = (
            f"User: {found.arn} is not authorized to perform: {action} with an explicit deny in an "
            "identity-based policy"
        )
        detail |= {"errorCode": "AccessDenied", "errorMessage": message}
    identity = {"userIdentity": cloudtrail.identity_of(caller, key.access_key_id)}
    event = cloudtrail.Event(
        operation,
        cloudtrail.event_source(service),
        cloudtrail.region_of(service, region),
        when,
        found.name,
        key.access_key_id,
        functools.partial(dict, {**identity, **detail}),
        cloudtrail.is_read_only(operation),
    )
    cloudtrail.HISTORY.add(account_id, event)
    return {"event": event.id, "errorCode": detail.get("errorCode")}


def sign_in(
    org: Accounts,
    username: str,
    account_id: str,
    permission_set: str,
    time: str | None = None,
    event_name: str = "Federate",
    source_ip: str = "203.0.113.7",
) -> dict[str, Any]:
    """Act as if a person had signed in to an account through Identity Center.

    ``event_name``: ``Federate`` for the console, ``GetRoleCredentials`` for the CLI. As in AWS, the event is in the
    account and Region of Identity Center. Its members are those of "Understanding CloudTrail events for IAM Identity
    Center" and of its use cases (IAM Identity Center User Guide). It is also the last use of the role of that
    permission set in the account, if there is one.
    Raises LocalOrgError if Identity Center has no such user.
    """
    with state.lock:
        pairs = [(each, user) for each in state.instances for user in each.store.users.values()]
    found = next((pair for pair in pairs if pair[1].attributes.get("UserName") == username), None)
    if found is None:
        raise LocalOrgError(f"Identity Center has no user {username}")
    instance, user = found
    when = _moment(time)
    identity = {
        "type": "IdentityCenterUser",
        "accountId": instance.owner,
        "onBehalfOf": {"userId": user.id, "identityStoreArn": instance.store.arn},
        "credentialId": "local-org",
    }
    detail = {
        "userIdentity": identity,
        "sourceIPAddress": source_ip,
        "userAgent": "Mozilla/5.0",
        "eventType": "AwsServiceEvent",
        "serviceEventDetails": {"role_name": permission_set, "account_id": account_id},
    }
    event = cloudtrail.Event(
        event_name,
        cloudtrail.event_source("sso"),
        instance.region,
        when,
        "",
        "",
        functools.partial(dict, detail),
    )
    cloudtrail.HISTORY.add(instance.owner, event)
    with org.lock:
        for role in iam_backends[account_id][settings.current().partition].get_roles():
            if role.name.startswith(f"AWSReservedSSO_{permission_set}_"):
                role.last_used = when.astimezone(timezone.utc).replace(tzinfo=None)
    return {"event": event.id, "userId": user.id}


def _user(account_id: str, name: str) -> User:
    found = iam_backends[account_id][settings.current().partition].users if account_id.isdigit() else {}
    user = next((each for each in found.values() if each.name == name), None)
    if user is None:
        raise LocalOrgError(f"account {account_id} has no IAM user {name}")
    return user


def _documents(user: User) -> Iterator[Any]:
    yield from (json.loads(text) for text in user.policies.values())
    named = [policy.arn for policy in user.managed_policies.values()]
    if any(str(each).endswith(_DENY_ALL) for each in (*named, user.permissions_boundary_arn)):
        yield {"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}


def _denies(document: Any, when: datetime) -> bool:
    """Whether a statement denies everything at that time. ``DateLessThan`` is the only condition that is evaluated."""
    statements = document.get("Statement", [])
    for each in statements if isinstance(statements, list) else [statements]:
        everything = each.get("Effect") == "Deny" and each.get("Action") in ("*", ["*"])
        condition = each.get("Condition") or {}
        until = (condition.get("DateLessThan") or {}).get("aws:CurrentTime")
        if everything and (not condition or (set(condition) == {"DateLessThan"} and when < _moment(until))):
            return True
    return False


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(timezone.utc)
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise LocalOrgError(f"{text!r} is not a time such as 2026-11-25T12:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
