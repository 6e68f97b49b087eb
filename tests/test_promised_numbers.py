# SPDX-License-Identifier: Apache-2.0
"""Numbers that the documentation promises, or that AWS's quotas give, as literals.

Other tests take them from the code, so that they hold for any number. A change here is a change for users.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from c7n_iamusers import defaults
from c7n_iamusers.execution import rate_limit
from c7n_iamusers.iam import live_users
from c7n_iamusers.lockout import deny_all, lockout_state
from c7n_iamusers.lockout.quarantine_record import TAGS_PER_USER, VALUE_LENGTH
from c7n_iamusers.notices import notices
from c7n_iamusers.safeguards import gate_readings, user_identity


@pytest.mark.parametrize(
    ("found", "promised"),
    [
        pytest.param(gate_readings.MAX_AGE, 30, id="seconds-that-a-gate-may-be-old"),
        pytest.param(gate_readings.CALLS, 10, id="calls-of-all-gates-in-each-half-minute"),
        pytest.param(gate_readings.LONGEST, 900, id="seconds-that-a-patient-gate-may-be-old"),
        pytest.param(live_users.MAX_AGE, 30, id="seconds-that-a-list-of-the-account-may-be-old"),
        pytest.param(
            user_identity.LIST_ATTEMPTS, 6, id="times-that-a-list-is-asked-about-a-user-that-is-gone"
        ),
        pytest.param(
            lockout_state.SETTLED,
            timedelta(minutes=15),
            id="minutes-until-what-others-changed-contradicts-a-journal",
        ),
        pytest.param(defaults.ACTIVE_WITHIN, 30, id="days-of-use-that-spare-a-user"),
        pytest.param(defaults.USED_WITHIN, 30, id="days-of-use-that-count-as-access"),
        pytest.param(defaults.UNUSED, 90, id="days-after-which-a-credential-is-unused"),
        pytest.param(defaults.ROTATION, 90, id="days-after-which-a-key-is-due-for-rotation"),
        pytest.param(defaults.OVERDUE_EVERY, 7, id="days-between-mails-about-overdue-users"),
        pytest.param(defaults.OVERDUE_ESCALATE_AFTER, 4, id="mails-after-which-a-second-contact-gets-them"),
        pytest.param(defaults.MIN_RULES, 1, id="rules-of-a-list-of-exemptions"),
        pytest.param(defaults.SESSION_DURATION, "PT1H", id="session-of-a-permission-set"),
        pytest.param(defaults.ASSIGNMENT_TIMEOUT, 300, id="seconds-for-an-assignment"),
        pytest.param(defaults.INTENTS_MAX_AGE, 24, id="hours-that-intents-may-be-old"),
        pytest.param(notices.LAPSE_DAYS, 90, id="days-after-which-an-announcement-lapses"),
        pytest.param(rate_limit.IDENTITY_CENTER_RATE, 20, id="calls-a-second-to-identity-center"),
        pytest.param(deny_all.INLINE_QUOTA, 2048, id="characters-of-inline-policies"),
        pytest.param(deny_all.ATTACHED_QUOTA, 10, id="attached-policies"),
        pytest.param(TAGS_PER_USER, 50, id="tags-of-a-user"),
        pytest.param(VALUE_LENGTH, 256, id="characters-of-a-tag"),
    ],
)
def test_numbers_are_those_that_are_promised(found: object, promised: object) -> None:
    assert found == promised
