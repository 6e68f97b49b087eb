# SPDX-License-Identifier: Apache-2.0
"""Numbers from variables: filled in by Cloud Custodian, and refused where they are not."""

from __future__ import annotations

from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.resources import load_resources
from c7n.schema import validate

from aws_local_org import LocalOrg
from c7n_iamusers.entry import register
from tests.plugins.deletions import acting
from tests.policies import policy

DELETE = {
    "type": "composite-delete",
    "noticed": "{announce_days}",
    "notices": "notices",
    "quarantined-for": "{quarantined_for_days}",
    "active-within": "{active_within_days}",
}
ANNOUNCE = {
    "type": "notify-owners",
    "notices": "notices",
    "step": "announce",
    "days": "{announce_days}",
    "to": ["owner@example.com"],
    "transport": {"type": "sqs", "queue": "https://sqs.us-east-1.amazonaws.com/123456789012/q"},
}
DAYS = {"announce_days": 30, "quarantined_for_days": 14.5, "active_within_days": 30}


pytestmark = pytest.mark.usefixtures("elsewhere")


def filled(action: dict[str, Any], **variables: Any) -> Any:
    """The policy as custodian and c7n-org run it: validated, filled in, validated again."""
    found = acting(action, None)
    found.expand_variables(found.get_variables(variables))
    found.validate()
    return found


def test_numbers_come_from_variables() -> None:
    (action,) = filled(DELETE, **DAYS).resource_manager.actions
    assert [action.data[key] for key in ("noticed", "quarantined-for", "active-within")] == [30, 14.5, 30]
    (action,) = filled(ANNOUNCE, **DAYS).resource_manager.actions
    assert action.data["days"] == 30


@pytest.mark.parametrize("action", [DELETE, ANNOUNCE], ids=lambda action: str(action["type"]))
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("30", id="quoted"),
        pytest.param(None, id="empty"),
        pytest.param(True, id="boolean"),
        pytest.param(-1, id="below"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param(float("nan"), id="not-a-number"),
        pytest.param([30], id="list"),
    ],
)
def test_what_is_no_number_is_refused(action: dict[str, Any], value: Any) -> None:
    with pytest.raises(PolicyValidationError, match=r"is .*, and must be a (whole )?number from 0 to 36500"):
        filled(action, **{**DAYS, "announce_days": value})


@pytest.mark.parametrize("notices", [5, "", ["notices"]])
def test_a_place_of_notices_that_is_no_text_touches_nobody(org: LocalOrg, notices: Any) -> None:
    org.client("iam", "111122223333").create_user(UserName="alice")
    with pytest.raises(
        PolicyValidationError, match=r"notices: .* (not of type 'string'|should be non-empty)"
    ):
        filled({**DELETE, "notices": "{notices}"}, **DAYS, notices=notices).run()


def test_a_part_of_a_day_is_no_day_of_an_announcement() -> None:
    with pytest.raises(PolicyValidationError, match=r"days is 30\.5, and must be a whole number"):
        filled(ANNOUNCE, announce_days=30.5)


@pytest.mark.parametrize("action", [DELETE, ANNOUNCE], ids=lambda action: str(action["type"]))
def test_an_undefined_variable_touches_nobody(org: LocalOrg, action: dict[str, Any]) -> None:
    iam = org.client("iam", "111122223333")
    iam.create_user(UserName="alice")
    with pytest.raises(PolicyExecutionError, match=r"undefined variables: .*announce_days"):
        filled(action).run()
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["alice"]


def test_what_cloud_custodian_fills_in_later_is_no_number(org: LocalOrg) -> None:
    """{op} is defined, as a text of its own."""
    org.client("iam", "111122223333").create_user(UserName="alice")
    with pytest.raises(
        PolicyExecutionError, match=r"noticed is '\{op\}', and must be a number from 0 to 36500"
    ):
        filled({**DELETE, "noticed": "{op}"}, **DAYS).run()


@pytest.mark.parametrize("given", [{"unused-for": "{days}"}, {"min-age": "{days}"}], ids=["unused", "age"])
def test_days_of_the_filter_come_from_variables(org: LocalOrg, given: dict[str, Any]) -> None:
    org.client("iam", "111122223333").create_user(UserName="alice")
    flag = {"filters": [{"type": "unnecessary", "exempt": "none", **given}]}
    found = policy(flag)
    found.expand_variables(found.get_variables({"days": 90}))
    found.validate()
    assert found.run() == []
    with pytest.raises(PolicyExecutionError, match="undefined variables: days"):
        policy(flag).run()


@pytest.mark.parametrize(("value", "accepted"), [("{announce_days}", True), ("30", False), ("{a}{b}", False)])
def test_the_schema_lets_a_number_or_a_variable_through(value: str, accepted: bool) -> None:
    """Cloud Custodian checks it before it fills in variables."""
    load_resources(("aws.iam-user",))
    register()
    flag = {"type": "unnecessary", "exempt": "none"}
    data = {
        "name": "announce",
        "resource": "aws.iam-user",
        "filters": [flag],
        "actions": [{**ANNOUNCE, "days": value}],
    }
    assert (validate({"policies": [data]}) == []) is accepted
