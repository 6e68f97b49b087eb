# SPDX-License-Identifier: Apache-2.0
"""What a policy says to the filter ``unnecessary``, its errors turned into c7n's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.aws.inventory import PIECES, USUAL
from c7n_iamusers.aws.users import LISTED_KINDS
from c7n_iamusers.decisions.exemptions import parse_rules
from c7n_iamusers.decisions.filter_options import FULL, FilterOptions, parse_options
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.filters.exemption_source import ExemptionSource, parse_source
from c7n_iamusers.model.attachments import SSH_PUBLIC_KEY
from c7n_iamusers.model.exemption import ExemptionRule
from c7n_iamusers.model.inventory import CREATION

OPTIONS = ("kinds", "unused-for", "min-age", "findings", "hints", "thresholds", "provisioning", "attachments")
_Error = type[PolicyValidationError] | type[PolicyExecutionError]


class FilterText:
    """The filter's ``data`` in the policy of ``manager``. ``error``: the class in which faults are raised."""

    def __init__(self, data: Mapping[str, Any], manager: Any) -> None:
        self._data, self._manager = data, manager
        self._where = f"policy {manager.data.get('name')}: filter unnecessary"

    def check(self, error: _Error) -> None:
        """Raises ``error`` for any fault that can be seen here: options, rules, and a list on this machine."""
        self.options(error)
        with self._raising(error):
            self._own_rules()
            source = self._source()
            # A list elsewhere may need the run's own credentials, and c7n-org fills variables in later.
            if source and source.is_local and "{" not in source.url:
                source.rules(self._manager.session_factory)

    def options(self, error: _Error) -> FilterOptions:
        """All options but the exemptions. Raises ``error`` where any is faulty."""
        with self._raising(error):
            return parse_options(self._data, self._where)

    def rules(self, error: _Error) -> tuple[ExemptionRule, ...]:
        """The rules of ``exempt`` and, read now, of ``exempt-from``. Raises ``error``."""
        with self._raising(error):
            source = self._source()
            listed = source.rules(self._manager.session_factory) if source else ()
            return (*self._own_rules(), *listed)

    def permissions(self) -> list[str]:
        """The IAM actions that the options need; more than those where the options are faulty."""
        full = self._data.get("attachments") == FULL
        kinds = LISTED_KINDS if full else (SSH_PUBLIC_KEY,)
        pieces = (*USUAL, CREATION) if "role" in (self._data.get("provisioning") or ()) else USUAL
        needed = {
            "iam:ListUsers",
            *(f"iam:{kind.reading.operation}" for kind in kinds if kind.reading),
            *(permission for name in pieces for permission in PIECES[name].permissions),
        }
        if "s3://" in str(self._data.get("exempt-from")):
            needed.add("s3:GetObject")
        return sorted(needed)

    def _own_rules(self) -> tuple[ExemptionRule, ...]:
        return parse_rules(self._data.get("exempt", []), f"{self._where}: exempt")

    def _source(self) -> ExemptionSource | None:
        return parse_source(self._data.get("exempt-from"), f"{self._where}: exempt-from")

    @contextmanager
    def _raising(self, error: _Error) -> Iterator[None]:
        try:
            yield
        except InvalidPolicyData as fault:
            raise error(str(fault) if self._where in str(fault) else f"{self._where}: {fault}") from fault
        except EvidenceUnreadable as fault:
            account = self._manager.config.account_id
            raise error(f"{self._where}: account {account}: {fault}") from fault
