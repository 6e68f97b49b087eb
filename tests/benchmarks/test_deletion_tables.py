# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from benchmarks import deletion_tables
from tests.benchmarks.measurements import deletion, results


def test_it_is_compared_with_its_floor() -> None:
    stock, ours = deletion_tables.deletion_table(results(deletion(calls=42, seconds=20.0))).rows
    assert stock == ["stock c7n", "17", "8.50", "0.61", "60.0", "1.0x", "130"]
    assert ours == ["c7n_iamusers", "42", "21.00", "1.50", "20.0", "3.0x", "130"]


def test_calls_stand_beside_the_floor() -> None:
    rows = deletion_tables.deletion_calls_table(results(deletion(calls=6))).rows
    assert ["DeleteUser", "2", "2", "2"] in rows
    assert ["DeleteSSHPublicKey", "-", "-", "2"] in rows
    assert rows[-1] == ["all", "17", "6", "28"]


def test_what_goes_beyond_the_floor() -> None:
    assert deletion_tables.beyond_the_floor(results(deletion(calls=10))) == {"GetUser": 2.0}
