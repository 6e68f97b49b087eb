# SPDX-License-Identifier: Apache-2.0
"""The actions ``quarantine`` and ``release``: the second undoes exactly what the first did."""

from __future__ import annotations

from c7n.utils import type_schema

from c7n_iamusers.execution.user_run import Run, Work
from c7n_iamusers.iam.permissions import QUARANTINE, RELEASE
from c7n_iamusers.plugins.user_action import DAYS, UserAction
from c7n_iamusers.quarantine.quarantining import UserQuarantine, UserRelease
from c7n_iamusers.safeguards.guards import Guards


class Quarantine(UserAction):
    """Makes every credential of a user unusable, so that ``release`` can undo it exactly.

    First a Deny on everything goes on the user: an inline policy (``c7n-iamusers-deny-all``); where the 2,048
    characters of a user's inline policies have no room for it, the AWS-managed ``AWSDenyAll``, attached; where that
    has no room either, ``AWSDenyAll`` as the permissions boundary. Then its access keys, signing certificates, SSH
    keys and service-specific credentials are set to Inactive. IAM can't disable a console password (only delete
    it), nor end a session that is open: both are covered by the Deny. Where the role may use no form of the Deny,
    the credentials are switched off all the same, and the user is reported as failed.

    What was active before is recorded in the inline Deny itself, so that any machine can release the user, and in
    ``journal.jsonl``; with another form of the Deny ``release`` needs that journal. The tag
    ``c7n-iamusers-quarantine`` only tells people: whoever may tag a user can forge it. A key that was inactive
    before stays so. A snapshot, the journal and ``outcomes.json`` are in the output, as with ``composite-delete``.

    ``active-within`` is by default the ``unused-for`` of the filter, which, as all that the filter was asked to judge,
    is judged again on live data.

    Running it again changes nothing as long as the quarantine holds, and reports the use of password or keys
    since. Quiet is no proof: attempts with a deactivated key may leave no trace.

    The policy must have the filter ``unnecessary`` at its top level, so that whom it exempts stays untouched, with
    an exemption rule, a list of them, or ``exempt: none``.

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-quarantine
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    expires: "2027-12-31"
            actions:
              - type: quarantine
                reason: to be deleted in two weeks
    """

    schema = type_schema("quarantine", reason={"type": "string", "minLength": 1}, **{"active-within": DAYS})
    schema_alias = False
    permissions = QUARANTINE

    def validate(self) -> Quarantine:
        """Raises PolicyValidationError where the policy does not say whom it spares, or keeps no receipts."""
        self.require_lasting_output()
        self.require_exemptions()
        return self

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        account = self.account(run)
        # Compromised users are included: a leaked key is a reason to stop it, and a quarantine deletes no evidence.
        guards = Guards(run.callers, self.exemption_rules(), self.active_within(), include_compromised=True)
        records, recheck = self.user_records(run, account), self.recheck(run, account)
        policy, reason = str(self.manager.data.get("name")), self.data.get("reason", "no reason given")
        return UserQuarantine(run, records, guards, policy, reason, recheck.problem).quarantine


class Release(UserAction):
    """Takes users out of quarantine: what ``quarantine`` switched off is active again, and nothing else.

    Where somebody took the Deny off by hand, nobody knows why a credential is inactive now: it stays so, and the
    outcome names it.

    What was active before stands in the inline Deny itself, so this works from any machine. Where the Deny had no room
    inline, the record is in the journal of the quarantine's run: beside this policy's output, or where
    ``record-from`` says (an output directory, or ``s3://BUCKET/PREFIX``). Without a record nothing is changed, and what
    is inactive is listed; ``trust-tags: true`` takes the word of the tags of an earlier version. A user that is not in
    quarantine is skipped, and so is one of whom AWS saw a key leaked (``AWSCompromisedKeyQuarantine*``), unless
    ``include-compromised: true`` says otherwise. The use of password or keys since the quarantine is reported.

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
        **{
            "include-compromised": {"type": "boolean"},
            "record-from": {"type": "string", "minLength": 1},
            "trust-tags": {"type": "boolean"},
        },
    )
    schema_alias = False
    permissions = RELEASE

    def validate(self) -> Release:
        """Raises PolicyValidationError where the journal would not outlive the run."""
        self.require_lasting_output()
        return self

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        compromised, trust_tags = (
            self.data.get("include-compromised", False),
            self.data.get("trust-tags", False),
        )
        return UserRelease(run, self.record_stores(run), compromised, trust_tags).release
