# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from c7n.query import sources as every_source
from c7n.resources.iam import User

from c7n_iamusers import entry


@pytest.fixture
def handler() -> Iterator[ModuleType]:
    """The handler's module; c7n's handler, which it imports, turns all logging on."""
    level = logging.root.level
    from c7n_iamusers import handler

    yield handler
    logging.root.setLevel(level)


def test_registers_then_dispatches(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def dispatch_event(event: dict[str, Any], context: Any) -> bool:
        known = [*User.filter_registry.keys(), *User.action_registry.keys(), *every_source.keys()]
        seen.append((event, context, {*entry.FILTERS, *entry.ACTIONS, *entry.SOURCES} - set(known)))
        return True

    for each in (every_source, User.filter_registry):
        monkeypatch.setattr(each, "_factories", {})
    monkeypatch.setattr(handler.custodian, "dispatch_event", dispatch_event)

    assert handler.run({"detail": {}}, "context") is True
    assert seen == [({"detail": {}}, "context", set())]


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        pytest.param({"source": "aws.iam"}, True, id="aws"),
        pytest.param({}, True, id="invoked"),
        pytest.param({"source": "com.example"}, False, id="by-somebody"),
        pytest.param({"source": "aws"}, False, id="by-somebody-alike"),
        pytest.param({"source": ["aws.iam"]}, False, id="no-text"),
    ],
)
def test_an_event_that_somebody_made_up_runs_nothing(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch, source: dict[str, Any], runs: bool
) -> None:
    """PutEvents lets its caller choose all of an event but a source of AWS."""
    seen = []
    monkeypatch.setattr(handler.custodian, "dispatch_event", lambda event, context: seen.append(event))
    handler.run({"detail-type": "AWS API Call via CloudTrail", "detail": {}, **source}, None)
    assert bool(seen) is runs


def test_an_error_of_registration_fails_the_invocation(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "FILTERS", {"missing": "c7n_iamusers.plugins.missing:Missing"})
    monkeypatch.setattr(handler.custodian, "dispatch_event", lambda event, context: pytest.fail("dispatched"))
    with pytest.raises(ModuleNotFoundError, match=r"c7n_iamusers\.plugins\.missing"):
        handler.run({}, None)
