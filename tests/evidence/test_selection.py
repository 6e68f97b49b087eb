# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from c7n_iamusers.evidence.assessment import Assessment, Criteria, assess
from c7n_iamusers.evidence.model import Evidence, Source
from c7n_iamusers.evidence.selection import Selection
from c7n_iamusers.exemptions import Exemption
from c7n_iamusers.iam.user import IamUser
from tests.evidence_records import (
    NOW,
    PIECES,
    aged,
    evidence,
    key,
    password,
    service_credential,
    ssh_key,
    used,
)
from tests.records import user

pytestmark = pytest.mark.pure

ALICE = aged(user(), 1000)


def assessed(known: Evidence, subject: IamUser = ALICE) -> Assessment:
    return assess(subject, known, Exemption(None), Criteria(), NOW)


IDLE = assessed(evidence(key(used(100))))
UNKNOWN = assessed(evidence(unread=("login-profile", "access-key")))


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        pytest.param(Selection(), True, id="no-conditions"),
        pytest.param(Selection(kinds=("human", "machine")), True, id="kind"),
        pytest.param(Selection(kinds=("human",)), False, id="other-kind"),
        pytest.param(Selection(unused_for=90), True, id="unused"),
        pytest.param(Selection(unused_for=101), False, id="not-so-long"),
        pytest.param(Selection(min_age=1000), True, id="age"),
        pytest.param(Selection(min_age=1001), False, id="younger"),
        pytest.param(Selection(any_of=("admin-rights", "key-unused")), True, id="any-finding"),
        pytest.param(Selection(any_of=("admin-rights",)), False, id="no-such-finding"),
        pytest.param(Selection(none_of=("admin-rights",)), True, id="none-of"),
        pytest.param(Selection(none_of=("admin-rights", "key-unused")), False, id="one-of-them"),
        pytest.param(Selection(kinds=("machine",), unused_for=90, min_age=1001), False, id="all-must-be-met"),
    ],
)
def test_conditions(selection: Selection, selected: bool) -> None:
    assert selection.selects(IDLE, NOW) is selected


@pytest.mark.parametrize(
    ("selection", "selected"),
    [
        pytest.param(Selection(), True, id="no-conditions"),
        pytest.param(
            Selection(kinds=("human", "machine", "mixed", "no-credentials")), False, id="every-known-kind"
        ),
        pytest.param(Selection(kinds=("unknown",)), True, id="asked-for-by-name"),
        pytest.param(Selection(unused_for=1), False, id="unused"),
        pytest.param(Selection(any_of=("key-unused", "password-never-used")), False, id="any-of"),
        pytest.param(Selection(none_of=("key-unused",)), False, id="none-of"),
        pytest.param(Selection(none_of=("admin-rights",)), True, id="none-of-what-is-known"),
    ],
)
def test_the_unknown_selects_nobody(selection: Selection, selected: bool) -> None:
    assert selection.selects(UNKNOWN, NOW) is selected


@pytest.mark.parametrize(
    ("selection", "assessment", "reason"),
    [
        pytest.param(Selection(unused_for=90), IDLE, "", id="selected"),
        pytest.param(Selection(kinds=("human",), min_age=1001), IDLE, "min-age", id="the-first-of-two"),
        pytest.param(Selection(any_of=("admin-rights",)), IDLE, "findings.any-of", id="any-of"),
        pytest.param(Selection(none_of=("key-unused",)), UNKNOWN, "findings.none-of", id="none-of"),
        pytest.param(Selection(kinds=("human",)), IDLE, "kinds", id="kind"),
        pytest.param(Selection(unused_for=101), IDLE, "unused-for", id="used"),
        pytest.param(
            Selection(unused_for=1),
            UNKNOWN,
            "unused-for: console password: not read, access key: not read",
            id="what-is-unknown",
        ),
    ],
)
def test_a_user_that_is_not_selected_has_a_reason(
    selection: Selection, assessment: Assessment, reason: str
) -> None:
    assert selection.left_out_by(assessment, NOW) == reason


def test_a_user_of_unknown_age_is_not_old() -> None:
    assert not Selection(min_age=1).selects(assessed(evidence(), user()), NOW)


BARE = evidence(unread=("ssh-public-key",))
KEYED = evidence(key(used(100)), unread=("ssh-public-key",))


def without_ssh_source(known: Evidence) -> Evidence:
    return replace(known, sources={name: Source(name, NOW) for name in PIECES if name != "ssh-public-keys"})


@pytest.mark.parametrize(
    ("selection", "known", "wanted"),
    [
        pytest.param(Selection(), BARE, True, id="nothing-else-to-go-by"),
        pytest.param(Selection(), KEYED, False, id="settled-by-a-key"),
        pytest.param(Selection(kinds=("machine",)), BARE, True, id="kind-open"),
        pytest.param(Selection(kinds=("human",)), KEYED, False, id="kind-settled-otherwise"),
        pytest.param(Selection(unused_for=90), KEYED, True, id="unused-but-for-ssh-keys"),
        pytest.param(Selection(unused_for=90), BARE, True, id="bare-and-unused"),
        pytest.param(Selection(unused_for=200), KEYED, False, id="used-anyway"),
        pytest.param(
            Selection(unused_for=90, kinds=("human",)), KEYED, False, id="unused-but-of-another-kind"
        ),
        pytest.param(Selection(min_age=2000), BARE, False, id="too-young-anyway"),
        pytest.param(Selection(none_of=("iam-user",)), BARE, False, id="out-by-its-findings"),
        pytest.param(Selection(), evidence(ssh_key()), False, id="listed-already"),
        pytest.param(
            Selection(unused_for=90),
            evidence(key(used(100)), service_credential("bedrock"), unread=("ssh-public-key",)),
            False,
            id="open-for-another-reason",
        ),
    ],
)
def test_ssh_keys_are_listed_only_where_they_settle_it(
    selection: Selection, known: Evidence, wanted: bool
) -> None:
    assert selection.needs_user_lists(assessed(without_ssh_source(known)), NOW) is wanted


def test_without_a_source_of_the_user_nothing_is_unused() -> None:
    known = replace(KEYED, sources={})
    assert not Selection(unused_for=90).needs_user_lists(assessed(known), NOW)
    assert not Selection(unused_for=90).selects(assessed(replace(evidence(password()), sources={})), NOW)
