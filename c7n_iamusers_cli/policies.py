# SPDX-License-Identifier: Apache-2.0
"""Policies from files, as Cloud Custodian loads them, with variables filled in for an account as c7n-org does it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from c7n_iamusers import register
from c7n_iamusers.exceptions import IdentityCenterError, InvalidPolicyData
from c7n_iamusers.iam.accounts import HOME_REGIONS
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority, PolicySettings, file_of
from c7n_iamusers.identity_center.requests.intent_files import REGION
from c7n_iamusers.identity_center.requests.intents import Intents

_OF_PEOPLE = ("user", "people-from", "email-domains")
#: Characters of an error of Cloud Custodian.
_SHOWN = 5_000
_ACTION, _INTENT = "provision-identity-center", "intent"


def loaded(file: Path) -> list[Any]:
    """The policies in ``file``, as c7n's objects. Raises InvalidPolicyData if they can't be loaded."""
    from c7n.exceptions import PolicyValidationError

    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.text.documents import read_json
    from c7n_iamusers.text.yaml_documents import read_yaml

    loader = _loader()
    read = read_json if file.suffix == ".json" else read_yaml
    try:
        return list(parsed_file(file, lambda content: loader.load_data(read(content), str(file))))
    except (PolicyValidationError, ValueError, RecursionError) as error:
        # a schema error may contain the whole file
        raise InvalidPolicyData(f"{file}: {str(error)[:_SHOWN]}") from error
    except (ImportError, RuntimeError) as error:
        raise InvalidPolicyData(
            f"{file}: Cloud Custodian has no such resource ({str(error)[:_SHOWN]}): give policies on resources of AWS"
        ) from error


@cache
def _loader() -> Any:
    """One for all files: each makes the schema of their resources anew."""
    from c7n.loader import PolicyLoader

    return PolicyLoader(_config("111122223333", "us-east-1"))


def policy_fault(data: Mapping[str, Any], account_id: str, region: str, variables: Mapping[str, Any]) -> str:
    """A policy's fault in an account, by its plugins' checks and without the account's id; empty if there is none.

    ``variables``: the account's. A missing one is no fault here.
    """
    from c7n.exceptions import PolicyValidationError
    from c7n.policy import PolicyCollection

    try:
        (policy,) = PolicyCollection.from_data({"policies": [deepcopy(data)]}, _config(account_id, region))
        policy.expand_variables(policy.get_variables(dict(variables)))
        policy.validate()
    except (PolicyValidationError, ValueError, KeyError, TypeError) as error:
        return " ".join(str(error).replace(f"account {account_id}: ", "").split())
    return ""


class FleetPolicies:
    """The settings of the policies with ``mode: intent`` in ``files``, for each account as c7n-org runs them.

    ``accounts``: the parsed accounts file of c7n-org, for the variables; None if it is not given.
    """

    def __init__(self, files: Sequence[Path], accounts: Mapping[str, Any] | None) -> None:
        self._files, self._given = files, accounts
        self._authorities: dict[str, PeopleAuthority] = {}

    def __call__(self, intents: Intents) -> PolicySettings:
        """The settings of the policy that ``intents`` name. Raises IdentityCenterError if there is no such policy."""
        account_id, name = intents.account_id, intents.policy
        if name not in self._policies:
            raise IdentityCenterError(
                f"{file_of(intents)} (account {account_id}) names policy {name}, and there is no policy of that name "
                "with "
                f"{_ACTION} and mode: intent in {', '.join(map(str, self._files))}: also give its file as -u; "
                "otherwise find out who wrote it, and remove it"
            )
        source, _ = self._policies[name]
        try:
            policy = self._filled_in(name, intents)
            runs_there, action = policy.is_runnable(), _action(policy)
            settings = PolicySettings(str(source), action.asked(account_id), self._authority(action))
        except (InvalidPolicyData, ValueError, KeyError) as error:
            raise IdentityCenterError(
                f"{file_of(intents)} (account {account_id}) can't be compared with policy {name} of {source}: {error}; "
                "variables come from the accounts file given as -c"
            ) from error
        if not runs_there:
            raise IdentityCenterError(
                f"{file_of(intents)} (account {account_id}) is of policy {name}, whose conditions in {source} do not "
                f"hold for account {account_id} in {policy.options.region}, so it does not run there: find out who "
                "wrote the file, and remove it; a condition on the account's name, tags or vars needs the accounts "
                "file, -c"
            )
        return settings

    def names_in(self, intents: Intents) -> list[str]:
        """The policies whose conditions let them run in the account and Region of ``intents``."""
        return [name for name in self._policies if self._filled_in(name, intents).is_runnable()]

    def _filled_in(self, name: str, intents: Intents) -> Any:
        """The policy as c7n-org runs it in the account and Region of ``intents``."""
        from c7n.policy import PolicyCollection

        _, data = self._policies[name]
        account = self._accounts.get(intents.account_id, {})
        config = _config(intents.account_id, _region(intents, account))
        (policy,) = PolicyCollection.from_data({"policies": [deepcopy(data)]}, config)
        policy.conditions.env_vars["account"] = account
        policy.expand_variables(policy.get_variables(dict(account.get("vars", {}))))
        policy.conditions.validate()
        return policy

    def _authority(self, action: Any) -> PeopleAuthority:
        """The people settings of ``action``. A file of people is read once for all accounts."""
        key = json.dumps([action.data.get(person) for person in _OF_PEOPLE])
        if key not in self._authorities:
            self._authorities[key] = action.authority()
        return self._authorities[key]

    @cached_property
    def _policies(self) -> Mapping[str, tuple[Path, Mapping[str, Any]]]:
        """Name -> file and data of each policy that writes intents. Raises InvalidPolicyData."""
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
                        f"policy {policy.name} is in {found[policy.name][0]} and in {file}: give only the one that ran"
                    )
                try:
                    action.validate()
                except PolicyValidationError as error:
                    raise InvalidPolicyData(f"{file}: {error}") from error
                found[policy.name] = (file, policy.data)
        return found

    @cached_property
    def _accounts(self) -> Mapping[str, Mapping[str, Any]]:
        """Account id -> the account in the accounts file, with the variables that all accounts share."""
        if self._given is None:
            return {}
        from jsonschema import ValidationError, validate

        try:
            from c7n_org.cli import CONFIG_SCHEMA, accounts_iterator
        except ModuleNotFoundError as error:
            raise IdentityCenterError(
                f"-u with -c fills in variables as c7n-org does, which is not installed ({error}); in the checkout: "
                "pip install '.[cli,org]'"
            ) from error
        try:
            validate(self._given, CONFIG_SCHEMA)
        except ValidationError as error:
            where = "/".join(map(str, error.absolute_path))
            raise InvalidPolicyData(
                f"c7n-org does not accept the accounts file given as -c: {where}: {error.message}"
            ) from error
        return {str(each["account_id"]): each for each in accounts_iterator(deepcopy(self._given))}


def _action(policy: Any) -> Any:
    """The policy's last action that writes intents; None if it has none."""
    found = [
        action
        for action in policy.resource_manager.actions
        if action.type == _ACTION and action.data.get("mode") == _INTENT
    ]
    return found[-1] if found else None


def _region(intents: Intents, account: Mapping[str, Any]) -> str:
    """The Region of the output or the accounts file; without one, that of IAM's endpoint."""
    written = [part for part in PurePosixPath(intents.place).parts if REGION.fullmatch(part)]
    partition = intents.users[0].subject.arn.split(":")[1] if intents.users else "aws"
    home = HOME_REGIONS.get(partition, HOME_REGIONS["aws"])
    return str(next(iter((*written, *account.get("regions", ()))), home))


def _config(account_id: str, region: str) -> Any:
    from c7n.config import Config

    return Config.empty(region=region, account_id=account_id)
