# SPDX-License-Identifier: Apache-2.0
"""The query for Athena: its columns are those that are read, and what it counts is what the tally counts."""

from __future__ import annotations

import re
from datetime import date

import pytest

from c7n_iamusers.key_usage.athena_query import athena_query, is_table
from c7n_iamusers.key_usage.event_files import COLUMNS
from c7n_iamusers.key_usage.tally import is_refusal

SINCE = date(2026, 9, 4)


def test_the_query() -> None:
    query = athena_query("trails.cloudtrail_logs_pp", SINCE, ["111122223333", "444455556666"])
    assert re.findall(r" AS (\w+)", query) == [*COLUMNS]
    assert 'FROM "trails"."cloudtrail_logs_pp"\n' in query
    assert "\"timestamp\" >= '2026/09/04'" in query
    assert "useridentity.accesskeyid LIKE 'AKIA%'" in query
    assert "useridentity.accountid IN ('111122223333', '444455556666')" in query
    assert "  count(DISTINCT coalesce(sharedeventid, eventid)) AS calls,\n" in query
    assert " THEN coalesce(sharedeventid, eventid) END) AS denied,\n" in query
    assert query.endswith("GROUP BY 1, 2, 3, 4, 5, 6\n")


def test_the_query_of_one_key_in_all_accounts() -> None:
    query = athena_query("t", SINCE, keys=["AKIAIOSFODNN7EXAMPLE"])
    assert "useridentity.accesskeyid IN ('AKIAIOSFODNN7EXAMPLE')" in query
    assert "accountid" not in query


@pytest.mark.parametrize(
    "code", ["AccessDenied", "Client.UnauthorizedOperation", "NoSuchKey", "Throttling", ""]
)
def test_it_takes_for_refused_what_the_tally_does(code: str) -> None:
    (pattern,) = re.findall(r"regexp_like\(lower\(errorcode\), '(.*)'\)", athena_query("t", SINCE))
    assert bool(re.search(pattern, code.lower())) is is_refusal(code)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("t", True),
        ("cat.db.cloudtrail_logs-2", True),
        ("a.b.c.d", False),
        ('t"; DROP TABLE x', False),
        ("t'", False),
        ("", False),
        (".t", False),
    ],
)
def test_names_of_tables(name: str, expected: bool) -> None:
    assert is_table(name) is expected
