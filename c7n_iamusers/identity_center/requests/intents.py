# SPDX-License-Identifier: Apache-2.0
"""Intents, as a record and as JSON: one policy's requests in Identity Center for the users of one account.

Whoever can write a file of intents can claim anything in it. ``check_intents`` checks its form and that its parts
agree. Limits: botocore's shapes of iam (CreateUser, UserDetail), sso-admin (CreatePermissionSet) and identitystore
(CreateUser), and the quotas of both services.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Any

from c7n_iamusers.derivation.acceptances import parse_acceptances
from c7n_iamusers.derivation.model import PER_ACCOUNT, PER_MAP
from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG, PermissionSet, duration_seconds
from c7n_iamusers.evidence.working_credentials import WorkingCredentials
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.text import validators
from c7n_iamusers.text.documents import read_json
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import quoted, visible

#: The file in a policy's output directory, and its version.
INTENTS_FILE, INTENTS_SCHEMA = "identity-center-intents.json", 3
_OTHER_SCHEMA = f"schema {{}} is not {INTENTS_SCHEMA}: run the policies again with this version"
#: The outcome of a user whose access is requested by intents.
INTENDED = "intended"


@dataclass(frozen=True, slots=True)
class UserIntent:
    """An IAM user and its person, or, as ``problem``, why it has none.

    ``rests_on``: the source of username and e-mail, in words. ``on_file``: they are from the file of ``people-from``,
    so tags don't count. ``detail``: botocore's ``UserDetail``, to compare with the permission set. ``credentials``:
    what the user can sign in with; None if unknown. ``user_id``: the person's in the identity store, from that file.
    """

    subject: Subject
    person: Person | None
    rests_on: str = ""
    problem: str = ""
    detail: Mapping[str, Any] | None = None
    on_file: bool = False
    credentials: WorkingCredentials | None = None
    user_id: str = ""


@dataclass(frozen=True)
class Intents:
    """The requested access, by ``group`` and ``permission_set`` or by ``derive``, the policy's derivation options.

    ``place``: the directory of the file, relative to the output; ``time``: when the users were read, in UTC. Both are
    empty if there is no file. ``source``: policies and groups of the account, for the comparison. ``accept``: rows of
    ``accept:`` in a policy without ``derive``.
    """

    account_id: str
    policy: str
    users: tuple[UserIntent, ...]
    external: bool = False
    shared_group: bool = False
    group: str = ""
    permission_set: PermissionSet | None = None
    derive: Mapping[str, Any] | None = None
    source: PolicySource = field(default_factory=PolicySource)
    place: str = ""
    time: datetime | None = None
    accept: tuple[Mapping[str, Any], ...] = ()


_PERSON_KEYS = ("username", "email", "given_name", "family_name", "display_name")


class NotIntents(ValueError):
    """The document has no intents of this version; the text says why."""


def intents_data(intents: Intents) -> dict[str, Any]:
    """The document of ``intents``, without their place."""
    return {
        "schema": INTENTS_SCHEMA,
        "time": intents.time.isoformat() if intents.time else None,
        "account": intents.account_id,
        "policy": intents.policy,
        "identity-source": "external" if intents.external else "identity-center",
        "shared-group": intents.shared_group,
        "group": intents.group,
        "permission-set": permission_set_data(intents.permission_set) if intents.permission_set else None,
        "derive": dict(intents.derive) if intents.derive is not None else None,
        "accept": [dict(each) for each in intents.accept],
        "users": [_user_data(user) for user in intents.users],
        "groups": dict(intents.source.groups),
        "policies": dict(intents.source.policies),
    }


def intents_from(data: Any, place: str = "") -> Intents:
    """The intents of a document. Raises NotIntents."""
    if not isinstance(data, Mapping) or data.get("schema") != INTENTS_SCHEMA:
        version = data.get("schema") if isinstance(data, Mapping) else None
        raise NotIntents(_OTHER_SCHEMA.format(quoted(version)))
    try:
        return _intents(data, place)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotIntents(f"{type(error).__name__}: {error}: run the policies again") from error


def permission_set_data(requested: PermissionSet) -> dict[str, Any]:
    """The document of a permission set."""
    return {
        "name": requested.name,
        "description": requested.description,
        "session_duration": requested.session_duration,
        "relay_state": requested.relay_state,
        "managed_policies": sorted(requested.managed_policies),
        "inline_policy": requested.inline_policy,
        "tags": dict(requested.tags),
        "customer_policies": sorted(requested.customer_policies),
        "boundary": requested.boundary,
    }


def permission_set_from(data: Mapping[str, Any]) -> PermissionSet:
    """The permission set of a document. Raises KeyError, TypeError for a malformed one."""
    sets = ("managed_policies", "customer_policies")
    return PermissionSet(**{**data, **{name: frozenset(data[name]) for name in sets}})


def _user_data(user: UserIntent) -> dict[str, Any]:
    subject = user.subject
    return {
        "user": subject.name,
        "arn": subject.arn,
        "unique-id": subject.unique_id,
        "person": {name: getattr(user.person, name) for name in _PERSON_KEYS} if user.person else None,
        "rests-on": user.rests_on,
        "problem": user.problem,
        "detail": dict(user.detail) if user.detail is not None else None,
        "on-file": user.on_file,
        "user-id": user.user_id,
        "credentials": user.credentials.as_data() if user.credentials else None,
    }


def _intents(data: Mapping[str, Any], place: str) -> Intents:
    requested, derive, time = data["permission-set"], data["derive"], moment(data["time"])
    if time is None:
        raise ValueError(f"time {quoted(data['time'])} is not a time")
    if (requested is None) == (derive is None):
        raise ValueError("either a permission set or its derivation must be requested")
    return Intents(
        account_id=data["account"],
        policy=data["policy"],
        users=tuple(_user(user) for user in data["users"]),
        external={"external": True, "identity-center": False}[data["identity-source"]],
        shared_group=bool(data["shared-group"]),
        group=data["group"],
        permission_set=permission_set_from(requested) if requested is not None else None,
        derive=derive,
        source=PolicySource(data["groups"], data["policies"]),
        place=place,
        time=time,
        accept=tuple(data["accept"]),
    )


def _user(data: Mapping[str, Any]) -> UserIntent:
    person = data["person"]
    if (person is None) != bool(data["problem"]):
        raise ValueError(f"user {data['user']} must have either a person or a problem")
    if person is not None and person["email"] == person["username"]:
        # One object for both texts: there may be 80,000 people.
        person = {**person, "email": person["username"]}
    subject, detail = Subject(data["user"], data["arn"], data["unique-id"]), data["detail"]
    if detail is not None:
        # One object for equal texts: there may be 80,000 users.
        named = {"UserName": subject.name, "Arn": subject.arn, "UserId": subject.unique_id}
        detail = {**detail, **{key: text for key, text in named.items() if detail.get(key) == text}}
    return UserIntent(
        subject,
        Person(**person) if person is not None else None,
        intern(data["rests-on"]),
        data["problem"],
        detail,
        data["on-file"],
        _shared(WorkingCredentials.from_data(data["credentials"])) if data["credentials"] else None,
        data["user-id"],
    )


@lru_cache(maxsize=4096)
def _shared(credentials: WorkingCredentials) -> WorkingCredentials:
    """One object for equal ones: there may be 80,000 users."""
    return credentials


_USERS, _POLICIES = 5_000, 50_000
_SHORTEST, _LONGEST = 3600, 12 * 3600
_ANY, _SHOWN = validators.text(8192), 400
_USER_ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):user/(?:[!-~]+/)?([\w+=,.@-]{1,64})", re.ASCII)
_POLICY_ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}|aws):policy/[!-~]{1,512}", re.ASCII)
_POLICY_ARN_TEXT = validators.text(2048, _POLICY_ARN.pattern)
_CUSTOMER_OR_AWS = validators.text(2048, rf"{_POLICY_ARN.pattern}|/(?:[!-~]+/)?[\w+=,.@-]{{1,128}}")


def _duration(value: Any, place: str) -> None:
    validators.text(20)(value, place)
    if not _SHORTEST <= (duration_seconds(value) or 0) <= _LONGEST:
        raise ValueError(f"{place} {quoted(value)} must be an ISO 8601 duration from PT1H to PT12H")


_INLINE = validators.listing(
    validators.record({"PolicyName": validators.text(128), "PolicyDocument": validators.document}), 1000
)
_ATTACHED = validators.listing(
    validators.record({"PolicyArn": _POLICY_ARN_TEXT}, {"PolicyName": validators.text(128)}), 100
)
_DETAIL = validators.record(
    {"UserName": validators.text(64), "UserId": validators.text(128), "Arn": validators.text(2048)},
    {
        "UserPolicyList": _INLINE,
        "GroupList": validators.listing(validators.text(128), 100),
        "AttachedManagedPolicies": _ATTACHED,
        "PermissionsBoundary": validators.record(
            {"PermissionsBoundaryArn": _POLICY_ARN_TEXT}, {"PermissionsBoundaryType": _ANY}
        ),
        "Tags": validators.listing(
            validators.record({"Key": validators.text(128), "Value": validators.text(256)}), 50
        ),
    },
)
_NAME = validators.text(1024, shortest=1)
_PERSON_SHAPE = validators.record(
    {
        "username": validators.text(128, shortest=1),
        "email": validators.text(254, shortest=3),
        "given_name": _NAME,
        "family_name": _NAME,
        "display_name": _NAME,
    }
)
_NAMES = validators.listing(validators.text(128), 50)
_CREDENTIALS = validators.record(
    {
        "kinds": _NAMES,
        "services": _NAMES,
        "unread": _NAMES,
        "problem": _ANY,
        "mfa": validators.one_of(True, False, None),
        "as-of": validators.maybe(validators.text(40)),
    }
)
_USER = validators.record(
    {
        "user": validators.text(64, r"[\w+=,.@-]{1,64}"),
        "arn": validators.text(2048, _USER_ARN.pattern),
        "unique-id": validators.text(128, r"[\w+=,.@-]+"),
        "person": validators.maybe(_PERSON_SHAPE),
        "rests-on": _ANY,
        "problem": _ANY,
        "detail": validators.maybe(_DETAIL),
        "on-file": validators.one_of(True, False),
        "user-id": validators.text(64),
        "credentials": validators.maybe(_CREDENTIALS),
    }
)
_ACCEPT = validators.listing(validators.mapping(validators.text(16), validators.text(1024)), 10_000)
_PERMISSION_SET = validators.record(
    {
        "name": validators.text(32, r"[\w+=,.@-]{1,32}"),
        "description": validators.text(700),
        "session_duration": _duration,
        "relay_state": validators.text(240),
        "managed_policies": validators.listing(_POLICY_ARN_TEXT, 50),
        "inline_policy": validators.text(32_768),
        "tags": validators.mapping(validators.text(128), validators.text(256)),
        "customer_policies": validators.listing(_CUSTOMER_OR_AWS, 50),
        "boundary": lambda value, place: _CUSTOMER_OR_AWS(value, place) if value != "" else None,
    }
)
_DERIVE = validators.record(
    {},
    {
        "session-duration": _duration,
        **dict.fromkeys(("policies-per-set", "policies-per-role"), validators.whole(1)),
        **dict.fromkeys(("inline-characters", "inline-bytes"), validators.whole(1)),
        **dict.fromkeys(("identity-center-mfa", "write-out"), validators.one_of(True, False)),
        "username-tag": validators.text(128),
        "group-by": validators.one_of(PER_ACCOUNT, PER_MAP),
        "accept": _ACCEPT,
    },
)
_INTENTS: validators.Shape = validators.record(
    {
        "schema": validators.one_of(INTENTS_SCHEMA),
        "time": validators.text(40),
        "account": validators.account_id,
        "policy": validators.text(128, r"[\w-]+"),
        "identity-source": validators.one_of("external", "identity-center"),
        "shared-group": validators.one_of(True, False),
        "group": validators.text(1024),
        "permission-set": validators.maybe(_PERMISSION_SET),
        "derive": validators.maybe(_DERIVE),
        "accept": _ACCEPT,
        "users": validators.listing(_USER, _USERS),
        "groups": validators.mapping(
            validators.text(128),
            validators.record({"GroupPolicyList": _INLINE, "AttachedManagedPolicies": _ATTACHED}),
        ),
        "policies": validators.mapping(_POLICY_ARN_TEXT, validators.document),
    }
)


def check_intents(data: Any) -> None:
    """Raises NotIntents, with the place and the fault, for data that are no intents, or with parts that don't agree."""
    version = data.get("schema") if isinstance(data, dict) else None
    if version != INTENTS_SCHEMA:
        raise NotIntents(_OTHER_SCHEMA.format(quoted(version)))
    try:
        _INTENTS(data, "intents")
        _check_agreement(data)
    except (ValueError, InvalidPolicyData) as error:
        raise NotIntents(f"{error}: run the policies again, or find out who wrote this") from error


def readable(intents: Intents) -> Intents:
    """``intents``, in which users that ``check_intents`` would refuse have that as ``problem`` and no person.

    Otherwise one such user would stop the users of all accounts, because a file of intents counts as a whole.
    """
    return replace(intents, users=tuple(_readable(user, intents.account_id) for user in intents.users))


def _readable(user: UserIntent, account_id: str) -> UserIntent:
    try:
        data = read_json(json.dumps(_user_data(user), default=str))
        _USER(data, "it")
        _check_user(data, account_id, "it")
    except ValueError as error:
        problem = f"its intents could not be read again ({visible(str(error))[:_SHOWN]}): correct the user"
        return UserIntent(user.subject, None, problem=problem)
    return user


def _check_agreement(data: Mapping[str, Any]) -> None:
    account, arns = data["account"], set()
    for number, user in enumerate(data["users"]):
        _check_user(user, account, f"intents.users[{number}]")
        if user["arn"] in arns:
            raise ValueError(f"intents.users[{number}] is a duplicate: {user['arn']}")
        arns.add(user["arn"])
    if len(data["policies"]) > _POLICIES:
        raise ValueError(f"intents.policies has more than {_POLICIES}")
    for arn in data["policies"]:
        owner = arn.split(":")[4]
        if owner not in ("aws", account):
            raise ValueError(f"intents.policies has {arn}, which is not of account {account}")
    _check_acceptances(data)
    if data["permission-set"] is not None:
        _check_tag(data["permission-set"])


def _check_acceptances(data: Mapping[str, Any]) -> None:
    if data["derive"] is None:
        parse_acceptances({"accept": data["accept"]}, "intents.accept", for_all=True)
    elif data["accept"]:
        raise ValueError("intents.accept is for a permission set by name: derive has its own")
    else:
        parse_acceptances(data["derive"], "intents.derive")


def _check_tag(requested: Mapping[str, Any]) -> None:
    key, value = MANAGED_TAG
    if requested["tags"].get(key) != value:
        raise ValueError(f"intents.permission-set.tags lacks {key}={value}")


def _check_user(user: Mapping[str, Any], account: str, place: str) -> None:
    found = _USER_ARN.fullmatch(user["arn"])
    if found is None or found.group(2) != account or found.group(3) != user["user"]:
        raise ValueError(
            f"{place}: {user['arn']} is not the ARN of user {user['user']} of account {account}, as the intents say"
        )
    detail = user["detail"]
    if detail is None:
        return
    identity = (detail["UserName"], detail["UserId"], detail["Arn"])
    if identity != (user["user"], user["unique-id"], user["arn"]):
        raise ValueError(
            f"{place}.detail belongs to {detail['Arn']} ({detail['UserId']}), not to {user['arn']}"
        )
