# SPDX-License-Identifier: Apache-2.0
"""The options of ``provision-identity-center``: their JSON Schema, checks and records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from c7n.filters.core import ValueFilter
from c7n.utils import jmespath_compile
from jmespath.exceptions import JMESPathError

from c7n_iamusers.derivation.model import PER_ACCOUNT, PER_MAP, acceptance_data, parse_acceptances
from c7n_iamusers.derivation.permission_set import PermissionSet, duration_seconds, parse_permission_set
from c7n_iamusers.evidence.working_credentials import WorkingCredentials
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.identity_center.aws.instance import PERMISSION
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority, with_own_people
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.identity_center.requests.people import Candidate, Identity, from_email, identify
from c7n_iamusers.identity_center.requests.people_file import (
    KEYS,
    USER_ID,
    PeopleMap,
    PersonRow,
    parse_people,
)
from c7n_iamusers.plugins.resources import subject_of
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.wording import folded

#: For keys that CreateUser needs and a policy may leave out.
_DEFAULT_KEY = "UserName"
_TAG = "tag:"
#: The keys that identify a person. Tags that contradict the people file in these are reported.
_IDENTIFYING = ("username", "email")


class IdentitySettings:
    """The options for people. ``data``: of the plugin, with ``user`` and ``people-from``. ``where``: for errors."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where = data, where
        self._values = ValueFilter({})

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """Key of a person -> the c7n keys to try for it, in order."""
        given = {"given-name": _DEFAULT_KEY, "family-name": _DEFAULT_KEY, "display-name": _DEFAULT_KEY}
        keys = {**given, **self._data.get("user", {})}
        return {name: _listed(keys.get(name, ())) for name in KEYS}

    @property
    def only_file(self) -> bool:
        """Whether only users in the people file have a person."""
        found = self._data.get("people-from", "")
        return not isinstance(found, str) and bool(found.get("only", False))

    def authority(self) -> PeopleAuthority:
        """The authority on people by these options. Raises InvalidPolicyData."""
        return PeopleAuthority(
            self.people(),
            self._tags("email"),
            tuple(self._data.get("email-domains", ())),
            only_file=self.only_file,
            username_tags=self._tags("username"),
        )

    @property
    def naming_tags(self) -> tuple[str, ...]:
        """The keys of the tags that may say who a person is; none if only the people file does."""
        return () if self.only_file else tuple(key for name in _IDENTIFYING for key in self._tags(name))

    def _tags(self, name: str) -> tuple[str, ...]:
        return tuple(key.removeprefix(_TAG) for key in self.keys[name] if key.startswith(_TAG))

    @property
    def _path(self) -> str:
        found = self._data.get("people-from", "")
        return str(found if isinstance(found, str) else found["file"])

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for faults that can be found before variables are expanded."""
        if "user" not in self._data and not self.only_file:
            raise InvalidPolicyData(
                f"{self._where}: give user, or people-from with only: true, to say who the users' people are"
            )
        for name, keys in self.keys.items():
            for key in keys:
                self._check_key(name, key)
        if self._path and in_lambda:
            raise InvalidPolicyData(f"{self._where}: people-from is not available in AWS Lambda: use tags")
        if "{" not in self._path:
            self.people()

    def people(self) -> PeopleMap | None:
        """The people of the file; None if there is no file. Raises InvalidPolicyData."""
        if "people-from" not in self._data:
            return None
        path = Path(self._path)
        try:
            data = read_given(path)
        except OSError as error:
            raise InvalidPolicyData(
                f"{self._where}: people-from {path.absolute()} can't be read: {error}; it is looked up from the "
                "directory in which Cloud Custodian runs"
            ) from error
        return parse_people(str(path), data)

    def candidates(
        self, resources: list[dict[str, Any]], account_id: str, people: PeopleMap | None
    ) -> list[Candidate]:
        """A candidate for each of ``resources``, in their order."""
        users = [(subject_of(resource), self._identity(resource, people)) for resource in resources]
        return identify(users, account_id, self._data.get("email-domains", ()))

    def names_in(self, people: PeopleMap | None) -> Callable[[Mapping[str, Any]], frozenset[str]]:
        """Reads the usernames and e-mails of the person of any user of the account, folded.

        It takes botocore's ``UserDetail``.
        """

        def names(detail: Mapping[str, Any]) -> frozenset[str]:
            found = self._identity(detail, people)
            if self.only_file and not found.on_file:
                return frozenset()
            own = () if found.on_file else (str(detail["UserName"]),)
            return frozenset(map(folded, (*own, *(found.texts[name] for name in _IDENTIFYING))))

        return names

    def _identity(self, resource: Mapping[str, Any], people: PeopleMap | None) -> Identity:
        texts = {name: self._first(keys, resource) for name, keys in self.keys.items()}
        origins = {name: " or ".join(keys) for name, keys in self.keys.items()}
        found = Identity(texts, origins)
        if people is None:
            return found
        subject = subject_of(resource)
        try:
            row = people.find(subject.account_id, subject.name)
        except InvalidPolicyData as error:
            return replace(found, problem=str(error))
        if row:
            return self._mapped(resource, texts, f"{people.name}, line {row.line}", row)
        missing = (
            f"{people.name} has no row for it, and people-from says only: true: add one, or leave it out"
        )
        return replace(found, problem=missing) if self.only_file else found

    def _mapped(
        self, resource: Mapping[str, Any], found: Mapping[str, str], place: str, row: PersonRow
    ) -> Identity:
        """The person of a row. Missing names come from the keys of ``user``, or else from the e-mail."""
        named = () if self.only_file else tuple(self._data.get("user", {}))
        keyed = {name: found[name] for name in named if name not in _IDENTIFYING and found[name]}
        given = {name: text for name in KEYS if (text := row.texts.get(name))}
        texts = {**from_email(given["email"]), **keyed, **given}
        against = []
        for name in _IDENTIFYING:
            tags = tuple(f"{_TAG}{key}" for key in self._tags(name))
            tagged = self._first(tags, resource)
            if tagged and folded(tagged) != folded(texts[name]):
                against.append(f"{' or '.join(tags)}, which gives {name} {tagged!r}")
        origins, user_id = dict.fromkeys(KEYS, place), row.texts.get(USER_ID, "")
        return Identity(texts, origins, on_file=True, against=tuple(against), user_id=user_id)

    def _first(self, keys: tuple[str, ...], resource: Mapping[str, Any]) -> str:
        found = (self._values.get_resource_value(key, resource) for key in keys)
        return next((text.strip() for text in found if isinstance(text, str) and text.strip()), "")

    def _check_key(self, name: str, key: str) -> None:
        if key.startswith(_TAG) and key != _TAG:
            return
        try:
            jmespath_compile(key)
        except JMESPathError as error:
            raise InvalidPolicyData(
                f"{self._where}: user.{name}: {key!r} is neither tag:Key nor a JMESPath: {error}"
            ) from error


def user_intents(
    candidates: Iterable[Candidate],
    details: Mapping[str, Mapping[str, Any]],
    credentials: Mapping[str, WorkingCredentials],
    names_in: Callable[[Mapping[str, Any]], frozenset[str]],
) -> tuple[UserIntent, ...]:
    """The intents of ``candidates``. ``details``, ``credentials``: unique id -> ``UserDetail``, working credentials.

    ``details``: of all users of the account. ``names_in``: see ``with_own_people``.
    """
    users = (
        UserIntent(
            each.subject,
            each.person,
            each.rests_on,
            each.problem,
            details.get(each.subject.unique_id),
            each.on_file,
            credentials.get(each.subject.unique_id),
            each.user_id,
        )
        for each in candidates
    )
    return with_own_people(users, details.values(), names_in)


def _listed(keys: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (keys,) if isinstance(keys, str) else tuple(keys)


TEXT = {"type": "string", "minLength": 1}
_C7N_KEYS = {"oneOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}

USER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["username", "email"],
    "properties": dict.fromkeys(KEYS, _C7N_KEYS),
}
PEOPLE_FROM = {
    "oneOf": [
        TEXT,
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["file"],
            "properties": {"file": TEXT, "only": {"type": "boolean"}},
        },
    ]
}
EMAIL_DOMAINS = {"type": "array", "items": {"type": "string", "pattern": "^[^@\\s]+$"}, "minItems": 1}
PERMISSION_SET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": TEXT,
        "description": TEXT,
        "session-duration": TEXT,
        "relay-state": TEXT,
        "managed-policies": {"type": "array", "items": TEXT, "uniqueItems": True},
        "inline-policy": {"type": "object"},
        "inline-policy-file": TEXT,
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
#: See derivation.model.DerivationOptions.
_COUNT = {"type": "integer", "minimum": 1}
DERIVE = {
    "oneOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "session-duration": TEXT,
                "policies-per-set": _COUNT,
                "policies-per-role": _COUNT,
                "inline-characters": _COUNT,
                "inline-bytes": _COUNT,
                # no longer accepted; the parser's error says what to do
                "allow-wider": {},
                # YAML may turn expires into a date, so the parser checks the rows
                "accept": {"type": "array", "items": {"type": "object"}},
                "identity-center-mfa": {"type": "boolean"},
                "username-tag": {"type": "string"},
                "write-out": {"type": "boolean"},
                "group-by": {"enum": [PER_ACCOUNT, PER_MAP]},
            },
        },
    ]
}
#: YAML may turn expires into a date, so the parser checks the rows.
ACCEPT = {"type": "array", "items": {"type": "object"}}
REQUIRED = ["identity-source"]
PROPERTIES = {
    "mode": {"enum": ["apply", "intent"]},
    "identity-source": {"enum": ["identity-center", "external"]},
    "role": TEXT,
    "region": TEXT,
    "user": USER,
    "people-from": PEOPLE_FROM,
    "email-domains": EMAIL_DOMAINS,
    "group": {"type": "string", "minLength": 1, "maxLength": 1024},
    "shared-group": {"type": "boolean"},
    "permission-set": PERMISSION_SET,
    "derive": DERIVE,
    "accept": ACCEPT,
    "timeout": {"type": "integer", "minimum": 1},
}
PERMISSIONS = (
    "identitystore:CreateGroup",
    "identitystore:CreateGroupMembership",
    "identitystore:CreateUser",
    "identitystore:DescribeGroup",
    "identitystore:DescribeUser",
    "identitystore:GetGroupId",
    "identitystore:GetGroupMembershipId",
    "identitystore:GetUserId",
    "identitystore:ListGroupMemberships",
    "identitystore:ListGroups",
    "identitystore:ListUsers",
    "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
    "sso:AttachManagedPolicyToPermissionSet",
    "sso:CreateAccountAssignment",
    "sso:CreatePermissionSet",
    "sso:DeleteInlinePolicyFromPermissionSet",
    "sso:DeletePermissionSet",
    "sso:DescribeAccountAssignmentCreationStatus",
    "sso:DescribeAccountAssignmentDeletionStatus",
    "sso:DescribeInstance",
    "sso:DescribePermissionSet",
    "sso:DescribePermissionSetProvisioningStatus",
    "sso:DetachManagedPolicyFromPermissionSet",
    "sso:GetInlinePolicyForPermissionSet",
    "sso:GetPermissionsBoundaryForPermissionSet",
    "sso:ListAccountAssignmentCreationStatus",
    "sso:ListAccountAssignmentDeletionStatus",
    "sso:ListAccountAssignments",
    "sso:ListAccountAssignmentsForPrincipal",
    "sso:ListAccountsForProvisionedPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:ListInstances",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListPermissionSetProvisioningStatus",
    "sso:ListPermissionSets",
    "sso:ListPermissionSetsProvisionedToAccount",
    "sso:ListTagsForResource",
    "sso:ProvisionPermissionSet",
    "sso:PutInlinePolicyToPermissionSet",
    "sso:PutPermissionsBoundaryToPermissionSet",
    "sso:TagResource",
    "sso:UpdatePermissionSet",
    "sts:GetCallerIdentity",
)


_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
_VARIABLE = re.compile(r"\{(\w+)\}")
#: Values for variables in `custodian validate`, which runs before they are expanded.
_VALUES = {"account_id": "0" * 12, "partition": "aws", "region": "us-east-1"}
APPLY, INTENT = "apply", "intent"


class ProvisioningSettings:
    """All options. ``data``: of the action. ``where``: for errors."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where = data, where
        self.identity = IdentitySettings(data, where)

    @property
    def mode(self) -> str:
        """APPLY or INTENT."""
        return str(self._data.get("mode", APPLY))

    @property
    def derives(self) -> bool:
        """Whether permission sets are derived from users' policies."""
        return bool(self._data.get("derive"))

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for faults that can be found without AWS, before variables are expanded."""
        self.identity.check(in_lambda)
        self._check_alternatives()
        if in_lambda and self.mode == INTENT:
            raise InvalidPolicyData(
                f"{self._where}: mode: intent writes a file, which a Lambda function does not keep: use mode: apply, "
                "or run the policy with c7n-org"
            )
        self._accepted()
        if self.derives:
            self._derivation()
            return
        settings = self._data["permission-set"]
        if in_lambda and "inline-policy-file" in settings:
            raise InvalidPolicyData(
                f"{self._where}: permission-set: inline-policy-file is not available in AWS Lambda: use inline-policy"
            )
        self._permission_set(_with_values(settings))

    def intents(self, account_id: str, policy: str) -> Intents:
        """The intents without users. Raises InvalidPolicyData, also for undefined variables."""
        settings, role = self._data.get("permission-set") or {}, self._data.get("role", "")
        for text in (
            role,
            self._data.get("group", ""),
            settings.get("name", ""),
            settings.get("description", ""),
        ):
            if left := _VARIABLE.search(text):
                raise InvalidPolicyData(f"{self._where}: {text!r} has the undefined variable {left.group(0)}")
        if role and not _ROLE.fullmatch(role):
            raise InvalidPolicyData(
                f"{self._where}: role {role!r} is not the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)"
            )
        return Intents(
            account_id,
            policy,
            (),
            external=self._data["identity-source"] == "external",
            shared_group=self._data.get("shared-group", False),
            group=self._data.get("group", ""),
            permission_set=None if self.derives else self._permission_set(settings),
            derive=self._derivation() if self.derives else None,
            accept=self._accepted(),
        )

    def _check_alternatives(self) -> None:
        given = {key for key in ("group", "permission-set", "shared-group") if key in self._data}
        if self.derives and given:
            raise InvalidPolicyData(
                f"{self._where}: derive names sets and groups itself: leave out {', '.join(sorted(given))}"
            )
        if self.derives and "accept" in self._data:
            raise InvalidPolicyData(
                f"{self._where}: accept is for a permission set by name: write it as derive: {{accept: [...]}}"
            )
        if not self.derives and not {"group", "permission-set"} <= given:
            raise InvalidPolicyData(f"{self._where}: give either group and permission-set, or derive: true")

    def _accepted(self) -> tuple[dict[str, str], ...]:
        """The rows of ``accept:``. Raises InvalidPolicyData."""
        rows = parse_acceptances({"accept": self._data.get("accept", ())}, self._where, for_all=True)
        return tuple(acceptance_data(each) for each in rows)

    def _derivation(self) -> dict[str, Any]:
        return derivation_settings(self._data["derive"], self._where)

    def _permission_set(self, settings: Mapping[str, Any]) -> PermissionSet:
        return permission_set_of(settings, f"{self._where}: permission-set")


def derivation_settings(derive: Any, where: str) -> dict[str, Any]:
    """The options of ``derive:``; empty for true. Raises InvalidPolicyData."""
    options = {} if derive is True else dict(derive)
    duration = options.get("session-duration", "PT1H")
    if not 3600 <= (duration_seconds(duration) or 0) <= 12 * 3600:
        raise InvalidPolicyData(
            f"{where}: derive: session-duration {duration!r} must be an ISO 8601 duration from PT1H to PT12H"
        )
    accepted = parse_acceptances(options, f"{where}: derive")
    return {**options, "accept": [acceptance_data(each) for each in accepted]} if accepted else options


def username_tag_permission(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The IAM action that ``derive: {username-tag: ...}`` needs; empty without it."""
    derive = data.get("derive")
    return (PERMISSION,) if isinstance(derive, Mapping) and derive.get("username-tag") else ()


def permission_set_of(settings: Mapping[str, Any], where: str) -> PermissionSet:
    """The permission set of ``permission-set:``. Raises InvalidPolicyData with all faults."""
    if {"inline-policy", "inline-policy-file"} <= settings.keys():
        raise InvalidPolicyData(f"{where}: give either inline-policy or inline-policy-file, not both")
    if "inline-policy-file" in settings:
        path = Path(settings["inline-policy-file"])
        return parse_permission_set(
            settings, _read_document(path, where), where, f"{where}: inline-policy-file {path}"
        )
    return parse_permission_set(settings, settings.get("inline-policy"), where, f"{where}: inline-policy")


def _with_values(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_values(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_values(part) for part in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _VALUES.get(found.group(1), "x"), value)
    return value


def _read_document(path: Path, where: str) -> Any:
    try:
        return read_json(read_given(path))
    except NotInFormat as error:
        raise InvalidPolicyData(f"{where}: inline-policy-file {path}, {error}") from error
    except OSError as error:
        raise InvalidPolicyData(
            f"{where}: inline-policy-file {path.absolute()} can't be read: {error}; it is looked up from the directory "
            "in which Cloud Custodian runs"
        ) from error
