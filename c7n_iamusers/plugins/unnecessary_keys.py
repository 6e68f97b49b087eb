# SPDX-License-Identifier: Apache-2.0
"""The filter ``unnecessary`` of ``aws.iam-access-key``: which single keys should go, by their last use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import type_schema

from c7n_iamusers import defaults, exemptions
from c7n_iamusers.evidence.credential_report import is_row_of
from c7n_iamusers.evidence.findings import LOW, MANAGED_AS_CODE
from c7n_iamusers.evidence.key_findings import ONLY_ACTIVE, KeyCriteria, listed_keys
from c7n_iamusers.evidence.model import Finding, KeyEvidence
from c7n_iamusers.evidence.seen_users import SeenUser
from c7n_iamusers.evidence.selection import AskedUsage
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.attachments import CREDENTIAL_REPORT
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.infrastructure_code.model import as_data
from c7n_iamusers.plugins import policy_checks
from c7n_iamusers.plugins.access_keys import NAME, USER
from c7n_iamusers.plugins.flagging import note_priorities
from c7n_iamusers.plugins.resources import ANNOTATION, AccountReadings, Resource, subject_of, user_of
from c7n_iamusers.plugins.run_outputs import visible_errors
from c7n_iamusers.plugins.unnecessary import Unnecessary
from c7n_iamusers.plugins.unnecessary_options import SCHEMA, FilterText
from c7n_iamusers.text.wording import shown

#: The key of the annotation with the evidence on the key.
KEY = "key"
ANY, ALL = "any", "all"
_ACTIVE, _INACTIVE = "active", "inactive"
_CONDITIONS = ("unused", "older-than", "superseded")
_DAYS = policy_checks.DAYS
_MIN_AGE = policy_checks.or_variable({"type": "number", "minimum": 0, "maximum": policy_checks.LARGEST})
_OPTIONS: Mapping[str, Any] = {
    "unused": _DAYS,
    "older-than": _DAYS,
    "superseded": {"type": "boolean"},
    "match": {"enum": [ALL, ANY]},
    "status": {"enum": [_ACTIVE, _INACTIVE]},
    "min-age": _MIN_AGE,
}
#: The options of the filter on users that ask for a user's own age and use.
_OF_USERS = ("unused-for", "min-age", "spare")


class UnnecessaryKeys(Unnecessary):
    """Flags access keys that should go, unless an exemption protects their user. Each key is judged by itself.

    - ``unused``: days since the key was last used. A key that was never used counts from its creation
    - ``older-than``: days since the key was created
    - ``superseded: true``: the user's other active key is newer, and was used after this one's last use

    All that are given must hold; with ``match: any`` one is enough. A key younger than ``min-age`` days (30 by default)
    is never flagged. What is unknown never flags a key.

    ``status: inactive`` selects inactive keys instead of active ones, for ``retire``, and needs no condition: that
    action itself asks for how long the key has been inactive, and whether it was used.

    The use is that of AWS's credential report, which has no key ids. A key is the one of the report that was created at
    the same time; if two keys of a user were created in the same second, their use is unknown. Actions ask
    GetAccessKeyLastUsed for each key right before they change it.

    ``exempt``, ``exempt-from``, ``kinds``, ``findings``, ``hints``, ``thresholds`` and ``provisioning`` are those
    of the filter on users, and about the key's user; ``managed-by`` asks about the user and each flagged key. The
    annotation ``c7n:IamUser`` is that of the user, with ``key``: ``id``, ``status``, ``created``, ``used`` (false if
    never, null if unknown), ``service``, ``region``, ``source``, ``as_of`` and ``only-active`` (its user has no other
    active key). Its ``findings`` begin with those of the key: ``key-unused``, ``key-old``, ``key-superseded``.

    The policy must have ``source: access-keys``.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-keys-unnecessary
            resource: aws.iam-access-key
            source: access-keys
            filters:
              - type: unnecessary
                unused: 90
                superseded: true
                match: any
                kinds: [machine, mixed]
                exempt-from: policies/exemptions.csv
    """

    _with_keys = False  # each key is asked about by itself
    schema = type_schema(
        "unnecessary", **{**{key: each for key, each in SCHEMA.items() if key not in _OF_USERS}, **_OPTIONS}
    )
    schema_alias = False

    @property
    def _text(self) -> FilterText:
        data = {key: value for key, value in self.data.items() if key not in _OPTIONS}
        return FilterText(data, self.manager)

    def get_permissions(self) -> list[str]:
        """See Unnecessary."""
        return [*super().get_permissions(), "iam:ListAccessKeys"]

    def validate(self) -> UnnecessaryKeys:
        """Raises PolicyValidationError with each fault and what to do."""
        policy = f"policy {self.manager.data.get('name')}"
        if self.manager.data.get("source") != NAME:
            raise PolicyValidationError(
                f"{policy}: the filter unnecessary on access keys needs source: {NAME}"
            )
        super().validate()
        for key in ("superseded", "match", "status"):
            known = _OPTIONS[key].get("enum", [True, False])
            if key in self.data and self.data[key] not in known:
                raise PolicyValidationError(
                    f"{policy}: filter unnecessary: {key} must be {' or '.join(map(str, known))}"
                )
        policy_checks.check_numbers(self, PolicyValidationError)
        if self.data.get("status") != _INACTIVE and not any(self.data.get(each) for each in _CONDITIONS):
            raise PolicyValidationError(
                f"{policy}: filter unnecessary would flag every active access key: give {', '.join(_CONDITIONS[:2])} "
                f"(days) or {_CONDITIONS[2]}: true"
            )
        return self

    def key_criteria(self) -> KeyCriteria:
        """The conditions on keys. Raises PolicyExecutionError for a number that is none."""
        policy_checks.check_numbers(self, PolicyExecutionError)
        data = self.data
        return KeyCriteria(
            data.get("unused"),
            data.get("older-than"),
            data.get("superseded", False),
            data.get("match", ALL) == ANY,
            data.get("min-age", defaults.KEY_MIN_AGE),
            data.get("status", _ACTIVE) == _ACTIVE,
        )

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The keys to flag, annotated. See Unnecessary."""
        criteria, by_user = self.key_criteria(), dict[str, list[Resource]]()
        for key in resources:
            by_user.setdefault(user_of(key).unique_id, []).append(key)
        self._keys, self._criteria = by_user, criteria
        flagged = super().process([keys[0][USER] for keys in by_user.values()], event)
        now, left_out, found = utc_now(), dict[str, list[str]](), list[Resource]()
        for user in flagged:
            keys = by_user[user["UserId"]]
            for key, evidence, others in self._evidence(user, keys):
                why = criteria.left_out_by(evidence, others, now)
                if why:
                    left_out.setdefault(why, []).append(evidence.key_id)
                else:
                    _annotate(key, user, evidence, criteria, others, now)
                    self._note_code(key, evidence.key_id)
                    found.append(key)
        options = self.options()
        if options.usage != AskedUsage():
            note_priorities(found, now, options)
        for why, names in sorted(left_out.items()):
            self.log.info("unnecessary: %d keys left out by %s: %s", len(names), why, shown(names))
        self.log.info("unnecessary: %d of %d access keys are flagged", len(found), len(resources))
        return found

    def _keys_read(self, user: IamUser) -> Sequence[Item] | None:
        """Those of a user's keys that are flagged: no other one is asked about."""
        keys, now = self._keys.get(user.unique_id, []), utc_now()
        known = self._evidence(user.detail, keys)
        return [
            key for key, evidence, others in known if not self._criteria.left_out_by(evidence, others, now)
        ]

    def _evidence(
        self, user: Mapping[str, Any], keys: Sequence[Resource]
    ) -> list[tuple[Resource, KeyEvidence, list[KeyEvidence]]]:
        report = AccountReadings.of(self.manager).inventory((CREDENTIAL_REPORT,), Backoff()).report
        row = report.row(user["UserName"]) if report else None
        row = row if row and is_row_of(IamUser(user), row) else None
        found = listed_keys(keys, row, report.time if report else None)
        return [(key, evidence, found) for key, evidence in zip(keys, found, strict=True)]

    def _note_code(self, key: Resource, key_id: str) -> None:
        """Annotate which code manages the key, beside that of its user."""
        if not self._code:
            return
        managed, sources = self._code.of_key(key_id)
        known = key[ANNOTATION]
        told = [Finding(MANAGED_AS_CODE, LOW, each).as_data() for each in managed.texts]
        asked = {
            # a source that can't be read for one of them stays unread
            name: each.as_data()
            for name, each in sources.items()
            if not (known["sources"].get(name) or {}).get("problem")
        }
        key[ANNOTATION] = {
            **known,
            "managed": [*known["managed"], *as_data(managed.found)],
            "findings": [*told, *known["findings"]],
            "sources": {**known["sources"], **asked},
        }

    def _note_seen(self, rules: Sequence[exemptions.ExemptionRule], users: Sequence[SeenUser]) -> None:
        """Nothing: the output of this policy is about keys, and what it saw of users says nothing about them."""

    def _note_exempt(self, exempt: Sequence[tuple[Subject, exemptions.ExemptionRule]]) -> None:
        """See Unnecessary: an exempt user voids the announcements of its keys."""
        keys = [
            (subject_of(key), rule) for user, rule in exempt for key in self._keys.get(user.unique_id, ())
        ]
        super()._note_exempt(keys)


def _annotate(
    key: Resource,
    user: Resource,
    evidence: KeyEvidence,
    criteria: KeyCriteria,
    others: Sequence[KeyEvidence],
    now: datetime,
) -> None:
    known = user.get(ANNOTATION) or {}
    findings = [each.as_data() for each in criteria.findings(evidence, others, now)]
    alone = not any(each.active for each in others if each is not evidence)
    about = {**evidence.as_data(), ONLY_ACTIVE: alone}
    told = {"findings": [*findings, *(known.get("findings") or ())], KEY: about}
    if known.get("usage"):
        told["usage"] = [each for each in known["usage"] if each["id"] == evidence.key_id]
    key[ANNOTATION] = {**known, **told}
