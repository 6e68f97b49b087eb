# SPDX-License-Identifier: Apache-2.0
"""The base class of actions that take access: whom they spare, such as by trust of roles; what policies must state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import local_session

from c7n_iamusers import defaults
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import Run
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.accounts import read_account
from c7n_iamusers.identity_center.access_state import PROVISIONED, USED
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.notices.delivery import UNCHECKED
from c7n_iamusers.notices.notices import record_exempt
from c7n_iamusers.plugins import policy_checks, run_outputs
from c7n_iamusers.plugins.gates import Access, gates_of, unreadable_notices
from c7n_iamusers.plugins.resources import ANNOTATION, subject_of
from c7n_iamusers.plugins.user_action import Resource, UserAction
from c7n_iamusers.policy_comparison.trusted_users import TrustIndex
from c7n_iamusers.reasons import Kind, Reason
from c7n_iamusers.safeguards.forecast import PEOPLE
from c7n_iamusers.safeguards.gate_readings import Calls, Gate, Gates
from c7n_iamusers.safeguards.reasons_to_spare import Guards

#: Waives a safeguard in writing.
NONE = policy_checks.NONE
#: The options that both actions have.
OPTIONS: Mapping[str, Any] = {
    "active-within": policy_checks.or_none(policy_checks.DAYS),
    "trusted-by-role": {"type": "boolean"},
    "noticed": policy_checks.or_none(
        policy_checks.or_variable({"type": "number", "minimum": 0, "maximum": policy_checks.LARGEST})
    ),
    "notices": run_outputs.NOTICES,
    "delivery": {"enum": [UNCHECKED]},
    "require": {"enum": [PROVISIONED, USED, NONE]},
}
#: The options of actions that go by the record of an earlier run, and may do without it.
RECORD_OPTIONS: Mapping[str, Any] = {
    "include-compromised": {"type": "boolean"},
    "record-from": {"type": "string", "minLength": 1},
    "adopt": {"type": "boolean"},
}
#: Of actions that delete: also what code manages.
INCLUDE_MANAGED: Mapping[str, Any] = {"include-managed": {"type": "boolean"}}


def managed_of(resources: Iterable[Resource]) -> dict[str, Managed]:
    """Unique id of each user, or id of each key -> which code manages it, as the filter ``unnecessary`` found it."""
    return {
        subject_of(each).unique_id: Managed.of_annotation(each.get(ANNOTATION) or {}) for each in resources
    }


class TakingAction(UserAction):
    """Takes access from users, but spares those that are active, trusted by a role, unannounced or without access.

    The policy must state the last two safeguards, or waive them by ``none``.
    """

    _resources: Sequence[Resource] = ()

    def process(self, resources: list[Resource]) -> None:
        """See UserAction. Raises PolicyExecutionError as ``require_statements`` does."""
        self._resources = resources
        self.require_statements(PolicyExecutionError)
        super().process(resources)

    def managed(self) -> Mapping[str, Managed] | None:
        """``managed`` of the guards of a deletion: None with ``include-managed``."""
        return None if self.data.get("include-managed") else managed_of(self._resources)

    def managed_found(self) -> Mapping[str, Managed]:
        """See UserAction."""
        return managed_of(self._resources)

    def managed_notes(self, kind: Kind) -> dict[str, Reason]:
        """Unique id of each user, or id of each key, that code manages -> that, as a note of ``kind``."""
        found = managed_of(self._resources).items()
        return {key: kind(what=each.text) for key, each in found if each.found}

    def days(self, option: str) -> float | None:
        """The option in days; None if it is waived or not given."""
        given = self.data.get(option)
        return None if given in (None, NONE) else given

    def active_within(self) -> float | None:
        """The option ``active-within`` in days, or its default; None if it is waived."""
        return self.days("active-within") if "active-within" in self.data else defaults.ACTIVE_WITHIN

    def require_statements(
        self, error: type[PolicyValidationError] | type[PolicyExecutionError] = PolicyValidationError
    ) -> None:
        """Raises ``error``, with the lines to write, if the policy neither states nor waives what it must state."""
        missing = [
            *(
                [_NOTICED_IN_LAMBDA if self._waits_for_events() else _NOTICED]
                if "noticed" not in self.data
                else []
            ),
            *([_REQUIRE] if "require" not in self.data and self._selects_people() else []),
        ]
        if missing:
            lines = "".join(f"\n    {line}" for line in missing)
            raise error(
                f"policy {self.manager.data.get('name')}: {self.type} takes access from users, so it must state whom "
                f"it spares. Nothing was touched. Add to {self.type}:{lines}"
            )

    def require_notices(self) -> None:
        """Raises PolicyValidationError for ``noticed`` without ``notices``, or ``delivery`` without ``noticed``.

        ``notices`` alone are the place of STOP.
        """
        if self.data.get("noticed", NONE) != NONE and "notices" not in self.data:
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: {self.type}: noticed (days) needs notices, where "
                "notify-owners records them: give both"
            )
        if "delivery" in self.data and self.data.get("noticed", NONE) == NONE:
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: {self.type}: delivery: {UNCHECKED} is for the messages "
                "that noticed requires, and this action requires none: leave delivery out"
            )

    def require_access_filter(self) -> None:
        """Raises PolicyValidationError if ``require`` asks for access, and no filter says how to read it, or whose."""
        required = self.data.get("require")
        if required not in (PROVISIONED, USED):
            return
        filters, where = self._access_filters(), f"policy {self.manager.data.get('name')}: {self.type}"
        if not filters:
            raise PolicyValidationError(
                f"{where}: require: {required} needs the filter identity-center: add it, with state: {required}, at "
                "the top level of filters"
            )
        if any("records" not in each.data for each in filters):
            raise PolicyValidationError(
                f"{where}: require: {required} must know for whom runs gave access, even for deleted users: add to "
                "the filter identity-center records: PLACE, where provision leaves identity-center-runs/; or "
                f"records: {NONE} if this tool has given no access"
            )

    def note_exempt(self, exempt: Sequence[tuple[Subject, ExemptionRule]]) -> None:
        """Record who is exempt, as that voids an announcement, if this action asks for one. A function only reads.

        The filter ``unnecessary`` calls it. Raises PolicyExecutionError where that can't be read or written.
        """
        if (
            self.days("noticed") is None
            or self.data.get("plan-only")
            or not policy_checks.is_pull(self.manager)
        ):
            return
        account_id, place = exempt[0][0].account_id, self.data["notices"]
        store = run_outputs.notices_store(self.manager, place)
        with unreadable_notices(self, account_id):
            record_exempt(store, account_id, exempt, utc_now())

    def gates(self, run: Run, guards: Guards) -> Gates:
        """``guards`` with the gates of this action. Raises PolicyExecutionError if a gate can't be read."""
        asked = replace(guards, naming_tags=self._naming_tags())
        trust = None if self.data.get("trusted-by-role") else partial(self._trust, run)
        return gates_of(self, run.account_id, asked, self._access, self._accepted, trust)

    def _trust(self, run: Run, calls: Calls) -> Gate:
        """Which users the account's roles trust."""
        client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
        calls.attach(client)

        def read() -> Mapping[str, Any]:
            return {"trust": TrustIndex(read_account(client, run.backoff, "Role").roles)}

        return Gate("which users the account's roles trust", read, patient=True)

    def _naming_tags(self) -> Mapping[str, Mapping[str, str]]:
        """With ``require``: ARN -> the tags, as the filter read them, that say who the user's person is."""
        if not self._asks_for_access:
            return {}
        keys = sorted({key for each in self._access_filters() for key in each.naming_tags})
        found = {}
        for resource in self._resources:
            tags = {tag["Key"]: tag["Value"] for tag in resource.get("Tags") or ()}
            found[subject_of(resource).arn] = {key: tags.get(key, "") for key in keys}
        return found

    def _access(self, calls: Calls) -> Sequence[Access]:
        """With ``require``: what reads the access of the people, for each filter identity-center."""
        filters = self._access_filters() if self._asks_for_access else ()
        return [each.gate(calls).reading(self._resources) for each in filters]

    @property
    def _asks_for_access(self) -> bool:
        return self.data.get("require") in (PROVISIONED, USED)

    def _access_filters(self) -> list[Any]:
        found = [each for each in self.manager.filters if each.type == "identity-center"]
        return [each for each in found if each.data["state"] in self._accepted]

    @property
    def _accepted(self) -> tuple[str, ...]:
        """The states that ``require`` accepts: access that is used is provisioned too."""
        return (USED,) if self.data.get("require") == USED else (PROVISIONED, USED)

    def _selects_people(self) -> bool:
        """Whether all filters ``unnecessary`` together may select people."""
        return all(_may_be_people(each.data.get("kinds")) for each in self._filters())

    def _waits_for_events(self) -> bool:
        return not policy_checks.is_pull(self.manager)


def _may_be_people(kinds: Iterable[str] | None) -> bool:
    return not kinds or not PEOPLE.isdisjoint(kinds)


_NOTICED = (
    "noticed: 30 and notices: PLACE, for users whose owner notify-owners told 30 days ago; or noticed: none, to tell "
    "nobody first"
)
_NOTICED_IN_LAMBDA = (
    "noticed: none, as nobody is told before an event; notices: PLACE is then the place of STOP"
)
_REQUIRE = (
    "require: provisioned (or used), for people who have access through Identity Center, with the filter "
    "identity-center; or require: none, for people who may have no other access. kinds: [machine, no-credentials] in "
    "unnecessary selects no people"
)
