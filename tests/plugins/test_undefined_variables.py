# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.plugins.policy_checks import refuse_undefined_variables
from tests.policies import policy


def notify(**data: Any) -> Any:
    transport = {
        "type": "sqs",
        "queue": data.pop("queue", "https://sqs.us-east-1.amazonaws.com/123456789012/q"),
    }
    action = {"type": "notify", "to": ["a@example.com"], "transport": transport, **data}
    return policy({"filters": ["unnecessary"], "actions": [action]}).resource_manager


@pytest.mark.parametrize(
    ("data", "named"),
    [
        pytest.param({"queue": "{queue_url}"}, "queue_url", id="in-a-mapping"),
        pytest.param({"to": ["{owner}", "b@example.com"]}, "owner", id="in-a-list"),
        pytest.param({"contact": " {a} ", "start-url": "{b}"}, "a, b", id="several"),
    ],
)
def test_undefined_variables_are_refused_by_name(data: dict[str, Any], named: str) -> None:
    with pytest.raises(
        PolicyExecutionError, match=rf"account 111122223333: undefined variables: {named}\. Nothing"
    ):
        refuse_undefined_variables(notify(**data))


def test_undefined_variables_of_filters_are_refused_before_anybody_is_selected() -> None:
    filters = ["unnecessary", {"type": "value", "key": "{person_email}", "value": "absent"}]
    manager = policy({"filters": filters, "actions": []}).resource_manager
    with pytest.raises(PolicyExecutionError, match="undefined variables: person_email"):
        manager.filters[0].process([])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="none"),
        pytest.param({"subject": "{{ account_id }}"}, id="jinja"),
        pytest.param({"contact": "{account}"}, id="c7n-fills-it-in-later"),
        pytest.param({"contact": "write to {a} or {b}"}, id="part-of-a-text"),
    ],
)
def test_what_is_defined_or_none_passes(data: dict[str, Any]) -> None:
    refuse_undefined_variables(notify(**data))
