# SPDX-License-Identifier: Apache-2.0
"""What Terraform may own from an earlier configuration of this export, and the accounts in which it gives access."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.text.documents import NotInFormat, read_json

FILE = "identity-center.tf.json"
GROUP, MEMBERSHIP, USER = (
    "aws_identitystore_group",
    "aws_identitystore_group_membership",
    "aws_identitystore_user",
)
ASSIGNMENT, SET = "aws_ssoadmin_account_assignment", "aws_ssoadmin_permission_set"
#: The parts of a permission set that grant its access.
PARTS = frozenset(
    {
        "aws_ssoadmin_customer_managed_policy_attachment",
        "aws_ssoadmin_managed_policy_attachment",
        "aws_ssoadmin_permission_set_inline_policy",
        "aws_ssoadmin_permissions_boundary_attachment",
    }
)
_KINDS = frozenset({*PARTS, SET, USER, GROUP, MEMBERSHIP, ASSIGNMENT})
_ADDRESS = re.compile(rf"({'|'.join(sorted(_KINDS))})\.r_\w+", re.ASCII)

_Resources = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class EarlierExport:
    """``wholes``: address of a part -> address of its permission set, or empty.

    ``accounts``: address -> the accounts in which it gives access, as far as the configuration says.
    """

    wholes: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> EarlierExport:
        """The export in ``directory``. Raises OSError, and IdentityCenterError for a file that is no configuration."""
        store = DirectoryStore(directory)
        return cls.parse(store.read(FILE), store.place(FILE))

    @classmethod
    def parse(cls, content: bytes | None, place: str) -> EarlierExport:
        """``content`` of the file at ``place``; None if there is none. Raises IdentityCenterError."""
        if content is None:
            return cls()
        try:
            data = read_json(content)
            resources = data.get("resource", {})
            found = {
                f"{kind}.{label}": _whole(kind, arguments)
                for kind, made in resources.items()
                for label, arguments in made.items()
            }
            found |= {str(each["from"]): "" for each in data.get("removed", ())}
            accounts = _accounts(resources)
        except (NotInFormat, AttributeError, KeyError, TypeError) as error:
            raise IdentityCenterError(
                f"{place} is not a configuration of an earlier export ({error}), so its objects are unknown: move it "
                "away, or give another directory"
            ) from error
        known = {address: whole for address, whole in found.items() if _ADDRESS.fullmatch(address)}
        return cls(known, {address: accounts.get(address, frozenset()) for address in known})

    @property
    def policies(self) -> frozenset[str]:
        """The addresses of policies of permission sets, see ``Ours.policies``."""
        return frozenset(address for address, whole in self.wholes.items() if whole)

    def forgotten(self, kept: Collection[str], ends_in: Collection[str]) -> set[str]:
        """What Terraform must forget of it instead of destroying it. ``kept``: addresses of the next configuration.

        ``ends_in``: the accounts in which it may destroy. It does not destroy users, who may have other access, nor
        what gives access in other or unknown accounts. Policies of a kept permission set are detached.
        """
        return {
            address
            for address, whole in self.wholes.items()
            if address not in kept and whole not in kept and not self._ends(address, ends_in)
        }

    def _ends(self, address: str, ends_in: Collection[str]) -> bool:
        accounts = self.accounts[address]
        return bool(accounts) and accounts.issubset(ends_in) and not address.startswith(f"{USER}.")


def _accounts(resources: _Resources) -> dict[str, frozenset[str]]:
    """Address -> accounts, by the assignments."""
    given: defaultdict[str, set[str]] = defaultdict(set)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for label, arguments in resources.get(ASSIGNMENT, {}).items():
        found[f"{ASSIGNMENT}.{label}"].add(arguments["target_id"])
        for each in ("permission_set_arn", "principal_id"):
            given[arguments[each]].add(arguments["target_id"])
    for kind, made in resources.items():
        for label, arguments in made.items():
            address = f"{kind}.{label}"
            references = [f"${{{address}.group_id}}", f"${{{address}.arn}}", arguments.get("group_id")]
            if kind in PARTS:
                references.append(arguments.get("permission_set_arn"))
            found[address].update(*(given.get(str(reference), ()) for reference in references))
    return {address: frozenset(accounts) for address, accounts in found.items()}


def _whole(kind: str, arguments: Mapping[str, Any]) -> str:
    of_set = str(arguments.get("permission_set_arn", "")) if kind in PARTS else ""
    return of_set.removeprefix("${").removesuffix(".arn}")
