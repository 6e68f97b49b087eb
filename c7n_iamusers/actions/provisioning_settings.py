# SPDX-License-Identifier: Apache-2.0
"""What a policy says to ``provision-identity-center``, checked and turned into records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from c7n_iamusers.actions.identity_settings import IdentitySettings
from c7n_iamusers.aws.access_control_attributes import PERMISSION
from c7n_iamusers.decisions.derivation.acceptances import acceptance_data, parse_acceptances
from c7n_iamusers.decisions.permission_set_settings import duration_seconds, parse_permission_set
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.model.identity_center import PermissionSet
from c7n_iamusers.model.intents import Intents

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
_VARIABLE = re.compile(r"\{(\w+)\}")
#: `custodian validate` sees variables before they are expanded; these have the form of what they stand for.
_STAND_INS = {"account_id": "0" * 12, "partition": "aws", "region": "us-east-1"}
APPLY, INTENT = "apply", "intent"


class ProvisioningSettings:
    """``data``: the action's part of the policy; ``where`` names it in errors."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data, self._where = data, where
        self.identity = IdentitySettings(data, where)

    @property
    def mode(self) -> str:
        """APPLY or INTENT."""
        return str(self._data.get("mode", APPLY))

    @property
    def derives(self) -> bool:
        """Whether permission sets are derived from what users may do."""
        return bool(self._data.get("derive"))

    def check(self, in_lambda: bool) -> None:
        """Raises InvalidPolicyData for what can be told without AWS, before variables are expanded."""
        self.identity.check(in_lambda)
        self._check_ways()
        if in_lambda and self.mode == INTENT:
            raise InvalidPolicyData(
                f"{self._where}: mode: intent leaves a file, which does not outlive a Lambda: use mode: apply, or run "
                "the policy with c7n-org"
            )
        if self.derives:
            self._derivation()
            return
        settings = self._data["permission-set"]
        if in_lambda and "inline-policy-file" in settings:
            raise InvalidPolicyData(
                f"{self._where}: permission-set: inline-policy-file does not travel into AWS Lambda: use inline-policy"
            )
        self._permission_set(_stood_in(settings))

    def intents(self, account_id: str, policy: str) -> Intents:
        """What is asked for, its users yet to be filled in. Raises InvalidPolicyData, also for variables left over."""
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
        )

    def _check_ways(self) -> None:
        given = {key for key in ("group", "permission-set", "shared-group") if key in self._data}
        if self.derives and given:
            raise InvalidPolicyData(
                f"{self._where}: derive names sets and groups itself: leave out {', '.join(sorted(given))}"
            )
        if not self.derives and not {"group", "permission-set"} <= given:
            raise InvalidPolicyData(f"{self._where}: give either group and permission-set, or derive: true")

    def _derivation(self) -> dict[str, Any]:
        return derivation_settings(self._data["derive"], self._where)

    def _permission_set(self, settings: Mapping[str, Any]) -> PermissionSet:
        return permission_set_of(settings, f"{self._where}: permission-set")


def derivation_settings(derive: Any, where: str) -> dict[str, Any]:
    """The options of a policy's ``derive:``, none for true. Raises InvalidPolicyData."""
    options = {} if derive is True else dict(derive)
    duration = options.get("session-duration", "PT1H")
    if not 3600 <= (duration_seconds(duration) or 0) <= 12 * 3600:
        raise InvalidPolicyData(
            f"{where}: derive: session-duration {duration!r} must be an ISO 8601 duration from PT1H to PT12H"
        )
    accepted = parse_acceptances(options, f"{where}: derive")
    return {**options, "accept": [acceptance_data(each) for each in accepted]} if accepted else options


def asked_for_tags(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The IAM action that ``derive: {username-tag: ...}`` needs beside the others; none without it."""
    derive = data.get("derive")
    return (PERMISSION,) if isinstance(derive, Mapping) and derive.get("username-tag") else ()


def permission_set_of(settings: Mapping[str, Any], where: str) -> PermissionSet:
    """The permission set of a policy's ``permission-set:``. Raises InvalidPolicyData with every fault."""
    if {"inline-policy", "inline-policy-file"} <= settings.keys():
        raise InvalidPolicyData(f"{where}: give either inline-policy or inline-policy-file, not both")
    if "inline-policy-file" in settings:
        path = Path(settings["inline-policy-file"])
        return parse_permission_set(
            settings, _read_document(path, where), where, f"{where}: inline-policy-file {path}"
        )
    return parse_permission_set(settings, settings.get("inline-policy"), where, f"{where}: inline-policy")


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
