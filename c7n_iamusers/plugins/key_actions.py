# SPDX-License-Identifier: Apache-2.0
"""The actions of ``aws.iam-access-key``: ``deactivate`` parks a key, ``activate`` gives it back, ``retire`` ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from c7n.utils import type_schema

from c7n_iamusers.execution.executor import Run
from c7n_iamusers.execution.outcomes import Work
from c7n_iamusers.iam.permissions import KEY_RETIREMENT, KEY_SWITCH
from c7n_iamusers.key_retirement.user_keys import UserKeys
from c7n_iamusers.plugins.gates import gates_of
from c7n_iamusers.plugins.policy_checks import DAYS, check_options
from c7n_iamusers.plugins.resources import subject_of, user_of
from c7n_iamusers.plugins.safeguarded_action import INCLUDE_MANAGED, OPTIONS, RECORD_OPTIONS, TakingAction
from c7n_iamusers.reasons import MANAGED_DRIFT, MANAGED_NEVERTHELESS
from c7n_iamusers.safeguards.gate_readings import Gates
from c7n_iamusers.safeguards.reasons_to_spare import Guards

_TAKING = {key: OPTIONS[key] for key in ("active-within", "noticed", "notices", "delivery")}


class _KeyAction(TakingAction):
    """An action on access keys. Keys have no person of their own, so none asks for access in their place."""

    def _selects_people(self) -> bool:
        return False

    def gates(self, run: Run, guards: Guards) -> Gates:
        """See TakingAction. Whether a role trusts the user does not depend on its keys."""
        return gates_of(self, run.account_id, guards)

    def _keys(self, run: Run, guards: Callable[[], Guards], **options: Any) -> UserKeys:
        account = self.account(run)
        return UserKeys(
            run,
            self.user_records(run, account),
            {subject_of(key).unique_id: user_of(key) for key in self._resources},
            guards,
            str(self.manager.data.get("name")),
            note_exempt=self.note_exempt,
            **options,
        )

    def _guards(self, run: Run, active_within: float | None = None, *, before_day: bool) -> Guards:
        """The guards that stay the same during a run; gates give the others. A leaked key may be parked and deleted."""
        return Guards(
            run.callers,
            active_within=active_within,
            include_compromised=True,
            noticed=self.days("noticed"),
            before_day=before_day,
        )

    def _check(self) -> None:
        check_options(self)
        self.require_lasting_output()
        self.require_exemptions()
        self.require_notices()
        self.require_statements()
        self.require_numbers()


class Deactivate(_KeyAction):
    """Parks an access key: sets it to Inactive. ``activate`` gives it back. The user and its other key stay as is.

    The key's last use is read from GetAccessKeyLastUsed right before, and the filter's conditions are checked again by
    it. Keys that were used within ``active-within`` days (30 by default), or whose user is exempt, are skipped. So is
    the last active key of a user that used it in the last 90 days, unless ``include-last: true`` says that its program
    has another way in; and keys of users that are in quarantine, denied everything by somebody else, half deleted or
    half restored.

    The line of ``journal.jsonl`` before the call is the record of the parked key: when, by which policy, why, and when
    it was last used then. It is durable before the call is made. Keep the output: without it ``activate`` and
    ``retire`` don't know the key as ours. The output has a snapshot of the user, too, and ``outcomes.json``.

    A parked key that somebody activated, or ``activate`` gave back, is not parked again, until it is announced again. A
    key that was inactive before is left as it is, and ``activate`` does not touch it.

    A release of the user leaves a parked key inactive, and a quarantine or deletion of the user takes it for a key that
    was inactive before.

    ``noticed``, ``notices`` and ``delivery`` ask for a record of ``notify-owners`` about this key. If the announcement
    said by ``quarantined-for`` when the key stops working, it is skipped until that day.

    The policy must have the filter ``unnecessary`` at its top level with its exemptions, and state ``noticed``.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-keys-park
            resource: aws.iam-access-key
            source: access-keys
            max-resources: 50
            filters:
              - type: unnecessary
                unused: 90
                exempt-from: policies/exemptions.csv
            actions:
              - type: deactivate
                reason: unused for 90 days
                noticed: 16
                notices: s3://governance/iam-users/notices
    """

    schema = type_schema(
        "deactivate",
        **{"reason": {"type": "string", "minLength": 1}, "include-last": {"type": "boolean"}, **_TAKING},
    )
    schema_alias = False
    permissions = KEY_SWITCH

    def validate(self) -> Deactivate:
        """Raises PolicyValidationError for missing exemptions, or an output that does not last."""
        self._check()
        return self

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        account = self.account(run)
        return self._keys(
            run,
            self.gates(run, self._guards(run, self.active_within(), before_day=True)),
            reason=self.data.get("reason", "no reason given"),
            recheck=self.recheck(run, account).problem,
            criteria=[each.key_criteria() for each in self._filters()],
            include_last=self.data.get("include-last", False),
            noted=self.managed_notes(MANAGED_DRIFT),
        ).deactivate


class Activate(_KeyAction):
    """Gives back access keys that ``deactivate`` parked: sets them to Active. It touches no other key.

    Without the journal of the run that parked a key, in this output, one beside it or ``record-from``, nothing is
    changed and the outcome is ``failed``. So it is if that run was stopped before AWS answered, since somebody else may
    have deactivated the key, and if the key's last use is not what it was when it was parked. ``adopt: true`` gives it
    back nevertheless. A user that is in quarantine must be released first; its parked keys stay parked. Users with a
    policy ``AWSCompromisedKeyQuarantine*`` are skipped, unless ``include-compromised`` is true.

    A key that was given back is not parked again until it is announced again.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-keys-give-back
            resource: aws.iam-access-key
            source: access-keys
            filters:
              - AccessKeyId: AKIAIOSFODNN7EXAMPLE
            actions:
              - type: activate
    """

    schema = type_schema(
        "activate",
        **RECORD_OPTIONS,
    )
    schema_alias = False
    permissions = KEY_SWITCH

    def validate(self) -> Activate:
        """Raises PolicyValidationError for an output that does not last."""
        check_options(self)
        self.require_lasting_output()
        return self

    def require_statements(self, *_: Any) -> None:
        """Nothing: it takes nothing from anybody."""

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        guards = Guards(run.callers)
        options = {
            key: self.data.get(key.replace("_", "-"), False) for key in ("include_compromised", "adopt")
        }
        return self._keys(run, lambda: guards, **options).activate


class Retire(_KeyAction):
    """Deletes access keys that ``deactivate`` parked ``parked-for`` days ago or earlier. A deleted key can't come back.

    It deletes a key only if a journal shows that this tool parked it, in this output, one beside it or ``record-from``;
    it is inactive; its owner was addressed (``noticed``), and the announced day has come; and GetAccessKeyLastUsed,
    asked right before, says what it said when the key was parked. Other keys are skipped. So is the last key of a user
    that was in use until it was parked, unless ``include-last: true``; and, unless ``include-managed: true``, a key
    that code manages, or whose user code manages, by its tags or by what ``managed-by`` of the filter ``unnecessary``
    asks, and one of which that could not be read. The secret of a key can't be read from AWS, so
    nothing restores it: a new key has another id.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-keys-retire
            resource: aws.iam-access-key
            source: access-keys
            max-resources: 50
            filters:
              - type: unnecessary
                status: inactive
                exempt-from: policies/exemptions.csv
            actions:
              - type: retire
                parked-for: 14
                noticed: 30
                notices: s3://governance/iam-users/notices
    """

    schema = type_schema(
        "retire",
        **{
            "parked-for": DAYS,
            "include-last": {"type": "boolean"},
            **INCLUDE_MANAGED,
            "record-from": RECORD_OPTIONS["record-from"],
            **{key: each for key, each in _TAKING.items() if key != "active-within"},
            "required": ["parked-for"],
        },
    )
    schema_alias = False
    permissions = KEY_RETIREMENT

    def validate(self) -> Retire:
        """Raises PolicyValidationError for missing exemptions, or an output that does not last."""
        self._check()
        return self

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        account = self.account(run)
        return self._keys(
            run,
            self.gates(run, replace(self._guards(run, before_day=False), managed=self.managed())),
            recheck=self.recheck(run, account).problem,
            criteria=[each.key_criteria() for each in self._filters()],
            parked_for=self.data["parked-for"],
            include_last=self.data.get("include-last", False),
            noted=self.managed_notes(MANAGED_NEVERTHELESS),
        ).retire
