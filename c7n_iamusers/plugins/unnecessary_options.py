# SPDX-License-Identifier: Apache-2.0
"""The options of the filter ``unnecessary`` in a policy's text: schema, faults, permissions, its own exemptions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers import defaults, exemptions
from c7n_iamusers.evidence.findings import FINDING_IDS
from c7n_iamusers.evidence.index import CREATION
from c7n_iamusers.evidence.model import KINDS
from c7n_iamusers.evidence.naming_hints import HINTED_KINDS
from c7n_iamusers.evidence.reader import DEFAULT_PIECES, PIECES
from c7n_iamusers.evidence.selection import (
    BLAST_RADIUS,
    BLAST_REGIONS,
    BULK,
    CLOUDTRAIL,
    FULL,
    MOST_PAGES,
    STACKS,
    STATES,
    USAGE,
    USAGE_FROM,
    USAGE_PAGES,
    USAGE_RANGES,
    USAGE_REGIONS,
    FilterOptions,
    parse_options,
)
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.exemptions import NOBODY, ExemptionRule, parse_rules
from c7n_iamusers.iam.attachments import LISTED_BY_USER
from c7n_iamusers.iam.user_fields import FIELDS
from c7n_iamusers.iam.users import LISTED_KINDS
from c7n_iamusers.infrastructure_code import stacks
from c7n_iamusers.key_usage import event_lookup, own_addresses
from c7n_iamusers.plugins.exemption_list import ExemptionSource, parse_source
from c7n_iamusers.plugins.policy_checks import is_variable
from c7n_iamusers.resource_policies.sources import ALL, SERVICES, permissions_for
from c7n_iamusers.text.rows import FORMATS

#: Cloud Custodian fills in variables after it has validated a policy.
_VARIABLE = re.compile(r"\{\w+\}")
_DAYS = ("unused-for", "min-age")
#: The values of the option spare: only rules by unique id protect, or none does.
IDENTIFIED, NOBODY_AT_ALL = "identified", "nobody"
_Error = type[PolicyValidationError] | type[PolicyExecutionError]


class FilterText:
    """The filter's ``data`` in the policy of ``manager``. ``error``: the exception class for faults.

    ``name``: of the filter.
    """

    def __init__(self, data: Mapping[str, Any], manager: Any, name: str = "unnecessary") -> None:
        self._data, self._manager = data, manager
        self._where = f"policy {manager.data.get('name')}: filter {name}"

    @property
    def states_exemptions(self) -> bool:
        """True if it has exemption rules, or a list of them, or ``exempt: none``."""
        return bool(self._data.get("exempt") or self._data.get("exempt-from"))

    def check(self, error: _Error) -> tuple[ExemptionRule, ...]:
        """The rules that can be checked before the run: the policy's own, and those of a list on this machine.

        Raises ``error`` with all faults in them and in the options.
        """
        filled, faults = _filled(self._data), list[str]()
        rules: tuple[ExemptionRule, ...] = ()
        source: ExemptionSource | None = None
        with self._raising(error):
            with _gathering(faults):
                parse_options(_without_unfilled(filled, self._data), self._where)
            with _gathering(faults):
                rules = self._own_rules(filled)
            with _gathering(faults):
                source = self._source()
            if faults:
                raise InvalidPolicyData("; ".join(faults))
            # A list elsewhere may need the run's credentials, and c7n-org fills in variables later.
            if source and source.is_local and "{" not in source.url:
                rules = (*rules, *source.rules(self._manager.session_factory))
        return rules

    def options(self, error: _Error) -> FilterOptions:
        """All options but the exemptions. Raises ``error`` if one is invalid."""
        with self._raising(error):
            return parse_options(self._data, self._where)

    def rules(self, error: _Error, session_factory: Callable[[], Any]) -> tuple[ExemptionRule, ...]:
        """The rules of ``exempt``, and those of ``exempt-from``, read now. Raises ``error``."""
        with self._raising(error):
            rules, source = self._own_rules(self._data), self._source()
            return (*rules, *source.rules(session_factory)) if source else rules

    @property
    def reads_by_call(self) -> bool:
        """Whether ``rules`` reads a list that is not on this machine. Raises InvalidPolicyData."""
        source = self._source()
        return source is not None and not source.is_local

    def permissions(self) -> list[str]:
        """The IAM actions that the options need; possibly more if the options are invalid."""
        full = self._data.get("attachments") == FULL
        kinds = LISTED_KINDS if full else LISTED_BY_USER
        pieces = (
            (*DEFAULT_PIECES, CREATION)
            if "role" in (self._data.get("provisioning") or ())
            else DEFAULT_PIECES
        )
        needed = {
            "iam:ListUsers",
            *(f"iam:{kind.reading.operation}" for kind in kinds if kind.reading),
            *(permission for name in pieces for permission in PIECES[name].permissions),
        }
        if (self._data.get("managed-by") or {}).get(STACKS):
            needed.update(stacks.PERMISSIONS)
        if "s3://" in str(self._data.get("exempt-from")):
            needed.add("s3:GetObject")
        asked = self._data.get(BLAST_RADIUS) or ()
        services = SERVICES if ALL in asked else asked
        needed |= {*permissions_for(services, not self._data.get(BLAST_REGIONS))}
        return sorted({*needed, *self._for_usage()})

    def _for_usage(self) -> Iterator[str]:
        """A key's id takes ListAccessKeys; its last use GetAccessKeyLastUsed, where the report does not say."""
        if USAGE in self._data or USAGE_FROM in self._data:
            yield from ("iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", *own_addresses.PERMISSIONS)
        if USAGE in self._data:
            yield event_lookup.PERMISSION

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
            where = f"{self._where}: account {account}" if account else self._where
            raise error(f"{where}: {fault}") from fault


@contextmanager
def _gathering(faults: list[str]) -> Iterator[None]:
    try:
        yield
    except InvalidPolicyData as fault:
        faults.append(str(fault))


def _filled(value: Any) -> Any:
    """``value`` with each variable replaced by text that is valid in a pattern, and does not match everybody."""
    if isinstance(value, Mapping):
        return {key: _filled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part) for part in value]
    if not isinstance(value, str):
        return value
    key, mark, glob = value.rpartition("=")  # the key of a tag is no glob
    return f"{_VARIABLE.sub('x', key)}{mark}{_VARIABLE.sub('*a*', glob)}"


def _without_unfilled(filled: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """``filled`` without days and Regions that come from a variable. Without their value they are refused at the
    run."""
    unfilled = {key for key in _DAYS if key in data and is_variable(data[key])}
    if "managed-by" in data and _VARIABLE.search(str(data["managed-by"])):
        unfilled.add("managed-by")
    unfilled |= {
        key for key in (USAGE_PAGES, USAGE_REGIONS) if key in data and _VARIABLE.search(str(data[key]))
    }
    return {key: value for key, value in filled.items() if key not in unfilled}


def _list_of(names: Sequence[str]) -> dict[str, Any]:
    return {"items": {"enum": list(names)}}


def _days(what: str) -> dict[str, Any]:
    return {"description": f"days: {what}", "exclusiveMinimum": 0}


_PATTERNS = {"description": "a case-sensitive shell glob, or a list of them"}


#: For ``custodian schema`` and editors. It has no ``type`` and no ``required``, since c7n checks it before validate(),
#: whose errors are better: every fault at once, with its place and what to do.
SCHEMA: dict[str, Any] = {
    "exempt": {
        "description": f"exemption rules, each with a pattern, a reason and expires; or {exemptions.NOBODY}",
        "items": {
            "properties": {
                "user": {"description": "a case-sensitive shell glob over the name"},
                "path": {"description": "a glob over the path, which begins and ends with /"},
                "tag": {"description": "Key=glob"},
                "group": {"description": "a glob over the names of groups"},
                "unique-id": {"description": "that of one user, AIDA..., also where it is renamed"},
                "reason": {"description": "required: why these users may stay"},
                "owner": {"description": "the person or team to ask"},
                "account": {
                    "description": "an id, or a glob over ids and names: the only accounts of the rule"
                },
                "expires": {"description": "required: the last day, in UTC, as 'YYYY-MM-DD'"},
                "everybody": {"description": "true, where a pattern such as * is meant to match every user"},
                "alarm": {
                    "description": "use: the filter alarm selects such a user",
                    "enum": [exemptions.USE],
                },
            },
            "examples": [{"path": "/emergency/*", "reason": "break-glass access", "expires": "2027-12-31"}],
        },
    },
    "exempt-from": {
        "description": "a path or URL of a list of such rules, or a mapping with from and options",
        "properties": {
            "from": {"description": "the path or URL"},
            "url": {"description": "the same as from"},
            "format": {"enum": list(FORMATS)},
            "headers": {"description": "HTTP header -> text, or {env: NAME}: that of a variable"},
            "min-rules": {"description": "with fewer rules the list counts as cut off", "minimum": 1},
            "sha256": {"description": "of the file: a list that differs is refused"},
        },
    },
    "spare": {
        "description": "in real time: whom the rules protect; a message says of others that they would be exempt",
        "enum": [IDENTIFIED, NOBODY_AT_ALL],
    },
    "kinds": _list_of(KINDS),
    "unused-for": _days("without activity"),
    "min-age": _days("since the user was created"),
    "findings": {
        "description": "ids: a list of which any counts, or a mapping",
        **_list_of(FINDING_IDS),
        "properties": {"any-of": _list_of(FINDING_IDS), "none-of": _list_of(FINDING_IDS)},
    },
    "hints": {
        "description": "kind -> field -> patterns",
        "properties": {kind: {"properties": dict.fromkeys(FIELDS, _PATTERNS)} for kind in HINTED_KINDS},
    },
    "thresholds": {
        "properties": {
            "unused": _days(f"{defaults.UNUSED} by default"),
            "rotation": _days(f"{defaults.ROTATION} by default"),
        },
    },
    "provisioning": {
        "properties": {
            "tag": {"description": "Key=glob, or a list of them"},
            "role": {"description": "a glob over the ARNs of creators, or a list of them"},
        },
    },
    "managed-by": {
        "description": "which code manages each flagged user, beside what its tags say",
        "properties": {
            STACKS: {"description": "Regions whose stacks are asked", "items": {"type": "string"}},
            STATES: {
                "description": "Terraform states: paths or s3://BUCKET/KEY; ending with /, all .tfstate below",
                "items": {"type": "string"},
            },
        },
    },
    "attachments": {"enum": [BULK, FULL]},
    BLAST_RADIUS: {
        "description": f"services whose policies are read: which of them name a user; or {ALL}",
        "items": {"enum": [ALL, *SERVICES]},
    },
    BLAST_REGIONS: {"description": "only there; by default in each Region that is enabled in the account"},
    USAGE: {
        "description": "who calls with each access key, by CloudTrail's event history: a call or more a key",
        "enum": [CLOUDTRAIL],
    },
    USAGE_PAGES: {
        "description": f"of 50 events, a key and Region: 1 by default, {MOST_PAGES} at most",
        "minimum": 1,
        "maximum": MOST_PAGES,
    },
    USAGE_REGIONS: {
        "description": "beside that of a key's last use",
        "items": {"type": "string"},
    },
    USAGE_RANGES: {
        "description": "names of networks, a list with cidr and name or AWS's ip-ranges.json: a path or s3://BUCKET/KEY"
    },
    USAGE_FROM: {
        "description": "CloudTrail's files, or the result of the query of c7n-iamusers usage: a path or s3://BUCKET/KEY"
    },
}
