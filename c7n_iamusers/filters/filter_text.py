# SPDX-License-Identifier: Apache-2.0
"""What a policy says to the filter ``unnecessary``, its errors turned into c7n's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.aws.inventory import PIECES, USUAL
from c7n_iamusers.aws.users import LISTED_KINDS
from c7n_iamusers.decisions.exemptions import NOBODY, parse_rules
from c7n_iamusers.decisions.filter_options import FULL, FilterOptions, parse_options
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.filters.exemption_source import ExemptionSource, parse_source
from c7n_iamusers.model.attachments import LISTED_BY_USER
from c7n_iamusers.model.exemption import ExemptionRule
from c7n_iamusers.model.inventory import CREATION

#: Cloud Custodian fills variables in after it has validated a policy.
_VARIABLE = re.compile(r"\{\w+\}")
_VARIABLE_IN_KEY = re.compile(r"\{\w+\}(?=[^=]*=)")
_Error = type[PolicyValidationError] | type[PolicyExecutionError]


class FilterText:
    """The filter's ``data`` in the policy of ``manager``. ``error``: the class in which faults are raised."""

    def __init__(self, data: Mapping[str, Any], manager: Any) -> None:
        self._data, self._manager = data, manager
        self._where = f"policy {manager.data.get('name')}: filter unnecessary"

    @property
    def says_whom_it_spares(self) -> bool:
        """Whether it has exemption rules, or a list of them, or says that there are none."""
        return bool(self._data.get("exempt") or self._data.get("exempt-from"))

    def check(self, error: _Error) -> tuple[ExemptionRule, ...]:
        """The rules that can be seen here: the policy's own, and a list's on this machine.

        Raises ``error`` for any fault in them and in the options.
        """
        filled, faults = _filled(self._data), list[str]()
        rules: tuple[ExemptionRule, ...] = ()
        source: ExemptionSource | None = None
        with self._raising(error):
            with _gathering(faults):
                parse_options(filled, self._where)
            with _gathering(faults):
                rules = self._own_rules(filled)
            with _gathering(faults):
                source = self._source()
            if faults:
                raise InvalidPolicyData("; ".join(faults))
            # A list elsewhere may need the run's own credentials, and c7n-org fills variables in later.
            if source and source.is_local and "{" not in source.url:
                rules = (*rules, *source.rules(self._manager.session_factory))
        return rules

    def options(self, error: _Error) -> FilterOptions:
        """All options but the exemptions. Raises ``error`` where any is faulty."""
        with self._raising(error):
            return parse_options(self._data, self._where)

    def rules(self, error: _Error) -> tuple[ExemptionRule, ...]:
        """The rules of ``exempt`` and, read now, of ``exempt-from``. Raises ``error``."""
        with self._raising(error):
            rules, source = self._own_rules(self._data), self._source()
            return (*rules, *source.rules(self._manager.session_factory)) if source else rules

    def permissions(self) -> list[str]:
        """The IAM actions that the options need; more than those where the options are faulty."""
        full = self._data.get("attachments") == FULL
        kinds = LISTED_KINDS if full else LISTED_BY_USER
        pieces = (*USUAL, CREATION) if "role" in (self._data.get("provisioning") or ()) else USUAL
        needed = {
            "iam:ListUsers",
            *(f"iam:{kind.reading.operation}" for kind in kinds if kind.reading),
            *(permission for name in pieces for permission in PIECES[name].permissions),
        }
        if "s3://" in str(self._data.get("exempt-from")):
            needed.add("s3:GetObject")
        return sorted(needed)

    def _own_rules(self, data: Mapping[str, Any]) -> tuple[ExemptionRule, ...]:
        given = data.get("exempt", [])
        if given != NOBODY:
            return parse_rules(given, f"{self._where}: exempt")
        if "exempt-from" in data:
            raise InvalidPolicyData(
                f"{self._where}: exempt: {NOBODY} contradicts exempt-from: leave one of them out"
            )
        return ()

    def _source(self) -> ExemptionSource | None:
        if "exempt-from" not in self._data:
            return None
        return parse_source(self._data["exempt-from"], f"{self._where}: exempt-from")

    @contextmanager
    def _raising(self, error: _Error) -> Iterator[None]:
        try:
            yield
        except InvalidPolicyData as fault:
            raise error(str(fault) if self._where in str(fault) else f"{self._where}: {fault}") from fault
        except EvidenceUnreadable as fault:
            account = self._manager.config.account_id
            raise error(f"{self._where}: account {account}: {fault}") from fault


@contextmanager
def _gathering(faults: list[str]) -> Iterator[None]:
    try:
        yield
    except InvalidPolicyData as fault:
        faults.append(str(fault))


def _filled(value: Any) -> Any:
    """``value`` with something in place of its variables that is good wherever a pattern may have one."""
    if isinstance(value, Mapping):
        return {key: _filled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part) for part in value]
    return _VARIABLE.sub("*", _VARIABLE_IN_KEY.sub("x", value)) if isinstance(value, str) else value
