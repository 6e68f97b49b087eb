# SPDX-License-Identifier: Apache-2.0
"""The numbers and durations that hold where a policy or a workspace states none, each with its option. Pure.

The shipped policies state most of them, by the variables of ``accounts.yml`` that are named here: to change what these
policies do, change the variable. What only a command has stands at its option. AWS's quotas, and what nobody can set,
stand where they are used.
"""

from __future__ import annotations

#: Days. ``active-within`` of composite-delete, quarantine, notify-owners; variable active_within_days. Our own choice.
ACTIVE_WITHIN = 30
#: Days. ``used-within`` of the filter identity-center. Our own choice: as long as ``active-within``.
USED_WITHIN = 30
#: Days. ``thresholds.unused`` of the filter unnecessary. Security Hub's control IAM.8.
UNUSED = 90
#: Days. ``thresholds.rotation`` of the filter unnecessary. Security Hub's control IAM.3.
ROTATION = 90
#: Days between two messages. ``every`` of notify-owners, step overdue; variable overdue_every_days. Our own choice.
OVERDUE_EVERY = 7
#: Messages. ``escalate-after`` of notify-owners, step overdue; variable overdue_escalate_after. Our own choice.
OVERDUE_ESCALATE_AFTER = 4
#: Rules. ``min-rules`` of the filters' ``exempt-from``: an empty list is refused.
MIN_RULES = 1
#: ISO 8601. ``session-duration`` of ``permission-set`` and ``derive``. AWS's own default: CreatePermissionSet.
SESSION_DURATION = "PT1H"
#: Seconds for one assignment. ``timeout`` of provision-identity-center. `provision --timeout` is longer.
ASSIGNMENT_TIMEOUT = 300
#: Hours. ``--max-age`` of `c7n-iamusers provision`: how old intents may be. Our own choice: policies run daily.
INTENTS_MAX_AGE = 24
#: Days. ``clean-days`` of a workspace's ``waves``: how long checks are clean before the next wave opens.
CLEAN_DAYS = 7
#: Days. ``min-age`` of the filter unnecessary on access keys: younger ones are never unnecessary. Our own choice.
KEY_MIN_AGE = 30
#: Days. ``include-last`` of deactivate and retire: a last key that was used in so many is in use. Our own choice.
LAST_KEY_USED_WITHIN = 90
