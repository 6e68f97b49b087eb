# SPDX-License-Identifier: Apache-2.0
"""The actions ``quarantine`` and ``release``, which undoes exactly what ``quarantine`` did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from c7n.actions import EventAction
from c7n.exceptions import PolicyValidationError
from c7n.utils import type_schema

from c7n_iamusers.evidence.credential_events import CredentialEvent, credential_event
from c7n_iamusers.execution.executor import Run
from c7n_iamusers.execution.outcomes import Work
from c7n_iamusers.iam.permissions import AWS_DENIAL, BROWNOUT, DENIAL, GIVEN_BACK, QUARANTINE, RELEASE
from c7n_iamusers.iam.sign_in_sessions import NO_SESSIONS
from c7n_iamusers.lockout.deny_all import LONGEST_BROWNOUT
from c7n_iamusers.plugins.policy_checks import check_options
from c7n_iamusers.plugins.resources import subject_of
from c7n_iamusers.plugins.run_outputs import visible_errors
from c7n_iamusers.plugins.safeguarded_action import OPTIONS, RECORD_OPTIONS, TakingAction
from c7n_iamusers.plugins.user_action import UserAction
from c7n_iamusers.quarantine.user_quarantine import UserQuarantine
from c7n_iamusers.quarantine.user_release import UserRelease
from c7n_iamusers.reasons import MANAGED_DRIFT
from c7n_iamusers.safeguards.reasons_to_spare import Guards
from c7n_iamusers.text.times import moment

#: The value of the option credentials that leaves them active, and the only one of the option deny.
KEEP, AWS_DENY_ALL = "keep", "AWSDenyAll"


class Quarantine(TakingAction, EventAction):  # type: ignore[misc]  # c7n is untyped
    """Makes every credential of a user unusable. ``release`` undoes it exactly.

    First a Deny on everything is put on the user: an inline policy (``c7n-iamusers-deny-all``); if the 2,048 characters
    of a user's inline policies have no room for it, or the user has another policy of that name, the AWS-managed
    ``AWSDenyAll``, attached; if there is no room for that either, ``AWSDenyAll`` as the permissions boundary. Then its
    access keys, signing certificates, SSH keys and service-specific credentials are set to Inactive. IAM can neither
    disable a console password (only delete it) nor end an open session; the Deny covers both. Where the installed
    botocore has ``signin:BatchRevokeSessions`` (1.44), the user's sign-in sessions can't be refreshed any more;
    credentials that they issued stay valid under the Deny. If the role may use no form of the Deny, the credentials are
    deactivated nevertheless, and the outcome is ``failed``.

    The inline Deny itself records what was active before, so that any machine can release the user; so does
    ``journal.jsonl``, which ``release`` needs with another form of the Deny. The tag ``c7n-iamusers-quarantine`` is for
    people, and is written last: without a journal, it shows that the quarantine was completed. Anybody with
    iam:TagUser can forge it, so it adds nothing to the record. A key that was inactive before stays inactive. What
    somebody creates or activates under the Deny is deactivated by the next run, which names it; no release activates
    it. The output has a snapshot, the journal and ``outcomes.json``, as with ``composite-delete``.

    ``credentials: keep`` puts only the Deny on. Requests go on, are denied, and may be seen; IAM reports no attempts
    with an inactive key. ``credentials: deactivate``, the default, follows: it deactivates them under the same Deny.
    Days under either count for ``quarantined-for`` as long as the Deny holds.

    ``brownout: 15`` only puts on a Deny that ends by itself after this many minutes (at most 720), even if the runner
    dies before. It is no quarantine, and does not count for ``quarantined-for``. Each run makes one. The Deny has the
    inline form only, as a policy of its own (``c7n-iamusers-brownout``), which replaces no quarantine; a user without
    room for it is skipped. A policy that is over stays on the user until ``release`` or ``composite-delete`` removes
    it. AWS takes seconds to minutes to apply it everywhere.

    A user under ``AWSDenyAll`` that no journal of this output, or of those beside it, shows as ours is left alone, and
    ``failed``: somebody else parked it, or a deletion with another output is half-way. So is a user that
    ``c7n-iamusers restore`` made and did not end. ``adopt: true`` takes them all the same, and marks the snapshot as
    partial.

    ``deny: AWSDenyAll``, with ``credentials: keep``, puts on no other form: attached, or as the boundary of a user that
    has none. There is no tag, and the record is in the journal alone. A role for it can neither put a policy of its own
    on a user nor take one off, so it suits a Lambda function. An inline Deny on the user is ignored.

    ``active-within``, ``trusted-by-role`` and ``require`` are those of ``composite-delete``: users that are active or
    trusted by a role are skipped unless the policy says otherwise. All criteria of the filter are checked again on live
    data.

    ``noticed``, ``notices`` and ``delivery`` ask for a record of ``notify-owners``, as with ``composite-delete``.
    ``noticed: 16`` counts from the announcement, so the announced day, which is that of the deletion, need not have
    come. If the announcement said by ``quarantined-for`` when credentials stop working, users are skipped until that
    day, except for a brownout. In a Lambda mode, where no announcement precedes it, write ``noticed: none``; the file
    ``STOP`` in ``notices`` stops it then, too. Exemption lists, notices, ``STOP``, access and trust are asked as
    ``composite-delete`` does, right before the first change of each user. Where that can't be read, users fail,
    untouched.

    Running it again changes nothing as long as the quarantine holds, and reports the use of password or keys since.
    No reported use is no proof: attempts with an inactive key may leave no trace.

    The policy must have the filter ``unnecessary`` at its top level with an exemption rule, a list of them, or
    ``exempt: none``, and state ``noticed``, and ``require`` unless the filter's ``kinds`` leave out human, mixed and
    unknown.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-quarantine
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                kinds: [machine, no-credentials]
                findings:
                  none-of: [role-trusts-user]
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    expires: "2027-12-31"
              - "tag:Email": absent
            actions:
              - type: quarantine
                reason: to be deleted in two weeks
                active-within: 30
                noticed: 16
                notices: s3://governance/iam-users/notices
    """

    schema = type_schema(
        "quarantine",
        reason={"type": "string", "minLength": 1},
        credentials={"enum": [KEEP, "deactivate"]},
        brownout={"type": "integer", "minimum": 1, "maximum": LONGEST_BROWNOUT // timedelta(minutes=1)},
        adopt={"type": "boolean"},
        deny={"enum": [AWS_DENY_ALL]},
        **OPTIONS,
    )
    schema_alias = False
    permissions = QUARANTINE
    _event: CredentialEvent | None = None
    ends_sessions = True

    def get_permissions(self) -> list[str]:
        """The permissions that the action needs with its options."""
        if "brownout" in self.data:
            return [*BROWNOUT]
        if "deny" in self.data:
            return [*AWS_DENIAL]
        kept = frozenset(QUARANTINE).difference(DENIAL) if self.data.get("credentials") == KEEP else ()
        return [permission for permission in super().get_permissions() if permission not in kept]

    def validate(self) -> Quarantine:
        """Raises PolicyValidationError for no exemptions, contradicting options, or an output that does not last."""
        check_options(self)
        self.require_lasting_output()
        self.require_exemptions()
        self.require_notices()
        self.require_statements()
        self.require_access_filter()
        if "brownout" in self.data and self.data.get("credentials", KEEP) != KEEP:
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: quarantine: a brownout ends by itself, and nobody would "
                f"activate the credentials then: leave credentials out, or make it {KEEP}"
            )
        if "deny" in self.data and (self.data.get("credentials") != KEEP or "brownout" in self.data):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: quarantine: deny: {AWS_DENY_ALL} leaves credentials active, "
                f"and stays until somebody takes it off: give credentials: {KEEP}, and no brownout"
            )
        self.require_numbers()
        return self

    @visible_errors
    def process(self, resources: list[dict[str, Any]], event: Any = None) -> None:
        """See UserAction. Only users that the ``event`` can be about count: AWS delivers it late, and again."""
        self._event = credential_event(event)
        about = []
        for resource in resources:
            user = subject_of(resource)
            created = moment(resource.get("CreateDate"))
            if self._event and not self._event.is_about(user.unique_id, created, user.name):
                self.log.info("%s: left alone: %s is not about this user", user, self._event)
            else:
                about.append(resource)
        self._resources = about
        if about:
            super().process(about)

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        account = self.account(run)
        guards = self._guards(run)
        records, recheck = self.user_records(run, account), self.recheck(run, account)
        policy, reason = str(self.manager.data.get("name")), self.data.get("reason", "no reason given")
        keep, brownout = self.data.get("credentials") == KEEP, self.data.get("brownout")
        users = UserQuarantine(
            run,
            records,
            self.gates(run, guards),
            policy,
            reason,
            recheck.problem,
            keep=keep,
            aws_deny_all="deny" in self.data,
            brownout=brownout,
            sessions=NO_SESSIONS if "deny" in self.data else self.sign_in_sessions(run),
            caused=self._event.time if self._event else None,
            new=bool(self._event and self._event.name == "CreateUser"),
            note_exempt=self.note_exempt,
            adopt=self.data.get("adopt", False),
            noted=self.managed_notes(MANAGED_DRIFT),
        )
        return users.quarantine

    def _guards(self, run: Run) -> Guards:
        """The guards that stay the same during a run; gates give the others."""
        return Guards.of_quarantine(
            run.callers, self.active_within(), self.days("noticed"), brownout="brownout" in self.data
        )


class Release(UserAction):
    """Releases users from quarantine: activates the credentials that ``quarantine`` deactivated, and removes the Deny.

    If somebody else removed the Deny, it is not known why a credential is inactive: it stays inactive, and the outcome
    names it. The release of a later quarantine names it too, if a journal shows that this tool deactivated it.

    It activates what this tool deactivated, by a journal. Without the journal of the quarantine, the tag of a completed
    quarantine is enough. What somebody else deactivated stays inactive, and is named.

    If a credential, passwords included, is active and was not when the quarantine began, somebody created or activated
    it since. Then nothing is changed, and the outcome is ``failed`` and names it: a thief may have made it for later.

    ``AWSDenyAll`` holds no record. Once a run has seen the user without it, the journal says so, and a later one is not
    this tool's. If a key that the quarantine deactivated was used, nothing is changed, and the outcome is ``failed``.
    If somebody removes it and puts it on again between two runs, and no key is used, no run sees that.

    ``AWSDenyAll`` stays if no record shows that this tool put it on, and the outcome is then ``failed``: somebody else
    may have put it on, or a quarantine with another output, which ``record-from`` names. So does an inline policy with
    a name of ours that is not exactly ours: if it denies anything, the outcome is ``failed``.

    The inline Deny itself records what was active before, so this works on any machine. If the Deny had no room inline,
    the record is in the journal of the quarantine's run: beside this policy's output, or in ``record-from`` (an output
    directory, or ``s3://BUCKET/PREFIX``). Without a record nothing is changed, and the outcome lists what is inactive.

    A user that has lost something since its quarantine is left alone, and ``failed``: a deletion with another output
    may be half-way. ``adopt: true`` releases it nevertheless, unless what is gone may have denied it something.

    Users that are not in quarantine are ``unchanged``. Those with a policy ``AWSCompromisedKeyQuarantine*`` are
    ``skipped``, unless ``include-compromised`` is true.
    The outcome reports the use of password or keys since the quarantine.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-release
            resource: aws.iam-user
            source: authorization-details
            filters:
              - "tag:c7n-iamusers-quarantine": present
              - UserName: jane.doe
            actions:
              - type: release
    """

    schema = type_schema(
        "release",
        **RECORD_OPTIONS,
    )
    schema_alias = False
    permissions = RELEASE
    #: The permissions of these that may not be limited to AWSDenyAll.
    gives_back = GIVEN_BACK

    def validate(self) -> Release:
        """Raises PolicyValidationError for an output that does not last."""
        check_options(self)
        self.require_lasting_output()
        return self

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        compromised, adopt = (self.data.get(each, False) for each in ("include-compromised", "adopt"))
        return UserRelease(run, self.record_stores(run), compromised, adopt).release
