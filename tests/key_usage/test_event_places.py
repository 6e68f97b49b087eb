# SPDX-License-Identifier: Apache-2.0
"""Files at several places: what could not be read of them, within bounds, for each key."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.key_usage import tally as tally_module
from c7n_iamusers.key_usage.event_places import EventPlaces, read_event_places
from c7n_iamusers.key_usage.tally import Tally
from tests.key_usage.test_event_files import log_file
from tests.key_usage.test_tally import KEY, OTHER, event

NOW = datetime(2026, 12, 3, tzinfo=timezone.utc)


def read(tally: Tally, *places: str) -> EventPlaces:
    def no_s3(region: str | None) -> Any:
        raise AssertionError(region)

    return read_event_places(places, tally, NOW, no_s3, lambda place: DirectoryStore(Path(place)))


def test_a_key_with_more_groups_than_are_kept_has_more(tmp_path: Path) -> None:
    file = tmp_path / "log.json"
    events = [event(userAgent=str(number), eventID=str(number)) for number in range(5)]
    file.write_bytes(log_file(*events, event(userIdentity={"accessKeyId": OTHER})))
    found = read(Tally(most=2), str(file))
    full, other = found.usage_of(KEY), found.usage_of(OTHER)
    assert (full.more, full.problem, sum(group.calls for group in full.groups)) == (True, "", 5)
    assert (other.more, other.problem) == (False, "")


def test_calls_of_keys_that_are_left_out_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally_module, "MOST_KEYS", 1)
    file = tmp_path / "log.json"
    file.write_bytes(log_file(event(), event(userIdentity={"accessKeyId": OTHER})))
    found = read(Tally(), str(file))
    assert found.problems == ["there are more keys than can be counted: 1 call is left out"]
    assert found.usage_of(KEY).more
    assert found.usage_of(OTHER).problem == found.problems[0]


def test_a_thousand_files_that_can_not_be_read_are_few_words_for_each_key(tmp_path: Path) -> None:
    for number in range(1_000):
        (tmp_path / f"{number:04d}.json").write_bytes(b"{")
    found = read(Tally({KEY}), f"{tmp_path}/")
    usage = found.usage_of(KEY)
    assert len(found.problems) == 1_000
    assert usage.more
    assert "0000.json: line 1, after entry 0: " in usage.problem
    assert usage.problem.endswith(" and 997 more")
    assert len(usage.problem) < 2_000
