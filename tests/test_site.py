# SPDX-License-Identifier: Apache-2.0
"""The site: its pages read the same on GitHub, and nothing of it comes from another host. `make check` builds it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import markdown
import pytest
import yaml
from markdown_it import MarkdownIt

from c7n_iamusers.cycle.steps import STEPS
from c7n_iamusers_cli.main import main
from tests import readme
from tests.readme import copy_checkout

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
#: Page -> what runs its blocks, beside those that tests/readme.py names, or makes or holds them against the code.
RUN_BY = {
    **dict.fromkeys(("runbook", "real-time", "stop", "exempt", "one-user"), "tests/guides.py"),
    "benchmarks": "benchmarks/report.py",
    "cycle": "tests/test_cycle_page.py",
    "deploy": "tests/deploy/test_guide.py",
    "escalate": "tests/plugins/test_overdue_filter.py",
    "identity-center": "tests/identity_center/requests/test_others.py",
    "run-anywhere": "tests/deploy/test_github.py",
}
#: Pages whose commands only have to be there with their options. What they do is tried by what they name.
PARSED = {
    "blast-radius": "cli/test_leftovers.py",
    "cycle": "cli/test_cycle_in_an_organization.py",
    "first-week": "cli/test_cycle_in_an_organization.py",
    "guardrail": "cli/test_guardrail.py",
    "init": "cli/test_init.py",
    "keys": "plugins/test_key_notices.py",
    "receipts": "cli/test_receipt.py",
    "reliability": "test_mutants.py",
    "roles": "cli/test_roles.py",
    "managed-as-code": "plugins/test_managed_as_code.py",
    "usage": "cli/test_usage.py",
    "where": "cli/test_where.py",
}
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


class Structure(HTMLParser):
    """Tags and texts of a page, in their order. A paragraph in an item of a list may have its tag or not."""

    TAGS = ("li", "ul", "ol", "pre", "table", "tr", "td", "th", "h1", "h2", "h3", "h4", "code", "a", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self.TAGS:
            self.found.append(f"<{tag}>")

    def handle_data(self, data: str) -> None:
        self.found += data.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_reads_the_same_on_github(page: Path) -> None:
    """By CommonMark, a list in a list begins where its text does; by Python-Markdown, after four blanks."""
    text = page.read_text(encoding="utf-8")
    there = Structure(MarkdownIt("commonmark").enable("table").render(text))
    here = Structure(markdown.markdown(text, extensions=["tables", "fenced_code"]))
    assert here.found == there.found


def blocks(page: Path) -> list[str]:
    """What is to be run, or read by Cloud Custodian: all but samples of output."""
    parsed = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [each.content for each in parsed if each.type in ("fence", "code_block") and each.info != "text"]


def test_every_block_is_tested() -> None:
    followed = {Path(name).stem for name in readme.PAGES}
    assert {page.stem for page in PAGES if blocks(page)} <= followed | {*RUN_BY, *PARSED}
    for name, module in RUN_BY.items():
        assert name in (ROOT / module).read_text(encoding="utf-8"), name
    assert all((ROOT / "tests" / module).is_file() for module in PARSED.values())


def command_lines() -> Iterator[str]:
    for page in [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in PARSED)]:
        for line in "".join(blocks(page)).replace("\\\n", " ").splitlines():
            command = re.sub(r"^sh as \w+ ", "", line.strip())
            if command.startswith("c7n-iamusers "):
                yield command


@pytest.mark.parametrize("line", [*command_lines()])
def test_each_command_has_its_options(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_checkout(tmp_path)
    (tmp_path / "output").mkdir()
    monkeypatch.chdir(tmp_path)
    program, name, *options = shlex.split(re.sub(r" > \S+$", "", line), comments=True)
    command = main.get_command(click.Context(main), name)
    assert (program, command is None) == ("c7n-iamusers", False)
    assert command is not None
    command.make_context(name, options)


def test_each_target_of_make_exists() -> None:
    named = {
        target
        for page in PAGES
        for target in re.findall(
            r"(?:`|^ {4})make ([a-z]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert {"demo", "explore", "mutants", "bench"} <= named
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [each for each in named if not re.search(rf"^{each}:", makefile, re.MULTILINE)] == []


def test_the_list_of_exemptions_is_the_one_that_is_shipped() -> None:
    shown = re.search(
        r"```text\n(.*?)```", (ROOT / "docs" / "exempt.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert shown is not None
    assert shown[1] == (ROOT / "policies" / "exemptions.csv").read_text(encoding="utf-8")


def test_the_states_have_the_days_of_the_shipped_policies() -> None:
    """And name a step's policies each."""
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    rows = {
        file: row
        for row in page.splitlines()
        for file in re.findall(r"^\| [^|]* \| `policies/([a-z-]+\.yml)`", row)
    }
    days = yaml.safe_load((ROOT / "accounts.yml").read_text(encoding="utf-8"))["vars"]
    moving = [each for each in STEPS if each.changes_users or each.name in ("announce", "remind")]
    # each state of a key is its own row
    assert {file for each in moving for file in each.files} == {*rows}
    for name in ("listen", "quarantine"):
        assert f"{days[f'{name}_after_days']} days after it" in rows[f"{name}.yml"]
    assert f"{days['quarantined_for_days']} days under the Deny" in rows["quarantine.yml"]
    assert f"{days['active_within_days']}, no role" in rows["flag-and-notify.yml"]


def test_the_readme_is_short_and_its_picture_small() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180
    assert (ROOT / "docs" / "report.png").stat().st_size < 150_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    done = build(ROOT, directory)
    assert done.returncode == 0, done.stderr
    return directory


def build(source: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """As `make check-site` does."""
    (command,) = re.findall(r"\$\(BIN\)/mkdocs (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    words = [sys.executable, "-m", "mkdocs", *command.split(), "--site-dir", str(to)]
    return subprocess.run(words, cwd=source, capture_output=True, text=True)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("[x](runbook.md#nowhere)", id="anchor"),
        pytest.param("[x](nowhere.md)", id="page"),
        pytest.param("[x](../README.md)", id="outside"),
    ],
)
def test_a_broken_link_fails_the_build(tmp_path: Path, broken: str) -> None:
    assert built_with(broken, tmp_path) == 1


def test_a_link_that_leads_somewhere_fails_nothing(tmp_path: Path) -> None:
    assert built_with("[x](runbook.md#runbook)", tmp_path) == 0


def built_with(link: str, path: Path) -> int:
    """How the build ends of a site of two pages, one of which has this link."""
    (path / "docs").mkdir()
    nav = [{"Stop": "stop.md"}, {"Runbook": "runbook.md"}]
    (path / "mkdocs.yml").write_text(yaml.safe_dump({**CONFIG, "nav": nav, "extra_css": []}))
    (path / "docs" / "runbook.md").write_text("# Runbook\n")
    (path / "docs" / "stop.md").write_text(f"# Stop\n\n{link}\n")
    return build(path, path / "site").returncode


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """Once; that each entry is a page, a strict build holds."""

    def files(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for each in entry.values() if isinstance(entry, dict) else entry:
                yield from files(each)

    assert sorted(files(CONFIG["nav"])) == [page.name for page in PAGES]
    assert all((site / page.with_suffix(".html").name).is_file() for page in PAGES)


def test_the_site_loads_nothing_from_other_hosts(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert (
            re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^>]*", text) == []
        )
        # only for a diagram would the theme load a library
        assert 'class="mermaid"' not in text
        assert str(ROOT) not in text
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8"))
