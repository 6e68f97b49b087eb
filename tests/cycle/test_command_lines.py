# SPDX-License-Identifier: Apache-2.0
"""Where the commands of a day look."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from c7n_iamusers.cycle.command_lines import Center, Run, below, plan_place, provision_line, report_line

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("output", "records", "given"),
    [
        pytest.param("out", "", False, id="none"),
        pytest.param("out", "elsewhere", True, id="elsewhere"),
        pytest.param("out", "out/intents", False, id="in-the-place-of-the-intents"),
        pytest.param("out", "out/intents/", False, id="in-that-place-with-a-slash"),
        pytest.param("out", "out", False, id="above-it"),
        pytest.param("out", "ou", True, id="beside-it"),
        pytest.param("s3://b/out", "s3://b/out", True, id="above-it-in-a-bucket"),
        pytest.param(
            "s3://b/out", "s3://b/out/intents?region=eu-west-1", False, id="in-that-place-of-the-bucket"
        ),
    ],
)
def test_records_are_named_where_the_command_would_not_look(output: str, records: str, given: bool) -> None:
    line = provision_line(
        "plan", Run("accounts.yml", "policies.yml", output), Center("role", "eu-west-1", "member", records)
    )
    assert ("--records" in line) is given
    assert not given or line[line.index("--records") + 1] == records


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ("out", "out/intents"),
        ("out/", "out/intents"),
        ("out?x", "out?x/intents"),
        ("s3://b/out", "s3://b/out/intents"),
        ("s3://b/out/?region=eu-west-1", "s3://b/out/intents?region=eu-west-1"),
    ],
)
def test_a_place_below_an_output(output: str, place: str) -> None:
    assert below(output, "intents") == place


RUN = Run("accounts.yml", "policies.yml", "out")


@pytest.mark.parametrize(
    ("uses", "given"),
    [([], "-u policies.yml"), (["a.yml", "b.yml#p"], "-u a.yml -u b.yml#p")],
    ids=["the-steps-file", "what-ran"],
)
def test_what_ran_is_checked(uses: list[str], given: str) -> None:
    since = datetime(2026, 11, 30, 1, tzinfo=timezone(timedelta(hours=1)))
    assert " ".join(RUN.check_line(["flag", "removal"], since, "delete", *uses)) == (
        f"c7n-iamusers report -s out/flag -s out/removal -c accounts.yml -t cycle {given} "
        "--since 2026-11-30T00:00:00Z --check --check-output .cycle/delete.check.json --output .cycle/delete.html"
    )


def test_where_a_report_and_a_plan_lie() -> None:
    assert report_line("a.yml", "out")[-1] == "out/report.html"
    assert report_line("a.yml", "out", page="r.html")[-1] == "r.html"
    assert plan_place("s3://b/o?region=r", "abc", "x.json") == "s3://b/o/cycle/plans/abc/x.json?region=r"
