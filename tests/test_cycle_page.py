# SPDX-License-Identifier: Apache-2.0
"""docs/cycle.md says what the code has: steps, settings, defaults. tests/test_site.py has its command lines."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from c7n_iamusers.cycle.approvals import LASTS
from c7n_iamusers.cycle.settings import Settings, read_settings
from c7n_iamusers.cycle.steps import APPROVABLE, STEPS
from c7n_iamusers.cycle.waves import LONGEST_GAP
from tests.readme import ROOT

PAGE = (ROOT / "docs" / "cycle.md").read_text()
BLOCKS = [each.content for each in MarkdownIt().parse(PAGE) if each.type == "fence"]


def test_the_settings_that_it_shows_are_the_defaults() -> None:
    (block,) = BLOCKS
    assert read_settings(block) == Settings()
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    (shown,) = (each for each in re.findall(r"```yaml\n(.*?)```", runbook, re.DOTALL) if "roles:" in each)
    assert read_settings(shown).roles.provisioner == "IdentityCenterProvisioner"
    # those that it names besides
    for key in ("organization", "roles.provisioner", "steps", "approve"):
        assert f"| `{key}` |" in PAGE


def test_the_table_has_each_step_as_it_is() -> None:
    rows = dict(re.findall(r"^\| ([a-z-]+) \| (`.*)$", PAGE, re.MULTILINE))
    assert [*rows] == [each.name for each in STEPS]
    for each in STEPS:
        assert all(f"`{file}`" in rows[each.name] for file in (*each.files, each.place))
        assert f"| {each.role}" in rows[each.name]
        assert not each.days or each.days in rows[each.name] or each.name == "attempts"


def test_its_numbers_are_those_of_the_code() -> None:
    assert LASTS.days == 7
    assert "plans of the last seven days" in PAGE
    assert LONGEST_GAP.days == 4
    assert "at most four days between two cycles" in PAGE
    assert APPROVABLE == ("provision", "delete")


def test_tasks_run_the_same_policies_in_the_same_order() -> None:
    """deploy/run runs what its stacks name, without a cycle: docs/deploy.md."""
    order = [file for each in STEPS for file in each.files]
    page = (ROOT / "docs" / "deploy.md").read_text()
    lists = [re.findall(r"policies/([a-z-]+\.yml)", each) for each in re.findall(r'"Policies=([^"]+)"', page)]
    assert len(lists) == 2
    for files in lists:
        assert files == sorted(files, key=order.index)
