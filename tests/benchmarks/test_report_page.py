# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import report_page
from benchmarks.report_page import Measured
from benchmarks.results import BenchmarkError


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Measured(10_000, 5.0, {"q u": 100.0}), ""),
        (Measured(10_000, 5.1, {"q u": 9.0}), "goals missed: the page has 5.1 MB"),
        (Measured(10_000, 2.0, {"q u": 101.0, "q v": 9.0}), "goals missed: q u takes 101 ms"),
    ],
)
def test_the_size_and_each_filter_have_a_limit(
    monkeypatch: pytest.MonkeyPatch, found: Measured, said: str
) -> None:
    monkeypatch.setattr(report_page, "measured", lambda *_: found)
    done = CliRunner().invoke(program.main, ["--page"])
    assert done.exit_code == bool(said)
    assert said in done.output
    assert f"{found.megabytes:.2f} MB" in done.output


def test_the_page_that_is_measured_has_all_users_and_takes_the_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In place of a browser, what keeps the page it is given."""
    kept, browser = tmp_path / "kept.html", tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\nfor each; do :; done\ncp "${{each#file://}}" {kept}\n'
        'echo \'<title>{"rows":6,"times":{"q u":[1,3,2]}}</title>\'\n'
    )
    browser.chmod(0o700)
    monkeypatch.setattr(report_page, "_BROWSERS", (str(browser),))
    found = report_page.measured((2, 3), lambda _: None)
    assert (found.users, found.took) == (6, {"q u": 1})
    page = kept.read_text()
    assert "Content-Security-Policy" not in page
    assert page.count("<script>") == 2
    assert page.count('"user-') == 6 + 1  # and the text that is typed
    monkeypatch.setattr(report_page, "_BROWSERS", ())
    with pytest.raises(BenchmarkError, match="is installed"):
        report_page.measured((2, 3), lambda _: None)
