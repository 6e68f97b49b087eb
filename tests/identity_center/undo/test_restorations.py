# SPDX-License-Identifier: Apache-2.0
"""What an undo reads first: the present permission set, the IAM users, and who can write its input."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.model import KnownPermissionSet
from c7n_iamusers.identity_center.object_records import content_of
from c7n_iamusers.identity_center.undo.only_access import read_once
from c7n_iamusers.identity_center.undo.restorations import set_changed
from c7n_iamusers.identity_center.undo.undoing import _check_owned, _is_complete
from tests.access_center import ACCOUNT, OTHER_ACCOUNT, SET_ARN
from tests.desired import readers

pytestmark = [pytest.mark.pure, pytest.mark.whole]
RECORD = {"account": ACCOUNT, "content": content_of(readers("Readers"))}


def known(name: str = "Readers", *stale: str) -> KnownPermissionSet:
    return KnownPermissionSet(SET_ARN, readers(name), frozenset({ACCOUNT, OTHER_ACCOUNT}), frozenset(stale))


@pytest.mark.parametrize(
    ("now", "told"),
    [
        pytest.param(known(), "", id="the-same"),
        pytest.param(known("Readers", OTHER_ACCOUNT), "", id="an-earlier-form-elsewhere"),
        pytest.param(known("Readers", ACCOUNT), f"account {ACCOUNT}", id="an-earlier-form"),
        pytest.param(known("Others"), "permission set", id="other-content"),
        pytest.param(None, "permission set", id="gone"),
    ],
)
def test_an_assignment_gives_what_it_gave_by_the_same_set_alone(
    now: KnownPermissionSet | None, told: str
) -> None:
    found = set_changed(RECORD, now)
    assert told in found
    assert bool(found) is bool(told)


def test_each_account_is_read_once() -> None:
    asked = list[list[str]]()

    def read_users(accounts: Iterable[str]) -> dict[str, Any]:
        asked.append(list(accounts))
        return {each: f"users of {each}" for each in asked[-1] if each != "lost"}

    read = read_once(read_users)
    assert read(["a", "lost"]) == {"a": "users of a"}
    assert read(["a", "b"]) == {"a": "users of a", "b": "users of b"}
    assert read(["a", "b"]) == {"a": "users of a", "b": "users of b"}
    assert asked == [["a", "lost"], ["b"]]


@pytest.mark.parametrize(
    ("owner", "mode", "refused"),
    [
        pytest.param(1000, 0o600, False, id="own"),
        pytest.param(0, 0o600, False, id="of-root"),
        pytest.param(1, 0o600, True, id="of-another"),
        pytest.param(1000, 0o620, True, id="a-group-may-write"),
        pytest.param(1000, 0o602, True, id="everybody-may-write"),
        pytest.param(1000, 0o644, False, id="everybody-may-read"),
    ],
)
def test_nobody_else_can_write_what_an_undo_gives(
    owner: int, mode: int, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "result.json").touch()
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    found = SimpleNamespace(st_uid=owner, st_mode=mode)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "stat", lambda _: found)
    with pytest.raises(IdentityCenterError, match="by other users") if refused else nullcontext():
        _check_owned(tmp_path / "result.json")


@pytest.mark.parametrize(
    ("record", "complete"),
    [
        pytest.param(b'{"complete": true}', True, id="complete"),
        pytest.param(b'{"complete": false}', False, id="incomplete"),
        pytest.param(b'{"complete": "yes"}', False, id="another-value"),
        pytest.param(b"[]", False, id="another-shape"),
        pytest.param(b'{"comp', False, id="torn"),
        pytest.param(None, False, id="none"),
    ],
)
def test_whether_an_undo_is_complete_is_in_its_record(record: bytes | None, complete: bool) -> None:
    assert _is_complete(record) is complete
