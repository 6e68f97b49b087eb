# SPDX-License-Identifier: Apache-2.0
"""Fills in variables for each account: in the buckets, roles and other places that policies name. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.organization.readiness import VARIABLE, Target, filled, variables_of

#: A placeholder in a URL of Cloud Custodian, also with a format, such as {now:%Y/%m/%d}.
_PLACEHOLDER = re.compile(r"(?<![{$])\{([A-Za-z_]\w*)([!:][^{}]*)?\}(?!\})")
#: Variables that differ between accounts, and between runs over them.
_ACCOUNT, _RUN = frozenset({"account_id", "region"}), frozenset({"now", "policy_name", "uuid"})


@dataclass(frozen=True)
class AccountValues:
    """Fills in the variables of texts for the accounts ``targets``, which are empty if unknown."""

    targets: Sequence[Target]

    def of(self, what: str, text: str) -> tuple[str, ...]:
        """``text`` filled in for each account, each once. Raises InvalidPolicyData for a variable without a value.

        ``what``: the text's name in the error.
        """
        if not (missing := variables_of(text)):
            return (text,)
        texts = [filled([text], target) for target in self.targets]
        if not texts or not all(texts):
            raise _unknown(what, text, missing)
        return tuple(dict.fromkeys(value for listed in texts for value in listed))

    def places(self, what: str, url: str, account: str = "*") -> tuple[str, ...]:
        """``url`` filled in for each account, without duplicates; in an object's key ``*`` stands for what differs.

        ``account``: stands for the account's id there. Raises InvalidPolicyData as ``of`` does, but for a key only if
        the accounts are known; and for a bucket's name that only a run knows.
        """
        alike = _PLACEHOLDER.sub(self._where_alike, url)
        if alike.startswith("s3://") and "*" in alike:
            raise InvalidPolicyData(
                f"the {what} {url} has a *, which stands for anything in a policy: name the place, with {{account_id}} "
                "where it differs between accounts"
            )
        if not alike.startswith("s3://"):
            return self.of(what, alike)
        bucket, slash, key = alike.removeprefix("s3://").partition("/")
        # a bucket's name can have the account's id in it, but nothing that only a run knows
        if runtime := {match[1] for match in _PLACEHOLDER.finditer(bucket)} & (_RUN | {"region"}):
            raise InvalidPolicyData(
                f"the {what} {url} has {', '.join(sorted(runtime))} in the name of the bucket, which only a run knows: "
                "name the bucket, and use such a variable after its name"
            )
        if undefined := {match[1] for match in _PLACEHOLDER.finditer(key) if not self._is_known(match[1])}:
            raise _unknown(what, url, undefined)
        if "{" in _PLACEHOLDER.sub("", alike):
            raise InvalidPolicyData(
                f"the {what} {url} has a brace that begins no variable such as {{account_id}}"
            )
        key = _PLACEHOLDER.sub(lambda match: account if match[1] == "account_id" else "*", key)
        return tuple(f"{place}{slash}{key}" for place in self.of(what, f"s3://{bucket}"))

    def _is_known(self, name: str) -> bool:
        return name in _ACCOUNT | _RUN or all(name in target.variables for target in self.targets)

    def _where_alike(self, match: re.Match[str]) -> str:
        """The variable's value if it is the same in all accounts, else the placeholder."""
        values = {str(target.variables.get(match[1], match[0])) for target in self.targets} or {match[0]}
        value = values.pop()
        return match[0] if values or VARIABLE.search(value) or match[1] in _ACCOUNT else value


def _unknown(what: str, text: str, names: Collection[str]) -> InvalidPolicyData:
    return InvalidPolicyData(
        f"the {what} {text} depends on {', '.join(sorted(names))}, which is not known in every account: give c7n-org's "
        "accounts file, which names the accounts and defines variables under vars, with -c"
    )
