# SPDX-License-Identifier: Apache-2.0
"""Policies of files, as Cloud Custodian loads them, and as c7n-org fills them in for an account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from c7n_iamusers import register
from c7n_iamusers.exceptions import IdentityCenterError, InvalidPolicyData
from c7n_iamusers.identity_center.claimed_people import PeopleAuthority
from c7n_iamusers.identity_center.claimed_settings import Asked, file_of
from c7n_iamusers.identity_center.intent_files import REGION
from c7n_iamusers.identity_center.intents import Intents

_OF_PEOPLE = ("user", "people-from", "email-domains")
_ACTION, _INTENT = "provision-identity-center", "intent"
#: Partition -> the home of IAM, where neither the output nor the accounts file says a Region.
_HOMES = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


def loaded(file: Path) -> list[Any]:
    """c7n's policies of a file. Raises InvalidPolicyData where they can't be loaded."""
    from c7n.exceptions import PolicyValidationError
    from c7n.loader import PolicyLoader
    from yaml import YAMLError

    try:
        collection = PolicyLoader(_config("111122223333", "us-east-1")).load_file(str(file))
    except (PolicyValidationError, YAMLError, ValueError, TypeError, OSError) as error:
        raise InvalidPolicyData(f"{file}: {error}") from error
    return list(collection)


class FleetPolicies:
    """What the policies with ``mode: intent`` of ``files`` ask for, account by account, as c7n-org runs them.

    ``accounts``: c7n-org's accounts file, as it was loaded, for the variables; None where nobody gave it.
    """

    def __init__(self, files: Sequence[Path], accounts: Mapping[str, Any] | None) -> None:
        self._files, self._given = files, accounts
        self._authorities: dict[str, PeopleAuthority] = {}

    def __call__(self, intents: Intents) -> Asked:
        """What the policy that ``intents`` name asks for. Raises IdentityCenterError where there is none."""
        account_id, name = intents.account_id, intents.policy
        if name not in self._policies:
            raise IdentityCenterError(
                f"{file_of(intents)} (account {account_id}) is of policy {name}, and no policy of that name with "
                f"{_ACTION} and mode: intent stands in {', '.join(map(str, self._files))}: give its file too, by -u; "
                "else find out who wrote it, and remove it"
            )
        source, data = self._policies[name]
        account = self._accounts.get(account_id, {})
        try:
            action = _filled_in(data, intents, account)
            return Asked(str(source), action.asked(account_id), self._authority(action))
        except (InvalidPolicyData, ValueError, KeyError) as error:
            raise IdentityCenterError(
                f"{file_of(intents)} (account {account_id}) can't be held against policy {name} of {source}: {error}; "
                "variables come from the accounts file that you give by -c"
            ) from error

    def _authority(self, action: Any) -> PeopleAuthority:
        """A file of people is read once, whatever the number of accounts."""
        key = json.dumps([action.data.get(each) for each in _OF_PEOPLE])
        if key not in self._authorities:
            self._authorities[key] = action.authority()
        return self._authorities[key]

    @cached_property
    def _policies(self) -> Mapping[str, tuple[Path, Mapping[str, Any]]]:
        """Name -> file and data of each policy that leaves intents. Raises InvalidPolicyData."""
        from c7n.exceptions import PolicyValidationError
        from c7n.resources import load_resources

        load_resources(("aws.iam-user",))
        register()
        found: dict[str, tuple[Path, Mapping[str, Any]]] = {}
        for file in self._files:
            for policy in loaded(file):
                if (action := _action(policy)) is None:
                    continue
                if policy.name in found:
                    raise InvalidPolicyData(
                        f"policy {policy.name} stands in {found[policy.name][0]} and in {file}: give the one that ran"
                    )
                try:
                    action.validate()
                except PolicyValidationError as error:
                    raise InvalidPolicyData(f"{file}: {error}") from error
                found[policy.name] = (file, policy.data)
        return found

    @cached_property
    def _accounts(self) -> Mapping[str, Mapping[str, Any]]:
        """Account id -> the account, with the variables that it shares with all."""
        if self._given is None:
            return {}
        from jsonschema import ValidationError, validate

        try:
            from c7n_org.cli import CONFIG_SCHEMA, accounts_iterator
        except ModuleNotFoundError as error:
            raise IdentityCenterError(
                f"-u with -c fills in variables as c7n-org does, which is not installed ({error}): "
                "pip install 'c7n_iamusers[cli,org]'"
            ) from error
        try:
            validate(self._given, CONFIG_SCHEMA)
        except ValidationError as error:
            where = "/".join(map(str, error.absolute_path))
            raise InvalidPolicyData(
                f"c7n-org does not take the accounts file that you give by -c: {where}: {error.message}"
            ) from error
        return {str(each["account_id"]): each for each in accounts_iterator(deepcopy(self._given))}


def _filled_in(data: Mapping[str, Any], intents: Intents, account: Mapping[str, Any]) -> Any:
    from c7n.policy import PolicyCollection

    config = _config(intents.account_id, _region(intents, account))
    (policy,) = PolicyCollection.from_data({"policies": [deepcopy(data)]}, config)
    policy.expand_variables(policy.get_variables(dict(account.get("vars", {}))))
    return _action(policy)


def _action(policy: Any) -> Any:
    """The policy's action that leaves intents; None where it has none. Of several the last one's file stays."""
    found = [
        each
        for each in policy.resource_manager.actions
        if each.type == _ACTION and each.data.get("mode") == _INTENT
    ]
    return found[-1] if found else None


def _region(intents: Intents, account: Mapping[str, Any]) -> str:
    written = [each for each in PurePosixPath(intents.place).parts if REGION.fullmatch(each)]
    partition = intents.users[0].subject.arn.split(":")[1] if intents.users else ""
    return str(next(iter((*written, *account.get("regions", ()))), _HOMES.get(partition, "us-east-1")))


def _config(account_id: str, region: str) -> Any:
    from c7n.config import Config

    return Config.empty(region=region, account_id=account_id)
