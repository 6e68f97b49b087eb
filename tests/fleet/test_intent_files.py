# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.intent_files import read_intents, write_intents
from c7n_iamusers.fleet.provisioning import read_fleet
from tests.desired import intents
from tests.identity_center import ACCOUNT, OTHER_ACCOUNT


def test_all_of_them_are_found_with_their_places(tmp_path: Path) -> None:
    write_intents(tmp_path / "payments" / "us-east-1" / "provision", intents(ACCOUNT, "alice"))
    write_intents(tmp_path / "research" / "us-east-1" / "provision", intents(OTHER_ACCOUNT, "bob"))
    found = read_intents(tmp_path)
    assert [each.place for each in found] == ["payments/us-east-1/provision", "research/us-east-1/provision"]


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(IdentityCenterError, match=r"no identity-center-intents\.json below .* mode: intent"):
        read_intents(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}'], ids=["empty", "broken", "list", "bare"])
def test_one_that_can_not_be_read_is_no_smaller_fleet(tmp_path: Path, text: str) -> None:
    write_intents(tmp_path / "good", intents(ACCOUNT, "alice"))
    bad = tmp_path / "bad" / "identity-center-intents.json"
    bad.parent.mkdir()
    bad.write_text(text)
    with pytest.raises(IdentityCenterError, match=f"{bad}: can't be read as intents"):
        read_intents(tmp_path)


def test_an_identity_source_that_the_policies_do_not_have(tmp_path: Path) -> None:
    write_intents(tmp_path, intents(ACCOUNT, "alice"))
    with pytest.raises(IdentityCenterError, match="say identity-source: identity-center, not external"):
        read_fleet(tmp_path, "external")
    assert read_fleet(tmp_path, "identity-center").intents[0].place == "."
