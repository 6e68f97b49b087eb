# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from c7n_iamusers.identity_center.access_state import ABSENT, PENDING, PROVISIONED, RequiredSet, access_state
from c7n_iamusers.identity_center.model import KnownPermissionSet, KnownPerson
from tests.access_center import ACCOUNT, ALICE, KNOWN_ALICE, OTHER_ACCOUNT, SET_ARN, WANTED, known_set

pytestmark = pytest.mark.pure

HELD = known_set(accounts=frozenset({ACCOUNT}))
STALE = known_set(accounts=frozenset({ACCOUNT}), stale=frozenset({ACCOUNT}))
STALE_ELSEWHERE = known_set(accounts=frozenset({ACCOUNT}), stale=frozenset({OTHER_ACCOUNT}))
OTHER = KnownPermissionSet(SET_ARN + "2", replace(WANTED, name="Other"))
ANY, NAMED, EXACT = RequiredSet(), RequiredSet("Migrated"), RequiredSet("Migrated", WANTED)


@pytest.mark.parametrize(
    ("held", "requested", "state"),
    [
        pytest.param([HELD], ANY, PROVISIONED, id="any"),
        pytest.param([OTHER], ANY, PROVISIONED, id="any-other"),
        pytest.param([STALE], ANY, PROVISIONED, id="any-in-an-earlier-form"),
        pytest.param([], ANY, PENDING, id="none"),
        pytest.param([OTHER, HELD], NAMED, PROVISIONED, id="named"),
        pytest.param([OTHER], NAMED, PENDING, id="another-than-named"),
        pytest.param([STALE], NAMED, PENDING, id="named-in-an-earlier-form"),
        pytest.param([STALE_ELSEWHERE], NAMED, PROVISIONED, id="an-earlier-form-elsewhere"),
        pytest.param([HELD], EXACT, PROVISIONED, id="exact"),
        pytest.param(
            [known_set(replace(WANTED, inline_policy=""))], EXACT, PENDING, id="the-name-with-other-policies"
        ),
    ],
)
def test_what_is_held(held: list[KnownPermissionSet], requested: RequiredSet, state: str) -> None:
    assert access_state(ALICE, KNOWN_ALICE, None, held, ACCOUNT, requested).state == state


@pytest.mark.parametrize(
    ("by_username", "by_email", "state", "reason"),
    [
        pytest.param(None, None, ABSENT, "no user in Identity Center has username alice", id="nobody"),
        pytest.param(
            replace(KNOWN_ALICE, email="x@example.com"),
            None,
            ABSENT,
            "with an e-mail other than",
            id="another-e-mail",
        ),
        pytest.param(
            None, replace(KNOWN_ALICE, username="mallory"), ABSENT, "belongs to", id="another-username"
        ),
        pytest.param(replace(KNOWN_ALICE, enabled=False), None, PENDING, "is disabled", id="disabled"),
    ],
)
def test_who_it_is(
    by_username: KnownPerson | None, by_email: KnownPerson | None, state: str, reason: str
) -> None:
    found = access_state(ALICE, by_username, by_email, [HELD], ACCOUNT, ANY)
    assert found.state == state
    assert reason in found.reason


@pytest.mark.parametrize(
    ("user_id", "known", "state", "reason"),
    [
        pytest.param(KNOWN_ALICE.user_id, KNOWN_ALICE, PROVISIONED, "holds Migrated", id="that-one"),
        pytest.param("another", KNOWN_ALICE, ABSENT, "says that it is user id another", id="another"),
        pytest.param("another", None, ABSENT, "has no user in Identity Center", id="nobody"),
    ],
)
def test_the_people_file_says_which_user_it_is(
    user_id: str, known: KnownPerson | None, state: str, reason: str
) -> None:
    found = access_state(ALICE, known, None, [HELD], ACCOUNT, ANY, user_id)
    assert found.state == state
    assert reason in found.reason
