# SPDX-License-Identifier: Apache-2.0
"""What a policy says to ``provision-identity-center``, checked and turned into records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from c7n.filters.core import ValueFilter
from c7n.utils import jmespath_compile
from jmespath.exceptions import JMESPathError

from c7n_iamusers.decisions.people import KEYS
from c7n_iamusers.decisions.permission_set_settings import parse_permission_set
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.model.identity_center import Access, PermissionSet

#: What CreateUser needs and a policy may leave out.
_DEFAULT_KEY = "UserName"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
_VARIABLE = re.compile(r"\{(\w+)\}")
#: `custodian validate` sees variables before they are expanded; these have the form of what they stand for.
_STAND_INS = {"account_id": "0" * 12, "partition": "aws", "region": "us-east-1"}


class ProvisioningSettings:
    """``data``: the action's part of the policy; ``where`` names it in errors."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where = data, where
        self._values = ValueFilter({})

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """What of a person -> the c7n keys to try for it, in order."""
        given = {"given-name": _DEFAULT_KEY, "family-name": _DEFAULT_KEY, "display-name": _DEFAULT_KEY}
        keys = {**given, **self._data["user"]}
        return {name: (keys[name],) if isinstance(keys[name], str) else tuple(keys[name]) for name in KEYS}

    @property
    def told_keys(self) -> dict[str, str]:
        """The same in words."""
        return {name: " or ".join(keys) for name, keys in self.keys.items()}

    def texts(self, resource: Mapping[str, Any]) -> dict[str, str]:
        """What of a person -> the first text that its keys yield over the resource, empty for none."""
        return {name: self._first(keys, resource) for name, keys in self.keys.items()}

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for what can be told without AWS, before variables are expanded."""
        for name, keys in self.keys.items():
            for key in keys:
                self._check_key(name, key)
        if in_lambda and "inline-policy-file" in self._data["permission-set"]:
            raise InvalidPolicyData(
                f"{self._where}: permission-set: inline-policy-file does not travel into AWS Lambda: use inline-policy"
            )
        self._permission_set(_stood_in(self._data["permission-set"]))

    def access(self, account_id: str) -> Access:
        """What is asked for, beside people. Raises InvalidPolicyData, also for variables left unexpanded."""
        settings, role = self._data["permission-set"], self._data.get("role", "")
        for text in (role, self._data["group"], settings["name"], settings.get("description", "")):
            if left := _VARIABLE.search(text):
                raise InvalidPolicyData(f"{self._where}: {text!r} has the undefined variable {left.group(0)}")
        if role and not _ROLE.fullmatch(role):
            raise InvalidPolicyData(
                f"{self._where}: role {role!r} is not the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)"
            )
        return Access(
            account_id,
            self._data["group"],
            self._permission_set(settings),
            external=self._data["identity-source"] == "external",
            shared_group=self._data.get("shared-group", False),
        )

    def _first(self, keys: tuple[str, ...], resource: Mapping[str, Any]) -> str:
        found = (self._values.get_resource_value(key, resource) for key in keys)
        return next((text.strip() for text in found if isinstance(text, str) and text.strip()), "")

    def _check_key(self, name: str, key: str) -> None:
        if key.startswith("tag:") and key != "tag:":
            return
        try:
            jmespath_compile(key)
        except JMESPathError as error:
            raise InvalidPolicyData(
                f"{self._where}: user.{name}: {key!r} is neither tag:Key nor a JMESPath: {error}"
            ) from error

    def _permission_set(self, settings: Mapping[str, Any]) -> PermissionSet:
        where = f"{self._where}: permission-set"
        if {"inline-policy", "inline-policy-file"} <= settings.keys():
            raise InvalidPolicyData(f"{where}: give either inline-policy or inline-policy-file, not both")
        if "inline-policy-file" in settings:
            path = Path(settings["inline-policy-file"])
            document, document_where = _read_document(path, where), f"{where}: inline-policy-file {path}"
        else:
            document, document_where = settings.get("inline-policy"), f"{where}: inline-policy"
        return parse_permission_set(settings, document, where, document_where)


def _stood_in(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _stood_in(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_stood_in(part) for part in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _STAND_INS.get(found.group(1), "x"), value)
    return value


def _read_document(path: Path, where: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InvalidPolicyData(
            f"{where}: inline-policy-file {path}, line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidPolicyData(
            f"{where}: inline-policy-file {path.absolute()} can't be read: {error}; it is looked up from the directory "
            "in which Cloud Custodian runs"
        ) from error
