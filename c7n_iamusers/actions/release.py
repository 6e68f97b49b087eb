# SPDX-License-Identifier: Apache-2.0
"""The action ``release``: undoes ``quarantine`` exactly."""

from __future__ import annotations

from c7n.utils import type_schema

from c7n_iamusers.actions.user_policy import require_lasting_output
from c7n_iamusers.actions.user_quarantine import UserRelease
from c7n_iamusers.actions.user_run import Run, UserAction, Work
from c7n_iamusers.model.permissions import RELEASE


class Release(UserAction):
    """Takes users out of quarantine: what ``quarantine`` switched off is active again, and nothing else.

    Where somebody took the Deny off by hand, nobody knows why a credential is inactive now: it stays so, and the
    outcome names it.

    What was active before stands on the user itself, so this works from any machine. A user that is not in
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

    schema = type_schema("release", **{"include-compromised": {"type": "boolean"}})
    schema_alias = False
    permissions = RELEASE

    def validate(self) -> Release:
        """Raises PolicyValidationError where the journal would not outlive the run."""
        require_lasting_output(self.manager, self.type)
        return self

    def prepare(self, run: Run) -> Work:
        """See UserAction."""
        return UserRelease(run, self.data.get("include-compromised", False)).release
