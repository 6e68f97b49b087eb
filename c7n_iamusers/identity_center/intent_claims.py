# SPDX-License-Identifier: Apache-2.0
"""Intents are claims: what a file of them must look like, and what in it must agree. Pure.

Limits: botocore's shapes of iam (CreateUser, UserDetail), sso-admin (CreatePermissionSet) and identitystore
(CreateUser), and the quotas of both services.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.derivation.acceptances import parse_acceptances
from c7n_iamusers.derivation.model import PER_ACCOUNT, PER_MAP
from c7n_iamusers.derivation.permission_set import MANAGED_TAG, duration_seconds
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.identity_center.intents import INTENTS_SCHEMA, NotIntents
from c7n_iamusers.text.shapes import Shape, document, listing, mapping, maybe, one_of, record, text, whole

_USERS, _POLICIES = 5_000, 50_000
_SHORTEST, _LONGEST = 3600, 12 * 3600
_ANY = text(8192)
_USER_ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):user/(?:[!-~]+/)?([\w+=,.@-]{1,64})", re.ASCII)
_POLICY_ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}|aws):policy/[!-~]{1,512}", re.ASCII)
_policy_arn = text(2048, _POLICY_ARN.pattern)
_customer_or_aws = text(2048, rf"{_POLICY_ARN.pattern}|/(?:[!-~]+/)?[\w+=,.@-]{{1,128}}")


def _duration(value: Any, place: str) -> None:
    text(20)(value, place)
    if not _SHORTEST <= (duration_seconds(value) or 0) <= _LONGEST:
        raise ValueError(f"{place} {value!r} must be an ISO 8601 duration from PT1H to PT12H")


_inline = listing(record({"PolicyName": text(128), "PolicyDocument": document}), 1000)
_attached = listing(record({"PolicyArn": _policy_arn}, {"PolicyName": text(128)}), 100)
_detail = record(
    {"UserName": text(64), "UserId": text(128), "Arn": text(2048)},
    {
        "UserPolicyList": _inline,
        "GroupList": listing(text(128), 100),
        "AttachedManagedPolicies": _attached,
        "PermissionsBoundary": record(
            {"PermissionsBoundaryArn": _policy_arn}, {"PermissionsBoundaryType": _ANY}
        ),
        "Tags": listing(record({"Key": text(128), "Value": text(256)}), 50),
    },
)
_name = text(1024, shortest=1)
_person = record(
    {
        "username": text(128, shortest=1),
        "email": text(254, shortest=3),
        "given_name": _name,
        "family_name": _name,
        "display_name": _name,
    }
)
_user = record(
    {
        "user": text(64, r"[\w+=,.@-]{1,64}"),
        "arn": text(2048, _USER_ARN.pattern),
        "unique-id": text(128, r"[\w+=,.@-]+"),
        "person": maybe(_person),
        "rests-on": _ANY,
        "problem": _ANY,
        "detail": maybe(_detail),
        "on-file": one_of(True, False),
    }
)
_permission_set = record(
    {
        "name": text(32, r"[\w+=,.@-]{1,32}"),
        "description": text(700),
        "session_duration": _duration,
        "relay_state": text(240),
        "managed_policies": listing(_policy_arn, 50),
        "inline_policy": text(32_768),
        "tags": mapping(text(128), text(256)),
        "customer_policies": listing(_customer_or_aws, 50),
        "boundary": lambda value, place: _customer_or_aws(value, place) if value != "" else None,
    }
)
_derive = record(
    {},
    {
        "session-duration": _duration,
        **dict.fromkeys(("policies-per-set", "policies-per-role"), whole(1)),
        **dict.fromkeys(("inline-characters", "inline-bytes"), whole(1)),
        **dict.fromkeys(("identity-center-mfa", "write-out"), one_of(True, False)),
        "username-tag": text(128),
        "group-by": one_of(PER_ACCOUNT, PER_MAP),
        "accept": listing(mapping(text(16), text(1024)), 10_000),
        "allow-wider": lambda value, place: None,  # refused with its mend where acceptances are read
    },
)
_INTENTS: Shape = record(
    {
        "schema": one_of(INTENTS_SCHEMA),
        "time": text(40),
        "account": text(12, r"\d{12}"),
        "policy": text(128, r"[\w-]+"),
        "identity-source": one_of("external", "identity-center"),
        "shared-group": one_of(True, False),
        "group": text(1024),
        "permission-set": maybe(_permission_set),
        "derive": maybe(_derive),
        "users": listing(_user, _USERS),
        "groups": mapping(
            text(128), record({"GroupPolicyList": _inline, "AttachedManagedPolicies": _attached})
        ),
        "policies": mapping(_policy_arn, document),
    }
)


def check_claims(data: Any) -> None:
    """Raises NotIntents, with the place and what is wrong, for data that is no intents, or contradicts itself."""
    version = data.get("schema") if isinstance(data, dict) else None
    if version != INTENTS_SCHEMA:
        raise NotIntents(
            f"schema {version!r} is not {INTENTS_SCHEMA}, which has the time of the run: run the policies again with "
            "this version"
        )
    try:
        _INTENTS(data, "intents")
        _check_agreement(data)
    except (ValueError, InvalidPolicyData) as error:
        raise NotIntents(f"{error}: run the policies again, or find out who wrote this") from error


def _check_agreement(data: Mapping[str, Any]) -> None:
    account, arns = data["account"], set()
    for number, user in enumerate(data["users"]):
        _check_user(user, account, f"intents.users[{number}]")
        if user["arn"] in arns:
            raise ValueError(f"intents.users[{number}] stands twice: {user['arn']}")
        arns.add(user["arn"])
    if len(data["policies"]) > _POLICIES:
        raise ValueError(f"intents.policies has more than {_POLICIES}")
    for arn in data["policies"]:
        owner = arn.split(":")[4]
        if owner not in ("aws", account):
            raise ValueError(f"intents.policies has {arn}, which is not of account {account}")
    if data["derive"] is not None:
        parse_acceptances(data["derive"], "intents.derive")
    elif data["permission-set"] is not None:
        _check_mark(data["permission-set"])


def _check_mark(wanted: Mapping[str, Any]) -> None:
    key, value = MANAGED_TAG
    if wanted["tags"].get(key) != value:
        raise ValueError(f"intents.permission-set.tags lacks the mark {key}={value}")


def _check_user(user: Mapping[str, Any], account: str, place: str) -> None:
    found = _USER_ARN.fullmatch(user["arn"])
    if found is None or found.group(2) != account or found.group(3) != user["user"]:
        raise ValueError(
            f"{place}: {user['arn']} is not the ARN of user {user['user']} of account {account}, whose intents these "
            "are"
        )
    detail = user["detail"]
    if detail is None:
        return
    told = (detail["UserName"], detail["UserId"], detail["Arn"])
    if told != (user["user"], user["unique-id"], user["arn"]):
        raise ValueError(f"{place}.detail is of {detail['Arn']} ({detail['UserId']}), not of {user['arn']}")
