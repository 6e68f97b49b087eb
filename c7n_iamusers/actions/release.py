# SPDX-License-Identifier: Apache-2.0
"""The action ``release``: undoes ``quarantine`` exactly."""

from __future__ import annotations

from c7n.utils import type_schema

from c7n_iamusers.actions.user_policy import record_places, require_lasting_output
from c7n_iamusers.actions.user_quarantine import UserRelease
from c7n_iamusers.actions.user_run import Run, UserAction, Work
from c7n_iamusers.model.permissions import RELEASE


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
        require_lasting_output(self.manager, self.type)
        return self

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        places = record_places(self.manager, run.store, self.data.get("record-from"))
        compromised, trusting = (
            self.data.get("include-compromised", False),
            self.data.get("trust-tags", False),
        )
        return UserRelease(run, places, compromised, trusting).release
