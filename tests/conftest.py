# SPDX-License-Identifier: Apache-2.0
"""One local organization a test module, emptied for each test that asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import botocore.session
import pytest
from botocore.loaders import create_loader

from aws_local_org import LocalOrg, Settings

#: One for all tests: reading botocore's models anew for each session takes most of a test's time.
LOADER = create_loader()


@pytest.fixture(scope="module")
def local_org() -> Iterator[LocalOrg]:
    """A module's only local organization: one runs in a process at a time, and some tests start their own."""
    with LocalOrg(Settings(assignment_seconds=0.1)) as org:
        yield org


@pytest.fixture
def org(local_org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalOrg]:
    """An empty organization with its default settings; the environment leads boto3, and so c7n, to it."""
    monkeypatch.setattr(botocore.session, "create_loader", lambda *_: LOADER)
    for name, value in local_org.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    local_org.reset()
    before = local_org.settings
    yield local_org
    changed = {
        field.name: getattr(before, field.name)
        for field in dataclasses.fields(before)
        if getattr(before, field.name) != getattr(local_org.settings, field.name)
    }
    if changed:
        local_org.configure(**changed)
