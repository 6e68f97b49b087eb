# SPDX-License-Identifier: Apache-2.0
"""Policy documents in the forms that APIs and tools return. Pure.

The forms are objects, JSON or URL-encoded text, and single values or lists. Grammar: "Grammar of the IAM JSON policy
language" (IAM User Guide).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from c7n_iamusers.iam.attachments import ATTACHED_POLICY, PERMISSIONS_BOUNDARY
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.text.documents import DEEPEST, LONGEST_NUMBER, NotInFormat, read_json


def canonical_policy(document: object) -> str:
    """A policy document as JSON in canonical form: sorted keys, no white space."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


#: What IAM accepts in a document only as a JSON escape: all beyond U+00FF, by the pattern of PutUserPolicy's
#: PolicyDocument (IAM API reference). JSON itself escapes control characters.
_BEYOND = re.compile("[^\x00-\xff]")


def written_policy(document: Any) -> str:
    """A policy document, as data or as JSON, as IAM takes it: compact, and escaped in JSON where IAM demands that.

    Nothing else is escaped, since each character counts in the quotas.
    """
    text = (
        document
        if isinstance(document, str)
        else json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    )
    return _BEYOND.sub(lambda found: json.dumps(found[0])[1:-1], text)


#: The members of botocore's shapes that are policy documents. botocore decodes them with the limits of Python alone.
_DOCUMENTS = frozenset({"PolicyDocument", "AssumeRolePolicyDocument", "Document"})
#: What ``read_json`` may refuse in the output of json.dumps. A hit only costs a closer look.
_SUSPECT = re.compile(rf"\\ud[89a-f]|[0-9]{{{LONGEST_NUMBER}}}|Infinity|NaN")


def with_texts(answer: Any) -> Any:
    """A response of IAM in which each policy document that ``read_json`` would refuse is kept as its text.

    So it is written and restored unchanged, and parsing it raises an error. Changes ``answer`` in place.
    """
    left = [answer]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += [item for item in each if isinstance(item, dict | list)]
            continue
        for key, value in each.items():
            if key in _DOCUMENTS and isinstance(value, dict | str):
                each[key] = as_read(value)
            elif isinstance(value, dict | list):
                left.append(value)
    return answer


def as_read(document: Any) -> Any:
    """``document``, or its JSON text where ``read_json`` would refuse that."""
    if isinstance(document, str):
        # botocore leaves a document as it came, URL-encoded, where Python can't decode it
        return unquote(document) if document.startswith("%7B") else document
    text = json.dumps(document)
    if _SUSPECT.search(text) or text.count("{") + text.count("[") > DEEPEST:
        try:
            read_json(text)
        except NotInFormat:
            return text
    return document


def json_fault(text: str) -> str:
    """Why ``text``, which may be URL-encoded, is not JSON, whatever its size; empty if it is JSON."""
    for each in (text, unquote(text)):
        try:
            json.loads(each, parse_int=str, parse_float=str, parse_constant=_no_constant)
            return ""
        except RecursionError:
            return "it is nested too deeply"
        except ValueError as error:
            fault = str(error)
    return fault


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def comparable(document: Any) -> Any:
    """``document`` as data; its text where it does not parse. Equal documents are equal in either form."""
    try:
        return decoded(as_read(document))
    except ValueError:
        return document if isinstance(document, str) else json.dumps(document)


def default_documents(policies: Iterable[Item]) -> dict[str, Any]:
    """ARN -> document of the default version, from botocore's ``ManagedPolicyDetail``. Others are left out."""
    found: dict[str, Any] = {}
    for policy in policies:
        for version in objects(policy.get("PolicyVersionList")):
            if _is_default(policy, version) and "Document" in version:
                found[str(policy.get("Arn"))] = version["Document"]
    return found


@dataclass(frozen=True)
class PolicyVersion:
    """The default version of a managed policy. ``version``: such as ``v3``. ``text``: its document, canonical."""

    arn: str
    version: str
    text: str

    @classmethod
    def of(cls, arn: str, version: str, document: object) -> PolicyVersion:
        """The version ``version`` of the policy ``arn``, whose ``document`` is as botocore returns it."""
        return cls(arn, version, canonical_policy(document))

    @property
    def digest(self) -> str:
        """The SHA-256 of ``text``, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def default_version(policy: Item) -> PolicyVersion | None:
    """The default version in a ``ManagedPolicyDetail``; None if its document is not in it."""
    for version in objects(policy.get("PolicyVersionList")):
        if _is_default(policy, version) and "Document" in version:
            return PolicyVersion.of(str(policy["Arn"]), str(version["VersionId"]), version["Document"])
    return None


def policy_arns(user: IamUser, groups: Iterable[Item]) -> list[str]:
    """The ARNs of the managed policies of ``user``, its ``groups`` (``GroupDetail``) and its boundary, sorted."""
    held = [str(item["PolicyArn"]) for item in user.attachments[ATTACHED_POLICY.name]]
    held += [str(item["PermissionsBoundaryArn"]) for item in user.attachments[PERMISSIONS_BOUNDARY.name]]
    held += [
        str(item["PolicyArn"]) for group in groups for item in group.get("AttachedManagedPolicies") or ()
    ]
    return sorted(set(held))


def _is_default(policy: Item, version: Item) -> bool:
    default = policy.get("DefaultVersionId")
    return version.get("VersionId") == default if default else bool(version.get("IsDefaultVersion"))


#: The name, without version (V2, V3), of the policy that AWS attaches to a user with an exposed access key
#: ("AWSCompromisedKeyQuarantineV3", AWS Managed Policy Reference).
COMPROMISED = "AWSCompromisedKeyQuarantine"

Statement = Mapping[str, Any]


def parse_document(value: Any) -> Mapping[str, Any]:
    """A policy document, from a mapping, JSON text or URL-encoded JSON text (which IAM returns).

    Raises ValueError with what is wrong.
    """
    document = decoded(value)
    if not isinstance(document, Mapping):
        raise ValueError(f"not a policy but {type(document).__name__}")
    if "Statement" not in document:
        raise ValueError("a policy without Statement")
    return document


def decoded(value: object) -> Any:
    """``value``, parsed if it is JSON text or URL-encoded JSON text. Raises ValueError for other text."""
    document: Any = value
    # Twice, because some tools save the text as a JSON string. Decoding plain JSON as a URL would change a %20 in it.
    for decode in (read_json, read_json, _unquoted):
        if isinstance(document, str):
            try:
                document = decode(document)
            except ValueError:
                continue
    if isinstance(document, str):
        raise ValueError("neither JSON nor URL-encoded JSON")
    return document


def statements(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a document, one or several. Raises ValueError if one is not an object."""
    found = listed(document["Statement"])
    if not all(isinstance(statement, Mapping) for statement in found):
        raise ValueError("a statement that is not an object")
    return found


def listed(value: Any) -> tuple[Any, ...]:
    """The values of an element that is a single value, a list, or None."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def objects(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The values of an element that are objects; others are left out."""
    return tuple(item for item in listed(value) if isinstance(item, Mapping))


class PolicyInterner:
    """Replaces equal policies, and equal lists of policies, by one object, which must not be changed.

    80,000 users have a few hundred distinct policies; without interning, their documents take most of a run's memory.
    Thread-safe. An instance is also a hook for ``read_json``.
    """

    _KEYS = ("Statement", "PolicyDocument", "PolicyArn")
    _LISTS = ("UserPolicyList", "GroupPolicyList", "AttachedManagedPolicies", "GroupList")

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        """The interned policy equal to ``found``, or a ``UserDetail`` with interned lists. Inner objects come first."""
        if any(key in found for key in self._KEYS):
            shared: dict[str, Any] = self._known.setdefault(json.dumps(found), found)
            return shared
        for name in self._LISTS if "UserId" in found else ():
            if isinstance(listed := found.get(name), list):
                # The policies are interned already, so equal lists have the same objects.
                marks = (each if isinstance(each, str) else id(each) for each in listed)
                found[name] = self._known.setdefault((name, *marks), listed)
        return found

    def of(self, value: Any) -> Any:
        """Intern parsed JSON, such as a botocore response."""
        if isinstance(value, list):
            return [self.of(each) for each in value]
        if isinstance(value, dict):
            return self({key: self.of(each) for key, each in value.items()})
        return value


def _unquoted(text: str) -> Any:
    return read_json(unquote(text))


@dataclass(frozen=True)
class AppliedPolicy:
    """A policy that applies to a user. ``group``: the group it comes through. ``document``: None if it was not read."""

    name: str
    arn: str = ""
    group: str = ""
    document: Any = None

    @property
    def aws_managed(self) -> bool:
        """Whether AWS manages the policy: the account in its ARN is ``aws``, whatever its path is."""
        return self.arn.split(":")[2:5] == ["iam", "", "aws"]

    def __str__(self) -> str:
        return f"{self.name} through group {self.group}" if self.group else self.name


def aws_managed(name: str, partition: str) -> str:
    """The ARN of the AWS-managed policy ``name``, which has no path."""
    return f"arn:{partition}:iam::aws:policy/{name}"


def aws_deny_all(partition: str) -> str:
    """The ARN of the AWS-managed policy AWSDenyAll."""
    return aws_managed("AWSDenyAll", partition)


def is_aws_deny_all(arn: object) -> bool:
    """Whether ``arn`` is that of AWSDenyAll, in any partition."""
    return str(arn).endswith(":iam::aws:policy/AWSDenyAll")
