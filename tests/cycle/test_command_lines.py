# SPDX-License-Identifier: Apache-2.0
"""Where the commands of a day look."""

from __future__ import annotations

import pytest

from c7n_iamusers.cycle.command_lines import Center, Run, below, provision_line

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
