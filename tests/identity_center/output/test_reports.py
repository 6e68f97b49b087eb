# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.identity_center.output.plan_files import _title
from c7n_iamusers.identity_center.output.reports import DERIVATION_FILE, write_derivation_report
from c7n_iamusers.identity_center.output.terraform import _label
from tests.derivation.users import FORCE_MFA, PLAIN, READ, WRITE, user

pytestmark = pytest.mark.pure


def report(tmp_path: Path, count: int) -> dict[str, Any]:
    users = [user(f"u{number:04}", inline=[READ, WRITE]) for number in range(count)]
    list(write_derivation_report(tmp_path, [derive([*users, user("mfa", inline=[READ, FORCE_MFA])], PLAIN)]))
    (found,) = json.loads((tmp_path / DERIVATION_FILE).read_text())["derivations"]
    return dict(found)


def test_users_refer_to_what_they_share(tmp_path: Path) -> None:
    found = report(tmp_path, 3)
    assert [each["user"] for each in found["users"]] == ["u0000", "u0001", "u0002"]
    assert {each["proof"] for each in found["users"]} == {0}
    assert found["proofs"][0]["verdict"] == found["users"][0]["verdict"] == "equal"
    (refused,) = found["refused"]
    assert found["proofs"][refused["proof"]]["witnesses"]
    assert len(found["proofs"]) == 2
    assert found["permission-sets"][0]["inline"]["Statement"]


def test_a_user_more_is_a_line_more(tmp_path: Path) -> None:
    sizes = []
    for count in (100, 200):
        report(tmp_path, count)
        sizes.append((tmp_path / DERIVATION_FILE).stat().st_size)
    assert (sizes[1] - sizes[0]) / 100 < 250


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    report(tmp_path, 1)
    assert stat.S_IMODE((tmp_path / DERIVATION_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("found", [[]], ids=["nothing-derived"])
def test_no_file_where_nothing_was_derived(tmp_path: Path, found: list[Any]) -> None:
    assert list(write_derivation_report(tmp_path, found)) == []
    assert not (tmp_path / DERIVATION_FILE).exists()


@pytest.mark.parametrize(
    ("name", "row", "title"),
    [
        ("totals", {"person": ["ada"], "account_id": "1"}, "ada in account 1"),
        ("stale", {"kind": "group", "name": "x"}, "group x"),
        ("strangers", {"username": "ada", "group": "x"}, "ada in group x"),
        ("beyond", {"people": "ada", "by": "x", "account_id": "1"}, "ada by x in account 1"),
    ],
)
def test_the_title_of_a_row(name: str, row: dict[str, Any], title: str) -> None:
    assert _title(name, row) == title


def test_a_label_shows_the_beginning_of_its_name() -> None:
    readable = _label("x" * 60).split("_")[1]
    assert readable == "x" * 48
    assert _label("  a b  ").startswith("r_a_b_")
    assert len(_label("a").rpartition("_")[2]) == 32
