# SPDX-License-Identifier: Apache-2.0
"""Injects denials and changes by others between two calls of a run, in the clients of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

from c7n_iamusers.identity_center.applying.center_lock import LOCK
from c7n_iamusers.identity_center.aws.identity_store import PROBE
from tests.fakes import client_error

#: How the operations begin that change nothing.
READS = ("List", "Describe", "Get", "Is")


class Killed(BaseException):
    """The process dies."""


def after_change(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """Right after Identity Center has made its ``number``-th change from now on, ``error``: once."""
    original, changes = BaseClient._make_api_call, iter(range(1, 1000))  # type: ignore[attr-defined]

    def make_api_call(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        response = original(self, name, parameters)
        # The lock of a run, a permission set, is no change.
        center = self.meta.service_model.service_name in ("sso-admin", "identitystore")
        center = center and parameters.get("Name") != LOCK
        if center and not name.startswith(READS) and next(changes) == number:
            raise error
        return response

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


def _intercept(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[str, dict[str, Any]], object], agent: str = ""
) -> None:
    original = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make_api_call(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        # The lock of a run is a permission set, and it asks whether users can be created.
        own = parameters.get("Name") == LOCK or parameters.get("UserName") == PROBE
        if self.meta.config.user_agent.startswith(agent) and not own:
            before(name, parameters)
        return original(self, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


def on_calls(monkeypatch: pytest.MonkeyPatch, happens: Callable[[str, dict[str, Any]], object]) -> None:
    """``happens(operation, parameters)`` right before each call of this process is sent."""
    _intercept(monkeypatch, happens)


def deny(monkeypatch: pytest.MonkeyPatch, operation: str, user: str | None = None) -> None:
    """Every ``operation`` (for ``user``, if given) is denied from now on."""

    def before(name: str, parameters: dict[str, Any]) -> None:
        if name == operation and user in (None, parameters.get("UserName")):
            raise client_error("AccessDenied")

    _intercept(monkeypatch, before)


def on_call(
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    happens: Callable[[], object],
    by_policies_only: bool = False,
) -> None:
    """``happens`` right before each ``operation`` is sent, or before those only that a policy of c7n sends."""

    def before(name: str, _: dict[str, Any]) -> None:
        if name == operation:
            happens()

    _intercept(monkeypatch, before, "c7n/" if by_policies_only else "")
